"""Starts the installed `gateway` command as a process and talks to it; waits for states, never for time to pass."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yarl

from tests.canary_sweep import SWEEP
from tests.gateways import MOLTIN, STOREFRONT, Answer, admin_pages
from tests.starting import PATIENCE, Process, start

Line = dict[str, Any]
CHEAP = Path(__file__).with_name("cheap.yaml")


@dataclass(slots=True)
class Served:
    """A `gateway serve` under way: its log so far, what it wrote to stderr, and where it listens."""

    process: Process
    session: aiohttp.ClientSession
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    public: str = ""
    admin: str = ""
    replies: list[str] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _bearer: str = ""

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.process.pid

    @property
    def lines(self) -> list[Line]:
        """The log so far."""
        return [json.loads(line) for line in self.output]

    def states(self) -> list[str]:
        """Return the states of its life so far."""
        return [line["state"] for line in self.lines if line["event"] == "lifecycle"]

    async def logged(self, reached: Callable[[list[Line]], bool]) -> None:
        """Wait until the log says so; a process that ends before is a failure."""
        async with asyncio.timeout(PATIENCE), self._changed:
            while not reached(self.lines):
                assert self.process.returncode is None, f"it ended: {self.output} {self.errors}"
                await self._changed.wait()

    async def started(self, times: int = 1) -> None:
        """Wait until it, or that many workers, listen."""
        await self.logged(lambda _: self.states().count("started") >= times)
        detail = next(line["detail"] for line in self.lines if line.get("state") == "started")
        self.public, self.admin, _ = (part.split(" ")[1] for part in detail.split(", "))

    async def draining(self) -> None:
        """Wait until it takes no new connections."""
        await self.logged(lambda _: "draining" in self.states())

    async def ended(self) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        assert await self.ended() == -signal.SIGKILL

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def call(self, method: str, target: str, **options: Any) -> Answer:
        """Send a request to the public port."""
        return await self._call(method, f"http://{self.public}{target}", options)

    async def ask(self, target: str) -> Answer:
        """Send a GET to the admin port."""
        return await self._call("GET", f"http://{self.admin}{target}", {})

    async def as_public(
        self, method: str, target: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send a request as the storefront."""
        lines = {"Authorization": f"Bearer {await self.bearer()}", **(headers or {})}
        return await self.call(method, target, headers=lines, **options)

    async def bearer(self) -> str:
        """Return a bearer of the storefront."""
        if not self._bearer:
            form = {"grant_type": "implicit", "client_id": STOREFRONT}
            answer = await self.call("POST", "/oauth/access_token", data=form)
            self._bearer = answer.json()["access_token"]
        return self._bearer

    async def register(self, email: str, password: str, name: str) -> Answer | None:
        """Register a customer; None when the connection breaks off."""
        data = {"type": "customer", "name": name, "email": email, "password": password}
        with suppress(aiohttp.ClientError):
            return await self.as_public("POST", "/v2/customers", json={"data": data})
        return None

    async def login(self, email: str, password: str) -> Answer:
        """Try to log in."""
        data = {"type": "token", "email": email, "password": password}
        return await self.as_public("POST", "/v2/customers/tokens", json={"data": data})

    async def log_out(self, token: str) -> Answer:
        """Log out with a customer token."""
        headers = {"Authorization": f"Bearer {await self.bearer()}", "X-Moltin-Customer-Token": token}
        return await self.call("DELETE", "/v2/customers/tokens", headers=headers)

    async def orders(self, token: str) -> Answer:
        """Ask for the own orders with a customer token, over a connection of its own."""
        headers = {"Authorization": f"Bearer {await self.bearer()}", "X-Moltin-Customer-Token": token}
        return await self.call("GET", "/v2/orders", headers={**headers, "Connection": "close"})

    async def read(self) -> None:
        """Take what the process writes, until it has closed both streams."""
        async with asyncio.TaskGroup() as group:
            for stream, kept in ((self.process.stdout, self.output), (self.process.stderr, self.errors)):
                assert stream is not None
                group.create_task(self._take(stream, kept))
        await self.process.wait()
        await self._tell_waiters()

    async def _take(self, stream: asyncio.StreamReader, kept: list[str]) -> None:
        async for line in stream:
            kept.append(line.decode().rstrip("\n"))
            await self._tell_waiters()

    async def _tell_waiters(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _call(self, method: str, url: str, options: dict[str, Any]) -> Answer:
        SWEEP.name_request(options)
        target = yarl.URL(url, encoded=True)
        async with self.session.request(method, target, allow_redirects=False, **options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        self.replies.append(SWEEP.reply(url, answer.status, answer.headers.items(), answer.body))
        return answer


@asynccontextmanager
async def serving(
    environ: dict[str, str], *, config: Path = CHEAP, workers: int = 1, wait: bool = True, afresh: bool = False
) -> AsyncIterator[Served]:
    """Run `gateway serve` on free ports with exactly this environment; it and its children are gone afterwards.

    With `afresh` Python itself starts for it, as it does for operators.
    """
    process = await start(
        *("serve", "--config", str(config), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        *("--workers", str(workers)),
        environ=environ,
        afresh=afresh,
    )
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        asyncio.TaskGroup() as group,
    ):
        served = Served(process, session)
        reading = group.create_task(served.read())
        pages = ""
        try:
            if wait:
                await served.started(workers)
            yield served
            pages = await admin_pages(session, f"http://{served.admin}") if served.admin else ""
        finally:
            # The session is the group of the process and its workers, and of nobody else.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await reading
    texts = {"log": "\n".join(served.output), "stderr": "\n".join(served.errors), "admin pages": pages}
    SWEEP.search("process", {**texts, "replies": "\n".join(served.replies)})


def extended(folder: Path, text: str) -> Path:
    """Write a routing file that extends config/moltin.yaml."""
    path = folder / "gateway.yaml"
    path.write_text(f"extends: {MOLTIN}\n{text}")
    return path


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def left_in(folder: str) -> list[str]:
    """Name what a folder holds."""
    return [path.name for path in Path(folder).iterdir()]


def is_running(pid: int) -> bool:
    """Tell whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store's write lock, as a backup tool may: the gateway reads, and waits to write."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def rows(store: Path, table: str) -> int:
    """Count the rows of a table of the store."""
    with closing(sqlite3.connect(store)) as connection:
        # The table is named by a test.
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        return count


class Relay:
    """Stands between the gateway and its upstream and passes bytes on.

    It can keep a registration, or what else begins as `of` says, to itself, or the answer to one: `holds` says which.
    `held` is set once it does, and `answered` once a whole piece of such an answer was handed to the gateway's socket.
    """

    def __init__(self, port: int, holds: str = "nothing", of: bytes = b"POST /v2/customers ") -> None:
        self.url = ""
        self.held = asyncio.Event()
        self.answered = asyncio.Event()
        self._port = port
        self._holds = holds
        self._of = of

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Relay"]:
        """Relay until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        registering = asyncio.Event()
        there = asyncio.ensure_future(self._requests(reader, upstream_writer, registering))
        back = asyncio.ensure_future(self._answers(upstream_reader, writer, registering))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        for way in (there, back):
            way.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        for end in (upstream_writer, writer):
            end.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, registering: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if data.startswith(self._of):
                registering.set()
                if self._holds == "request":
                    self.held.set()
            if self.held.is_set() and registering.is_set():
                # Read on, so that the end of the gateway is seen; what it says is lost.
                continue
            writer.write(data)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, registering: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if registering.is_set() and self._holds == "answer":
                self.held.set()
                continue
            writer.write(data)
            await writer.drain()
            if registering.is_set():
                self.answered.set()
