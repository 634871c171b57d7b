"""What a token endpoint is asked and what it answers: spellings of a grant, and what is none."""

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, quote_plus

import pytest
from pydantic import SecretStr

from gateway.carrying.call import Timeouts
from gateway.upstream.grant import Authentication, ClientCredentials, Grant
from gateway.vocab.refusals import Refusal
from tests.carrying.connected import pool_of
from tests.fakes.commerce import Commerce, Fault, Recorded, at

Obtain = Callable[[], Awaitable[Grant | Refusal]]
PATH = "/oauth/access_token"
TOKEN_PATH = at(PATH)
CLIENT_ID = "canary-upstream-id"
SECRET = "s&e=c r+e/t"
UNSAID_LIFE = 77.0
# Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110 section 5.6.7.
NOW = 784111777.0


@pytest.fixture
async def obtain(upstream: Commerce) -> AsyncIterator[Obtain]:
    """Give the function that asks the fake upstream for a grant."""
    pool = pool_of(upstream.url, times=Timeouts(connect=1, first_byte=1, idle=1, total=5))
    yield ClientCredentials(pool, PATH, CLIENT_ID, SecretStr(SECRET), None, UNSAID_LIFE, lambda: NOW)
    await pool.close()


def answering(body: object, status: int = 200) -> Callable[[Recorded], bytes]:
    """Make the bytes of an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def make(_: Recorded) -> bytes:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        return head.encode() + raw

    return make


async def test_the_form_is_encoded(upstream: Commerce, obtain: Obtain) -> None:
    """Client id and secret arrive as they are, whatever characters they hold (RFC 6749 appendix B)."""
    upstream.script(TOKEN_PATH, answering({"access_token": "abc", "expires_in": 60}))
    assert await obtain() == Grant("abc", 60.0)
    (request,) = upstream.token_requests
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT_ID],
        "client_secret": [SECRET],
    }
    assert request.header("content-type") == "application/x-www-form-urlencoded"
    assert request.header("authorization") is None


@pytest.mark.parametrize(
    ("document", "life"),
    [
        pytest.param({"access_token": "t", "expires_in": 3600, "expires": 1, "identifier": "x"}, 3600.0, id="EPCC's"),
        pytest.param({"access_token": "t", "expires_in": "3600"}, 3600.0, id="a number as text"),
        pytest.param({"access_token": "t", "expires_in": 0.5}, 0.5, id="half a second"),
        pytest.param({"access_token": "t", "expires_in": 10**18}, 30 * 86400.0, id="nearly for ever"),
        pytest.param({"access_token": "t", "expires_in": "9" * 18}, 30 * 86400.0, id="nearly for ever as text"),
        pytest.param({"access_token": "t", "expires_in": 1e300}, 30 * 86400.0, id="longer than the sun"),
        pytest.param({"access_token": "t", "token_type": "Bearer"}, UNSAID_LIFE, id="no life"),
        pytest.param({"access_token": "t", "expires_in": None}, UNSAID_LIFE, id="nothing as life"),
    ],
)
async def test_lives_of_grants(upstream: Commerce, obtain: Obtain, document: object, life: float) -> None:
    """A grant lives as long as it says, but no longer than a month is believed."""
    upstream.script(TOKEN_PATH, answering(document))
    assert await obtain() == Grant("t", life)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answering(b"<html>hello</html>"), id="a page"),
        pytest.param(answering(b""), id="nothing"),
        pytest.param(answering(b"\xff\xfe{}"), id="not UTF-8"),
        pytest.param(answering(b" " * 10_000_000), id="ten megabytes"),
        pytest.param(answering([1]), id="an array"),
        pytest.param(answering({"expires_in": 60}), id="no token"),
        pytest.param(answering({"access_token": "", "expires_in": 60}), id="an empty token"),
        pytest.param(answering({"access_token": 7, "expires_in": 60}), id="a number as token"),
        pytest.param(answering({"access_token": "t\u00f6", "expires_in": 60}), id="beyond ASCII"),
        pytest.param(answering({"access_token": "t\r\nX-Evil: 1", "expires_in": 60}), id="line breaks in the token"),
        pytest.param(answering({"access_token": "t t", "expires_in": 60}), id="a space in the token"),
        pytest.param(answering({"access_token": "t", "expires_in": 0}), id="no life left"),
        pytest.param(answering({"access_token": "t", "expires_in": -5}), id="a past life"),
        pytest.param(answering({"access_token": "t", "expires_in": True}), id="true as life"),
        pytest.param(answering({"access_token": "t", "expires_in": "soon"}), id="a word as life"),
        pytest.param(answering({"access_token": "t", "expires_in": "9" * 5000}), id="more digits than Python reads"),
        pytest.param(answering({"access_token": "t", "expires_in": 60}, 302), id="a redirect"),
        pytest.param(answering({"access_token": "t", "expires_in": 60}, 500), id="an error with a grant"),
    ],
)
async def test_what_is_no_grant(upstream: Commerce, obtain: Obtain, answer: Callable[[Recorded], bytes]) -> None:
    """Anything but a plain token with a life is refused by name; nothing is raised."""
    upstream.script(TOKEN_PATH, answer)
    refusal = await obtain()
    assert isinstance(refusal, Refusal)


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.CUT_BODY, Fault.HTML_ERROR, Fault.SILENT, Fault.REDIRECT])
async def test_a_broken_endpoint_is_a_refusal(upstream: Commerce, obtain: Obtain, fault: Fault) -> None:
    """A token endpoint that breaks in any way costs a try, nothing else."""
    upstream.fault(fault, when=TOKEN_PATH, location="/elsewhere")
    assert isinstance(await obtain(), Refusal)
    assert {request.path for request in upstream.all_requests} <= {PATH}


def asking_to_wait(status: int, said: str) -> bytes:
    """Write a refusal that says when to ask again."""
    return f"HTTP/1.1 {status} X\r\nretry-after: {said}\r\ncontent-length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", [429, 503, 400])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("17", 17),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30),
        ("Sun, 06 Nov 1994 08:00:00 GMT", None),
        ("Sun, 32 Nov 1994 08:00:00 GMT", None),
        ("0", None),
        ("soon", None),
    ],
)
async def test_an_endpoint_that_asks_for_time(
    upstream: Commerce, obtain: Obtain, status: int, said: str, seconds: int | None
) -> None:
    """In seconds or as a date; whoever holds the bearer obeys."""
    upstream.script(TOKEN_PATH, asking_to_wait(status, said))
    refusal = await obtain()
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after == seconds


def compressed(document: object, encoding: str) -> Callable[[Recorded], bytes]:
    """Make an answer in a coding that nobody asked for."""
    raw = json.dumps(document).encode()
    raw = gzip.compress(raw) if encoding.lower().endswith("gzip") else zlib.compress(raw)

    def make(_: Recorded) -> bytes:
        head = f"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\n"
        return f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw

    return make


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_a_compressed_grant(upstream: Commerce, obtain: Obtain, encoding: str) -> None:
    """An endpoint that compresses although it was asked not to is understood."""
    upstream.script(TOKEN_PATH, compressed({"access_token": "abc", "expires_in": 60}, encoding))
    assert await obtain() == Grant("abc", 60.0)
    (request,) = upstream.token_requests
    assert request.header("accept-encoding") == "identity"


async def test_a_grant_that_is_a_bomb(upstream: Commerce, obtain: Obtain) -> None:
    """What unpacks to more than a grant can have is none."""
    upstream.script(TOKEN_PATH, compressed({"access_token": "abc", "expires_in": 60, "x": "x" * 1_000_000}, "gzip"))
    assert isinstance(await obtain(), Refusal)


def wanting_basic(status: int) -> Callable[[Recorded], bytes]:
    """Make an endpoint that knows Basic alone."""
    right = base64.b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(SECRET)}".encode()).decode()

    def make(request: Recorded) -> bytes:
        is_right = request.header("authorization") == f"Basic {right}"
        grant = answering({"access_token": "abc", "expires_in": 60})
        return (grant if is_right else answering({"error": "invalid_client"}, status))(request)

    return make


@pytest.mark.parametrize("status", [400, 401])
async def test_an_endpoint_that_wants_basic(upstream: Commerce, obtain: Obtain, status: int) -> None:
    """The other way is tried where the form is not taken, and first the next time (RFC 6749 section 2.3.1)."""
    upstream.script(TOKEN_PATH, wanting_basic(status))
    assert await obtain() == await obtain() == Grant("abc", 60.0)
    by_form, *by_basic = upstream.token_requests
    assert by_form.header("authorization") is None
    assert len(by_basic) == 2
    # One method in a request, no more: some endpoints refuse both together.
    assert all(parse_qs(request.body.decode()) == {"grant_type": ["client_credentials"]} for request in by_basic)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_an_endpoint_that_fails_is_asked_once(upstream: Commerce, obtain: Obtain, status: int) -> None:
    """What says nothing of how a client proves itself is no reason to send the secret again."""
    upstream.script(TOKEN_PATH, answering({"error": "x"}, status))
    refusal = await obtain()
    assert isinstance(refusal, Refusal)
    assert refusal.detail == f"token endpoint answered {status}"
    assert len(upstream.token_requests) == 1


@pytest.mark.parametrize(("way", "header"), [("form", False), ("basic", True)])
async def test_one_way_alone(upstream: Commerce, way: Authentication, *, header: bool) -> None:
    """A way that is configured is the only one that is tried."""
    upstream.script(TOKEN_PATH, answering({"error": "invalid_client"}, 401))
    pool = pool_of(upstream.url, times=Timeouts(connect=1, first_byte=1, idle=1, total=5))
    assert isinstance(
        await ClientCredentials(pool, PATH, CLIENT_ID, SecretStr(SECRET), way, 60.0, lambda: NOW)(), Refusal
    )
    await pool.close()
    (request,) = upstream.token_requests
    assert (request.header("authorization") is not None) is header
