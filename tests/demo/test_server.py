"""The demo API over HTTP: what the server passes on to the shop and back, and the process that runs it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import BaseRequest
from pytest_aiohttp.plugin import AiohttpClient, AiohttpRawServer

from gateway.demo.data import GUEST_ORDER_ID
from gateway.demo.server import make_handler, serving
from gateway.demo.shop import Shop
from tests.fakes.shop import issue_bearer

FORM = {"grant_type": "client_credentials", "client_id": "the-id", "client_secret": "the-secret"}
PATIENCE = 20.0

Client = TestClient[BaseRequest, None]


@pytest.fixture
async def served(shop: Shop, aiohttp_raw_server: AiohttpRawServer, aiohttp_client: AiohttpClient) -> Client:
    """Give a client of the shop's server, with a bearer."""
    server = await aiohttp_raw_server(make_handler(shop))
    headers = {"authorization": f"Bearer {issue_bearer(shop)}"}
    client: Client = await aiohttp_client(server, headers=headers)
    return client


async def test_passes_requests_and_answers_on(served: Client, shop: Shop) -> None:
    """Method, query, headers and body reach the shop; status, headers and body of its answer reach the client."""
    body = {"data": {"type": "customer", "name": "Ann", "email": "ann@perkins.example"}}
    async with served.post("/v2/customers", json=body) as reply:
        assert (reply.status, reply.content_type) == (201, "application/json")
        made = (await reply.json())["data"]
    assert shop.customers[made["id"]]["email"] == "ann@perkins.example"
    async with served.get("/v2/customers", params={"filter": "eq(email,ann@perkins.example)"}) as reply:
        assert [one["id"] for one in (await reply.json())["data"]] == [made["id"]]
    async with served.delete(f"/v2/customers/{made['id']}") as reply:
        assert (reply.status, await reply.read()) == (204, b"")
    async with served.get("/v2/products", headers={"range": "bytes=2-5"}) as reply:
        assert (reply.status, reply.headers["content-range"][:9]) == (206, "bytes 2-5")
        tag = reply.headers["etag"]
    async with served.get("/v2/products", headers={"If-None-Match": tag}) as reply:
        assert (reply.status, await reply.read()) == (304, b"")


async def test_head_has_the_length_of_the_body(served: Client) -> None:
    """HEAD is answered with the head that GET has."""
    async with served.get("/v2/products") as reply:
        length = len(await reply.read())
    async with served.head("/v2/products") as reply:
        assert (reply.status, int(reply.headers["content-length"]), await reply.read()) == (200, length, b"")


async def test_grants(served: Client, shop: Shop) -> None:
    """The form of a grant is read, and its bearer is good."""
    form = {"grant_type": "client_credentials", "client_id": shop.client_id, "client_secret": shop.client_secret}
    async with served.post("/oauth/access_token", data=form) as reply:
        bearer = (await reply.json())["access_token"]
    for sent, status in ((bearer, 200), (bearer[1:], 401)):
        async with served.get("/v2/orders", headers={"authorization": f"Bearer {sent}"}) as reply:
            assert reply.status == status


@pytest.mark.parametrize(
    "target",
    ["/v2/carts/../orders", "/v2/./orders", "//v2/orders", f"/v2%2Forders/{GUEST_ORDER_ID}"],
)
async def test_does_not_normalise_the_path(served: Client, target: str) -> None:
    """What was sent arrives as it was sent, and leads nowhere."""
    reader, writer = await asyncio.open_connection(served.host, served.port)
    bearer = served.session.headers["authorization"]
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\n\r\n"
    try:
        writer.write(head.encode())
        assert (await reader.read()).split()[1] == b"404"
    finally:
        writer.close()
        await writer.wait_closed()


async def test_links_lead_to_where_it_listens() -> None:
    """The address on which a shop is served is the base of the links it writes, and it is gone afterwards."""
    shop = Shop()
    headers = {"authorization": f"Bearer {issue_bearer(shop)}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with serving(shop) as url, session.get(f"{url}/v2/orders") as reply:
            assert (await reply.json())["links"]["first"].startswith(f"{url}/v2/orders?")
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/v2/orders")


@asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start the process and give it with its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.demo", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DEMO_CLIENT_ID": "the-id", "DEMO_CLIENT_SECRET": "the-secret"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("demo commerce API on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_serves_with_the_credentials_of_the_environment() -> None:
    """The process answers to a bearer got with the secret from its environment."""
    async with demo() as (_, url), aiohttp.ClientSession() as session:
        async with session.post(f"{url}/oauth/access_token", data=FORM) as reply:
            bearer = (await reply.json())["access_token"]
        headers = {"authorization": f"Bearer {bearer}"}
        async with session.get(f"{url}/v2/orders", headers=headers) as reply:
            assert (await reply.json())["links"]["first"].startswith(f"{url}/v2/orders?")
        async with session.head(f"{url}/v2/products", headers=headers) as reply:
            assert reply.status == 200
            assert int(reply.headers["content-length"]) > 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_stops_when_told(signum: signal.Signals) -> None:
    """A signal ends the process in order."""
    async with demo() as (process, _), asyncio.timeout(PATIENCE):
        process.send_signal(signum)
        assert await process.wait() == 0


async def test_stops_with_its_parent() -> None:
    """With --exit-with-parent the end of standard input ends the process."""
    async with demo("--exit-with-parent") as (process, _), asyncio.timeout(PATIENCE):
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
