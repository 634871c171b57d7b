"""The upstream with the gateway's own credentials applied: what flow and logins talk to.

It adds their lines last, so that nothing a client sent can stand in its place. It does not judge answers.
"""

from collections.abc import Callable

from msgspec.structs import replace

from gateway.carrying.call import SAFE, UNACCEPTED, Call
from gateway.carrying.fetch import fetch
from gateway.carrying.pool import ConnectionPool
from gateway.guard.status import unable
from gateway.upstream.credential import Held
from gateway.vocab.messages import Answer, Headers, Lookup, Plan, Query, Trace
from gateway.vocab.policy import Access, Credential
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import read_answer
from gateway.wire.headers import first, is_json
from gateway.wire.target import serialise

# One record with everything included is a few dozen KiB; look-ups of the gateway's own need no more.
_LOOKUP_LIMIT = 1024 * 1024
_UNAUTHORIZED = 401


def lent(access: Access, plan: Plan) -> Credential:
    """Return which credential a plan is sent with."""
    methods = access.server_for_guests if plan.is_guests else access.server
    return Credential.SERVER if plan.method in methods else Credential.PUBLIC


def rejection(name: Credential) -> Refusal:
    """Return the reply to a request whose credential the upstream does not accept."""
    return Refusal(Code.CREDENTIAL_UNAVAILABLE, f"upstream rejected the {name} credential", retry_after=1)


class Backend:
    """Sends calls with one of the gateway's credentials. `clock` measures, in seconds, for traces.

    Without `public` no access may name that credential: nothing stands in for it.
    """

    def __init__(
        self, pool: ConnectionPool, server: Held, clock: Callable[[], float], *, public: Held | None = None
    ) -> None:
        self._pool = pool
        self._server = server
        self._public = public
        self._clock = clock

    async def send(
        self,
        call: Call,
        limit: int,
        trace: Trace,
        name: Credential = Credential.SERVER,
        *,
        owns_401: bool = False,
    ) -> Answer | Refusal:
        """Send `call` with our credential and return its whole answer, of at most `limit` bytes.

        After a 401 or 407 the credential is renewed, and a call that changes nothing is sent once more. Neither reaches
        a client: its SDK would answer by renewing its own bearer, which is not at fault. With `owns_401` a 401 may
        speak of something else than our credential and is an answer like any other.
        """
        rejected: Headers | None = None
        for attempt in (1, 2):
            lines = await self.lines(name, rejected)
            if isinstance(lines, Refusal):
                return lines
            started = self._clock()
            trace.upstream_calls += 1
            sent = replace(call, headers=call.headers + lines, route=trace.route, client=trace.counts_for)
            answer = await fetch(self._pool, sent, limit)
            trace.upstream_seconds += self._clock() - started
            if isinstance(answer, Refusal) or answer.status not in UNACCEPTED:
                return answer
            if owns_401 and answer.status == _UNAUTHORIZED:
                return answer
            self.reject(name, lines)
            rejected = lines
            if attempt == 1 and call.method not in SAFE:
                break
        return rejection(name)

    def in_hand(self, name: Credential) -> Headers | None:
        """Return a credential's header lines, without waiting for them."""
        held = self._public if name is Credential.PUBLIC else self._server
        return None if held is None else held.peek()

    async def lines(self, name: Credential, rejected: Headers | None = None) -> Headers | Refusal:
        """Return a credential's header lines, others than `rejected`."""
        held = self._public if name is Credential.PUBLIC else self._server
        if held is None:
            return Refusal(Code.CREDENTIAL_UNAVAILABLE, f"there is no {name} credential")
        return await held.lines(rejected)

    def reject(self, name: Credential, lines: Headers) -> None:
        """Doubt a credential that the upstream answered with 401."""
        held = self._public if name is Credential.PUBLIC else self._server
        if held is not None:
            held.reject(lines)

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
