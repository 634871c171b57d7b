"""What must fit together in what a file says of the upstream: every fault with its place and what to write instead."""

from typing import Any

import pytest

from gateway.config.check import findings, secret_places
from gateway.config.model import Config
from gateway.config.routes import route as compile_route
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
        {"credential": SENT | {"url": "https://a.example/token", "tls": {"ca_file": "/nowhere"}}},
        ("upstream", "credential", "tls", "ca_file"),
        id="no such file for a token endpoint",
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


UPSTREAMS = {
    "shop": {"url": "http://shop.example", "credential": SENT},
    "orders": {"url": "http://o.example", "credential": {"kind": "none"}},
}
OWN = {"customer": {"scope": [{"path_owner": {"parameter": "id"}}], "guard": [{"owner": {"pointer": "/id"}}]}}


def told(*routes: dict[str, Any], **sections: Any) -> list[tuple[tuple[Any, ...], str]]:
    """Return the places and faults of a file with several upstreams."""
    given = minimal(upstreams=UPSTREAMS, routes=[route(**{"name": f"r{n}", **one}) for n, one in enumerate(routes)])
    del given["upstream"]
    found = [(where, what) for where, what, hint in findings(Config.model_validate(given | sections)) if hint]
    return [(where, what) for where, what in found if where[0] in {"routes", "upstreams", "upstream"}]


PLACE = ("routes", 0, "upstream_path")
PATHS = [
    pytest.param("/v2/a/{id}", "/b/{id}/", None, id="another path"),
    pytest.param("/v2/a/{id}/{x}", "/{x}/b/{id}", None, id="in another order"),
    pytest.param("/v2/a/{id}", "/b?id=eq.{id}", None, id="a filter"),
    pytest.param("/v2/a/{rest...}", "/b/{rest...}", None, id="a tail"),
    pytest.param("/v2/a/{id}", "/b", "{id} of `path` is missing", id="missing"),
    pytest.param("/v2/a/{id}", "/b/{id}/{id2}", "`path` has no parameter {id2}", id="one too many"),
    pytest.param("/v2/a/{id}", "/b/{id}?id={id}", "{id} stands here twice", id="twice"),
    pytest.param("/v2/a/{rest...}", "/b/{rest}", "one segment on one side and many on the other", id="a tail in one"),
]


@pytest.mark.parametrize(("path", "upstream_path", "expected"), PATHS)
def test_each_parameter_is_used_once(path: str, upstream_path: str, expected: str | None) -> None:
    """In a segment, or as a filter."""
    found = told({"path": path, "upstream_path": upstream_path})
    assert [where for where, _ in found] == ([PLACE] if expected else [])
    assert all(expected in what for _, what in found if expected)


def test_a_rule_that_proves_by_a_missing_parameter_is_named() -> None:
    """Nothing there would be what the rule has proven."""
    ((where, what),) = told({"path": "/v2/a/{id}", "upstream_path": "/b", "access": OWN})
    assert where == PLACE
    assert "by which rules for customer prove whose the record is" in what


def test_an_upstream_must_be_there() -> None:
    """A route's, and that of a look-up; nothing else is said of such a file."""
    parent = {"parent_owner": {"pointer": "/x", "upstream": "nowhere"}}
    access = {"customer": {"scope": [parent], "guard": [{"owner": {"pointer": "/x"}}]}}
    found = told({"upstream": "nowhere"}, {"path": "/v2/b/{id}", "access": access})
    assert found == [
        (("routes", 0, "upstream"), "there is no such upstream"),
        (("routes", 1, "access", "customer", "scope", 0), "there is no such upstream"),
    ]


def test_a_path_has_one_upstream() -> None:
    """Whatever its methods are, and however its parameters are called."""
    ((where, what),) = told({"path": "/v2/b/{x}"}, {"path": "/v2/b/{y}", "methods": ["PUT"], "upstream": "orders"})
    assert where == ("routes", 1, "upstream")
    assert "two upstreams for one path" in what


def test_passwords_are_kept_for_the_first_upstream() -> None:
    """Whoever is registered elsewhere could never be found by an e-mail; another path there is none the worse."""
    register = {"methods": ["POST"], "passwords": "register", "access": {"public": "open"}, "upstream_path": "/c"}
    assert ("routes", 0, "upstream") in {
        where for where, _ in told({"path": "/v2/c", "upstream": "orders", **register})
    }
    assert told({"path": "/v2/c", **register}) == []


