"""Scoping rule `body_fields`: an allow-list for the body."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.scope.rules.body_fields import BodyFields
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal
from tests.scope.deciding import NOBODY, customer, draft, narrowed, refused

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


def test_the_whole_body_may_be_the_object() -> None:
    """A flat body has no member beside its fields: each of them is listed, or it is not."""
    rule = BodyFields(pointer="", allow=("name", "address/city"), forbid=("customer",))
    body = {"name": "x", "address": {"city": "y"}}
    assert narrowed(rule, draft(body), NOBODY).document == body
    assert refused(rule, draft({"data": {"name": "x"}}), NOBODY) is Code.BODY_FIELD_UNKNOWN
    assert refused(rule, draft({"Customer": 7}), NOBODY) is Code.BODY_FIELD_FORBIDDEN


def test_without_a_pointer_the_form_of_the_api_says_where_the_fields_are() -> None:
    """One rule, whatever the API."""
    rule = BodyFields(allow=("name",))
    for document, form in (({"data": {"name": "x"}}, "moltin"), ({"name": "x"}, "rest")):
        assert narrowed(rule, replace(draft(document), form=PRESETS[form]), NOBODY).document == document
    flat = replace(draft({"data": {"name": "x"}}), form=PRESETS["drf"])
    assert refused(rule, flat, NOBODY) is Code.BODY_FIELD_UNKNOWN


@given(st.dictionaries(st.text(max_size=6) | st.sampled_from(["type", "name", "id"]), st.none() | st.text(max_size=3)))
def test_what_passes_is_listed(fields: dict[str, Any]) -> None:
    """No body with a field that is not in the list passes."""
    passed = isinstance(RULE.apply(draft({"data": fields}), NOBODY), Draft)
    assert passed is (fields.keys() <= {"type", "name"})


LENIENT = BodyFields(forbid=("customer", "customer_id", "account/id"), match={"id": "aid"})


@pytest.mark.parametrize(
    "name",
    [
        "Customer", "CUSTOMER_ID", "customerId", "customer ", "cu\u017ftomer", "customer\0", "customer[id]",
        "customer.id", "@customer", "customer__id", "\uff43ustomer", "x" * 200,
    ],
)  # fmt: skip
def test_a_forbidden_name_is_forbidden_in_every_spelling(name: str) -> None:
    """D6.4: a reader that ignores case, or folds letters, would take it for the name."""
    refusal = LENIENT.apply(draft({"data": {name: "c2"}}), NOBODY)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, (refusal.source or "").partition(".")[0]) == (Code.BODY_FIELD_FORBIDDEN, "data")


def test_a_forbidden_member_is_forbidden_in_every_spelling() -> None:
    """Also inside an object that is spelled otherwise."""
    refusal = LENIENT.apply(draft({"data": {"Account": {"ID": "a2"}}}), NOBODY)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.source) == (Code.BODY_FIELD_FORBIDDEN, "data.account.id")
    for harmless in ({"account": {"name": "x"}}, {"account": "id"}, {"customers": 1}, {"company_name": "customer"}):
        given_draft = draft({"data": harmless})
        assert LENIENT.apply(given_draft, NOBODY) is given_draft


def test_an_id_in_the_body_is_the_one_of_the_path() -> None:
    """D6.5: an upstream that believes the body more than the path would change another record."""
    whose = customer(aid="a1")
    for good in ({"id": "a1", "name": "x"}, {"name": "x"}):
        given_draft = draft({"data": good})
        assert LENIENT.apply(given_draft, whose) is given_draft
    for bad in ({"id": "a2"}, {"id": None}, {"id": ["a1"]}, {"ID": "a1"}, {"id": "a1", "Id": "a2"}):
        refusal = LENIENT.apply(draft({"data": bad}), whose)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.source) == (Code.BODY_FIELD_FORBIDDEN, "data.id")


def test_a_matched_field_need_not_be_listed() -> None:
    """What must be the path's own id says nothing new."""
    rule = BodyFields(allow=("name",), match={"id": "aid"})
    given_draft = draft({"data": {"id": "a1", "name": "x"}})
    assert rule.apply(given_draft, customer(aid="a1")) is given_draft


def test_without_a_body_there_is_nothing_to_forbid() -> None:
    """A list of allowed fields still wants one."""
    assert LENIENT.apply(draft(None), NOBODY) == draft(None)
    assert isinstance(RULE.apply(draft(None), NOBODY), Refusal)


