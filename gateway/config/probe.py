"""What a configuration would do with made-up requests, so that two can be compared by what they do. Pure.

Each method of each path is asked by each kind of caller: with ids of the customer's own and of others, with each query
parameter and each field of a body that rules name. The deciders are those of a real request; tokens are made up, and
signed by keys that exist for this alone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, NamedTuple

from msgspec import structs
from pydantic import BaseModel

from gateway import decision
from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.key import generate, load_key
from gateway.authn.keyring import KeyRing
from gateway.config.routes import name_of
from gateway.decision import Admission, Snapshot
from gateway.routing import parse_template, shape
from gateway.scope.core import needs_document
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.upstream.backend import lent
from gateway.vocab.algorithm import Algorithm
from gateway.vocab.messages import CallerKind, Headers, Json, Plan, Request, Session, Trace
from gateway.vocab.policy import Route
from gateway.vocab.record_form import Ids
from gateway.vocab.refusals import Refusal
from gateway.wire.api import address
from gateway.wire.headers import AUTHORIZATION
from gateway.wire.pointer import split
from gateway.wire.target import encode_query

OWN: Final = "CUSTOMER"
"""Stands for the id of the customer who asks."""
OTHER: Final = "RECORD"
"""Stands for any other id."""
_OWN_NUMBER: Final = "1"
_OTHER_NUMBER: Final = "2"
_ISSUER: Final = "probe"
_LIFE: Final = 3600.0
_UNNAMED: Final = "unnamed"
_JSON: Final[Headers] = (("content-type", "application/json"),)
# What a route is found by, and what the plan itself shows.
_SHOWN_ELSEWHERE: Final = frozenset({"name", "path", "methods", "access", "query", "endpoint", "forms"})

Outcome = Mapping[str, str]
"""What would be done with a request, by what is said of it: its answer, what is asked upstream, what is judged."""


class Place(NamedTuple):
    """A method of a path, whatever its parameters are called."""

    method: str
    shape: str


class Probe(NamedTuple):
    """A request to a place, by the customer `own` where a customer asks."""

    target: str
    document: Json | None = None
    own: str = OWN

    def __str__(self) -> str:
        return self.target if self.document is None else f"{self.target} {json.dumps(self.document)}"


def places(*compiled: Snapshot) -> dict[Place, list[Route]]:
    """Return each place that any of the configurations has, with its routes."""
    found: dict[Place, list[Route]] = {}
    for one in compiled:
        for route in one.routes.routes:
            for method in sorted(route.methods):
                found.setdefault(Place(method, shape(route.path)), []).append(route)
    return found


def probes(routes: Sequence[Route]) -> Iterator[Probe]:
    """Yield requests to one place, made of all that its routes name."""
    template = parse_template(routes[0].path)
    names = [*dict.fromkeys(name for route in routes for name in (*sorted(route.query or ()), *_filtered(route)))]
    are_numbers = any(route.form.ids is Ids.NUMBER for route in routes)
    own, other = (_OWN_NUMBER, _OTHER_NUMBER) if are_numbers else (OWN, OTHER)
    for ident in (own, other) if any(part.is_parameter for part in template) else (own,):
        path = "".join(f"/{ident if part.is_parameter else part.text}" for part in template)
        yield Probe(path, None, own)
        yield from (Probe(f"{path}?{encode_query(((name, '1'),))}", None, own) for name in names)
        yield from (Probe(path, document, own) for document in _documents(routes))


class Prober:
    """Asks one configuration. `now` is epoch time, in seconds."""

    def __init__(self, compiled: Snapshot, now: float) -> None:
        ring = KeyRing([load_key(generate(Algorithm.HS256))])
        bearers = BearerVerifier(ring, _ISSUER, _ISSUER, _LIFE)
        customers = CustomerVerifier(ring, _ISSUER, _ISSUER, _LIFE, re.compile(f"{OWN}|{_OWN_NUMBER}"))
        clients = frozenset({(CallerKind.PUBLIC, _ISSUER), (CallerKind.TRUSTED, _ISSUER)})
        callers = structs.replace(compiled.callers, bearers=bearers, customers=customers, clients=clients)
        self._compiled = structs.replace(compiled, callers=callers)
        self._now = now
        public, trusted = (
            (("authorization", f"Bearer {bearers.mint(kind, _ISSUER, now, _LIFE)[0]}"),)
            for kind in (CallerKind.PUBLIC, CallerKind.TRUSTED)
        )
        header = compiled.callers.token_header
        self._tokens: dict[tuple[CallerKind, str], Headers] = {}
        for own in (OWN, _OWN_NUMBER):
            token = customers.mint(Session(own, 1, 0, 2), now, _LIFE)[0]
            is_bearer = header == AUTHORIZATION
            self._tokens |= {
                (CallerKind.PUBLIC, own): public,
                (CallerKind.CUSTOMER, own): ((header, f"Bearer {token}"),) if is_bearer else (*public, (header, token)),
                (CallerKind.TRUSTED, own): trusted,
            }

    def ask(self, method: str, probe: Probe, caller: CallerKind) -> Outcome:
        """Say what would be done with a request."""
        headers = (*self._tokens[caller, probe.own], *(() if probe.document is None else _JSON))
        request = Request(_ISSUER, method, probe.target, headers, "-", self._now)
        admission = decision.admit(self._compiled, request, Trace())
        if isinstance(admission, Refusal):
            return {"answer": _refused(admission)}
        route = admission.route
        if route.endpoint is not None:
            return {"answer": "by the gateway itself", "route": route.name}
        document = (probe.document or {}) if needs_document(route, admission.access) else None
        planned = decision.plan(self._compiled, request, admission, document)
        if isinstance(planned, Refusal):
            return {"answer": _refused(planned), "route": route.name}
        return {"answer": "goes upstream", "route": route.name, **_planned(admission, planned), **_judged(admission)}


def _refused(refusal: Refusal) -> str:
    return f"{refusal.code.status} {refusal.code.name}"


def _planned(admission: Admission, planned: Plan) -> dict[str, str]:
    asked = f"{planned.method} {address(planned, admission.sent)}"
    looked_up = [f"{parent.path} by {parent.pointer}" for parent in planned.parents]
    return {
        "asks": asked,
        "credential": str(lent(admission.access, planned)),
        "sends": "-" if planned.document is None else json.dumps(planned.document),
        "looks up first": ", ".join(looked_up) or "-",
    }


def _judged(admission: Admission) -> dict[str, str]:
    access, route = admission.access, admission.route
    rules: dict[str, str] = {}
    for rule in (*access.scope, *access.guards):
        name = name_of(rule)
        rules[name] = f"{rules[name]}, {_options(rule)}" if name in rules else _options(rule)
    said = {one.name: getattr(route, one.name) for one in fields(route) if one.name not in _SHOWN_ELSEWHERE}
    return {
        "access": "open" if access.is_open else "by rules",
        **rules,
        **{name: _text(one) for name, one in said.items()},
    }


def _options(rule: object) -> str:
    options = rule.model_dump(mode="json", exclude_defaults=True) if isinstance(rule, BaseModel) else {}
    return json.dumps(options, sort_keys=True)


def _text(value: Any) -> str:
    return " ".join(sorted(value)) or "-" if isinstance(value, frozenset) else str(value)


def _filtered(route: Route) -> Iterator[str]:
    for access in route.access.values():
        yield from (rule.written_in(route.form)[1] for rule in access.scope if isinstance(rule, Filter))


def _documents(routes: Sequence[Route]) -> Iterator[Json]:
    """Yield a body for each field that a rule names, and one with a field that none does."""
    places: dict[tuple[str, ...], None] = {}
    for form, rules in ((route.form, access.scope) for route in routes for access in route.access.values()):
        for rule in rules:
            if isinstance(rule, BodyFields):
                at = form.body_at if rule.pointer is None else split(rule.pointer)
                names = (*(rule.allow or ()), *rule.forbid, *rule.drop, *rule.shown, *rule.match)
                places |= dict.fromkeys((*at, *name.split("/")) for name in (*names, _UNNAMED))
            elif isinstance(rule, BodyStamp):
                places[split(rule.pointer)] = None
    yield from map(_nested, filter(None, places))


def _nested(place: Sequence[str]) -> Json:
    first, *rest = place
    return {first: _nested(rest) if rest else "1"}
