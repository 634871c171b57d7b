"""The paths that the gateway answers itself: bearers for clients, tokens for customers, public keys for others.

It parses and renders; who may log in is decided in tokens/.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qsl

from pydantic import SecretStr

from gateway.authn.keyring import KeyRing
from gateway.decision import Admission, Decided, Snapshot, when_read, with_document
from gateway.tokens.client import CHALLENGE, read_claim
from gateway.tokens.login import Login
from gateway.vocab.messages import Body, CallerKind, Headers, Json, Reply, Request, Trace
from gateway.vocab.policy import JWKS_MAX_AGE
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode
from gateway.wire.headers import first, media_type

# A grant request is a few hundred bytes, any other at most a long e-mail and a password of 1,024 bytes as JSON.
_MAX_FORM = 8 * 1024
_MAX_BODY = 16 * 1024
_MAX_FIELDS = 20
_FORM = "application/x-www-form-urlencoded"
FRESH: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))
_IMPLICIT = "implicit"
_CLIENT_CREDENTIALS = "client_credentials"


@dataclass(frozen=True, slots=True)
class Clients:
    """Who may ask for bearers: ids for the implicit grant, ids with secrets for client credentials.

    A client may have two secrets, so that one takes the place of the other without an outage.
    """

    implicit: frozenset[str]
    secrets: Mapping[str, tuple[SecretStr, ...]]


class TokenApi:
    """The handlers. Lives are in seconds."""

    def __init__(self, clients: Clients, login: Login, ring: KeyRing, *, bearer_life: float, token_life: float) -> None:
        self._clients = clients
        self._login = login
        self._ring = ring
        self._bearer_life = bearer_life
        self._token_life = token_life

    def issue_bearer(
        self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission
    ) -> Decided:
        """Answer `POST /oauth/access_token`: 200 with a bearer at the top level (docs/upstream.md section 1)."""
        del admission
        if media_type(first(request.headers, "content-type")) != _FORM:
            return in_oauth(Refusal(Code.BODY_TYPE, "not a form", source="body", accepts=("accept", _FORM)))
        return in_oauth(when_read(body, _MAX_FORM, partial(self._bearer, snapshot, request, trace)))

    def _bearer(self, snapshot: Snapshot, request: Request, trace: Trace, raw: bytes) -> Reply | Refusal:
        form = _read_form(raw)
        if form is None:
            return Refusal(Code.FORM_INVALID, "fields repeated or unreadable", source="body")
        grant = form.get("grant_type")
        if grant not in {_IMPLICIT, _CLIENT_CREDENTIALS}:
            oauth = "unsupported_grant_type" if grant else None
            return Refusal(Code.FORM_INVALID, source="grant_type", oauth=oauth)
        claim = read_claim(request.headers, form, needs_secret=grant == _CLIENT_CREDENTIALS)
        if isinstance(claim, Refusal):
            return claim
        if not claim.pairs:
            return Refusal(Code.FORM_INVALID, source="client_id")
        known = [client_id for client_id, secret in claim.pairs if self._is_known(grant, client_id, secret)]
        if not known:
            # A page without a secret is not asked for one: its browser would ask the shopper.
            by_secret = claim.by_basic or grant == _CLIENT_CREDENTIALS
            return Refusal(Code.CLIENT_UNKNOWN, challenge=CHALLENGE if by_secret else "Bearer")
        client_id = known[0]
        kind = CallerKind.PUBLIC if grant == _IMPLICIT else CallerKind.TRUSTED
        trace.caller = kind
        token, expires = snapshot.callers.bearers.mint(kind, client_id, request.received_at, self._bearer_life)
        times = {"expires": expires, "identifier": grant, "expires_in": int(self._bearer_life)}
        return Reply(200, FRESH, encode({**times, "access_token": token, "token_type": "Bearer"}))

    def _is_known(self, grant: str | None, client_id: str, secret: str) -> bool:
        if grant == _IMPLICIT:
            return client_id in self._clients.implicit
        expected = self._clients.secrets.get(client_id)
        # An unknown client costs the same comparison as a wrong secret, and the second secret as much as the first.
        known = (expected or (SecretStr("-"),)) * 2
        matches = [hmac.compare_digest(one.get_secret_value().encode(), secret.encode()) for one in known[:2]]
        return any(matches) and expected is not None

    def issue_customer_token(
        self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission
    ) -> Decided:
        """Answer `POST /v2/customers/tokens`: 201 with a customer token, 404 for a pair that is not right."""
        del admission
        return with_data("token", request, body, partial(self._log_in, snapshot, request, trace))

    def _log_in(self, snapshot: Snapshot, request: Request, trace: Trace, data: Json) -> Decided:
        if data.get("authentication_mechanism", "password") != "password":
            return Refusal(Code.BODY_FIELD_INVALID, "not by password", source="data.authentication_mechanism")

        async def later() -> Decided:
            session = await self._login.authenticate(data.get("email"), data.get("password"), request.peer, trace)
            if isinstance(session, Refusal):
                return session
            customer_id = trace.customer_id = session.customer_id
            token, token_id, expires = snapshot.callers.customers.mint(session, request.received_at, self._token_life)
            minted = {"type": "token", "id": token_id, "customer_id": customer_id, "token": token, "expires": expires}
            return Reply(201, FRESH, encode({"data": minted}))

        return later

    def publish_keys(
        self, snapshot: Snapshot, request: Request, body: Body, trace: Trace, admission: Admission
    ) -> Reply:
        """Answer `GET /.well-known/jwks.json` (RFC 7517 section 5)."""
        del snapshot, request, body, trace, admission
        headers = (("content-type", "application/jwk-set+json"), ("cache-control", f"public, max-age={JWKS_MAX_AGE}"))
        return Reply(200, headers, encode(self._ring.public_jwks()))


def with_data(kind: str, request: Request, body: Body, go_on: Callable[[Json], Decided]) -> Decided:
    """Go on with the `data` of a body that is for the gateway itself; it may say of which kind it is."""

    def read(document: Json) -> Decided:
        data = document.get("data")
        if not isinstance(data, dict):
            return Refusal(Code.BODY_FIELD_INVALID, "not an object", source="data")
        if data.get("type", kind) != kind:
            return Refusal(Code.BODY_FIELD_INVALID, f"not a {kind}", source="data.type")
        return go_on(data)

    return with_document(request, body, _MAX_BODY, read)


def in_oauth(decided: Decided) -> Decided:
    """Return what is decided of a request for a bearer, with a refusal in the words of OAuth as well.

    RFC 6749 section 5.2 has a code for what the client did wrong. What is no fault of the request has none there, and
    stays in the words of the API alone.
    """
    if isinstance(decided, Refusal):
        code = "invalid_client" if decided.code is Code.CLIENT_UNKNOWN else "invalid_request"
        is_its_fault = decided.code.status < 500  # noqa: PLR2004 - HTTP's own number
        return replace(decided, oauth=decided.oauth or code) if is_its_fault else decided
    if not callable(decided):
        return decided

    async def later() -> Decided:
        return in_oauth(await decided())

    return later


def _read_form(raw: bytes) -> dict[str, str] | None:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None