PASSWORDS = [
    pytest.param("/v2/c/{id}", "/users/{id}/", True, id="the record of the customer"),
    pytest.param("/v2/c/{id}", "/users?id=eq.{id}", True, id="found by a filter"),
    pytest.param("/v2/{shop}/c/{id}", "/{shop}/users/{id}", True, id="behind another parameter"),
    pytest.param("/v2/{shop}/c/{id}", "/users/{id}/{shop}", False, id="another parameter at the end"),
    pytest.param("/v2/c/{id}", "/users/{id}/profile", False, id="what lies below the customer"),
    pytest.param("/v2/c/{id}/mail", "/users/{id}", False, id="no parameter at the end"),
]


@pytest.mark.parametrize("verify", ["store", "upstream"])
@pytest.mark.parametrize("mode", ["change", "forget"])
@pytest.mark.parametrize(("path", "upstream_path", "fits"), PASSWORDS)
def test_whose_password_it_is_and_whose_record_is_one(
    path: str, upstream_path: str, mode: str, verify: str, *, fits: bool
) -> None:
    """The end of the path says the former, that of the upstream's the latter; so it does of whose sessions end."""
    rules = {"scope": [{"path_owner": {"parameter": "id"}}], "guard": [{"owner": {"pointer": "/id"}}]}
    method = "PUT" if mode == "change" else "DELETE"
    given = {"path": path, "upstream_path": upstream_path, "methods": [method], "passwords": mode}
    found = told({**given, "access": {"customer": rules}}, customers={"verify": verify})
    assert (("routes", 0, "upstream_path") in [where for where, _ in found]) is not fits
    assert fits or any("a password is kept for the customer at the end of `path`" in what for _, what in found)


def test_an_upstream_says_how_it_speaks() -> None:
    """Over what the file says, and under what a route says; a preset there begins anew."""
    upstreams = {
        "shop": {**UPSTREAMS["shop"], "records": {"list": "/rows"}},
        "orders": {**UPSTREAMS["orders"], "records": {"preset": "drf", "ids": "text"}},
    }
    routes = [
        route(name="a"),
        route(name="b", path="/b", upstream="orders"),
        route(name="c", path="/c", upstream="orders", records={"ids": "either"}),
        route(name="d", path="/d", upstream="orders", records={"preset": "rest"}),
    ]
    written = minimal(upstreams=upstreams, routes=routes, records={"total": "/count"})
    del written["upstream"]
    config = Config.model_validate(written)
    assert [*findings(config)] == []
    forms = [config.form_of(one) for one in config.routes]
    assert [(one.list_at, one.total_at, str(one.ids), one.has_slash) for one in forms] == [
        (("rows",), ("count",), "either", False),
        (("results",), ("count",), "text", True),
        (("results",), ("count",), "either", True),
        ((), None, "either", False),
    ]
    assert [compile_route(config, one).form for one in config.routes] == forms
    assert compile_route(config, config.routes[0]).forms == {"orders": forms[1]}
    assert config.customer_form.form == forms[0]


def test_what_an_upstream_cannot_say_is_a_fault_there() -> None:
    """And only there, though its routes speak so as well."""
    upstreams = {**UPSTREAMS, "orders": {**UPSTREAMS["orders"], "records": {"preset": "rest", "included": True}}}
    found = told({"path": "/b", "upstream": "orders"}, upstreams=upstreams)
    assert [where for where, _ in found] == [("upstreams", "orders", "records", "included")]


def test_passwords_are_described_as_the_customers_are() -> None:
    """Whichever section says it: an upstream's is both routes' and customers'."""
    upstreams = {"shop": {**UPSTREAMS["shop"], "records": {"preset": "rest"}}}
    register = {"methods": ["POST"], "passwords": "register", "access": {"public": "open"}, "path": "/v2/c"}
    assert told(register, upstreams=upstreams) == []
    assert [where for where, _ in told({**register, "records": {"ids": "text"}}, upstreams=upstreams)] == [
        ("routes", 0, "records")
    ]


def test_a_filter_and_a_rule_do_not_write_the_same() -> None:
    """The upstream would take one of the two."""
    rules = {"scope": [{"filter": {"field": "owner"}}], "guard": [{"owner": {"pointer": "/x"}}]}
    given = {"path": "/v2/b/{id}", "upstream_path": "/b?filter=eq(id,{id})", "access": {"customer": rules}}
    assert [where for where, _ in told(given)] == [("routes", 0, "access", "customer", "scope", 0)]


def test_the_name_of_the_nameless_is_taken() -> None:
    """Where there is `upstream` as well."""
    upstream = {"url": "http://up.example", "credential": SENT}
    found = told({}, upstream=upstream, upstreams={"default": UPSTREAMS["shop"]})
    assert (("upstreams", "default"), "this name is taken") in found


