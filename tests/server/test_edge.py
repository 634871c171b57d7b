"""Requests at the public port: clients that leave, what each reply and each line of the log carries, bugs, slowness."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.data import RON, RON_ID
from gateway.server.body import Patience
from gateway.vocab.events import Failed, RequestDone
from gateway.vocab.messages import Reply
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Fault, at
from tests.gateways import Site
from tests.server.raw import connected, until
from tests.server.stage import CANARY, MIB, Stage, assert_error, done, stage

# --- What is not there ------------------------------------------------------------------------------------------------


async def test_what_is_not_there_is_said_after_a_random_while(bare: Site) -> None:
    """Only "there is no such record" is held back, by no more than was said, and never by the same twice."""
    edge = bare.gateway.edge
    for code in set(Code) - {Code.RECORD_NOT_FOUND}:
        assert edge.hesitation(Refusal(code)) == 0.0
    assert edge.hesitation(Reply(404)) == 0.0
    pauses = [edge.hesitation(Refusal(Code.RECORD_NOT_FOUND)) for _ in range(1000)]
    assert 0.0 <= min(pauses) < 0.1 * edge.patience.not_found
    assert 0.9 * edge.patience.not_found < max(pauses) <= edge.patience.not_found
    assert len(set(pauses)) == 1000
    # Nor by one that can be foreseen: request ids show all that Python's own generator will say next.
    foreseen = []
    for _ in range(2):
        random.seed(20)
        foreseen.append(edge.hesitation(Refusal(Code.RECORD_NOT_FOUND)))
    assert foreseen[0] != foreseen[1]


@pytest.mark.parametrize("target", ["/v2/orders/not-there", f"/v2/customers/{RON_ID}/addresses/not-there"])
async def test_a_client_that_leaves_while_it_is_held_back(site: Site, target: str) -> None:
    """Nothing is left of a reply that waited for its time when its client went."""
    site.gateway.edge.patience = Patience(not_found=3600.0)
    await site.token(RON.email)
    before = len(asyncio.all_tasks())
    async with connected(site) as client:
        lines = (
            f"Authorization: Bearer {site.bearers['public']}",
            f"X-Moltin-Customer-Token: {site.tokens[RON.email]}",
        )
        client.ask("GET", target, *lines)
        await site.commerce.wait(lambda: any(request.path == target for request in site.commerce.requests))
        client.leave()
    line = (await done(site, 3))[-1]
    assert (line["status"], line["code"], line["aborted"]) == (499, "RECORD_NOT_FOUND", True)
    await until(lambda: len(asyncio.all_tasks()) <= before)


# --- Clients that leave ---------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_before_the_answer(bare: Site) -> None:
    """The exchange with the upstream is given up, its connection closed, and the log says 499."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    bare.commerce.fault(Fault.SILENT, when=at("/v2/products"))
    async with connected(bare) as client:
        client.ask("GET", "/v2/products", bearer)
        await bare.commerce.wait(lambda: len(bare.commerce.requests) == 1)
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.requests[0].connection not in bare.commerce.open_connections)
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"], line["route"]) == (499, True, "products")
    assert 'status="499"' in await bare.metrics()
    assert (await bare.public("GET", "/v2/currencies")).status == 200


async def test_a_client_that_leaves_a_scoped_request(site: Site) -> None:
    """The same holds where the answer would have been checked."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.SILENT, when=at("/v2/orders"))
    async with connected(site) as client:
        lines = (
            f"Authorization: Bearer {site.bearers['public']}",
            f"X-Moltin-Customer-Token: {site.tokens[RON.email]}",
        )
        client.ask("GET", "/v2/orders", *lines)
        await site.commerce.wait(lambda: len(site.commerce.requests) == 1)
        client.leave()
        await site.commerce.wait(lambda: site.commerce.requests[0].connection not in site.commerce.open_connections)


async def test_a_client_that_leaves_in_the_middle_of_the_answer(bare: Site) -> None:
    """A reply that nobody takes any more ends the upstream's answer."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    download = bare.commerce.stream_down(at("/v2/files/big"), 1024 * MIB)
    async with connected(bare) as client:
        client.ask("GET", "/v2/files/big", bearer)
        await client.reader.readexactly(100_000)
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.requests[0].connection not in bare.commerce.open_connections)
    assert download.sent < 64 * MIB
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (200, True)
    assert 0 < line["bytes"] < 64 * MIB


