"""What a customer may send: the rules of a body, from what a document lists of it. Pure.

Only fields that are listed pass, and the one that names an owner is stamped. A body that may name somebody in its
depth, or whose depth is not told, is nobody's to send but a trusted caller's.
"""

import re
from dataclasses import dataclass
from typing import Any

from gateway.drafting import places
from gateway.drafting.operation import Operation
from gateway.drafting.owner import Customers, Owner, names_somebody, owner
from gateway.drafting.places import Places
from gateway.drafting.route import Closed, Rule, pointer
from gateway.drafting.schema import Document, Schema
from gateway.drafting.template import parts
from gateway.vocab.record_form import OwnerShape

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""A name that stands in a routing file as it is."""
# What is said of a person, and gives nobody a right.
OF_A_PERSON = frozenset(
    {"name", "first_name", "last_name", "firstName", "lastName", "firstname", "lastname", "phone", "phone_number"}
    | {"phoneNumber", "company", "title", "salutation", "locale", "language", "birthday", "date_of_birth"}
)
# What is asked of an answer rather than told of a record: it may bring other people's records along.
_ASKED = frozenset({"associations", "include", "includes", "expand", "populate", "embed", "fields", "aggregations"})
# How deep a body is searched for somebody's name.
_DEEPEST = 4
_WHY = "only what the document lists; take out what is not a customer's to set"


@dataclass(frozen=True)
class Bodies:
    """Makes the rules of bodies of one document."""

    document: Document
    customers: Customers

    def fields(self, operation: Operation) -> list[str]:
        """Return the fields that a body may have, relative to its record; those that name an owner are left out."""
        sent = places.body(self.document, operation)
        if sent is None:
            return []
        found: list[str] = []
        for name, node in sent.record.members.items():
            schema = self.document.schema(node)
            if name == "attributes" and schema.members:
                found += [f"{name}/{inner}" for inner in schema.members if self._passes(inner, sent)]
            elif name != "relationships" and self._passes(name, sent) and not schema.is_read_only:
                found.append(name)
        return found

    def _passes(self, name: str, sent: Places) -> bool:
        is_free = name not in _ASKED and name != places.id_name(sent.record)
        return is_free and NAME.fullmatch(name) is not None and not names_somebody(name, self.customers)

    def of_a_new_record(self, operation: Operation) -> tuple[Rule, ...]:
        """Return the rules of a body that makes a record; Closed where it does not name its owner."""
        sent = self._sent(operation)
        named = self._named(sent)
        if named is None:
            raise Closed("the body names no customer: the API would take its own caller, the gateway, for the owner")
        return self._stamped(operation, sent, named)

    def of_own_record(self, operation: Operation) -> tuple[Rule, ...]:
        """Return the rules of a body that changes a record of the customer's own, or adds to it."""
        if not operation.has_body:
            forbidden = ["customer", "customer_id", "user", "user_id", "owner", "owner_id"]
            return (Rule("body_fields", {"forbid": forbidden}, "no body may name an owner"),)
        sent = self._sent(operation)
        named = self._named(sent)
        if named is not None:
            return self._stamped(operation, sent, named)
        return (self._allowed(self.fields(operation)),)

    def _sent(self, operation: Operation) -> Places:
        sent = places.body(self.document, operation)
        if sent is None:
            raise Closed("the document does not say what the body holds")
        deep = self._deep(sent.record)
        if deep:
            raise Closed(f"the body may name somebody else, or is not told, at {deep}")
        return sent

    def _deep(self, record: Schema) -> str:
        """Return where, below its first members, a body may name somebody, or may hold what is not told."""
        if record.is_open:
            return "its top"
        waiting = [(f"/{name}", node, names_somebody(name, self.customers)) for name, node in record.members.items()]
        seen: set[tuple[str, ...]] = set()
        while waiting:
            place, node, is_owner = waiting.pop()
            references = self.document.resolved(node)[1]
            schema = self.document.schema(node)
            inner = self.document.schema(schema.items) if schema.is_list else schema
            if inner.is_open and not is_owner:
                return place
            # An owner is judged as one; and who has been looked at once holds nobody the second time either.
            if is_owner or references in seen or place.count("/") > _DEEPEST:
                continue
            seen |= {references} if references else set()
            for name, below in inner.members.items():
                if name in {"attributes", "relationships"} or place in {"/attributes", "/relationships"}:
                    waiting.append((f"{place}/{name}", below, names_somebody(name, self.customers)))
                elif names_somebody(name, self.customers):
                    return f"{place}/{name}"
                else:
                    waiting.append((f"{place}/{name}", below, False))
        return ""

    def _named(self, sent: Places) -> Owner | None:
        named = owner(self.document, sent.record, self.customers)
        if not isinstance(named, Owner):
            return None
        first = sent.record.members.get(named.at[0])
        return None if self.document.schema(first).is_read_only else named

    def _allowed(self, fields: list[str]) -> Rule:
        if not fields:
            raise Closed("the document does not say what the body holds")
        return Rule("body_fields", {"allow": fields}, _WHY)

    def _stamped(self, operation: Operation, sent: Places, named: Owner) -> tuple[Rule, ...]:
        """Return the rules of a body that names its owner: only what is listed, and the customer's own id."""
        at = {OwnerShape.OBJECT: named.at[:-1], OwnerShape.REFERENCE: named.at[:-1]}.get(named.shape, named.at)
        own = "/".join(named.at[: 2 if named.at[0] in {"relationships", "attributes"} else 1])
        allow = self._allowed([*self.fields(operation), own])
        options: dict[str, Any] = {"pointer": pointer((*sent.at, *at)), "shape": str(named.shape)}
        if named.shape is OwnerShape.REFERENCE:
            options["type"] = parts(self.customers.path)[-1].text if self.customers.path else "customers"
        why = "the body names the customer, whatever was sent; another id is 403"
        return (allow, Rule("body_stamp", options, why))
