"""The paths that end sessions: the presented one, all of a customer's, and with a block, so that none begins again.

What a 204 says is on the store's disk, and counts in this process already; in all others as soon as they hear of it.
"""

from collections.abc import Awaitable, Callable

from gateway.authentication import presented
from gateway.authn.revocations import NOBODY
from gateway.decision import Admission, Decided, Later, Snapshot
from gateway.stores.ports import SessionStore, StoreUnavailable
from gateway.tokens.live import LiveView
from gateway.vocab.messages import Body, Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal

_DONE: Headers = (("cache-control", "no-store"),)


class LogoutApi:
    """The handlers. `is_customer_id` tells what a whole customer id looks like."""

    def __init__(self, store: SessionStore, live: LiveView, is_customer_id: Callable[[str], object]) -> None:
        self._store = store
        self._live = live
        self._is_customer_id = is_customer_id

    def log_out(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `DELETE /v2/customers/tokens`: the presented token is worthless, and no other."""
        del body, trace, admission
        callers = snapshot.callers
        session = callers.customers.verify(presented(callers, request), request.received_at, NOBODY)
        if isinstance(session, Refusal):
            return session
        if not session.id:
            # It is of a release that gave sessions no numbers: nothing less than all of them ends it.
            return self._done(lambda: self._store.log_out(session.customer_id))
        return self._done(lambda: self._store.log_out_session(session.id))

    def log_out_everywhere(
        self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission
    ) -> Decided:
        """Answer `DELETE /v2/customers/{id}/tokens`: all of a customer's tokens are worthless."""
        del snapshot, request, body, trace
        return self._to(admission, self._store.log_out)

    def block(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `PUT /v2/customers/{id}/block`: a customer's tokens are worthless, and there will be no more."""
        del snapshot, request, body, trace
        return self._to(admission, self._store.block)

    def unblock(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `DELETE /v2/customers/{id}/block`: the customer may log in again."""
        del snapshot, request, body, trace
        return self._to(admission, self._store.unblock)

    def _to(self, admission: Admission, write: Callable[[str], Awaitable[None]]) -> Decided:
        customer_id = admission.whose.parameters["id"]
        if not self._is_customer_id(customer_id):
            return Refusal(Code.RECORD_NOT_FOUND, "no customer can have this id")
        return self._done(lambda: write(customer_id))

    def _done(self, write: Callable[[], Awaitable[None]]) -> Later:
        async def later() -> Decided:
            try:
                await write()
            except StoreUnavailable as error:
                return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
            await self._live.catch_up()
            return Reply(204, _DONE)

        return later
