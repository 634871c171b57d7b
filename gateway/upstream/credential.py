"""The server's own bearer for the upstream: one flight at a time, renewed early, used while a renewal runs.

It never looks at a client's bearer. Times are in seconds; `now` is epoch time.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable

from gateway.upstream.grant import Grant
from gateway.vocab.events import CredentialFailed, CredentialRenewed, Emit
from gateway.vocab.refusals import Code, Refusal

# Renewed when this share of the life is over, so that an hour's token leaves twelve minutes for a broken endpoint.
_RENEW_AT = 0.8
# Replicas started together would renew together; each waits up to this share of the life less.
_JITTER = 0.05
_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 30.0
_MAX_DOUBLINGS = 10
# A longer wait is not believed: a slip of the endpoint's would last until somebody restarts us.
_LONGEST_WAIT = 3600.0
# A token rejected at this age was good before; a younger one says that tokens are not what is wrong.
_PROVEN_AGE = 60.0
# Nobody waits longer than this for a bearer, however long the token endpoint takes; while it is failing, less.
_PATIENCE = 5.0
_PATIENCE_FAILING = 1.0


class ServerCredential:
    """Holds the bearer. `run` keeps it fresh for the life of the process."""

    def __init__(self, obtain: Callable[[], Awaitable[Grant | Refusal]], emit: Emit, now: Callable[[], float]) -> None:
        self._obtain = obtain
        self._emit = emit
        self._now = now
        self._token: str | None = None
        self._is_suspect = False
        self._expires_at = 0.0
        self._renew_at = 0.0
        self._obtained_at = 0.0
        self._not_before = 0.0
        self._failures = 0
        self._rejections = 0
        self._flight: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def is_usable(self) -> bool:
        """Whether a bearer is in hand."""
        return self._token is not None and self._now() < self._expires_at

    @property
    def is_good(self) -> bool:
        """Whether a bearer is in hand that is not both doubted and impossible to renew."""
        return self.is_usable and not (self._is_suspect and self._failures)

    def peek(self) -> str | None:
        """Return the bearer in hand without waiting for one; None as well while it is doubted."""
        return self._token if self.is_usable and not self._is_suspect else None

    async def bearer(self, rejected: str | None = None) -> str | Refusal:
        """Return a bearer other than `rejected`, waiting for the one flight under way if there is none in hand.

        CREDENTIAL_UNAVAILABLE while the token endpoint is failing: callers do not wait through the back-off.
        """
        if (token := self.peek()) is not None and token != rejected:
            return token
        if self._is_flying or self._now() >= self._not_before:
            try:
                async with asyncio.timeout(_PATIENCE_FAILING if self._failures else _PATIENCE):
                    await asyncio.shield(self._renew())
            except TimeoutError:
                pass
        # A doubted bearer is better than none: it may be good for others than those it was rejected for.
        if self._token is not None and self.is_usable and self._token != rejected:
            return self._token
        wait = max(1, math.ceil(self._not_before - self._now()))
        return Refusal(Code.CREDENTIAL_UNAVAILABLE, "no server credential", retry_after=wait)

    def reject(self, token: str) -> None:
        """Doubt a bearer that the upstream answered with 401, and renew it; a newer one in hand is not doubted.

        A fresh one that is rejected again and again is renewed ever more slowly: then something else is wrong, which
        one client may be able to bring about, and neither the token endpoint nor other clients shall suffer from it.
        """
        if token != self._token or self._is_suspect:
            return
        self._is_suspect = True
        is_fresh = self._now() - self._obtained_at < _PROVEN_AGE
        self._rejections = min(self._rejections + 1, _MAX_DOUBLINGS) if is_fresh else 0
        pause = min(_FIRST_BACKOFF * 2**self._rejections, _LAST_BACKOFF) if self._rejections > 1 else 0.0
        self._not_before = max(self._not_before, self._obtained_at + pause)
        self._changed.set()

    @property
    def _is_flying(self) -> bool:
        return self._flight is not None and not self._flight.done()

    def _renew(self) -> asyncio.Task[None]:
        if self._flight is None or self._flight.done():
            self._flight = asyncio.get_running_loop().create_task(self._fly(), name="server credential")
        return self._flight

    async def _fly(self) -> None:
        try:
            grant = await self._obtain()
        except Exception as error:  # noqa: BLE001 - the last resort: a bug must not end the loop that keeps us alive
            grant = Refusal(Code.INTERNAL, type(error).__name__)
        now = self._now()
        if isinstance(grant, Grant):
            self._token = grant.token
            self._is_suspect = False
            self._obtained_at = now
            self._expires_at = now + grant.life
            self._renew_at = now + grant.life * (_RENEW_AT - random.random() * _JITTER)  # noqa: S311 - spreads load only
            self._not_before = 0.0
            self._failures = 0
            self._emit(CredentialRenewed(self._expires_at))
        else:
            backoff = min(_FIRST_BACKOFF * 2**self._failures, _LAST_BACKOFF) * (0.75 + random.random() / 2)  # noqa: S311
            if isinstance(grant.retry_after, int):
                # An endpoint that is asked sooner may never let anybody in again.
                backoff = max(backoff, min(float(grant.retry_after), _LONGEST_WAIT))
            self._failures = min(self._failures + 1, _MAX_DOUBLINGS)
            self._not_before = now + backoff
            self._emit(CredentialFailed(f"{grant.code.name}: {grant.detail}", backoff))

    async def run(self) -> None:
        """Obtain the bearer now and renew it in time, until cancelled."""
        while True:
            due = self._renew_at if self.peek() is not None else 0.0
            wait = max(due, self._not_before) - self._now()
            if wait > 0:
                self._changed.clear()
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            await asyncio.shield(self._renew())

    async def close(self) -> None:
        """End a flight under way."""
        if self._flight is not None and not self._flight.done():
            self._flight.cancel()
            await asyncio.wait([self._flight])
