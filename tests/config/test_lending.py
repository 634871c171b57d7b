"""What `gateway check` says of requests that carry more than the API would give, and what is shown of credentials."""

from typing import Any

import pytest

from gateway.config.lending import credential_lines, lent_freely
from gateway.config.model import Config
from gateway.vocab.policy import Credential
from tests.config.writing import minimal, route

BOTH = {
    "url": "http://up.example",
    "credential": {"client_id": "gateway", "client_secret": "hunter2"},
    "public_credential": {"kind": "implicit", "client_id": "gateway"},
}
ONE = {name: value for name, value in BOTH.items() if name != "public_credential"}
NONE = {"url": "http://up.example", "credential": {"kind": "none"}}
OWN = {"customer": {"scope": [{"path_owner": {}}], "guard": [{"owner": {"pointer": "/id"}}]}, "trusted": "open"}
LOOKED_OVER = {"public": {"scope": [{"body_fields": {"forbid": ["customer"]}}]}}
REGISTERS = {"methods": ["POST"], "passwords": "register", "access": LOOKED_OVER}


def told(upstream: dict[str, Any], *routes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is said of a file."""
    named = [route(**{"name": f"r{index}", **keys}) for index, keys in enumerate(routes)]
    return [*lent_freely(Config.model_validate(minimal(upstream=upstream, routes=named)))]


def test_with_one_credential_each_open_route_is_told_once() -> None:
    """What public callers get there, and both remedies."""
    routes: list[dict[str, Any]] = [
        {"access": {"public": "open", "customer": "open"}},
        {"path": "/v2/{id}", "access": OWN},
    ]
    ((name, what),) = told(ONE, *routes)
    assert name == "r0"
    assert what.startswith("public callers get what the server's credential may read here")
    assert "eq(status,live)" in what
    assert "body_fields" in what


@pytest.mark.parametrize("upstream", [BOTH, NONE], ids=["a weaker one", "none at all"])
def test_nothing_is_told_where_nobody_gets_more(upstream: dict[str, Any]) -> None:
    """Where there is a weaker one, or where everybody may read everything anyway."""
    assert told(upstream, {"access": {"public": "open"}}, {"path": "/v2/x", "access": LOOKED_OVER}) == []


def test_a_route_that_lends_the_servers_is_listed() -> None:
    """Unless its rules bind it to the customer, or it keeps passwords."""
    ((name, what),) = told(
        BOTH,
        {"credential": "server", "access": {"public": "open", "customer": "open"}},
        {"credential": "server", "path": "/v2/{id}", "access": OWN},
        {"credential": "server", "path": "/v2/customers", **REGISTERS},
    )
    assert (name, what) == (
        "r0",
        "credential: server, though nothing binds requests of public callers and customers to a customer",
    )


def test_what_is_shown_of_a_credential_is_its_name() -> None:
    """Never a secret."""
    config = Config.model_validate(minimal(upstream=BOTH))
    assert dict(credential_lines(config, Credential.SERVER)) == {"authorization": "Bearer <server credential>"}
    keyed = {**ONE, "credential": {"kind": "header", "name": "X-Api-Key", "value": "hunter2"}}
    config = Config.model_validate(minimal(upstream=keyed))
    assert dict(credential_lines(config, Credential.SERVER)) == {"x-api-key": "<server credential>"}
    based = {**ONE, "credential": {"kind": "basic", "user": "us", "password": "hunter2"}}
    config = Config.model_validate(minimal(upstream=based))
    assert dict(credential_lines(config, Credential.SERVER)) == {"authorization": "Basic <server credential>"}
    assert dict(credential_lines(Config.model_validate(minimal(upstream=NONE)), Credential.SERVER)) == {}
