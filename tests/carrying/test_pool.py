"""All connections to one upstream: who gets one, who waits, for how long, and what the addresses of a name are for."""

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.carrying.call import Call, Timeouts
from gateway.carrying.pool import ConnectionPool
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.connected import GET, OK, PATIENT, POST, RELAY, WHOLE, Taken, Upstream, asked, pool_of, pooled, sent
from tests.loops import SERVING, STANDARD
from tests.server.raw import served, until

SOON = Timeouts(connect=0.3, first_byte=5, idle=5, total=20)
"""For those who wait for a connection that does not come."""
NO_CONNECTION = Refusal(Code.UPSTREAM_UNREACHABLE, "no connection")
UNCONNECTED = Refusal(Code.UPSTREAM_UNREACHABLE, "no connection in time")
BUSY = Refusal(Code.OVERLOADED, "no connection free in time")
TOO_MANY = Refusal(Code.OVERLOADED, "too many wait for a connection")


def numbered(number: int, call: Call = GET) -> Call:
    """Make a call that is known by its number."""
    return replace(call, target=f"/{number}")


@asynccontextmanager
async def held(
    upstream: Upstream, count: int, *, most: int, times: Timeouts = PATIENT, **options: Any
) -> AsyncIterator[ConnectionPool]:
    """Give a pool, `count` connections of which are in use until the upstream's gate is opened."""
    upstream.gate.clear()
    async with pooled(upstream, most=most, times=times, **options) as pool:
        for _ in range(count):
            sent(pool)
        await until(lambda: len(upstream.heads) == count)
        upstream.heads.clear()
        yield pool


# --- The limit, and the queue -----------------------------------------------------------------------------------------


async def test_the_pool_has_a_limit() -> None:
    """Never are more connections open than it may have, and all are served by those."""
    upstream = Upstream()
    async with pooled(upstream, most=3) as pool:
        receivers = [sent(pool, numbered(number)) for number in range(50)]
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
    assert (upstream.connections, upstream.most_open) == (3, 3)
    assert sorted(map(int, (target[1:] for target in upstream.targets))) == list(range(50))


async def test_what_is_closed_makes_room() -> None:
    """A connection that ends with its answer, or is given up, is replaced by another one."""
    upstream = Upstream((OK.replace(b"OK", b"OK\r\nconnection: close"),))
    async with pooled(upstream, most=2) as pool:
        for _ in range(5):
            sent(pool).give_up()
            assert (await asked(pool)).told == WHOLE
        await until(lambda: not upstream.open)
    assert upstream.most_open <= 2


async def test_who_came_first_is_served_first() -> None:
    """Calls that wait get a connection in the order of their coming, whoever made them."""
    upstream = Upstream()
    async with held(upstream, 1, most=1) as pool:
        calls = [RELAY if number % 3 else GET for number in range(30)]
        receivers = [sent(pool, numbered(number, call)) for number, call in enumerate(calls)]
        upstream.gate.set()
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
    assert upstream.targets == [f"/{number}" for number in range(30)]


async def test_nobody_overtakes_those_who_wait() -> None:
    """A call that comes the moment a connection is free stands behind them."""
    upstream = Upstream()

    @dataclass(eq=False)
    class Greedy(Taken):
        def whole(self, *given: Any) -> None:
            super().whole(*given)
            pool.send(numbered(3), last)

    last = Taken()
    async with pooled(upstream, most=1) as pool:
        greedy = Greedy()
        pool.send(numbered(1), greedy)
        second = sent(pool, numbered(2))
        await last.done()
        assert second.told == greedy.told == WHOLE
    assert upstream.targets == ["/1", "/2", "/3"]


