"""Guard rule `identity`."""

from typing import Any

import pytest

from gateway.guard.rules.identity import Identity
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal
from tests.guard.judging import inspected, refused

RULE = Identity(parameter="aid")
WHOSE = Whose("c1", {"id": "c1", "aid": "a1"})
PLAN = Plan("GET", "/v2/customers/c1/addresses/a1")


def test_the_record_that_the_path_names_leaves() -> None:
    """The answer's id is the path's parameter; a back end may count its records."""
    assert inspected(RULE, {"data": {"id": "a1"}}, WHOSE, PLAN) == {"data": {"id": "a1"}}
    counted = Whose("c1", {"id": "c1", "aid": "7"})
    assert inspected(RULE, {"data": {"id": 7}}, counted, PLAN) == {"data": {"id": 7}}


@pytest.mark.parametrize("data", [{"id": "a2"}, {"id": None}, {}, {"id": True}, {"id": ["a1"]}])
def test_another_record_is_withheld(data: Any) -> None:
    """Another record than the one asked for is as if it were not there, and the upstream's fault."""
    refusal = inspected(RULE, {"data": data}, WHOSE, PLAN)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.violation) == (Code.RECORD_NOT_FOUND, True)


@pytest.mark.parametrize("document", [{"data": [{"id": "a1"}]}, {"data": None}, {}, [], "a1"])
def test_what_is_no_single_record_is_withheld(document: Any) -> None:
    """A list, or nothing, is not the record asked for."""
    refusal = inspected(RULE, document, WHOSE, PLAN)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.UPSTREAM_INVALID


def test_a_record_without_id_is_not_the_record_none() -> None:
    """A path that says `None` names no record without an id."""
    whose = Whose("c1", {"id": "c1", "aid": "None"})
    assert isinstance(inspected(RULE, {"data": {"type": "address"}}, whose, PLAN), Refusal)


@pytest.mark.parametrize(("named", "is_violation"), [("8", True), ("07", False), ("7.0", False), ("\u0667", False)])
def test_what_is_no_id_blames_no_upstream(named: str, *, is_violation: bool) -> None:
    """A client that asks for 07 gets nothing, and closes no route by it."""
    for preset in ("drf", "rest"):
        counted = refused(RULE, {"id": 7}, whose=Whose("c1", {"aid": named}), form=PRESETS[preset])
        assert (counted.code, counted.violation) == (Code.RECORD_NOT_FOUND, is_violation)


@pytest.mark.parametrize(("named", "is_violation"), [("A1", False), ("a2", True)])
def test_nor_does_what_is_one_by_case(named: str, *, is_violation: bool) -> None:
    """To a database a UUID in capitals is the same; to us it is no id of the record."""
    found = refused(RULE, {"data": {"id": "a1"}}, whose=Whose("c1", {"aid": named}))
    assert (found.code, found.violation) == (Code.RECORD_NOT_FOUND, is_violation)
