"""Where a plan is sent at its upstream."""

import pytest

from gateway.config.upstream_path import parse_upstream_path
from gateway.vocab.messages import Plan, Query
from gateway.wire.api import address

SENT = [
    pytest.param(None, (), None, "/v2/orders/7", id="to its own path"),
    pytest.param(None, (("a", "b c"),), None, "/v2/orders/7?a=b%20c", id="with its query"),
    pytest.param(None, (), "/v2/orders/%37?x", "/v2/orders/%37?x", id="as it came"),
    pytest.param("/o/{oid}/", (("a", "b c"),), None, "/o/7/?a=b%20c", id="to another path"),
    pytest.param(
        "/o/{oid}/", (), "/v2/orders/%37?a=%62&c", "/o/7/?a=%62&c", id="to another path, the query as it came"
    ),
    pytest.param("/o?id=eq.{oid}", (), None, "/o?id=eq.7", id="with a filter"),
    pytest.param("/o?id=eq.{oid}", (("a", "b"),), None, "/o?a=b&id=eq.7", id="with a filter behind its query"),
]


@pytest.mark.parametrize(("there", "query", "sent", "expected"), SENT)
def test_an_address_is_the_upstreams(there: str | None, query: Query, sent: str | None, expected: str) -> None:
    """Its path with the values of the public one, and the query that the plan has."""
    sends_to = None if there is None else parse_upstream_path(there)
    located = None if sends_to is None else sends_to({"oid": "7"})
    assert address(Plan("GET", "/v2/orders/7", query, query, there=located), sent) == expected
