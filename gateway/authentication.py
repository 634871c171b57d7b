"""Who asks: the bearer of a client and the token of a customer, read together. Pure.

It decides nothing of what a caller may do, and stands between the verifiers of `authn`, which know one token each, and
`decision`.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier, is_nothing
from gateway.authn.revocations import NOBODY, Revocations
from gateway.vocab.messages import Caller, CallerKind, Request
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import AUTHORIZATION, CUSTOMER_TOKEN, is_repeated, values


class Callers(Struct, frozen=True):
    """By what callers are known: who reads bearers and customer tokens, whose bearers count, where the tokens stand."""

    bearers: BearerVerifier
    customers: CustomerVerifier
    clients: frozenset[tuple[CallerKind, str]]
    requires_bearer: bool
    token_header: str = CUSTOMER_TOKEN


def authenticate(
    callers: Callers,
    request: Request,
    revocations: Revocations = NOBODY,
    *,
    reads_token: bool = True,
    needs_token: bool = True,
) -> Caller | Refusal:
    """Stage 3: bearer to client, customer token to customer. A trusted client with a customer token is the customer.

    Beside a public bearer a token that says "nobody" is none, and a dead one does no harm where none is needed: to
    leave it out would give as much. Beside a trusted one either stops the request: without it that client sees all.
    """
    # One value a name, as nearly always; then no line need be looked for twice (saves 1 us).
    named = dict(request.headers)
    is_plain = len(named) == len(request.headers)
    authorization = named.get("authorization")
    if callers.token_header == AUTHORIZATION:
        return _by_authorization(callers, request, revocations, reads_token=reads_token, needs_token=needs_token)
    caller: Caller | Refusal
    if authorization is None:
        if callers.requires_bearer:
            return Refusal(Code.BEARER_MISSING)
        caller = Caller(CallerKind.PUBLIC)
    elif not is_plain and is_repeated(request.headers, "authorization"):
        return Refusal(Code.BEARER_INVALID, "more than one Authorization line")
    else:
        caller = callers.bearers.verify(authorization, request.received_at)
        if isinstance(caller, Refusal):
            return caller
        if (caller.kind, caller.client_id) not in callers.clients:
            return Refusal(Code.BEARER_INVALID, "client is not configured any more")
    token = named.get(callers.token_header)
    if token is None or not reads_token:
        return caller
    tokens = (token,) if is_plain else values(request.headers, callers.token_header)
    is_public = caller.kind is CallerKind.PUBLIC
    if is_public and is_nothing(tokens):
        return caller
    session = callers.customers.verify(tokens, request.received_at, revocations)
    if isinstance(session, Refusal):
        # Of two lines nobody can tell which one is meant.
        forgives = is_public and not needs_token and len(tokens) == 1
        # Of one that may be good yet the page is not told that it is dead.
        is_dead = session.code is not Code.REVOCATION_STALE
        return replace(caller, has_dead_token=is_dead) if forgives else session
    return Caller(
        CallerKind.CUSTOMER,
        caller.client_id,
        session.customer_id,
        is_by_trusted=not is_public,
        version=session.version,
    )


def presented(callers: Callers, request: Request) -> Sequence[str]:
    """Return the customer tokens that a request carries, as its lines have them."""
    lines = values(request.headers, callers.token_header)
    is_bearer = callers.token_header == AUTHORIZATION
    return tuple(map(_without_scheme, lines)) if is_bearer else lines


def _without_scheme(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.rstrip(":").lower() == "bearer" else authorization.strip()


def _by_authorization(
    callers: Callers, request: Request, revocations: Revocations, *, reads_token: bool, needs_token: bool
) -> Caller | Refusal:
    """Stage 3 where `Authorization` carries the customer token, or a client's bearer: their types tell them apart."""
    lines = values(request.headers, AUTHORIZATION)
    if len(lines) > 1:
        return Refusal(Code.BEARER_INVALID, "more than one Authorization line")
    authorization, at = "".join(lines), request.received_at
    token = _without_scheme(authorization)
    if is_nothing((token,)):
        return Caller(CallerKind.PUBLIC)
    session = callers.customers.verify((token,), at, revocations)
    if not isinstance(session, Refusal):
        if not reads_token:
            return Caller(CallerKind.PUBLIC)
        return Caller(CallerKind.CUSTOMER, None, session.customer_id, version=session.version)
    caller = callers.bearers.verify(authorization, at)
    if not isinstance(caller, Refusal) and (caller.kind, caller.client_id) in callers.clients:
        return caller
    # Without it everybody is a public caller: where that is as much, or it is about to be replaced, it does no harm.
    if not reads_token or not needs_token:
        is_dead = session.code is not Code.REVOCATION_STALE
        return Caller(CallerKind.PUBLIC, has_dead_token=reads_token and is_dead)
    return session
