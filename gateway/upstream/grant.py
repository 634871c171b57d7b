"""Asks the upstream's token endpoint for a bearer: OAuth 2.0 client credentials (RFC 6749 section 4.4).

It knows one request and its answer; when to ask is credential.py's.
"""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
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


class ClientCredentials:
    """Obtains grants. Without `authentication` the form is tried before Basic, and what was good first the next time.

    `default_life`, in seconds, is that of a bearer whose grant does not say it (section 5.1 lets it). `now` is epoch
    time.
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
    ) -> None:
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
            wait = math.ceil(wait_asked(answer.headers, self._now())) or None
            refusal = refusal or Refusal(
                Code.CREDENTIAL_UNAVAILABLE, f"token endpoint answered {answer.status}", retry_after=wait
            )
            if answer.status not in _WANTS_ANOTHER:
                break
        return refusal or Refusal(Code.CREDENTIAL_UNAVAILABLE)

    def _call(self, way: Authentication) -> Call:
        form, headers, secret = {"grant_type": "client_credentials"}, _HEADERS, self._client_secret.get_secret_value()
        if way == "form":
            form |= {"client_id": self._client_id, "client_secret": secret}
        else:
            # Section 2.3.1: form-encoded first, so that a colon in the id is none.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers = (*headers, ("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        return Call("POST", self._path, headers, urlencode(form).encode())


def _read(answer: Answer, default_life: float) -> Grant | Refusal:
    document = read_answer(answer, _MAX_GRANT)
    if isinstance(document, Refusal):
        return document
    if isinstance(document, dict):
        token, said = document.get("access_token"), document.get("expires_in")
        life = default_life if said is None else number(said)
        if isinstance(said, str) and said.isdecimal() and len(said) <= _MAX_LIFE_DIGITS:
            life = int(said)
        is_token = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token and token
        if is_token and life is not None and life > 0:
            return Grant(str(token), float(min(life, _MAX_LIFE)))
    return Refusal(Code.CREDENTIAL_UNAVAILABLE, "token endpoint answered no grant")