def test_records_are_an_upstreams() -> None:
    """A path is told of by where it leads: the same one at another upstream leads to other records."""
    guarded = {"path": "/v2/orders/{id}", "upstream": "orders", "upstream_path": "/o/{id}", "access": OWN}
    opened = {"public": "open", "customer": "open"}
    ((where, what), *more) = told(
        guarded, {"path": "/x/{id}", "upstream": "orders", "upstream_path": "/o/{id}", "access": opened}
    )
    assert (where, [place for place, _ in more]) == (
        ("routes", 1, "access", "public"),
        [("routes", 1, "access", "customer")],
    )
    assert "these records have owners (route r0)" in what
    assert told(guarded, {"path": "/o/{id}", "access": opened}) == []
    assert told(guarded, {"path": "/o/{id}", "upstream": "orders", "access": opened})
    assert told(
        guarded, {"path": "/y/{rest...}", "upstream": "orders", "upstream_path": "/{rest...}", "access": opened}
    )


def test_a_credential_that_is_not_there_cannot_be_lent() -> None:
    """A route that names the weaker one where there is none is a fault of that route."""
    given = minimal(routes=[route(credential="public")])
    ((where, _, hint),) = upstream_findings(Config.model_validate(given))
    assert where == ("routes", 0, "credential")
    assert "public_credential" in hint


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://up.example", "http://up.example"),
        ("http://UP.example/v2", "http://up.example/V2/x"),
        ("HTTP://Up.example:80/", "http://up.example"),
        ("https://up.example", "https://up.example:443/"),
        ("http://up.example", "https://up.example"),
        ("http://up.example./a", "http://up.example/a"),
        ("http://up.example/x/../a", "http://up.example/a/"),
        ("http://up.example/A/b", "http://up.example/a"),
        ("http://up.example:8080", "https://up.example:8080"),
        ("http://[::1]:80/a", "http://[::1]/A"),
    ],
)
def test_one_api_has_one_name(one: str, other: str) -> None:
    """What its records must be held to is known of a name alone."""
    upstreams = {"shop": {"url": one, "credential": SENT}, "cms": {"url": other, "credential": SENT}}
    written = {**minimal(), "upstreams": upstreams}
    del written["upstream"]
    ((where, what, hint),) = upstream_findings(Config.model_validate(written))
    assert where == ("upstreams", "cms", "url")
    assert "another upstream" in what
    assert hint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://up.example/a", "http://up.example/ab"),
        ("http://up.example/a", "http://up.example:8080/a"),
        ("http://up.example/a/b", "http://up.example/a/c/"),
        ("HTTP://up.example:80/a", "http://UP.example/a/b/"),
        ("http://up.example/v2", "http://up.example"),
        ("http://up.example", "http://up.example.evil"),
    ],
)
def test_two_apis_have_two_names(one: str, other: str) -> None:
    """Also on one host, beside each other or one below the other."""
    upstreams = {"shop": {"url": one, "credential": SENT}, "cms": {"url": other, "credential": SENT}}
    written = {**minimal(), "upstreams": upstreams}
    del written["upstream"]
    assert [*upstream_findings(Config.model_validate(written))] == []


@pytest.mark.parametrize("alias", ["http://up.example/a/b", "http://up.example/a", "http://up.example/a/b/c"])
def test_another_name_of_an_api_is_not_another_api(alias: str) -> None:
    """What lies below it has two addresses, and the proof would know of one."""
    shop = {"url": "http://shop.example", "credential": SENT, "link_origins": [alias]}
    written = {**minimal(), "upstreams": {"shop": shop, "cms": {"url": "http://up.example/a/b", "credential": SENT}}}
    del written["upstream"]
    assert [where for where, _, _ in upstream_findings(Config.model_validate(written))] == [("upstreams", "cms", "url")]


GUARDED = {"customer": {"guard": [{"owner": {"pointer": "/owner"}}]}}
OPEN = {"public": "open", "customer": "open"}
NESTED = {
    "shop": {"url": "http://up.example/a", "credential": SENT},
    "orders": {"url": "HTTP://UP.example:80/a/b/", "credential": SENT},
}
BELOW = [
    pytest.param({"path": "/o/{id}"}, {"path": "/b/o/{id}"}, True, id="from above"),
    pytest.param({"path": "/o/{id}"}, {"path": "/b/o"}, True, id="the list from above"),
    pytest.param({"path": "/o/{id}"}, {"path": "/b/o/{id}/x"}, True, id="what lies below from above"),
    pytest.param({"path": "/o/{id}"}, {"path": "/{rest...}"}, True, id="all from above"),
    pytest.param({"path": "/o/{id}"}, {"path": "/x/{id}", "upstream_path": "/b/o/{id}"}, True, id="by another path"),
    pytest.param({"path": "/x/{id}", "upstream_path": "/o/{id}"}, {"path": "/b/o/{id}"}, True, id="of another path"),
    pytest.param({"path": "/o/{id}"}, {"path": "/{x}/o/{id}"}, True, id="by a parameter"),
    pytest.param({"path": "/o/{id}"}, {"path": "/o/{id}/x"}, False, id="elsewhere above"),
    pytest.param({"path": "/o/{id}"}, {"path": "/b/p/{id}"}, False, id="beside it"),
]


