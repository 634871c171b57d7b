"""Calls with the server's bearer: what happens after a 401, and what look-ups accept. Through a real gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.carrying.call import Call, Timeouts
from gateway.demo.data import RON, RON_ID, identity
from gateway.upstream.backend import Backend
from gateway.upstream.credential import BearerCredential
from gateway.upstream.grant import Grant
from gateway.vocab.events import CredentialFailed, Event
from gateway.vocab.messages import Answer, Lookup, Trace
from gateway.vocab.policy import Credential
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.connected import pool_of
from tests.fakes.commerce import Commerce, Fault, at
from tests.fakes.shop import issue_bearer, revoke_bearers
from tests.gateways import Site
from tests.gateways import site as run_site

TOKEN_PATH = at("/oauth/access_token")
CART = "/v2/carts/backend"
ADDRESS = f"/v2/customers/{RON_ID}/addresses/{identity('address', f'{RON.email}:Home')}"


def bearers_seen(commerce: Commerce, path: str) -> list[list[str]]:
    """Return the Authorization lines of each request to a path."""
    return [request.values("authorization") for request in commerce.requests if request.path == path]


# --- 401 from the upstream --------------------------------------------------------------------------------------------


async def test_a_get_is_sent_once_more_with_a_fresh_bearer(site: Site) -> None:
    """An upstream that has forgotten the bearer costs one renewal, and the client sees nothing of it."""
    assert (await site.public("GET", "/v2/products")).status == 200
    before = len(site.commerce.token_requests)
    revoke_bearers(site.commerce.shop)
    answers = await asyncio.gather(*(site.public("GET", "/v2/products") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len(site.commerce.token_requests) == before + 1


async def test_a_401_never_reaches_the_client(site: Site) -> None:
    """A 401 of the upstream is about our bearer: the client is told 503, or its SDK would renew its own for nothing."""
    site.commerce.fault(Fault.UNAUTHORIZED)
    answer = await site.public("GET", "/v2/products")
    assert (answer.status, answer.code) == (503, "CREDENTIAL_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
    first, second = bearers_seen(site.commerce, "/v2/products")
    assert len(first) == len(second) == 1
    assert first != second


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("path", ["/v2/products", f"/v2/customers/{RON_ID}", "/v2/orders"])
async def test_what_is_safe_is_sent_once_more(site: Site, method: str, path: str) -> None:
    """On relayed, guarded and password-showing routes alike, with a bearer that is not the one that was rejected."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.UNAUTHORIZED, when=at(path), times=1)
    answer = await site.customer(RON.email, method, path)
    assert answer.status == 200
    first, second = bearers_seen(site.commerce, path)
    assert first != second


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", "/v2/carts", {"name": "mine"}, id="with a body that is passed on"),
        pytest.param("POST", f"{CART}/checkout", {"customer": {"name": "Jerry", "email": "j@x.example"}}, id="stamped"),
        pytest.param("POST", CART, None, id="POST without a body"),
        pytest.param("DELETE", CART, None, id="DELETE"),
        pytest.param("PUT", f"/v2/customers/{RON_ID}", {"type": "customer", "name": "Ron"}, id="with a password kept"),
        pytest.param("DELETE", ADDRESS, None, id="behind a look-up"),
        pytest.param("DELETE", f"/v2/customers/{RON_ID}", None, id="whose password is forgotten"),
    ],
)
async def test_what_is_not_safe_is_sent_once(
    site: Site, method: str, path: str, body: dict[str, object] | None, times: int | None
) -> None:
    """A call that may have changed something is not repeated: the client is told to try again itself, with 503."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.UNAUTHORIZED, when=at(path, method), times=times)
    answer = await site.customer(RON.email, method, path, json=None if body is None else {"data": body})
    assert (answer.status, answer.code) == (503, "CREDENTIAL_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
    assert len([request for request in site.commerce.requests if (request.method, request.path) == (method, path)]) == 1
    # The next one has a fresh bearer.
    if times is not None:
        before = len(site.commerce.token_requests)
        assert (await site.public("GET", "/v2/products")).status == 200
        assert len(site.commerce.token_requests) <= before + 1


async def test_a_large_upload_is_sent_once(site: Site) -> None:
    """A body of which a part has left is not sent again; what is left of it would be another one."""
    site.commerce.fault(Fault.UNAUTHORIZED, when=at("/v2/carts", "POST"))
    answer = await site.public("POST", "/v2/carts", json={"data": {"name": "m" * 150_000}})
    assert (answer.status, answer.code) == (503, "CREDENTIAL_UNAVAILABLE")
    assert len(bearers_seen(site.commerce, "/v2/carts")) == 1


# --- The token endpoint is down ---------------------------------------------------------------------------------------


async def test_clients_are_told_at_once_and_the_endpoint_is_left_in_peace(upstream: Commerce, tmp_path: Path) -> None:
    """Without a bearer each request is refused at once, nothing goes upstream, and few grants are asked for."""
    upstream.fault(Fault.SERVER_ERROR, when=TOKEN_PATH)
    async with run_site(upstream, tmp_path) as site:
        await upstream.wait(lambda: len(upstream.token_requests) >= 1)
        await site.bearer()
        loop = asyncio.get_running_loop()
        started = loop.time()
        answers = await asyncio.gather(*(site.public("GET", "/v2/products") for _ in range(100)))
        assert loop.time() - started < 4
        assert {answer.code for answer in answers} == {"CREDENTIAL_UNAVAILABLE"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert not upstream.requests
        assert len(upstream.token_requests) <= 2 * 5
        async with site.session.get(f"{site.admin_url}/ready") as ready:
            assert ready.status == 503
        # Recovery needs nobody's help.
        upstream.forget()
        await upstream.wait(lambda: bool(upstream.token_requests))
        async with asyncio.timeout(5):
            while (await site.public("GET", "/v2/products")).status != 200:
                pass
        assert '{credential="public",outcome="failed",upstream="default"}' in await site.metrics()
    assert any(line["event"] == "credential_failed" for line in site.log_lines())


async def test_logins_are_refused_the_same_way(upstream: Commerce, tmp_path: Path) -> None:
    """Who a customer is comes from the upstream: without our bearer nobody logs in, and it is no wrong password."""
    upstream.fault(Fault.CLOSE, when=TOKEN_PATH)
    async with run_site(upstream, tmp_path) as site:
        answer = await site.login(RON.email, "wrong")
        assert (answer.status, answer.code) == (503, "CREDENTIAL_UNAVAILABLE")


async def test_the_clients_bearer_is_never_used(upstream: Commerce, tmp_path: Path) -> None:
    """With our bearer rejected or missing, what a client sent as its own never stands in its place."""
    async with run_site(upstream, tmp_path) as site:
        bearer = await site.bearer()
        upstream.fault(Fault.UNAUTHORIZED)
        await site.public("GET", "/v2/products")
        upstream.forget()
        upstream.fault(Fault.SERVER_ERROR, when=TOKEN_PATH)
        revoke_bearers(upstream.shop)
        assert (await site.public("GET", "/v2/products")).status == 503
    assert all(bearer.encode() not in request.raw for request in upstream.all_requests)


async def test_a_bearer_rejected_for_one_serves_the_others(upstream: Commerce, tmp_path: Path) -> None:
    """A path that always answers 401 harms nobody else, even with the token endpoint down."""
    upstream.fault(Fault.UNAUTHORIZED, when=at("/v2/brands"))
    async with run_site(upstream, tmp_path) as site:
        assert (await site.public("GET", "/v2/products")).status == 200
        upstream.fault(Fault.SERVER_ERROR, when=TOKEN_PATH)
        for _ in range(10):
            assert (await site.public("GET", "/v2/brands")).status == 503
            assert (await site.public("GET", "/v2/products")).status == 200


async def test_expiry_is_a_metric(site: Site) -> None:
    """The seconds until the server's bearer expires can be watched."""
    await site.public("GET", "/v2/products")
    metrics = (await site.metrics()).splitlines()
    for name in Credential:
        shown = f'gateway_credential_expiry_seconds{{credential="{name}",upstream="default"}}'
        (line,) = [line for line in metrics if line.startswith(shown)]
        assert 0 < float(line.split()[-1]) <= 3600


