"""What `gateway check` says of requests that carry more than the API would give, and what is shown of credentials."""

from typing import Any

import pytest

from gateway.config.lending import credential_lines, credentials, lent_freely
from gateway.config.model import Config
from gateway.vocab.messages import READS, CallerKind
from gateway.vocab.policy import ALL_METHODS, Credential
from tests.config.writing import minimal, route

BOTH = {
    "url": "http://up.example",
    "credential": {"client_id": "gateway", "client_secret": "hunter2"},
    "public_credential": {"kind": "implicit", "client_id": "gateway"},
}
ONE = {name: value for name, value in BOTH.items() if name != "public_credential"}
NONE = {"url": "http://up.example", "credential": {"kind": "none"}}
NOTHING: frozenset[str] = frozenset()
OWN = {"customer": {"scope": [{"path_owner": {}}], "guard": [{"owner": {"pointer": "/id"}}]}, "trusted": "open"}
LOOKED_OVER = {"public": {"scope": [{"body_fields": {"forbid": ["customer"]}}]}}
LISTED = {"public": {"scope": [{"body_fields": {"allow": ["name", "email", "password"]}}]}}
REGISTERS = {"methods": ["POST"], "passwords": "register", "access": LISTED}


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


BOUND = [
    pytest.param({"scope": [{"path_owner": {"parameter": "id"}}]}, ALL_METHODS, id="the path"),
    pytest.param({"scope": [{"filter": {"field": "customer_id"}}]}, READS, id="a filter of a list"),
    pytest.param(
        {"scope": [{"filter": {"field": "customer_id", "dialect": "postgrest"}}]}, ALL_METHODS, id="a filter of a table"
    ),
    pytest.param({"scope": [{"body_stamp": {"pointer": "/x"}}]}, {"POST", "PUT", "PATCH"}, id="a body, where one is"),
    pytest.param({"guard": [{"owner": {"pointer": "/x"}}]}, ALL_METHODS, id="the answer"),
    pytest.param({"guard": [{"owner": {"pointer": "/x", "required": False}}]}, NOTHING, id="the answer, if it says so"),
    pytest.param({"guard": [{"redact": {"pointers": ["/x"]}}]}, NOTHING, id="what is taken out of the answer"),
    pytest.param({"scope": [{"body_fields": {"forbid": ["x"]}}]}, NOTHING, id="what is taken out of the body"),
    pytest.param("open", NOTHING, id="nothing"),
]


@pytest.mark.parametrize(("access", "bound"), BOUND)
def test_the_servers_carries_what_is_bound_to_the_customer(access: Any, bound: frozenset[str]) -> None:
    """And of a route no other method than those that its rules bind; what public callers send never."""
    written = {"path": "/v2/{id}", "access": {"public": "open", "customer": access}}
    config = Config.model_validate(minimal(upstream=BOTH, routes=[route(**written)]))
    (model,) = config.routes
    assert model.access.customer is not None
    assert credentials(config, model, CallerKind.CUSTOMER, model.access.customer) == (bound, bound)
    assert credentials(config, model, CallerKind.PUBLIC, "open") == (NOTHING, NOTHING)
    assert credentials(config, model, CallerKind.TRUSTED, "open") == (ALL_METHODS, ALL_METHODS)


@pytest.mark.parametrize("verify", ["store", "upstream"])
def test_an_exchange_of_passwords_is_the_servers(verify: str) -> None:
    """If it is said what may be in the body: an open one may make an administrator."""
    kept = route(path="/v2/customers", **REGISTERS)
    opened = route(name="other", path="/v2/others", methods=["POST"], passwords="register", access={"public": "open"})
    given = minimal(upstream=BOTH, routes=[kept, opened], customers={"verify": verify})
    config = Config.model_validate(given)
    lent = [credentials(config, one, CallerKind.PUBLIC, one.access.public or "open")[0] for one in config.routes]
    assert lent == [ALL_METHODS, NOTHING]


def test_what_is_shown_of_a_credential_is_its_name() -> None:
    """Never a secret."""
    config = Config.model_validate(minimal(upstream=BOTH))
    assert dict(credential_lines(config.upstream, Credential.SERVER)) == {"authorization": "Bearer <server credential>"}
    keyed = {**ONE, "credential": {"kind": "header", "name": "X-Api-Key", "value": "hunter2"}}
    config = Config.model_validate(minimal(upstream=keyed))
    assert dict(credential_lines(config.upstream, Credential.SERVER)) == {"x-api-key": "<server credential>"}
    based = {**ONE, "credential": {"kind": "basic", "user": "us", "password": "hunter2"}}
    config = Config.model_validate(minimal(upstream=based))
    assert dict(credential_lines(config.upstream, Credential.SERVER)) == {"authorization": "Basic <server credential>"}
    assert dict(credential_lines(Config.model_validate(minimal(upstream=NONE)).upstream, Credential.SERVER)) == {}
