"""Scoping rule `body_fields`: an allow-list for the body."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.scope.rules.body_fields import BodyFields
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from tests.scope.deciding import NOBODY, draft

RULE = BodyFields(allow=("type", "name", "customer/name", "customer/email"), forbid=("id", "customer/id"))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"type": "x", "name": {"any": ["thing"]}}, id="whole fields with all that is in them"),
        pytest.param({"customer": {"name": "A", "email": "a@b.c"}}, id="listed members"),
        pytest.param({"customer": {}}, id="no members"),
    ],
)
def test_listed_fields_pass_untouched(fields: dict[str, Any]) -> None:
    """What is listed stays as it is; this rule proves nothing about the owner."""
    given_draft = draft({"data": fields})
    assert RULE.apply(given_draft, NOBODY) is given_draft
    assert RULE.needs_body


@pytest.mark.parametrize(
    ("document", "code", "source"),
    [
        pytest.param({"data": {"external_ref": "x"}}, Code.BODY_FIELD_UNKNOWN, "data", id="D6.5: another field"),
        pytest.param({"data": {"Name": "x"}}, Code.BODY_FIELD_UNKNOWN, "data", id="another spelling"),
        pytest.param({"data": {"__proto__": {}}}, Code.BODY_FIELD_UNKNOWN, "data", id="D6.4: a prototype"),
        pytest.param({"data": {"id": "c2"}}, Code.BODY_FIELD_FORBIDDEN, "data.id", id="D6.5: a forbidden field"),
        pytest.param({"data": {"id": None}}, Code.BODY_FIELD_FORBIDDEN, "data.id", id="a forbidden field, null"),
        pytest.param(
            {"data": {"customer": {"name": "A", "id": "c2"}}}, Code.BODY_FIELD_FORBIDDEN, "data.customer.id",
            id="D6.4: a forbidden member",
        ),
        pytest.param({"data": {"customer": {"x": 1}}}, Code.BODY_FIELD_UNKNOWN, "data.customer", id="another member"),
        pytest.param({"data": {"customer": "c2"}}, Code.BODY_FIELD_INVALID, "data.customer", id="a text for an object"),
        pytest.param({"data": {"customer": None}}, Code.BODY_FIELD_INVALID, "data.customer", id="null for an object"),
        pytest.param({"data": {"customer": [{"id": "c2"}]}}, Code.BODY_FIELD_INVALID, "data.customer", id="a list"),
        pytest.param({"data": []}, Code.BODY_FIELD_INVALID, "data", id="D6.4: an array of records"),
        pytest.param({"data": "x"}, Code.BODY_FIELD_INVALID, "data", id="a text for the data"),
        pytest.param({"data": None}, Code.BODY_FIELD_INVALID, "data", id="null for the data"),
        pytest.param({}, Code.BODY_FIELD_INVALID, "data", id="no data"),
        pytest.param(None, Code.BODY_FIELD_INVALID, "data", id="no body"),
        pytest.param({"data": {}, "meta": {}}, Code.BODY_FIELD_UNKNOWN, "body", id="members beside the data"),
    ],
)  # fmt: skip
def test_everything_else_is_refused(document: dict[str, Any] | None, code: Code, source: str) -> None:
    """Unknown fields answer 422, forbidden ones 403, and the place is named by its configured name only."""
    refusal = RULE.apply(draft(document), NOBODY)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.source) == (code, source)


def test_without_a_list_every_field_passes_that_is_not_forbidden() -> None:
    """A route may close one field and leave the rest to the upstream."""
    rule = BodyFields(forbid=("relationships", "owner/id"))
    assert isinstance(rule.apply(draft({"data": {"anything": [1], "owner": {"name": 1}}}), NOBODY), Draft)
    forbidden: list[dict[str, Any]] = [{"relationships": {}}, {"owner": {"id": "c2"}}]
    for fields in forbidden:
        refusal = rule.apply(draft({"data": fields}), NOBODY)
        assert isinstance(refusal, Refusal)
        assert refusal.code is Code.BODY_FIELD_FORBIDDEN


def test_a_whole_field_wins_over_its_members() -> None:
    """`customer` besides `customer/name` allows all of it."""
    rule = BodyFields(allow=("customer/name", "customer"))
    assert isinstance(rule.apply(draft({"data": {"customer": {"anything": 1}}}), NOBODY), Draft)


def test_another_object_can_be_judged() -> None:
    """`pointer` says which; what it leads through must be an object."""
    rule = BodyFields(pointer="/data/attributes", allow=("name",))
    assert isinstance(rule.apply(draft({"data": {"attributes": {"name": 1}}}), NOBODY), Draft)
    refusal = rule.apply(draft({"data": {"attributes": {"id": 1}}}), NOBODY)
    assert isinstance(refusal, Refusal)
    assert refusal.source == "data.attributes"


def test_the_whole_body_cannot_be_pointed_at() -> None:
    """An empty pointer would leave nothing to call a member beside the data."""
    with pytest.raises(ValidationError, match="at least 2 characters"):
        BodyFields(pointer="", allow=("name",))


@given(st.dictionaries(st.text(max_size=6) | st.sampled_from(["type", "name", "id"]), st.none() | st.text(max_size=3)))
def test_what_passes_is_listed(fields: dict[str, Any]) -> None:
    """No body with a field that is not in the list passes."""
    passed = isinstance(RULE.apply(draft({"data": fields}), NOBODY), Draft)
    assert passed is (fields.keys() <= {"type", "name"})
