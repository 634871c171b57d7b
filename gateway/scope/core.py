"""Makes the plan: applies a route's scoping rules in order and builds the upstream request. Pure.

It does not send, and it does not know what a single rule does.
"""

from abc import abstractmethod
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter

from msgspec import structs
from pydantic import BaseModel, ConfigDict

from gateway.scope import addressing
from gateway.scope.names import MAX_NAME, fold, is_reserved
from gateway.vocab.messages import READS, Headers, Json, Lookup, Parent, Plan, Query, Request, Target, Whose
from gateway.vocab.policy import Access, Draft, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.client_address import forwarding_lines
from gateway.wire.headers import CONDITIONAL, CONDITIONS, GATEWAY, content_coding, for_upstream, via
from gateway.wire.nothing import tells_nothing
from gateway.wire.owners import names_another, owner_places
from gateway.wire.pointer import Reading, is_id, is_respelled, owner_at, split
from gateway.wire.records import shown
from gateway.wire.target import serialise

_NAME = itemgetter(0)
# A client may not choose how the upstream reads a filter that we composed: the older parser knows no quotes.
_CHOOSES_FILTER_PARSER = frozenset({"ep-disable-beta-filtering"})


# What is passed on untouched is read as it was sent.
_OF_CODED_BODIES = frozenset({"content-encoding"})
# Rack, Symfony and Laravel read `_method`, also in JSON; ASP.NET and others the header's name as a parameter.
_METHOD_OVERRIDES = frozenset({"method", "httpmethod", "xhttpmethod", "xhttpmethodoverride", "xmethodoverride"})


class RuleOptions(BaseModel):
    """Base of every scoping rule: its fields are its options in the routing file, its docstring their manual."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def needs_body(self) -> bool:
        """Whether the rule reads the body."""
        return False

    @abstractmethod
    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Return the narrowed draft, or say no."""


def is_buffered(route: Route, access: Access) -> bool:
    """Tell whether the answer is read and checked before a byte leaves, instead of being relayed."""
    return not access.is_open or route.passwords is not None


def is_judged_first(access: Access, planned: Plan) -> bool:
    """Tell whether the conditions of a request wait until the answer without them has proven whose the record is."""
    return planned.method == "GET" and not access.is_open


def is_looked_at_first(access: Access, planned: Plan) -> bool:
    """Tell whether a conditional write has to look first whose the record is, because no rule has."""
    return bool(planned.conditions and access.guards) and planned.method != "GET" and not planned.narrowed


def needs_document(route: Route, access: Access) -> bool:
    """Tell whether the request's body must be read as JSON before the plan can be made."""
    return access.needs_body or route.passwords in {"register", "change"}


def make_plan(  # noqa: PLR0913, PLR0917 - the stage's whole input, each a value of its own
    route: Route,
    access: Access,
    whose: Whose,
    request: Request,
    target: Target,
    document: Json | None,
    forwarded: frozenset[str],
    public: Headers = (),
    pseudonym: str = GATEWAY,
) -> Plan | Refusal:
    """Apply the rules of `access` on behalf of `whose` and return the upstream request without our own credential.

    `document` is the client's body where `needs_document` asks for it. `forwarded` are the header names that pass;
    `public` says under which URL the client asked, `pseudonym` who we are in Via.
    """
    query = target.query
    form = route.form
    begun = Draft(target, query, document, form=form, forms=route.forms)
    refusal = None if route.passwords is None else _check_customer(route, whose)
    refusal = refusal or (_check_override(target) if access.is_open else _check_query(route, target))
    refusal = refusal or _check_members(document)
    if refusal is not None:
        return refusal
    there = None if route.sends_to is None else route.sends_to(whose.parameters)
    draft = begun if there is None else _located(route, there, whose, begun)
    for rule in access.scope:
        if isinstance(draft, Refusal):
            return draft
        draft = rule.apply(draft, whose)
    if isinstance(draft, Refusal):
        return draft
    path, upstream_query = target.path, draft.query
    if form.rewrites_paths and there is None:
        address = _addressed(route, draft)
        if isinstance(address, Refusal):
            return address
        path, upstream_query = address
    buffered = is_buffered(route, access)
    method = "GET" if buffered and request.method == "HEAD" else request.method
    sends_body = request.method not in READS
    passing = _passing(forwarded, draft.query == query, sends_body)
    if sends_body and access.is_open and document is None and content_coding(request.headers) is not None:
        passing |= _OF_CODED_BODIES
    headers = for_upstream(request.headers, passing)
    conditions: Headers = ()
    # Few lines pass, and most of the time none of them is a condition.
    if not CONDITIONAL.isdisjoint(map(_NAME, headers)):
        asked = CONDITIONS if buffered else CONDITIONAL
        conditions = tuple(line for line in headers if line[0] in asked)
        headers = tuple(line for line in headers if line[0] not in CONDITIONAL)
        if conditions and method == "POST" and not access.is_open and not draft.narrowed:
            # It would be told of the state of a collection, which may be everybody's.
            return Refusal(Code.CONDITION_FORBIDDEN, "a condition on a collection that nothing narrows")
    return Plan(
        method=method,
        path=path,
        query=upstream_query,
        asked=query,
        headers=(*headers, *forwarding_lines(request.peer, public), via(request.protocol, pseudonym)),
        document=draft.document,
        parents=draft.parents,
        narrowed=draft.narrowed,
        conditions=conditions,
        there=there,
    )


