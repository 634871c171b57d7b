"""The paths of forgotten passwords: it parses and renders; what is given and what is spent is decided in resets.py."""

from functools import partial

from gateway.decision import Admission, Decided, Snapshot, with_document
from gateway.tokens.resets import Resets
from gateway.vocab.messages import Body, Headers, Json, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode

# A token, and a password of 1,024 bytes in any spelling of JSON.
_MAX_BODY = 16 * 1024
_HEADERS: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))


class ResetApi:
    """The handlers."""

    def __init__(self, resets: Resets) -> None:
        self._resets = resets

    def ask(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `POST /v2/customers/password-resets`: 201 with a token to be mailed, and the address to mail it to."""
        del snapshot, admission
        return with_document(request, body, _MAX_BODY, partial(self._asked, trace))

    def _asked(self, trace: Trace, document: Json) -> Decided:
        data = _data(document, "password-reset")
        if isinstance(data, Refusal):
            return data

        async def later() -> Decided:
            asked = await self._resets.ask(data.get("email"), trace)
            if isinstance(asked, Refusal):
                return asked
            told = {
                "type": "password-reset",
                "email": asked.email,
                "token": asked.token,
                "expires": asked.expires_at,
            }
            return Reply(201, _HEADERS, encode({"data": told}))

        return later

    def spend(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission) -> Decided:
        """Answer `POST /v2/customers/passwords`: 200 when the token was good, and the password is the customer's."""
        del snapshot, admission
        return with_document(request, body, _MAX_BODY, partial(self._spent, trace))

    def _spent(self, trace: Trace, document: Json) -> Decided:
        data = _data(document, "password")
        if isinstance(data, Refusal):
            return data

        async def later() -> Decided:
            refusal = await self._resets.spend(data.get("token"), data.get("password"), trace)
            return refusal or Reply(200, _HEADERS, encode({"data": {"type": "password"}}))

        return later


def _data(document: Json, kind: str) -> Json | Refusal:
    data = document.get("data")
    if not isinstance(data, dict):
        return Refusal(Code.BODY_FIELD_INVALID, "not an object", source="data")
    if data.get("type", kind) != kind:
        return Refusal(Code.BODY_FIELD_INVALID, f"not a {kind}", source="data.type")
    return data
