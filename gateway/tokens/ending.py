"""Ends sessions of customers whose passwords the upstream keeps, when a request changes one or removes the customer."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.stores.ports import SessionStore, StoreUnavailable
from gateway.tokens.live import LiveView
from gateway.tokens.whole import Whole
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.events import Emit
from gateway.vocab.messages import Checked, Plan, Trace, Whose
from gateway.vocab.policy import Passwords, Perform
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import resolve

# A customer who is not there any more was deleted by a request that broke off before it came to the store.
_PERHAPS = frozenset({
    Code.WRITE_UNCONFIRMED, Code.UPSTREAM_INVALID, Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_FAILED, Code.GUARD_VIOLATION,
    Code.RECORD_NOT_FOUND,
})  # fmt: skip


class SessionEnder:
    """The flow's keeper of passwords where it keeps none. A customer's id is the last parameter of the path."""

    def __init__(self, store: SessionStore, live: LiveView, emit: Emit, how: CustomerForm) -> None:
        self._store = store
        self._live = live
        self._password_at = (*how.form.body_at, *how.password_at)
        self._whole = Whole("logging out", emit)

    async def carry(
        self, mode: Passwords, plan: Plan, whose: Whose, perform: Perform, trace: Trace
    ) -> Checked | Refusal:
        """Perform what changes or removes a customer, and end all sessions where it took the password along."""
        if mode is Passwords.CHANGE and not self._has_password(plan):
            return await perform(plan)
        return await self._whole.run(self._carry(plan, whose, perform), trace.request_id)

    def _has_password(self, plan: Plan) -> bool:
        password = resolve(plan.document, self._password_at)
        return isinstance(password, str) and bool(password)

    async def _carry(self, plan: Plan, whose: Whose, perform: Perform) -> Checked | Refusal:
        customer_id = list(whose.parameters.values())[-1]
        try:
            # A store that is down is noticed before the upstream changes anything, as is a log-out that this process
            # has not heard of: what a token sets would outlive it.
            await self._store.ping()
            account = await self._store.account(customer_id)
        except StoreUnavailable as error:
            return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
        if whose.customer_id is not None and whose.version < account.version:
            return Refusal(Code.CUSTOMER_TOKEN_INVALID, "logged out")
        checked = await perform(plan)
        if _may_have_happened(checked):
            try:
                await self._store.log_out(customer_id)
            except StoreUnavailable as error:
                # The upstream did its part; whether the customer's tokens are worth nothing is not known.
                return Refusal(Code.WRITE_UNCONFIRMED, str(error))
            await self._live.catch_up()
        return checked

    def showing(
        self, document: Any, whose: Whose, plan: Plan, form: RecordForm
    ) -> Callable[[], Awaitable[Refusal | None]] | None:
        """Show nothing: the upstream's own answer says who has a password."""
        del document, whose, plan, form
        return None


def _may_have_happened(checked: Checked | Refusal) -> bool:
    """Tell whether a change was made, now or by a request before it, or nobody knows."""
    if isinstance(checked, Checked):
        return checked.status < 300  # noqa: PLR2004 - HTTP's own number
    return checked.code in _PERHAPS
