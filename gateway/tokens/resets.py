"""Forgotten passwords: a token for whoever reads the customer's mail, and a new password for the token.

The shop mails to the address in the upstream's own record, never to what somebody typed: two addresses may be taken for
one another on the way to the record (CVE-2019-19844). An e-mail that nobody has does the same work and gets the same
answer, with a token that is good for nothing.

A token is 256 random bits, of which only a hash is kept. It is worthless once it was spent, another one was asked for,
half an hour went by, the customer's e-mail or password became another, or the customer was logged out everywhere.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.stores.ports import CredentialStore, StoreUnavailable
from gateway.tokens.admission import Admission, Work
from gateway.tokens.directory import NOBODYS_ID, Directory
from gateway.tokens.email import canonical, canonical_record
from gateway.tokens.passwords import PasswordHasher, check_length
from gateway.vocab.events import EmailShared, Emit
from gateway.vocab.messages import Trace
from gateway.vocab.refusals import Code, Refusal

# Time enough for a mail that is greylisted, and little for whoever comes by an old mailbox.
_LIFE: Final = 1800
_BYTES: Final = 32
_LONGEST: Final = 128
# No customer has it: what is kept for nobody is kept under it.
_NOBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shop mails: to `email`, and before `expires_at` (epoch seconds)."""

    email: str
    token: str = field(repr=False)
    expires_at: int


class Resets:
    """Gives tokens for password resets, and spends them. `now` is epoch time in seconds."""

    def __init__(  # noqa: PLR0913 - all who are asked for a reset
        self,
        directory: Directory,
        store: CredentialStore,
        hasher: PasswordHasher,
        admission: Admission,
        now: Callable[[], float],
        emit: Emit,
        *,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._directory = directory
        self._store = store
        self._hasher = hasher
        self._admission = admission
        self._catch_up = catch_up
        self._now = now
        self._emit = emit

    async def ask(self, email: object, trace: Trace) -> Asked | Refusal:
        """Return a token for the customer who has this e-mail, as somebody typed it."""
        account = canonical(email)
        if account is None or not isinstance(email, str):
            return Refusal(Code.BODY_FIELD_INVALID, "not an e-mail address", source="data.email")
        throttled = await self._admission.refusal(Work.RESET, email=account)
        if throttled is not None:
            return throttled
        try:
            return await self._ask(account, email, trace)
        except StoreUnavailable as error:
            return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)

    async def _ask(self, account: str, typed: str, trace: Trace) -> Asked | Refusal:
        known = await self._store.known(account)
        found = await self._directory.find(account, typed, trace, known or NOBODYS_ID)
        if isinstance(found, Refusal):
            return found
        if found.record is None and len(found.holders) > 1:
            self._emit(EmailShared(trace.request_id, len(found.holders)))
        # Lists may be behind: whoever had the e-mail yesterday must not be given to whoever has it today.
        address = await self._directory.email_of(found.customer_id or NOBODYS_ID, trace)
        if isinstance(address, Refusal) and found.customer_id is not None:
            return address
        customer_id = found.customer_id if canonical_record(address) == account else None
        email = address if isinstance(address, str) and customer_id is not None else account
        token, nobodys = secrets.token_urlsafe(_BYTES), secrets.token_urlsafe(_BYTES)
        expires_at = int(self._now()) + _LIFE
        kept = nobodys if customer_id is None else token
        await self._store.keep_reset(customer_id or _NOBODY, _hash(kept), email, expires_at)
        trace.customer_id = customer_id
        return Asked(email, token, expires_at)

    async def spend(self, token: object, password: object, trace: Trace) -> Refusal | None:
        """Give the customer of a token a new password; RESET_INVALID where it is not good, or not any more."""
        if not isinstance(token, str) or not 0 < len(token) <= _LONGEST:
            return Refusal(Code.BODY_FIELD_INVALID, "not a token", source="data.token")
        if not check_length(password) or not isinstance(password, str):
            return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source="data.password")
        throttled = await self._admission.refusal(Work.NEW_PASSWORD, address=trace.counts_for)
        if (refusal := throttled or self._hasher.crowded()) is not None:
            return refusal
        try:
            return await self._spend(_hash(token), password, trace)
        except StoreUnavailable as error:
            return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)

    async def _spend(self, token_hash: str, password: str, trace: Trace) -> Refusal | None:
        reset = await self._store.reset(token_hash, self._now())
        if reset is None:
            return Refusal(Code.RESET_INVALID, "unknown, spent or expired")
        trace.customer_id = reset.customer_id
        address = await self._directory.email_of(reset.customer_id, trace)
        if isinstance(address, Refusal):
            return address
        if address != reset.email:
            return Refusal(Code.RESET_INVALID, "the customer has another e-mail by now, or is gone")
        hashed = await self._hasher.hash(password)
        if isinstance(hashed, Refusal):
            return hashed
        if not await self._store.spend_reset(token_hash, self._now(), hashed):
            return Refusal(Code.RESET_INVALID, "spent, or made worthless, at this moment")
        # All sessions have ended with the password: here at once, elsewhere as soon as they hear of it.
        await self._catch_up()
        return None


def _hash(token: str) -> str:
    # It has 256 random bits: there is nothing to be guessed that argon2 would slow down.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
