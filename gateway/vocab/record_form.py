"""How an API speaks of records: where they stand in its answers and bodies, and what their ids are. Values only.

Guards, rules, look-ups and the tools read one description; none of them knows an API by its name. Places are the tokens
of JSON pointers; the empty place is the document itself.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from msgspec import UNSET, Struct

Tokens = tuple[str, ...]
"""The reference tokens of a JSON pointer (RFC 6901)."""


class Ids(StrEnum):
    """What an id is in JSON. In paths, filters and tokens it is its text."""

    TEXT = "text"
    NUMBER = "number"
    EITHER = "either"


class OwnerShape(StrEnum):
    """How an owner stands in a body: its id, an object with it, a reference of JSON:API, or a list of one."""

    SCALAR = "scalar"
    OBJECT = "object"
    REFERENCE = "reference"
    REFERENCES = "references"


class RecordForm(Struct, frozen=True, kw_only=True, cache_hash=True):
    """How an API speaks.

    `list_at` is where the array of a list stands, `record_at` a single record, `body_at` the record of a body. A
    `record_at` one step below `list_at`, named 0, is the only record of such an array. A record has its fields at
    `fields_at`. `total_at` holds the number of
    records, `page_at` an object of `limit`, `offset`, `current` and `total` (pages); a page whose size nobody says has
    `page_size` records. Of the object at `links_at` `link_names` are links to pages of the same list. `errors_at` holds
    errors, one or many, each with its text under the first of `messages` that is there.

    `has_slash`: paths end with a slash. `is_found_by_filter`: a single record is a list, filtered by its id.
    `is_paged_by_range`: part of a list is a 206.
    """

    list_at: Tokens
    record_at: Tokens
    body_at: Tokens
    id_at: Tokens = ("id",)
    fields_at: Tokens = ()
    ids: Ids = Ids.TEXT
    total_at: Tokens | None = None
    page_at: Tokens | None = None
    page_size: int | None = None
    links_at: Tokens | None = None
    link_names: tuple[str, ...] = ()
    has_included: bool = False
    errors_at: Tokens = ("errors",)
    messages: tuple[str, ...] = ("detail", "message")
    dialect: str = "query"
    filter_parameter: str = "filter"
    owner_shape: OwnerShape = OwnerShape.SCALAR
    owner_type: str = "customer"
    has_slash: bool = False
    is_found_by_filter: bool = False
    is_paged_by_range: bool = False

    @property
    def is_only_of_list(self) -> bool:
        """Whether a single record is the only one of an array."""
        return self.record_at == (*self.list_at, "0")

    @property
    def rewrites_paths(self) -> bool:
        """Whether a record has another path upstream than it has here."""
        return self.has_slash or self.is_found_by_filter


class Shown(Struct, frozen=True):
    """The records of an answer: those of a list, or a single one. `included` is what came along, if anything did."""

    records: list[Any]
    is_list: bool
    form: RecordForm
    included: Any = UNSET


MOLTIN: Final = RecordForm(
    list_at=("data",),
    record_at=("data",),
    body_at=("data",),
    ids=Ids.EITHER,
    total_at=("meta", "results", "total"),
    page_at=("meta", "page"),
    links_at=("links",),
    link_names=("current", "first", "last", "next", "prev", "self"),
    has_included=True,
    dialect="epcc",
    owner_shape=OwnerShape.OBJECT,
)

PRESETS: Final[Mapping[str, RecordForm]] = MappingProxyType(
    {
        "moltin": MOLTIN,
        # JSON:API 1.1: ids are strings (section "Identification"), pages are links (section "Pagination").
        "jsonapi": RecordForm(
            list_at=("data",),
            record_at=("data",),
            body_at=("data",),
            total_at=("meta", "page", "total"),
            page_at=("meta", "page"),
            fields_at=("attributes",),
            links_at=("links",),
            link_names=("first", "last", "next", "prev", "self"),
            has_included=True,
            dialect="jsonapi",
            owner_shape=OwnerShape.REFERENCE,
            owner_type="customers",
        ),
        # Bare records and arrays, such as json-server's; totals and links stand in header lines.
        "rest": RecordForm(
            list_at=(), record_at=(), body_at=(), ids=Ids.EITHER, errors_at=(), messages=("detail", "message", "error")
        ),
        # Django REST framework: PageNumberPagination and LimitOffsetPagination write the same members.
        "drf": RecordForm(
            list_at=("results",),
            record_at=(),
            body_at=(),
            ids=Ids.NUMBER,
            total_at=("count",),
            links_at=(),
            link_names=("next", "previous"),
            errors_at=(),
            has_slash=True,
        ),
        # PostgREST: a table is a path, and one of its records a filter.
        "postgrest": RecordForm(
            list_at=(),
            record_at=("0",),
            body_at=(),
            ids=Ids.NUMBER,
            errors_at=(),
            dialect="postgrest",
            is_found_by_filter=True,
            is_paged_by_range=True,
        ),
    }
)
"""What a routing file may call by a name."""
