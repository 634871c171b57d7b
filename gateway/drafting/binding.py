"""Binds an operation to the customer, or says why that cannot be: the rules of one route, from what is guessed. Pure.

Nothing is opened: without an owner that can be compared a route has no rules, and stays with trusted callers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.drafting import places
from gateway.drafting.bodies import NAME, OF_A_PERSON, Bodies
from gateway.drafting.known import Known
from gateway.drafting.operation import Operation
from gateway.drafting.owner import Owner, owner
from gateway.drafting.places import Places
from gateway.drafting.route import Closed, Drafted, Rule, pointer
from gateway.drafting.template import parts
from gateway.vocab.record_form import Tokens

# Parameters that page and sort. What else a document lists may reach into other records.
_PASSING = re.compile(
    r"(page|per_page|perPage|page_size|pageSize|limit|offset|skip|take|cursor|sort|order|ordering|order_by|orderBy"
    r"|sort_by|sortBy|direction|after|before|starting_after|ending_before)(\[(number|size|limit|offset|cursor|after|before)\])?"
)
# Which version of a record is to be changed or deleted.
_CONDITION = re.compile("version")
# What an API answers by who asks; and it is the gateway that asks.
_ASKER = frozenset({"me", "self", "my", "mine", "current", "whoami"})
# The same in words: "orders of the logged-in customer", "the current user's orders". Many call whoever may ask so, too.
_OF_THE_ASKER = re.compile(
    r"(\b(of|for) (the |a )?(currently )?{0} {1}\b(?!s)|\b{0} {1}['\u2019]s?\b)".format(
        r"(logged[- ]?in|signed[- ]?in|authenticated|current)", r"(customer|user|account|member|shopper|buyer)"
    ),
    re.IGNORECASE,
)
_ANYBODYS = "The document asks nobody for a credential here. If it is the same for everybody, open it, as said above."
# What is for a shop's own people, whoever owns the records.
_STAFF = frozenset({"admin", "administration", "backoffice", "internal", "private", "staff", "management"})
_NO_LOOK = "the document has no GET of the record, so that nobody can look whose it is before the write"
_OTHER_FORM = "the answer has another form than that of the GET which shows whose the record is"
_IDS = re.compile(r"(.*_)?(id|uuid|guid|pk)")


@dataclass(frozen=True)
class Binder:
    """Binds the operations of one document."""

    known: Known

    @property
    def _bodies(self) -> Bodies:
        return Bodies(self.known.document, self.known.customers)

    def bind(self, operation: Operation, route: Drafted) -> Drafted:
        """Return the route with its rules, or closed with the reason."""
        try:
            return self._bound(operation, route)
        except Closed as reason:
            told = (_ANYBODYS,) if operation.is_anybodys and operation.method == "GET" else ()
            return replace(route, closed=str(reason), told=told)

    def _bound(self, operation: Operation, route: Drafted) -> Drafted:
        template = parts(route.path)
        asker = [part.text for part in template if part.text in _ASKER and not part.is_parameter]
        if asker:
            raise Closed(f"the API answers /{asker[0]} by who asks, and here the gateway asks: ask for the id instead")
        staff = [part.text for part in template if part.text.lower() in _STAFF and not part.is_parameter]
        if staff:
            raise Closed(f"its path says that it is for the shop's own people: /{staff[0]}")
        collection = parts(self.known.customers.path) if self.known.customers.path else ()
        if collection and template[: len(collection)] == collection:
            below = len(template) - len(collection)
            if below == 0:
                return self._collection_of_customers(operation, route)
            if template[-below].is_parameter:
                parameter = template[-below].text
                if not _IDS.fullmatch(parameter) and parameter != self.known.customers.word:
                    raise Closed(f"the path names a customer by {parameter}, and tokens do by the id")
                way = self._customer if below == 1 else self._below_customer
                return way(operation, route, parameter)
        if template[-1].is_parameter:
            return self._by_id(operation, route)
        return self._collection(operation, route)

    # Customers

    def _collection_of_customers(self, operation: Operation, route: Drafted) -> Drafted:
        if operation.method == "POST":
            route = replace(route, passwords="register")
            why = "everybody could register: decide that yourself, with the lines that stand below"
            return replace(route, closed=why, told=self._registration(operation))
        if operation.method != "GET":
            raise Closed("it changes the whole collection")
        found = self.known.found(operation, expects_list=True)
        self._must_be_list(found)
        at = (places.id_name(found.record) or "id",)
        scope = Rule("filter", {"field": at[0]}, "asks the API for the customer's own record only")
        return self._judged(replace(route, passwords="show", scope=(scope,)), operation, found, at, self._own_id)

    def _customer(self, operation: Operation, route: Drafted, parameter: str) -> Drafted:
        passwords = {"GET": "show", "PUT": "change", "PATCH": "change", "DELETE": "forget"}.get(operation.method)
        route = replace(route, passwords=passwords)
        if operation.method == "DELETE":
            return replace(route, closed="customers could delete themselves: decide that yourself")
        own = Rule("path_owner", {"parameter": parameter}, f"{{{parameter}}} must be the customer's own id, else 404")
        if operation.method == "GET":
            found = self.known.found(operation, expects_list=False)
            if found.is_list:
                raise Closed("the answer is a list where one record is named")
            at = (places.id_name(found.record) or "id",)
            return self._judged(replace(route, scope=(own,)), operation, found, at, self._own_id)
        if operation.method == "POST":
            raise Closed("what a POST of a customer does is not told")
        look = self.known.look_of(route.path)
        if look is None:
            raise Closed(_NO_LOOK)
        found = self.known.answer_of_write(operation, look)
        if found.at != look.at:
            raise Closed(_OTHER_FORM)
        fields = [name for name in self._bodies.fields(operation) if name.rpartition("/")[2] in OF_A_PERSON]
        if not fields:
            raise Closed("no field of the body is known to be harmless in a customer's own hands")
        rule = Rule("body_fields", {"allow": fields}, "nothing else may be changed: not the e-mail, no rights")
        at = (places.id_name(found.record) or "id",)
        first = Rule("parent_owner", {"pointer": pointer(at)}, "looks first whether that is the customer's own record")
        return self._judged(replace(route, scope=(own, first, rule)), operation, found, at, self._own_id)

    @property
    def _own_id(self) -> str:
        return f"the records of {self.known.customers.path} are the customers, each by its own id"

    def _registration(self, operation: Operation) -> tuple[str, ...]:
        known = OF_A_PERSON | {"email", "password", "type"}
        allowed = [name for name in self._bodies.fields(operation) if name.rpartition("/")[2] in known]
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
            found = self.known.found(operation, expects_list=not is_by_id)
            named = self.known.owner_of(found.record)
            return self._judged(replace(route, scope=(own,)), operation, found, named.at, named.reason)
        if is_by_id:
            raise Closed("nothing proves that the record is part of what the path names before it")
        found = self.known.answer_of_write(operation, None)
        named = self.known.owner_of(found.record)
        scope = (own, *self._bodies.of_own_record(operation))
        return self._judged(replace(route, scope=scope), operation, found, named.at, named.reason)

    # Other records

    def _by_id(self, operation: Operation, route: Drafted) -> Drafted:
        if operation.method == "GET":
            found = self.known.found(operation, expects_list=False)
            if found.is_list:
                raise Closed("the answer is a list where one record is named")
            named = self.known.owner_of(found.record)
            return self._judged(route, operation, found, named.at, named.reason)
        look = self.known.look_of(route.path)
        if look is None:
            raise Closed(_NO_LOOK)
        named = self.known.owner_of(look.record)
        found = self.known.answer_of_write(operation, look)
        if found.at != look.at or self.known.owner_of(found.record).at != named.at:
            raise Closed(_OTHER_FORM)
        why = "looks first whose the record is: 404 unless it is the customer's"
        first = Rule("parent_owner", {"pointer": pointer(named.at)}, why)
        filtered = self.known.filter_rules(operation, named) if self.known.form.is_found_by_filter else ()
        body = self._bodies.of_own_record(operation) if operation.method != "DELETE" else ()
        return self._judged(replace(route, scope=(first, *filtered, *body)), operation, found, named.at, named.reason)

    def _collection(self, operation: Operation, route: Drafted) -> Drafted:
        above = self.known.parent(route.path)
        if above is not None:
            return self._below_record(operation, route, above)
        if any(part.is_parameter for part in parts(route.path)):
            raise Closed("whose the record is that the path names is not known")
        if operation.method == "GET":
            if _OF_THE_ASKER.search(operation.text):
                raise Closed("the document says that the API answers by who asks, and here the gateway asks")
            found = self.known.found(operation, expects_list=True)
            self._must_be_list(found)
            named = self.known.owner_of(found.record)
            told = self.known.filter_field(operation, named)[1]
            route = replace(route, scope=self.known.filter_rules(operation, named), told=told)
            return self._judged(route, operation, found, named.at, named.reason)
        if operation.method != "POST":
            raise Closed("it changes the whole collection")
        scopes = self._bodies.of_a_new_record(operation)
        found = self.known.answer_of_write(operation, None)
        named = self.known.owner_of(found.record)
        return self._judged(replace(route, scope=scopes), operation, found, named.at, named.reason)

    def _below_record(self, operation: Operation, route: Drafted, above: tuple[str, Places, Owner]) -> Drafted:
        path, look, held = above
        name = parts(path)[-1].text
        options = {"path": path, "pointer": pointer(held.at)}
        first = Rule("parent_owner", options, f"looks first whose {path} is: 404 unless it is the customer's")
        if operation.method == "GET":
            found = self.known.found(operation, expects_list=True)
            scope: tuple[Rule, ...] = (first,)
        elif operation.method == "POST":
            found = self.known.answer_of_write(operation, None)
            scope = (first, *self._bodies.of_own_record(operation))
        else:
            raise Closed("it changes all that lies below the record")
        if not found.is_list and found.at != look.at:
            raise Closed(_OTHER_FORM)
        route = replace(route, scope=scope)
        named = owner(self.known.document, found.record, self.known.customers)
        if isinstance(named, Owner):
            return self._judged(route, operation, found, named.at, named.reason, look)
        part = self.known.part_of(found.record, path)
        if part is None:
            raise Closed(f"the records name neither a customer nor the {name} that they are part of")
        guard = Rule("belongs_to", {"parameter": name, "pointer": pointer(part)}, f"records leave of this {name} only")
        reason = f"{pointer(held.at)} of {path} names the owner, and {pointer(part)} of each record names that one"
        return replace(
            route,
            guess=reason,
            guard=(guard,),
            query=self._passing(operation),
            records=self.known.records(operation, found, look),
        )

    # What all have

    def _must_be_list(self, found: Places) -> None:
        if not found.is_list:
            raise Closed("the answer is no list of records, and no id is in the path")

    def _judged(
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
            raise Closed("the owner's member has a name that the routing file cannot spell")
        guard = Rule("owner", {"pointer": pointer(at)}, f"nothing leaves unless {pointer(at)} is the customer's own id")
        records = self.known.records(operation, found, look)
        route = replace(route, told=(*route.told, *self._left_out(operation, route)))
        return replace(route, guess=reason, guard=(guard,), query=self._passing(operation), records=records)

    def _left_out(self, operation: Operation, route: Drafted) -> Iterator[str]:
        """Yield what requests must have and cannot."""
        written = {rule.options["field"] for rule in route.scope if rule.name == "filter"}
        for name in operation.required:
            if name not in {*self._passing(operation), *written, *(f"filter[{field}]" for field in written)}:
                yield f"The API asks for the parameter {name}: clients may send it once you list it under query."

    def _passing(self, operation: Operation) -> tuple[str, ...]:
        passing = _PASSING if operation.method == "GET" else _CONDITION
        return tuple(name for name in operation.query if passing.fullmatch(name))
