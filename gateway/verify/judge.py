"""Says whether a reply holds anything of B that the request did not say itself. Pure.

Both are read in every spelling in which the same text could hide; a leak is named by what was seen, never quoted.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus

from gateway.verify.documents import included, is_counted, parse, record_id, records
from gateway.verify.model import Kind, Reply, Secret
from gateway.vocab.record_form import RecordForm
from gateway.wire.pointer import owner_at

# Shorter texts stand in replies by chance.
SHORTEST = 8
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(/)")
_TOKEN_PART = re.compile(r"[A-Za-z0-9_-]{16,}={0,2}")
_DECODINGS = 3


@dataclass(frozen=True, slots=True)
class Local:
    """What is B's on one route: the ids of records there, and B's own id where the records name their owners."""

    customer_id: str
    ids: frozenset[str]
    owners: tuple[tuple[str, ...], ...]
    form: RecordForm

    def owned(self, document: Any) -> set[str]:
        """Return what makes records of a successful answer B's."""
        found = set()
        for record in records(document, self.form):
            if record_id(record, self.form) in self.ids:
                found.add("a record with an id of B's")
            if any(owner_at(record, place) == self.customer_id for place in self.owners):
                found.add("a record that names B as its owner")
        return found


class Judge:
    """Knows what is B's: `secrets` to look for in bytes, `ids` and `owners` to look for in records.

    Ids of an API that counts its records are those of many things: what of them is B's on which route `local` says.
    """

    def __init__(
        self,
        secrets: Iterable[Secret],
        ids: Iterable[str],
        owners: Iterable[tuple[str, ...]],
        local: Mapping[str, Local] = MappingProxyType({}),
    ) -> None:
        self.secrets = tuple(secret for secret in secrets if len(secret.text) >= SHORTEST)
        self._ids = frozenset(ident for ident in ids if not is_counted(ident))
        self._owners = tuple({*owners, ("customer_id",)})
        self._local = local

    def judge(
        self, sent: str, reply: Reply, *, key: str = "", said: frozenset[str] = frozenset(), route: str = ""
    ) -> list[str]:
        """Return what of B the reply holds, nothing where it holds nothing.

        `sent` is all that the request said. `said` are ids that A has stored with earlier requests and may read again.
        A record may carry an id that stands in `key`: who makes up a key makes a thing of that name. `route` is the one
        that answered.
        """
        text = "\n".join(readings(reply.head) | readings(reply.body.decode("utf-8", "replace")))
        told = "\n".join(readings(sent))
        found = {
            secret.what
            for secret in self.secrets
            if secret.text in text and secret.text not in told and secret.text not in said
        }
        if reply.is_success:
            ids = {ident for ident in self._ids if ident not in key}
            document = parse(reply.body)
            found |= self._owned(document, ids)
            if (local := self._local.get(route)) is not None:
                found |= local.owned(document)
        return sorted(found)

    def _owned(self, document: Any, ids: set[str]) -> set[str]:
        """Return what makes records of a successful answer B's, whoever named it first."""
        found = set()
        for record in (*records(document), *included(document)):
            if record_id(record) in ids:
                found.add("a record with an id of B's")
            if any(owner_at(record, place) in ids for place in self._owners):
                found.add("a record that names B as its owner")
        return found

    def sees_itself(self) -> bool:
        """Tell whether a reply with each secret, in each spelling, would be found: the judge is judged first."""
        disguises = (
            str,
            str.upper,
            lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
            lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
            lambda text: "".join(f"&#{ord(char)};" for char in text),
        )
        return all(
            self.judge("GET /", Reply(200, "", f'{{"data":["{disguise(secret.text)}"]}}'.encode()))
            and self.judge("GET /", Reply(404, f"HTTP/1.1 404 Not Found\nx-hint: {disguise(secret.text)}"))
            for secret in self.secrets
            for disguise in disguises
        )


def readings(text: str) -> set[str]:
    """Return a text as the readers behind it could read it: decoded, unescaped, all in lower case."""
    found = {text}
    latest = text
    for _ in range(_DECODINGS):
        latest = unquote_plus(latest)
        found.add(latest)
    found |= {_unescape(one) for one in tuple(found)}
    found |= {html.unescape(one) for one in tuple(found) if "&" in one}
    return {one.lower() for one in found}


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else "/", text)


def spoken(*pieces: str) -> str:
    """Return all that a request says, what stands in tokens included."""
    text = "\n".join(pieces)
    return "\n".join([text, *(_decoded(part) for part in _TOKEN_PART.findall(text))])


def _decoded(part: str) -> str:
    try:
        return base64.urlsafe_b64decode(part.rstrip("=") + "=" * (-len(part.rstrip("=")) % 4)).decode("utf-8", "ignore")
    except (ValueError, binascii.Error):
        return ""


def secrets_of(
    hard: Iterable[tuple[str, str, Kind]], soft: Iterable[tuple[str, str]], harmless: Iterable[str]
) -> list[Secret]:
    """Choose what to look for: `hard` things are B's beyond doubt; of the `soft` texts those that are nobody else's.

    A single word in small letters is left out: states of orders are such words, and stand in many an answer.
    """
    known = {text.lower() for text in harmless}
    chosen: dict[str, Secret] = {}
    for text, what, kind in hard:
        chosen.setdefault(text.lower(), Secret(text.lower(), what, kind))
    for text, what in soft:
        lower = text.lower()
        is_telling = len(lower) >= SHORTEST and not re.fullmatch(r"[a-z_]+", text)
        if is_telling and not any(lower in other for other in known):
            chosen.setdefault(lower, Secret(lower, what, Kind.TEXT))
    return list(chosen.values())
