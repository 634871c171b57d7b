"""Takes passwords out of requests that carry them and shows in replies who has one. The upstream never sees any."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, assert_never

from msgspec.structs import replace

from gateway.stores.ports import CredentialStore, StoreUnavailable
from gateway.tokens.admission import Admission, Work
from gateway.tokens.consent import Consent, Given
from gateway.tokens.creation import ACCEPTED
from gateway.tokens.customer import (
    Submitted,
    address_of,
    current_password_at,
    customers_in,
    email_of,
    holds_somebody,
    id_of,
    password_source,
    record_in,
    said,
    submitted,
    without,
)
from gateway.tokens.email import canonical_record
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.registration import Registrar
from gateway.tokens.silence import reading, shows_nobody, unconfirmed
from gateway.tokens.whole import Whole
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.events import Emit
from gateway.vocab.messages import READS, Checked, Json, Plan, Trace, Whose
from gateway.vocab.policy import Passwords, Perform
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import MISSING, resolve


class Keeper:
    """The flow's keeper of passwords. A customer's id is the last parameter of the path.

    Whoever gets another password or goes is logged out by the store with it, of which `catch_up` has this process know.
    """

    def __init__(  # noqa: PLR0913 - all who are asked for a change
        self,
        store: CredentialStore,
        hasher: PasswordHasher,
        registrar: Registrar,
        admission: Admission,
        consent: Consent,
        emit: Emit,
        *,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._registrar = registrar
        self._admission = admission
        self._consent = consent
        self._catch_up = catch_up
        self._whole = Whole("keeping a password", emit)
        self._how = registrar.how

    async def carry(
        self, mode: Passwords, plan: Plan, whose: Whose, perform: Perform, trace: Trace
    ) -> Checked | Refusal:
        """Perform what a route is there for that registers, changes or removes a customer.

        A client that hangs up does not stop it: the upstream's part without the store's would be half a record.
        """
        return await self._whole.run(self._carry(mode, plan, whose, perform, trace), trace.request_id)

    async def _carry(
        self, mode: Passwords, plan: Plan, whose: Whose, perform: Perform, trace: Trace
    ) -> Checked | Refusal:
        is_written = False

        async def performed(one: Plan) -> Checked | Refusal:
            nonlocal is_written
            done = await perform(one)
            is_written |= one.method not in READS and isinstance(done, Checked) and done.status < 300  # noqa: PLR2004
            return done

        try:
            match mode:
                case Passwords.REGISTER:
                    too_many = await self._too_many(plan, trace)
                    return too_many or await self._registrar.register(plan, performed, trace)
                case Passwords.CHANGE:
                    return await self._change(plan, whose, performed, trace)
                case Passwords.FORGET:
                    return await self._forget(plan, whose, performed)
                case Passwords.SHOW:
                    return await perform(plan)
                case _:
                    assert_never(mode)
        except StoreUnavailable as error:
            if not is_written:
                return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
            # The upstream did its part. A registration is finished by the password's next use; anything else is not.
            return ACCEPTED if mode is Passwords.REGISTER else Refusal(Code.WRITE_UNCONFIRMED, str(error))

    async def _too_many(self, plan: Plan, trace: Trace) -> Refusal | None:
        """Count a registration, before anybody is asked whether its e-mail is known: the answer is the same."""
        one = submitted(plan, self._how)
        if isinstance(one, Refusal) or one.email is None:
            # It is refused without any work.
            return None
        if one.password is not None and (crowded := self._hasher.crowded()) is not None:
            # At once: a look-up for each of a flood would be the API's share in it.
            return crowded
        return await self._admission.refusal(Work.REGISTRATION, email=one.email, address=trace.counts_for)

    async def _change(self, plan: Plan, whose: Whose, perform: Perform, trace: Trace) -> Checked | Refusal:
        plan, current = _without_current(_without_unchanged(plan, self._how), self._how)
        one = submitted(plan, self._how)
        if isinstance(one, Refusal):
            return one
        # Whoever sends the current password is held to it, also where it is not asked for.
        asks = current is not None or await self._consent.is_asked(one, whose, _customer_id(whose), trace)
        if isinstance(asks, Refusal):
            return asks
        given: Given | Refusal | None = None
        if asks or one.password is not None:
            given = await self._admission.refusal(Work.PASSWORD_CHANGE, customer=_customer_id(whose))
        if given is None and (asks or one.password is not None or one.email is not None):
            given = await self._consent.given(current, whose, _customer_id(whose), is_asked=asks)
        if isinstance(given, Refusal):
            return given
        if one.email is None:
            checked = await self._change_fields(one, plan, whose, perform, given)
            if one.password is not None:
                await self._remember(checked, _customer_id(whose))
            return checked
        async with self._registrar.alone(one.email) as busy:
            if busy is not None:
                # Whoever has it in hand gets it, or frees it: for this customer it is somebody else's now.
                return Refusal(Code.EMAIL_TAKEN, busy.detail)
            refusal = await self._check_email(one.email, one.typed, _customer_id(whose), trace)
            if refusal is not None:
                return refusal
            checked = await self._change_fields(one, plan, whose, perform, given)
            await self._remember(checked, _customer_id(whose))
            return checked

    async def _check_email(self, email: str, typed: str, customer_id: str, trace: Trace) -> Refusal | None:
        """Say whether a customer may have this e-mail: nobody else has it, and nobody else's password waits for it."""
        found = await self._registrar.find(email, typed, trace)
        if isinstance(found, Refusal):
            return found
        if found.holders - {customer_id}:
            return Refusal(Code.EMAIL_TAKEN)
        if found.holders:
            return None
        if not found.is_proven:
            return Refusal(Code.UPSTREAM_INVALID, "the upstream ignored the filter by e-mail")
        return await self._registrar.void_intent(email)

    async def _remember(self, checked: Checked | Refusal, customer_id: str) -> None:
        """Keep whose an e-mail is that a change has shown, for the time in which lists do not show it."""
        if isinstance(checked, Checked) and checked.status < 300:  # noqa: PLR2004 - HTTP's own number
            email = canonical_record(self._email(checked.document))
            if email is not None and self._shows(checked.document, customer_id):
                # The change is made, and this only helps: a store that is down now is no reason to say otherwise.
                with suppress(StoreUnavailable):
                    await self._store.remember(email, customer_id)

    async def _change_fields(
        self, one: Submitted, plan: Plan, whose: Whose, perform: Perform, given: Given | None
    ) -> Checked | Refusal:
        if one.password is None:
            return await self._consent.lapsed(given) or await perform(replace(plan, document=one.document))
        hashed = await self._hasher.hash(one.password)
        if isinstance(hashed, Refusal):
            return hashed
        # A store that is down, and a consent that has lapsed, are noticed before the upstream changes anything.
        await self._store.ping()
        if (lapsed := await self._consent.lapsed(given)) is not None:
            return lapsed
        customer_id = _customer_id(whose)
        checked: Checked | Refusal = Checked(200)
        # Who asks with a customer token has logged in with the e-mail that is kept: nobody else is known to be able to.
        if not one.changes or (whose.customer_id is None and one.email is None):
            # Where nothing is written upstream, it is the reading that the condition is held to.
            looked = self._reading(plan, whose)
            checked = await perform(looked if one.changes else replace(looked, conditions=plan.conditions))
            if not isinstance(checked, Checked) or checked.status >= 300:  # noqa: PLR2004 - HTTP's own number
                return checked
            if self._shows(checked.document, customer_id) and canonical_record(self._email(checked.document)) is None:
                why = "nobody could log in with the customer's e-mail address"
                return Refusal(Code.BODY_FIELD_INVALID, why, source=password_source(self._how))
        if one.changes:
            checked = await self._written(one, plan, whose, perform)
        if isinstance(checked, Checked) and checked.status < 300:  # noqa: PLR2004
            if not self._shows(checked.document, customer_id):
                why, is_foreign = "the change answered another customer", holds_somebody(checked.document, self._how)
                return Refusal(Code.UPSTREAM_INVALID, why, violation=is_foreign)
            lost = await self._consent.spend(given, customer_id, hashed)
            await self._catch_up()
            return lost or checked
        return checked

    async def _written(self, one: Submitted, plan: Plan, whose: Whose, perform: Perform) -> Checked | Refusal:
        """Return the customer as the change left it, read once more where the API's answer shows nobody."""
        checked = await perform(replace(plan, document=one.document))
        if not isinstance(checked, Checked) or checked.status >= 300 or not shows_nobody(checked, self._how.form):  # noqa: PLR2004
            return checked
        return unconfirmed(await perform(self._reading(plan, whose)))

    async def _forget(self, plan: Plan, whose: Whose, perform: Perform) -> Checked | Refusal:
        given = await self._consent.given(None, whose, _customer_id(whose), is_asked=False)
        if isinstance(given, Refusal):
            return given
        await self._store.ping()
        checked = await perform(plan)
        # A customer who is not there any more was deleted by a request that broke off before it came to the store.
        is_gone = (
            checked.status < 300  # noqa: PLR2004
            if isinstance(checked, Checked)
            else checked.code is Code.RECORD_NOT_FOUND and not checked.violation
        )
        if is_gone:
            await self._store.forget(_customer_id(whose))
            await self._catch_up()
        return checked

    def _reading(self, plan: Plan, whose: Whose) -> Plan:
        """Return the plan that reads the customer's own record where a change writes it."""
        query = address_of(_customer_id(whose), self._how)[1] if plan.there is None else ()
        return reading(plan, plan.path, query, plan.there)

    def _shows(self, document: Any, customer_id: str) -> bool:
        return id_of(record_in(document, self._how.form), self._how) == customer_id

    def _email(self, document: Any) -> Any:
        return email_of(record_in(document, self._how.form), self._how)

    def showing(
        self, document: Any, whose: Whose, plan: Plan, form: RecordForm
    ) -> Callable[[], Awaitable[Refusal | None]] | None:
        """Return what sets `password` on every customer in `document`, with one query; None where there is none.

        A customer who asks for the own record has a password, or there would be no token: that much is known even
        while the store is down. Of others nothing is said then where they were written, and they are not read.
        """
        path = plan.path if plan.there is None else plan.there[0]
        customers = customers_in(document, path, form, self._how)
        is_written = plan.method not in READS
        return partial(self._show, customers, whose, is_written=is_written) if customers else None

    async def _show(self, customers: list[Json], whose: Whose, *, is_written: bool) -> Refusal | None:
        ids = {customer_id for record in customers if (customer_id := id_of(record, self._how)) is not None}
        try:
            known = await self._store.with_password(ids)
        except StoreUnavailable as error:
            if ids == {whose.customer_id}:
                known = frozenset(ids)
            elif is_written:
                for record in customers:
                    said(record, self._how, has_password=None)
                return None
            else:
                return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
        for record in customers:
            said(record, self._how, has_password=id_of(record, self._how) in known)
        return None


def _customer_id(whose: Whose) -> str:
    return list(whose.parameters.values())[-1]


def _without_unchanged(plan: Plan, how: CustomerForm) -> Plan:
    """Return a change without a password that is none: the boolean that was shown, or a field left empty."""
    place = (*how.form.body_at, *how.password_at)
    password = resolve(plan.document, place)
    if password is MISSING or (password is not None and password != "" and not isinstance(password, bool)):
        return plan
    return replace(plan, document=without(plan.document, place))


def _without_current(plan: Plan, how: CustomerForm) -> tuple[Plan, object]:
    """Return a change without the customer's current password, and that."""
    place = current_password_at(how)
    current = resolve(plan.document, place)
    return (plan, None) if current is MISSING else (replace(plan, document=without(plan.document, place)), current)
