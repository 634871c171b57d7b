"""What must fit together: what is a fault and what is none. What an operator reads is in the golden cases."""

import sys
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authn.key import load_key
from gateway.authn.keyring import KeyRing
from gateway.config.check import ENDPOINT_NAMES, findings, secret_places
from gateway.config.compile import snapshot
from gateway.config.model import Config
from gateway.config.reach import is_taken, meet, spelled
from gateway.routing import parse_template, shape
from gateway.vocab.policy import Endpoint
from gateway.vocab.refusals import Code, Refusal
from tests.config.writing import key, methods, minimal, route, templates

OWNER = {"owner": {"pointer": "/id"}}


def found(**sections: Any) -> list[str]:
    """Return where the faults of a file stand, as dotted places."""
    return [".".join(map(str, where)) for where, _, _ in findings(Config.model_validate(minimal(**sections)))]


def test_a_minimal_file_has_no_fault() -> None:
    """The ground the other tests stand on."""
    assert found() == []


@pytest.mark.parametrize(
    ("first", "second", "crosses"),
    [
        pytest.param("/a/{x}", "/a/b", False, id="a literal is more specific"),
        pytest.param("/{x}/b", "/a/{y}", True, id="each is more specific somewhere"),
        pytest.param("/{x}/b/c", "/a/{y}/d", False, id="no path fits both"),
        pytest.param("/{x}/b", "/a/{y}/c", False, id="another length"),
        pytest.param("/a/{x}/{y}", "/a/b/c", False, id="literals everywhere"),
        pytest.param("/a/{rest...}", "/a/{x}", False, id="a parameter is more specific than the tail"),
        pytest.param("/p/{x}/{y}/c", "/p/a/{z}/{w}", True, id="with parameters in common"),
    ],
)
def test_two_templates_cross_if_neither_is_more_specific(first: str, second: str, *, crosses: bool) -> None:
    """A path must have one owner; in either order of the file."""
    for paths in ((first, second), (second, first)):
        routes = [route(name=f"r{number}", path=path) for number, path in enumerate(paths)]
        assert found(routes=routes) == (["routes.1.path"] if crosses else [])


def test_methods_of_a_path_may_have_routes_of_their_own() -> None:
    """One path, several routes, no method twice."""
    routes = [route(name="a", methods=["GET"]), route(name="b", methods=["POST", "PUT"])]
    assert found(routes=routes) == []
    assert found(routes=[*routes, route(name="c", methods=["PUT"])]) == ["routes.2.path"]


@pytest.mark.parametrize(
    ("caller", "access", "place"),
    [
        pytest.param("public", {"scope": [{"body_fields": {"allow": ["name"]}}]}, None, id="fields for the public"),
        pytest.param(
            "public",
            {
                "scope": [{"parent_owner": {"path": "/v2/x/{id}", "pointer": "/owner", "accepts": "guest"}}],
                "guard": [{"owner": {"pointer": "/owner", "required": False}}, {"identity": {"parameter": "id"}}],
            },
            None,
            id="guests' parents for the public",
        ),
        pytest.param("public", {"guard": [{"redact": {"pointers": ["/note"]}}]}, None, id="redaction for the public"),
        pytest.param("public", {"guard": [OWNER]}, "guard", id="an owner for the public"),
        pytest.param("customer", {"guard": [OWNER]}, None, id="a guard alone"),
        pytest.param(
            "customer", {"scope": [{"filter": {"field": "id"}}], "guard": [OWNER]}, None, id="a filter and guard"
        ),
        pytest.param("customer", {"scope": [{"filter": {"field": "id"}}]}, "scope.0", id="a filter alone"),
        pytest.param("trusted", {"guard": [{"redact": {"pointers": ["/n"]}}]}, "", id="rules for the trusted"),
    ],
)
def test_rules_go_with_callers(caller: str, access: dict[str, Any], place: str | None) -> None:
    """What needs a customer stands under customer, and a filter goes with an owner guard."""
    routes = [route(path="/v2/x/{id}", access={caller: access})]
    expected = [] if place is None else [f"routes.0.access.{caller}" + (f".{place}" if place else "")]
    assert found(routes=routes) == expected


@pytest.mark.parametrize(
    ("mode", "methods", "path", "good"),
    [
        ("register", ["POST"], "/c", True),
        ("register", ["POST", "PUT"], "/c", False),
        ("change", ["PUT", "PATCH"], "/c/{id}", True),
        ("change", ["PUT"], "/c", False),
        ("change", ["POST"], "/c/{id}", False),
        ("forget", ["DELETE"], "/c/{id}", True),
        ("forget", ["GET", "DELETE"], "/c/{id}", False),
        ("show", ["GET"], "/c", True),
        ("show", ["DELETE"], "/c/{id}", False),
    ],
)
def test_passwords_go_with_methods(mode: str, methods: list[str], path: str, *, good: bool) -> None:
    """A look never removes a password, and the path names whose it is."""
    access = {"customer": {"scope": [{"path_owner": {}}], "guard": [OWNER]}} if "{id}" in path else {"public": "open"}
    assert (found(routes=[route(path=path, methods=methods, passwords=mode, access=access)]) == []) is good


