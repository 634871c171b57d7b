"""Each fault of the fake upstream is the fault it says."""

import asyncio
import gzip
import json

import pytest

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from tests.fakes.acts import ACTS
from tests.fakes.commerce import Commerce, ConnectionState, Fault
from tests.fakes.peer import RON_ORDERS, Peer


async def test_ignore_filter(commerce: Commerce, peer: Peer) -> None:
    """Without the filter everything comes."""
    commerce.fault(Fault.IGNORE_FILTER)
    body = (await peer.ask(RON_ORDERS))[2]
    assert RON.canary.encode() in body
    assert LESLIE.canary.encode() in body


@pytest.mark.parametrize("below", ["", "/addresses"])
async def test_other_customer(commerce: Commerce, peer: Peer, below: str) -> None:
    """Another customer's record comes for the one that was asked."""
    commerce.fault(Fault.OTHER_RECORD, record=LESLIE_ID)
    status, _, body = await peer.ask(f"/v2/customers/{RON_ID}{below}")
    assert status == 200
    assert LESLIE.canary.encode() in body


async def test_other_order(commerce: Commerce, peer: Peer) -> None:
    """Without a chosen record some other owner's comes."""
    mine = next(ident for ident, order in commerce.shop.orders.items() if RON.canary in str(order))
    commerce.fault(Fault.OTHER_RECORD)
    status, _, body = await peer.ask(f"/v2/orders/{mine}")
    assert status == 200
    assert RON.canary.encode() not in body


async def test_slow_answers_wait_for_the_gate(commerce: Commerce, peer: Peer) -> None:
    """A slow answer comes when the test opens the gate: its whole, or its second half."""
    for fault in (Fault.SLOW_HEAD, Fault.SLOW_BODY):
        gate = asyncio.Event()
        commerce.fault(fault, gate=gate, times=1)
        peer.send(RON_ORDERS)
        reading = asyncio.ensure_future(peer.answer())
        await commerce.wait(lambda: commerce.requests[-1:] != [])
        assert not reading.done()
        gate.set()
        json.loads((await reading)[2])


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.CUT_BODY, Fault.CLOSE_AFTER])
async def test_closing_faults(commerce: Commerce, peer: Peer, fault: Fault) -> None:
    """Before, in or after the answer the connection ends."""
    commerce.fault(fault)
    peer.send(RON_ORDERS)
    raw = await peer.reader.read()
    head, _, body = raw.partition(b"\r\n\r\n")
    missing = int(head.rpartition(b"content-length: ")[2].split(b"\r\n")[0]) - len(body) if raw else -1
    assert {Fault.CLOSE: missing == -1, Fault.CUT_BODY: missing > 0, Fault.CLOSE_AFTER: missing == 0}[fault]
    await commerce.wait(lambda: commerce.connections[0].state is ConnectionState.CLOSED)


@pytest.mark.parametrize("fault", [Fault.LONG_LENGTH, Fault.SILENT])
async def test_holding_faults(commerce: Commerce, peer: Peer, fault: Fault) -> None:
    """The connection stays open, waiting, until the peer leaves."""
    commerce.fault(fault)
    peer.send(RON_ORDERS)
    await commerce.wait(lambda: len(commerce.requests) == 1)
    assert len(commerce.open_connections) == 1
    peer.writer.close()
    await commerce.wait(lambda: commerce.connections[0].state is ConnectionState.CLOSED_BY_PEER)


@pytest.mark.parametrize("fault", [Fault.TRUNCATED_JSON, Fault.TRAILING_BYTES, Fault.EMPTY_BODY, Fault.HTML_OK])
async def test_bodies_that_are_no_document(commerce: Commerce, peer: Peer, fault: Fault) -> None:
    """A well-framed answer of 200 carries something that is no JSON document."""
    commerce.fault(fault)
    status, _, body = await peer.ask(RON_ORDERS)
    assert status == 200
    with pytest.raises(ValueError, match=r"Expecting|Extra data|Unterminated|Invalid"):
        json.loads(body)


@pytest.mark.parametrize(
    ("fault", "status", "name"),
    [
        (Fault.REDIRECT, 302, "location"),
        (Fault.HTML_ERROR, 500, "content-type"),
        (Fault.SET_COOKIE, 200, "set-cookie"),
        (Fault.HUGE_HEADERS, 200, "x-huge"),
    ],
)
async def test_heads(commerce: Commerce, peer: Peer, fault: Fault, status: int, name: str) -> None:
    """The head carries the status and the header of the fault."""
    commerce.fault(fault, location="http://elsewhere.example/")
    got, headers, _ = await peer.ask(RON_ORDERS)
    assert got == status
    assert name in headers


async def test_wrong_type(commerce: Commerce, peer: Peer) -> None:
    """The document is true, its type is not."""
    commerce.fault(Fault.WRONG_TYPE)
    _, headers, body = await peer.ask(RON_ORDERS)
    assert headers["content-type"] == "text/plain"
    json.loads(body)


async def test_gzip(commerce: Commerce, peer: Peer) -> None:
    """A compressed body unpacks to the document; a bomb is small and unpacks to much."""
    commerce.fault(Fault.GZIP_BOMB, size=1_000_000)
    commerce.fault(Fault.GZIP, times=1)
    _, headers, body = await peer.ask(RON_ORDERS)
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["data"]
    bomb = (await peer.ask(RON_ORDERS))[2]
    assert len(bomb) < 20_000
    assert json.loads(gzip.decompress(bomb)) == {"data": []}


async def test_extra_bytes(commerce: Commerce, peer: Peer) -> None:
    """A second answer that nobody asked for, with others' orders, follows the first."""
    commerce.fault(Fault.EXTRA_BYTES)
    assert LESLIE.canary.encode() not in (await peer.ask(RON_ORDERS))[2]
    assert LESLIE.canary.encode() in (await peer.answer())[2]


async def test_late_extra_bytes(commerce: Commerce, peer: Peer) -> None:
    """The second answer comes when the test opens the gate."""
    gate = asyncio.Event()
    commerce.fault(Fault.LATE_EXTRA, gate=gate)
    assert LESLIE.canary.encode() not in (await peer.ask(RON_ORDERS))[2]
    reading = asyncio.ensure_future(peer.answer())
    await commerce.wait(lambda: len(commerce.requests) == 1)
    assert not reading.done()
    gate.set()
    assert LESLIE.canary.encode() in (await reading)[2]


async def test_chunked(commerce: Commerce, peer: Peer) -> None:
    """The true body comes in chunks."""
    commerce.fault(Fault.CHUNKED, size=10)
    peer.send(RON_ORDERS)
    _, headers = await peer.head()
    assert headers["transfer-encoding"] == "chunked"
    body = b""
    while size := int(await peer.reader.readline(), 16):
        body += (await peer.reader.readexactly(size + 2))[:-2]
    assert json.loads(body)["data"]


def test_every_fault_has_an_act() -> None:
    """The list of acts has every fault."""
    assert set(ACTS) == set(Fault)
