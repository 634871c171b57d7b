"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) of one caller, as no other can say it. Pure.

All callers share the server's one bearer, so that the API would answer a key of one with the reply to another. What
goes up is a digest of the key and of who says it about what: equal for a repeat, and for nothing else.
"""

import hashlib
import re
from typing import Final

from gateway.vocab.messages import Caller, CallerKind, Headers, Target
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import first, values
from gateway.wire.target import serialise

NAME: Final = "idempotency-key"
# Visible ASCII; the draft has a string in quotation marks, and most APIs take any text.
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_EMPTY: Final = '""'


def passing(headers: Headers, caller: Caller, method: str, target: Target, *, is_required: bool) -> Headers | Refusal:
    """Return the line that goes upstream with a write; none without a key, and none of a caller without any name.

    REQUEST_MALFORMED for what is no key, or two; IDEMPOTENCY_KEY_MISSING where one `is_required`. Of public callers the
    bearer is all that tells one from another.
    """
    said = values(headers, NAME)
    if not said:
        return Refusal(Code.IDEMPOTENCY_KEY_MISSING) if is_required else ()
    if len(said) > 1 or _KEY.fullmatch(said[0]) is None or said[0] == _EMPTY:
        return Refusal(Code.REQUEST_MALFORMED, "not one Idempotency-Key of 1 to 255 visible letters")
    name = _name(headers, caller)
    if not name:
        return ()
    told = (caller.kind.value, name, method, serialise(target.path, target.query), said[0])
    digest = hashlib.sha256(b"".join(_prefixed(one.encode()) for one in told)).hexdigest()
    return ((NAME, f'"{digest}"' if said[0].startswith('"') else digest),)


def _name(headers: Headers, caller: Caller) -> str:
    match caller.kind:
        case CallerKind.CUSTOMER:
            return caller.customer_id or ""
        case CallerKind.TRUSTED:
            return caller.client_id or ""
        case _:
            # Verified before: exactly one line, or none where none is needed.
            return (first(headers, "authorization") or "").partition(" ")[2].strip()


def _prefixed(part: bytes) -> bytes:
    # By its length no part can run into the next.
    return len(part).to_bytes(8, "big") + part
