"""The `records:` section of a draft."""

from typing import Any

import pytest

from gateway.drafting.form import Seen, form_of, places_apart, section
from gateway.drafting.places import Places
from gateway.drafting.schema import Schema
from gateway.vocab.record_form import PRESETS


def seen(preset: str, *at: str, is_list: bool = True, kind: str = "text", name: str = "id") -> Seen:
    """Say what was seen of an operation."""
    return Seen(preset, Places(at, is_list, Schema()), name, kind)


@pytest.mark.parametrize(
    ("found", "made"),
    [
        ([], {"preset": "rest"}),
        ([seen("drf", "results", kind="number")], {"preset": "drf"}),
        ([seen("drf", "results", kind="text", name="uuid")], {"preset": "drf", "id": "/uuid", "ids": "text"}),
        ([seen("rest"), seen("rest", kind="number")], {"preset": "rest"}),
        (
            [seen("rest", "data"), seen("rest", "data", is_list=False)],
            {"preset": "rest", "list": "/data", "record": "/data", "ids": "text"},
        ),
        ([seen("drf", "a", kind="number"), seen("drf", "b", kind="number")], {"preset": "drf"}),
        (
            [seen("rest", "orders"), seen("rest", "orders"), seen("rest", "order", is_list=False)],
            {"preset": "rest", "ids": "text"},
        ),
    ],
)
def test_what_most_have_in_common(found: list[Seen], made: dict[str, Any]) -> None:
    """A preset, and what most answers have otherwise; where none is the most, the preset's own."""
    assert section(found, [], has_slash=made["preset"] == "drf") == made


def test_a_list_that_is_the_answer_has_nothing_beside_it() -> None:
    """Totals and links stand beside a list; where it is the answer itself they cannot, and nothing comes along."""
    assert places_apart(PRESETS["drf"], list_at=()) == {"list": "", "total": "none", "links": "none"}
    made = places_apart(PRESETS["jsonapi"], list_at=())
    assert made == {"list": "", "included": False, "total": "none", "page": "none", "links": "none"}
    assert form_of({"preset": "jsonapi"}, made).list_at == ()


def test_one_record_that_is_found_by_a_filter_comes_in_a_list() -> None:
    """PostgREST shows a record as the only one of an array, whatever a document says: so does its preset."""
    assert places_apart(PRESETS["postgrest"], list_at=(), record_at=()) == {}
    assert places_apart(PRESETS["postgrest"], record_at=("order",)) == {"record": "/order"}
