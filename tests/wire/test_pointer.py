"""JSON pointers, and the reading of an owner in every shape an upstream may send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.wire.pointer import MISSING, Pointer, Reading, is_respelled, owner_at, resolve, split

ORDER = "/relationships/customer/data/id"


@pytest.mark.parametrize(
    ("pointer", "tokens"),
    [
        ("", ()),
        ("/id", ("id",)),
        ("/a/b", ("a", "b")),
        ("/", ("",)),
        ("/a~1b/c~0d", ("a/b", "c~d")),
        ("/~01", ("~1",)),
    ],
)
def test_a_pointer_is_split_as_rfc_6901_says(pointer: str, tokens: tuple[str, ...]) -> None:
    """`~1` is a slash and `~0` a tilde, in this order."""
    assert split(pointer) == tokens


@pytest.mark.parametrize("text", ["id", "a/b", " /id", "$.id"])
def test_what_is_no_pointer_says_what_to_write(text: str) -> None:
    """An operator reads how a pointer begins."""
    with pytest.raises(ValueError, match="begins with a slash, such as /data/id"):
        split(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("customer.id", "begins with a slash, such as /data/id; did you mean /customer/id?"),
        ("customer/id", "begins with a slash, such as /data/id; did you mean /customer/id?"),
        ("", "begins with a slash, such as /data/id"),
        ("/", "has a name after each slash, such as /data/id"),
        ("/customer/", "has a name after each slash, such as /data/id; did you mean /customer?"),
        ("/customer//id", "has a name after each slash, such as /data/id; did you mean /customer/id?"),
        ("/a~b", "~ is written ~0, and / in a name is written ~1; did you mean /a~0b?"),
        ("/a~", "~ is written ~0, and / in a name is written ~1; did you mean /a~0?"),
    ],
)
def test_an_option_that_is_no_pointer_to_a_member_says_why(text: str, reason: str) -> None:
    """The reason is the grammar's own (RFC 6901 section 3), and what was probably meant stands behind it."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter[str](Pointer).validate_python(text)
    assert caught.value.errors()[0]["msg"].endswith(reason)


@pytest.mark.parametrize("text", ["/id", "/a~1b/~0", "/a.b", "/0", "/ "])
def test_a_pointer_to_a_member_is_an_option(text: str) -> None:
    """Names may hold anything, a slash and a tilde in their escapes."""
    assert TypeAdapter[str](Pointer).validate_python(text) == text


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": {"b": 1}}, 1),
        ({"a": {"b": None}}, None),
        ({"a": {}}, MISSING),
        ({"a": None}, MISSING),
        ({"a": [{"b": 1}]}, MISSING),
        ([], MISSING),
        ("text", MISSING),
    ],
)
def test_a_pointer_leads_through_objects_only(document: Any, expected: Any) -> None:
    """Arrays are not entered: an owner is one, not many."""
    assert resolve(document, ("a", "b")) == expected
    assert resolve(document, ()) == document


