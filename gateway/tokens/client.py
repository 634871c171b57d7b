"""Which client asks for a bearer, and by which secret: from the form or from `Authorization: Basic`. Pure.

RFC 6749 section 2.3.1: a token endpoint must take Basic, and may take the form. Whether the secret is right is not
decided here.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from msgspec import Struct

from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import values

_BASIC: Final = re.compile(r"basic +", re.IGNORECASE | re.ASCII)
# A second percent sign, or one without its digits, is no form encoding but somebody's own.
_ENCODED: Final = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
CHALLENGE: Final = 'Basic realm="token endpoint", charset="UTF-8"'
"""How a refusal of Basic is told (RFC 7617 section 2)."""


class Claim(Struct, frozen=True):
    """Which client a request says it is: pairs of id and secret, one for each way to read what it sent.

    `by_basic`: it stands in the header, and that is what a refusal must speak of (RFC 6749 section 5.2).
    """

    pairs: tuple[tuple[str, str], ...]
    by_basic: bool = False


def read_claim(headers: Headers, form: Mapping[str, str], *, needs_secret: bool) -> Claim | Refusal:
    """Return which client a grant request says it is; without any pair where it says none.

    `needs_secret` is whether the grant is a matter of secrets. Where it is not, the id in the form is enough, whatever
    stands in the header: it may be some other guard's, in front of a shop that is not open yet. FORM_INVALID for a
    secret in two places (section 2.3: no more than one method), CLIENT_UNKNOWN for a Basic value that cannot be read.
    Schemes other than Basic say nothing here: SDKs send the bearer that they want to replace.
    """
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    lines = [found for value in values(headers, "authorization") if (found := _BASIC.match(value))]
    if not lines or (client_id and not needs_secret):
        return Claim(((client_id, secret or ""),) if client_id else ())
    if len(lines) > 1 or secret is not None:
        return Refusal(Code.FORM_INVALID, "more than one client authentication", source="client_secret")
    read = _read_basic(lines[0].string[lines[0].end() :])
    pairs = tuple(pair for pair in read if client_id in {"", pair[0]})
    if not pairs:
        detail = "Basic is unreadable, or of another client than the form"
        return Refusal(Code.CLIENT_UNKNOWN, detail, challenge=CHALLENGE)
    return Claim(pairs, by_basic=True)


def _read_basic(encoded: str) -> tuple[tuple[str, str], ...]:
    """Read credentials of RFC 7617; RFC 6749 has id and secret form-encoded in them, and half of all clients do not."""
    try:
        user, colon, password = base64.b64decode(encoded.strip(" "), validate=True).decode().partition(":")
        readings = dict.fromkeys(((_decoded(user), _decoded(password)), (user, password)))
    except (binascii.Error, ValueError):
        return ()
    return tuple(readings) if colon else ()


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if _ENCODED.fullmatch(text) else text
