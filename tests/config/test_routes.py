"""A route of a checked file becomes what requests are matched with."""

import pytest

from gateway.config.model import Config
from gateway.config.routes import customers_path, endpoints, route
from gateway.guard.rules.owner import Owner
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import Access, Passwords, Route
from tests.config.writing import minimal
from tests.config.writing import route as written


def compiled_route(verify: str = "store", **keys: object) -> Route:
    """Compile the only route of a file."""
    config = Config.model_validate(minimal(routes=[written(**keys)], customers={"verify": verify}))
    return route(config, config.routes[0])


def test_a_caller_that_is_not_named_has_no_access() -> None:
    """Closed unless opened: there is no entry to find."""
    compiled = compiled_route(access={"trusted": "open"})
    assert compiled.access == {CallerKind.TRUSTED: Access()}
    assert compiled.access[CallerKind.TRUSTED].is_open


def test_rules_keep_their_order_and_their_caller() -> None:
    """Scope and guard of one caller say nothing of another."""
    rules = {"scope": [{"path_owner": {}}], "guard": [{"owner": {"pointer": "/id"}}]}
    compiled = compiled_route(access={"public": "open", "customer": rules})
    assert compiled.access == {
        CallerKind.PUBLIC: Access(),
        CallerKind.CUSTOMER: Access((PathOwner(),), (Owner(pointer="/id"),)),
    }


def test_limits_and_switches_are_kept() -> None:
    """Everything a route says arrives."""
    limits = {"body": "1KiB", "answer": "2KiB", "stream": "3KiB", "idle": "5m"}
    compiled = compiled_route(limits=limits, set_cookie=True, query=["a"], methods=["GET", "POST"], passwords="show")
    assert (compiled.body_limit, compiled.answer_limit, compiled.stream_limit) == (1024, 2048, 3072)
    assert compiled.idle_limit == 300
    assert (compiled.set_cookie, compiled.query, compiled.passwords) == (True, frozenset({"a"}), Passwords.SHOW)
    assert compiled.methods == {"GET", "POST"}


def test_a_route_without_parameters_takes_none() -> None:
    """An absent list is an empty one, never `any`."""
    assert compiled_route().query == frozenset()


def test_an_upstream_that_verifies_keeps_its_passwords() -> None:
    """There a password is a field like any other."""
    assert compiled_route("upstream", passwords="show").passwords is None


RULES = {"scope": [{"body_fields": {"forbid": ["customer"]}}]}
KNOWING = {"scope": [{"path_owner": {}}], "guard": [{"owner": {"pointer": "/id"}}]}


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        pytest.param({"public": "open", "customer": "open"}, True, id="open to both"),
        pytest.param({"public": RULES, "customer": RULES, "trusted": "open"}, True, id="the same rules"),
        pytest.param({"public": "open", "customer": RULES}, False, id="customers may do less"),
        pytest.param({"public": RULES, "customer": "open"}, False, id="customers may do more"),
        pytest.param({"customer": "open"}, False, id="customers alone"),
        pytest.param({"public": "open"}, False, id="the public alone"),
        pytest.param({"trusted": "open"}, False, id="neither"),
        pytest.param({"public": KNOWING, "customer": KNOWING}, False, id="the same rules, which ask who it is"),
    ],
)
def test_where_it_does_not_matter_who_is_logged_in(access: dict[str, object], *, expected: bool) -> None:
    """There, and only there, a dead customer token closes nothing."""
    assert compiled_route(access=access).is_alike is expected


KNOWN = [
    pytest.param([], "/users", id="as the upstream does"),
    pytest.param([("/v2/customers", "/users/")], "/v2/customers", id="by the collection"),
    pytest.param([("/v2/customers/{id}/", "/users/{id}/")], "/v2/customers", id="by a record"),
    pytest.param([("/sign-up", "/users"), ("/v2/customers/{id}", "/users/{id}")], "/v2/customers", id="records first"),
    pytest.param([("/me/{id}/profile", "/users/{id}")], "/users", id="a record that ends otherwise"),
    pytest.param([("/orders", "/purchases")], "/users", id="another collection"),
]


@pytest.mark.parametrize(("paths", "expected"), KNOWN)
def test_clients_know_the_customers_by_their_own_path(paths: list[tuple[str, str]], expected: str) -> None:
    """Log-outs and resets stand below it; nobody learns the upstream's from us."""
    routes = [
        written(name=f"r{n}", path=path, upstream_path=there, records={"trailing_slash": True})
        for n, (path, there) in enumerate(paths)
    ]
    config = Config.model_validate(minimal(routes=routes or [written()], customers={"path": "/users/"}))
    assert customers_path(config) == expected
    assert f"{expected}/{{id}}/tokens" in [path for _, _, path, _ in endpoints(config)]


def test_another_upstreams_paths_are_not_the_customers() -> None:
    """The first one knows them."""
    other = {"url": "http://other.example", "credential": {"kind": "none"}}
    routes = [written(path="/v2/customers", upstream_path="/users", upstream="other")]
    config = Config.model_validate(minimal(upstreams={"other": other}, routes=routes, customers={"path": "/users"}))
    assert customers_path(config) == "/users"