async def test_a_client_that_leaves_in_the_middle_of_its_body(bare: Site) -> None:
    """An upload that breaks off is broken off at the upstream as well, never ended as if it were whole."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("PUT", "/v2/carts/x/items", bearer, "Content-Length: 100000")
        client.send(b"abc")
        await bare.commerce.wait(lambda: any(request.received == 3 for request in bare.commerce.unfinished))
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.unfinished[0].connection not in bare.commerce.open_connections)
    assert not bare.commerce.requests
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (499, True)
    assert not [line for line in bare.log_lines() if line["event"] == "failed"]


async def test_a_client_that_leaves_a_body_that_is_read_first(bare: Site) -> None:
    """A body that breaks off while it is read is no bug of ours, and nothing is forwarded."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("POST", "/v2/customers", bearer, "Content-Type: application/json", "Content-Length: 1000")
        client.send(b"{")
        client.leave()
        line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (499, True)
    assert not bare.commerce.requests
    assert not [line for line in bare.log_lines() if line["event"] == "failed"]


# --- What every reply and every line carries ------------------------------------------------------------------------

FIELDS = {
    "ts", "event", "id", "method", "route", "caller", "customer", "status", "code", "lane", "ms", "upstream_ms",
    "upstream_calls", "bytes", "peer", "aborted",
}  # fmt: skip


async def test_one_line_for_each_request(site: Site) -> None:
    """The access log names route, caller, status, times and a hash of the customer, under the id the client got."""
    await site.token(RON.email)
    before = len(await done(site, 2))
    mine = [await site.customer(RON.email, "GET", "/v2/orders") for _ in range(2)]
    other = await site.public("GET", "/v2/orders")
    lines = (await done(site, before + 3))[before:]
    assert len(lines) == 3
    assert [line["id"] for line in lines] == [answer.headers["x-request-id"] for answer in (*mine, other)]
    assert all(set(line) == FIELDS for line in lines)
    assert [line["status"] for line in lines] == [200, 200, 403]
    assert [line["caller"] for line in lines] == ["customer", "customer", "public"]
    assert [line["route"] for line in lines] == ["orders-list"] * 3
    assert lines[0]["customer"] == lines[1]["customer"]
    assert lines[0]["customer"] not in {None, RON_ID}
    assert lines[2]["code"] == "ACCESS_DENIED"
    assert (lines[0]["bytes"], lines[0]["upstream_calls"]) == (len(mine[0].body), 1)
    assert lines[0]["ms"] >= lines[0]["upstream_ms"] > 0
    assert RON_ID not in site.log.getvalue()


async def test_our_request_id_goes_upstream(bare: Site) -> None:
    """The id in the log, in the reply and at the upstream is the same, and never one of the client's."""
    answer = await bare.public("GET", "/v2/products", {"X-Request-Id": "forged"})
    (request,) = bare.commerce.requests
    assert request.values("x-request-id") == [answer.headers["x-request-id"]]
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True, id="well-formed"),
        pytest.param("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False, id="upper case"),
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", False, id="too short"),
        pytest.param("hello", False, id="nonsense"),
    ],
)
async def test_traceparent(bare: Site, sent: str, *, passes: bool) -> None:
    """A well-formed traceparent is passed on, anything else dropped."""
    await bare.public("GET", "/v2/products", {"traceparent": sent})
    assert bare.commerce.requests[0].values("traceparent") == ([sent] if passes else [])


# --- An edge of its own: bugs and slow clients ----------------------------------------------------------------------