async def test_the_queue_is_bounded() -> None:
    """Above a thousand who wait, the next are refused at once; those who wait are served all the same."""
    upstream = Upstream()
    async with held(upstream, 1, most=1, queue=1024) as pool:
        waiting = [sent(pool, numbered(number)) for number in range(1024)]
        for _ in range(10):
            refused = sent(pool)
            assert (refused.refusal, refused.carrier) == (TOO_MANY, None)
        # Relays have a queue of their own: they do not take the room of the others, nor these theirs.
        relay = sent(pool, RELAY)
        assert not relay.told
        waiting[5].give_up()
        assert not sent(pool).told
        upstream.gate.set()
        assert (await waiting[-1].done()).told == WHOLE
        await relay.done()
    assert upstream.targets[:1023] == [f"/{number}" for number in range(1024) if number != 5]


async def test_waiting_has_an_end() -> None:
    """Who gets no connection within the time for connecting is told so; the upstream never hears of the call."""
    upstream = Upstream()
    async with held(upstream, 1, most=1, times=SOON) as pool:
        began = asyncio.get_running_loop().time()
        own, relay = sent(pool), sent(pool, RELAY)
        for receiver in (own, relay):
            assert ((await receiver.done()).refusal, receiver.carrier) == (BUSY, None)
        assert 0.29 <= asyncio.get_running_loop().time() - began < 3
        upstream.gate.set()
        assert (await asked(pool)).told == WHOLE
    assert len(upstream.heads) == 1


async def test_who_gives_up_leaves_the_queue() -> None:
    """The connection goes to the next in line, and nothing is sent for the one who left."""
    upstream = Upstream()
    async with held(upstream, 1, most=1) as pool:
        receivers = [sent(pool, numbered(number)) for number in range(4)]
        for left in (0, 2):
            receivers[left].give_up()
        upstream.gate.set()
        for stayed in (1, 3):
            assert (await receivers[stayed].done()).told == WHOLE
        assert not receivers[0].told
        assert not receivers[2].told
    assert upstream.targets == ["/1", "/3"]


async def test_nothing_is_held_of_a_call_that_waits() -> None:
    """Whoever is asked to hold an answer that has not begun has nothing to do."""
    upstream = Upstream()
    async with held(upstream, 1, most=1) as pool:
        receiver = sent(pool)
        assert receiver.carrier is not None
        receiver.carrier.pause()
        receiver.carrier.resume()
        receiver.carrier.allow_silence(60)
        upstream.gate.set()
        assert (await receiver.done()).told == WHOLE


# --- A share for each -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6)])
async def test_relays_have_three_quarters_at_most(most: int, share: int) -> None:
    """However many wait and however long they take, the rest is there for logins and guarded routes."""
    upstream = Upstream()
    async with held(upstream, 0, most=most) as pool:
        relays = [sent(pool, RELAY) for _ in range(2 * most)]
        await until(lambda: len(upstream.heads) == share)
        if most > share:
            others = [sent(pool, POST) for _ in range(most - share)]
            await until(lambda: len(upstream.heads) == most)
            upstream.gate.set()
            for other in others:
                assert (await other.done()).told == WHOLE
        assert upstream.targets[:share] == ["/relay"] * share
        assert "/relay" not in upstream.targets[share:most]
        upstream.gate.set()
        for relay in relays:
            assert (await relay.done()).told == WHOLE
    assert upstream.most_open == most


async def test_a_relay_that_ends_makes_room_for_one() -> None:
    """Whether it came to its end, was given up or broke, its share is free again."""
    upstream = Upstream()
    async with held(upstream, 0, most=4) as pool:
        relays = [sent(pool, numbered(number, RELAY)) for number in range(6)]
        await until(lambda: len(upstream.heads) == 3)
        relays[0].give_up()
        await until(lambda: len(upstream.heads) == 4)
        assert upstream.targets[3] == "/3"
        upstream.gate.set()
        for relay in relays[1:]:
            assert (await relay.done()).told == WHOLE
        upstream.gate.clear()
        again = [sent(pool, RELAY) for _ in range(4)]
        await until(lambda: len(upstream.heads) == 6 + 3)
        assert not any(relay.told for relay in again)
        upstream.gate.set()


async def test_others_may_have_all() -> None:
    """What relays do not use is nobody's reserve."""
    upstream = Upstream()
    async with held(upstream, 4, most=4):
        assert upstream.open == 4


