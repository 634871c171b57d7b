"""Scoping rule `body_stamp`: the body names the customer, and nobody else."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.scope.rules.body_stamp import BodyStamp
from gateway.vocab.messages import Whose
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import PRESETS, OwnerShape
from gateway.vocab.refusals import Code
from tests.scope.deciding import FOREIGN, NOBODY, OWN, customer, draft, narrowed, refused

OBJECT = BodyStamp(pointer="/data/customer")
REFERENCES = BodyStamp(pointer="/data", shape=OwnerShape.REFERENCES)
OWN_REFERENCE = {"type": "customer", "id": OWN}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="no body"),
        pytest.param({}, id="an empty body"),
        pytest.param({"data": {}}, id="no customer"),
        pytest.param({"data": {"customer": None}}, id="customer null"),
        pytest.param({"data": {"customer": {}}}, id="an empty customer"),
        pytest.param({"data": {"customer": {"id": OWN}}}, id="the own id"),
        pytest.param({"data": {"customer": {"name": "A", "email": "a@b.c"}}}, id="name and e-mail of a guest"),
    ],
)
def test_the_customer_is_exactly_the_own_id(document: dict[str, Any] | None) -> None:
    """Whatever stood there and names nobody else, what goes upstream is the own id alone."""
    stamped = narrowed(OBJECT, draft(document), customer()).document
    assert stamped == {"data": {"customer": {"id": OWN}}}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="no body"),
        pytest.param({"data": None}, id="data null"),
        pytest.param({"data": []}, id="no reference"),
        pytest.param({"data": [OWN_REFERENCE]}, id="the own reference"),
        pytest.param({"data": [OWN_REFERENCE, OWN_REFERENCE]}, id="the own reference twice"),
        pytest.param({"data": [{"id": OWN}]}, id="a reference without type"),
        pytest.param({"data": [{"type": "customer"}]}, id="a reference without id"),
    ],
)
def test_references_are_exactly_the_own_one(document: dict[str, Any] | None) -> None:
    """A JSON:API relationship holds the own reference, once."""
    assert narrowed(REFERENCES, draft(document), customer()).document == {"data": [OWN_REFERENCE]}


@pytest.mark.parametrize(
    ("rule", "document", "code"),
    [
        pytest.param(OBJECT, {"data": {"customer": {"id": FOREIGN}}}, Code.BODY_FIELD_FORBIDDEN, id="D6.4: another id"),
        pytest.param(OBJECT, {"data": {"customer": {"id": False}}}, Code.BODY_FIELD_FORBIDDEN, id="an id of false"),
        pytest.param(OBJECT, {"data": {"customer": {"id": " "}}}, Code.BODY_FIELD_FORBIDDEN, id="an id of a space"),
        pytest.param(OBJECT, {"data": {"customer": {"id": [OWN]}}}, Code.BODY_FIELD_FORBIDDEN, id="a list of ids"),
        pytest.param(OBJECT, {"data": {"customer": FOREIGN}}, Code.BODY_FIELD_INVALID, id="a text"),
        pytest.param(OBJECT, {"data": {"customer": False}}, Code.BODY_FIELD_INVALID, id="false"),
        pytest.param(OBJECT, {"data": {"customer": [{"id": OWN}]}}, Code.BODY_FIELD_INVALID, id="a list"),
        pytest.param(OBJECT, {"data": []}, Code.BODY_FIELD_INVALID, id="data a list"),
        pytest.param(OBJECT, {"data": None}, Code.BODY_FIELD_INVALID, id="data null"),
        pytest.param(REFERENCES, {"data": [{"id": FOREIGN}]}, Code.BODY_FIELD_FORBIDDEN, id="a foreign reference"),
        pytest.param(
            REFERENCES, {"data": [OWN_REFERENCE, {"type": "customer", "id": FOREIGN}]}, Code.BODY_FIELD_FORBIDDEN,
            id="a foreign reference behind the own one",
        ),
        pytest.param(REFERENCES, {"data": [{"type": "account", "id": OWN}]}, Code.BODY_FIELD_INVALID, id="a type"),
        pytest.param(REFERENCES, {"data": OWN_REFERENCE}, Code.BODY_FIELD_INVALID, id="an object for a list"),
        pytest.param(REFERENCES, {"data": [OWN]}, Code.BODY_FIELD_INVALID, id="a list of texts"),
    ],
)  # fmt: skip
def test_naming_anybody_else_is_refused(rule: BodyStamp, document: dict[str, Any], code: Code) -> None:
    """Another id answers 403 and is not silently repaired; another shape answers 422."""
    assert refused(rule, draft(document), customer()) is code


@pytest.mark.parametrize(
    "wrapped",
    [
        pytest.param({"order": {"customer_id": FOREIGN}}, id="D6.4: as Rails wraps parameters"),
        pytest.param({"order": {"note": "x", "customerId": FOREIGN}}, id="in another spelling"),
        pytest.param(
            {"orders": [{"customer_id": OWN}, {"customer_id": {"id": FOREIGN}}]}, id="in a list, as an object"
        ),
    ],
)
def test_no_other_member_holds_the_place_once_more_for_another(wrapped: dict[str, Any]) -> None:
    """A reader that takes a record from a member called after it would not see what is stamped beside it."""
    rule = BodyStamp(pointer="/customer_id", shape=OwnerShape.SCALAR)
    assert refused(rule, draft(wrapped), customer()) is Code.BODY_FIELD_FORBIDDEN
    harmless = {"order": {"customer_id": OWN, "customer": "x"}, "gift": {"customer_id": None}, "tags": ["customer_id"]}
    assert narrowed(rule, draft(harmless), customer()).document == {**harmless, "customer_id": OWN}


def test_the_rest_of_the_body_stays() -> None:
    """Only the place of the owner is written, and the given document is not changed."""
    document = {"data": {"type": "x", "customer": {"name": "A"}}, "meta": {"a": [1]}}
    before = copy.deepcopy(document)
    stamped = narrowed(OBJECT, draft(document), customer()).document
    assert stamped == {"data": {"type": "x", "customer": {"id": OWN}}, "meta": {"a": [1]}}
    assert document == before


def test_a_stamp_needs_a_customer() -> None:
    """Nobody's id cannot be written."""
    assert refused(OBJECT, draft({}), NOBODY) is Code.ACCESS_DENIED
    assert OBJECT.needs_body


