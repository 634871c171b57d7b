"""How an answer on an open route is passed on, which nobody judges: what leaves of its head and of its body. Pure."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.decision import Decided, Later, Ready, Snapshot
from gateway.guard import core as guard
from gateway.guard import status as guard_status
from gateway.vocab.messages import READS, Answer, CallerKind, Headers, Reply, Request
from gateway.vocab.record_form import MOLTIN, RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import headers as wire_headers
from gateway.wire.body import CODINGS, encode, inflate
from gateway.wire.location import Side
from gateway.wire.relaying import true_lines

_EVENTS = "text/event-stream"


class Relayed(Struct, frozen=True):
    """How an answer on an open route is passed on; `length` is that of its body, where it is known and stays.

    `inflates`: it came compressed, though that was not asked for, and must be read whole to be rewritten.
    `is_endless`: it is a stream of events (WHATWG HTML, section 9.2), which may be silent for long.
    """

    headers: Headers
    length: str | None
    rewrites: bool
    has_body: bool
    is_error: bool
    inflates: bool = False
    is_endless: bool = False


def relayed(snapshot: Snapshot, ready: Ready, request: Request, status: int, headers: Headers) -> Relayed | Refusal:
    """Say how an answer on an open route is passed on. Pure.

    An error is read whole: of it leave its status and messages. HEAD is answered as GET would be, as far as a head
    tells.
    """
    refusal = guard.relayable(status, headers)
    if refusal is not None:
        return refusal
    method = request.method
    if status >= 400:  # noqa: PLR2004 - HTTP's own number
        return Relayed((), None, rewrites=False, has_body=method != "HEAD", is_error=True)
    # A part of a body has no whole strings in it; `without_range` asks for the whole instead.
    is_json = wire_headers.is_json(wire_headers.first(headers, "content-type"))
    rewrites = is_json and not wire_headers.is_part(status, headers)
    has_body = not guard.lacks_body(status, method)
    coding = wire_headers.content_coding(headers) if rewrites else None
    if coding is not None and coding not in CODINGS:
        return Refusal(Code.UPSTREAM_INVALID, "JSON in a content coding that cannot be read")
    passing = wire_headers.for_client(headers, set_cookie=ready.admission.route.set_cookie)
    links = snapshot.api(ready.admission.route).links
    lines = true_lines(passing, links, status, ready.plan.conditions, rewrites=rewrites)
    if status in guard_status.REDIRECTS:
        place = _redirected(snapshot, ready, request, status, passing)
        if isinstance(place, Refusal):
            return place
        lines = tuple((name, place if name == "location" else value) for name, value in lines)
        if not is_json:
            # The page that comes with it is for people, and may name the upstream's own address.
            return Relayed(wire_headers.without_content(lines), "0", rewrites=False, has_body=False, is_error=False)
    length = wire_headers.first(headers, "content-length")
    is_empty = length == "0" and not guard.lacks_body(status, "GET")
    if is_empty and method == "HEAD" and isinstance(nothing := empty("GET", status, lines), Refusal):
        return nothing
    if rewrites or not (has_body or method == "HEAD"):
        length = None
    is_endless = has_body and wire_headers.media_type(wire_headers.first(headers, "content-type")) == _EVENTS
    inflates = coding is not None and has_body
    return Relayed(lines, length, rewrites, has_body, is_error=False, inflates=inflates, is_endless=is_endless)


def _redirected(snapshot: Snapshot, ready: Ready, request: Request, status: int, lines: Headers) -> str | Refusal:
    """Return where a redirect leads as a client may follow it; empty where it does not say.

    Browsers and SDKs repeat headers of their own, the customer token too, at the new origin on every redirect, and
    behind 307 and 308 the body as well: only to a listed origin may either go.
    """
    found = wire_headers.values(lines, "location")
    if len(found) > 1:
        return Refusal(Code.UPSTREAM_INVALID, "more than one Location")
    if not found:
        return ""
    place = snapshot.api(ready.admission.route).places.read(found[0], ready.target)
    carries = (
        status in {307, 308}
        or ready.admission.caller.kind is CallerKind.TRUSTED
        or any(wire_headers.values(request.headers, snapshot.callers.token_header))
    )
    if place.side is Side.UNREADABLE or (place.side is Side.ELSEWHERE and carries):
        blame = Code.UPSTREAM_INVALID if request.method in READS else Code.WRITE_UNCONFIRMED
        return Refusal(blame, "a redirect leads where it may not")
    return place.link


def without_range(ready: Ready, status: int, headers: Headers) -> Later | Refusal | None:
    """Return how a request goes on whose answer is a part of JSON: its bytes are not those that clients get.

    The whole is asked for, which a server may always answer instead (RFC 9110 section 14.2). None for other answers.
    """
    if not wire_headers.is_part(status, headers):
        return None
    content_type = wire_headers.first(headers, "content-type")
    # The parts of several ranges say of themselves what they are, out of sight.
    if not wire_headers.is_json(content_type) and wire_headers.media_type(content_type) != "multipart/byteranges":
        return None
    kept = tuple(line for line in ready.headers if line[0] not in {"range", "if-range"})
    if len(kept) == len(ready.headers) or ready.plan.method not in READS:
        # A write is not repeated; Range means nothing to one.
        return Refusal(Code.UPSTREAM_INVALID, "a part that was not asked for")

    async def later() -> Decided:
        return replace(ready, headers=kept)

    return later


def inflated(snapshot: Snapshot, ready: Ready, answer: Answer, head: Relayed, limit: int) -> Reply | Refusal:
    """Return an open answer that came compressed, in plain and rewritten; at most `limit` bytes of it."""
    plain = inflate(answer.body, wire_headers.content_coding(answer.headers), limit)
    if isinstance(plain, Refusal):
        return plain
    return Reply(answer.status, head.headers, snapshot.api(ready.admission.route).links.rewrite(plain))


def error_reply(answer: Answer, form: RecordForm = MOLTIN) -> Reply | Refusal:
    """Return what leaves of an error on an open route."""
    judged = guard_status.relayed_error(answer, form)
    if isinstance(judged, Refusal):
        return judged
    headers = (("content-type", "application/json"), ("cache-control", "no-store"), *judged.headers)
    return Reply(judged.status, headers, encode(judged.document))


def empty(method: str, status: int, lines: Headers) -> Reply | Refusal:
    """Return what becomes of an open answer whose body turned out empty: what was done was done.

    Old SDKs stand an empty body behind a 204 only, so that a write gets a document that says nothing, and where JSON
    was asked for none is no answer. Source: docs/upstream.md section 7.
    """
    if status in guard_status.REDIRECTS:
        return Reply(status, wire_headers.without_content(lines))
    if method == "DELETE":
        return Reply(204)
    kind = wire_headers.first(lines, "content-type")
    if method not in READS:
        lines = (*wire_headers.without_content(lines), ("content-type", "application/json"))
        return Reply(status, lines, encode({"data": None}))
    if kind is None or wire_headers.is_json(kind):
        return Refusal(Code.UPSTREAM_INVALID, "empty body")
    return Reply(status, lines)
