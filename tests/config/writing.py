"""Routing files as data, for tests of single floors of the configuration."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from gateway.authn.key import Algorithm, generate


@cache
def key(name: str = "ours") -> str:
    """Make a signing key, the same for the same name."""
    assert name
    return generate(Algorithm.EDDSA)


def minimal(**sections: Any) -> dict[str, Any]:
    """Return the smallest good file, with these sections in place of its own."""
    return {
        "version": 1,
        "upstream": {"url": "http://up.example", "credential": {"client_id": "gateway", "client_secret": "hunter2"}},
        "tokens": {"issuer": "gateway", "audience": "shop", "keys": [key()]},
        "store": {"url": "sqlite:////tmp/gateway.db"},
        "clients": {"implicit": [{"id": "shop"}], "client_credentials": [{"id": "server", "secret": "hunter2"}]},
        "routes": [route()],
        **sections,
    }


def route(**keys: Any) -> dict[str, Any]:
    """Return a good route, with these keys in place of its own."""
    return {
        "name": "products",
        "path": "/v2/products",
        "methods": ["GET"],
        "access": {"public": "open"},
        **keys,
    }


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Make a template of a few segments with names of its own."""
    segments = st.sampled_from(["a", "b", "{}"])
    parts = draw(st.lists(segments, min_size=1, max_size=3)) + draw(st.sampled_from([[], ["{...}"]]))
    return "".join(f"/{part.replace('{', f'{{x{index}')}" for index, part in enumerate(parts))


def methods() -> st.SearchStrategy[list[str]]:
    """Make the methods of a route."""
    return st.lists(st.sampled_from(["GET", "POST", "PUT"]), min_size=1, max_size=3, unique=True)