def test_a_type_can_be_named() -> None:
    """References of another kind of owner."""
    rule = BodyStamp(pointer="/data", shape=OwnerShape.REFERENCES, type="account")
    assert narrowed(rule, draft(), customer()).document == {"data": [{"type": "account", "id": OWN}]}


def test_the_whole_body_may_be_the_owner() -> None:
    """As JSON:API's relationships of one are written, without an envelope."""
    rule = BodyStamp(pointer="", shape=OwnerShape.REFERENCE)
    assert narrowed(rule, draft(), customer()).document == {"type": "customer", "id": OWN}
    assert refused(rule, draft({"type": "customer", "id": FOREIGN}), customer()) is Code.BODY_FIELD_FORBIDDEN


@pytest.mark.parametrize(
    ("form", "shape", "stamped"),
    [
        pytest.param("moltin", None, {"id": "7"}, id="an object in Moltin"),
        pytest.param("rest", None, "7", id="its text"),
        pytest.param("drf", None, 7, id="a number where ids are numbers"),
        pytest.param("drf", OwnerShape.OBJECT, {"id": 7}, id="an object with a number"),
        pytest.param("jsonapi", None, {"type": "customers", "id": "7"}, id="a reference"),
        pytest.param("jsonapi", OwnerShape.REFERENCES, [{"type": "customers", "id": "7"}], id="references"),
    ],
)
def test_an_owner_stands_as_the_api_has_it(form: str, shape: OwnerShape | None, stamped: object) -> None:
    """The rule's own shape, else that of the API's form; what says the same already is spelled anew."""
    rule = BodyStamp(pointer="/owner", shape=shape)
    for body in ({}, {"owner": stamped}):
        given = replace(draft(body), form=PRESETS[form])
        assert narrowed(rule, given, Whose("7")).document == {"owner": stamped}


