"""Who asks: bearers and customer tokens, each where it stands, and both together."""

import pytest
from msgspec.structs import replace

from gateway.authentication import authenticate, presented
from gateway.authn.revocations import Revocations
from gateway.vocab.messages import Caller, CallerKind, Headers
from gateway.vocab.refusals import Code
from tests.sessions import session
from tests.snapshot import NOBODY, SNAPSHOT, TRUSTED, bearer, code, request, token

CALLERS = SNAPSHOT.callers
RELAXED = replace(CALLERS, requires_bearer=False)
# Without bearers, and the customer token in the line that they would stand in.
ONE_LINE = replace(RELAXED, token_header="authorization")
TOKEN, DEAD = token()[1], token(life=-60)[1]


def known(client: str | None, customer: str = "c1", *, is_by_trusted: bool = False) -> Caller:
    """Return a customer, known with the last log-out before the session."""
    version = session(customer).version
    return Caller(CallerKind.CUSTOMER, client, customer, is_by_trusted=is_by_trusted, version=version)


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ((bearer(),), Caller(CallerKind.PUBLIC, "front")),
        ((TRUSTED,), Caller(CallerKind.TRUSTED, "back")),
        ((bearer(), token()), known("front")),
        ((TRUSTED, token("c2")), known("back", "c2", is_by_trusted=True)),
    ],
)
def test_who_asks(headers: Headers, caller: Caller) -> None:
    """The bearer tells the client; a customer token makes a customer of any, a trusted one included."""
    assert authenticate(CALLERS, request("/", *headers)) == caller


@pytest.mark.parametrize("nothing", ["", "undefined", "null"])
def test_a_token_that_says_nobody(nothing: str) -> None:
    """What an app sends while nobody is logged in is no token, beside a public bearer or where none is required."""
    line = ("x-moltin-customer-token", nothing)
    assert authenticate(CALLERS, request("/", bearer(), line)) == Caller(CallerKind.PUBLIC, "front")
    assert authenticate(RELAXED, request("/", line)) == Caller(CallerKind.PUBLIC)


@pytest.mark.parametrize("dead", ["x", "a.b.c", token(life=-60)[1], f"{token()[1]}x"], ids=["x", "abc", "over", "torn"])
def test_a_dead_token_where_none_is_needed(dead: str) -> None:
    """It goes on as the public's, and that is noted; never beside a trusted bearer, and never one of two."""
    line = ("x-moltin-customer-token", dead)
    found = authenticate(CALLERS, request("/", bearer(), line), needs_token=False)
    assert found == Caller(CallerKind.PUBLIC, "front", has_dead_token=True)
    for headers in ((TRUSTED, line), (bearer(), line, line), (bearer(), line, NOBODY)):
        refused = authenticate(CALLERS, request("/", *headers), needs_token=False)
        assert code(refused) is Code.CUSTOMER_TOKEN_INVALID


