"""Where a record may name its owner besides the one place that must."""

from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from gateway.wire.owners import PlainRecords, names_another
from gateway.wire.pointer import owner_at

PLACES = (("customer_id",), ("customer",), ("relationships", "customers"))
BELOW = "/v2/customers"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"customer_id": None, "customer": {"name": "Ron"}},
        {"customer_id": "c1", "customer": {"data": {"id": "c1"}}},
        {"relationships": {"customers": {"data": [{"id": "c1"}, {"id": "c1"}]}}},
        {"links": {"self": "https://gw/v2/customers/c1/addresses/a1"}},
        {"links": {"self": {"href": "/V2/customers/C1"}}},
        {"links": {"self": "/v2/addresses/a1"}},
        {"links": []},
        "c2",
        None,
    ],
)
def test_who_names_nobody_else(record: Any) -> None:
    """Null and nothing name nobody; the own id may stand anywhere."""
    assert not names_another(record, "c1", PLACES, BELOW)


@pytest.mark.parametrize(
    "record",
    [
        {"customer_id": "c2"},
        {"customer_id": True},
        {"customer_id": 1.5},
        {"customer": "c2"},
        {"customer": {"id": "c2"}},
        {"customer": {"data": {"type": "customer", "id": "c2"}}},
        {"relationships": {"customers": {"data": [{"id": "c1"}, {"id": "c2"}]}}},
        {"links": {"self": "/v2/customers/c2"}},
        {"links": {"self": {"href": "/v2/customers/c2/addresses/a1"}}},
        {"links": {"self": "/V2//Customers/c2"}},
        {"links": {"self": "/v2/customers/c1/v2/customers/c2"}},
    ],
)
def test_who_names_somebody_else(record: Any) -> None:
    """One place is enough, in any spelling of a link."""
    assert names_another(record, "c1", PLACES, BELOW)


def test_without_an_owner_everybody_is_another() -> None:
    """A guest's record names nobody at all."""
    assert names_another({"customer_id": "c1"}, None, PLACES, BELOW)
    assert names_another({"links": {"self": "/v2/customers/c1"}}, None, PLACES, BELOW)
    assert not names_another({"customer": {"name": "Jerry"}}, None, PLACES, BELOW)


def test_deep_nesting_is_no_danger() -> None:
    """Whoever writes the answer may be hostile."""
    value: Any = "c2"
    for _ in range(100_000):
        value = {"data": value}
    assert names_another({"customer": value}, "c1", PLACES, None)


POINTER = ("relationships", "customer", "data", "id")
WORDS = st.sampled_from(["id", "data", "customer", "customers", "relationships", "customer_id"])
PATHS = st.lists(WORDS, min_size=1, max_size=4).map(tuple)
VALUES = st.recursive(
    st.sampled_from([None, "c1", "c1", "c2", "", 1, True, 1.5]),
    lambda values: st.one_of(st.dictionaries(WORDS, values, max_size=3), st.lists(values, max_size=2)),
    max_leaves=5,
)


def written(record: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a record that holds a value at a path as well."""
    inner = record.get(path[0])
    below = written(inner if isinstance(inner, dict) else {}, path[1:], value) if len(path) > 1 else value
    return {**record, path[0]: below}


@given(
    PATHS,
    st.lists(PATHS, max_size=4),
    st.lists(st.tuples(PATHS, VALUES), max_size=3),
    st.sampled_from(["first", "last"]),
    st.sampled_from(["c1", 1]),
)
@settings(max_examples=1500, derandomize=True, deadline=None)
@example(POINTER, [("relationships", "customer")], [(("relationships", "customer", "id"), "c2")], "first", "c1")
@example(POINTER, [("relationships", "customer")], [((*POINTER[:3], "data"), "c2")], "first", "c1")
@example(POINTER, [("relationships",)], [(("relationships", "data", "id"), "c2")], "first", "c1")
@example(POINTER, [("relationships", "customers")], [(("relationships", "customers"), ["c2"])], "first", "c1")
@example(POINTER, [("customer", "id")], [(("customer",), {"id": "c2"})], "first", "c1")
@example(("id",), [("data", "id"), ("data",)], [(("data",), {"id": "c1", "data": {"id": "c2"}})], "first", "c1")
def test_plainly_own_is_own(
    pointer: tuple[str, ...],
    places: list[tuple[str, ...]],
    beside: list[tuple[tuple[str, ...], Any]],
    written_when: str,
    own: str | int,
) -> None:
    """A record that passes at a glance also passes when each of its places is read on its own."""
    record: dict[str, Any] = {}
    owner = (pointer, own)
    for path, value in [owner, *beside] if written_when == "first" else [*beside, owner]:
        record = written(record, path, value)
    plain = PlainRecords(pointer, tuple(places)).are_all(str(own), [record])
    event("plain" if plain else "to be read")
    if plain:
        assert owner_at(record, pointer) == str(own)
        assert not names_another(record, str(own), tuple(places), None)


def test_what_the_api_sends_is_plain() -> None:
    """The records that lists consist of need no second look; one that is not plain says so for all."""
    plain = PlainRecords(POINTER, (*PLACES, ("relationships", "customer")))
    own = {"customer": {"name": "Ron"}, "relationships": {"customer": {"data": {"type": "customer", "id": "c1"}}}}
    assert plain.are_all("c1", [own, {**own, "customer_id": None}])
    assert not plain.are_all("c1", [own, {**own, "customer_id": "c2"}])
    assert not plain.are_all("c2", [own])
    assert not plain.are_all("", [written(own, POINTER, "")])
    # Back ends that count: text and digits side by side, and no other number.
    counted = PlainRecords(("owner",), ())
    assert counted.are_all("17", [{"owner": 17}, {"owner": "17"}])
    for other in (18, 17.0, -17, True, None, "017"):
        assert not counted.are_all("17", [{"owner": 17}, {"owner": other}])


def test_names_that_only_json_knows_are_read_one_by_one() -> None:
    """A pointer through a member with a quotation mark works, if slower."""
    assert not PlainRecords(('a"b',), ()).are_all("c1", [{'a"b': "c1"}])
    assert PlainRecords(("",), ()).are_all("c1", [{"": "c1"}])