def order(customer: Any) -> dict[str, Any]:
    """Write an order with this relationship."""
    return {"id": "o1", "relationships": {"items": {}, "customer": customer}}


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        pytest.param(order({"data": {"type": "customer", "id": "c1"}}), "c1", id="an owner"),
        pytest.param(order({"data": {"id": 7}}), "7", id="a number, as many back ends count"),
        pytest.param(order({"data": {"id": 0}}), "0", id="the number nought"),
        pytest.param({"id": "o1"}, Reading.NOBODY, id="no relationships: a guest's"),
        pytest.param({"id": "o1", "relationships": {}}, Reading.NOBODY, id="no relationship: a guest's"),
        pytest.param({"id": "o1", "relationships": None}, Reading.NOBODY, id="relationships null: a guest's"),
        pytest.param(order(None), Reading.NOBODY, id="relationship null: a guest's"),
        pytest.param(order({"data": None}), Reading.NOBODY, id="data null: a guest's, as JSON:API says"),
        pytest.param(order({"data": {"id": None}}), Reading.NOBODY, id="id null: a guest's"),
        pytest.param(order({}), Reading.UNREADABLE, id="a relationship that does not say whose"),
        pytest.param(order({"links": {"related": "/x"}}), Reading.UNREADABLE, id="a relationship with links only"),
        pytest.param(order({"data": {}}), Reading.NOBODY, id="data without members"),
        pytest.param(order({"data": {"type": "customer"}}), Reading.UNREADABLE, id="data with a type only"),
        pytest.param(order({"data": []}), Reading.NOBODY, id="data without members, in PHP"),
        pytest.param(order([]), Reading.NOBODY, id="a relationship without members, in PHP"),
        pytest.param(order([[]]), Reading.UNREADABLE, id="a list that holds an empty one"),
        pytest.param(order({"data": [{}]}), Reading.UNREADABLE, id="a list that holds an empty object"),
        pytest.param(order({"data": {"id": []}}), Reading.UNREADABLE, id="id an empty list"),
        pytest.param(order({"data": {"id": {}}}), Reading.UNREADABLE, id="id an empty object"),
        pytest.param(order({"data": [{"id": "c1"}]}), Reading.UNREADABLE, id="data a list"),
        pytest.param(order({"data": "c1"}), Reading.UNREADABLE, id="data a text"),
        pytest.param(order({"data": {"id": ""}}), Reading.UNREADABLE, id="id empty"),
        pytest.param(order({"data": {"id": True}}), Reading.UNREADABLE, id="id true, which Python counts as 1"),
        pytest.param(order({"data": {"id": 1.0}}), Reading.UNREADABLE, id="id a fraction"),
        pytest.param(order({"data": {"id": ["c1"]}}), Reading.UNREADABLE, id="id a list"),
        pytest.param(order({"data": {"id": {"id": "c1"}}}), Reading.UNREADABLE, id="id an object"),
        pytest.param(order("c1"), Reading.UNREADABLE, id="relationship a text"),
        pytest.param({"relationships": []}, Reading.NOBODY, id="relationships without members, in PHP"),
        pytest.param({"relationships": [{"customer": None}]}, Reading.UNREADABLE, id="relationships a list"),
        pytest.param([], Reading.UNREADABLE, id="a record that is a list"),
        pytest.param("c1", Reading.UNREADABLE, id="a record that is a text"),
        pytest.param(None, Reading.UNREADABLE, id="a record that is null"),
    ],
)
def test_an_owner_is_read_in_every_shape(record: Any, owner: str | Reading) -> None:
    """A guest's record is told from one that cannot be read, and nothing else is taken for an id."""
    assert owner_at(record, split(ORDER)) == owner


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        pytest.param({"id": "c1"}, "c1", id="there"),
        pytest.param({"id": None}, Reading.NOBODY, id="null"),
        pytest.param({}, Reading.UNREADABLE, id="missing: a record must have it"),
        pytest.param({"ID": "c1"}, Reading.UNREADABLE, id="another spelling"),
    ],
)
def test_a_flat_owner_must_be_there(record: Any, owner: str | Reading) -> None:
    """Where the pointer is one member, a record without it says nothing of its owner."""
    assert owner_at(record, ("id",)) == owner


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "data", "customer", "relationships"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(anything, st.sampled_from(["", "/id", "/customer/id", ORDER]).map(split))
def test_any_record_has_a_reading(record: Any, tokens: tuple[str, ...]) -> None:
    """No record makes the reader raise, and an owner is always a text that stands there."""
    owner = owner_at(record, tokens)
    assert isinstance(owner, Reading) or (owner and str(resolve(record, tokens)) == owner)


@pytest.mark.parametrize(
    ("asked", "answered", "is_it"),
    [
        ("AB-1", "ab-1", True),
        ("07", "7", True),
        ("7abc", "7", True),
        ("\u0667", "7", True),
        ("8", "7", False),
        ("ab", "ac", False),
        ("7", "ab", False),
        ("ab", Reading.UNREADABLE, False),
    ],
)
def test_which_ids_an_api_may_take_for_one(asked: str, answered: object, *, is_it: bool) -> None:
    """By case, or as a number where it has numbers."""
    assert is_respelled(asked, answered) is is_it
