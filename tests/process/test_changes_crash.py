"""A change of a password killed with SIGKILL at each of its points: the customer has the old one or the new one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum, auto
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.fakes.commerce import Commerce, Fault, Recorded
from tests.postgres import Server, ask, new_database
from tests.process.processes import Relay, Served, locked, serving
from tests.process.test_resets import spend, token_for

EMAIL, NAME = "april@pawnee.example", "April Ludgate"
OLD, NEW, OTHER = "canary-old-password", "canary-new-password", "canary-other-password"
WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
# What a new password writes, in this order.
TABLES = ("credentials", "numbers", "customers", "log_outs")


class Point(StrEnum):
    """Where the process dies, in the order of a change."""

    HELD = auto()
    """The upstream has the change, and has not made it."""
    CHANGED = auto()
    """The upstream has made it; no byte of its answer has reached the gateway."""
    ANSWERED = auto()
    """The answer has reached the gateway; the store cannot be written yet."""
    DONE = auto()
    """The client has its 200."""


def is_change(request: Recorded) -> bool:
    """Say "changes of one customer"."""
    return request.method == "PUT" and request.path.startswith("/v2/customers/")


class Customer:
    """A customer of a gateway, with a token."""

    def __init__(self, served: Served, ident: str, token: str) -> None:
        self.served, self.ident, self.token = served, ident, token

    async def change(self) -> int | None:
        """Set another password and another name; None where the connection breaks off."""
        data = {"type": "customer", "name": "April Dwyer", "current_password": OLD, "password": NEW}
        headers = {"X-Moltin-Customer-Token": self.token}
        try:
            answer = await self.served.as_public(
                "PUT", f"/v2/customers/{self.ident}", headers=headers, json={"data": data}
            )
        except aiohttp.ClientError:
            return None
        return answer.status


async def registered(served: Served) -> Customer:
    """Register the customer, and log in."""
    answer = await served.register(EMAIL, OLD, NAME)
    assert answer is not None
    assert answer.status == 201
    token = (await served.login(EMAIL, OLD)).json()["data"]["token"]
    return Customer(served, answer.json()["data"]["id"], token)


async def opened(served: Served) -> list[str]:
    """Return the passwords with which the customer logs in."""
    return [one for one in (OLD, NEW, OTHER) if (await served.login(EMAIL, one)).status == 201]


@asynccontextmanager
async def dying(served: Served, work: asyncio.Task[int | None]) -> AsyncIterator[None]:
    """Kill a process at the end of the block, and have what it was asked unanswered."""
    yield
    await served.kill()
    assert await work is None


@pytest.mark.parametrize("point", Point)
async def test_a_change_is_made_or_not(
    point: Point, upstream: Commerce, environ: dict[str, str], tmp_path: Path
) -> None:
    """What was acknowledged is there, and has ended the sessions; what was not left the old password and all tokens."""
    async with AsyncExitStack() as stack:
        relay = Relay(upstream.port, "answer" if point is Point.CHANGED else "nothing", of=b"PUT /v2/customers/")
        await stack.enter_async_context(relay.open())
        served = await stack.enter_async_context(serving(environ | {"UPSTREAM_URL": relay.url}))
        customer, gate = await registered(served), asyncio.Event()
        if point is Point.DONE:
            assert await customer.change() == 200
            await served.kill()
        else:
            if point is Point.HELD:
                upstream.fault(Fault.SILENT, when=is_change)
            elif point is Point.ANSWERED:
                upstream.fault(Fault.SLOW_HEAD, when=is_change, gate=gate)
            async with asyncio.timeout(40), dying(served, asyncio.ensure_future(customer.change())):
                await upstream.wait(lambda: any(map(is_change, upstream.requests)))
                if point is Point.CHANGED:
                    await relay.held.wait()
                elif point is Point.ANSWERED:
                    stack.enter_context(locked(tmp_path / "store.db"))
                    gate.set()
                    await relay.answered.wait()
    upstream.forget()
    is_done = point is Point.DONE
    record = upstream.shop.customers[customer.ident]
    assert record["name"] == (NAME if point is Point.HELD else "April Dwyer")
    async with serving(environ) as again:
        assert (await again.orders(customer.token)).status == (403 if is_done else 200)
        assert await opened(again) == [NEW if is_done else OLD]
        if not is_done:
            # As a client does that has heard nothing.
            assert await Customer(again, customer.ident, customer.token).change() == 200
            assert await opened(again) == [NEW]


@asynccontextmanager
async def held(url: str, table: str) -> AsyncIterator[None]:
    """Hold a table, which can be read, until the block ends; it goes on as soon as somebody waits to write it."""
    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
    finally:
        await holder.close()


async def waits(url: str) -> None:
    """Wait until somebody waits for what is held."""
    async with asyncio.timeout(20):
        while not await ask(url, WAITS):  # noqa: ASYNC110 - it is the server that is waited for
            await asyncio.sleep(0.01)


@pytest.fixture
async def shared(server: Server, environ: dict[str, str]) -> dict[str, str]:
    """Give what replicas are started with that share a new database."""
    return {**environ, "GATEWAY_STORE_URL": await new_database(server)}


@pytest.mark.parametrize("table", TABLES)
async def test_a_replica_dies_within_the_step(table: str, shared: dict[str, str]) -> None:
    """PostgreSQL undoes a new password whose transaction was not ended, wherever it was, and other replicas go on."""
    url = shared["GATEWAY_STORE_URL"]
    async with serving(shared) as one, serving(shared) as other:
        customer = await registered(one)
        async with held(url, table), dying(one, asyncio.ensure_future(customer.change())):
            await waits(url)
        assert (await other.orders(customer.token)).status == 200
        assert await opened(other) == [OLD]
        assert await Customer(other, customer.ident, customer.token).change() == 200
        assert await opened(other) == [NEW]
        assert (await other.orders(customer.token)).status == 403


@pytest.mark.parametrize("table", ["password_resets", *TABLES])
async def test_a_replica_dies_within_a_reset(table: str, shared: dict[str, str]) -> None:
    """The token is spent with the step or not at all: at another replica it sets a password once, and not again."""
    url = shared["GATEWAY_STORE_URL"]

    async def spent(served: Served, token: str) -> int | None:
        try:
            return await spend(served, token, NEW)
        except aiohttp.ClientError:
            return None

    async with serving(shared) as one, serving(shared) as other:
        customer = await registered(one)
        token = await token_for(one, EMAIL)
        async with held(url, table), dying(one, asyncio.ensure_future(spent(one, token))):
            await waits(url)
        assert (await other.orders(customer.token)).status == 200
        assert await opened(other) == [OLD]
        assert await spend(other, token, OTHER) == 200
        assert await spend(other, token, NEW) == 404
        assert await opened(other) == [OTHER]
        assert (await other.orders(customer.token)).status == 403
