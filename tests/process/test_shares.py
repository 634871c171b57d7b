"""Nobody takes more than a share: while some hang, flood or crawl, another customer's logins and reads go on.

How fast they go on is measured by `make bench-shares`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from pathlib import Path

from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, environment
from tests.process.processes import Served, serving
from tests.server.raw import until

EMAIL, PASSWORD = "ann@perkins.example", "canary-ann-password"
HANGING = (
    *("/v2/brands", "/v2/categories", "/v2/collections", "/v2/files", "/v2/currencies"),
    *("/v2/products/x", "/v2/categories/x", "/v2/brands/x", "/v2/collections/x", "/v2/files/x"),
)
"""Ten paths of ten routes."""
# More than all buffers between the API and a client hold.
LARGE = 16 * 1024 * 1024
MEMORY_MOST_KIB = 512 * 1024


class Front:
    """Stands before an API: some of its paths hang while `gate` is closed, /v2/files/large is large."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self.gate = asyncio.Event()
        self.held: Counter[str] = Counter()
        self.large = 0
        self._port = port
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Front"]:
        """Stand there until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self.gate.set()
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="a connection of the gateway")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            api_reader, api_writer = await asyncio.open_connection("127.0.0.1", self._port)
            with closing(api_writer):
                back = asyncio.ensure_future(self._pass_on(api_reader, writer))
                try:
                    await self._ask(reader, writer, api_writer)
                finally:
                    back.cancel()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, api_writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            # The gateway sends a request when it has read the last answer, and in one piece.
            while piece := await reader.read(65536):
                path = piece.split(b" ", 2)[1].decode() if piece.startswith(b"GET ") else ""
                if path in HANGING:
                    self.held[path] += 1
                    await self.gate.wait()
                if path == "/v2/files/large":
                    self.large += 1
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n"
                    writer.write(head % LARGE + bytes(LARGE))
                    await writer.drain()
                else:
                    api_writer.write(piece)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)


@asynccontextmanager
async def shop(upstream: Commerce, folder: Path) -> AsyncIterator[tuple[Served, Front]]:
    """Run a gateway before such an API, with a customer who is registered."""
    async with Front(upstream.port).open() as front, serving(environment(folder, front.url), config=MOLTIN) as served:
        answer = await served.register(EMAIL, PASSWORD, "Ann")
        assert answer is not None
        assert answer.status == 201
        yield served, front


def resident_kib(pid: int) -> int:
    """Return the memory of a process."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


async def outcomes(served: Served, rounds: int) -> Counter[tuple[str, int]]:
    """Log a customer in and read, again and again; count what came of it."""
    done: Counter[tuple[str, int]] = Counter()
    headers = {"Authorization": f"Bearer {await served.bearer()}"}
    for _ in range(rounds):
        login = await served.login(EMAIL, PASSWORD)
        done["login", login.status] += 1
        if login.status == 201:
            headers["X-Moltin-Customer-Token"] = login.json()["data"]["token"]
        for target in ("/v2/orders", "/v2/products"):
            done[target, (await served.call("GET", target, headers=headers)).status] += 1
    return done


def assert_they_go_on(done: Counter[tuple[str, int]]) -> None:
    """Of each kind at least 95 % succeeded."""
    for kind in {kind for kind, _ in done}:
        good = sum(times for (which, status), times in done.items() if which == kind and status < 300)
        assert good >= 0.95 * sum(times for (which, _), times in done.items() if which == kind), done


async def clients(served: Served, heads: list[bytes]) -> list[asyncio.StreamWriter]:
    """Open a connection for each of these and send it; nobody reads."""
    host, port = served.public.rsplit(":", 1)
    writers = []
    for head in heads:
        _, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(head)
        writers.append(writer)
    return writers


async def get(served: Served, target: str) -> bytes:
    """Return a request of the storefront."""
    return f"GET {target} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {await served.bearer()}\r\n\r\n".encode()


async def test_ten_paths_that_hang_stop_no_other(upstream: Commerce, tmp_path: Path) -> None:
    """However many ask for them, one path after the other: the pool is not theirs, and what waits is told 503."""
    async with shop(upstream, tmp_path) as (served, front):
        writers = []
        for path in HANGING:
            writers += await clients(served, [await get(served, path)] * 60)
            await until(lambda path=path: front.held[path] > 0)  # type: ignore[misc] # its own default
        done = await outcomes(served, 20)
        held = front.held.copy()
        assert_they_go_on(done)
        assert (len(held), sum(held.values()) <= 256 * 10 // 11) == (10, True)
        refused = [line for line in served.lines if line.get("code") == "OVERLOADED"]
        for line in refused:
            assert (line["status"], line["route"] not in {"products", "orders-list", "login"}) == (503, True)
        front.gate.set()
        for writer in writers:
            writer.transport.abort()


async def test_a_flood_of_registrations_stops_no_login(upstream: Commerce, tmp_path: Path) -> None:
    """They have their part of the password work, from an address that cannot be counted too; logins have the rest."""
    async with shop(upstream, tmp_path) as (served, _):
        statuses: Counter[int] = Counter()
        numbers = count()

        async def flood() -> None:
            while True:
                number = next(numbers)
                answer = await served.register(f"flood{number}@example.com", "canary-flood", "Flood")
                statuses[0 if answer is None else answer.status] += 1

        async with asyncio.TaskGroup() as group:
            flooding = [group.create_task(flood()) for _ in range(40)]
            await until(lambda: statuses[503] > 0)
            done = await outcomes(served, 20)
            for one in flooding:
                one.cancel()
        assert_they_go_on(done)
        assert set(statuses) <= {201, 503}
        assert statuses[201] > 0


async def test_a_thousand_slow_clients_stop_nobody(upstream: Commerce, tmp_path: Path) -> None:
    """Some end no head, some no body, some take no answer: they cost memory within bounds, and others go on."""
    async with shop(upstream, tmp_path) as (served, front):
        bearer = await served.bearer()
        upload = f"POST /v2/inventories/multiple HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {bearer}\r\n"
        upload += "Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n{"
        writers = await clients(served, [b"GET /v2/products HTTP/1.1\r\nHost: shop\r\nX-Slow: "] * 300)
        writers += await clients(served, [upload.encode()] * 300)
        writers += await clients(served, [await get(served, "/v2/files/large")] * 400)
        await until(lambda: front.large > 0)
        done = await outcomes(served, 10)
        assert_they_go_on(done)
        assert resident_kib(served.pid) < MEMORY_MOST_KIB
        for writer in writers:
            writer.transport.abort()
