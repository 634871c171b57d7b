"""A recording upstream on a raw socket: keeps every byte that came, answers through a `Shop`, misbehaves on demand.

It is no HTTP library: it frames by content-length and chunked coding, ignores `Expect`, and refuses nothing that has
three words in its first line.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

from gateway.demo.shop import Shop
from tests.fakes.conversation import Conversation, Download, Rule, Script, Upload
from tests.fakes.faults import Fault, Injection, Predicate
from tests.fakes.wire import LARGEST_LINE, Connection, ConnectionState, MalformedRequestError, Recorded

__all__ = ["Commerce", "Connection", "ConnectionState", "Fault", "Recorded", "at"]

# How long a test waits for a condition before it is a failure; nothing is ever waited for this long on purpose.
PATIENCE = 10.0

RuleT = TypeVar("RuleT", Injection, Script, Download, Upload)


def at(path: str, method: str | None = None) -> Predicate:
    """Say "requests to this path (without query), with this method"."""
    return lambda request: request.path == path and method in {None, request.method}


def not_a_grant(request: Recorded) -> bool:
    """Say "anything but a request for a bearer": what faults apply to unless told otherwise."""
    return not request.is_grant


class Commerce:
    """The fake upstream; use with `async with`. Set-ups added later are asked first; one applies to each request."""

    def __init__(self, shop: Shop | None = None, port: int = 0) -> None:
        self.shop = shop or Shop()
        self.port = port
        self.all_requests: list[Recorded] = []
        """Every complete request in order of completion, requests for bearers included."""
        self.unfinished: list[Recorded] = []
        """Requests whose body has not come to its end: still under way, or cut off."""
        self.malformed: list[str] = []
        """What arrived and was no request."""
        self.connections: list[Connection] = []
        self._rules: list[Rule] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: dict[Connection, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._failures: list[Exception] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Recorded]:
        """Complete requests, without those for bearers."""
        return [request for request in self.all_requests if not request.is_grant]

    @property
    def token_requests(self) -> list[Recorded]:
        """Complete requests for bearers."""
        return [request for request in self.all_requests if request.is_grant]

    @property
    def open_connections(self) -> list[Connection]:
        """The connections that nobody has ended."""
        return [one for one in self.connections if one.state is ConnectionState.OPEN]

    def forget(self) -> None:
        """Drop what was recorded and every set-up, for the next step of a test."""
        for kept in (self.all_requests, self.unfinished, self.malformed, self._rules):
            kept.clear()

    def fault(
        self, kind: Fault, *, when: Predicate = not_a_grant, times: int | None = None, **options: Any
    ) -> Injection:
        """Misbehave for matching requests, at most `times` times; options as `Fault` names them."""
        return self._add(Injection(kind, when, times, **options))

    def script(
        self,
        match: Predicate,
        raw: bytes | Callable[[Recorded], bytes],
        *,
        times: int | None = None,
        close: bool = False,
    ) -> Script:
        """Answer matching requests with exactly these bytes, then close if told to."""
        return self._add(Script(match, raw, times, close))

    def stream_down(
        self, when: Predicate, size: int, *, chunk: int = 65536, chunked: bool = False, times: int | None = None
    ) -> Download:
        """Answer matching requests with `size` zero bytes, never held together; `sent` of the result counts them."""
        return self._add(Download(when, size, chunk, chunked, times))

    def count_upload(self, when: Predicate, *, gate: asyncio.Event | None = None, times: int | None = None) -> Upload:
        """Count the bytes of matching uploads in `Recorded.received` instead of keeping them."""
        return self._add(Upload(when, gate, times))

    async def wait(self, condition: Callable[[], bool], seconds: float | None = PATIENCE) -> None:
        """Wait until the condition holds, asking again whenever anything happens here; TimeoutError after `seconds`."""
        if condition():
            return
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter[1]
        finally:
            self._waiters.remove(waiter)

    def close_connections(self) -> None:
        """End every open connection at once, as an upstream does that restarts."""
        for connection in self.open_connections:
            connection.state = ConnectionState.CLOSED
            self._writers[connection].transport.abort()
        self.changed()

    async def start(self) -> None:
        """Listen; again on the same port after `stop`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Protocol(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.shop.base_url = self.url
        self._let_go()

    async def stop(self) -> None:
        """Stop listening and end everything under way; what went wrong in the fake itself is raised."""
        if self._server is not None:
            self._server.close()
        self.close_connections()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
            self._keep_port()
        if self._failures:
            failures, self._failures = self._failures, []
            raise ExceptionGroup("the fake upstream itself failed", failures)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.stop()
        finally:
            self._let_go()

    def _keep_port(self) -> None:
        """Let nobody else listen on the port meanwhile: whoever looks for this upstream is to find nobody there."""
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Where somebody else was quicker there is nothing to be kept.
        with suppress(OSError):
            self._kept.bind(("127.0.0.1", self.port))

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def began(self, request: Recorded) -> None:
        """Note a head (called by conversations, like the next three)."""
        self.unfinished.append(request)
        self.changed()

    def ended(self, request: Recorded) -> None:
        """Note a whole request."""
        if request in self.unfinished:
            self.unfinished.remove(request)
        self.all_requests.append(request)
        self.changed()

    def rule_for(self, request: Recorded) -> Rule | None:
        """Give the set-up for the request and count its use."""
        for rule in self._rules:
            if (rule.times is None or rule.hits < rule.times) and rule.when(request):
                rule.hits += 1
                return rule
        return None

    def changed(self) -> None:
        """Tell whoever waits that something happened."""
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection:
        """Begin a conversation (called by the protocol)."""
        connection = Connection(len(self.connections) + 1)
        self.connections.append(connection)
        self._writers[connection] = writer
        # Kept in a set and awaited in `stop`, so that no failure is lost.
        task = asyncio.get_running_loop().create_task(self._converse(connection, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.changed()
        return connection

    def left(self, connection: Connection) -> None:
        """Note that the peer has ended the connection (called by the protocol)."""
        if connection.state is ConnectionState.OPEN:
            connection.state = ConnectionState.CLOSED_BY_PEER
            self.changed()

    def _add(self, rule: RuleT) -> RuleT:
        self._rules.insert(0, rule)
        return rule

    async def _converse(
        self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await Conversation(self, connection, reader, writer).run()
        except MalformedRequestError as error:
            self.malformed.append(str(error))
        except (OSError, asyncio.IncompleteReadError):
            # The peer left in the middle: `unfinished` and the state of the connection tell it.
            pass
        except Exception as error:  # noqa: BLE001  whatever fails in the fake must fail the test: stop() raises it
            self._failures.append(error)
        finally:
            if connection.state is ConnectionState.OPEN:
                connection.state = ConnectionState.CLOSED
            writer.close()
            self.changed()


class _Protocol(asyncio.StreamReaderProtocol):
    """Streams that also tell at once when the peer leaves, while nobody reads."""

    def __init__(self, commerce: Commerce) -> None:
        super().__init__(asyncio.StreamReader(limit=LARGEST_LINE), self._accepted)
        self._commerce = commerce
        self._connection: Connection | None = None

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connection = self._commerce.accepted(reader, writer)

    def eof_received(self) -> bool | None:
        if self._connection is not None:
            self._commerce.left(self._connection)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._commerce.left(self._connection)
        super().connection_lost(exc)


async def main() -> None:
    """Run as a process of its own until told to stop; prints the URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.commerce")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    shop = Shop(os.environ.get("DEMO_CLIENT_ID", "demo-client"), os.environ.get("DEMO_CLIENT_SECRET", "demo-secret"))
    async with Commerce(shop, options.port) as commerce:
        sys.stdout.write(f"{commerce.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
