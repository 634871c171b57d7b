"""The demo commerce API without any I/O: a request in, an answer out."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from gateway.demo import carts, goods, people, purchases, stock
from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, segments_of
from gateway.demo.bearers import Bearers
from gateway.demo.state import Clock, State, wall_clock

ROUTES: tuple[Route[State], ...] = (
    *(*people.ROUTES, *purchases.ROUTES),
    *(*carts.ROUTES, *goods.ROUTES, *stock.ROUTES),
)
# One hour, as the upstream's bearers live.
BEARER_SECONDS = 3600


class Shop(State):
    """A commerce API in memory, with one client.

    With `passwords` (e-mail to password) it also checks logins and issues customer tokens.
    """

    def __init__(
        self,
        client_id: str = "demo-client",
        client_secret: str = "demo-secret",  # noqa: S107  public demo data, for tests and tutorials
        *,
        bearer_seconds: int = BEARER_SECONDS,
        base_url: str = "http://127.0.0.1",
        passwords: dict[str, str] | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        super().__init__(base_url=base_url, clock=clock, passwords=passwords)
        self.client_id = client_id
        self.client_secret = client_secret
        self.bearers = Bearers(client_id, client_secret, bearer_seconds, clock)

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> ShopAnswer:
        """Answer one request: `path` raw (still percent-encoded), `query` decoded, header names in lower case."""
        call = Call(method, path, query, headers, body)
        self._note_passwords(call)
        try:
            # HEAD is GET without the body; the length it announces is that of the body.
            answer = self._answer(replace(call, method="GET") if method == "HEAD" else call)
        except ShopError as error:
            answer = error.answer()
        if method == "HEAD":
            return replace(answer, headers=[*answer.headers, ("content-length", str(len(answer.body)))], body=b"")
        return answer

    def _answer(self, call: Call) -> ShopAnswer:
        if call.path == "/oauth/access_token":
            if call.method != "POST":
                raise ShopError(405, "The method is not allowed here")
            return self.bearers.answer(call)
        grant = self.bearers.grant(call.headers.get("authorization"))
        route, parameters = _match(call)
        if route.trusted and grant == "implicit":
            raise ShopError(403, "An implicit token may not do this")
        return route.function(self, replace(call, parameters=parameters, grant=grant))

    def _note_passwords(self, call: Call) -> None:
        """Record that a password came, never the password; the one place that may see it is the token route."""
        if self.passwords is not None and call.path == "/v2/customers/tokens":
            return
        if _carries_password(call.body):
            self.passwords_seen.append(f"{call.method} {call.path}")


def _match(call: Call) -> tuple[Route[State], tuple[str, ...]]:
    segments = segments_of(call.path)
    other = False
    for route in ROUTES:
        parameters = route.match(segments)
        if parameters is None:
            continue
        if route.method == call.method:
            return route, parameters
        other = True
    if other:
        raise ShopError(405, "The method is not allowed here")
    raise ShopError(404, "The requested route could not be found")


def _carries_password(body: bytes) -> bool:
    if not body:
        return False
    try:
        return _has_key(json.loads(body))
    except (ValueError, RecursionError):
        # No JSON: a form, or a broken document that may still hold the key.
        return b'"password"' in body or "password" in parse_qs(body.decode("latin-1"))


def _has_key(value: Any) -> bool:
    if isinstance(value, dict):
        return "password" in value or any(_has_key(part) for part in value.values())
    return isinstance(value, list) and any(_has_key(part) for part in value)
