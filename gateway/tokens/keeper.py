"""Takes passwords out of requests that carry them and shows in replies who has one. The upstream never sees any."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, assert_never

from msgspec.structs import replace

from gateway.stores.ports import CredentialStore, StoreUnavailable
from gateway.tokens.admission import Admission
from gateway.tokens.consent import Consent
from gateway.tokens.creation import ACCEPTED
from gateway.tokens.directory import is_somebody, record_in
from gateway.tokens.email import canonical_record
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.registration import Registrar, customer_fields
from gateway.tokens.silence import reading, shows_nobody, unconfirmed
from gateway.tokens.throttle import Work
from gateway.tokens.whole import Whole
from gateway.vocab.events import Emit
from gateway.vocab.messages import READS, Checked, Json, Plan, Trace, Whose
from gateway.vocab.policy import CURRENT_PASSWORD, Passwords, Perform
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import id_text

_CUSTOMER = "customer"
# Fields that say which customer is meant and change nothing about it.
_NO_CHANGE = frozenset({"type", "id"})


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
                    return self._too_many(plan, trace) or await self._registrar.register(plan, performed, trace)
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

    def _too_many(self, plan: Plan, trace: Trace) -> Refusal | None:
        """Count a registration, before anybody is asked whether its e-mail is known: the answer is the same."""
        fields = customer_fields(plan)
        if isinstance(fields, Refusal) or "email" not in fields:
            # It is refused without any work.
            return None
        if "password" in fields and (crowded := self._hasher.crowded()) is not None:
            # At once: a look-up for each of a flood would be the API's share in it.
            return crowded
        keys = {"address": trace.counts_for, "email": fields["email"]}
        return self._admission.refusal(Work.REGISTRATION, keys)

    async def _change(self, plan: Plan, whose: Whose, perform: Perform, trace: Trace) -> Checked | Refusal:
        plan, current = _without_current(_without_unchanged(plan))
        fields = customer_fields(plan)
        if isinstance(fields, Refusal):
            return fields
        # Whoever sends the current password is held to it, also where it is not asked for.
        asks = current is not None or await self._consent.is_asked(fields, whose, _customer_id(whose), trace)
        if isinstance(asks, Refusal):
            return asks
        has_password = "password" in fields
        if asks or has_password:
            refusal = self._admission.refusal(Work.PASSWORD_CHANGE, {"customer": _customer_id(whose)})
            if asks and refusal is None:
                refusal = await self._consent.refusal(current, _customer_id(whose))
            if refusal is not None:
                return refusal
        if "email" not in fields:
            checked = await self._change_fields(fields, plan, whose, perform)
            if has_password:
                await self._remember(checked, _customer_id(whose))
            return checked
        async with self._registrar.alone(fields["email"]) as busy:
            if busy is not None:
                # Whoever has it in hand gets it, or frees it: for this customer it is somebody else's now.
                return Refusal(Code.EMAIL_TAKEN, busy.detail)
            typed = (plan.document or {})["data"]["email"]
            refusal = await self._check_email(fields["email"], typed, _customer_id(whose), trace)
            if refusal is not None:
                return refusal
            checked = await self._change_fields(fields, plan, whose, perform)
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
            email = canonical_record(_record(checked.document).get("email"))
            if email is not None and _shows(checked.document, customer_id):
                # The change is made, and this only helps: a store that is down now is no reason to say otherwise.
                with suppress(StoreUnavailable):
                    await self._store.remember(email, customer_id)

    async def _change_fields(self, fields: Json, plan: Plan, whose: Whose, perform: Perform) -> Checked | Refusal:
        password = fields.pop("password", None)
        if password is None:
            return await perform(replace(plan, document={"data": fields}))
        hashed = await self._hasher.hash(password)
        if isinstance(hashed, Refusal):
            return hashed
        # A store that is down is noticed before the upstream changes anything.
        await self._store.ping()
        customer_id = _customer_id(whose)
        is_change = not fields.keys() <= _NO_CHANGE
        checked: Checked | Refusal = Checked(200)
        # Who asks with a customer token has logged in with the e-mail that is kept: nobody else is known to be able to.
        if not is_change or (whose.customer_id is None and "email" not in fields):
            # Where nothing is written upstream, it is the reading that the condition is held to.
            looked = reading(plan, plan.path)
            checked = await perform(looked if is_change else replace(looked, conditions=plan.conditions))
            if not isinstance(checked, Checked) or checked.status >= 300:  # noqa: PLR2004 - HTTP's own number
                return checked
            if _shows(checked.document, customer_id) and not _can_log_in(checked.document):
                why = "nobody could log in with the customer's e-mail address"
                return Refusal(Code.BODY_FIELD_INVALID, why, source="data.password")
        if is_change:
            checked = await perform(replace(plan, document={"data": fields}))
            if isinstance(checked, Checked) and checked.status < 300 and shows_nobody(checked):  # noqa: PLR2004
                checked = unconfirmed(await perform(reading(plan, plan.path)))
        if isinstance(checked, Checked) and checked.status < 300:  # noqa: PLR2004
            if not _shows(checked.document, customer_id):
                why, is_foreign = "the change answered another customer", is_somebody(record_in(checked.document))
                return Refusal(Code.UPSTREAM_INVALID, why, violation=is_foreign)
            await self._store.set_password(customer_id, hashed)
            await self._catch_up()
        return checked

    async def _forget(self, plan: Plan, whose: Whose, perform: Perform) -> Checked | Refusal:
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

    def showing(
        self, document: Any, whose: Whose, *, is_written: bool
    ) -> Callable[[], Awaitable[Refusal | None]] | None:
        """Return what sets `password` on every customer in `document`, with one query; None where there is none.

        A customer who asks for the own record has a password, or there would be no token: that much is known even
        while the store is down. Of others nothing is said then where they were written, and they are not read.
        """
        customers = _customers(document)
        return partial(self._show, customers, whose, is_written=is_written) if customers else None

    async def _show(self, customers: list[Json], whose: Whose, *, is_written: bool) -> Refusal | None:
        ids = {customer_id for record in customers if (customer_id := id_text(record.get("id"))) is not None}
        try:
            known = await self._store.with_password(ids)
        except StoreUnavailable as error:
            if ids == {whose.customer_id}:
                known = frozenset(ids)
            elif is_written:
                for record in customers:
                    record.pop("password", None)
                return None
            else:
                return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
        for record in customers:
            record["password"] = id_text(record.get("id")) in known
        return None


def _customer_id(whose: Whose) -> str:
    return list(whose.parameters.values())[-1]


def _without_unchanged(plan: Plan) -> Plan:
    """Return a change without a password that is none: the boolean that was shown, or a field left empty."""
    data = (plan.document or {}).get("data")
    if not isinstance(data, dict) or "password" not in data:
        return plan
    password = data["password"]
    if password is not None and password != "" and not isinstance(password, bool):
        return plan
    fields = {name: value for name, value in data.items() if name != "password"}
    return replace(plan, document={**(plan.document or {}), "data": fields})


def _without_current(plan: Plan) -> tuple[Plan, object]:
    """Return a change without the customer's current password, and that."""
    data = (plan.document or {}).get("data")
    if not isinstance(data, dict) or CURRENT_PASSWORD not in data:
        return plan, None
    fields = {name: value for name, value in data.items() if name != CURRENT_PASSWORD}
    return replace(plan, document={**(plan.document or {}), "data": fields}), data[CURRENT_PASSWORD]


def _record(document: Any) -> Json:
    record = document.get("data") if isinstance(document, dict) else None
    return record if isinstance(record, dict) else {}


def _shows(document: Any, customer_id: str) -> bool:
    return id_text(_record(document).get("id")) == customer_id


def _can_log_in(document: Any) -> bool:
    return canonical_record(_record(document).get("email")) is not None


def _customers(document: Any) -> list[Json]:
    """Return the customers among the records and included records of a document."""
    if not isinstance(document, dict):
        return []
    groups = [document.get("data")]
    if included := document.get("included"):
        groups += included.values() if isinstance(included, dict) else [included]
    return [
        record
        for group in groups
        for record in (group if isinstance(group, list) else [group])
        if isinstance(record, dict) and record.get("type") == _CUSTOMER
    ]
