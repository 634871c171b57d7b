"""What must fit together in what a file says of the upstream: every fault with its place and what to write instead."""

from typing import Any

import pytest

from gateway.config.check import secret_places
from gateway.config.model import Config
from gateway.config.upstreams import upstream_findings
from tests.config.writing import minimal, route

SENT = {"client_id": "gateway", "client_secret": "hunter2"}
KEYED = {"kind": "header", "name": "X-Api-Key", "value": "hunter2"}
FAULTS = [
    pytest.param({"tls": {"server_name": "x"}}, ("upstream", "tls"), id="TLS where there is none"),
    pytest.param(
        {"url": "https://up.example", "tls": {"ca_file": "/nowhere"}}, ("upstream", "tls", "ca_file"), id="no such file"
    ),
    pytest.param(
        {"credential": KEYED, "forward_headers": ["X-Api-Key"]},
        ("upstream", "credential", "name"),
        id="a header of the client's",
    ),
    pytest.param(
        {"public_credential": KEYED, "forward_headers": ["X-Api-Key"]},
        ("upstream", "public_credential", "name"),
        id="a header of the client's as the weaker one",
    ),
]


@pytest.mark.parametrize(("keys", "place"), FAULTS)
def test_what_does_not_fit_is_a_fault(keys: dict[str, Any], place: tuple[str, ...]) -> None:
    """With its place, and a hint."""
    upstream = {"url": "http://up.example", "credential": SENT} | keys
    ((where, what, hint),) = upstream_findings(Config.model_validate(minimal(upstream=upstream)))
    assert where == place
    assert what
    assert hint


def test_a_credential_that_is_not_there_cannot_be_lent() -> None:
    """A route that names the weaker one where there is none is a fault of that route."""
    given = minimal(routes=[route(credential="public")])
    ((where, _, hint),) = upstream_findings(Config.model_validate(given))
    assert where == ("routes", 0, "credential")
    assert "upstream.public_credential" in hint


def test_the_secrets_of_all_kinds_are_known() -> None:
    """So that none of them may stand in the file."""
    upstream = {
        "url": "http://up.example",
        "credential": KEYED,
        "public_credential": {"kind": "bearer", "token": "hunter2"},
        "proxy": {"url": "http://proxy.example:3128", "username": "us", "password": "hunter2"},
    }
    places = set(secret_places(Config.model_validate(minimal(upstream=upstream))))
    assert places >= {
        ("upstream", "credential", "value"),
        ("upstream", "public_credential", "token"),
        ("upstream", "proxy", "password"),
    }
