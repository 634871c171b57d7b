"""The upstream with the server's credential applied: what flow and logins talk to.

It adds our bearer last, so that nothing a client sent can stand in its place, and tries once more with a fresh bearer
after a 401. It does not judge answers.
"""

from collections.abc import Callable
from dataclasses import replace

from gateway.upstream.client import Answer, Call, UpstreamClient
from gateway.upstream.credential import ServerCredential
from gateway.vocab.messages import Lookup, Query, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import first, is_json
from gateway.wire.target import serialise

# RFC 9110 section 9.2.2.
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
# One record with everything included is a few dozen KiB; look-ups of the gateway's own need no more.
_LOOKUP_LIMIT = 1024 * 1024
_UNAUTHORIZED = 401


class Backend:
    """Sends calls with the server's bearer. `clock` measures, in seconds, for traces."""

    def __init__(self, client: UpstreamClient, credential: ServerCredential, clock: Callable[[], float]) -> None:
        self._client = client
        self._credential = credential
        self._clock = clock

    async def send(
        self, call: Call, trace: Trace, *, untouched: Callable[[], bool] = lambda: True, owns_401: bool = False
    ) -> Answer | Refusal:
        """Send `call` with our bearer and return the head of the answer.

        After a 401 the bearer is renewed and the call repeated once, if its method is idempotent and its body can be
        sent again, or if nothing of the client's body was taken (`untouched`). A 401 never reaches a client: its SDK
        would answer by renewing its own bearer, which is not at fault. With `owns_401` a 401 may speak of something
        else than our bearer and is an answer like any other.
        """
        rejected: str | None = None
        for attempt in (1, 2):
            bearer = await self._credential.bearer(rejected)
            if isinstance(bearer, Refusal):
                return bearer
            started = self._clock()
            trace.upstream_calls += 1
            answer = await self._client.send(
                replace(call, headers=(*call.headers, ("authorization", f"Bearer {bearer}")))
            )
            trace.upstream_seconds += self._clock() - started
            if isinstance(answer, Refusal) or answer.status != _UNAUTHORIZED or owns_401:
                return answer
            answer.abort()
            self._credential.reject(bearer)
            rejected = bearer
            can_resend = call.body is None or (isinstance(call.body, bytes) and call.method in _IDEMPOTENT)
            if attempt == 1 and not can_resend and not untouched():
                break
        return Refusal(Code.CREDENTIAL_UNAVAILABLE, "upstream rejected the server credential", retry_after=1)

    def credential_in_hand(self) -> tuple[str, str] | None:
        """Return our bearer's header line, without waiting for one."""
        bearer = self._credential.peek()
        return None if bearer is None else ("authorization", f"Bearer {bearer}")

    def reject_credential(self, line: tuple[str, str]) -> None:
        """Doubt the bearer of a header line that the upstream answered with 401."""
        self._credential.reject(line[1].removeprefix("Bearer "))

    async def look_up(self, path: str, query: Query, trace: Trace) -> Lookup | Refusal:
        """GET a document for the gateway's own decisions.

        A status below 500 is an answer; UPSTREAM_FAILED above, UPSTREAM_INVALID for a success that is not JSON.
        """
        headers = (("accept", "application/json"), ("accept-encoding", "identity"))
        answer = await self.send(Call("GET", serialise(path, query), headers), trace)
        if isinstance(answer, Refusal):
            return answer
        raw = await answer.read(_LOOKUP_LIMIT)
        if isinstance(raw, Refusal):
            return raw
        if answer.status >= 500 or answer.status == 429:  # noqa: PLR2004 - HTTP's own numbers
            return Refusal(Code.UPSTREAM_FAILED, f"look-up answered {answer.status}")
        if answer.status != 200:  # noqa: PLR2004
            return Lookup(answer.status, None)
        if not is_json(first(answer.headers, "content-type")):
            return Refusal(Code.UPSTREAM_INVALID, "look-up answered no JSON")
        plain = inflate(raw, first(answer.headers, "content-encoding"), _LOOKUP_LIMIT)
        document = plain if isinstance(plain, Refusal) else parse_answer(plain)
        return document if isinstance(document, Refusal) else Lookup(200, document)
