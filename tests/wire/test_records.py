"""Where the records of an answer stand: by the form of its API, and nowhere else."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.vocab.record_form import PRESETS, Ids, RecordForm, Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.records import ids_in, shown, spelled

ONE = {"id": "7", "name": "x"}
COUNTED = {"id": 7, "name": "x"}
NO_RECORD = "no single record with a number as its id at /id at the answer itself"
DEEP = RecordForm(list_at=("page", "items"), record_at=("item",), body_at=(), id_at=("meta", "uuid"))
MARKED = {"id": 7, "results": [1]}
DEEP_ONE = {"meta": {"uuid": "7"}}


def found(document: Any, form: RecordForm, *, one: bool = False) -> tuple[list[Any], bool]:
    """Find records that must be there."""
    outcome = shown(document, form, expects_one=one)
    assert isinstance(outcome, Shown), outcome
    return outcome.records, outcome.is_list


@pytest.mark.parametrize(
    ("form", "document", "one", "expected"),
    [
        pytest.param("moltin", {"data": [ONE]}, False, ([ONE], True), id="an enveloped list"),
        pytest.param("moltin", {"data": ONE}, False, ([ONE], False), id="an enveloped record, whatever was asked for"),
        pytest.param("jsonapi", {"data": []}, True, ([], True), id="JSON:API's empty list"),
        pytest.param("rest", [ONE], False, ([ONE], True), id="a bare list"),
        pytest.param("rest", ONE, True, ([ONE], False), id="a bare record"),
        pytest.param("drf", {"count": 1, "results": [COUNTED]}, False, ([COUNTED], True), id="a page of Django's"),
        pytest.param("drf", COUNTED, True, ([COUNTED], False), id="a record of Django's"),
        pytest.param(
            "drf", {**COUNTED, "results": [1]}, True, ([{**COUNTED, "results": [1]}], False), id="with results"
        ),
        pytest.param("postgrest", [COUNTED], True, ([COUNTED], False), id="the only one of an array"),
        pytest.param("postgrest", [COUNTED], False, ([COUNTED], True), id="the same as a list"),
    ],
)
def test_records_stand_where_the_form_says(form: str, document: Any, expected: object, *, one: bool) -> None:
    """One place or two, an envelope or none."""
    assert found(document, PRESETS[form], one=one) == expected


def test_places_may_be_deep() -> None:
    """The answer of an API with envelopes of its own."""
    assert found({"page": {"items": [DEEP_ONE]}}, DEEP) == ([DEEP_ONE], True)
    assert found({"item": DEEP_ONE}, DEEP) == ([DEEP_ONE], False)
    assert ids_in({"page": {"items": [DEEP_ONE, {"meta": {}}, 7]}}, DEEP) == {"7"}


@pytest.mark.parametrize(
    ("form", "document", "one", "says"),
    [
        pytest.param("moltin", {}, False, "no array of records at /data", id="no envelope"),
        pytest.param("moltin", {"data": "x"}, True, "no single record at /data", id="a text"),
        pytest.param("rest", "x", False, "no array of records at the answer itself", id="no JSON of ours"),
        pytest.param("rest", None, True, "no single record at the answer itself", id="null"),
        pytest.param("drf", {"items": []}, False, "no array of records at /results", id="another envelope"),
        pytest.param("drf", {"results": None, "name": "x"}, True, NO_RECORD, id="no id"),
        pytest.param("drf", {"id": "7"}, True, NO_RECORD, id="an id of another type"),
        pytest.param("drf", {"id": True}, True, NO_RECORD, id="true is no number"),
        pytest.param("drf", [COUNTED], True, NO_RECORD, id="a bare list"),
        pytest.param("postgrest", COUNTED, True, "no single record at /0", id="an object"),
    ],
)
def test_what_stands_elsewhere_is_no_record(form: str, document: Any, says: str, *, one: bool) -> None:
    """It is not guessed at, and the refusal says what was looked for."""
    refusal = shown(document, PRESETS[form], expects_one=one)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.detail, refusal.unfit, refusal.violation) == (
        Code.UPSTREAM_INVALID, says, True, False,
    )  # fmt: skip


def test_more_than_one_record_is_not_the_only_one() -> None:
    """A filter by id that is ignored brings the whole table: it is judged as the list it is."""
    assert found([COUNTED, {"id": 8}], PRESETS["postgrest"], one=True) == ([COUNTED, {"id": 8}], True)


def test_what_comes_along_is_there_where_the_form_has_it() -> None:
    """Elsewhere `included` is a member like any other."""
    document = {"data": [ONE], "included": [{"id": "1"}]}
    alone = replace(PRESETS["moltin"], has_included=False)
    for form, expected in ((PRESETS["moltin"], True), (alone, False)):
        outcome = shown(document, form)
        assert isinstance(outcome, Shown)
        assert (outcome.included == [{"id": "1"}]) is expected


def test_a_place_is_written_as_a_pointer() -> None:
    """As it stands in the routing file."""
    assert spelled(("a/b", "c~d")) == "/a~1b/c~0d"


def test_each_preset_says_what_ids_are() -> None:
    """Numbers where a framework counts by default, text where a standard says so."""
    assert {name: form.ids for name, form in PRESETS.items()} == {
        "moltin": Ids.EITHER, "jsonapi": Ids.TEXT, "rest": Ids.EITHER, "drf": Ids.NUMBER, "postgrest": Ids.NUMBER,
    }  # fmt: skip
