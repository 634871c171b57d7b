"""The one canonical spelling of e-mail addresses, so that two spellings of one mailbox never become two accounts.

It does not decide whether mail would arrive: addresses that could be taken for another one are refused, and so are
the quoted and commented spellings of RFC 5322 that no shop uses.
"""

import unicodedata

LIMIT = 254
"""Bytes: the longest path RFC 5321 4.5.3.1.3 lets through, less its angle brackets."""

# RFC 5322 3.2.3 "specials" without the two that have a place in an address: quoted and commented spellings.
_FORBIDDEN = frozenset('"\\,:;()<>[]')

# Control, format (zero width, direction), surrogate, private and unassigned characters, and every kind of space.
# A character that is unassigned today may normalise to something else tomorrow.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})


def canonical(text: object) -> str | None:
    """Return the canonical spelling of an e-mail address, or None for what cannot be one without doubt.

    Lower case by `lower`, not `casefold`: the latter spells "ß" as "ss" and so makes one mailbox of two.
    """
    if not isinstance(text, str):
        return None
    text = text.strip(" ")
    # The length is looked at first, so that hostile input costs nothing more.
    if len(text) > LIMIT or any(map(_is_forbidden, text)):
        return None
    composed = unicodedata.normalize("NFC", text)
    # Composing can make a forbidden character of harmless ones: "I" and a dot above become "İ".
    if unicodedata.normalize("NFKC", composed) != composed or any(map(_is_forbidden, composed)):
        return None
    result = composed.lower()
    # Lower case may compose anew, and may need more bytes than capitals.
    if unicodedata.normalize("NFKC", result) != result or len(result.encode()) > LIMIT:
        return None
    local, at, domain = result.partition("@")
    return result if at and "@" not in domain and _is_dotted(local) and _is_dotted(domain) else None


def _is_forbidden(character: str) -> bool:
    if character.isascii():
        return character <= " " or character == "\x7f" or character in _FORBIDDEN
    if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
        return True
    compatible = unicodedata.normalize("NFKC", character)
    # The first catches look-alikes that NFC itself resolves, as the Kelvin sign "K"; the second those that become
    # ASCII by lower(), as "İ". Either would let somebody register a second spelling of an ASCII address.
    return any(map(str.isascii, compatible)) or any(map(str.isascii, compatible.lower() + character.lower()))


def _is_dotted(part: str) -> bool:
    return all(part.split("."))