# --- New connections --------------------------------------------------------------------------------------------------


async def test_an_upstream_that_is_gone() -> None:
    """Each call is told that there is no connection, at once, and no task is left."""
    async with served(Upstream()) as url:
        pass
    pool = pool_of(url)
    tasks = asyncio.all_tasks()
    receivers = [sent(pool, RELAY if number % 2 else POST) for number in range(100)]
    for receiver in receivers:
        assert ((await receiver.done()).refusal, receiver.carrier) == (NO_CONNECTION, None)
    await until(lambda: asyncio.all_tasks() == tasks)
    await pool.close()


async def test_a_closed_pool_opens_nothing() -> None:
    """Neither what was being opened nor what is asked for afterwards."""
    async with served(Upstream()) as url:
        pool = pool_of(url)
        tasks = asyncio.all_tasks()
        waiting = sent(pool)
        await pool.close()
        assert not waiting.told
        assert sent(pool).refusal == TOO_MANY
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}


async def test_a_pool_that_is_closed_leaves_no_connection() -> None:
    """Those that rest, those in use, and calls that wait: all end, without a word."""
    upstream = Upstream()
    async with served(upstream) as url:
        pool = pool_of(url, most=2)
        await asked(pool)
        upstream.gate.clear()
        receivers = [sent(pool) for _ in range(4)]
        await until(lambda: len(upstream.heads) == 3)
        await pool.close()
        upstream.gate.set()
        await until(lambda: not upstream.open)
        assert not any(receiver.told for receiver in receivers)


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """Give the URL of a port that takes no connection any more."""
    loop = asyncio.get_running_loop()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
                try:
                    async with asyncio.timeout(0.05):
                        await loop.sock_connect(one, server.getsockname())
                except TimeoutError:
                    break
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