def test_without_bearers_no_client_is_needed() -> None:
    """`clients.require: false` is for back ends without an implicit grant."""
    assert found(clients={"require": False}) == []
    assert found(clients={}) == ["clients"]


def test_an_ephemeral_key_is_asked_for_by_name() -> None:
    """No key is a fault unless the demonstration's switch is on."""
    tokens = minimal()["tokens"] | {"keys": []}
    assert found(tokens=tokens) == ["tokens"]
    assert found(tokens=tokens, insecure_ephemeral_key=True) == []


def test_all_secrets_are_known() -> None:
    """Whatever the models type as a secret is looked at for literals."""
    config = Config.model_validate(minimal(log={"customer_key": "hunter2"}))
    places = set(secret_places(config))
    assert places == {
        ("upstream", "credential", "client_secret"),
        ("log", "customer_key"),
        ("clients", "client_credentials", 0, "secret"),
        ("tokens", "keys", 0),
    }
    # A dump shows every secret as stars, so that a secret that is not in the list is seen here.
    assert str(config.model_dump()).count("SecretStr(") == len(places)


def test_names_of_the_gateways_own_routes_are_taken() -> None:
    """A second route of a name would mix up logs, metrics and parameters."""
    assert frozenset(Endpoint) == ENDPOINT_NAMES
    for name in ENDPOINT_NAMES:
        assert found(routes=[route(name=name)]) == ["routes.0.name"]


def test_what_has_no_fault_can_be_compiled() -> None:
    """The checks leave nothing for the compiler to stumble over."""
    config = Config.model_validate(minimal())
    table = snapshot(config, KeyRing([load_key(key())])).routes
    assert table.match("PUT", ("v2", "products")) == Refusal(Code.METHOD_NOT_ALLOWED, allow=("GET", "HEAD"))


# Tables of many routes


@settings(deadline=None)
@given(st.lists(st.tuples(templates(), methods()), min_size=1, max_size=12))
def test_no_conflict_of_a_large_table_is_missed(written: list[tuple[str, list[str]]]) -> None:
    """A look at each pair of routes finds the same faults, in the same order and words."""
    routes = [route(name=f"r{at}", path=path, methods=served) for at, (path, served) in enumerate(written)]
    templates = [parse_template(path) for path, _ in written]
    expected = [
        (at, "no path is left to this route: more specific ones take them all")
        for at, template in enumerate(templates)
        if is_taken(template, template, templates)
    ]
    for (above, (first, ours)), (at, (second, theirs)) in combinations(enumerate(written), 2):
        shared = meet(templates[above], templates[at])
        both = ", ".join(sorted({*ours} & {*theirs}))
        if shape(first) == shape(second) and both:
            expected.append((at, f"overlaps with route r{above}: {both} of the same path"))
        elif shared and "..." not in first + second and shape(spelled(shared)) not in {shape(first), shape(second)}:
            what = f"overlaps with route r{above}: a path can match both and neither is more specific"
            expected.append((at, what))
    told = findings(Config.model_validate(minimal(routes=routes)))
    assert [(where[1], what) for where, what, _ in told if where[-1] == "path"] == expected


def many(count: int) -> Config:
    """Make a file in which an integration gives each of its collections routes of its own, among general ones."""
    owned = {"customer": {"guard": [OWNER]}, "trusted": "open"}
    made = [
        one
        for number in range(count)
        for one in (
            {"path": f"/v2/own-{number}/{{id}}", "access": owned},
            {"path": f"/v2/own-{number}/{{id}}/{{rest...}}"},
            {"path": f"/v2/flow-{number}", "methods": ["GET", "POST"]},
            {"path": f"/v2/flow-{number}/top", "methods": ["GET"]},
            {"path": f"/v2/flow-{number}/{{id}}", "methods": ["PUT"]},
            {"path": f"/v2/orders/{{oid}}/flow-{number}"},
            {"path": f"/v3/{{shop}}/flow-{number}/{{id}}/entries"},
        )
    ]
    made += [
        {"path": "/v2/{rest...}"},
        {"path": "/v2/{kind}"},
        {"path": "/{version}/{kind}/{id}", "methods": ["DELETE"]},
    ]
    routes = [route(**{"name": f"r{number}", "access": {"trusted": "open"}, **one}) for number, one in enumerate(made)]
    clients = [{"id": f"shop-{number}"} for number in range(count)]
    return Config.model_validate(minimal(routes=routes, clients={"implicit": clients}))


def work(config: Config) -> int:
    """Count the calls, of functions of C and of ours, that the checks of a file make."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    parse_template.cache_clear()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert [*findings(config)] == []
    finally:
        sys.setprofile(before)
    return calls


def test_four_times_the_routes_are_four_times_the_work() -> None:
    """Each route is compared with those it shares a path with, not with all, and a template is read once."""
    few, more = work(many(25)), work(many(100))
    assert more < 4.2 * few
