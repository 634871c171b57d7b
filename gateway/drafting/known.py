"""What is known of the records of one document: where they stand, whose they are, what shows that before. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.drafting import places
from gateway.drafting.bodies import NAME
from gateway.drafting.form import places_apart
from gateway.drafting.operation import Operation
from gateway.drafting.owner import Customers, NoOwner, Owner, owner
from gateway.drafting.places import Places
from gateway.drafting.route import Closed, Rule, pointer
from gateway.drafting.schema import Document, Schema
from gateway.drafting.template import parts
from gateway.routing import shape
from gateway.vocab.record_form import Ids, OwnerShape, RecordForm, Tokens

# Parameters that hold whole conditions, each API's in a language of its own.
_LANGUAGES = ("where", "$filter", "q", "query", "search")


@dataclass(frozen=True)
class Known:
    """What a document says of its records. `looks` are its GETs of single records, by the shape of their path."""

    document: Document
    customers: Customers
    form: RecordForm
    looks: Mapping[str, Operation]

    def found(self, operation: Operation, *, expects_list: bool) -> Places:
        """Return where the records of an answer stand; Closed where it shows none."""
        found = places.answer(self.document, operation, expects_list=expects_list)
        if found is None:
            told = "no records are known in the answer"
            raise Closed(told if operation.answer is not None else "the document does not say what the answer holds")
        return found

    def answer_of_write(self, operation: Operation, otherwise: Places | None) -> Places:
        """Return what a write answers; a record like that of the GET where nothing is said."""
        found = places.answer(self.document, operation, expects_list=False)
        if found is None and otherwise is not None:
            found = otherwise
        if found is None or found.is_list:
            raise Closed("the answer shows no record that could be judged")
        return found

    def owner_of(self, record: Schema) -> Owner:
        """Return who owns a record; Closed where that is nobody."""
        named = owner(self.document, record, self.customers)
        if isinstance(named, NoOwner):
            raise Closed(named.reason)
        return named

    def look_of(self, path: str) -> Places | None:
        """Return what a GET of the record at a path shows; None where there is no such GET."""
        look = self.looks.get(shape(path))
        found = None if look is None else places.answer(self.document, look, expects_list=False)
        return None if found is None or found.is_list else found

    def parent(self, path: str) -> tuple[str, Places, Owner] | None:
        """Return the nearest record above that has an owner: its path, what a GET of it shows, and the owner."""
        segments = path.strip("/").split("/")
        template = parts(path)
        for position in range(len(template) - 2, -1, -1):
            if not template[position].is_parameter:
                continue
            above = "/" + "/".join(segments[: position + 1])
            look = self.look_of(above)
            named = owner(self.document, look.record, self.customers) if look is not None else None
            if look is not None and isinstance(named, Owner):
                return above, look, named
            return None
        return None

    def part_of(self, record: Schema, path: str) -> Tokens | None:
        """Return where a record names the one above it."""
        collection = parts(path)[-2].text if len(parts(path)) > 1 else ""
        word = collection.lower().removesuffix("s").replace("-", "_")
        title = "".join(piece.title() if at else piece for at, piece in enumerate(word.split("_")))
        for name in (f"{word}_id", f"{title}Id", word, title):
            schema = self.document.member(record, name)
            if word and schema is not None and schema.id_kind:
                return (name,)
        return None

    def filter_rules(self, operation: Operation, named: Owner) -> tuple[Rule, ...]:
        """Return the rule that asks for the customer's own records."""
        field, _ = self.filter_field(operation, named)
        return (Rule("filter", {"field": field}, f"asks the API for the customer's own records only, by {field}"),)

    def filter_field(self, operation: Operation, named: Owner) -> tuple[str, tuple[str, ...]]:
        """Return what a filter calls the owner, and what is to be known of that."""
        inner = {name: re.sub(r"^filter\[(.+)\]$", r"\1", name) for name in operation.query}
        first = named.at[0]
        joined = (".".join(named.at), "__".join(named.at))
        candidates = (named.field, *joined, first, named.at[-1], f"{first}_id", f"{first}Id")
        for candidate in candidates:
            for given, bare in inner.items():
                if candidate != "id" and bare == candidate and NAME.fullmatch(bare):
                    return bare, (f"The document lists the parameter {given}.",)
        field = named.at[0] if named.shape is OwnerShape.OBJECT else named.field
        own = next((name for name in _LANGUAGES if name in operation.query), None)
        listed = (
            f"{own}, perhaps a language of its own, and none that is written here" if own else "no parameter for that"
        )
        return field, (f"The document lists {listed}. If the API ignores {field}, the guard withholds the list (502).",)

    def records(self, operation: Operation, found: Places, look: Places | None) -> dict[str, Any]:
        """Return what the records of a route have elsewhere than the file says."""
        sent = places.body(self.document, operation)
        made = places_apart(
            self.form,
            list_at=found.at if found.is_list else None,
            record_at=found.at if not found.is_list else None if look is None else look.at,
            body_at=None if sent is None else sent.at,
        )
        if found.is_list and found.at and found.total_at not in {None, self.form.total_at}:
            # Nothing leaves beside a list but what is said to stand there.
            made["total"] = pointer(found.total_at)
        kind = self.kind(found)
        if kind and self.form.ids is not Ids.EITHER and kind != str(self.form.ids):
            made["ids"] = kind
        name = places.id_name(found.record)
        if name is not None and name != self.form.id_at[-1]:
            made["id"] = f"/{name}"
        return made

    def kind(self, found: Places) -> str:
        """Return what the ids of a record and of its owner are, as a file says it."""
        name = places.id_name(found.record)
        schema = None if name is None else self.document.member(found.record, name)
        named = owner(self.document, found.record, self.customers)
        kinds = {"" if schema is None else schema.id_kind, named.kind if isinstance(named, Owner) else ""} - {""}
        return "" if not kinds else kinds.pop() if len(kinds) == 1 else str(Ids.EITHER)