def _addressed(route: Route, draft: Draft) -> tuple[str, Query] | Refusal:
    """Return where the upstream has what a request names, in a form in which that is not the path as it came."""
    target, form = draft.target, draft.form
    if route.is_tail:
        return (f"{target.path}/" if target.has_slash else target.path), draft.query
    if route.names_a_record:
        return addressing.record(target.segments, draft.query, form)
    return addressing.with_slash(target.path, form), draft.query


def _check_customer(route: Route, whose: Whose) -> Refusal | None:
    """Refuse another spelling of the customer whose password a request is about: it is kept under one.

    Where ids are numbers 07 is 7 to many an API. A customer's id is the last parameter of the path.
    """
    if route.passwords in {"change", "forget"} and not is_id(["", *whose.parameters.values()][-1], route.form.ids):
        return Refusal(Code.RECORD_NOT_FOUND, "no customer can have this id")
    return None


def _check_override(target: Target) -> Refusal | None:
    """Refuse what makes some servers act on another method than the one that was matched."""
    if any(_is_override(name) for name, _ in target.query):
        return Refusal(Code.QUERY_NOT_ALLOWED, "a parameter that overrides the method", source="query")
    return None


def _check_members(document: Json | None) -> Refusal | None:
    """Refuse the same in a body, where it is read."""
    if document and any(map(_is_override, document)):
        return Refusal(Code.BODY_FIELD_FORBIDDEN, "a member that overrides the method", source="body")
    return None


def _is_override(name: str) -> bool:
    return name.startswith(("_", "x", "X")) and len(name) <= MAX_NAME and fold(name) in _METHOD_OVERRIDES


def _check_query(route: Route, target: Target) -> Refusal | None:
    """Let only listed parameters pass, each once: what we do not know may mean anything to the upstream."""
    allowed = route.query or frozenset()
    seen: set[str] = set()
    for name, _ in target.query:
        if name not in allowed:
            return Refusal(Code.QUERY_NOT_ALLOWED, f"{name!r} is not listed", source="query")
        if name in seen:
            return Refusal(Code.QUERY_REPEATED, source=f"query.{name}")
        seen.add(name)
    return None


def _located(route: Route, there: tuple[str, Query], whose: Whose, draft: Draft) -> Draft | Refusal:
    """Return the draft with where the upstream has the record of a request, and its id."""
    if any(is_reserved(name, route.reserved) for name, _ in draft.query):
        # A second one beside ours would be for the upstream to choose from.
        return Refusal(Code.QUERY_NOT_ALLOWED, "a parameter by which the record itself is asked for", source="query")
    name = "" if route.sends_to is None else route.sends_to.record
    return structs.replace(draft, record=(serialise(*there), whose.parameters.get(name, "")))


@lru_cache(maxsize=64)
def _passing(
    forwarded: frozenset[str],
    keeps_filter: bool,  # noqa: FBT001 - a cache finds what is given by name three times as slowly
    sends_body: bool,  # noqa: FBT001
) -> frozenset[str]:
    """Return the header names that pass, conditions too; for one configuration there are four such sets at most."""
    names = CONDITIONAL | (forwarded if keeps_filter else forwarded - _CHOOSES_FILTER_PARSER)
    # SDKs send Content-Type without a body (docs/upstream.md section 7), where it says nothing.
    return names if sends_body else names - {"content-type"}


def judge_parent(parent: Parent, answer: Lookup) -> Refusal | None:
    """Say whether a looked-up record allows the plan that depends on it; "not yours" and "not there" are the same."""
    form = parent.form
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
        return Refusal(Code.RECORD_NOT_FOUND, f"parent answered {answer.status}")
    if tells_nothing(answer.status, answer.document, form):
        return Refusal(Code.RECORD_NOT_FOUND, "parent answered no record")
    found = shown(answer.document, form, expects_one=True)
    if isinstance(found, Refusal):
        return replace(found, code=Code.RECORD_NOT_FOUND)
    if found.is_list:
        return Refusal(Code.RECORD_NOT_FOUND, "parent look-up answered many records", violation=True)
    record = found.records[0]
    named = owner_at(record, form.id_at, form.ids)
    if named != parent.record_id:
        is_mix_up = bool(record) and not is_respelled(parent.record_id, named)
        return Refusal(Code.RECORD_NOT_FOUND, "parent look-up answered another record", violation=is_mix_up)
    also = owner_places(tuple(map(split, parent.also)), form.id_at)
    if names_another(record, parent.owner, also, parent.below, form.ids):
        return Refusal(Code.RECORD_NOT_FOUND, "parent names somebody else")
    owner = owner_at(record, split(parent.pointer), form.ids)
    if owner is Reading.NOBODY:
        return None if parent.guest else Refusal(Code.RECORD_NOT_FOUND, "parent has no owner")
    if parent.owner is not None and owner == parent.owner:
        return None
    return Refusal(Code.RECORD_NOT_FOUND, "parent belongs to somebody else")
