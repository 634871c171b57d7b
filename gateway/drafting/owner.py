"""Guesses whose a record is: who the customers of an API are, and which member of a record names one. Pure.

A guess says why. A member that may name somebody else, such as one of the staff, is none: ids of two collections may be
equal, and customer 7 is not user 7.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.drafting.schema import Document, Schema
from gateway.drafting.template import parts
from gateway.vocab.record_form import OwnerShape, Tokens

# Who a shop may call its customers, the surest first.
_PEOPLE = ("customer", "user", "account", "member", "shopper", "buyer", "client")
# What a record may call its owner besides. An account or a member may be a company's, and is taken only where the
# customers are called so.
_GUESSED = ("customer", "user", "shopper", "buyer", "owner")
# What `customers.path` may be made of.
_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")
_KINDS = (("string", "text"), ("integer", "number"), ("number", "number"))
# JSON:API's parts of a record.
_GROUPS = ("relationships", "attributes")


@dataclass(frozen=True, slots=True)
class Customers:
    """Who the customers are: their collection, what one of them is called, and what is known of a record of theirs.

    `others` are what further collections call their people: a member named so is not a customer.
    """

    path: str = ""
    word: str = "customer"
    record: Schema | None = None
    others: frozenset[str] = frozenset()
    id_kind: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a record names its owner, how it stands there, what kind of id it is, and why that is believed."""

    at: Tokens
    shape: OwnerShape
    kind: str
    reason: str

    @property
    def field(self) -> str:
        """What a filter would call it."""
        if self.at[0] in _GROUPS:
            return self.at[1]
        return ".".join(self.at) if self.shape is OwnerShape.OBJECT else self.at[-1]


@dataclass(frozen=True, slots=True)
class NoOwner:
    """That a record names nobody, or nobody who is known to be a customer; `reason` says which."""

    reason: str


def people(paths: Iterable[str]) -> Mapping[str, str]:
    """Return the collections of people: what one of them is called, and the shortest of these paths.

    `paths` are those that can be read; who cannot be looked up is no customer.
    """
    found: dict[str, str] = {}
    for path in sorted(paths, key=len):
        segments = parts(path)
        word = _singular(segments[-1].text)
        if word in _PEOPLE and all(_LITERAL.fullmatch(part.text) and not part.is_parameter for part in segments):
            found.setdefault(word, path)
    return {word: found[word] for word in _PEOPLE if word in found}


def _singular(word: str) -> str:
    return word.lower().removesuffix("s")


def spellings(word: str) -> Iterator[str]:
    """Yield the names of a member that holds who is called like this."""
    title = word.title()
    yield from (f"{word}_id", f"{word}Id", f"{title}Id", f"{word}ID", f"{word}_uuid", f"{word}Uuid", word, title)


def owner(document: Document, record: Schema, customers: Customers) -> Owner | NoOwner:
    """Return which member of a record names its owner."""
    refused: list[str] = []
    for word in _words(customers):
        for at, node in _members(document, record, word):
            why_not = _not_customers(word, customers)
            schema = document.schema(node)
            made = _owner(document, at, schema, _reason(word, at, schema, customers))
            if made is None:
                continue
            if why_not or _differs(made, customers):
                kinds = f"its ids are {made.kind}, those of {customers.path} {customers.id_kind}"
                refused.append(f"{'/'.join(at)}: {why_not or kinds}")
            else:
                return made
    return NoOwner("; ".join(refused) or "no member of the record is known to name its customer")


def _words(customers: Customers) -> Iterator[str]:
    yield from dict.fromkeys((customers.word, *_GUESSED))


def _members(document: Document, record: Schema, word: str) -> Iterator[tuple[Tokens, object]]:
    """Yield the members of a record that are called like this, those of JSON:API's groups first."""
    for group in _GROUPS:
        inner = document.member(record, group)
        if inner is not None:
            yield from (((group, name), inner.members[name]) for name in spellings(word) if name in inner.members)
    yield from (((name,), record.members[name]) for name in spellings(word) if name in record.members)


def _owner(document: Document, at: Tokens, schema: Schema, reason: str) -> Owner | None:
    """Return what an owner at this place is; None where nobody can be named there."""
    if schema.id_kind:
        return Owner(at, OwnerShape.SCALAR, schema.id_kind, reason)
    if at[0] == "relationships":
        data = document.member(schema, "data")
        inner = document.member(data, "id") if data is not None and not data.is_list else None
        made = (*at, "data", "id")
        return Owner(made, OwnerShape.REFERENCE, inner.id_kind, reason) if inner is not None else None
    kinds = [kind for name, kind in _KINDS if name in schema.types]
    if kinds and "array" not in schema.types:
        # An id, or the record itself where it was asked for: we do not ask.
        return Owner(at, OwnerShape.SCALAR, kinds[0] if len({*kinds}) == 1 else "", reason)
    inner = document.member(schema, "id") if schema.is_object else None
    return Owner((*at, "id"), OwnerShape.OBJECT, inner.id_kind, reason) if inner is not None and inner.id_kind else None


def _not_customers(word: str, customers: Customers) -> str:
    if word == customers.word:
        return ""
    if word in customers.others:
        return f"names one of another collection of people than {customers.path}"
    if word == "owner" and customers.others:
        return f"may name one of another collection of people than {customers.path}"
    own = customers.record.members if customers.record is not None else {}
    if any(name in own for name in spellings(word)):
        return f"a record of {customers.path} has a {word} of its own, so that the two have different ids"
    return ""


def names_somebody(name: str, customers: Customers) -> bool:
    """Tell whether a member may name an owner, whoever that is."""
    return any(name in spellings(word) for word in _words(customers))


def _differs(made: Owner, customers: Customers) -> bool:
    return bool(made.kind and customers.id_kind and made.kind != customers.id_kind)


def _reason(word: str, at: Tokens, schema: Schema, customers: Customers) -> str:
    place = "/" + "/".join(at)
    if customers.record is not None and schema.names & customers.record.names:
        return f"{place} is a record of {customers.path}"
    if customers.path and word == customers.word:
        return f"{place} is called like the records of {customers.path}"
    return f"{place} is called {word}; that this is a customer is said nowhere, so look whether it is"