@pytest.mark.parametrize("nobody", [None, ""])
def test_a_forbidden_member_that_is_empty_names_nobody(nobody: object) -> None:
    """A guest's form sends an id without a value: it goes no further, and is nobody's fault."""
    passed = RULE.apply(draft({"data": {"name": "x", "customer": {"name": "A", "id": nobody}}}), NOBODY)
    assert isinstance(passed, Draft)
    assert passed.document == {"data": {"name": "x", "customer": {"name": "A"}}}


@pytest.mark.parametrize(
    "member",
    [
        {"id": 0}, {"id": False}, {"id": []}, {"id": {}}, {"id": " "}, {"ID": None}, {"id": None, "Id": "c2"},
        {"id[]": ""}, {"id.x": None},
    ],
)  # fmt: skip
def test_nothing_else_names_nobody(member: dict[str, Any]) -> None:
    """Only null and the empty text do, under the one name that is written; another spelling is refused as ever."""
    refusal = RULE.apply(draft({"data": {"customer": member}}), NOBODY)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.BODY_FIELD_FORBIDDEN


SHOWN = BodyFields(
    allow=("name",),
    forbid=("customer", "customer_id"),
    match={"id": "aid"},
    drop=("id", "meta", "relationships"),
    shown=("external_ref",),
)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a1", "name": "x"},
        {"id": "a1", "name": "x", "meta": {"a": [1]}, "external_ref": "r"},
        {"name": "x", "meta": None},
        {"name": "x", "relationships": {"customer": {"data": {"type": "customer", "id": "c1"}}}},
        {"name": "x", "relationships": {"customer": None, "items": {"data": [{"id": "i1"}]}}},
    ],
)  # fmt: skip
def test_what_is_shown_may_be_sent_back(fields: dict[str, Any]) -> None:
    """Read-only fields of a record go no further."""
    given_draft = draft({"data": fields})
    passed = SHOWN.apply(given_draft, customer(aid="a1"))
    assert isinstance(passed, Draft)
    assert passed.document == {"data": {"name": "x"}}
    assert given_draft.document == {"data": fields}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"id": "a2", "name": "x"}, Code.BODY_FIELD_FORBIDDEN, id="another id"),
        pytest.param({"Id": "a1"}, Code.BODY_FIELD_FORBIDDEN, id="another spelling of the id"),
        pytest.param({"Meta": {}}, Code.BODY_FIELD_UNKNOWN, id="another spelling of what is dropped"),
        pytest.param({"external_ref": "r"}, Code.BODY_FIELD_UNKNOWN, id="what could be a change, without the record"),
        pytest.param({"external_ref": "r", "id": "a2"}, Code.BODY_FIELD_FORBIDDEN, id="with another record's id"),
        pytest.param({"customer_id": "c1"}, Code.BODY_FIELD_FORBIDDEN, id="a forbidden field"),
        *[
            pytest.param({"relationships": {name: named}}, Code.BODY_FIELD_FORBIDDEN, id=f"another {name}")
            for name, named in (
                ("customer", {"data": {"id": "c2"}}),
                ("customer", {"id": "c2"}),
                ("customer", [{"data": {"id": "c1"}}, {"data": {"id": "c2"}}]),
                ("customer_id", "c2"),
            )
        ],
        *[
            pytest.param({name: named}, Code.BODY_FIELD_FORBIDDEN, id=f"another in {name}")
            for name in ("meta", "relationships")
            for named in ("c2", {"id": "c2"}, {"data": {"id": "c2"}}, [{"type": "customer", "id": "c2"}])
        ],
    ],
)
def test_what_is_shown_names_nobody_else(fields: dict[str, Any], code: Code) -> None:
    """What is dropped does no harm, and all the same nobody is told that naming another worked."""
    refusal = SHOWN.apply(draft({"data": fields}), customer(aid="a1"))
    assert isinstance(refusal, Refusal)
    assert refusal.code is code


def test_what_is_dropped_deeper_in_the_body() -> None:
    """The rest of the body stays as it is."""
    rule = BodyFields(pointer="/data/attributes", drop=("meta",))
    passed = rule.apply(draft({"data": {"attributes": {"name": 1, "meta": {"a": 2}}, "type": "x"}}), NOBODY)
    assert isinstance(passed, Draft)
    assert passed.document == {"data": {"attributes": {"name": 1}, "type": "x"}}
