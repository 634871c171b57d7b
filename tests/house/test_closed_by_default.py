"""Closed unless opened: what nobody named does not exist, and what cannot be decided is refused."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.compile import key_ring, snapshot
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.routing import RouteTable
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.vocab.messages import CallerKind, Plan, Target, Whose
from gateway.vocab.policy import Access, Draft, Route
from gateway.vocab.refusals import Code, Refusal
from tests.config.writing import minimal, route
from tests.gateways import MOLTIN, Site, environment
from tests.guard.judging import inspected

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def neighbours() -> list[str]:
    """Return paths around those of the routing file: shorter, longer, and with a segment changed."""
    found = {"/", "/x", "/admin", "/metrics", "/config", "/live", "/ready"}
    for written in yaml.safe_load(MOLTIN.read_text())["routes"]:
        segments = written["path"].replace("{", "").replace("}", "").replace("...", "")[1:].split("/")
        found.update("/" + "/".join(segments[:length]) for length in range(1, len(segments)))
        found.update("/" + "/".join([*segments, more]) for more in ("x", "relationships"))
        found.update("/" + "/".join([*segments[:at], "other", *segments[at + 1 :]]) for at in range(len(segments)))
        found.add("/" + "/".join(segments).upper())
    return sorted(found)


async def test_every_path_and_method_that_is_not_in_the_file_sends_nothing(site: Site) -> None:
    """Whoever asks, with the strongest bearer: 404 or 405 by the gateway, and the upstream is not asked."""
    table = snapshot(site.config, key_ring(site.config)).routes
    bearer = {"Authorization": f"Bearer {await site.bearer('trusted')}"}
    site.commerce.forget()
    unknown = [
        (method, path)
        for method, path in product(METHODS, neighbours())
        if isinstance(table.match(method, tuple(path[1:].split("/"))), Refusal)
    ]
    assert len(unknown) > 500
    for method, path in unknown:
        answer = await site.call(method, path, headers=bearer)
        expected = (405, "METHOD_NOT_ALLOWED") if "allow" in answer.headers else (404, "ROUTE_UNKNOWN")
        assert (answer.status, answer.code) == expected, f"{method} {path}"
    assert not site.commerce.requests
    assert not site.commerce.unfinished


def test_a_table_without_routes_knows_no_path() -> None:
    """There is no default route."""
    assert RouteTable([]).match("GET", ("v2",)) == Refusal(Code.ROUTE_UNKNOWN)
    assert RouteTable([]).match("GET", ()) == Refusal(Code.ROUTE_UNKNOWN)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"routes": [route(access={})]}, id="a route without a caller"),
        pytest.param({"routes": [route(access={"customer": {}})]}, id="a caller without a rule"),
        pytest.param({"routes": [route(access={"customer": None})]}, id="a caller of null"),
        pytest.param({"routes": [{k: v for k, v in route().items() if k != "access"}]}, id="a route without access"),
        pytest.param({"routes": [route(methods=[])]}, id="a route without a method"),
        pytest.param({"routes": []}, id="no route"),
        pytest.param({"surprise": 1}, id="an unknown key"),
        pytest.param({"routes": [route(surprise=1)]}, id="an unknown key of a route"),
        pytest.param({"routes": [route(access={"customer": {"scope": [{"surprise": {}}]}})]}, id="an unknown rule"),
        pytest.param({"routes": [route(access={"everybody": "open"})]}, id="an unknown caller"),
        pytest.param({"routes": [route(access={"public": "opne"})]}, id="a misspelled `open`"),
        pytest.param({"clients": {}}, id="no client"),
        pytest.param({"tokens": {"issuer": "i", "audience": "a", "keys": []}}, id="no key"),
        pytest.param({"tokens": {"issuer": "", "audience": "a", "keys": ["${env:KEY}"]}}, id="D3.5: no issuer"),
        pytest.param({"tokens": {"issuer": "i", "keys": ["${env:KEY}"]}}, id="D3.5: no audience"),
        pytest.param(
            {"tokens": {"issuer": "i", "audience": "a", "keys": ["${env:UNSET}"]}}, id="D8.5: a missing secret"
        ),
        pytest.param(
            {"tokens": {"issuer": "i", "audience": "a", "keys": ["${file:nowhere}"]}}, id="D8.5: a missing file"
        ),
        pytest.param({"clients": {"client_credentials": [{"id": "s", "secret": ""}]}}, id="an empty secret"),
        pytest.param({"store": {"url": "memory://"}}, id="an unknown store"),
    ],
)
def test_a_file_that_leaves_something_open_is_not_loaded(tmp_path: Path, change: dict[str, Any]) -> None:
    """Refuse, say where: each fault has a line of the file."""
    path = tmp_path / "gateway.yaml"
    good = minimal()
    good["upstream"]["credential"]["client_secret"] = "${env:SECRET}"
    good["clients"]["client_credentials"][0]["secret"] = "${env:SECRET}"
    (key,) = good["tokens"].pop("keys")
    good["tokens"]["keys"] = ["${env:KEY}"]
    environ = {"SECRET": "s3cr3t", "KEY": key}
    path.write_text(yaml.safe_dump(good))
    load(path, environ)
    path.write_text(yaml.safe_dump({**good, **change}))
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    assert all(fault.line >= 1 for fault in caught.value.faults)


def test_no_route_of_the_shipped_file_is_open_to_customers_records() -> None:
    """Whatever lies under customers or orders is open to trusted callers at most; for others it has rules."""
    for written in yaml.safe_load(MOLTIN.read_text())["routes"]:
        if written["path"].startswith(("/v2/customers", "/v2/orders")):
            assert written["access"].get("public", {}) != "open", written["name"]
            assert written["access"].get("customer", {}) != "open", written["name"]


def test_a_caller_without_access_is_refused(tmp_path: Path) -> None:
    """A route that does not name a caller has no access for it to find."""
    config = load(MOLTIN, environment(tmp_path, "http://up.example"))
    routes = {one.name: one for one in snapshot(config, key_ring(config)).routes.routes}
    assert CallerKind.PUBLIC not in routes["orders-list"].access
    assert set(Route("r", "/r", frozenset({"GET"}), {}).access) == set()


# Rules that do not know for whom they decide

WITHOUT_CUSTOMER = {
    "body_fields": "compares names of fields and knows no owner",
    "parent_owner": "with accepts: guest it lets only records without any customer pass",
    "redact": "only removes",
    "identity": "compares with the path, whose owner another rule has proven",
    "belongs_to": "compares with the path, whose owner another rule has proven",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "filter": {"field": "customer_id"},
    "path_owner": {},
    "parent_owner": {"path": "/v2/orders/{id}", "pointer": "/customer_id"},
    "body_fields": {"allow": ["name"]},
    "body_stamp": {"pointer": "/data/customer"},
    "owner": {"pointer": "/id"},
    "identity": {"parameter": "id"},
    "belongs_to": {"parameter": "id", "pointer": "/order_id"},
    "redact": {"pointers": ["/note"]},
}


@pytest.mark.parametrize("name", sorted(SCOPE_RULES.keys() - {"body_fields"}))
def test_a_scoping_rule_without_a_customer_refuses(name: str) -> None:
    """A rule without a claim to decide on says no, whatever the request."""
    rule = SCOPE_RULES[name].model_validate(OPTIONS[name])
    for parameter in ("", "None", "null", "c1"):
        draft = Draft(Target("/x", ("x",)), (), {"data": {}})
        assert isinstance(rule.apply(draft, Whose(None, {"id": parameter})), Refusal)


@pytest.mark.parametrize("name", sorted(GUARD_RULES.keys() - WITHOUT_CUSTOMER.keys()))
def test_a_guard_without_a_customer_refuses(name: str) -> None:
    """Nobody owns nothing: not even records that name no owner, or None."""
    rule = GUARD_RULES[name].model_validate(OPTIONS[name])
    for record in ({}, {"id": None}, {"id": "None"}, {"id": "c1"}):
        for data in (record, [record]):
            assert isinstance(inspected(rule, {"data": data}, Whose(None), Plan("GET", "/x")), Refusal)


def test_every_rule_is_judged_here() -> None:
    """A new rule says what it does without a customer."""
    assert OPTIONS.keys() == SCOPE_RULES.keys() | GUARD_RULES.keys()


def test_access_without_rules_is_open_only_by_that_word() -> None:
    """`Access()` is what the compiler makes of `open` and of nothing else; the checks refuse empty rules before."""
    assert Access().is_open
