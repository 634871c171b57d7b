"""Binds an operation to the customer, or says why that cannot be: the rules of one route, from what is guessed. Pure.

Nothing is opened: without an owner that can be compared a route has no rules, and stays with trusted callers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.drafting import places
from gateway.drafting.form import places_apart
from gateway.drafting.operation import Operation
from gateway.drafting.owner import Customers, NoOwner, Owner, owner
from gateway.drafting.places import Places
from gateway.drafting.route import Drafted, Rule, pointer
from gateway.drafting.schema import Document, Schema
from gateway.drafting.template import parts
from gateway.routing import shape
from gateway.vocab.record_form import Ids, OwnerShape, RecordForm, Tokens

# Parameters that page and sort. What else a document lists may reach into other records.
_PASSING = re.compile(
    r"(page|per_page|perPage|page_size|pageSize|limit|offset|skip|take|cursor|sort|order|ordering|order_by|orderBy"
    r"|sort_by|sortBy|direction)(\[(number|size|limit|offset|cursor|after|before)\])?"
)
# Members that an owner may go by: no body may name one where its record is bound otherwise.
_NAMING = ("customer", "customer_id", "customerId", "user", "user_id", "userId", "owner", "owner_id", "ownerId")
# What customers may change of themselves: what is said of a person, and gives nobody a right.
_OF_A_PERSON = frozenset(
    "name first_name last_name firstName lastName firstname lastname phone phone_number phoneNumber company title"
    " salutation locale language birthday date_of_birth dateOfBirth".split()
)
# What an API answers by who asks; and it is the gateway that asks.
_ASKER = frozenset({"me", "self", "my", "mine", "current", "whoami"})
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class _Closed(Exception):  # noqa: N818 - says that a route stays closed, and why; it is never seen outside
    pass


@dataclass(frozen=True)
class Binder:
    """Binds the operations of one document. `looks` are its GETs of single records, by the shape of their path."""

    document: Document
    customers: Customers
    form: RecordForm
    looks: Mapping[str, Operation]

    def bind(self, operation: Operation, route: Drafted) -> Drafted:
        """Return the route with its rules, or closed with the reason."""
        try:
            return self._bound(operation, route)
        except _Closed as reason:
            return replace(route, closed=str(reason))

    def _bound(self, operation: Operation, route: Drafted) -> Drafted:
        template = parts(route.path)
        asker = [part.text for part in template if part.text in _ASKER and not part.is_parameter]
        if asker:
            raise _Closed(f"the API answers /{asker[0]} by who asks, and here the gateway asks: ask for the id instead")
        if template[-1].is_tail:
            raise _Closed("the path ends with a tail")
        if self.customers.path and shape(route.path).startswith(shape(self.customers.path)):
            below = len(template) - len(parts(self.customers.path))
            if below == 0:
                return self._collection_of_customers(operation, route)
            if below == 1 and template[-1].is_parameter:
                return self._customer(operation, route, template[-1].text)
            if template[-below].is_parameter:
                return self._below_customer(operation, route, template[-below].text)
        if template[-1].is_parameter:
            return self._by_id(operation, route)
        return self._collection(operation, route)

    # Customers

    def _collection_of_customers(self, operation: Operation, route: Drafted) -> Drafted:
        if operation.method == "POST":
            route = replace(route, passwords="register")
            raise_closed = "everybody could register: decide that yourself, with the lines that stand below"
            return replace(route, closed=raise_closed, told=self._registration(operation))
        if operation.method != "GET":
            raise _Closed("it changes the whole collection")
        found = self._found(operation, expects_list=True)
        self._must_be_list(found)
        at = (places.id_name(found.record) or "id",)
        scope = Rule("filter", {"field": at[0]}, "asks the API for the customer's own record only")
        return self._judged(replace(route, passwords="show", scope=(scope,)), operation, found, at, "a customer's own id")

    def _customer(self, operation: Operation, route: Drafted, parameter: str) -> Drafted:
        passwords = {"GET": "show", "PUT": "change", "PATCH": "change", "DELETE": "forget"}.get(operation.method)
        route = replace(route, passwords=passwords)
        if operation.method == "DELETE":
            return replace(route, closed="customers could delete themselves: decide that yourself")
        own = Rule("path_owner", {"parameter": parameter}, f"{{{parameter}}} must be the customer's own id, else 404")
        if operation.method == "GET":
            found = self._found(operation, expects_list=False)
            if found.is_list:
                raise _Closed("the answer is a list where one record is named")
            at = (places.id_name(found.record) or "id",)
            return self._judged(replace(route, scope=(own,)), operation, found, at, "a customer's own id")
        if operation.method == "POST":
            raise _Closed("what a POST of a customer does is not told")
        found = self._answer_of_write(operation, self._look_of(route.path))
        fields = [name for name in self._fields(operation) if name.rpartition("/")[2] in _OF_A_PERSON]
        if not fields:
            raise _Closed("no field of the body is known to be harmless in a customer's own hands")
        rule = Rule("body_fields", {"allow": fields}, "nothing else may be changed: not the e-mail, no rights")
        at = (places.id_name(found.record) or "id",)
        return self._judged(replace(route, scope=(own, rule)), operation, found, at, "a customer's own id")

    def _registration(self, operation: Operation) -> tuple[str, ...]:
        known = _OF_A_PERSON | {"email", "password", "type"}
        allowed = [name for name in self._fields(operation) if name.rpartition("/")[2] in known]
        fields = ", ".join(dict.fromkeys([*allowed, *(() if "email" in allowed else ("email",))]))
        return (
            "To let customers register, write in place of `trusted: open`:",
            f"  public: {{scope: [body_fields: {{allow: [{fields}]}}]}}",
            "  trusted: open",
        )

    def _below_customer(self, operation: Operation, route: Drafted, parameter: str) -> Drafted:
        own = Rule("path_owner", {"parameter": parameter}, f"{{{parameter}}} must be the customer's own id, else 404")
        is_by_id = parts(route.path)[-1].is_parameter
        if operation.method == "GET":
            found = self._found(operation, expects_list=not is_by_id)
            named = self._owner(found.record)
            return self._judged(replace(route, scope=(own,)), operation, found, named.at, named.reason)
        if is_by_id:
            raise _Closed("nothing proves that the record is part of what the path names before it")
        found = self._answer_of_write(operation, None)
        named = self._owner(found.record)
        scope = (own, *self._nobody_in_body(operation))
        return self._judged(replace(route, scope=scope), operation, found, named.at, named.reason)

    # Other records

    def _by_id(self, operation: Operation, route: Drafted) -> Drafted:
        if operation.method == "GET":
            found = self._found(operation, expects_list=False)
            if found.is_list:
                raise _Closed("the answer is a list where one record is named")
            named = self._owner(found.record)
            return self._judged(route, operation, found, named.at, named.reason)
        look = self._look_of(route.path)
        if look is None:
            raise _Closed("the document has no GET of the record, so that nobody can look whose it is before the write")
        named = self._owner(look.record)
        found = self._answer_of_write(operation, look)
        if found.at != look.at or self._owner(found.record).at != named.at:
            raise _Closed("the answer has another form than that of the GET which shows whose the record is")
        why = "looks first whose the record is: 404 unless it is the customer's"
        first = Rule("parent_owner", {"pointer": pointer(named.at)}, why)
        body = self._body_of_own(operation) if operation.method != "DELETE" else ()
        return self._judged(replace(route, scope=(first, *body)), operation, found, named.at, named.reason)

    def _collection(self, operation: Operation, route: Drafted) -> Drafted:
        above = self._parent(route.path)
        if above is not None:
            return self._below_record(operation, route, above)
        if any(part.is_parameter for part in parts(route.path)):
            raise _Closed("whose the record is that the path names is not known")
        if operation.method == "GET":
            found = self._found(operation, expects_list=True)
            self._must_be_list(found)
            named = self._owner(found.record)
            field, told = self._filter_field(operation, named)
            scope = Rule("filter", {"field": field}, f"asks the API for the customer's own records only, by {field}")
            route = replace(route, scope=(scope,), told=told)
            return self._judged(route, operation, found, named.at, named.reason)
        if operation.method != "POST":
            raise _Closed("it changes the whole collection")
        sent = places.body(self.document, operation)
        if sent is None:
            raise _Closed("the document does not say what the body holds")
        stamped = owner(self.document, sent.record, self.customers)
        if isinstance(stamped, NoOwner) or self._is_read_only(sent.record, stamped):
            raise _Closed("the body names no customer: the API would take its own caller, the gateway, for the owner")
        found = self._answer_of_write(operation, None)
        named = self._owner(found.record)
        scopes = self._stamped(operation, sent, stamped)
        return self._judged(replace(route, scope=scopes), operation, found, named.at, named.reason)

    def _below_record(self, operation: Operation, route: Drafted, above: tuple[str, Places, Owner]) -> Drafted:
        path, look, held = above
        name = parts(path)[-1].text
        options = {"path": path, "pointer": pointer(held.at)}
        first = Rule("parent_owner", options, f"looks first whose {path} is: 404 unless it is the customer's")
        if operation.method == "GET":
            found = self._found(operation, expects_list=True)
            scope: tuple[Rule, ...] = (first,)
        elif operation.method == "POST":
            found = self._answer_of_write(operation, None)
            scope = (first, *self._nobody_in_body(operation))
        else:
            raise _Closed("it changes all that lies below the record")
        if not found.is_list and found.at != look.at:
            raise _Closed("the answer has another form than that of the GET which shows whose the record is")
        route = replace(route, scope=scope)
        named = owner(self.document, found.record, self.customers)
        if isinstance(named, Owner):
            return self._judged(route, operation, found, named.at, named.reason, look)
        part = self._part_of(found.record, path)
        if part is None:
            raise _Closed(f"the records name neither a customer nor the {name} that they are part of")
        guard = Rule("belongs_to", {"parameter": name, "pointer": pointer(part)}, f"records leave of this {name} only")
        reason = f"{pointer(held.at)} of {path} names the owner, and {pointer(part)} of each record names that one"
        return replace(
            route,
            guess=reason,
            guard=(guard,),
            query=self._passing(operation),
            records=self._records(operation, found, look),
        )

    # Parts

    def _found(self, operation: Operation, *, expects_list: bool) -> Places:
        found = places.answer(self.document, operation, expects_list=expects_list)
        if found is None:
            raise _Closed("the document does not say what records the answer holds" if operation.answer is None else "no records are known in the answer")
        return found

    def _must_be_list(self, found: Places) -> None:
        if not found.is_list:
            raise _Closed("the answer is no list of records, and no id is in the path")

    def _answer_of_write(self, operation: Operation, otherwise: Places | None) -> Places:
        """Return what a write answers; a record like that of the GET where nothing is said."""
        found = places.answer(self.document, operation, expects_list=False)
        if found is None and otherwise is not None:
            found = otherwise
        if found is None or found.is_list:
            raise _Closed("the answer shows no record that could be judged")
        return found

    def _owner(self, record: Schema) -> Owner:
        named = owner(self.document, record, self.customers)
        if isinstance(named, NoOwner):
            raise _Closed(named.reason)
        return named

    def _look_of(self, path: str) -> Places | None:
        look = self.looks.get(shape(path))
        found = None if look is None else places.answer(self.document, look, expects_list=False)
        return None if found is None or found.is_list else found

    def _parent(self, path: str) -> tuple[str, Places, Owner] | None:
        """Return the nearest record above that has an owner: its path, what a GET of it shows, and the owner."""
        segments = path.strip("/").split("/")
        template = parts(path)
        for position in range(len(template) - 2, -1, -1):
            if not template[position].is_parameter:
                continue
            above = "/" + "/".join(segments[: position + 1])
            look = self._look_of(above)
            named = owner(self.document, look.record, self.customers) if look is not None else None
            if look is not None and isinstance(named, Owner):
                return above, look, named
            return None
        return None

    def _part_of(self, record: Schema, path: str) -> Tokens | None:
        """Return where a record names the one above it."""
        collection = parts(path)[-2].text if len(parts(path)) > 1 else ""
        word = collection.lower().removesuffix("s").replace("-", "_")
        title = "".join(piece.title() if at else piece for at, piece in enumerate(word.split("_")))
        for name in (f"{word}_id", f"{title}Id", word, title):
            schema = self.document.member(record, name)
            if word and schema is not None and schema.id_kind:
                return (name,)
        return None

    def _filter_field(self, operation: Operation, named: Owner) -> tuple[str, tuple[str, ...]]:
        """Return what a filter calls the owner, and what is to be known of that."""
        inner = {name: re.sub(r"^filter\[(.+)\]$", r"\1", name) for name in operation.query}
        candidates = (named.field, ".".join(named.at), named.at[0], named.at[-1], f"{named.at[0]}_id")
        for candidate in candidates:
            for given, bare in inner.items():
                if candidate != "id" and bare == candidate and NAME.fullmatch(bare):
                    return bare, (f"The document lists the parameter {given}.",)
        field = named.at[0] if named.shape is OwnerShape.OBJECT else named.field
        told = "The document lists no parameter for that. If the API ignores it, the guard withholds the whole list (502)."
        return field, (told,)

    def _fields(self, operation: Operation) -> list[str]:
        """Return the fields that a body may have, relative to its record."""
        sent = places.body(self.document, operation)
        if sent is None:
            return []
        fields: list[str] = []
        for name, node in sent.record.members.items():
            schema = self.document.schema(node)
            if not NAME.fullmatch(name) or schema.is_read_only or name == places.id_name(sent.record):
                continue
            if name == "attributes" and schema.members:
                fields += [f"{name}/{inner}" for inner in schema.members if NAME.fullmatch(inner)]
            elif name != "relationships":
                fields.append(name)
        return fields

    def _is_read_only(self, record: Schema, named: Owner) -> bool:
        return named.at[0] in record.members and self.document.schema(record.members[named.at[0]]).is_read_only

    def _stamped(self, operation: Operation, sent: Places, named: Owner) -> tuple[Rule, ...]:
        """Return the rules of a body that names its owner: only what the document lists, and the customer's own id."""
        at = {OwnerShape.OBJECT: named.at[:-1], OwnerShape.REFERENCE: named.at[:-2]}.get(named.shape, named.at)
        if named.shape is OwnerShape.REFERENCE:
            at = (*at, "data")
        own = "/".join(named.at[: 2 if named.at[0] in {"relationships", "attributes"} else 1])
        if not NAME.fullmatch(own.replace("/", "_")):
            raise _Closed("the owner's member has a name that the routing file cannot spell")
        fields = list(dict.fromkeys([*self._fields(operation), own]))
        allow = Rule("body_fields", {"allow": fields}, "only what the document lists; take out what is not a customer's to set")
        options: dict[str, Any] = {"pointer": pointer((*sent.at, *at)), "shape": str(named.shape)}
        if named.shape is OwnerShape.REFERENCE:
            options["type"] = parts(self.customers.path)[-1].text if self.customers.path else "customers"
        return (allow, Rule("body_stamp", options, "the body names the customer, whatever was sent; another id is 403"))

    def _body_of_own(self, operation: Operation) -> tuple[Rule, ...]:
        """Return the rules of a body that changes a record of the customer's own."""
        if not operation.has_body:
            return self._nobody_in_body(operation)
        sent = places.body(self.document, operation)
        if sent is None:
            raise _Closed("the document does not say what the body holds")
        named = owner(self.document, sent.record, self.customers)
        if isinstance(named, Owner) and not self._is_read_only(sent.record, named):
            return self._stamped(operation, sent, named)
        fields = [name for name in self._fields(operation) if name.partition("/")[0] not in _NAMING]
        if not fields:
            raise _Closed("the document does not say what the body holds")
        why = "only what the document lists; take out what is not a customer's to set"
        return (Rule("body_fields", {"allow": fields}, why),)

    def _nobody_in_body(self, operation: Operation) -> tuple[Rule, ...]:
        if operation.has_body:
            fields = [name for name in self._fields(operation) if name.partition("/")[0] not in _NAMING]
            if not fields:
                raise _Closed("the document does not say what the body holds")
            why = "only what the document lists; take out what is not a customer's to set"
            return (Rule("body_fields", {"allow": fields}, why),)
        return (Rule("body_fields", {"forbid": list(_NAMING)}, "no body may name an owner"),)

    def _judged(  # noqa: PLR0913, PLR0917 - what is known of one route
        self,
        route: Drafted,
        operation: Operation,
        found: Places,
        at: Tokens,
        reason: str,
        look: Places | None = None,
    ) -> Drafted:
        """Return the route with its guard, and with what its records have elsewhere."""
        if not all(map(NAME.fullmatch, at)):
            raise _Closed("the owner's member has a name that the routing file cannot spell")
        guard = Rule("owner", {"pointer": pointer(at)}, f"nothing leaves unless {pointer(at)} is the customer's own id")
        records = self._records(operation, found, look)
        return replace(route, guess=reason, guard=(guard,), query=self._passing(operation), records=records)

    def _passing(self, operation: Operation) -> tuple[str, ...]:
        return tuple(name for name in operation.query if _PASSING.fullmatch(name)) if operation.method == "GET" else ()

    def _records(self, operation: Operation, found: Places, look: Places | None) -> dict[str, Any]:
        """Return what the records of a route have elsewhere than the file says."""
        sent = places.body(self.document, operation)
        made = places_apart(
            self.form,
            list_at=found.at if found.is_list else None,
            record_at=found.at if not found.is_list else None if look is None else look.at,
            body_at=None if sent is None else sent.at,
        )
        kind = self._kind(found)
        if kind and self.form.ids is not Ids.EITHER and kind != str(self.form.ids):
            made["ids"] = kind
        name = places.id_name(found.record)
        if name is not None and name != self.form.id_at[-1]:
            made["id"] = f"/{name}"
        return made

    def _kind(self, found: Places) -> str:
        """Return what the ids of a record and of its owner are, as a file says it."""
        name = places.id_name(found.record)
        schema = None if name is None else self.document.member(found.record, name)
        named = owner(self.document, found.record, self.customers)
        kinds = {"" if schema is None else schema.id_kind, named.kind if isinstance(named, Owner) else ""} - {""}
        return "" if not kinds else kinds.pop() if len(kinds) == 1 else str(Ids.EITHER)
