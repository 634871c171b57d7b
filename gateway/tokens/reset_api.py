"""The paths of forgotten passwords: it parses and renders; what is given and what is spent is decided in resets.py."""

from functools import partial

from gateway.decision import Admission, Decided, Snapshot
from gateway.tokens.api import FRESH, with_data
from gateway.tokens.resets import Resets
from gateway.vocab.messages import Body, Json, Reply, Request, Trace
from gateway.vocab.refusals import Refusal
from gateway.wire.body import encode


class ResetApi:
    """The handlers."""

    def __init__(self, resets: Resets) -> None:
        self._resets = resets

    def ask(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `POST /v2/customers/password-resets`: 201 with a token to be mailed, and the address to mail it to."""
        del snapshot, admission
        return with_data("password-reset", request, body, lambda data: partial(self._asked, data, trace))

    async def _asked(self, data: Json, trace: Trace) -> Decided:
        asked = await self._resets.ask(data.get("email"), trace)
        if isinstance(asked, Refusal):
            return asked
        told = {"email": asked.email, "token": asked.token, "expires": asked.expires_at}
        return Reply(201, FRESH, encode({"data": {"type": "password-reset", **told}}))

    def spend(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `POST /v2/customers/passwords`: 200 when the token was good, and the password is the customer's."""
        del snapshot, admission
        return with_data("password", request, body, lambda data: partial(self._spent, data, trace))

    async def _spent(self, data: Json, trace: Trace) -> Decided:
        refusal = await self._resets.spend(data.get("token"), data.get("password"), trace)
        return refusal or Reply(200, FRESH, encode({"data": {"type": "password"}}))
