"""What a routing file may say of how the API speaks of records, and the form that follows from it."""

from typing import Annotated, Any, Literal

from msgspec import structs
from pydantic import Field

from gateway.config.texts import Closed, Flag
from gateway.vocab.record_form import MOLTIN, PRESETS, Ids, OwnerShape, RecordForm
from gateway.wire.pointer import Place, Pointer, split

Nowhere = Literal["none"]
_Name = Annotated[str, Field(min_length=1, max_length=128)]


class Records(Closed):
    """How the API speaks of records: where they stand, what their ids are, how its paths and filters are written.

    A preset says all of it; what stands beside it says it otherwise. A route may have a section of its own, which says
    what is different there.
    """

    preset: Literal["moltin", "jsonapi", "rest", "drf", "postgrest"] | None = Field(
        default=None,
        description="moltin (the default: `{data}`, EPCC filters), jsonapi (JSON:API 1.1), rest (bare records and"
        " arrays, `field=value`), drf (Django REST framework: `{count, next, previous, results}`, ids are numbers,"
        " paths end with a slash) or postgrest (bare arrays, a single record is a filter).",
    )
    list: Place | None = Field(
        default=None, description="JSON pointer to the array of a list's records; empty for the answer itself."
    )
    record: Place | None = Field(
        default=None,
        description="JSON pointer to a single record; empty for the answer itself, a step of 0 for the only one of an"
        " array.",
    )
    body: Place | None = Field(
        default=None, description="JSON pointer to the record in the body of a request; empty for the body itself."
    )
    id: Pointer | None = Field(default=None, description="JSON pointer, from a record, to its id.")
    fields: Place | None = Field(
        default=None,
        description="JSON pointer, from a record, to the object with its fields; empty for the record itself. There are"
        " a customer's e-mail and name.",
    )
    ids: Ids | None = Field(
        default=None,
        description="What ids are in JSON: text, number or either. What is none of that kind belongs to nobody.",
    )
    total: Pointer | Nowhere | None = Field(
        default=None, description="JSON pointer to the number of all records of a list, or none."
    )
    page: Pointer | Nowhere | None = Field(
        default=None, description="JSON pointer to an object with limit, offset, current and total (pages), or none."
    )
    page_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="How many records a page has where neither the request nor the answer says it.",
    )
    links: Place | Nowhere | None = Field(
        default=None, description="JSON pointer to the object that holds links to pages of a list, or none."
    )
    link_names: tuple[_Name, ...] | None = Field(default=None, description="Names of those links, such as next.")
    included: Flag | None = Field(
        default=None, description="true: records that others refer to come along in `included`, as in JSON:API."
    )
    errors: Place | None = Field(
        default=None, description="JSON pointer to the error of an answer, or to a list of them; empty for the answer."
    )
    messages: tuple[_Name, ...] | None = Field(
        default=None, description="Members of an error that may hold its text; the first that is there counts."
    )
    filter: Literal["epcc", "query", "jsonapi", "postgrest"] | None = Field(
        default=None, description="How filters are spelled, unless a rule says otherwise."
    )
    filter_parameter: _Name | None = Field(default=None, description="Query parameter of filters, where there is one.")
    owner: OwnerShape | None = Field(
        default=None,
        description="How an owner stands in the body of a request: scalar, object, reference or references.",
    )
    owner_type: _Name | None = Field(default=None, description="The `type` of a reference to an owner.")
    trailing_slash: Flag | None = Field(
        default=None,
        description="true: the API's paths end with a slash. Clients may leave it out; in this file it may stand.",
    )
    found_by: Literal["path", "filter"] | None = Field(
        default=None,
        description="How a single record is asked for: by its path, or by a filter on the id of the path's list.",
    )
    paged_by_range: Flag | None = Field(
        default=None, description="true: a part of a list is a 206, and is judged like a whole one."
    )


_FORM_NAMES = {
    "list": "list_at",
    "record": "record_at",
    "body": "body_at",
    "id": "id_at",
    "fields": "fields_at",
    "total": "total_at",
    "page": "page_at",
    "links": "links_at",
    "errors": "errors_at",
    "included": "has_included",
    "filter": "dialect",
    "owner": "owner_shape",
    "trailing_slash": "has_slash",
    "paged_by_range": "is_paged_by_range",
}
_PLACES = frozenset({"list", "record", "body", "id", "fields", "total", "page", "links", "errors"})


def form(*sections: Records | None) -> RecordForm:
    """Return the form that sections describe together; a later one, that of a route, is laid over those before it."""
    made = MOLTIN
    for section in sections:
        if section is None:
            continue
        if section.preset is not None:
            made = PRESETS[section.preset]
        made = structs.replace(made, **dict(_said(section)))
    return made


def _said(section: Records) -> "list[tuple[str, Any]]":
    said: list[tuple[str, Any]] = []
    for name, value in section:
        if value is None or name == "preset":
            continue
        if name == "found_by":
            said.append(("is_found_by_filter", value == "filter"))
        elif name in _PLACES:
            said.append((_FORM_NAMES[name], None if value == "none" else split(value)))
        else:
            said.append((_FORM_NAMES.get(name, name), value))
    return said
