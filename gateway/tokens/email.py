"""The one canonical spelling of e-mail addresses, so that two spellings of one mailbox never become two accounts.

It does not decide whether mail would arrive. Every address that a shop may hold has a spelling here, also those that
RFC 5322 knows no words for (`a..b@docomo.ne.jp`); what could be taken for another address has none.
"""

import re
import unicodedata

import idna

LIMIT = 254
"""Bytes: the longest path RFC 5321 4.5.3.1.3 lets through, less its angle brackets."""

# RFC 5322 3.2.3 "specials" without the two that have a place in an address: they mean something unless quoted.
_SPECIAL = frozenset('"\\,:;()<>[]@ ')

# Control, format (zero width, direction), surrogate, private and unassigned characters, and every kind of space.
# A character that is unassigned today may normalise to something else tomorrow.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})

# RFC 5322 3.2.4, with the characters of RFC 6532: text in quotes, in which a backslash stands before what is meant.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
# RFC 5321 4.1.3: an address of the network instead of a name.
_LITERAL = re.compile(r"\[[0-9A-Za-z.:-]+\]")
_ACE = "xn--"
# What cannot be seen and comes along when addresses are copied: zero width, and marks of direction that only embed.
_UNSEEN = frozenset("\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2066\u2067\u2068\u2069\ufeff")
# In the names of domains they are letters, and IDNA says where (RFC 5892 A.1, A.2).
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))


def trimmed(text: str) -> str:
    """Return what was typed without the white space around it: of every kind, and what cannot be seen at all."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def canonical(text: object) -> str | None:
    """Return the canonical spelling of an e-mail address as people type it, or None for what is none without doubt.

    White space around it is dropped, the domain has IDNA 2008 A-labels, and all is in lower case. By `lower`, not
    `casefold`: the latter spells "ß" as "ss" and so makes one mailbox of two. A domain is brought to NFC and lower case
    before (RFC 5895 2.1 and 2.3), and mapped in no other way.
    """
    return canonical_record(trimmed(text)) if isinstance(text, str) else None


def canonical_record(text: object) -> str | None:
    """Return the canonical spelling of an address as a record shows it: nothing but plain spaces around it is dropped.

    What a record holds was typed by nobody now, and decides whose it is.
    """
    if not isinstance(text, str):
        return None
    text = text.strip(" ")
    # The length is looked at first, so that hostile input costs nothing more.
    if len(text) > LIMIT or _is_doubtful(text):
        return None
    composed = unicodedata.normalize("NFC", text)
    # Composing can make a forbidden character of harmless ones: "I" and a dot above become "İ".
    if unicodedata.normalize("NFKC", composed) != composed or _is_doubtful(composed):
        return None
    small = composed.lower()
    # Lower case may compose anew.
    if unicodedata.normalize("NFKC", small) != small:
        return None
    local, at, domain = small.rpartition("@")
    local, domain = _local(local) or "", _domain(domain) or ""
    result = f"{local}@{domain}"
    return result if at and local and domain and len(result.encode()) <= LIMIT else None


def readable(email: str) -> str:
    """Return a canonical address with U-labels, as an API may hold it that was given one; or as it is."""
    local, _, domain = email.rpartition("@")
    return f"{local}@{'.'.join(map(_ulabel, domain.split('.')))}"


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _UNSEEN


def _is_doubtful(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return any(map(_is_forbidden, local + domain.translate(_JOINERS)))


def _is_forbidden(character: str) -> bool:
    if character.isascii():
        return character < " " or character == "\x7f"
    if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
        return True
    compatible = unicodedata.normalize("NFKC", character)
    # The first catches look-alikes that NFC itself resolves, as the Kelvin sign "K"; the second those that become
    # ASCII by lower(), as "İ". Either would let somebody register a second spelling of an ASCII address.
    return any(map(str.isascii, compatible)) or any(map(str.isascii, compatible.lower() + character.lower()))


def _local(local: str) -> str | None:
    """Return the part before the "@"; dots may stand anywhere in it.

    Quotes are kept where it cannot be written without them, dropped where RFC 5322 wants them for the dots, and refused
    where there is no need for them at all.
    """
    quoted = _QUOTED.fullmatch(local)
    meant = _ESCAPE.sub(r"\1", quoted[1]) if quoted else local
    if not _SPECIAL.isdisjoint(meant):
        return '"' + re.sub(r'(["\\])', r"\\\1", meant) + '"' if quoted else None
    return meant if not quoted or not all(meant.split(".")) else None


def _domain(domain: str) -> str | None:
    if _LITERAL.fullmatch(domain):
        return domain
    if not _SPECIAL.isdisjoint(domain):
        return None
    labels = [_alabel(label) for label in domain.split(".")]
    return ".".join(label for label in labels if label) if all(labels) else None


def _alabel(label: str) -> str | None:
    # What is ASCII is a name already, also one that IDNA would not make: only addresses in other letters need it.
    if label.isascii():
        return label
    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError:
        return None


def _ulabel(label: str) -> str:
    if not label.startswith(_ACE):
        return label
    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label
