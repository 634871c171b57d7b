"""Bodies: strict JSON of clients, JSON and compression of upstream answers. Pure; knows no route.

A client's JSON is held to a stricter grammar than an upstream's: what we forward must have one reading, while an
upstream's answer is always re-encoded from what was checked, so that a second reading of it never leaves.
"""

import json
import math
import re
import zlib
from typing import Annotated, Any, Final, NoReturn

import msgspec
from pydantic import StringConstraints, TypeAdapter

from gateway.vocab.messages import Answer, Json
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import content_coding, is_json
from gateway.wire.pointer import MISSING, resolve

# Deeper than any API document and far below what a recursive reader behind us stands.
MAX_DEPTH = 32
# Python makes no int of more digits (sys.set_int_max_str_digits), nor does msgspec.
_MAX_DIGITS = 4300
_BOM = b"\xef\xbb\xbf"
UNENCODED: Final = ("accept-encoding", "identity")
"""What a refusal of a compressed body says that would be taken (RFC 9110 section 15.5.16)."""
# A negative zero among integers, which msgspec reads as 0. Nearly no answer has one, and all are looked through for it:
# fixed letters, each kind spelled out, are found by pydantic's engine (Rust's) twenty times faster than by Python's.
_MAY_BE_MINUS_ZERO = TypeAdapter(
    Annotated[str, StringConstraints(pattern=r"-0,|-0\}|-0\]|-0 |-0\n|-0\r|-0\t")]
).validator.isinstance_python
# What only looks like one, in a text, costs time alone.
_MINUS_ZERO = re.compile(rb"-0(?<=[\s:,\[]-0)(?=[\s,}\]])")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89A-Fa-f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# What has more than one spelling keeps its own: as text a number is neither rounded nor respelled, and is nobody's id.
_decoder = msgspec.json.Decoder(float_hook=msgspec.Raw)
_encoder = msgspec.json.Encoder()


class _BadJsonError(ValueError):
    """A document that parses but has more than one reading."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _BadJsonError("duplicate key")
    # A name here, and to readers in JavaScript that copy members one by one what all objects have in common.
    if "__proto__" in document or resolve(document, ("constructor", "prototype")) is not MISSING:
        raise _BadJsonError("a prototype")
    return document


def _integer(digits: str) -> int | msgspec.Raw:
    """Return an integer, which has one spelling; as text where Python has not (a negative zero) or would not."""
    return msgspec.Raw(digits) if digits == "-0" or len(digits) > _MAX_DIGITS else int(digits)


def _bounded_integer(digits: str) -> int | msgspec.Raw:
    _bounded_float(digits)
    return _integer(digits)


def _bounded_float(digits: str) -> msgspec.Raw:
    # Some readers take what is beyond every double for infinity, others for a fault.
    if not math.isfinite(float(digits)):
        raise _BadJsonError("huge number")
    return msgspec.Raw(digits)


def _no_constant(name: str) -> NoReturn:
    raise _BadJsonError(f"{name} is not JSON")


_strict = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_int=_bounded_integer,
    parse_float=_bounded_float,
    parse_constant=_no_constant,
)
# It reads all of RFC 8259, also what msgspec does not, and takes five times as long.
_patient = json.JSONDecoder(parse_int=_integer, parse_float=msgspec.Raw, parse_constant=_no_constant)


def parse_request(raw: bytes, content_type: str | None, encoding: str | None) -> Json | Refusal:
    """Read a client's body as one JSON object with exactly one reading.

    Numbers that are no plain integers are given as the text they came as (`msgspec.Raw`), and are written as that.
    Refuses other content types and any content encoding (BODY_TYPE), and duplicate keys, a prototype, other encodings
    than UTF-8, a byte order mark, nesting below MAX_DEPTH, numbers beyond every double, NaN and lone surrogates
    (BODY_MALFORMED).
    """
    if not is_json(content_type):
        return Refusal(Code.BODY_TYPE, "not application/json", source="body", accepts=("accept", "application/json"))
    if encoding not in {None, "", "identity"}:
        return Refusal(Code.BODY_TYPE, "encoded body", source="body", accepts=UNENCODED)
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
    """Read an upstream's body as one complete JSON text (RFC 8259); UPSTREAM_INVALID when it is not.

    A byte order mark is passed over (section 8.1). Numbers that are no plain integers, and texts with lone surrogates
    (section 8.2), are given as they came (`msgspec.Raw`): they leave so, and are nobody's id.
    """
    raw = raw.removeprefix(_BOM)
    try:
        if not _MAY_BE_MINUS_ZERO(raw) or _MINUS_ZERO.search(raw) is None:
            return _decoder.decode(raw)
    except RecursionError as error:
        return _not_json(error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # It is not JSON, or JSON that this reader does not take.
        pass
    try:
        document = _patient.decode(raw.decode("utf-8", "strict"))
        return _settled(document) if _SURROGATE_ESCAPE.search(raw) else document
    except (ValueError, RecursionError) as error:
        return _not_json(error)


def _not_json(error: Exception) -> Refusal:
    return Refusal(Code.UPSTREAM_INVALID, f"not JSON: {type(error).__name__}")


def _settled(node: Any) -> Any:
    """Return a document in which no text is one that cannot be written as UTF-8."""
    if isinstance(node, dict):
        return {_SURROGATE.sub("\ufffd", name): _settled(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_settled(value) for value in node]
    return msgspec.Raw(json.dumps(node)) if isinstance(node, str) and _SURROGATE.search(node) else node


def number(value: object) -> float | None:
    """Return a number of a document for reckoning; None for anything else, such as true."""
    if isinstance(value, msgspec.Raw):
        try:
            return float(bytes(value))
        except ValueError:
            return None
    return value if type(value) in {int, float} else None  # type: ignore[return-value]


CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""The content codings that can be undone."""


def read_answer(answer: Answer, limit: int) -> Any | Refusal:
    """Read an answer's body as JSON, its coding undone, of at most `limit` bytes; UPSTREAM_INVALID when it is not."""
    plain = inflate(answer.body, content_coding(answer.headers), limit)
    return plain if isinstance(plain, Refusal) else parse_answer(plain)


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
