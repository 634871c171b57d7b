"""`make bench-carrying`: microseconds that one scoped request costs, without any socket.

The gateway's own objects are driven by hand: the bytes of a request go in, what leaves for the upstream is dropped, the
bytes of its answer go in, and the reply is dropped. Each request has a head of its own, as behind any ingress that
traces. Each part is then measured alone, where it finds everything in the caches; what the parts leave of the whole is
the carrying itself and what the caches did not hold. With --count N that many requests are carried and nothing is
printed: for a tool that counts instructions.
"""

import argparse
import asyncio
import gc
import json
import socket
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from aiohttp.http import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD
from prometheus_client import CollectorRegistry

from bench.load import ORDERS
from bench.machine import CONFIG
from bench.upstream import CUSTOMER, order
from gateway.authn.key import Algorithm, generate
from gateway.authn.revocations import NOBODY
from gateway.carrying.call import Call, Receiver, Timeouts
from gateway.carrying.connection import UpstreamConnection
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.reader import AnswerReader
from gateway.cli.loop import new_event_loop
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.decision import Ready, Snapshot
from gateway.flow import Flow
from gateway.ops.batch import Batch
from gateway.ops.log import EventLog
from gateway.ops.metrics import Metrics
from gateway.server.body import CLIENT_TIMEOUTS, RequestBody
from gateway.server.connection import ClientConnection
from gateway.server.edge import Edge, Serving
from gateway.server.listener import Listener
from gateway.server.peer import Peers
from gateway.server.replies import Closing, reply_head
from gateway.upstream.backend import Backend
from gateway.upstream.credential import BearerCredential
from gateway.upstream.grant import Grant
from gateway.upstream.parents import Parents
from gateway.vocab.events import RequestDone
from gateway.vocab.messages import Answer, CallerKind, Reply, Session, Trace
from gateway.vocab.refusals import Refusal
from gateway.wire.client_address import Proxies
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


class OneConnection(ConnectionPool):
    """A pool with one connection, that is always free again."""

    connection: UpstreamConnection

    def send(self, call: Call, receiver: Receiver) -> None:
        """Use it."""
        self.connection.send(call, receiver)

    def rested(self, connection: UpstreamConnection) -> None:
        """Keep it."""
        connection.rest()


@dataclass(slots=True)
class Rig:
    """A gateway without sockets: both connections, and what they need."""

    compiled: Snapshot
    flow: Flow
    edge: Edge
    outbox: Outbox
    client: ClientConnection
    upstream: UpstreamConnection
    out: Nowhere
    emit: Batch


def main() -> None:
    """Measure and print."""
    command = argparse.ArgumentParser(prog="python -m bench.carrying", description=__doc__)
    command.add_argument("--count", type=int, default=0)
    command.add_argument("--same", action="store_true", help="the same head each time")
    options = command.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder, Path(folder, "log").open("w") as log:
        Path(folder, "key.jwk").write_text(generate(Algorithm.EDDSA))
        config = load(CONFIG, environment(folder))
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            compiled = snapshot(config, key_ring(config))
            runner.run(measure(compiled, log, options.count, is_same=options.same))


async def measure(compiled: Snapshot, log: TextIO, count: int, *, is_same: bool) -> None:
    """Build the rig, and measure it and its parts."""
    emit = Batch(EventLog(log, b"k" * 32, now), Metrics(CollectorRegistry(), now), now)

    async def obtain() -> Grant | Refusal:
        return Grant("upstream-bearer", 3600.0)

    credential = BearerCredential(obtain, emit, now)
    await credential.lines()
    outbox = Outbox(asyncio.get_running_loop())
    pool = OneConnection(UPSTREAM, Timeouts(), 4, outbox)
    backend = Backend(pool, credential, clock)
    name = compiled.routes.routes[0].upstream
    flow = Flow(
        *({name: backend}, {name: Parents(backend, 1.0, clock)}, None, {}, emit),
        revocations=lambda: NOBODY,
    )
    edge = Edge(Serving(compiled, flow, {name: pool}, Peers(Proxies(), emit)), outbox, emit, now, clock)
    client, upstream = Nowhere(), Nowhere()
    pool.connection = connection = UpstreamConnection(pool, outbox, Timeouts(), ("Host", "upstream.example"), "")
    connection.connection_made(cast("asyncio.Transport", upstream))
    connection.rest()
    accepted = ClientConnection(edge, Listener(edge))
    accepted.connection_made(cast("asyncio.Transport", client))
    rig = Rig(compiled, flow, edge, outbox, accepted, connection, client, emit)
    drive(rig, tokens(compiled), count, is_same=is_same)
    emit.flush()


