"""Where a route's requests go at its upstream: how it is written, and what comes of the values of a path."""

import pytest

from gateway.config.upstream_path import parse_upstream_path
from gateway.wire.target import serialise

WRITTEN = [
    pytest.param("/api/orders/{oid}/", "/api/orders/7/", id="a slash at the end"),
    pytest.param("/orders?id=eq.{oid}", "/orders?id=eq.7", id="postgrest"),
    pytest.param("/orders?filter=eq(id,{oid})", "/orders?filter=eq(id,7)", id="epcc"),
    pytest.param("/orders?filter[id]={oid}", "/orders?filter[id]=7", id="jsonapi"),
    pytest.param("/orders?id={oid}", "/orders?id=7", id="query"),
    pytest.param("/{oid}/orders?place=eq.{place}", "/7/orders?place=eq.b", id="both"),
    pytest.param("/all/{rest...}", "/all/x/y", id="a tail"),
]


@pytest.mark.parametrize(("text", "expected"), WRITTEN)
def test_values_are_put_in(text: str, expected: str) -> None:
    """In segments, and in filters as their dialect writes them."""
    assert serialise(*parse_upstream_path(text)({"oid": "7", "place": "b", "rest": "x/y"})) == expected


HOSTILE = [
    pytest.param("/orders/{oid}/", "7/../8?x#y", "/orders/7%2F..%2F8%3Fx%23y/", id="a path"),
    pytest.param("/orders?id=eq.{oid}", "7&id=eq.8", "/orders?id=eq.7%26id%3Deq.8", id="another parameter"),
    pytest.param("/orders?filter=eq(id,{oid})", '7)|eq(id,"8', "/orders?filter=eq(id,'7)|eq(id,\"8')", id="a filter"),
]


@pytest.mark.parametrize(("text", "value", "expected"), HOSTILE)
def test_a_value_is_a_literal(text: str, value: str, expected: str) -> None:
    """Nothing in it is a path, a parameter or a condition."""
    path, query = parse_upstream_path(text)({"oid": value})
    assert serialise(path, query).replace("%22", '"').replace("%5C", "\\").replace("%7C", "|") == expected


@pytest.mark.parametrize(
    "text",
    [
        "orders/{oid}",
        "/orders//x",
        "/orders?",
        "/orders?limit=1",
        "/orders?id=gt.{oid}",
        "/orders?a=x{oid}&",
        "/{rest...}/",
    ],
)
def test_what_cannot_be_is_a_fault(text: str) -> None:
    """Behind the question mark stand filters alone, which pick one record."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_upstream_path(text)


def test_it_says_which_record_it_names() -> None:
    """A filter picks a record out of a collection as the last segment of a path does."""
    sends_to = parse_upstream_path("/orders?id=eq.{oid}")
    assert [part.text for part in sends_to.template] == ["orders", "oid"]
    assert (sends_to.record, *sends_to.names) == ("oid", "id")
    assert parse_upstream_path("/orders/{oid}/items/").record == ""
