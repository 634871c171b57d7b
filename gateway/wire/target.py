"""Turns a request target into its one canonical reading, or refuses it.

Matching, rules and forwarding where rules apply use only what comes out of here; nothing else in the gateway decodes or
encodes a path or a query. Open routes pass a target on as it came, where it has no other reading than this one
(`RouteTable.as_sent`). It does not know routes.
"""

import re
import string
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from msgspec.structs import replace

from gateway.vocab.messages import Query, Target
from gateway.vocab.refusals import Code, Refusal

# What is longer is read anew each time.
_SHORT = 256
# EPCC knows fewer than ten parameters; a hundred leaves room for any backend and bounds the work.
MAX_PARAMETERS = 100

# RFC 3986 section 3.3: pchar, less ";" (parameters of a segment: servers disagree about them) and "%".
_SEGMENT_SAFE = "-._~!$&'()*+,=:@"
# RFC 3986 section 3.4, less what separates parameters ("&", ";", "=", "+") and plus the brackets that real SDKs send
# raw in names like page[limit].
_QUERY_SAFE = "-._~!$'()*,:@/?[]"

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_QUERY_LETTERS = r"[A-Za-z0-9\-._~!$'()*,:@/?\[\]]"
_PLAIN_QUERY_TEXT = re.compile(rf"{_QUERY_LETTERS}*")
_PLAIN_QUERY_BYTES = _QUERY_SAFE.encode() + b"&=" + string.ascii_letters.encode() + string.digits.encode()
_PLAIN_QUERY = re.compile(rf"{_QUERY_LETTERS}++={_QUERY_LETTERS}*+(?:&{_QUERY_LETTERS}++={_QUERY_LETTERS}*+)*+")
_PAIR = re.compile(r"([^=&]+)=([^&]*)")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# An escape of an unreserved character has no honest use in a name: it only hides the name from a reader.
_HIDDEN_LETTER = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
# What careless readers of UTF-8 take for ASCII, "%C0%AF" for a slash. RFC 3629 section 3 forbids it.
_OVERLONG = re.compile(r"%(?:[Cc][01]%[89ABab]|[Ee]0%[89]|[Ff]0%8)")
_ABSOLUTE = re.compile(r"(https?)://([^/?#@\\]+)([/?].*)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SIGN = re.compile(r"[\x00-\x2f:-@\[-`{-\x7f]")
# Decoded, these would be read as structure by somebody behind us: "/" and "\" split segments, "%" is a second
# encoding, ";" starts parameters, "?" and "#" end the path.
_STRUCTURE = frozenset("/\\%;?#")


def parse(raw: str) -> Target | Refusal:
    """Read a request target in origin form (RFC 9112 section 3.2.1).

    How long it may be is said before (`limits.head`), and how long a filter in it by whoever reads that.

    Refuses with TARGET_INVALID what is not a target at all and with TARGET_AMBIGUOUS what two readers could read
    differently: encoded slashes, backslashes, dot segments, double encoding, control characters, empty segments, ";",
    fragments, absolute form, letters that Unicode normalisation would make a sign.
    """
    return _remembered(raw) if len(raw) <= _SHORT else _parse(raw)


def _parse(raw: str) -> Target | Refusal:
    path, _, query_text = raw.partition("?")
    is_plain = _PLAIN_PATH.fullmatch(path) is not None
    # Most targets are plain throughout, and what they are made of needs no second look (saves 2 us of 4).
    if is_plain and (pairs := _plain_pairs(query_text)) is not None:
        return Target(path, tuple(path[1:].split("/")), pairs)
    if not _VISIBLE.fullmatch(raw):
        return Refusal(Code.TARGET_INVALID, "not visible ASCII")
    if raw[0] != "/":
        return Refusal(Code.TARGET_AMBIGUOUS, "not in origin form")
    if "#" in raw:
        return Refusal(Code.TARGET_AMBIGUOUS, "fragment")
    if path.endswith("/") and path[:-1].strip("/") and path[-2] != "/":
        target = _parse(path[:-1] + raw[len(path) :])
        return target if isinstance(target, Refusal) else replace(target, has_slash=True)
    if is_plain:
        return _with_query(Target(path, tuple(path[1:].split("/"))), query_text)
    segments = _segments(path) if path != "/" else ()
    if isinstance(segments, Refusal):
        return segments
    folded = _folded(segments)
    if isinstance(folded, Refusal):
        return folded
    return _with_query(Target(encode_path(segments), segments, (), None if folded == segments else folded), query_text)


def _with_query(target: Target, text: str) -> Target | Refusal:
    query = _pairs(text)
    if not isinstance(query, Refusal):
        return replace(target, query=query) if query else target
    query = _pairs(text, "replace")
    return query if isinstance(query, Refusal) else replace(target, query=query, is_illegible=True)


def origin_form(raw: str, ours: Collection[str]) -> str | Refusal:
    """Return the origin form of a target in absolute form (RFC 9112 section 3.2.2), if its authority is one of `ours`.

    TARGET_AMBIGUOUS for any other authority. What is in another form stays as it is, for `parse` to refuse. `ours` are
    spelled as by `authority`.
    """
    found = _ABSOLUTE.fullmatch(raw)
    if found is None:
        return raw
    if authority(found[1], found[2]) not in ours:
        return Refusal(Code.TARGET_AMBIGUOUS, "an absolute form of somebody else's")
    rest = found[3] or ""
    return rest if rest.startswith("/") else f"/{rest}"


def illegible(target: Target) -> Refusal | None:
    """Refuse what no rule may meet: text that readers behind us could see differently."""
    if target.folded is not None:
        return Refusal(Code.TARGET_AMBIGUOUS, "text that Unicode normalisation changes")
    return Refusal(Code.TARGET_INVALID, "escapes that are not UTF-8") if target.is_illegible else None


def authority(scheme: str, text: str) -> str:
    """Spell an authority in one way: in lower case, without the port that its scheme implies."""
    text = text.lower().removesuffix(":")
    return text.removesuffix(":443" if scheme.lower() == "https" else ":80")


# The pages of a shop ask for the same lists again and again (saves 2 us of 3); half a MiB at most.
_remembered = lru_cache(maxsize=512)(_parse)


def _segments(path: str) -> tuple[str, ...] | Refusal:
    decoded = []
    for raw in path[1:].split("/"):
        segment = _decode(raw)
        if isinstance(segment, Refusal):
            return segment
        # Some servers trim spaces and dots at the end of names before they resolve dot segments.
        if not segment.strip(" ."):
            return Refusal(Code.TARGET_AMBIGUOUS, "empty or dot segment")
        if not _STRUCTURE.isdisjoint(segment):
            return Refusal(Code.TARGET_AMBIGUOUS, "encoded or stray structure in a segment")
        decoded.append(segment)
    return tuple(decoded)


def _folded(segments: tuple[str, ...]) -> tuple[str, ...] | Refusal:
    """Return what Unicode normalisation makes of segments; refuses what it makes a dot, a slash or a space of."""
    folded = tuple([unicodedata.normalize("NFKC", segment) for segment in segments])
    if any(_SIGN.findall(made) != _SIGN.findall(segment) for made, segment in zip(folded, segments, strict=True)):
        return Refusal(Code.TARGET_AMBIGUOUS, "signs that Unicode normalisation makes")
    return folded


def parse_query(text: str) -> Query | Refusal:
    """Read the query of a target, without its question mark; refuses as `parse` does."""
    plain = _plain_pairs(text)
    return _pairs(text) if plain is None else plain


def _plain_pairs(text: str) -> Query | None:
    """Read a query in which every letter stands for itself, as `_pairs` would; None where it is not such a one."""
    if not text:
        return ()
    if _PLAIN_QUERY.fullmatch(text) and text.count("&") < MAX_PARAMETERS:
        return tuple(_PAIR.findall(text))
    return None


def _pairs(text: str, errors: str = "strict") -> Query | Refusal:
    if ";" in text:
        # Old frameworks split parameters at ";" (WHATWG dropped it, Go refuses it).
        return Refusal(Code.TARGET_AMBIGUOUS, "semicolon in the query")
    pieces = [piece for piece in text.split("&") if piece]
    if len(pieces) > MAX_PARAMETERS:
        return Refusal(Code.TARGET_INVALID, "too many parameters")
    pairs = []
    for piece in pieces:
        raw_name, _, raw_value = piece.partition("=")
        if not raw_name or "+" in raw_name or _HIDDEN_LETTER.search(raw_name):
            return Refusal(Code.TARGET_AMBIGUOUS, "parameter name that hides its spelling")
        name = _decode(raw_name)
        if isinstance(name, Refusal):
            return name
        # application/x-www-form-urlencoded: "+" is a space, and docs/upstream.md section 4 says the API reads it so.
        value = _decode(raw_value.replace("+", " "), errors)
        if isinstance(value, Refusal):
            return value
        pairs.append((name, value))
    return tuple(pairs)


def _decode(raw: str, errors: str = "strict") -> str | Refusal:
    if "%" not in raw:
        return raw
    if _BROKEN_ESCAPE.search(raw) or _OVERLONG.search(raw):
        return Refusal(Code.TARGET_INVALID, "broken percent escape, or overlong UTF-8")
    try:
        text = unquote_to_bytes(raw).decode("utf-8", errors)
    except UnicodeDecodeError:
        return Refusal(Code.TARGET_INVALID, "escapes that are not UTF-8")
    if _CONTROL.search(text):
        return Refusal(Code.TARGET_AMBIGUOUS, "encoded control character")
    return text


def encode_path(segments: tuple[str, ...]) -> str:
    """Spell decoded segments canonically."""
    return "/" + "/".join([quote(segment, safe=_SEGMENT_SAFE) for segment in segments])


def encode_query(query: Query) -> str:
    """Spell decoded parameters canonically, without the question mark; `parse` reads exactly them back."""
    # One look at all letters instead of one at each name and value (saves 2 us of 3).
    text = "&".join(map("=".join, query))
    is_plain = text.isascii() and not text.encode().translate(None, _PLAIN_QUERY_BYTES)
    if is_plain and text.count("=") == len(query) == text.count("&") + 1:
        return text
    return "&".join([f"{_encode(name)}={_encode(value)}" for name, value in query])


def _encode(text: str) -> str:
    return text if _PLAIN_QUERY_TEXT.fullmatch(text) else quote(text, safe=_QUERY_SAFE)


def serialise(path: str, query: Query) -> str:
    """Spell a canonical path and decoded parameters as a request target in origin form."""
    return f"{path}?{encode_query(query)}" if query else path
