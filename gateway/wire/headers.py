"""Which header lines pass, in both directions. Upstream headers are built from an allow-list, never edited.

Nothing here knows tokens or routes.
"""

import re
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from gateway.vocab.messages import Headers

AUTHORIZATION = "authorization"
CUSTOMER_TOKEN = "x-moltin-customer-token"  # noqa: S105 - the name of a header, not a secret

# What the API's SDKs send and an upstream may act upon (docs/upstream.md section 5), and the representation headers.
# Left out on purpose: Idempotency-Key, because all customers share our bearer, and a key of one would be answered with
# the reply to another (idempotency.py has what goes up instead);
# X-MOLTIN-AUTH-STORE, which switches the store; EP-Internal-Search-Ast-*, which replaces the
# parsed filter; EP-Account-Management-Authentication-Token, which would combine with our bearer; every X-Forwarded-*,
# X-Original-* and X-HTTP-Method-Override, by which somebody decides on something else than what we matched.
FORWARDED = frozenset({
    "accept", "accept-language", "content-type", "traceparent", "tracestate", "user-agent", "via",
    "ep-beta-features", "ep-channel", "ep-context-tag", "ep-disable-beta-filtering", "ep-inventories-multi-location",
    "x-moltin-application", "x-moltin-currencies", "x-moltin-currency", "x-moltin-language", "x-moltin-locale",
    "x-moltin-sdk-language", "x-moltin-sdk-version",
})  # fmt: skip

# RFC 9110 section 13.1. They travel beside the other lines, for on a read with rules they come second.
CONDITIONS = frozenset({"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"})
# A part of an answer passes only where the answer is relayed as it is: a guard must see a whole representation.
CONDITIONAL = CONDITIONS | {"range"}

