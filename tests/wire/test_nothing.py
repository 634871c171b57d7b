"""Nothing, as PHP and Go spell it."""

from typing import Any

import pytest

from gateway.vocab.record_form import MOLTIN
from gateway.wire.nothing import is_nothing, tells_nothing, with_list


@pytest.mark.parametrize(
    ("value", "expected"), [(None, True), ([], True), ({}, False), (False, False), ([None], False)]
)
def test_no_record_has_two_spellings(value: object, *, expected: bool) -> None:
    """Null, and an array without records; an object is some record."""
    assert is_nothing(value) is expected


@pytest.mark.parametrize(
    ("status", "document", "tells"),
    [
        pytest.param(200, {"data": None}, True, id="null"),
        pytest.param(200, {"data": [], "errors": []}, True, id="a list without errors"),
        pytest.param(200, {"data": None, "errors": None}, True, id="errors that Go left out"),
        pytest.param(200, {"data": None, "errors": [{"status": 500}]}, False, id="errors"),
        pytest.param(200, {"data": None, "errors": "x"}, False, id="errors of another shape"),
        pytest.param(200, {"data": None, "id": "1"}, False, id="a record beside the envelope"),
        pytest.param(200, {"data": None, "included": [{"id": "1"}]}, False, id="an included record"),
        pytest.param(200, {"data": None, "meta": {"page": {}}, "links": {}}, True, id="counts and links"),
        pytest.param(202, {"data": None}, False, id="another status"),
        pytest.param(200, {}, False, id="no data"),
        pytest.param(200, None, False, id="no object"),
        pytest.param(200, {"data": {}}, False, id="a record"),
    ],
)
def test_only_a_success_without_errors_tells_nothing(status: int, document: Any, *, tells: bool) -> None:
    """What failed in part, or was put off, does not say that there is nothing."""
    assert tells_nothing(status, document, MOLTIN) is tells
    expected = {**document, "data": []} if tells else document
    assert with_list(status, document, MOLTIN) == expected


def test_a_list_stays_as_it_is() -> None:
    """There is nothing to be written out."""
    document = {"data": [{"id": "1"}]}
    assert with_list(200, document, MOLTIN) is document