async def test_connecting_has_an_end() -> None:
    """An upstream that takes no connection is given up after the connect limit, by all who wait."""
    async with full_backlog() as url:
        pool = pool_of(url, times=SOON)
        began = asyncio.get_running_loop().time()
        receivers = [sent(pool) for _ in range(3)]
        await asyncio.sleep(0.1)
        receivers += [sent(pool) for _ in range(3)]
        for receiver in receivers:
            assert (await receiver.done()).refusal == UNCONNECTED
        assert 0.39 <= asyncio.get_running_loop().time() - began < 4
        await pool.close()


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("greeting", [OK, b"H", b"\r\n"])
async def test_an_upstream_that_speaks_first(call: Call, greeting: bytes) -> None:
    """What is there before the request answers nobody's: a call meets two such connections, and is never sent."""
    connections = 0
    read = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, read
        connections += 1
        writer.write(greeting)
        read += await reader.read(100)

    async with pooled(serve, times=PATIENT) as pool:
        receiver = await asked(pool, call)
        assert receiver.refusal == Refusal(Code.UPSTREAM_INVALID, "new connections end, or speak, before the request")
    assert (connections, read) == (2, b"")


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
async def test_an_upstream_that_hangs_up_at_once(call: Call) -> None:
    """It is tried a few times, not for ever, and said to be what it is."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        del reader, writer
        connections += 1

    async with pooled(serve) as pool:
        for count in range(1, 6):
            began = asyncio.get_running_loop().time()
            assert (await asked(pool, call)).code is Code.UPSTREAM_INVALID
            assert asyncio.get_running_loop().time() - began < 3
            assert connections <= 3 * count


# --- Upstreams that serve one connection at a time, and names that change ---------------------------------------------


@dataclass(eq=False)
class OneByOne:
    """An upstream that serves a connection until its end before it looks at the next one."""

    heads: list[bytes] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: bytes = OK

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        async with self.lock:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                writer.write(self.answer)
                if b"close" in self.answer:
                    return


@pytest.mark.parametrize("answer", [OK, OK.replace(b"OK", b"OK\r\nconnection: close")], ids=["kept", "closed"])
async def test_an_upstream_that_serves_one_connection_at_a_time(answer: bytes) -> None:
    """Everybody has an answer within moments: no connection that rests, or has nothing to say, keeps others waiting."""
    upstream = OneByOne(answer=answer)
    began = asyncio.get_running_loop().time()
    async with pooled(upstream, most=8) as pool:
        receivers = [sent(pool, numbered(number)) for number in range(6)]
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
        assert asyncio.get_running_loop().time() - began < 5
        # Who gave up while a connection was made has left one that nobody needs.
        for _ in range(3):
            sent(pool).give_up()
        assert (await asked(pool)).told == WHOLE
        assert asyncio.get_running_loop().time() - began < 8


async def test_what_was_made_for_nobody_ends_soon() -> None:
    """A connection whose call was given up meanwhile is there for the next one for a moment only."""
    upstream = Upstream()
    async with pooled(upstream) as pool:
        sent(pool).give_up()
        await until(lambda: upstream.open == 1)
        async with asyncio.timeout(2):
            await until(lambda: upstream.open == 0)
        sent(pool).give_up()
        await until(lambda: upstream.open == 1)
        assert (await asked(pool)).told == WHOLE
        await asyncio.sleep(0.6)
        # One that was used is kept for longer.
        assert upstream.open == 1
    assert upstream.connections == 2


async def test_a_slow_answer_leaves_those_in_use_alone() -> None:
    """While a new connection waits for long those that rest for long are suspected, and not those that are used."""
    connections = 0
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b" /slow " in head:
                await gate.wait()
            writer.write(OK)

    async with pooled(serve) as pool:
        slow = sent(pool, replace(GET, target="/slow"))
        for _ in range(20):
            assert (await asked(pool)).told == WHOLE
            await asyncio.sleep(0.05)
        assert connections == 2
        gate.set()
        assert (await slow.done()).told == WHOLE


async def test_no_connection_is_used_for_ever() -> None:
    """One that is older than it may be ends with its answer, and another one is made: where the name leads by then."""
    upstream = Upstream()
    times = replace(PATIENT, life=0.5)
    async with pooled(upstream, times=times) as pool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < 1.4:
            assert (await asked(pool)).told == WHOLE
            await asyncio.sleep(0.01)
    assert 3 <= upstream.connections <= 4
    assert upstream.most_open <= 2


async def test_an_answer_under_way_may_be_older() -> None:
    """Age ends no exchange."""
    upstream = Upstream()
    async with held(upstream, 0, most=1, times=replace(PATIENT, life=0.1)) as pool:
        slow = sent(pool)
        await asyncio.sleep(0.3)
        upstream.gate.set()
        assert (await slow.done()).told == WHOLE
        await until(lambda: not upstream.open)


async def test_all_that_rest_are_closed_where_one_was_dead() -> None:
    """Where one ended under a call that is repeated those that rest may be as dead: each of them is closed."""
    count, connections = 5, 0
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        is_old = connections <= count
        while head := await reader.readuntil(b"\r\n\r\n"):
            if is_old and b" /last " in head:
                return
            await gate.wait()
            writer.write(OK)

    async with pooled(serve, most=6) as pool:
        receivers = [sent(pool) for _ in range(count)]
        await until(lambda: connections == count)
        gate.set()
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
        assert (await asked(pool, replace(GET, target="/last"))).told == WHOLE
        assert connections == count + 1
        # The others are found to be gone only by being asked: had one of them stayed, it would be used now.
        receivers = [sent(pool, replace(GET, target="/last")) for _ in range(count)]
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
    assert connections <= 2 * count


# --- Names ------------------------------------------------------------------------------------------------------------

Answer = list[tuple[str, int]] | Exception
Names = Callable[[str], Answer]


def resolving(make: Callable[[], asyncio.AbstractEventLoop], names: Names) -> asyncio.AbstractEventLoop:
    """Make a loop whose resolver knows these names: no machine is sure to have one with several addresses."""
    kind = type(made := make())
    made.close()

    class Resolving(kind):  # type: ignore[misc, valid-type] # it is the class of either loop
        async def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
            """Resolve a name."""
            if host.replace(".", "").isdecimal():
                return await super().getaddrinfo(host, port, **options)  # type: ignore[no-any-return] # as above
            assert options["type"] == socket.SOCK_STREAM
            found = names(host)
            if isinstance(found, Exception):
                raise found
            return [
                (socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, own or port))
                for at, own in found
            ]

    return Resolving()


Act = Callable[[], Coroutine[Any, Any, None]]


def run(make: Callable[[], asyncio.AbstractEventLoop], names: Names, act: Act) -> None:
    """Run something where these names are known."""
    with asyncio.Runner(loop_factory=lambda: resolving(make, names)) as runner:
        runner.run(act())


def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


both_loops = pytest.mark.parametrize("make", [*STANDARD.values(), *SERVING.values()], ids=[*STANDARD, *SERVING])


@both_loops
@pytest.mark.parametrize("dead", ["refuses", "takes nothing", "is no address here"])
def test_all_addresses_of_a_name_are_tried(make: Callable[[], asyncio.AbstractEventLoop], dead: str) -> None:
    """Where the first one is dead, or does not answer at all, the next one serves (RFC 8305)."""
    found: list[tuple[str, int]] = []
    upstream = Upstream()

    async def act() -> None:
        async with full_backlog() as full, served(upstream) as url:
            port = int(url.rpartition(":")[2])
            first = {
                "refuses": ("127.0.0.1", unused_port()),
                "takes nothing": ("127.0.0.1", int(full.rpartition(":")[2])),
                "is no address here": ("2001:db8::1", 0),
            }[dead]
            found[:] = [first, ("127.0.0.1", port)]
            pool = pool_of(f"http://upstream.test:{port}")
            assert (await asked(pool)).told == WHOLE
            assert upstream.heads[0].split(b"\r\n")[1] == b"Host: upstream.test:%d" % port
            await pool.close()

    run(make, lambda _: found, act)


@both_loops
def test_localhost_may_be_of_one_family(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """A name of both families whose listener has only the older one is reached."""
    upstream = Upstream()

    async def act() -> None:
        async with served(upstream) as url:
            pool = pool_of(f"http://localhost:{url.rpartition(':')[2]}")
            for receiver in [sent(pool) for _ in range(4)]:
                assert (await receiver.done()).told == WHOLE
            await pool.close()

    run(make, lambda _: [("::1", 0), ("127.0.0.1", 0)], act)


@both_loops
def test_a_name_that_leads_elsewhere_is_followed(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """However busy the connections are: when they are old enough the name is looked up, and what it says counts."""
    found: list[tuple[str, int]] = []
    old, new = Upstream(), Upstream()

    async def act() -> None:
        async with served(old) as first, served(new) as second:
            ports = [int(url.rpartition(":")[2]) for url in (first, second)]
            found[:] = [("127.0.0.1", ports[0])]
            pool = pool_of(f"http://upstream.test:{ports[0]}", times=replace(PATIENT, life=0.4))
            assert (await asked(pool)).told == WHOLE
            found[:] = [("127.0.0.1", ports[1])]
            async with asyncio.timeout(5):
                while not new.heads:
                    assert (await asked(pool)).told == WHOLE
                    await asyncio.sleep(0.02)
            await until(lambda: not old.open)
            await pool.close()

    run(make, lambda _: found, act)
    assert len(old.heads) > 1


async def test_localhost_as_this_machine_has_it() -> None:
    """With the resolver that there is."""
    async with served(Upstream()) as url:
        pool = pool_of(url.replace("127.0.0.1", "localhost"))
        assert (await asked(pool)).told == WHOLE
        await pool.close()


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(socket.gaierror(socket.EAI_NONAME, "unknown"), id="unknown"),
        pytest.param(UnicodeError("label too long"), id="no name"),
        pytest.param([], id="without an address"),
    ],
)
def test_a_name_that_is_nobodys(make: Callable[[], asyncio.AbstractEventLoop], answer: Answer) -> None:
    """There is no connection, and that is said at once."""
    asked_for: list[str] = []

    def names(host: str) -> Answer:
        asked_for.append(host)
        return answer

    async def act() -> None:
        pool = pool_of("http://nobody.test")
        assert (await asked(pool)).refusal == NO_CONNECTION
        await pool.close()

    run(make, names, act)
    assert asked_for == ["nobody.test"]


@both_loops
def test_a_connection_that_fails_costs_one_call(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The one that waited longest is told; those behind it go on with what can be had."""
    answers: list[Answer] = []
    upstream = Upstream()

    async def act() -> None:
        async with served(upstream) as url:
            answers[:] = [socket.gaierror(socket.EAI_AGAIN, "for now"), [("127.0.0.1", int(url.rpartition(":")[2]))]]
            pool = pool_of("http://upstream.test", most=2)
            receivers = [sent(pool, numbered(number)) for number in range(5)]
            for receiver in receivers:
                await receiver.done()
            assert receivers[0].refusal == NO_CONNECTION
            assert [receiver.told for receiver in receivers[1:]] == [WHOLE] * 4
            await pool.close()

    run(make, lambda _: answers.pop(0) if len(answers) > 1 else answers[0], act)
    assert upstream.targets == ["/1", "/2", "/3", "/4"]