# RFC 9110 section 7.6.1 and RFC 9112: connection-level fields end here. Content-Length is the edge's to say.
_HOP_BY_HOP = frozenset({
    "connection", "content-length", "keep-alive", "proxy-authenticate", "proxy-authentication-info",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip

# What the gateway says upstream itself, or decides by; no setting may let a client's line pass instead.
OWN_FIELDS = _HOP_BY_HOP | {
    "accept-encoding", "authorization", "content-encoding", "cookie", "expect", "forwarded", "host", "http2-settings",
    "idempotency-key", "x-http-method-override", "x-moltin-auth-store", "x-original-url", "x-request-id",
    "x-rewrite-url", CUSTOMER_TOKEN,
}  # fmt: skip

# What an answer says of its bytes, which are others once links were rewritten (RFC 9110 section 14.3, RFC 9530).
OF_BYTES = frozenset({"accept-ranges", "content-digest", "content-md5", "digest", "repr-digest"})

# The gateway speaks for itself about these: its own CORS answer, its own cookies (none), its own request id. What is
# challenged is its own credential.
_NOT_RELAYED = _HOP_BY_HOP | {
    "alt-svc", "set-cookie", "set-cookie2", "server", "www-authenticate", "x-request-id", "http2-settings",
}  # fmt: skip

# What no answer of an upstream says on a route with rules: framing, cookies, challenges, and what is said anew.
OWN_ANSWER_FIELDS = _NOT_RELAYED | OF_BYTES | {
    "cache-control", "content-encoding", "date", "vary", "via", "authentication-info",
}  # fmt: skip

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# It stands in lines of logs and heads: nothing that a shell, a page or a table could take for its own.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~+-]{1,64}")
GATEWAY: Final = "customer-token-gateway"
# RFC 9110 section 7.6.3: comments may stand behind a member, and say nothing.
_COMMENT = re.compile(r"\([^()]*\)")
# What speaks of the very bytes of a body (RFC 9110 section 8, RFC 9530).
_OF_CONTENT = frozenset({
    "accept-ranges", "content-digest", "content-disposition", "content-encoding", "content-language", "content-md5",
    "content-range", "content-type", "digest", "repr-digest",
})  # fmt: skip

# Seconds of any sensible number, or an IMF-fixdate (RFC 9110 section 5.6.7).
_RETRY_AFTER = re.compile(r"\d{1,9}|[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT", re.ASCII)
_METHODS = re.compile(r"(?:[A-Z]{1,16}(?:[ \t]*,[ \t]*|$)){0,20}")
_UNSATISFIED = re.compile(r"bytes \*/[0-9]{1,18}")
_HOP = r"(?:HTTP/)?\d(?:\.\d)? [A-Za-z0-9._:\[\]-]{1,128}"
# What passes only in the form that it has by its own rules: W3C Trace Context; RFC 9110 section 7.6.3, less comments.
_FORMS = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "via": re.compile(rf"{_HOP}(?:[ \t]*,[ \t]*{_HOP}){{0,15}}"),
}


def values(headers: Headers, name: str) -> list[str]:
    """Return the values of all lines called `name` (lower case)."""
    return [value for key, value in headers if key == name]


def first(headers: Headers, name: str) -> str | None:
    """Return the value of the first line called `name` (lower case)."""
    for key, value in headers:
        if key == name:
            return value
    return None


@lru_cache(maxsize=16)
def via(protocol: str, pseudonym: str = GATEWAY) -> tuple[str, str]:
    """Return our own Via line (RFC 9110 section 7.6.3) for a request that came in this version of HTTP, 1.0 or 1.1."""
    return "via", f"{protocol} {pseudonym}"


def came_through(headers: Headers, pseudonym: str) -> bool:
    """Tell whether a request has been forwarded by whoever has this pseudonym: a member of its Via lines names it."""
    for name, value in headers:
        if name == "via" and pseudonym in value.lower():
            members = [member.split() for member in _COMMENT.sub("", value.lower()).split(",")]
            if any(len(words) > 1 and words[1] == pseudonym for words in members):
                return True
    return False


def request_id(headers: Headers) -> str | None:
    """Return the client's own id for its request; None without one, with two, and for one that is no safe token."""
    found = dict(headers).get("x-request-id")
    if found is None or is_repeated(headers, "x-request-id"):
        return None
    return found if _REQUEST_ID.fullmatch(found) else None


def is_repeated(headers: Headers, name: str) -> bool:
    """Tell whether more than one line is called `name`."""
    return len(values(headers, name)) > 1


def _named_in_connection(headers: Headers) -> frozenset[str]:
    """Return the fields that Connection declares to be hop-by-hop (RFC 9110 section 7.6.1)."""
    lines = [value for key, value in headers if key == "connection"]
    return frozenset(part.strip().lower() for value in lines for part in value.split(","))


def ends_here(headers: Headers, name: str) -> bool:
    """Tell whether Connection names a field, so that it is for us alone."""
    return name in _named_in_connection(headers)


def for_upstream(headers: Headers, allowed: Collection[str]) -> Headers:
    """Pick the lines that go upstream: those in `allowed`, unless Connection names them."""
    passing = []
    for line in headers:
        name = line[0]
        if name in allowed:
            if name not in _FORMS or _FORMS[name].fullmatch(line[1]):
                passing.append(line)
        elif name == "connection" and line[1] != "keep-alive":
            # Few name fields there (saves 1 us for all others).
            dropped = _named_in_connection(headers) | {"connection"}
            return for_upstream(tuple([line for line in headers if line[0] not in dropped]), allowed)
    return tuple(passing)


def for_client(headers: Headers, *, set_cookie: bool = False) -> Headers:
    """Pick the lines of an upstream answer that are relayed on an open route; `set_cookie` lets cookies pass."""
    dropped = _named_in_connection(headers)
    return tuple(
        (key, value)
        for key, value in headers
        if (key not in _NOT_RELAYED or (set_cookie and key == "set-cookie"))
        and key not in dropped
        and not key.startswith("access-control-")
        and not _CONTROL.search(value)  # RFC 9110 section 5.5: such a field is invalid, and our own writer refuses it
    )


def without_content(headers: Headers) -> Headers:
    """Drop the lines that describe a body which does not leave."""
    return tuple(line for line in headers if line[0] not in _OF_CONTENT)


def media_type(content_type: str | None) -> str:
    """Return the type/subtype of a Content-Type value in lower case, empty without one."""
    return (content_type or "").partition(";")[0].strip().lower()


def retry_after(headers: Headers) -> str | None:
    """Return an upstream's Retry-After as it came: seconds or a date (RFC 9110 section 10.2.3); else None."""
    lines = values(headers, "retry-after")
    if len(lines) != 1 or not _RETRY_AFTER.fullmatch(lines[0]):
        return None
    return lines[0] if lines[0].isdecimal() or _moment(lines[0]) is not None else None


def wait_asked(headers: Headers, now: float) -> float:
    """Return for how many seconds an upstream asks to wait, at `now` in epoch seconds; 0 where it does not."""
    said = retry_after(headers)
    if said is None or said.isdecimal():
        return float(said or 0)
    return max(0.0, (_moment(said) or 0.0) - now)


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        # A day that no month has, or a month that no year has.
        return None


def of_refusal(status: int, headers: Headers) -> Headers:
    """Pick the lines that say something of a client error itself: `Allow`, and the length in `Content-Range` of a 416.

    Sources: RFC 9110 sections 10.2.1 and 15.5.17.
    """
    kept = [("allow", line) for line in values(headers, "allow") if _METHODS.fullmatch(line)]
    if status == 416:  # noqa: PLR2004 - HTTP's own number
        kept += [("content-range", line) for line in values(headers, "content-range") if _UNSATISFIED.fullmatch(line)]
    return tuple(kept)


@lru_cache(maxsize=64)
def is_json(content_type: str | None) -> bool:
    """Tell whether a Content-Type value says JSON in UTF-8 (RFC 8259 section 8.1, RFC 6839 section 3.1)."""
    kind = media_type(content_type)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return False
    parameters = (content_type or "").partition(";")[2].lower()
    return "charset" not in parameters or re.search(r'charset\s*=\s*"?utf-?8"?\s*(;|$)', parameters) is not None


_CODINGS: Final = frozenset({
    "aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "x-compress", "x-gzip",
    "zstd",
})  # fmt: skip
"""iana.org/assignments/http-parameters: what is no coding of a body, as `chunked`, only looks like its framing."""


def content_coding(headers: Headers) -> str | None:
    """Return how the body is coded, or None where it is not; several codings are one text that no reader knows."""
    codings = [value.strip().lower() for value in values(headers, "content-encoding")]
    named = ", ".join(coding for coding in codings if coding not in {"", "identity"})
    return named or None


def is_registered_coding(coding: str) -> bool:
    """Tell whether what `content_coding` says names content codings that there are: IANA's registry has no others."""
    return all(one.strip() in _CODINGS for one in coding.split(","))


def is_part(status: int, headers: Headers) -> bool:
    """Tell whether an answer holds some bytes of a representation; other units have whole documents (RFC 9110 14.1)."""
    unit = (first(headers, "content-range") or "bytes").partition(" ")[0].lower()
    return status == 206 and unit == "bytes"  # noqa: PLR2004 - HTTP's own number
