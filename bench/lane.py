"""`make bench-lane`: microseconds that one scoped request costs in the express lane, without any socket.

The lane's own objects are driven by hand: the bytes of a request go in, what leaves for the upstream is dropped, the
bytes of its answer go in, and the reply is dropped. Each part is then measured alone, where it finds everything in the
caches; what the parts leave of the whole is the lane's own work and what the caches did not hold.
"""

import asyncio
import gc
import json
import socket
import tempfile
import timeit
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO, cast

from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry

from bench.load import ORDERS
from bench.machine import CONFIG
from bench.upstream import CUSTOMER, order
from gateway.authn.key import Algorithm, generate
from gateway.cli.loop import new_event_loop
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.flow import Flow, Ready, Snapshot
from gateway.guard.core import Received
from gateway.ops.batch import Batch
from gateway.ops.log import EventLog
from gateway.ops.metrics import Metrics
from gateway.server.connection import GatewayServer
from gateway.server.edge import Edge
from gateway.server.express import ExpressProtocol
from gateway.server.replies import reply_head
from gateway.upstream.backend import Backend
from gateway.upstream.client import Timeouts, UpstreamClient
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.connections import ConnectionPool
from gateway.upstream.credential import Grant, ServerCredential
from gateway.upstream.parents import Parents
from gateway.upstream.reader import AnswerReader
from gateway.vocab.events import RequestDone
from gateway.vocab.messages import CallerKind, Reply, Trace
from gateway.vocab.refusals import Refusal
from gateway.wiring import clock, now

LOOPS, REPEATS = 500, 40
STOREFRONT = "bench-storefront"
UPSTREAM = "http://upstream.example"


class Nowhere:
    """A transport that drops what is written."""

    def __init__(self) -> None:
        self.written = b""
        self._sockets = socket.socketpair()

    def write(self, data: bytes) -> None:
        """Drop it, but for the last."""
        self.written = data

    def writelines(self, parts: Sequence[bytes]) -> None:
        """Drop them, but for the last first one."""
        self.written = parts[0]

    def get_extra_info(self, name: str) -> object:
        """Tell the peer, or give a socket on which nothing comes."""
        return {"peername": ("127.0.0.1", 1), "socket": self._sockets[0]}.get(name)

    def is_closing(self) -> bool:
        """Tell that it is open."""
        return False

    def abort(self) -> None:
        """End."""

    close = abort


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder, Path(folder, "log").open("w") as log:
        Path(folder, "key.jwk").write_text(generate(Algorithm.EDDSA))
        config = load(CONFIG, environment(folder))
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(measure(snapshot(config, key_ring(config)), log))


async def measure(compiled: Snapshot, log: TextIO) -> None:
    """Build the lane, and measure it and its parts."""
    emit = Batch(EventLog(log, b"k" * 32, now), Metrics(CollectorRegistry(), now), now)

    async def obtain() -> Grant | Refusal:
        return Grant("upstream-bearer", 3600.0)

    credential = ServerCredential(obtain, emit, now)
    await credential.bearer()
    backend = Backend(UpstreamClient(UPSTREAM, Timeouts(), 4), credential, clock)
    flow = Flow(backend, Parents(backend, 1.0, clock), None, {}, emit)
    edge = Edge(flow, lambda: compiled, emit, now, clock)
    pool = ConnectionPool(UPSTREAM, Timeouts(), 4)
    server = GatewayServer(edge, keepalive_timeout=75, make_protocol=partial(ExpressProtocol, flow=flow, pool=pool))
    await drive(cast("ExpressProtocol", server()), pool, edge, flow, tokens(compiled), emit)
    emit.flush()


def environment(folder: str) -> dict[str, str]:
    """Return what config/moltin.yaml wants to know."""
    secrets = dict.fromkeys(("UPSTREAM_CLIENT_ID", "UPSTREAM_CLIENT_SECRET", "TRUSTED_CLIENT_SECRET"), "bench")
    places = {"UPSTREAM_URL": UPSTREAM, "GATEWAY_SIGNING_KEY_FILE": f"{folder}/key.jwk"}
    return {**secrets, **places, "STOREFRONT_CLIENT_ID": STOREFRONT, "TRUSTED_CLIENT_ID": "bench-trusted"}