def test_without_a_bearer() -> None:
    """It is missing, unless none is required: then anybody is the public, and may still be a customer."""
    assert code(authenticate(CALLERS, request("/"))) is Code.BEARER_MISSING
    assert code(authenticate(CALLERS, request("/", token()))) is Code.BEARER_MISSING
    assert authenticate(RELAXED, request("/")) == Caller(CallerKind.PUBLIC)
    assert authenticate(RELAXED, request("/", token())) == known(None)
    assert code(authenticate(RELAXED, request("/", ("authorization", "")))) is Code.BEARER_INVALID


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param((("authorization", "Bearer x"),), Code.BEARER_INVALID, id="none of ours"),
        pytest.param((bearer(), bearer()), Code.BEARER_INVALID, id="two bearers"),
        pytest.param((bearer(client="gone"),), Code.BEARER_INVALID, id="a client that is not there any more"),
        pytest.param((bearer(CallerKind.TRUSTED, "front"),), Code.BEARER_INVALID, id="a client of the other kind"),
        pytest.param((("authorization", token()[1]),), Code.BEARER_INVALID, id="a customer token as a bearer"),
        pytest.param((bearer(), ("x-moltin-customer-token", "x")), Code.CUSTOMER_TOKEN_INVALID, id="no token"),
        pytest.param((bearer(), ("x-moltin-customer-token", "NULL")), Code.CUSTOMER_TOKEN_INVALID, id="no such word"),
        pytest.param((bearer(), NOBODY, NOBODY), Code.CUSTOMER_TOKEN_INVALID, id="nothing twice"),
        pytest.param((bearer(), NOBODY, token()), Code.CUSTOMER_TOKEN_INVALID, id="nothing and a token"),
        pytest.param((TRUSTED, NOBODY), Code.CUSTOMER_TOKEN_INVALID, id="trusted, an empty token"),
        pytest.param(
            (TRUSTED, ("x-moltin-customer-token", "undefined")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, no"
        ),
        pytest.param((TRUSTED, ("x-moltin-customer-token", "null")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, null"),
        pytest.param((bearer(), token(), token()), Code.CUSTOMER_TOKEN_INVALID, id="two tokens"),
        pytest.param((TRUSTED, token(life=-60)), Code.CUSTOMER_TOKEN_INVALID, id="a token that is over"),
        pytest.param((TRUSTED, ("x-moltin-customer-token", "x")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, no token"),
    ],
)
def test_who_does_not_prove_it(headers: Headers, refused: Code) -> None:
    """No state of a customer token makes its bearer more than it is without: a bad one stops the request."""
    assert code(authenticate(CALLERS, request("/", *headers))) is refused


def as_bearer(value: str, scheme: str = "Bearer") -> tuple[str, str]:
    """Return the one line that bearers and customer tokens stand in."""
    return "authorization", f"{scheme} {value}".lstrip()


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        pytest.param((), Caller(CallerKind.PUBLIC), id="nothing"),
        pytest.param((as_bearer(""),), Caller(CallerKind.PUBLIC), id="an empty token"),
        pytest.param((as_bearer("null"),), Caller(CallerKind.PUBLIC), id="null"),
        pytest.param((as_bearer(TOKEN),), known(None), id="a token"),
        pytest.param((as_bearer(TOKEN, "bearer:"),), known(None), id="with a colon"),
        pytest.param((as_bearer(TOKEN, ""),), known(None), id="without a scheme"),
        pytest.param((bearer(),), Caller(CallerKind.PUBLIC, "front"), id="a public bearer"),
        pytest.param((TRUSTED,), Caller(CallerKind.TRUSTED, "back"), id="a trusted bearer"),
    ],
)
def test_who_asks_in_one_line(headers: Headers, caller: Caller) -> None:
    """Where `Authorization` carries both, their types tell them apart."""
    assert authenticate(ONE_LINE, request("/", *headers)) == caller


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param((as_bearer(TOKEN), as_bearer(TOKEN)), Code.BEARER_INVALID, id="two lines"),
        pytest.param((as_bearer(DEAD),), Code.CUSTOMER_TOKEN_INVALID, id="a token that is over"),
        pytest.param((as_bearer(TOKEN, "Basic"),), Code.CUSTOMER_TOKEN_INVALID, id="another scheme"),
        pytest.param((bearer(client="gone"),), Code.CUSTOMER_TOKEN_INVALID, id="a client that is not there any more"),
    ],
)
def test_who_does_not_prove_it_in_one_line(headers: Headers, refused: Code) -> None:
    """What is neither stops the request."""
    assert code(authenticate(ONE_LINE, request("/", *headers))) is refused


def test_a_dead_token_in_one_line() -> None:
    """Where none is needed it goes on as the public's, and is told to be dead unless it is about to be replaced."""
    dead = request("/", as_bearer(DEAD))
    assert authenticate(ONE_LINE, dead, needs_token=False) == Caller(CallerKind.PUBLIC, has_dead_token=True)
    assert authenticate(ONE_LINE, dead, reads_token=False) == Caller(CallerKind.PUBLIC)
    assert authenticate(ONE_LINE, request("/", as_bearer(TOKEN)), reads_token=False) == Caller(CallerKind.PUBLIC)


def test_what_may_be_good_yet_is_not_called_dead() -> None:
    """While nobody can tell who was logged out a token is not taken, and no page is told to drop it."""
    stale = Revocations(is_stale=True)
    for callers, line in ((CALLERS, token()), (ONE_LINE, as_bearer(TOKEN))):
        sent = request("/", *(() if callers is ONE_LINE else (bearer(),)), line)
        assert code(authenticate(callers, sent, stale)) is Code.REVOCATION_STALE
        caller = authenticate(callers, sent, stale, needs_token=False)
        assert isinstance(caller, Caller)
        assert (caller.kind, caller.has_dead_token) == (CallerKind.PUBLIC, False)


def test_which_tokens_are_presented() -> None:
    """All lines, each without a scheme where they have one."""
    assert [*presented(CALLERS, request("/", TRUSTED, ("x-moltin-customer-token", TOKEN), NOBODY))] == [TOKEN, ""]
    assert [*presented(ONE_LINE, request("/", as_bearer(TOKEN), as_bearer("x", "Bearer:")))] == [TOKEN, "x"]