def environment(folder: str) -> dict[str, str]:
    """Return what config/moltin.yaml wants to know."""
    secrets = dict.fromkeys(("UPSTREAM_CLIENT_ID", "UPSTREAM_CLIENT_SECRET", "TRUSTED_CLIENT_SECRET"), "bench")
    places = {"UPSTREAM_URL": UPSTREAM, "GATEWAY_SIGNING_KEY_FILE": f"{folder}/key.jwk"}
    return {**secrets, **places, "STOREFRONT_CLIENT_ID": STOREFRONT, "TRUSTED_CLIENT_ID": "bench-trusted"}


def tokens(compiled: Snapshot) -> str:
    """Return the header lines of a logged-in customer."""
    bearer, _ = compiled.callers.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now(), 3600)
    token, _, _ = compiled.callers.customers.mint(Session(CUSTOMER, 1, 0, 2), now(), 3600)
    return f"Authorization: Bearer {bearer}\r\nX-Moltin-Customer-Token: {token}\r\n"


def drive(rig: Rig, proof: str, count: int, *, is_same: bool) -> None:
    """Carry one request again and again, whole and in parts, and print what each costs."""
    edge, flow, compiled = rig.edge, rig.flow, rig.compiled
    heads = [head(proof, 0 if is_same else number) for number in range(max(count, LOOPS * REPEATS + 1))]
    body = json.dumps({"data": [order(n) for n in range(3)], "meta": {}, "links": {}}).encode()
    fields = (("server", "x"), ("content-type", "application/json"), ("content-length", str(len(body))))
    answered = "".join(f"{name}: {value}\r\n" for name, value in fields)
    answer = f"HTTP/1.1 200 OK\r\n{answered}\r\n".encode() + body
    ahead = iter(heads)

    def whole() -> None:
        rig.client.data_received(next(ahead))
        rig.outbox._end_turn()  # noqa: SLF001 - no turn of the loop in between
        rig.upstream.data_received(answer)
        rig.outbox._end_turn()  # noqa: SLF001

    if count:
        gc.freeze()
        for _ in range(count):
            whole()
        return
    whole()
    if not rig.out.written.startswith(b"HTTP/1.1 200 OK"):
        raise SystemExit(rig.out.written.decode())
    parser = HttpRequestParser(rig.client, asyncio.get_running_loop(), 65536)  # type: ignore[arg-type]  # as it does
    message = parser.feed_data(heads[0])[0][0][0]
    request, trace = edge.request("GET", ORDERS, message.raw_headers, "-"), Trace()
    nothing = RequestBody(EMPTY_PAYLOAD, 0, None, CLIENT_TIMEOUTS)
    ready = flow.decide(compiled, request, nothing, trace)
    reader = AnswerReader()
    received = Answer(200, fields, body)
    if not isinstance(ready, Ready):
        raise SystemExit("the request has to wait")
    reply = flow.conclude(compiled, ready, received, trace)
    if not isinstance(reply, Reply):
        raise SystemExit("the answer is not good")

    def read() -> None:
        reader.feed(answer)
        reader.begin()

    parts: dict[str, Callable[[], object]] = {
        "parse the request (aiohttp, llhttp)": lambda: parser.feed_data(heads[0]),
        "make a value of it": lambda: edge.request("GET", ORDERS, message.raw_headers, "-"),
        "decide: stages 1-5": lambda: flow.decide(compiled, request, nothing, trace),
        "read the answer (llhttp)": read,
        "judge and encode it: stage 7": lambda: flow.conclude(compiled, ready, received, trace),
        "head of the reply": lambda: reply_head(200, reply.headers, request.id, 2000, now(), Closing(), is_last=False),
        "log and metrics": lambda: rig.emit(RequestDone(request.id, "GET", 200, 0.001, "-", trace, 2000)),
    }
    gc.collect()
    gc.freeze()
    everything = best(whole)
    print(f"a list of {len(body)} bytes, a request of {len(heads[0])} bytes; microseconds, the best of {REPEATS} tries")
    left = everything
    for name, part in parts.items():
        cost = best(part)
        left -= cost
        print(f"{name:36} {cost:6.1f}")
    print(f"{'the carrying itself, and cold caches':36} {left:6.1f}")
    print(f"{'whole':36} {everything:6.1f}")


def head(proof: str, number: int) -> bytes:
    """Return the bytes of a request with a trace of its own."""
    trace = f"traceparent: 00-{number:032x}-b7ad6b7169203331-01\r\n"
    return f"GET {ORDERS} HTTP/1.1\r\nHost: shop.example\r\n{trace}{proof}\r\n".encode()


def best(part: Callable[[], object]) -> float:
    """Return the microseconds that a part takes at its best: the processor's time, as nothing of it waits."""
    return min(timeit.repeat(part, timer=time.process_time, number=LOOPS, repeat=REPEATS)) / LOOPS * 1e6


if __name__ == "__main__":
    main()
