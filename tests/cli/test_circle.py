"""An upstream that is the gateway itself is found before it serves."""

import socket

import pytest

from gateway.cli.circle import leads_back
from gateway.config.model import Config
from gateway.vocab.address import Address
from tests.config.writing import minimal

ADMIN = Address("127.0.0.1", 9901)


def towards(url: str, **upstream: object) -> Config:
    """Return a configuration with this upstream."""
    sections = minimal()
    return Config.model_validate({**sections, "upstream": {**sections["upstream"], "url": url, **upstream}})


@pytest.mark.parametrize(
    ("url", "listen"),
    [
        ("http://127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("http://localhost:8080/base", Address("127.0.0.1", 8080)),
        ("http://127.0.0.1:8080", Address("0.0.0.0", 8080)),  # noqa: S104 - nothing listens
        ("http://localhost:8080", Address("", 8080)),
        ("http://127.0.0.1:9901", Address("127.0.0.1", 8080)),
        ("http://127.0.0.1", Address("127.0.0.1", 80)),
    ],
)
def test_an_upstream_that_is_the_gateway_is_named(url: str, listen: Address) -> None:
    """Whatever it is called by, and whether it is the public or the admin port."""
    fault = leads_back(towards(url), listen, ADMIN)
    assert fault is not None
    assert fault.startswith("upstream.url leads to the gateway itself")


@pytest.mark.parametrize(
    ("url", "listen"),
    [
        ("http://127.0.0.1:8081", Address("127.0.0.1", 8080)),
        ("http://127.0.0.2:8080", Address("127.0.0.1", 8080)),
        ("http://192.0.2.1:8080", Address("0.0.0.0", 8080)),  # noqa: S104 - nothing listens
        ("http://no-such-name.invalid:8080", Address("0.0.0.0", 8080)),  # noqa: S104
        ("https://127.0.0.1", Address("127.0.0.1", 80)),
    ],
)
def test_any_other_upstream_is_none(url: str, listen: Address) -> None:
    """Another port or address, one of another machine, and a name that nobody knows."""
    assert leads_back(towards(url), listen, ADMIN) is None


def test_behind_a_proxy_a_name_is_not_looked_up() -> None:
    """What localhost is there, nobody here can tell."""
    config = towards("http://localhost:8080", proxy={"url": "http://proxy.invalid:3128"})
    assert leads_back(config, Address("127.0.0.1", 8080), ADMIN) is None


def test_each_upstream_is_looked_at() -> None:
    """The fault names the one."""
    there = {"url": "http://api.invalid", "credential": {"kind": "none"}}
    sections = minimal(upstreams={"a": there, "b": {**there, "url": "http://127.0.0.1:8080"}})
    fault = leads_back(Config.model_validate(sections), Address("127.0.0.1", 8080), ADMIN)
    assert fault is not None
    assert fault.startswith("upstreams.b.url leads to the gateway itself")


def test_a_probe_keeps_no_port() -> None:
    """An address can be listened on behind it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    assert leads_back(towards(f"http://127.0.0.1:{port}"), Address("127.0.0.1", port), ADMIN) is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
