"""From a checked file to the frozen values that requests are decided with."""

import pytest

from gateway.authn.key import KeyFault
from gateway.config.compile import key_ring, snapshot
from gateway.config.model import Config
from gateway.routing import Match
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import Endpoint
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import FORWARDED
from tests.config.writing import key, minimal


def config(**sections: object) -> Config:
    """Read a file."""
    return Config.model_validate(minimal(**sections))


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("POST", "/oauth/access_token", Endpoint.BEARER),
        ("POST", "/v2/customers/tokens", Endpoint.LOGIN),
        ("GET", "/.well-known/jwks.json", Endpoint.JWKS),
    ],
)
def test_the_gateway_has_routes_of_its_own(method: str, path: str, endpoint: Endpoint) -> None:
    """They are part of the one table, so that 404 and 405 hold for them too."""
    table = snapshot(config(), key_ring(config())).routes
    found = table.match(method, tuple(path[1:].split("/")))
    assert isinstance(found, Match)
    assert found.route.endpoint is endpoint


def test_paths_of_the_gateways_own_routes_can_be_chosen() -> None:
    """`clients.path` and `customers.login_path` move them."""
    moved = config(clients=minimal()["clients"] | {"path": "/grants"}, customers={"login_path": "/logins"})
    table = snapshot(moved, key_ring(moved)).routes
    for path, endpoint in ((("grants",), Endpoint.BEARER), (("logins",), Endpoint.LOGIN)):
        found = table.match("POST", path)
        assert isinstance(found, Match)
        assert found.route.endpoint is endpoint
    assert table.match("POST", ("oauth", "access_token")) == Refusal(Code.ROUTE_UNKNOWN)


def test_clients_are_known_by_kind_and_id() -> None:
    """An id of one kind is nobody in the other."""
    callers = snapshot(config(), key_ring(config())).callers
    assert callers.clients == {(CallerKind.PUBLIC, "shop"), (CallerKind.TRUSTED, "server")}
    assert callers.requires_bearer


def test_further_headers_join_the_built_in_list() -> None:
    """`upstream.forward_headers` adds and never replaces."""
    more = config(upstream=minimal()["upstream"] | {"forward_headers": ["X-Own"]})
    assert snapshot(more, key_ring(more)).apis["default"].forwarded == FORWARDED | {"x-own"}


def test_all_urls_of_the_upstream_are_rewritten() -> None:
    """`link_origins` join the base URL."""
    more = config(
        upstream=minimal()["upstream"] | {"link_origins": ["http://cdn.example"]}, public_url="https://shop.example"
    )
    links = snapshot(more, key_ring(more)).apis["default"].links
    assert links.rewrite(b'["http://up.example/a","http://cdn.example/b"]') == (
        b'["https://shop.example/a","https://shop.example/b"]'
    )


def test_the_first_key_signs_and_all_verify() -> None:
    """Rotation is a second line in the list."""
    both = key_ring(config(tokens=minimal()["tokens"] | {"keys": [key("new"), key("old")]}))
    kids = [jwk["kid"] for jwk in both.public_jwks()["keys"]]
    assert len(kids) == 2
    assert (
        kids[0] == key_ring(config(tokens=minimal()["tokens"] | {"keys": [key("new")]})).public_jwks()["keys"][0]["kid"]
    )


def test_an_ephemeral_key_is_another_one_each_time() -> None:
    """It is made at start and dies with the process; without the switch there is none."""
    tokens = minimal()["tokens"] | {"keys": []}
    demo = config(tokens=tokens, insecure_ephemeral_key=True)
    assert key_ring(demo).public_jwks() != key_ring(demo).public_jwks()
    with pytest.raises(KeyFault, match="holds no key"):
        key_ring(config(tokens=tokens))


def test_what_routes_let_leave_pages_may_read() -> None:
    """`cors.expose` and the routes' `answer_headers`, each once."""
    routes = [
        {**minimal()["routes"][0], "name": name, "path": f"/{name}", "answer_headers": ["X-Rate", "X-Queue"]}
        for name in ("a", "b")
    ]
    chosen = config(cors={"origins": ["*"], "expose": ["X-Own", "X-Rate"]}, routes=routes)
    compiled = snapshot(chosen, key_ring(chosen))
    assert compiled.cors.expose == ("x-own", "x-rate", "x-queue")
    found = compiled.routes.match("GET", ("a",))
    assert isinstance(found, Match)
    assert found.route.answer_headers == {"x-rate", "x-queue"}
