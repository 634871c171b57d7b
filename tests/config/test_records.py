"""The form that a routing file describes: a preset, what is said besides, and what a route says of its own."""

import pytest
from pydantic import ValidationError

from gateway.config.records import Records, form
from gateway.vocab.record_form import MOLTIN, PRESETS, Ids, OwnerShape


def written(**keys: object) -> Records:
    """Read a section."""
    return Records.model_validate(keys)


def test_nothing_said_is_moltin() -> None:
    """As before there was the section."""
    assert form(None) == form(written()) == form(written(), None) == MOLTIN


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_the_whole(name: str) -> None:
    """Its name is all that a file needs."""
    assert form(written(preset=name)) == PRESETS[name]


def test_every_key_says_something() -> None:
    """A key that the form does not know would be lost."""
    section = written(
        preset="rest", list="/a", record="/b", body="/c", id="/d", fields="/i", ids="number", total="/e", page="/f",
        links="/g", page_size=20, link_names=["next"], included=True, errors="/h", messages=["text"], filter="jsonapi",
        filter_parameter="q", owner="reference", owner_type="people", trailing_slash=True,
        found_by="filter", paged_by_range=True,
    )  # fmt: skip
    made = form(section)
    assert (made.list_at, made.record_at, made.body_at, made.id_at) == (("a",), ("b",), ("c",), ("d",))
    assert (made.total_at, made.page_at, made.links_at, made.errors_at) == (("e",), ("f",), ("g",), ("h",))
    assert (made.ids, made.owner_shape, made.owner_type) == (Ids.NUMBER, OwnerShape.REFERENCE, "people")
    assert (made.link_names, made.messages, made.dialect, made.filter_parameter) == (
        ("next",), ("text",), "jsonapi", "q",
    )  # fmt: skip
    assert (made.fields_at, made.page_size) == (("i",), 20)
    assert made.has_included
    assert made.has_slash
    assert made.is_found_by_filter
    assert made.is_paged_by_range
    assert set(section.model_fields_set) == set(Records.model_fields)


def test_a_route_lays_its_own_over_the_files() -> None:
    """Key by key; a preset of its own starts anew."""
    file = written(preset="drf", ids="text")
    assert form(file, written(list="/items")).list_at == ("items",)
    assert form(file, written(list="/items")).ids is Ids.TEXT
    assert form(file, written(preset="rest")) == PRESETS["rest"]


def test_a_place_may_be_none_or_the_answer_itself() -> None:
    """Both are said in words of the file."""
    made = form(written(total="none", page="none", links="none", list=""))
    assert (made.total_at, made.page_at, made.links_at, made.list_at) == (None, None, None, ())


@pytest.mark.parametrize(
    "key", [{"list": "data"}, {"id": ""}, {"ids": "uuid"}, {"total": ""}, {"owner_type": ""}, {"bare": True}]
)
def test_what_cannot_be_read_is_refused(key: dict[str, object]) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValidationError):
        written(**key)
