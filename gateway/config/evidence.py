"""What the rules of one access prove: that no customer gets another one's records, or what is missing for it. Pure.

It knows one route and one kind of caller; what other routes say about the same records is handed in.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gateway.config.model import Route, Rules
from gateway.guard.core import GuardOptions
from gateway.guard.rules.belongs_to import BelongsTo
from gateway.guard.rules.identity import Identity
from gateway.guard.rules.owner import Owner
from gateway.routing import Part, parse_template
from gateway.scope.core import RuleOptions
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import Accepts, ParentOwner
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import CallerKind, Target, Whose
from gateway.vocab.policy import Draft, Passwords
from gateway.vocab.record_form import MOLTIN, RecordForm

Location = tuple[str | int, ...]
Finding = tuple[Location, str, str]
"""Where, what, and what to write instead."""

# A customer whose id is one of any kind.
_SOMEBODY = "1"
_KNOWS_THE_CUSTOMER = (Filter, PathOwner, ParentOwner, BodyStamp, Owner, BelongsTo)
# Parameters by which APIs put records of other collections into an answer. JSON:API puts them beside the records, where
# an owner guard judges them.
_INCLUDES = frozenset({"include"})
# Others (OData, json-server, Strapi, PostgREST, and many APIs of their own) put them inside the records, where no guard
# looks. `fields[...]` is in neither list: it only takes away.
_EMBEDS = frozenset({"expand", "$expand", "_expand", "embed", "_embed", "populate", "select"})


# Nothing is said of what a body of theirs would mean (RFC 9110 sections 9.3.1 and 9.3.5), so that clients send none.
_BODILESS = frozenset({"GET", "DELETE"})


def knows_the_customer(access: object) -> bool:
    """Tell whether any rule of an access knows whose a record is."""
    return isinstance(access, Rules) and any(
        isinstance(rule, _KNOWS_THE_CUSTOMER) for rule in (*access.scope_rules, *access.guard_rules)
    )


def parent_position(route: Route, rule: ParentOwner) -> int | None:
    """Return which segment of `route.template` names the record that is looked up; None where it is none of them."""
    if rule.upstream not in {None, route.upstream}:
        return None
    if rule.path is None:
        return len(route.template) - 1
    parent = parse_template(rule.path)
    return len(parent) - 1 if route.template[: len(parent)] == parent else None


@dataclass(frozen=True)
class Evidence:
    """The access of one kind of caller that is not trusted, on one route.

    `owned` are the segments of the path that name records with an owner. `claim` is what says that the records of the
    route itself have owners; it is empty where nothing does.
    """

    route: Route
    caller: CallerKind
    rules: Rules
    owned: frozenset[int] = frozenset()
    claim: str = ""
    form: RecordForm = MOLTIN

    @cached_property
    def knows(self) -> bool:
        """Whether any rule knows whose a record is."""
        return knows_the_customer(self.rules)

    def proves_owner(self, method: str) -> bool:
        """Whether it is proven, before a request is sent, whose the record is that the path names, if anybody's.

        A write below a record that is proven is held to be one to a part of it, as the API says; what a read answers
        would tell whether there is such a part of somebody else's.
        """
        if not self.owned:
            return True
        return self._parts[max(self.owned)].text in self._held or (method != "GET" and bool(self._held))

    def gaps(self, method: str) -> Iterator[Finding]:
        """Yield what is missing for a proof, with its place within the route."""
        here: Location = ("access", self.caller)
        if self.route.passwords is Passwords.REGISTER:
            # It makes a customer of its own; tokens/registration.py judges the answer.
            return
        if self.route.passwords in {Passwords.CHANGE, Passwords.FORGET} and not self._is_own_password:
            hint = f"add {{path_owner: {{parameter: {self._last}}}}} to scope:"
            what = "whoever the path names gets or loses a password here"
            yield here, what, hint if self.caller is CallerKind.CUSTOMER else "move it to customer:"
        if not self.knows:
            yield from self._unowned(method, here)
            return
        yield from self._reads(here) if method == "GET" else self._writes(here)
        yield from self._includes()

    def notes(self, method: str) -> Iterator[str]:
        """Yield what is worth knowing although nothing is missing."""
        # A stamp gives a body to what has none, as the deletion of a relationship needs it.
        if method in _BODILESS and (fields := [rule for rule in self._scope if isinstance(rule, BodyFields)]):
            answer = " (422 then)" if any(rule.allow is not None for rule in fields) else ""
            yield f"body_fields is about a body, which such a request mostly lacks{answer}: give it a route of its own"
        if not self.knows:
            return
        if method == "GET":
            if not self._is_by_id and not self._held and not any(isinstance(rule, Filter) for rule in self._scope):
                yield "nothing narrows this list: one foreign record withholds all of it"
            return
        if self._is_by_id and self._held and self._last not in self._held:
            yield f"the API is trusted that {{{self._last}}} is part of what the path names before it"
        if method != "DELETE" and not any(isinstance(rule, (BodyFields, BodyStamp)) for rule in self._scope):
            yield "the body may name another owner: there is no body_fields and no body_stamp"

    def _unowned(self, method: str, here: Location) -> Iterator[Finding]:
        """Judge an access without a rule that knows the customer: the records must be everybody's."""
        by_id = "a by-id route without owner: " if method == "GET" and self._is_by_id else ""
        if self.claim:
            what = f"{by_id}these records have owners ({self.claim}), and no rule here asks for them"
            yield here, what, f"scope and guard them, or remove {self.caller}"
        elif self.caller is CallerKind.CUSTOMER and self.route.access.public is None:
            what = f"{by_id}only customers may use this, and no rule says whose the records are"
            yield here, what, "add scope: and guard:, or public: open if they are everybody's"

    def _reads(self, here: Location) -> Iterator[Finding]:
        owners = [(index, guard) for index, guard in enumerate(self._guards) if isinstance(guard, Owner)]
        if any(owner.required for _, owner in owners) or self._is_part_of_held:
            return
        if not owners:
            what = "the answer is not judged: the API may ignore whatever narrows the request"
            if self._is_by_id:
                what = "a by-id route without owner: no record of the answer is compared with the customer"
            yield here, what, "add guard: [{owner: {pointer: ...}}], or parent_owner and belongs_to"
        is_identified = any(isinstance(guard, Identity) and guard.parameter == self._last for guard in self._guards)
        for index, _ in owners:
            if not self._held:
                hint = "add parent_owner with accepts: guest to scope:"
                if self.caller is CallerKind.CUSTOMER:
                    hint = "write required: true, or add path_owner or parent_owner to scope:"
                yield (*here, "guard", index), "nothing proves whose a record is that names nobody", hint
            elif not self.form.record_at or not self.form.list_at:
                what = "an answer that names nobody may be anything where records stand in no envelope"
                yield (*here, "guard", index), what, "write required: true"
            elif self._is_by_id and not is_identified:
                what = "a by-id route without owner: an answer that names nobody may be any record"
                yield (*here, "guard", index), what, f"add {{identity: {{parameter: {self._last}}}}} to guard:"

    def _writes(self, here: Location) -> Iterator[Finding]:
        if not self._held and (self._is_by_id or self.owned):
            what = "a write below a record without a check of that record's owner before it"
            if self._is_by_id:
                what = "a write without a check of the owner before it"
            hint = "add path_owner or parent_owner to scope:"
            if self._looked_up_elsewhere:
                hint = "let parent_owner look up a record that stands in the path of this route"
            yield here, what, hint
        elif not self._held and not any(isinstance(rule, self._stamp) for rule in self._scope):
            hint = (
                f"add {'body_stamp' if self.caller is CallerKind.CUSTOMER else 'body_fields'} or parent_owner to scope:"
            )
            yield here, "a write without a stamp or a check of the owner before it", hint
        elif not self._held and self.caller is CallerKind.PUBLIC:
            yield from self._unstamped(here)
        if not any(isinstance(guard, (Owner, Identity, BelongsTo)) for guard in self._guards):
            yield here, "a write whose answer is not judged", "add guard: [{owner: {pointer: ...}}]"

    def _unstamped(self, here: Location) -> Iterator[Finding]:
        """Try whether a public body could name an owner where customers' bodies are stamped with theirs."""
        sibling = self.route.access.customer
        stamps = (
            [rule for rule in sibling.scope_rules if isinstance(rule, BodyStamp)] if isinstance(sibling, Rules) else []
        )
        for stamp in stamps:
            draft = stamp.apply(Draft(Target("/", ()), (), {}, form=self.form), Whose(_SOMEBODY))
            for rule in self._scope:
                if isinstance(draft, Draft) and isinstance(rule, BodyFields):
                    draft = rule.apply(draft, Whose(None, defaultdict(str)))
            if isinstance(draft, Draft):
                what = f"the body may name an owner at {stamp.pointer}, where customers' bodies are stamped"
                yield here, what, "forbid it with body_fields"

    def _includes(self) -> Iterator[Finding]:
        judged = self.form.has_included and any(guard.judges_included for guard in self._guards)
        for index, parameter in enumerate(self.route.query):
            name = parameter.partition("[")[0].casefold()
            if name in _INCLUDES and not judged:
                what = "an open include: no guard judges the records that it adds"
                yield ("query", index), what, "add guard: [{owner: {pointer: ...}}], or remove the parameter"
            elif name in _EMBEDS:
                what = "an open include: it puts records inside others, where no guard looks"
                yield ("query", index), what, "remove the parameter"

    # What the parts of an access say

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return self.route.template

    @property
    def _last(self) -> str:
        return self._parts[-1].text

    @property
    def _is_by_id(self) -> bool:
        return self._parts[-1].is_parameter

    @cached_property
    def _scope(self) -> tuple[RuleOptions, ...]:
        return self.rules.scope_rules

    @cached_property
    def _guards(self) -> tuple[GuardOptions, ...]:
        return self.rules.guard_rules

    @property
    def _stamp(self) -> type[RuleOptions]:
        # A public caller has no id to be stamped with: there it matters that the body names nobody.
        return BodyStamp if self.caller is CallerKind.CUSTOMER else BodyFields

    @cached_property
    def _held(self) -> frozenset[str]:
        """The parameters that are proven to name the customer, a record of the customer, or one of a guest.

        A record that names nobody is a guest's only if no record with an owner stands above it in the path, or that
        one is proven as well: an address need not name its customer.
        """
        by_name = {part.text: position for position, part in enumerate(self._parts) if part.is_parameter}
        proofs: dict[int, bool] = {}
        for rule in self._scope:
            position = None
            if isinstance(rule, PathOwner):
                position = by_name.get(rule.parameter)
            elif isinstance(rule, ParentOwner):
                position = parent_position(self.route, rule)
            if position is not None and self._parts[position].is_parameter:
                names_owner = not isinstance(rule, ParentOwner) or rule.accepts is Accepts.OWN
                proofs[position] = names_owner or proofs.get(position, False)
        held: set[int] = set()
        for position in sorted(proofs):
            if proofs[position] or held or not any(above < position for above in self.owned):
                held.add(position)
        return frozenset(self._parts[position].text for position in held)

    @cached_property
    def _is_own_password(self) -> bool:
        own = any(isinstance(rule, PathOwner) and rule.parameter == self._last for rule in self._scope)
        return own or not self._is_by_id

    @cached_property
    def _looked_up_elsewhere(self) -> frozenset[str]:
        """The parameters that name a record which is looked up at another path than the one that is asked for."""
        return frozenset(
            rule.parameters[-1]
            for rule in self._scope
            if isinstance(rule, ParentOwner) and parent_position(self.route, rule) is None
        )

    @cached_property
    def _is_part_of_held(self) -> bool:
        """Whether each record of the answer proves that it is part of one that is proven before."""
        return any(
            isinstance(guard, BelongsTo)
            and guard.required
            and guard.parameter in self._held | self._looked_up_elsewhere
            for guard in self._guards
        )
