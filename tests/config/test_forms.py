"""What must fit together in forms and in the rules that go by them; what an operator reads is in the golden cases."""

from typing import Any

import pytest

from gateway.config.forms import form_findings
from gateway.config.model import Config
from tests.config.writing import minimal, route


def found(**sections: Any) -> list[str]:
    """Return where the faults of a file stand, as dotted places."""
    return [".".join(map(str, where)) for where, _, _ in form_findings(Config.model_validate(minimal(**sections)))]


@pytest.mark.parametrize("preset", ["moltin", "jsonapi", "rest", "drf", "postgrest"])
def test_every_preset_fits(preset: str) -> None:
    """A file may say no more than its name."""
    assert found(records={"preset": preset}) == []


@pytest.mark.parametrize(
    ("records", "where"),
    [
        ({"preset": "rest", "included": True}, ["records.included"]),
        ({"preset": "drf", "included": True}, ["records.included"]),
        ({"preset": "rest", "links": "/links"}, ["records.links"]),
        ({"preset": "rest", "list": "/items", "total": "/count", "links": "/links"}, []),
        ({"list": "/data/items", "total": "/data/items/count"}, ["records.total"]),
        ({"preset": "rest", "list": "/items", "record": "/0"}, ["records.record"]),
    ],
)
def test_a_form_that_cannot_be(records: dict[str, Any], where: list[str]) -> None:
    """In the section of the file, and in a route's own."""
    assert found(records=records) == where
    assert found(routes=[route(records=records)]) == [f"routes.0.{place}" for place in where]


def test_a_slash_at_the_end_of_a_path_is_the_apis_to_have() -> None:
    """Where it has none, one would be lost without a word."""
    assert found(routes=[route(path="/orders/")]) == ["routes.0.path"]
    assert found(routes=[route(path="/orders/")], records={"trailing_slash": True}) == []


@pytest.mark.parametrize(
    ("path", "methods", "scope", "where"),
    [
        ("/orders", ["GET", "POST"], [], []),
        ("/orders", ["PATCH"], [], ["routes.0.methods"]),
        ("/orders/{rest...}", ["DELETE"], [], ["routes.0.methods"]),
        ("/orders/{oid}", ["GET"], [{"path_owner": {"parameter": "oid"}}], []),
        ("/orders/{oid}", ["DELETE"], [{"path_owner": {"parameter": "oid"}}], ["routes.0.access.customer"]),
        ("/orders/{oid}", ["DELETE"], [{"filter": {"field": "customer_id"}}], []),
    ],
)
def test_a_write_by_filters_names_the_record_and_its_owner(
    path: str, methods: list[str], scope: list[Any], where: list[str]
) -> None:
    """One filter left out would change the whole table, the other anybody's record."""
    access = {"customer": {"scope": scope}, "trusted": "open"}
    assert found(routes=[route(path=path, methods=methods, access=access)], records={"preset": "postgrest"}) == where


@pytest.mark.parametrize(
    ("shape", "fits"), [("scalar", False), ("references", False), ("object", True), ("reference", True)]
)
def test_a_body_is_one_object(shape: str, *, fits: bool) -> None:
    """Nothing else can stand in its place."""
    access = {"customer": {"scope": [{"body_stamp": {"pointer": "", "shape": shape}}]}}
    where = ["routes.0.access.customer.scope.0"]
    assert found(routes=[route(methods=["POST"], access=access)]) == ([] if fits else where)