@both_loops
def test_a_new_connection_that_fails_leaves_those_in_use_alone(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """With an upstream that takes no more, what it has taken goes on serving."""
    answers: list[Answer] = []
    upstream = Upstream()

    async def act() -> None:
        async with served(upstream) as url:
            answers[:] = [[("127.0.0.1", int(url.rpartition(":")[2]))]]
            pool = pool_of("http://upstream.test", most=2)
            upstream.gate.clear()
            first = sent(pool)
            await until(lambda: len(upstream.heads) == 1)
            answers[:] = [socket.gaierror(socket.EAI_AGAIN, "for now")]
            assert (await asked(pool)).refusal == NO_CONNECTION
            upstream.gate.set()
            assert (await first.done()).told == WHOLE
            assert (await asked(pool)).told == WHOLE
            await pool.close()

    run(make, lambda _: answers[0], act)
    assert upstream.connections == 1


async def test_why_there_is_no_connection_is_told() -> None:
    """Without a descriptor the request is refused, and whoever watches hears of it; afterwards all is well."""
    upstream, told = Upstream(), list[Exception]()
    async with pooled(upstream) as pool:
        pool.on_failed = told.append
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            refused = await sent(pool).done()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert refused.refusal == NO_CONNECTION
        assert [error.errno for error in told if isinstance(error, OSError)] == [errno.EMFILE]
        assert (await sent(pool).done()).told == WHOLE


async def test_a_pool_that_is_retired_keeps_nothing() -> None:
    """What rests closes at once, what is in use with its answer, and whoever still asks is served all the same."""
    upstream = Upstream()
    async with pooled(upstream) as pool:
        for receiver in [sent(pool), sent(pool)]:
            await receiver.done()
        await until(lambda: upstream.open == 2)
        upstream.gate.clear()
        waiting = sent(pool)
        await until(lambda: len(upstream.heads) == 3)
        pool.retire()
        await until(lambda: upstream.open == 1)
        upstream.gate.set()
        assert (await waiting.done()).told == WHOLE
        await until(lambda: upstream.open == 0)
        assert (await asked(pool)).told == WHOLE
        await until(lambda: upstream.open == 0)


async def test_those_who_wait_for_a_retired_pool_have_their_turn() -> None:
    """Its connections are used for as long as anybody waits for one."""
    upstream = Upstream()
    async with held(upstream, 1, most=1) as pool:
        waiting = [sent(pool, numbered(number)) for number in range(3)]
        pool.retire()
        upstream.gate.set()
        for receiver in waiting:
            assert (await receiver.done()).told == WHOLE
        await until(lambda: upstream.open == 0)
        assert upstream.connections == 1
