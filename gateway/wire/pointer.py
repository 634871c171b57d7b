"""JSON pointers (RFC 6901) into decoded documents, and the reading of owners and references. Pure."""

import re
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from gateway.vocab.record_form import Ids
from gateway.wire import meant

# RFC 6901 section 3, without the empty names that it allows: a slash too much is more likely than a member "".
_GRAMMAR: Final = "(/([^/~]|~[01])+)+"


class Reading(Enum):
    """What stands where an owner's id should, when it is no id."""

    NOBODY = "nobody"
    UNREADABLE = "unreadable"


NUMBER: Final = "(?:0|[1-9][0-9]{0,17})"
"""The canonical text of an id that is a number: as many digits as fit into 64 bits, with which databases count."""
_is_number: Final = re.compile(NUMBER).fullmatch

MISSING: Final = object()
"""The answer where a pointer leads nowhere."""


def split(pointer: str) -> tuple[str, ...]:
    """Return the reference tokens of a pointer; ValueError when it is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError("a JSON pointer is empty or begins with a slash, such as /data/id")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _checked(pointer: str) -> str:
    if re.fullmatch(_GRAMMAR, pointer):
        return pointer
    what = "in a JSON pointer ~ is written ~0, and / in a name is written ~1"
    if not pointer.startswith("/"):
        what = "a JSON pointer begins with a slash, such as /data/id"
    elif pointer.endswith("/") or "//" in pointer:
        what = "a JSON pointer has a name after each slash, such as /data/id"
    raise ValueError(what + meant.pointer(pointer))


Pointer = Annotated[
    str,
    AfterValidator(_checked),
    Field(examples=["/id", "/relationships/customer/data/id"], json_schema_extra={"pattern": f"^{_GRAMMAR}$"}),
]
"""The option type of rules: a pointer to a member. The whole document, which is no owner, has the empty pointer."""


def _checked_place(pointer: str) -> str:
    return _checked(pointer) if pointer else pointer


Place = Annotated[
    str,
    AfterValidator(_checked_place),
    Field(examples=["/data", ""], json_schema_extra={"pattern": f"^({_GRAMMAR})?$"}),
]
"""A pointer to what may be the whole document, which the empty one is."""


def resolve(document: Any, tokens: tuple[str, ...]) -> Any:
    """Return what `tokens` lead to through objects, or MISSING. Arrays are not entered: an owner is one, not many."""
    # Mostly it is there: no look before each step (saves a third). An array has no member by a text.
    try:
        for token in tokens:
            document = document[token]
    except (LookupError, TypeError):
        return MISSING
    return document


def placed(document: Any, tokens: tuple[str, ...], value: Any) -> Any:
    """Return a copy of a document with `value` at the place that `tokens` lead to; objects on the way are made."""
    if not tokens:
        return value
    first, *rest = tokens
    inner = document.get(first) if isinstance(document, dict) else None
    return (document if isinstance(document, dict) else {}) | {first: placed(inner, tuple(rest), value)}


def owner_at(record: Any, tokens: tuple[str, ...], ids: Ids = Ids.EITHER) -> str | Reading:
    """Read the owner's id of a record.

    An explicit null, a missing member above the last one, an empty array on the way (so does PHP write an object
    without members), or a reference without any member (`{"data": {}}`) is NOBODY (a guest's record). A relationship
    object that is there but does not say whose (`{}`, `{"links": ...}`) is UNREADABLE, as is every other shape: a
    record that cannot be read belongs to no caller and is no guest's either.
    """
    is_reference = tokens[-2:] == ("data", "id")
    may_miss = len(tokens) - (2 if is_reference else 1)
    value = record
    for depth, token in enumerate(tokens):
        if depth and (value == [] or (value == {} and is_reference and depth == len(tokens) - 1)):
            return Reading.NOBODY
        if not isinstance(value, dict):
            return Reading.UNREADABLE
        if token not in value:
            return Reading.NOBODY if depth < may_miss else Reading.UNREADABLE
        value = value[token]
        if value is None:
            return Reading.NOBODY
    return id_text(value, ids) or Reading.UNREADABLE


def id_text(value: object, ids: Ids = Ids.EITHER) -> str | None:
    """Return the canonical text of an id: a text is its own, an integer its digits; None for what no id is.

    Many back ends count their records. `1e1`, `17.0` and -0 have other spellings and are no ids; true is an int in
    Python and an id nowhere. Where an API's ids are numbers a text is none, and the other way round.
    """
    if isinstance(value, str):
        return value or None if ids is not Ids.NUMBER else None
    return str(value) if type(value) is int and ids is not Ids.TEXT else None


def is_id(text: str, ids: Ids) -> bool:
    """Tell whether a text of a path or token can be an id: where ids are numbers, it is the canonical text of one.

    `07` is 7 to many a server, and no id that a record ever has.
    """
    return ids is not Ids.NUMBER or _is_number(text) is not None


def is_respelled(asked: str, answered: object) -> bool:
    """Tell whether an API may have taken what it was asked for as another spelling of the id that it answered.

    By case, as UUIDs are, or as a number. Then no records are mixed up: it was asked for what is no id.
    """
    if not isinstance(answered, str):
        return False
    is_number = is_id(answered, Ids.NUMBER) and not is_id(asked, Ids.NUMBER)
    return is_number or asked.casefold() == answered.casefold()


def references(record: Any) -> frozenset[tuple[str, str]]:
    """Return what a JSON:API record refers to, as (relationship name, id) and (type, id)."""
    found: set[tuple[str, str]] = set()
    relationships = record.get("relationships") if isinstance(record, dict) else None
    if not isinstance(relationships, dict):
        return frozenset()
    for name, relationship in relationships.items():
        linked = relationship.get("data") if isinstance(relationship, dict) else None
        for reference in linked if isinstance(linked, list) else [linked]:
            if isinstance(reference, dict) and (referred := id_text(reference.get("id"))) is not None:
                found.add((name, referred))
                if isinstance(reference.get("type"), str):
                    found.add((reference["type"], referred))
    return frozenset(found)