@pytest.mark.parametrize(("guarded", "opened", "is_found"), BELOW)
def test_records_of_an_api_below_another_one_are_held_from_both(
    guarded: dict[str, Any], opened: dict[str, Any], *, is_found: bool
) -> None:
    """Whoever says that they have owners, and by whichever address they are opened."""
    below = {"upstream": "orders", **guarded, "access": GUARDED}
    found = told(below, {**opened, "access": OPEN}, upstreams=NESTED)
    assert {where for where, _ in found} == (
        {("routes", 1, "access", "public"), ("routes", 1, "access", "customer")} if is_found else set()
    )
    assert not is_found or "these records have owners (" in found[0][1]


@pytest.mark.parametrize("path", ["/b/o/{id}", "/{x}/o/{id}", "/b/{x}/{id}", "/{x}/{y}/{id}"])
def test_records_that_are_said_to_have_owners_above_have_them_below(path: str) -> None:
    """Also where a parameter stands for what lies between the two."""
    found = told(
        {"path": path, "access": GUARDED}, {"path": "/o/{id}", "upstream": "orders", "access": OPEN}, upstreams=NESTED
    )
    assert ("routes", 1, "access", "public") in {where for where, _ in found}


@pytest.mark.parametrize("url", ["http://o.example", "http://o.example/a/b/"])
def test_what_another_route_takes_is_not_reached(url: str) -> None:
    """Whatever the path is that all of an upstream's begin with; the records that are left are."""
    upstreams = {**UPSTREAMS, "orders": {**UPSTREAMS["orders"], "url": url}}
    paths = ["/x/o", "/x/o/{id}", "/x/o/{id}/{rest...}"]
    own = [{"path": path, "upstream": "orders", "access": GUARDED} for path in paths]
    opened = {"path": "/x/{rest...}", "upstream": "orders", "access": OPEN}
    assert {where[1] for where, _ in told(*own, opened, upstreams=upstreams)} == set()
    assert {where[1] for where, _ in told(own[1], opened, upstreams=upstreams)} == {1}


@pytest.mark.parametrize(("there", "is_found"), [("/v2/customers/{id}", True), ("/v2/customers-old/{id}", False)])
def test_no_link_by_which_owners_are_known_gets_another_path(there: str, *, is_found: bool) -> None:
    """A record may link to another upstream, whose paths clients know by other ones: it would name nobody then."""
    judged = {"customer": {"guard": [{"owner": {"pointer": "/x", "below": "/v2/customers"}}]}}
    renamed = {"path": "/people/{id}", "upstream": "orders", "upstream_path": there, "access": GUARDED}
    found = told({"path": "/v2/a/{id}", "access": judged}, renamed, customers={"path": "/c"})
    assert [where for where, _ in found] == ([("routes", 0, "access", "customer", "guard", 0)] if is_found else [])


def test_customers_of_the_first_upstream_are_held_below_it() -> None:
    """An API in whose place they lie opens nobody's record."""
    opened = {"path": "/users/{id}", "upstream": "orders", "access": OPEN}
    found = told(opened, upstreams=NESTED, customers={"path": "/b/users"})
    assert [what for _, what in found if "customers.path" in what]


def test_a_write_below_a_record_of_the_other_address_is_none_without_a_look() -> None:
    """What stands in the path is known to have an owner."""
    rules = {"scope": [{"body_stamp": {"pointer": "/x"}}], "guard": [{"owner": {"pointer": "/x"}}]}
    write = {"path": "/o/{id}/notes", "upstream": "orders", "methods": ["POST"], "access": {"customer": rules}}
    found = told({"path": "/b/o/{id}", "access": GUARDED}, write, upstreams=NESTED)
    assert any("a write below a record without a check" in what for _, what in found)


def test_customers_are_described_once() -> None:
    """A password would be looked for where it is not, and go on."""
    registers = route(
        name="register",
        path="/customers",
        methods=["POST"],
        passwords="register",
        access={"public": {"scope": [{"body_fields": {"allow": ["email"]}}]}},
    )
    for records, faults in (({"preset": "rest"}, 1), ({}, 0)):
        written = minimal(routes=[registers], customers={"path": "/customers", "records": records})
        found = [*upstream_findings(Config.model_validate(written))]
        assert [where for where, _, _ in found] == [("routes", 0, "records")] * faults