def tokens(compiled: Snapshot) -> str:
    """Return the header lines of a logged-in customer."""
    bearer, _ = compiled.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now(), 3600)
    token, _, _ = compiled.customers.mint(CUSTOMER, now(), 3600)
    return f"Authorization: Bearer {bearer}\r\nX-Moltin-Customer-Token: {token}\r\n"


async def drive(
    protocol: ExpressProtocol, pool: ConnectionPool, edge: Edge, flow: Flow, proof: str, emit: Batch
) -> None:
    """Send one request again and again, whole and in parts, and print what each costs."""
    client, upstream = Nowhere(), Nowhere()
    connection = UpstreamConnection(pool, Timeouts())
    connection.connection_made(cast("asyncio.Transport", upstream))
    connection.rest()
    protocol.connection_made(cast("asyncio.Transport", client))
    await asyncio.sleep(0)
    asked = f"GET {ORDERS} HTTP/1.1\r\nHost: shop.example\r\n{proof}\r\n".encode()
    body = json.dumps({"data": [order(n) for n in range(3)], "meta": {}, "links": {}}).encode()
    fields = (("server", "x"), ("content-type", "application/json"), ("content-length", str(len(body))))
    answered = "".join(f"{name}: {value}\r\n" for name, value in fields)
    answer = f"HTTP/1.1 200 OK\r\n{answered}\r\n".encode() + body

    def whole() -> None:
        protocol.data_received(asked)
        pool.outbox._end_turn()  # noqa: SLF001 - no turn of the loop in between
        connection.data_received(answer)
        pool.outbox._end_turn()  # noqa: SLF001

    whole()
    if not client.written.startswith(b"HTTP/1.1 200 OK"):
        raise SystemExit(client.written.decode())
    lines = [tuple(part.strip() for part in line.split(":", 1)) for line in proof.splitlines()]
    raw = [(name.encode(), value.encode()) for name, value in (("Host", "shop.example"), *lines)]
    request, trace, compiled = edge.request("GET", ORDERS, raw, "-"), Trace(), edge.snapshot()
    ready = flow.decide(compiled, request, trace)
    reader = AnswerReader()
    received = Received(200, fields, body)
    reply = flow.conclude(compiled, cast("Ready", ready), received, trace)
    if not isinstance(ready, Ready) or not isinstance(reply, Reply):
        raise SystemExit("the lane does not take the request")

    def parse() -> None:
        # The standard lane is kept asleep, as the express lane does it.
        waiter, protocol._waiter = protocol._waiter, None  # noqa: SLF001
        RequestHandler.data_received(protocol, asked)
        protocol._waiter = waiter  # noqa: SLF001
        protocol._messages.popleft()  # noqa: SLF001
        if protocol._parser is not None:  # noqa: SLF001
            protocol._parser.message_consumed()  # noqa: SLF001

    def read() -> None:
        reader.feed(answer)
        reader.begin()

    parts: dict[str, Callable[[], object]] = {
        "parse the request (aiohttp, llhttp)": parse,
        "make a value of it": lambda: edge.request("GET", ORDERS, raw, "-"),
        "decide: stages 1-5": lambda: flow.decide(compiled, request, trace),
        "read the answer (llhttp)": read,
        "judge and encode it: stage 7": lambda: flow.conclude(compiled, ready, received, trace),
        "head of the reply": lambda: reply_head(200, reply.headers, request.id, 2000, now(), is_last=False),
        "log and metrics": lambda: emit(RequestDone(request.id, "GET", 200, 0.001, "-", trace, 2000)),
    }
    gc.collect()
    gc.freeze()
    everything = best(whole)
    print(f"a list of {len(body)} bytes, a request of {len(asked)} bytes; microseconds, the best of {REPEATS} tries")
    left = everything
    for name, part in parts.items():
        cost = best(part)
        left -= cost
        print(f"{name:36} {cost:6.1f}")
    print(f"{'the lane itself, and cold caches':36} {left:6.1f}")
    print(f"{'whole':36} {everything:6.1f}")


def best(part: Callable[[], object]) -> float:
    """Return the microseconds that a part takes at its best."""
    return min(timeit.repeat(part, number=LOOPS, repeat=REPEATS)) / LOOPS * 1e6


if __name__ == "__main__":
    main()