async def test_a_bug_is_answered_without_its_text(tmp_path: Path) -> None:
    """Whatever is raised below the edge is a 500 that shows nothing, and an event that names type and place only."""
    below = Stage(LookupError(f"of {CANARY}"))
    async with stage(below, tmp_path) as client:
        for _ in range(2):
            client.ask("GET", "/v2/products")
            reply = await client.reply()
            assert_error(reply, 500, "INTERNAL")
            assert CANARY not in reply.body.decode()
    failures = [event for event in below.events if isinstance(event, Failed)]
    assert [failure.error.partition(" at ")[0] for failure in failures] == ["LookupError"] * 2
    assert CANARY not in str(failures)
    assert [event.status for event in below.events if isinstance(event, RequestDone)] == [500, 500]


async def test_a_reply_that_cannot_be_written(tmp_path: Path) -> None:
    """A reply that is no HTTP, by a bug, becomes a 500 before its head has left."""
    below = Stage(Reply(200, (("x-a", "b\r\nSet-Cookie: evil=1"),), b"{}"))
    async with stage(below, tmp_path) as client:
        client.ask("GET", "/v2/products")
        reply = await client.reply()
        assert (reply.status, reply.code) == (500, "INTERNAL")
        assert reply.ends
        assert not reply.values("set-cookie")
    assert [type(event) for event in below.events] == [Failed, RequestDone]


async def test_a_stream_that_fails_by_a_bug_is_broken_off(tmp_path: Path) -> None:
    """Once the head has left, a bug breaks the connection: the client must not take what it has for the whole."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError(CANARY)

    below = Stage(Reply(200, (), stream=broken()))  # type: ignore[arg-type]
    async with stage(below, tmp_path) as client:
        client.ask("GET", "/v2/products")
        raw = await client.rest()
    assert b"half" in raw
    assert not raw.endswith(b"0\r\n\r\n")
    done = [event for event in below.events if isinstance(event, RequestDone)]
    assert [event.aborted for event in done] == [True]


@pytest.mark.parametrize("patience", [Patience(idle=0.1), Patience(body=0.1)], ids=["stalled", "trickling"])
async def test_a_body_that_does_not_come(tmp_path: Path, patience: Patience) -> None:
    """A body that stalls, or trickles beyond all patience, is a 408 and the end of the connection."""
    below = Stage(reads=True)
    async with stage(below, tmp_path, patience) as client:
        client.ask("POST", "/v2/customers", "Content-Length: 100")
        client.send(b"{")
        reply = await client.reply()
        assert_error(reply, 408, "BODY_TIMEOUT")
        assert reply.ends


async def test_a_body_must_bring_a_least_rate(tmp_path: Path) -> None:
    """A client that always sends something, but too little, is given up; one that is fast enough never."""
    below = Stage(reads=True)
    async with stage(below, tmp_path, Patience(idle=0.5, body_rate=1000)) as client:
        client.ask("POST", "/v2/customers", "Content-Length: 100000")
        started = asyncio.get_running_loop().time()
        answered = asyncio.ensure_future(client.reply())
        # Ten bytes each tenth of a second never stall, and are a tenth of the least rate.
        while not answered.done():
            client.send(b"0123456789")
            await asyncio.wait([answered], timeout=0.1)
        assert_error(answered.result(), 408, "BODY_TIMEOUT")
        assert 0.4 < asyncio.get_running_loop().time() - started < 5


async def test_a_client_that_takes_nothing_is_left(tmp_path: Path) -> None:
    """A client that does not read its reply for too long loses its connection, and the reply's source is closed."""
    closed = asyncio.Event()
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        try:
            while True:
                given += MIB
                yield bytes(MIB)
        finally:
            closed.set()

    below = Stage(Reply(200, (), stream=endless()))  # type: ignore[arg-type]
    async with stage(below, tmp_path, Patience(idle=0.2)) as client:
        client.ask("GET", "/v2/files/x")
        async with asyncio.timeout(5):
            await closed.wait()
    assert given < 64 * MIB
    assert [event.aborted for event in below.events if isinstance(event, RequestDone)] == [True]
