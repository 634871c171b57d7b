"""Strict reading of base64url and of the JSON inside tokens and keys. It verifies nothing: see keyring.py."""

import base64

from gateway.vocab.messages import Json
from gateway.vocab.refusals import Refusal
from gateway.wire.body import parse_request


def encode_segment(data: bytes) -> str:
    """Write base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_segment(segment: str) -> bytes | None:
    """Read base64url without padding; None unless it is the one spelling that `encode_segment` gives."""
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return None
    # The decoder skips foreign characters and ignores the unused low bits of the last one: writing the bytes
    # again is what proves that there was no other spelling.
    return data if encode_segment(data) == segment else None


def read_object(text: bytes) -> Json | None:
    """Read one JSON object with exactly one reading; None for anything else.

    RFC 7519 section 4 lets a parser take the last of two claims of one name, and two parsers may then disagree: what
    is refused is the same as in the body of a client.
    """
    document = parse_request(text, "application/json", None)
    return None if isinstance(document, Refusal) else document
