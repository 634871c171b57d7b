"""Answers of an upstream at the wrong moment (D4, D5.8): unasked, too early, too late, never, or in bursts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway.demo.data import APRIL, LESLIE
from tests.attacks.field import ON_ONE_LOOP, every, telling
from tests.attacks.upstream import (
    FAILED,
    IMPATIENT,
    JSON,
    LIST,
    MEGABYTE,
    WAYS,
    Siege,
    Spell,
    Suffered,
    Way,
    answer,
    assert_own,
    assert_withheld,
    besieged,
    body_of,
    chunks,
    foreign_list,
    framed,
    record,
    shown_in,
    statuses,
)
from tests.fakes.commerce import Fault, not_a_grant
from tests.fakes.wire import Recorded

pytestmark = ON_ONE_LOOP


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Siege]:
    """Give the same with little patience, for an upstream that keeps it waiting."""
    async with besieged(tmp_path_factory.mktemp("impatient"), IMPATIENT) as running:
        yield running


# --- Unasked answers --------------------------------------------------------------------------------------------------


UNASKED: dict[str, Callable[[], bytes]] = {
    "an answer": foreign_list,
    "ten answers": lambda: foreign_list() * 10,
    "half an answer": lambda: foreign_list()[:-40],
    "a head": lambda: foreign_list().partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "half a head": lambda: b"HTTP/1.1 200 OK\r\ncontent-type: application/js",
    "the body of one": lambda: body_of(LIST, record("order", APRIL)),
    "an interim answer": lambda: b"HTTP/1.1 100 Continue\r\n\r\n",
    "no content": lambda: b"HTTP/1.1 204 No Content\r\n\r\n",
    "an error": lambda: answer({"errors": [{"status": 404, "title": APRIL.canary}]}, 404),
    "a 401": lambda: answer({"errors": [{"status": 401}]}, 401),
    "a line's end": lambda: b"\r\n",
    "a NUL": lambda: b"\x00",
    "a megabyte": lambda: bytes(MEGABYTE),
}
FIRST: dict[str, Callable[[], bytes]] = {
    "with a length": lambda: answer(body_of(LIST)),
    "in chunks": lambda: framed(chunks(body_of(LIST)), 200, JSON, "transfer-encoding: chunked"),
    "with an error": lambda: answer({"errors": [{"status": 400, "title": "Bad Request"}]}, 400),
    "with nothing": lambda: b"HTTP/1.1 204 No Content\r\n\r\n",
}


@every(first=FIRST, unasked=UNASKED)
async def test_answers_that_nobody_asked_for(
    siege: Siege, first: Callable[[], bytes], unasked: Callable[[], bytes]
) -> None:
    """What follows an answer is not the answer to the next request, which may be somebody else's (D5.1)."""
    await siege.suffer(LIST, first() + unasked())
    assert await siege.is_sound()


@every(unasked=UNASKED)
async def test_answers_that_nobody_asked_for_on_relays(siege: Siege, unasked: Callable[[], bytes]) -> None:
    """The same where answers are relayed as they come: each client gets the answer to its own request."""
    products = Way("GET", "/v2/products", "product")
    siege.commerce.forget()
    siege.commerce.script(products.asks, answer({"data": [{"type": "product", "id": "p"}]}) + unasked(), times=1)
    assert shown_in(await siege.ask(products, "public"), None) == []
    raw = await siege.ask(products, "public")
    assert shown_in(raw, None) == []
    assert b"Waffle iron" in raw


@every(fault=[Fault.EXTRA_BYTES, Fault.LATE_EXTRA])
async def test_late_answers_that_nobody_asked_for(siege: Siege, fault: str) -> None:
    """Nor is one that comes a while later, on a connection that rests."""
    for _ in range(3):
        gate = asyncio.Event()
        siege.commerce.forget()
        siege.commerce.fault(Fault(fault), when=LIST.asks, times=1, gate=gate)
        assert_own(await siege.watch(LIST))
        gate.set()
        assert await siege.is_sound()


@dataclass(slots=True)
class Greedy:
    """A gateway whose upstream may speak first on a new connection."""

    siege: Siege
    greeting: bytes = b""

    async def suffer(self, way: Way, greeting: bytes) -> Suffered:
        """Send a request on a connection to the upstream that begins with the greeting."""
        commerce = self.siege.commerce
        commerce.forget()
        commerce.script(way.asks, answer(way.document(), way.status))
        self._arm(greeting)
        suffered = await self.siege.watch(way)
        self._arm(b"")
        assert await self.siege.is_sound()
        return suffered

    async def relayed(self, greeting: bytes) -> bytes:
        """Ask for the products on such a connection."""
        self.siege.commerce.forget()
        self._arm(greeting)
        raw = await self.siege.ask(Way("GET", "/v2/products", "product"), "public")
        self._arm(b"")
        assert await self.siege.is_sound()
        return raw

    def _arm(self, greeting: bytes) -> None:
        self.greeting = greeting
        self.siege.commerce.close_connections()


