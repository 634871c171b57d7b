"""What another configuration changes, found by asking both."""

from typing import Any

import pytest

from gateway.config.change import compare, needs_restart
from gateway.config.model import Config
from gateway.wiring import now
from tests.config.writing import key, minimal, route

OWNER = {"owner": {"pointer": "/customer_id"}}
ORDERS = route(
    name="orders",
    path="/v2/orders",
    query=["sort"],
    access={"customer": {"scope": [{"filter": {"field": "customer_id"}}], "guard": [OWNER]}, "trusted": "open"},
)
ORDER = route(name="order", path="/v2/orders/{oid}", access={"customer": {"guard": [OWNER]}})
PROFILE = route(
    name="profile",
    path="/v2/customers/{id}",
    methods=["PUT"],
    access={"customer": {"scope": [{"path_owner": {}}, {"body_fields": {"allow": ["name", "address/city"]}}]}},
)


def config(*routes: dict[str, Any], **sections: Any) -> Config:
    """Read a file with these routes."""
    return Config.model_validate(minimal(routes=[*(routes or (ORDERS, ORDER, PROFILE))], **sections))


def changed(after: Config, before: Config | None = None) -> list[str]:
    """Return what is told of a change, without the sums."""
    return [*compare(before or config(), after, now()).lines()][1:]


def rules(model: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Return a route with other rules for customers."""
    return {**model, "access": {**model["access"], "customer": {**model["access"]["customer"], **keys}}}


def test_nothing_changes() -> None:
    """Every method of every path, for each kind of caller: the gateway's own paths are among them."""
    found = compare(config(), config(), now())
    assert found.is_empty
    assert found.summary() == "36 unchanged, 0 differ, 0 new, 0 gone; 0 settings"


def test_another_filter_is_seen_in_the_plan() -> None:
    """The sentence names route and caller, and what is asked before and after."""
    other = rules(ORDERS, scope=[{"filter": {"field": "owner"}}])
    found = compare(config(), config(other, ORDER, PROFILE), now())
    assert found.summary() == "35 unchanged, 1 differs, 0 new, 0 gone; 0 settings"
    (line,) = [*found.lines()][1:]
    assert line == (
        "differs: orders, customer, GET /v2/orders: asks: GET /v2/orders?filter=eq(customer_id,CUSTOMER) -> GET"
        ' /v2/orders?filter=eq(owner,CUSTOMER); filter: {"field": "customer_id"} -> {"field": "owner"}'
    )


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (
            (rules(ORDERS, guard=[{"owner": {"pointer": "/owner"}}]), ORDER, PROFILE),
            'orders, customer, GET /v2/orders: owner: {"pointer": "/customer_id"} -> {"pointer": "/owner"}',
        ),
        (
            ({**ORDERS, "query": ["sort", "page"]}, ORDER, PROFILE),
            "orders, customer, GET /v2/orders: /v2/orders?page=1: 400 QUERY_NOT_ALLOWED -> goes upstream",
        ),
        (
            ({**ORDERS, "access": {"customer": ORDERS["access"]["customer"]}}, ORDER, PROFILE),
            "orders, trusted, GET /v2/orders: /v2/orders: goes upstream -> 403 ACCESS_DENIED",
        ),
        (
            ({**ORDERS, "limits": {"answer": "1MiB"}}, ORDER, PROFILE),
            "orders, customer, GET /v2/orders: answer_limit: 8388608 -> 1048576",
        ),
        (
            (
                ORDERS,
                ORDER,
                rules(PROFILE, scope=[{"path_owner": {}}, {"body_fields": {"allow": ["name", "address/zip"]}}]),
            ),
            (
                'profile, customer, PUT /v2/customers/{id}: body_fields: {"allow": ["name", "address/city"]} ->'
                ' {"allow": ["name", "address/zip"]}; /v2/customers/CUSTOMER {"data": {"address": {"city": "1"}}}: goes'
                ' upstream -> 422 BODY_FIELD_UNKNOWN; /v2/customers/CUSTOMER {"data": {"address": {"zip": "1"}}}: 422'
                " BODY_FIELD_UNKNOWN -> goes upstream"
            ),
        ),
        (
            (ORDERS, ORDER, rules(PROFILE, scope=PROFILE["access"]["customer"]["scope"][1:])),
            "profile, customer, PUT /v2/customers/{id}: path_owner: {} -> -; /v2/customers/RECORD: 404",
        ),
    ],
    ids=["guard", "query", "access", "limit", "body", "path"],
)
def test_what_a_caller_may_do_is_another_thing(after: tuple[dict[str, Any], ...], says: str) -> None:
    """Where a request fares otherwise that request is named, where only a rule is another one the rule."""
    assert f"differs: {says}" in "\n".join(changed(config(*after)))


def test_a_route_that_is_new_and_one_that_is_gone() -> None:
    """What was there only before, or only after, is told for each kind of caller."""
    assert changed(config(ORDERS, PROFILE)) == [
        "gone: order, public, GET /v2/orders/{oid}: 403 ACCESS_DENIED -> 404 ROUTE_UNKNOWN",
        "gone: order, customer, GET /v2/orders/{oid}: goes upstream -> 404 ROUTE_UNKNOWN",
        "gone: order, trusted, GET /v2/orders/{oid}: 403 ACCESS_DENIED -> 404 ROUTE_UNKNOWN",
    ]
    (line, *_) = changed(config(), config(ORDERS, PROFILE))
    assert line == "new: order, public, GET /v2/orders/{oid}: 404 ROUTE_UNKNOWN -> 403 ACCESS_DENIED"


def test_a_route_may_get_another_name_and_its_parameters_others() -> None:
    """The place is the same: only the name differs."""
    assert changed(config(ORDERS, {**ORDER, "name": "one", "path": "/v2/orders/{number}"}, PROFILE)) == [
        "differs: one, customer, GET /v2/orders/{number}: route: order -> one"
    ]


def test_settings_that_differ_are_shown_without_secrets() -> None:
    """A secret is only said to be another one."""
    tokens = {"issuer": "gateway", "audience": "shop", "keys": [key("another")]}
    assert changed(config(tokens=tokens, cors={"origins": ["https://app.example"]})) == [
        "setting: tokens.keys: *** -> ***",
        'setting: cors.origins: [] -> ["https://app.example"]',
    ]


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({"store": {"url": "sqlite:////tmp/other.db"}}, "store.url"),
        ({"store": {"url": "sqlite:////tmp/gateway.db", "migrate": "never"}}, "store.migrate"),
        ({"customers": {"verify": "upstream"}}, "customers.verify"),
        ({"customers": {"hashing": {"workers": 2}}}, "customers.hashing.workers"),
        ({"server": {"drain": "1s"}}, "server.drain"),
        ({"server": {"heartbeat": "1s"}}, "server.heartbeat"),
    ],
    ids=str,
)
def test_what_a_running_gateway_keeps(section: dict[str, Any], name: str) -> None:
    """It is named, and other settings are not."""
    after = config(**section, cors={"origins": ["https://app.example"]})
    assert needs_restart(config(), after) == compare(config(), after, now()).restart == (name,)
