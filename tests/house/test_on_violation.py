"""What happens after an answer that would have broken isolation: refused, counted, told; the route can be closed."""

import json
from pathlib import Path

import pytest

from gateway.demo.data import LESLIE, RON, identity
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Site
from tests.gateways import site as run_site

CLOSING = """
extends: moltin.yaml
routes:
  - name: orders-list
    path: /v2/orders
    methods: [GET]
    on_violation: close_route
    access:
      customer:
        scope:
          - filter: {field: customer_id}
        guard:
          - owner: {pointer: /relationships/customer/data/id}
  - name: order
    path: /v2/orders/{oid}
    methods: [GET]
    on_violation: close_route
    access:
      customer:
        guard:
          - owner: {pointer: /relationships/customer/data/id}
"""
CHANGES = """
  - name: order-change
    path: /v2/orders/{oid}
    methods: [PUT]
    on_violation: close_route
    access:
      customer:
        scope:
          - parent_owner: {pointer: /relationships/customer/data/id}
          - body_fields: {allow: [type, name]}
        guard:
          - owner: {pointer: /relationships/customer/data/id}
"""
OWN, OTHER = (identity("order", f"{RON.email}:{number}") for number in (0, 1))
FOREIGN = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"


def violations(metrics: str, route: str) -> str | None:
    """Return the count of a route's violations."""
    name = f'gateway_isolation_violations_total{{route="{route}"}} '
    return next((line.removeprefix(name) for line in metrics.splitlines() if line.startswith(name)), None)


async def test_a_violation_is_refused_counted_and_told_without_the_record(site: Site) -> None:
    """One event, and nothing of what was withheld, in the log or anywhere."""
    site.commerce.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"))
    for _ in range(2):
        answer = await site.customer(RON.email, "GET", "/v2/orders")
        assert (answer.status, answer.code) == (502, "GUARD_VIOLATION")
    assert violations(await site.metrics(), "orders-list") == "2.0"
    told = [line for line in site.log_lines() if line["event"] == "guard_violated"]
    assert [line["route"] for line in told] == ["orders-list"] * 2
    assert LESLIE.canary not in site.log.getvalue()
    # The route stays open: this upstream may be right again with its next answer.
    site.commerce.forget()
    assert (await site.customer(RON.email, "GET", "/v2/orders")).status == 200


async def test_a_route_can_be_closed_by_a_violation(upstream: Commerce, tmp_path: Path) -> None:
    """From then on it answers 503 and asks nobody; other routes go on."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        assert (await site.customer(RON.email, "GET", "/v2/orders")).status == 200
        site.commerce.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"), times=1)
        assert (await site.customer(RON.email, "GET", "/v2/orders")).code == "GUARD_VIOLATION"
        site.commerce.forget()
        for _ in range(2):
            answer = await site.customer(RON.email, "GET", "/v2/orders")
            assert (answer.status, answer.code) == (503, "ROUTE_CLOSED")
        assert not site.commerce.requests
        assert (await site.customer(RON.email, "GET", FOREIGN)).status == 404
        assert 'gateway_route_closed{route="orders-list"} 1.0' in await site.metrics()
        assert [line["route"] for line in site.log_lines() if line["event"] == "route_closed"] == ["orders-list"]


@pytest.mark.parametrize("target", [FOREIGN, "/v2/orders/nowhere"])
async def test_a_guess_closes_nothing(upstream: Commerce, tmp_path: Path, target: str) -> None:
    """A client that asks for somebody else's record gets 404; the upstream is not at fault."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        for _ in range(2):
            assert (await site.customer(RON.email, "GET", target)).code == "RECORD_NOT_FOUND"
        assert violations(await site.metrics(), "order") is None


@pytest.mark.parametrize(("answered", "status"), [(OWN, 404), (OTHER, 503)], ids=["the same by case", "another"])
async def test_another_spelling_closes_nothing(upstream: Commerce, tmp_path: Path, answered: str, status: int) -> None:
    """A UUID in capitals is the same to a database: it is no id here, and no client closes a route by it."""
    record = {"id": answered, "type": "order", "relationships": {"customer": {"data": {"id": RON.id}}}}
    body = json.dumps({"data": record}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with run_site(upstream, tmp_path, config=CLOSING + CHANGES) as site:
        await site.token(RON.email)
        site.commerce.script(at(f"/v2/orders/{OWN.upper()}", "GET"), head + body)
        change = {"data": {"type": "order", "name": "stolen"}}
        answer = await site.customer(RON.email, "PUT", f"/v2/orders/{OWN.upper()}", json=change)
        assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
        again = await site.customer(RON.email, "PUT", f"/v2/orders/{OWN.upper()}", json=change)
        assert again.status == status
        assert "PUT" not in {request.method for request in site.commerce.requests}