@asynccontextmanager
async def hasty(port: Callable[[], int], greeting: Callable[[], bytes]) -> AsyncIterator[str]:
    """Run a go-between that speaks first on every connection to the upstream, and give its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def splice(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                drain.write(piece)
                await drain.drain()
        except OSError:
            pass
        finally:
            drain.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writer.write(greeting())
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port())
        await asyncio.gather(splice(reader, inner_writer), splice(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def greedy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Greedy]:
    """Give a gateway before an upstream that may speak first."""
    said: list[Greedy] = []
    ports: list[int] = []
    async with (
        hasty(lambda: ports[0], lambda: said[0].greeting if said else b"") as url,
        besieged(tmp_path_factory.mktemp("greedy"), IMPATIENT, ports=ports, url=url) as running,
    ):
        said.append(Greedy(running))
        yield said[0]


@every(greeting=UNASKED, way=["orders-list", "order", "customer-change", "address-delete"])
async def test_answers_before_the_request(greedy: Greedy, greeting: Callable[[], bytes], way: str) -> None:
    """An upstream that answers before it was asked has answered nobody."""
    suffered = await greedy.suffer(WAYS[way], greeting())
    if suffered.status < 300:
        assert_own(suffered)
    else:
        assert_withheld(suffered, 400, 404, *FAILED)


@every(greeting=["an answer", "ten answers"])
async def test_answers_before_the_request_on_relays(greedy: Greedy, greeting: str) -> None:
    """Nor does it answer a request on a route that is relayed."""
    raw = await greedy.relayed(UNASKED[greeting]())
    assert shown_in(raw, None) == []


# --- Slow ones --------------------------------------------------------------------------------------------------------


HELD: dict[str, Spell] = {
    "nothing": lambda _: b"",
    "half a line": lambda _: b"HTTP/1.1 2",
    "half a head": lambda body: answer(body)[:40],
    "a head": lambda body: answer(body)[: -len(body)],
    "half a body": lambda body: answer(body)[:-20],
    "all but a byte": lambda body: answer(body)[:-1],
    "more than there is": lambda body: framed(body, 200, JSON, f"content-length: {len(body) + 9}"),
    "no last chunk": lambda body: framed(chunks(body, end=b""), 200, JSON, "transfer-encoding: chunked"),
    "no end": lambda body: framed(body, 200, JSON),
    "interim answers": lambda _: b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
}


@every(held=HELD, whose=["own", "foreign"])
async def test_answers_that_never_end(impatient: Siege, held: Spell, whose: str) -> None:
    """An upstream that holds an answer back is given up (504), and what it said so far is nobody's (D5.8, D5.9)."""
    body = body_of(LIST) if whose == "own" else body_of(LIST, LIST.foreign)
    suffered = await impatient.suffer(LIST, held(body))
    assert suffered.status == 504, suffered.raw
    assert await impatient.is_sound()


@every(fault=[Fault.SLOW_HEAD, Fault.SLOW_BODY])
async def test_answers_that_come_too_late(impatient: Siege, fault: str) -> None:
    """An answer that comes after its request was given up is not the answer to the next one."""
    gate = asyncio.Event()
    impatient.commerce.forget()
    impatient.commerce.fault(Fault(fault), when=LIST.asks, gate=gate, times=1)
    assert (await impatient.watch(LIST)).status == 504
    gate.set()
    assert await impatient.is_sound()


# --- Bearers and bursts -----------------------------------------------------------------------------------------------


def rejection(_: Recorded) -> bytes:
    """Answer 401, with what it could tell."""
    told = ("www-authenticate", f'Bearer realm="{LESLIE.canary}"')
    return answer({"errors": [{"status": 401, "title": LESLIE.canary, "detail": LESLIE.email}]}, 401, told)


@every(
    way=["orders-list", "customer-change", "address-delete", "order-payments", "cart-checkout"],
    times=["once", "always"],
)
async def test_rejected_bearers(tmp_path_factory: pytest.TempPathFactory, way: str, times: str) -> None:
    """A 401 of the upstream never leaves; a call is repeated once, and only if it changes nothing."""
    async with besieged(tmp_path_factory.mktemp("rejected")) as siege:
        siege.commerce.forget()
        siege.commerce.script(WAYS[way].asks, answer(WAYS[way].document(), WAYS[way].status))
        siege.commerce.script(WAYS[way].asks, rejection, times=1 if times == "once" else None)
        suffered = await siege.watch(WAYS[way])
        sent = [request for request in suffered.requests if WAYS[way].asks(request)]
        if WAYS[way].method != "GET":
            assert (suffered.status, len(sent)) == (503, 1)
        else:
            assert len(sent) == 2
            if times == "once":
                assert_own(suffered)
            else:
                assert suffered.status == 503
        assert await siege.is_sound()


@every(status=statuses(500, 502, 503, 504), way=["orders-list", "order-items", "customer-change"])
async def test_bursts_of_failures(siege: Siege, status: int, way: str) -> None:
    """Many failures at once are as many replies of 502, or 503, and no connection is the worse for it."""
    siege.commerce.forget()
    told = answer({"errors": [{"status": status, "title": LESLIE.canary}]}, status, ("retry-after", LESLIE.canary))
    siege.commerce.script(not_a_grant, told)
    replies = await asyncio.gather(*(siege.ask(WAYS[way]) for _ in range(30)))
    for raw in replies:
        assert raw.startswith(b"HTTP/1.1 503 " if status == 503 else b"HTTP/1.1 502 "), raw
        assert not [text for text in telling(LESLIE) if text in raw]
    assert await siege.is_sound()
