"""The gateway's own credentials for the upstream: lines that never change, and bearers that are renewed in time.

A bearer is obtained in one flight at a time, renewed early, and used while a renewal runs. Nothing here looks at a
client's bearer. Times are in seconds; `now` is epoch time.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.upstream.grant import Grant
from gateway.vocab.events import CredentialFailed, CredentialRenewed, Emit
from gateway.vocab.messages import Headers
from gateway.vocab.policy import DEFAULT_UPSTREAM, Credential
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


Obtain = Callable[[], Awaitable[Grant | Refusal]]


class Held(Protocol):
    """A credential of the gateway: the header lines that prove it, none where it needs none."""

    @property
    def is_good(self) -> bool:
        """Whether requests can be sent with it."""

    def peek(self) -> Headers | None:
        """Return the lines in hand without waiting for them."""

    async def lines(self, rejected: Headers | None = None) -> Headers | Refusal:
        """Return lines other than `rejected`; CREDENTIAL_UNAVAILABLE where there are none."""

    def reject(self, lines: Headers) -> None:
        """Doubt lines that the upstream answered with 401."""

    async def run(self) -> None:
        """Keep it fresh, until cancelled."""

    async def close(self) -> None:
        """End what is under way."""


class FixedCredential:
    """Lines that are what they are: `none`, an API key, a user and a password.

    One that was rejected goes on with the next request: a single request must not be able to end it for all others.
    """

    is_good: Final = True

    def __init__(self, lines: Headers) -> None:
        self._lines: Final = lines

    def peek(self) -> Headers | None:
        """Return the lines."""
        return self._lines

    async def lines(self, rejected: Headers | None = None) -> Headers | Refusal:
        """Return the lines; there are no others."""
        if rejected is not None:
            return Refusal(Code.CREDENTIAL_UNAVAILABLE, "upstream rejected the credential", retry_after=1)
        return self._lines

    def reject(self, lines: Headers) -> None:
        """There is nothing to be renewed."""

    async def run(self) -> None:
        """There is nothing to be kept fresh."""

    async def close(self) -> None:
        """There is nothing under way."""


class BearerCredential:
    """Holds a bearer that `obtain` gives. `run` keeps it fresh for the life of the process."""

    def __init__(
        self,
        obtain: Obtain,
        emit: Emit,
        now: Callable[[], float],
        upstream: str = DEFAULT_UPSTREAM,
        name: Credential = Credential.SERVER,
    ) -> None:
        self._upstream: Final = upstream
        self._name: Final = name
        self._obtain = obtain
        self._emit = emit
        self._now = now
        self._lines: Headers | None = None
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
        return self._lines is not None and self._now() < self._expires_at

    @property
    def is_good(self) -> bool:
        """Whether a bearer is in hand that is not both doubted and impossible to renew."""
        return self.is_usable and not (self._is_suspect and self._failures)

    def peek(self) -> Headers | None:
        """Return the bearer in hand without waiting for one; None as well while it is doubted."""
        return self._lines if self.is_usable and not self._is_suspect else None

    async def lines(self, rejected: Headers | None = None) -> Headers | Refusal:
        """Return a bearer other than `rejected`, waiting for the one flight under way if there is none in hand.

        CREDENTIAL_UNAVAILABLE while the token endpoint is failing: callers do not wait through the back-off.
        """
        if (lines := self.peek()) is not None and lines != rejected:
            return lines
        if self._is_flying or self._now() >= self._not_before:
            try:
                async with asyncio.timeout(_PATIENCE_FAILING if self._failures else _PATIENCE):
                    await asyncio.shield(self._renew())
            except TimeoutError:
                pass
        # A doubted bearer is better than none: it may be good for others than those it was rejected for.
        if self._lines is not None and self.is_usable and self._lines != rejected:
            return self._lines
        wait = max(1, math.ceil(self._not_before - self._now()))
        return Refusal(Code.CREDENTIAL_UNAVAILABLE, f"no {self._name} credential", retry_after=wait)

    def reject(self, lines: Headers) -> None:
        """Doubt a bearer that the upstream answered with 401, and renew it; a newer one in hand is not doubted.

        A fresh one that is rejected again and again is renewed ever more slowly: then something else is wrong, which
        one client may be able to bring about, and neither the token endpoint nor other clients shall suffer from it.
        """
        if lines != self._lines or self._is_suspect:
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
            self._flight = asyncio.get_running_loop().create_task(self._fly(), name=f"{self._name} credential")
        return self._flight

    async def _fly(self) -> None:
        try:
            grant = await self._obtain()
        except Exception as error:  # noqa: BLE001 - the last resort: a bug must not end the loop that keeps us alive
            grant = Refusal(Code.INTERNAL, type(error).__name__)
        now = self._now()
        if isinstance(grant, Grant):
            self._lines = (("authorization", f"Bearer {grant.token}"),)
            self._is_suspect = False
            self._obtained_at = now
            self._expires_at = now + grant.life
            self._renew_at = now + grant.life * (_RENEW_AT - random.random() * _JITTER)  # noqa: S311 - spreads load only
            self._not_before = 0.0
            self._failures = 0
            self._emit(CredentialRenewed(self._expires_at, self._name, self._upstream))
        else:
            backoff = min(_FIRST_BACKOFF * 2**self._failures, _LAST_BACKOFF) * (0.75 + random.random() / 2)  # noqa: S311
            if isinstance(grant.retry_after, int):
                # An endpoint that is asked sooner may never let anybody in again.
                backoff = max(backoff, min(float(grant.retry_after), _LONGEST_WAIT))
            self._failures = min(self._failures + 1, _MAX_DOUBLINGS)
            self._not_before = now + backoff
            self._emit(CredentialFailed(f"{grant.code.name}: {grant.detail}", backoff, self._name, self._upstream))

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
