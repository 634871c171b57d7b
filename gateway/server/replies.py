"""Renders every refusal, in one shape: the error envelope that SDKs of the API read, and the heads of all replies.

It decides nothing.
"""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from msgspec import Struct

from gateway.vocab.messages import Headers, Reply
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode
from gateway.wire.head import END, render_lines

# aiohttp would name itself and Python with their versions.
SERVER = ("server", "customer-token-gateway")
_JSON: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))
# An SDK's retry after this many seconds finds a gateway that has had time to catch up.
_RETRY_AFTER = {Code.OVERLOADED: 1, Code.DRAINING: 1, Code.STORE_UNAVAILABLE: 1, Code.CREDENTIAL_UNAVAILABLE: 1}
# RFC 9110 section 8.6: these have neither a length nor a type.
_WITHOUT_BODY = frozenset({204, 304})
UNSAID = -1
"""The length of a body of which a head says nothing, as that of an answer to HEAD may."""


def render(refusal: Refusal) -> Reply:
    """Return the reply that says this "no": the public text is the code's, whatever the private detail."""
    wording = refusal.code.value
    # An integer status: typed SDKs decode nothing else (docs/upstream.md section 2, "Error envelope").
    error: dict[str, object] = {"status": wording.status, "title": wording.title, "detail": wording.text}
    if refusal.source is not None:
        error["source"] = refusal.source
    error["code"] = refusal.code.name
    headers = list(_JSON)
    if refusal.accepts is not None:
        headers.append(refusal.accepts)
    if refusal.allow:
        headers.append(("allow", ", ".join(refusal.allow)))
    retry_after = refusal.retry_after or _RETRY_AFTER.get(refusal.code)
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    if wording.status == 401:  # noqa: PLR2004 - RFC 9110 section 11.6.1 asks for a challenge with it
        headers.append(("www-authenticate", refusal.challenge))
    document: dict[str, object] = {"errors": [error]}
    if refusal.oauth is not None:
        document |= {"error": refusal.oauth, "error_description": wording.text}
    return Reply(wording.status, tuple(headers), encode(document))


def without_token(status: int, lines: Headers) -> Headers:
    """Return a reply's header lines and one more, for an app whose customer token is dead: log in again, or forget it.

    No cache may keep such a reply for others, whatever the API said of it (RFC 9111 section 5.2.2.5, RFC 9213): their
    tokens are good. A 304 would teach it to the cache all the same (RFC 9111 section 4.3.4), and says nothing.
    """
    if status == HTTPStatus.NOT_MODIFIED:
        return lines
    kept = [
        # A page may read it as it may the others that are named there.
        (name, f"{value}, X-Customer-Token") if name == "access-control-expose-headers" else (name, value)
        for name, value in lines
        if not name.endswith(("cache-control", "surrogate-control"))
    ]
    return (*kept, ("cache-control", "private, no-store"), ("x-customer-token", "ignored"))


class Closing(Struct, frozen=True):
    """What the head of a request says of its connection.

    That it `is_wanted` to end, in words or by its version, or that it `is_needed` to, for what comes behind it may not
    be HTTP; and that the request is of HTTP/1.0 (`is_old`).
    """

    is_wanted: bool = False
    is_needed: bool = False
    is_old: bool = False


def reply_head(  # noqa: PLR0913 - all that a head says
    status: int, lines: Headers, request_id: str, length: int | None, now: float, closing: Closing, *, is_last: bool
) -> bytes:
    """Return the head of a reply with what every reply says.

    `length` is that of the body, or UNSAID; None for one that is streamed: in chunks, or to the end of an HTTP/1.0
    connection.
    `now` is in epoch seconds. `is_last` says that the connection ends behind it.
    """
    is_old = closing.is_old
    beginning, names = _beginning(status, lines, is_old)
    # Lines of our own making, in which nobody else has a word: they need no check.
    end = f"x-request-id: {request_id}\r\n"
    if status not in _WITHOUT_BODY and length != UNSAID:
        if length is not None:
            end += f"Content-Length: {length}\r\n"
        elif not is_old:
            end += "Transfer-Encoding: chunked\r\n"
        if "content-type" not in names and length != 0:
            end += "Content-Type: application/octet-stream\r\n"
    if "date" not in names:
        end += _date_line(int(now))
    # What the request takes for granted need not be said (RFC 9112 section 9.3), unless it was not understood.
    if is_last and not (is_old and closing.is_wanted and not closing.is_needed):
        end += "Connection: close\r\n"
    elif is_old and not is_last:
        end += "Connection: keep-alive\r\n"
    return beginning + end.encode() + END


# Few, for what is relayed of an upstream may have heads of up to 1 MiB.
@lru_cache(maxsize=32)
def _beginning(status: int, lines: Headers, is_old: bool) -> tuple[bytes, frozenset[str]]:  # noqa: FBT001 - as a name it costs more
    """Return status line and header lines, and the names in them; most replies begin like others."""
    return render_lines((*lines, SERVER), _start_line(status, "1.0" if is_old else "1.1")), frozenset(
        name for name, _ in lines
    )


def _start_line(status: int, version: str) -> str:
    try:
        return f"HTTP/{version} {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP/{version} {status} "


@lru_cache(maxsize=2)
def _date_line(seconds: int) -> str:
    return f"Date: {formatdate(seconds, usegmt=True)}\r\n"
