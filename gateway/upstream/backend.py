"""The upstream with the server's credential applied: what flow and logins talk to.

It adds our bearer last, so that nothing a client sent can stand in its place. It does not judge answers.
"""

from collections.abc import Callable

from msgspec.structs import replace

from gateway.carrying.call import SAFE, UNACCEPTED, Call
from gateway.carrying.fetch import fetch
from gateway.carrying.pool import ConnectionPool
from gateway.guard.status import unable
from gateway.upstream.credential import ServerCredential
from gateway.vocab.messages import Answer, Lookup, Query, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import read_answer
from gateway.wire.headers import first, is_json
from gateway.wire.target import serialise

# One record with everything included is a few dozen KiB; look-ups of the gateway's own need no more.
_LOOKUP_LIMIT = 1024 * 1024
_UNAUTHORIZED = 401
REJECTED = Refusal(Code.CREDENTIAL_UNAVAILABLE, "upstream rejected the server credential", retry_after=1)


class Backend:
    """Sends calls with the server's bearer. `clock` measures, in seconds, for traces."""

    def __init__(self, pool: ConnectionPool, credential: ServerCredential, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._credential = credential
        self._clock = clock

    async def send(self, call: Call, limit: int, trace: Trace, *, owns_401: bool = False) -> Answer | Refusal:
        """Send `call` with our bearer and return its whole answer, of at most `limit` bytes.

        After a 401 or 407 the bearer is renewed, and a call that changes nothing is sent once more. Neither reaches a
        client: its SDK would answer by renewing its own bearer, which is not at fault. With `owns_401` a 401 may speak
        of something else than our bearer and is an answer like any other.
        """
        rejected: tuple[str, str] | None = None
        for attempt in (1, 2):
            line = await self.credential(rejected)
            if isinstance(line, Refusal):
                return line
            started = self._clock()
            trace.upstream_calls += 1
            headers = (*call.headers, line)
            answer = await fetch(
                self._pool, replace(call, headers=headers, route=trace.route, client=trace.counts_for), limit
            )
            trace.upstream_seconds += self._clock() - started
            if isinstance(answer, Refusal) or answer.status not in UNACCEPTED:
                return answer
            if owns_401 and answer.status == _UNAUTHORIZED:
                return answer
            self.reject(line)
            rejected = line
            if attempt == 1 and call.method not in SAFE:
                break
        return REJECTED

    def credential_in_hand(self) -> tuple[str, str] | None:
        """Return our bearer's header line, without waiting for one."""
        bearer = self._credential.peek()
        return None if bearer is None else ("authorization", f"Bearer {bearer}")

    async def credential(self, rejected: tuple[str, str] | None = None) -> tuple[str, str] | Refusal:
        """Return our bearer's header line, another one than `rejected`."""
        bearer = await self._credential.bearer(None if rejected is None else _bearer(rejected))
        return bearer if isinstance(bearer, Refusal) else ("authorization", f"Bearer {bearer}")

    def reject(self, line: tuple[str, str]) -> None:
        """Doubt the bearer of a header line that the upstream answered with 401."""
        self._credential.reject(_bearer(line))

    async def look_up(self, path: str, query: Query, trace: Trace) -> Lookup | Refusal:
        """GET a document for the gateway's own decisions.

        A status below 500 is an answer, but for a 429: that and a 503 keep their meaning (THROTTLED,
        UPSTREAM_UNAVAILABLE), so that clients repeat. UPSTREAM_FAILED for any other, UPSTREAM_INVALID for a success
        that is not JSON.
        """
        headers = (("accept", "application/json"), ("accept-encoding", "identity"))
        answer = await self.send(Call("GET", serialise(path, query), headers), _LOOKUP_LIMIT, trace)
        if isinstance(answer, Refusal):
            return answer
        refusal = unable(answer.status, answer.headers)
        if refusal is not None:
            return refusal
        if answer.status != 200:  # noqa: PLR2004
            return Lookup(answer.status, None)
        if not is_json(first(answer.headers, "content-type")):
            return Refusal(Code.UPSTREAM_INVALID, "look-up answered no JSON")
        document = read_answer(answer, _LOOKUP_LIMIT)
        return document if isinstance(document, Refusal) else Lookup(200, document)


def _bearer(line: tuple[str, str]) -> str:
    return line[1].removeprefix("Bearer ")
