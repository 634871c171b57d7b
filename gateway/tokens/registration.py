"""Registers customers so that a crash at any point loses nothing and gives no password to a stranger.

The order of a registration, and what a crash after each step leaves behind:

    1 claim        nobody else has this e-mail in hand               a claim that ends by itself: claims.py
    2 look-up      the upstream has no customer with this e-mail     the same
    3 begin        the intent (e-mail, name, hash) is on the disk    an intent without a customer: a repeat goes on
    4 create       the upstream makes the customer                   an intent with a customer: a repeat, or a login
    5 made         the intent has the id that was answered           the same, also before lists show the customer
    6 read back    the id that was answered is this customer's       the same
    7 settle       the hash becomes the customer's, intent gone      a finished registration

An answer may give one customer's id to another, so no id is believed before its own record, asked for by it, shows the
e-mail: step 2 proved that whoever has it now is new. An upstream may show what it has made a while later: it is asked
again for some seconds, and then the client is told that it is made (202). Where step 6 fails, the intent waits for a
repeat or a login; whoever has an intent with an id is not made once more.

An intent is written only after step 2 proved that no such customer exists, so it can never give its password to one
that was there before. It is used only for a customer of the same e-mail and name, who has no password, within a day;
and where the upstream says when it made the customer, only for one made while the intent was being carried out. An
intent ends with every answer that proves that no customer was made, and any way through the gateway by which somebody
else comes by the e-mail removes it. What is left to an attacker is a registration that the upstream fails to answer,
followed within minutes by somebody else making a customer of the same e-mail and name directly at the upstream.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from msgspec import structs

from gateway.stores.ports import CredentialStore, Registration, StoreUnavailable
from gateway.tokens.attempts import Attempts
from gateway.tokens.claims import Claims
from gateway.tokens.creation import ACCEPTED, is_not_there, only, proves_no_creation
from gateway.tokens.customer import email_source, made, record_in, submitted
from gateway.tokens.directory import Directory, Found
from gateway.tokens.intents import RECOVERABLE, UNDER_WAY, is_recoverable, made_within
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.patience import Patience
from gateway.tokens.silence import reading, shows_nobody
from gateway.tokens.throttle import Wait
from gateway.vocab.messages import Checked, Plan, Trace
from gateway.vocab.policy import Perform
from gateway.vocab.refusals import Code, Refusal

# Where a guess comes from does not matter here: the account's own bucket is what it empties.
_ANY_ADDRESS = "-"


class Registrar:
    """Creates customers at the upstream and keeps their passwords. `now` is epoch time in seconds."""

    def __init__(
        self,
        directory: Directory,
        store: CredentialStore,
        hasher: PasswordHasher,
        attempts: Attempts,
        now: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._directory = directory
        self.how = self._how = directory.how
        self._store = store
        self._hasher = hasher
        self._attempts = attempts
        self._now = now
        self._patience = patience
        self._claims = Claims(store)
        self.alone = self._claims.alone

    async def void_intent(self, email: str) -> Refusal | None:
        """Remove the intent for an e-mail that somebody gets in another way: it must not open that customer.

        REGISTRATION_PENDING while the creation may still be under way.
        """
        intent = await self._store.pending(email)
        if intent is None:
            return None
        if self._now() - intent.started_at < UNDER_WAY:
            return Refusal(Code.REGISTRATION_PENDING, "a registration is under way", retry_after=int(UNDER_WAY))
        await self._store.abandon(intent.id)
        return None

    async def find(self, email: str, typed: str, trace: Trace) -> Found | Refusal:
        """Find who has an e-mail, also one whom lists do not show yet."""
        return await self._directory.find(email, typed, trace, await self._store.known(email))

    async def register(self, plan: Plan, perform: Perform, trace: Trace) -> Checked | Refusal:
        """Carry the creation of a customer: 409 for an e-mail that is taken, 422 for a field that is not valid."""
        one = submitted(plan, self._how)
        if isinstance(one, Refusal):
            return one
        if one.email is None:
            return Refusal(Code.BODY_FIELD_INVALID, "missing", source=email_source(self._how))
        # Its name as a customer would read it: an intent and its customer are compared by it.
        one = made(one, self._how)
        email, password = one.email or "", one.password
        async with self.alone(email) as busy:
            if busy is not None:
                return busy
            found = await self.find(email, one.typed, trace)
            if isinstance(found, Refusal):
                return found
            plan = structs.replace(plan, document=one.document)
            if found.record is not None:
                return await self._repeat(plan, found, email, password, perform)
            if found.holders:
                return Refusal(Code.EMAIL_TAKEN)
            if not found.is_proven:
                return Refusal(Code.UPSTREAM_INVALID, "the upstream ignored the filter by e-mail")
            if password is None:
                return await self._without_password(plan, email, perform)
            return await self._with_password(plan, email, one.name, password, perform, trace)

    async def _with_password(
        self, plan: Plan, email: str, name: str, password: str, perform: Perform, trace: Trace
    ) -> Checked | Refusal:
        hashed = await self._hasher.hash(password)
        if isinstance(hashed, Refusal):
            return hashed
        # A hash that can give nobody a password any more is not kept.
        await self._store.purge(self._now() - RECOVERABLE)
        intent = Registration(uuid.uuid4().hex, email, name, hashed, self._now())
        claimed = await self._claim(intent, password)
        if isinstance(claimed, Refusal):
            return claimed
        if claimed.customer_id is not None:
            return await self._finish(plan, claimed, claimed.customer_id, perform)
        return await self._create(plan, claimed, perform, trace, is_first=claimed is intent)

    async def _claim(self, intent: Registration, password: str) -> Registration | Refusal:
        """Put the intent on the disk, or go on with the one that is there if it is the same person's."""
        if await self._store.begin(intent):
            return intent
        present = await self._store.pending(intent.email)
        if present is None:
            return Refusal(Code.REGISTRATION_PENDING, "settled at this moment", retry_after=1)
        is_same = await self._is_same(present, password)
        if isinstance(is_same, Refusal):
            return is_same
        is_over = self._now() - present.started_at >= UNDER_WAY
        if is_same and present.name == intent.name:
            if present.customer_id is not None and not is_over:
                return present
            # The customer will be made now, and is known as this intent's by that.
            present = replace(present, started_at=intent.started_at, customer_id=None)
            if await self._store.replace(present.id, present):
                return present
            return Refusal(Code.REGISTRATION_PENDING, "settled at this moment", retry_after=1)
        if is_over and await self._store.replace(present.id, intent):
            return intent
        return Refusal(Code.REGISTRATION_PENDING, "another registration is under way", retry_after=int(UNDER_WAY))

    async def _is_same(self, intent: Registration, password: str) -> bool | Refusal:
        """Say whether a password is the intent's; guesses are counted as those of a login are."""
        reserved = await self._attempts.reserve(intent.email, _ANY_ADDRESS, by_address=False)
        if isinstance(reserved, Wait):
            return Refusal(Code.THROTTLED, retry_after=reserved.seconds)
        is_same = await self._hasher.verify(password, intent.password_hash, is_login=False)
        if is_same is not False:
            await self._attempts.give_back(reserved)
        return is_same

    async def _create(
        self, plan: Plan, intent: Registration, perform: Perform, trace: Trace, *, is_first: bool
    ) -> Checked | Refusal:
        checked = await perform(plan)
        if isinstance(checked, Refusal):
            if is_first and proves_no_creation(checked):
                await self._store.abandon(intent.id)
            return checked
        if checked.status >= 400:  # noqa: PLR2004 - HTTP's own numbers here and below
            # An intent that was there before may have made the customer that stands in the way: it stays.
            if is_first:
                await self._store.abandon(intent.id)
            return Refusal(Code.EMAIL_TAKEN) if checked.status == 409 else checked  # noqa: PLR2004
        if shows_nobody(checked, self._how.form):
            return await self._look(plan, intent, perform, trace)
        shown = only(checked, self._how, intent.email)
        if isinstance(shown, Refusal):
            return shown
        # An upstream that answers "here it is" instead of "created" may mean a customer who was there before.
        record = record_in(shown.document, self._how.form)
        if checked.status != 201 and not made_within(record, self._now(), self._how):  # noqa: PLR2004
            await self._store.abandon(intent.id)
            return Refusal(Code.EMAIL_TAKEN, "creation answered a customer who may have been there before")
        customer_id = self._directory.read_id(record)
        if isinstance(customer_id, Refusal):
            return customer_id
        await self._store.made(intent.id, customer_id)
        refusal = await self._patience.until(
            lambda: self._directory.confirm(customer_id, intent.email, trace), lambda refusal: not refusal.violation
        )
        return await self._settle(intent, customer_id, refusal or shown)

    async def _look(self, plan: Plan, intent: Registration, perform: Perform, trace: Trace) -> Checked | Refusal:
        """Finish a registration whose creation showed nobody: nobody had the e-mail before, so who has it was made."""

        async def look() -> str | Refusal:
            found = await self._directory.find(intent.email, intent.email, trace)
            if isinstance(found, Refusal):
                return found
            customer_id = found.customer_id if is_recoverable(intent, found, self._now(), self._how) else None
            return customer_id or Refusal(Code.REGISTRATION_PENDING, "nobody has the e-mail yet", retry_after=1)

        customer_id = await self._patience.until(look, lambda _: True)
        if isinstance(customer_id, Refusal):
            return ACCEPTED
        await self._store.made(intent.id, customer_id)
        shown = await self._finish(plan, intent, customer_id, perform)
        # Somebody was made: no status of a look behind it may ask the client to do so once more.
        is_final = isinstance(shown, Refusal) and (shown.violation or shown.code is Code.EMAIL_TAKEN)
        return shown if is_final or (isinstance(shown, Checked) and shown.status == 201) else ACCEPTED  # noqa: PLR2004

    async def _settle(self, intent: Registration, customer_id: str, shown: Checked | Refusal) -> Checked | Refusal:
        """Give a customer who was shown by the id the intent's password; ACCEPTED for one who was not.

        The upstream has made somebody: whatever keeps it from saying whom is no failure of the registration, unless it
        shows somebody else.
        """
        if isinstance(shown, Refusal):
            if not shown.violation:
                return ACCEPTED
            await self._store.made(intent.id, None)
            return shown
        if not await self._store.settle(intent.id, customer_id, intent.password_hash):
            return Refusal(Code.EMAIL_TAKEN, "creation answered a customer who has a password")
        return shown

    async def _without_password(self, plan: Plan, email: str, perform: Perform) -> Checked | Refusal:
        """Create a customer who has no password yet; an intent for the e-mail must not give him somebody else's."""
        refusal = await self.void_intent(email)
        if refusal is not None:
            return refusal
        checked = await perform(plan)
        if isinstance(checked, Refusal) or (checked.status >= 400 and checked.status != 409):  # noqa: PLR2004
            return checked
        if checked.status == 409:  # noqa: PLR2004
            return Refusal(Code.EMAIL_TAKEN)
        if shows_nobody(checked, self._how.form):
            return ACCEPTED
        shown = only(checked, self._how, email)
        customer_id = (
            shown if isinstance(shown, Refusal) else self._directory.read_id(record_in(shown.document, self._how.form))
        )
        if not isinstance(customer_id, Refusal):
            # Lists may show the customer later: whoever registers the e-mail meanwhile is told that it is taken.
            with suppress(StoreUnavailable):
                await self._store.remember(email, customer_id)
        return shown

    async def _repeat(
        self, plan: Plan, found: Found, email: str, password: str | None, perform: Perform
    ) -> Checked | Refusal:
        """Answer a registration for an e-mail that exists: finished here if it is the repeat of one that broke off."""
        taken = Refusal(Code.EMAIL_TAKEN)
        customer_id = str(found.customer_id)
        intent = await self._store.pending(email)
        if intent is None or password is None or not is_recoverable(intent, found, self._now(), self._how):
            return taken
        if await self._store.password_hash(customer_id) is not None:
            return taken
        is_same = await self._is_same(intent, password)
        if is_same is not True:
            return is_same or taken
        return await self._finish(plan, intent, customer_id, perform)

    async def _finish(self, plan: Plan, intent: Registration, customer_id: str, perform: Perform) -> Checked | Refusal:
        """Settle a registration that broke off: what the client will see is the proof as well of whose the id is."""
        plan = reading(plan, *self._directory.address_of(customer_id))

        async def show() -> Checked | Refusal:
            shown = await perform(plan)
            if isinstance(shown, Refusal) or shown.status != 200:  # noqa: PLR2004
                return shown
            return only(structs.replace(shown, status=201), self._how, intent.email, customer_id)

        shown = await self._patience.until(show, is_not_there)
        if isinstance(shown, Refusal) and not shown.violation:
            return ACCEPTED if is_not_there(shown) else shown
        if isinstance(shown, Checked) and shown.status != 201:  # noqa: PLR2004
            return shown
        return await self._settle(intent, customer_id, shown)