@pytest.mark.parametrize("present", [8, "8", 7.0, True, "07", {"id": 7}, [7]])
def test_a_scalar_that_is_not_the_own_id_is_refused(present: object) -> None:
    """Never by loose equality."""
    given = replace(draft({"customer": present}), form=PRESETS["drf"])
    code = Code.BODY_FIELD_INVALID if isinstance(present, (dict, list)) else Code.BODY_FIELD_FORBIDDEN
    assert refused(BodyStamp(pointer="/customer"), given, Whose("7")) is code


@pytest.mark.parametrize("own", ["c1", "07", "+7", "7.0", "-7", "\u0667", "1" * 19])
def test_where_ids_are_numbers_a_customer_has_one(own: str) -> None:
    """Nothing else can be written as a number and read back as the same id."""
    given = replace(draft({}), form=PRESETS["drf"])
    assert refused(BodyStamp(pointer="/customer"), given, Whose(own)) is Code.ACCESS_DENIED


ids = st.sampled_from([OWN, FOREIGN, None, "", 1])
shapes = st.one_of(ids, st.fixed_dictionaries({}, optional={"id": ids, "type": st.sampled_from(["customer", "x"])}))


@given(st.sampled_from([OBJECT, REFERENCES]), shapes | st.lists(shapes, max_size=3))
def test_what_goes_on_names_the_caller_alone(rule: BodyStamp, place: Any) -> None:
    """Whatever a client writes there, a body that passes names the own id and no other."""
    document = {"data": {"customer": place}} if rule is OBJECT else {"data": place}
    result = rule.apply(draft(document), customer())
    if isinstance(result, Draft):
        expected = {"data": {"customer": {"id": OWN}}} if rule is OBJECT else {"data": [OWN_REFERENCE]}
        assert result.document == expected
        assert FOREIGN not in str(place)


@pytest.mark.parametrize(
    ("rule", "document", "code"),
    [
        pytest.param(OBJECT, {"data": {"Customer": {"id": FOREIGN}}}, Code.BODY_FIELD_FORBIDDEN, id="another case"),
        pytest.param(OBJECT, {"DATA": {"customer": {"id": FOREIGN}}}, Code.BODY_FIELD_FORBIDDEN, id="of what is above"),
        pytest.param(OBJECT, {"data": {"customer[id]": FOREIGN}}, Code.BODY_FIELD_FORBIDDEN, id="a member of it"),
        pytest.param(REFERENCES, {"data": [], "DATA": [{"id": FOREIGN}]}, Code.BODY_FIELD_UNKNOWN, id="two spellings"),
        pytest.param(REFERENCES, {"data": [], "meta": {}}, Code.BODY_FIELD_UNKNOWN, id="beside references"),
    ],
)
def test_the_stamped_place_has_one_spelling(rule: BodyStamp, document: dict[str, Any], code: Code) -> None:
    """D6.4: a reader that ignores case takes the last of `data` and `DATA`."""
    assert refused(rule, draft(document), customer()) is code


def test_a_place_may_be_called_like_the_one_above() -> None:
    """The stamp stands at the end of the pointer, not at the first place of that name."""
    rule = BodyStamp(pointer="/data/data")
    assert narrowed(rule, draft({"data": {"data": None}}), customer()).document == {"data": {"data": {"id": OWN}}}


@pytest.mark.parametrize("nobody", [{"id": None}, {"id": ""}, {"id": "", "name": "A"}, "", None])
def test_an_empty_id_names_nobody(nobody: object) -> None:
    """As a form sends it that knows no customer: the customer's own id takes its place, alone."""
    assert narrowed(OBJECT, draft({"data": {"customer": nobody}}), customer()).document == {
        "data": {"customer": {"id": OWN}}
    }
