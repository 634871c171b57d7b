"""`gateway explain`: runs the deciders on a made-up request and shows what they decide. Sends nothing, reads nothing.

It asks the same functions as a real request; with --as it mints the tokens that such a caller would hold.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs
from rich.console import Group, RenderableType
from rich.table import Column, Table

from gateway import decision
from gateway.cli.judged import judged, masked
from gateway.cli.table import describe, whole, written
from gateway.config.compile import key_ring, snapshot
from gateway.config.lending import credential_lines
from gateway.config.model import Config
from gateway.config.routes import name_of
from gateway.decision import Admission, Snapshot
from gateway.routing import RouteTable, parse_template
from gateway.scope.core import is_buffered, needs_document
from gateway.upstream.backend import lent
from gateway.vocab.messages import Answer as Saved
from gateway.vocab.messages import CallerKind, Headers, Json, Plan, Request, Session, Trace
from gateway.vocab.policy import CURRENT_PASSWORD, Credential, Passwords, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import target as wire_target
from gateway.wire.api import address
from gateway.wire.body import parse_request
from gateway.wire.headers import AUTHORIZATION, CUSTOMER_TOKEN, first
from gateway.wiring import now

_MASK = "***"
_SECRET_HEADERS = frozenset({"authorization", CUSTOMER_TOKEN, "cookie", "proxy-authorization"})
_EXPLAIN_CLIENT = "explain"


@dataclass(frozen=True, slots=True)
class Question:
    """A request as typed. `caller` None takes the tokens that stand in `headers`."""

    method: str
    target: str
    caller: CallerKind | None
    customer_id: str | None
    headers: tuple[str, ...] = ()
    data: str | None = None


@dataclass(slots=True)
class Answer:
    """What was decided, with secrets masked."""

    question: Question
    headers: Headers
    document: Json | None = None
    route: Route | None = None
    caller: str = "-"
    refusal: Refusal | None = None
    plan: Plan | None = None
    sent: str | None = None
    lent: Credential | None = None
    credential_lines: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    judged: Json | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def refusal_text(self) -> str:
        """The "no" in one line, its private reason included: the reader is the operator."""
        if self.refusal is None:
            return ""
        detail = f" ({self.refusal.detail})" if self.refusal.detail else ""
        return f"{self.refusal.code.status} {self.refusal.code.name}: {self.refusal.code.value.text}{detail}"

    def before(self) -> Json:
        """Return the request as the client sends it."""
        path, _, query = self.question.target.partition("?")
        return {
            "method": self.question.method,
            "path": path,
            "query": query,
            "headers": _masked_headers(self.headers),
            "body": masked(self.document),
        }

    def after(self) -> Json | None:
        """Return the request as it goes upstream."""
        if self.plan is None:
            return None
        path, _, query = (self.sent or "").partition("?")
        return {
            "upstream": None if self.route is None else self.route.upstream,
            "method": self.plan.method,
            "path": path,
            "query": query,
            "credential": self.lent,
            "headers": {**_masked_headers(self.plan.headers), **self.credential_lines},
            "body": masked(self.plan.document),
        }

    def as_json(self) -> Json:
        """Return everything as one JSON document."""
        return {
            "route": self.route.name if self.route else None,
            "caller": self.caller,
            "refusal": self.refusal_text or None,
            "rules": self.rules,
            "before": self.before(),
            "after": self.after(),
            "looked_up_first": [parent.path for parent in self.plan.parents] if self.plan else [],
            "waits_for": self.waits,
            "notes": self.notes,
            "other_routes": dict(self.others),
            "answer": self.judged,
        }

    def as_curl(self) -> str:
        """Return the upstream request as a command; $UPSTREAM_URL and $UPSTREAM_TOKEN stand for what is not shown."""
        after = self.after() or {}
        target = after["path"] + (f"?{after['query']}" if after["query"] else "")
        words = ["curl", "-X", after["method"], f'"$UPSTREAM_URL"{shlex.quote(target)}']
        for name, shape in self.credential_lines.items():
            words += ["-H", f'"{name.title()}: {shape.partition("<")[0]}$UPSTREAM_TOKEN"']
        for name, value in after["headers"].items():
            if name not in self.credential_lines:
                words += ["-H", shlex.quote(f"{name}: {value}")]
        if after["body"] is not None:
            words += ["--data", shlex.quote(written(after["body"]))]
        return " ".join(words)

    def as_tables(self) -> RenderableType:
        """Return the tables for a terminal."""
        head = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False, box=None)
        head.add_row("route", self.route.name if self.route else "none")
        head.add_row("caller", self.caller)
        head.add_row("decision", self.refusal_text or ("goes upstream" if self.plan else "answered here"))
        for rule in self.rules:
            head.add_row("rule", f"{rule['rule']} {json.dumps(rule['options'])}")
        for wait in self.waits:
            head.add_row("waits for", wait)
        for note in self.notes:
            head.add_row("note", note)
        if self.judged is not None:
            counted = f", counted as {self.judged['counted_as']}" if self.judged["counted_as"] else ""
            head.add_row("answer", f"{self.judged['verdict']}: {self.judged['why']}{counted}")
            if self.judged.get("body") is not None:
                head.add_row("leaves", written(self.judged["body"]))
        change = whole("", "client sends", "upstream gets", title="before and after")
        before, after = self.before(), self.after()
        for name in ("method", "path", "query", "headers", "body"):
            change.add_row(name, _shown(before[name]), _shown(after[name]) if after else "nothing")
        for name in ("upstream", "credential"):
            change.add_row(name, "-", f"{after[name]}" if after else "nothing")
        others = whole("other routes", "why not")
        for other, reason in self.others:
            others.add_row(other, reason)
        return Group(head, change, others)


def explain(config: Config, question: Question, saved: Saved | None = None) -> Answer:
    """Answer a question, and judge a `saved` answer to it; ValueError for one that is not well-formed."""
    compiled = snapshot(config, key_ring(config))
    headers = _headers(question)
    shown = headers
    if question.caller is not None:
        # A request pasted from a browser brings its own tokens; --as says whose stand in their place.
        headers = (
            *(line for line in headers if line[0] not in {AUTHORIZATION, compiled.callers.token_header}),
            *_tokens(compiled, question),
        )
        compiled = _with_client(compiled)
    request = Request("explain", question.method.upper(), question.target, headers, "-", now())
    masked = tuple((name, _MASK if name == compiled.callers.token_header else value) for name, value in shown)
    answer = Answer(question, masked)
    trace = Trace()
    admission = decision.admit(compiled, request, trace)
    answer.caller = trace.caller
    answer.others = _others(compiled.routes, request)
    answer.route = next((route for route in compiled.routes.routes if route.name == trace.route), None)
    if isinstance(admission, Refusal):
        answer.refusal = admission
        if admission.code is Code.BEARER_MISSING:
            answer.notes.append("--as public, --as trusted or --customer ID asks as somebody who has a token")
        return answer
    answer.route = admission.route
    if admission.route.endpoint is not None:
        answer.notes.append("the gateway answers this path itself")
        return answer
    _plan(compiled, request, admission, answer)
    if answer.plan is not None:
        answer.sent = address(answer.plan, admission.sent)
        answer.lent = lent(admission.access, answer.plan)
        answer.credential_lines = dict(credential_lines(config.apis[admission.route.upstream], answer.lent))
        guests = lent(admission.access, structs.replace(answer.plan, is_guests=True))
        if guests is not answer.lent:
            answer.notes.append(f"if the record that is looked up first is nobody's, it goes with `{guests}`")
    if saved is not None and answer.plan is not None:
        answer.judged = judged(compiled, admission, answer.plan, saved)
    return answer


def _plan(compiled: Snapshot, request: Request, admission: Admission, answer: Answer) -> None:
    route, access = admission.route, admission.access
    for rule in (*access.scope, *access.guards):
        options = rule.model_dump(mode="json") if hasattr(rule, "model_dump") else {}
        answer.rules.append({"rule": name_of(rule), "options": options})
    document: Json | None = None
    if answer.question.data is not None or needs_document(route, access):
        content_type = first(request.headers, "content-type") or "application/json"
        read = parse_request((answer.question.data or "").encode("utf-8", "surrogateescape"), content_type, None)
        if isinstance(read, Refusal):
            answer.refusal = read
            return
        document = answer.document = read
    planned = decision.plan(compiled, request, admission, document if needs_document(route, access) else None)
    if isinstance(planned, Refusal):
        answer.refusal = planned
        return
    answer.plan = planned
    kind = "read whole and judged" if is_buffered(route, access) else "relayed as it arrives"
    answer.notes.append(f"the answer is {kind}; access: {describe(access)}")
    answer.waits = list(_waits(route, planned))
    if route.passwords in {Passwords.REGISTER, Passwords.CHANGE}:
        answer.notes.append("a password in the body is taken out and kept by the gateway")
        data = (planned.document or {}).get("data")
        if isinstance(data, dict):
            kept = {name: value for name, value in data.items() if name not in {"password", CURRENT_PASSWORD}}
            answer.plan = structs.replace(planned, document={**(planned.document or {}), "data": kept})


def _waits(route: Route, planned: Plan) -> Iterator[str]:
    """Say what has to be awaited before the request can go on; nothing is, where none of it is named."""
    for parent in planned.parents:
        yield f"the record {parent.path}"
    if route.passwords in {Passwords.REGISTER, Passwords.CHANGE, Passwords.FORGET}:
        yield "the store, and a password's computation"
    elif route.passwords is Passwords.SHOW:
        yield "the store, once the answer is there"


def _headers(question: Question) -> Headers:
    lines = []
    for line in question.headers:
        name, separator, value = line.partition(":")
        if not separator or not name.strip():
            # The line is not repeated: it may be a token.
            raise ValueError("a header is written 'Name: value'")
        lines.append((name.strip().lower(), value.strip()))
    if question.data is not None and not any(name == "content-type" for name, _ in lines):
        lines.append(("content-type", "application/json"))
    return tuple(lines)


def _tokens(compiled: Snapshot, question: Question) -> Headers:
    """Mint what a caller of this kind would hold; it lives a minute and is shown nowhere."""
    at = now()
    kind = CallerKind.TRUSTED if question.caller is CallerKind.TRUSTED else CallerKind.PUBLIC
    bearer, _ = compiled.callers.bearers.mint(kind, _EXPLAIN_CLIENT, at, 60)
    lines = [("authorization", f"Bearer {bearer}")]
    if question.customer_id is not None:
        token, _, _ = compiled.callers.customers.mint(Session(question.customer_id, 1, 0, 2), at, 60)
        if compiled.callers.token_header == AUTHORIZATION:
            return ((AUTHORIZATION, f"Bearer {token}"),)
        lines.append((compiled.callers.token_header, token))
    return tuple(lines)


def _with_client(compiled: Snapshot) -> Snapshot:
    made_up = {(CallerKind.PUBLIC, _EXPLAIN_CLIENT), (CallerKind.TRUSTED, _EXPLAIN_CLIENT)}
    callers = structs.replace(compiled.callers, clients=compiled.callers.clients | made_up)
    return structs.replace(compiled, callers=callers)


def _others(routes: RouteTable, request: Request) -> list[tuple[str, str]]:
    """Say of each route that was not taken why it was not."""
    target = wire_target.parse(request.target)
    if isinstance(target, Refusal):
        return []
    match = routes.match(request.method, target.segments)
    taken = None if isinstance(match, Refusal) else match.route
    return [
        (route.name, _why_not(route, request.method, target.segments)) for route in routes.routes if route is not taken
    ]


def _why_not(route: Route, method: str, segments: tuple[str, ...]) -> str:
    parts = parse_template(route.path)
    for position, part in enumerate(parts):
        if part.is_tail:
            break
        if position >= len(segments):
            return f"{route.path} has more segments"
        if not part.is_parameter and part.text != segments[position]:
            return f"{route.path}: segment {position + 1} is {part.text!r}, not {segments[position]!r}"
    else:
        if len(segments) > len(parts):
            return f"{route.path} has fewer segments"
    if method not in route.methods:
        return f"{route.path} answers {' '.join(sorted(route.methods))} here"
    return f"{route.path} is less specific"


def _masked_headers(headers: Headers) -> dict[str, str]:
    return {name: _MASK if name in _SECRET_HEADERS else value for name, value in headers}


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, dict):
        return (
            "\n".join(f"{name}: {written(item) if not isinstance(item, str) else item}" for name, item in value.items())
            or "-"
        )
    return str(value)
