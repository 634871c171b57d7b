"""Renders every refusal, in one shape: the error envelope that SDKs of the API read; and the express lane's heads.

It decides nothing.
"""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

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


def render(refusal: Refusal) -> Reply:
    """Return the reply that says this "no": the public text is the code's, whatever the private detail."""
    wording = refusal.code.value
    # An integer status: typed SDKs decode nothing else (docs/upstream.md section 2, "Error envelope").
    error: dict[str, object] = {"status": wording.status, "title": wording.title, "detail": wording.text}
    if refusal.source is not None:
        error["source"] = refusal.source
    error["code"] = refusal.code.name
    headers = list(_JSON)
    if refusal.allow:
        headers.append(("allow", ", ".join(refusal.allow)))
    retry_after = refusal.retry_after or _RETRY_AFTER.get(refusal.code)
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    if wording.status == 401:  # noqa: PLR2004 - RFC 9110 section 11.6.1 asks for a challenge with it
        headers.append(("www-authenticate", "Bearer"))
    return Reply(wording.status, tuple(headers), encode({"errors": [error]}))


def reply_head(status: int, lines: Headers, request_id: str, length: int | None, now: float, *, is_last: bool) -> bytes:
    """Return the head of a reply with what every reply says, and what aiohttp would add.

    `length` is that of the body; None for one that is streamed in chunks. `now` is in epoch seconds. `is_last` says
    that the connection ends behind this reply.
    """
    beginning, names = _beginning(status, lines)
    # Lines of our own making, in which nobody else has a word: they need no check.
    end = f"x-request-id: {request_id}\r\n"
    if status not in _WITHOUT_BODY:
        end += "Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n"
        if "content-type" not in names and length != 0:
            end += "Content-Type: application/octet-stream\r\n"
    if "date" not in names:
        end += f"Date: {_date(int(now))}\r\n"
    if is_last:
        end += "Connection: close\r\n"
    return beginning + end.encode() + END


# Few, for what is relayed of an upstream may have heads of up to 1 MiB.
@lru_cache(maxsize=32)
def _beginning(status: int, lines: Headers) -> tuple[bytes, frozenset[str]]:
    """Return status line and header lines, and the names in them; most replies begin like others."""
    return render_lines((*lines, SERVER), _start_line(status)), frozenset(name for name, _ in lines)


def _start_line(status: int) -> str:
    try:
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP/1.1 {status} "


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
