"""Where bearers come from: the upstream's token endpoint (OAuth 2.0, RFC 6749), or a file.

It knows one request and its answer; when to ask is credential.py's.
"""

import asyncio
import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote_plus, urlencode

from pydantic import SecretStr

from gateway.carrying.call import Call
from gateway.carrying.fetch import fetch
from gateway.carrying.pool import ConnectionPool
from gateway.vocab.messages import Answer, Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import number, read_answer
from gateway.wire.headers import wait_asked

# A grant is a few hundred bytes; anything larger is no grant.
_MAX_GRANT: Final = 64 * 1024
# A longer life is not believed: renewing once a month costs nothing.
_MAX_LIFE: Final = 30 * 86400.0
_MAX_LIFE_DIGITS: Final = 18
# A file is read anew long before what it held is too old to be of use (Kubernetes changes its hourly).
_FILE_LIFE: Final = 60.0
_HEADERS: Final[Headers] = (
    ("content-type", "application/x-www-form-urlencoded"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
)
_GRANTED: Final = frozenset({200, 201})
# What an endpoint says that wants the client to prove itself in another way: section 5.2 leaves it both.
_WANTS_ANOTHER: Final = frozenset({400, 401})

Authentication = Literal["form", "basic"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A bearer and how long it lives."""

    token: str
    life: float


class TokenFile:
    """Reads a bearer from a file that may change, as those of Kubernetes and of Vault's agent do."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    async def __call__(self) -> Grant | Refusal:
        """Return what the file holds; CREDENTIAL_UNAVAILABLE where that is no bearer."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Grant | Refusal:
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MAX_GRANT)
        except OSError as error:
            return Refusal(Code.CREDENTIAL_UNAVAILABLE, f"token file: {error.strerror}")
        token = raw.decode("utf-8-sig", "replace").strip()
        if not _is_token(token):
            return Refusal(Code.CREDENTIAL_UNAVAILABLE, "token file: no bearer stands there")
        return Grant(token, _FILE_LIFE)


class Implicit:
    """Obtains grants with a client id alone: what an API gives to every storefront. `now` is epoch time."""

    def __init__(
        self, pool: ConnectionPool, path: str, client_id: str, default_life: float, now: Callable[[], float]
    ) -> None:
        self._pool: Final = pool
        self._call: Final = _form(path, {"grant_type": "implicit", "client_id": client_id})
        self._default_life: Final = default_life
        self._now: Final = now

    async def __call__(self) -> Grant | Refusal:
        """Return a grant; CREDENTIAL_UNAVAILABLE, or why the endpoint could not be asked."""
        answer = await fetch(self._pool, self._call, _MAX_GRANT)
        if isinstance(answer, Refusal):
            return answer
        return _read(answer, self._default_life) if answer.status in _GRANTED else _denied(answer, self._now())


class ClientCredentials:
    """Obtains grants by section 4.4; `also` are more fields of the form.

    Without `authentication` the form is tried before Basic, and what was good first the next time. `default_life`, in
    seconds, is that of a bearer whose grant does not say it (section 5.1 lets it). `now` is epoch time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - where, who, how, and what is not said
        self,
        pool: ConnectionPool,
        path: str,
        client_id: str,
        client_secret: SecretStr,
        authentication: Authentication | None,
        default_life: float,
        now: Callable[[], float],
        also: Mapping[str, str] | None = None,
    ) -> None:
        self._also: Final = also or {}
        self._pool: Final = pool
        self._path: Final = path
        self._client_id: Final = client_id
        self._client_secret: Final = client_secret
        self._default_life: Final = default_life
        self._now: Final = now
        self._ways: tuple[Authentication, ...] = ("form", "basic") if authentication is None else (authentication,)

    async def __call__(self) -> Grant | Refusal:
        """Return a grant; CREDENTIAL_UNAVAILABLE, or why the endpoint could not be asked."""
        refusal = None
        for way in self._ways:
            answer = await fetch(self._pool, self._call(way), _MAX_GRANT)
            if isinstance(answer, Refusal):
                return answer
            if answer.status in _GRANTED:
                self._ways = (way, *(other for other in self._ways if other != way))
                return _read(answer, self._default_life)
            # Of two the one that was tried first is more likely the one that counts.
            refusal = refusal or _denied(answer, self._now())
            if answer.status not in _WANTS_ANOTHER:
                break
        return refusal or Refusal(Code.CREDENTIAL_UNAVAILABLE)

    def _call(self, way: Authentication) -> Call:
        form, secret = {"grant_type": "client_credentials"}, self._client_secret.get_secret_value()
        headers: Headers = ()
        if way == "form":
            form |= {"client_id": self._client_id, "client_secret": secret}
        else:
            # Section 2.3.1: form-encoded first, so that a colon in the id is none.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers = (("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),)
        return _form(self._path, {**form, **self._also}, headers)


def _form(path: str, fields: Mapping[str, str], headers: Headers = ()) -> Call:
    return Call("POST", path, (*_HEADERS, *headers), urlencode(fields).encode())


def _denied(answer: Answer, at: float) -> Refusal:
    wait = math.ceil(wait_asked(answer.headers, at)) or None
    return Refusal(Code.CREDENTIAL_UNAVAILABLE, f"token endpoint answered {answer.status}", retry_after=wait)


def _is_token(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and " " not in text and bool(text)


def _read(answer: Answer, default_life: float) -> Grant | Refusal:
    document = read_answer(answer, _MAX_GRANT)
    if isinstance(document, Refusal):
        return document
    if isinstance(document, dict):
        token, said = document.get("access_token"), document.get("expires_in")
        life = default_life if said is None else number(said)
        if isinstance(said, str) and said.isdecimal() and len(said) <= _MAX_LIFE_DIGITS:
            life = int(said)
        if _is_token(token) and life is not None and life > 0:
            return Grant(str(token), float(min(life, _MAX_LIFE)))
    return Refusal(Code.CREDENTIAL_UNAVAILABLE, "token endpoint answered no grant")