# --- Look-ups ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def backend(upstream: Commerce) -> AsyncIterator[Backend]:
    """Give a backend with a good bearer of the fake upstream."""

    async def obtain() -> Grant | Refusal:
        return Grant(issue_bearer(upstream.shop), 3600.0)

    events: list[Event] = []
    pool = pool_of(upstream.url, times=Timeouts(connect=5, first_byte=1, idle=1, total=10))
    yield Backend(pool, BearerCredential(obtain, events.append, lambda: 0.0), lambda: 0.0)
    await pool.close()
    assert not any(isinstance(event, CredentialFailed) for event in events)


async def test_a_look_up_gives_the_document(upstream: Commerce, backend: Backend) -> None:
    """A success is status and document, any other status below 500 is a status without one."""
    trace = Trace()
    found = await backend.look_up(f"/v2/customers/{RON_ID}", (), trace)
    assert isinstance(found, Lookup)
    assert found.document["data"]["email"] == RON.email
    assert await backend.look_up("/v2/customers/nobody", (), trace) == Lookup(404, None)
    assert trace.upstream_calls == 2
    assert upstream.requests[0].header("accept-encoding") == "identity"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.SERVER_ERROR, Code.UPSTREAM_FAILED),
        (Fault.HTML_OK, Code.UPSTREAM_INVALID),
        (Fault.WRONG_TYPE, Code.UPSTREAM_INVALID),
        (Fault.EMPTY_BODY, Code.UPSTREAM_INVALID),
        (Fault.TRUNCATED_JSON, Code.UPSTREAM_INVALID),
        (Fault.TRAILING_BYTES, Code.UPSTREAM_INVALID),
        (Fault.CUT_BODY, Code.UPSTREAM_INVALID),
        (Fault.LONG_LENGTH, Code.UPSTREAM_TIMEOUT),
        (Fault.CLOSE, Code.UPSTREAM_INVALID),
        (Fault.SILENT, Code.UPSTREAM_TIMEOUT),
        (Fault.GZIP_BOMB, Code.UPSTREAM_INVALID),
        (Fault.UNAUTHORIZED, Code.CREDENTIAL_UNAVAILABLE),
    ],
)
async def test_a_broken_look_up_is_no_answer(upstream: Commerce, backend: Backend, fault: Fault, code: Code) -> None:
    """Nothing is decided on an answer that is not whole and plain."""
    upstream.fault(fault)
    refusal = await backend.look_up(f"/v2/customers/{RON_ID}", (), Trace())
    assert isinstance(refusal, Refusal)
    assert refusal.code is code


async def test_compressed_look_ups_are_read(upstream: Commerce, backend: Backend) -> None:
    """An upstream that compresses although nobody asked is understood."""
    upstream.fault(Fault.GZIP)
    found = await backend.look_up(f"/v2/customers/{RON_ID}", (), Trace())
    assert isinstance(found, Lookup)
    assert found.document["data"]["id"] == RON_ID


async def test_our_line_is_the_only_one(upstream: Commerce, backend: Backend) -> None:
    """The bearer is the last line, and there is one."""
    answer = await backend.send(Call("GET", "/v2/products", (("x-a", "1"),)), 1_000_000, Trace())
    assert isinstance(answer, Answer)
    name, value = upstream.requests[0].headers[-1]
    assert (name.lower(), value[:7]) == ("authorization", "Bearer ")
    assert len(bearers_seen(upstream, "/v2/products")[0]) == 1
