"""Bodies: strict JSON of clients, JSON and compression of upstream answers. Pure; knows no route.

A client's JSON is held to a stricter grammar than an upstream's: what we forward must have one reading, while an
upstream's answer is always re-encoded from what was checked, so that a second reading of it never leaves.
"""

import json
import math
import zlib
from typing import Any, NoReturn

import msgspec

from gateway.vocab.messages import Json
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import is_json

# Deeper than any API document and far below what a recursive reader behind us stands.
MAX_DEPTH = 32
# Largest integer that every JSON reader keeps exact is 2**53; 64 bit is what typed back ends take. Longer digit
# strings are read differently by different readers.
_MAX_DIGITS = 19

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class _BadJsonError(ValueError):
    """A document that parses but has more than one reading."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _BadJsonError("duplicate key")
    return document


def _bounded_int(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise _BadJsonError("huge number")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _BadJsonError("huge number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise _BadJsonError(f"{name} is not JSON")


_strict = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_int=_bounded_int,
    parse_float=_finite_float,
    parse_constant=_no_constant,
)


def parse_request(raw: bytes, content_type: str | None, encoding: str | None) -> Json | Refusal:
    """Read a client's body as one JSON object with exactly one reading.

    Refuses other content types and any content encoding (BODY_TYPE), and duplicate keys, other encodings than UTF-8,
    a byte order mark, nesting below MAX_DEPTH, huge numbers, NaN and lone surrogates (BODY_MALFORMED).
    """
    if not is_json(content_type) or encoding not in {None, "", "identity"}:
        return Refusal(Code.BODY_TYPE, "not plain application/json", source="body")
    try:
        text = raw.decode("utf-8", "strict")
        document = _strict.decode(text)
        # Lone surrogates ("\ud800") pass the parser and cannot be written as UTF-8.
        _encoder.encode(document)
    except (ValueError, RecursionError) as error:
        return Refusal(Code.BODY_MALFORMED, type(error).__name__, source="body")
    if not isinstance(document, dict) or is_too_deep(document):
        return Refusal(Code.BODY_MALFORMED, "not an object, or too deep", source="body")
    return document


def is_too_deep(document: object) -> bool:
    """Tell whether a document nests deeper than MAX_DEPTH."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def encode(document: object) -> bytes:
    """Write a document as JSON."""
    return _encoder.encode(document)


def parse_answer(raw: bytes) -> Any | Refusal:
    """Read an upstream's body as one complete JSON text; UPSTREAM_INVALID when it is not."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(Code.UPSTREAM_INVALID, f"not JSON: {type(error).__name__}")


CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""The content codings that can be undone."""


def inflate(raw: bytes, encoding: str | None, limit: int) -> bytes | Refusal:
    """Undo an upstream's Content-Encoding, never producing more than `limit` bytes.

    Raises nothing: unknown encodings, damaged data and answers above the limit are UPSTREAM_INVALID.
    """
    match (encoding or "identity").strip().lower():
        case "identity":
            return raw
        case "gzip" | "x-gzip":
            window = 16 + zlib.MAX_WBITS
        case "deflate":
            window = zlib.MAX_WBITS
        case _:
            return Refusal(Code.UPSTREAM_INVALID, "unknown content encoding")
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(raw, limit + 1)
    except zlib.error:
        return Refusal(Code.UPSTREAM_INVALID, "damaged compressed body")
    if len(plain) > limit:
        return Refusal(Code.UPSTREAM_INVALID, "compressed body above the limit")
    if not inflater.eof or inflater.unused_data:
        return Refusal(Code.UPSTREAM_INVALID, "truncated or overlong compressed body")
    return plain
