"""Guard rule `redact`: members that no customer gets to see."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.guard.rules.redact import Redact
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code
from tests.guard.judging import NARROWED, WHOSE, inspected, refused

RULE = Redact(pointers=("/note", "/meta/cost"))
FULL = {"id": "1", "note": "n", "meta": {"cost": 1, "price": 2}}
CLEAN = {"id": "1", "meta": {"price": 2}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(FULL, CLEAN, id="a record"),
        pytest.param([FULL, FULL], [CLEAN, CLEAN], id="a list"),
        pytest.param([], [], id="an empty list"),
        pytest.param(CLEAN, CLEAN, id="nothing to remove"),
        pytest.param({"meta": None}, {"meta": None}, id="nothing to go through"),
        pytest.param({"meta": [{"cost": 1}]}, {"meta": [{"cost": 1}]}, id="lists are not entered"),
        pytest.param({"note": {"deep": 1}}, {}, id="a member with all that is in it"),
    ],
)
def test_named_members_are_removed_from_every_record(data: Any, expected: Any) -> None:
    """What is named goes, what is not stays, and the rest of the document too."""
    document = {"data": data, "links": {}}
    before = copy.deepcopy(document)
    assert inspected(RULE, document, WHOSE, NARROWED) == {"data": expected, "links": {}}
    assert document == before


@pytest.mark.parametrize(
    "document", [{}, {"data": None}, {"data": "x"}, {"data": [None]}, {"data": [FULL, "x"]}, [], "x"]
)
def test_an_answer_without_records_is_refused(document: Any) -> None:
    """What cannot be read cannot be cleaned."""
    assert refused(RULE, document).code is Code.UPSTREAM_INVALID


def test_bare_answers_are_records_themselves() -> None:
    """Back ends without an envelope."""
    rule = Redact(pointers=("/note",))
    assert inspected(rule, [{"note": 1, "a": 2}], WHOSE, NARROWED, PRESETS["rest"]) == [{"a": 2}]
    assert inspected(rule, {"note": 1, "data": {"note": 1}}, WHOSE, NARROWED, PRESETS["rest"]) == {"data": {"note": 1}}


@pytest.mark.parametrize("pointers", [(), ("",), ("note",)])
def test_there_is_something_to_remove(pointers: tuple[str, ...]) -> None:
    """A rule that removes nothing, or everything, is no option."""
    with pytest.raises(ValidationError):
        Redact(pointers=pointers)


values = st.recursive(
    st.none() | st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["note", "meta", "cost", "x"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["note", "meta", "x"]), values, max_size=3))
def test_what_is_named_is_gone(record: dict[str, Any]) -> None:
    """No record keeps a named member, and cleaning twice is cleaning once."""
    cleaned: Any = inspected(RULE, {"data": record}, WHOSE, NARROWED)
    assert "note" not in cleaned["data"]
    meta = cleaned["data"].get("meta")
    assert not isinstance(meta, dict) or "cost" not in meta
    assert inspected(RULE, cleaned, WHOSE, NARROWED) == cleaned
