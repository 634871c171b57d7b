"""Connections to the upstream: one request, one answer; silent between them."""

import asyncio
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from gateway.carrying.call import Call, Timeouts, Upload
from gateway.vocab.messages import Headers
from tests.carrying.connected import GET, HASTY, OK, POST, WHOLE, Taken, Upstream, asked, pooled, saying, sent
from tests.server.raw import until

pytestmark = pytest.mark.usefixtures("wire")
MIB = 1024 * 1024
HEAD = replace(GET, method="HEAD")
OK_HEAD = OK.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


async def test_what_is_sent() -> None:
    """The request is what it is told to be, with our Host first, below the path of the base URL."""
    upstream = Upstream()
    async with pooled(upstream, path="/base/") as pool:
        for call in (replace(GET, headers=(("x-a", "b"), ("x-a", "c"))), HEAD, replace(GET, method="DELETE"), POST):
            upstream.answers = (OK_HEAD if call is HEAD else OK,)
            assert (await asked(pool, call)).told == WHOLE
    host = upstream.heads[0].split(b"\r\n")[1]
    assert host.startswith(b"Host: 127.0.0.1:")
    assert upstream.heads == [
        b"GET /base/a?b=c HTTP/1.1\r\n%b\r\nx-a: b\r\nx-a: c\r\n\r\n" % host,
        b"HEAD /base/a?b=c HTTP/1.1\r\n%b\r\n\r\n" % host,
        b"DELETE /base/a?b=c HTTP/1.1\r\n%b\r\nContent-Length: 0\r\n\r\n" % host,
        b"POST /base/a?b=c HTTP/1.1\r\n%b\r\nContent-Length: 2\r\n\r\n" % host,
    ]


async def test_a_connection_is_used_again() -> None:
    """One connection serves one request after the other."""
    upstream = Upstream()
    async with pooled(upstream) as pool:
        for _ in range(5):
            receiver = await asked(pool)
            assert (receiver.told, receiver.body, receiver.headers) == (WHOLE, b"{}", (("content-length", "2"),))
    assert upstream.connections == 1


async def test_nothing_of_an_answer_is_left_for_the_next() -> None:
    """Two customers who are served one after the other on a connection get what is theirs, however it comes."""
    first = b"HTTP/1.1 200 OK\r\nx-first: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\nx-last: 1\r\n\r\n"
    for cut in range(1, len(first)):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int = cut) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for piece in (first[:cut], first[cut:]):
                writer.write(piece)
                await asyncio.sleep(0)
            await saying(OK)(reader, writer)

        async with pooled(serve, most=1) as pool:
            one, other = await asked(pool), await asked(pool)
        assert (one.body, one.headers) == (b"first", (("x-first", "1"), ("transfer-encoding", "chunked")))
        assert (other.told, other.body, other.headers) == (WHOLE, b"{}", (("content-length", "2"),))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"OK", b"OK\r\nconnection: close"), id="that says so"),
        pytest.param(OK + OK, id="that says more"),
        pytest.param(OK + b"HTT", id="that begins to say more"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="of old"),
    ],
)
async def test_a_connection_is_not_used_again(answer: bytes) -> None:
    """After such an answer a connection is closed by us, and the next call has another one."""
    upstream = Upstream((answer,))
    async with pooled(upstream, most=1) as pool:
        for count in (1, 2):
            receiver = await asked(pool)
            assert (receiver.told, receiver.body) == (WHOLE, b"{}")
            await until(lambda: not upstream.open)
            assert upstream.connections == count


# --- HEAD -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [b"content-length: 2000", b"content-length: 0", b"transfer-encoding: chunked"])
async def test_an_answer_to_head_has_no_body(lines: bytes) -> None:
    """Whatever it says of one, nothing follows (RFC 9110 section 9.3.2); the next answer on the connection is right."""
    upstream = Upstream((b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % lines, OK))
    async with pooled(upstream, most=1) as pool:
        head = await asked(pool, HEAD)
        assert (head.told, head.body) == (WHOLE, b"")
        assert head.headers == (tuple(lines.decode().split(": ")),)
        after = await asked(pool)
        assert (after.told, after.body) == (WHOLE, b"{}")
    assert upstream.connections == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_to_head_without_a_body_of_its_own(status: int) -> None:
    """Statuses that never have a body need no length either."""
    upstream = Upstream((b"HTTP/1.1 %d X\r\n\r\n" % status, OK))
    async with pooled(upstream, most=1) as pool:
        assert (await asked(pool, HEAD)).told == [f"whole {status}"]
        assert (await asked(pool)).told == WHOLE
    assert upstream.connections == 1


@pytest.mark.parametrize(
    ("lines", "surplus"),
    [
        (b"content-length: 5", b"hello"),
        (b"content-length: 5", b"h"),
        (b"content-length: 0", b"hello"),
        (b"transfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"transfer-encoding: chunked", b"0\r\n\r\n"),
        (b"transfer-encoding: chunked", b"5"),
        (b"x-no: length", b"hello"),
        (b"content-length: 2", OK),
    ],
)
async def test_what_follows_an_answer_to_head_closes_the_connection(lines: bytes, surplus: bytes) -> None:
    """A body that must not be there answers nobody, least of all the next request; what it stands behind is odd."""
    upstream = Upstream((b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (lines, surplus),))
    async with pooled(upstream, most=1) as pool:
        assert (await asked(pool, HEAD)).told == ["broken UPSTREAM_INVALID"]
        await until(lambda: not upstream.open)
        upstream.answers = (OK,)
        after = await asked(pool)
        assert (after.told, after.body) == (WHOLE, b"{}")
    assert upstream.connections == 2


# --- Out of turn ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("is_seen", [True, False], ids=["read by the loop", "still in the socket"])
@pytest.mark.parametrize("late", [OK, b"H", None], ids=["an answer", "a byte", "an end"])
async def test_what_comes_at_rest_is_noticed_before_the_next_call(
    call: Call, late: bytes | None, *, is_seen: bool
) -> None:
    """It answers nobody: the connection is closed unused, and the call goes on another one, for nothing of it left."""
    writers: list[asyncio.StreamWriter] = []
    heads: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        heads.append([])
        await saying(OK, OK, heads=heads[-1])(reader, writer)

    async with pooled(serve) as pool:
        first = await asked(pool)
        # What is written here is in the other socket at once on this machine; the loop has not looked yet.
        if late is None:
            writers[0].transport.abort()
            await asyncio.sleep(0)
        else:
            writers[0].write(late)
        if is_seen:
            await until(lambda: not first.connection.is_open)
        assert (await asked(pool, call)).told == WHOLE
        assert not first.connection.is_open
    assert [len(seen) for seen in heads] == [1, 1]


async def test_an_answer_before_its_question() -> None:
    """What comes before the request has left is no answer to it."""
    upstream = Upstream()
    async with pooled(upstream) as pool:
        await asked(pool)
        receiver = sent(pool, POST)
        receiver.connection.data_received(OK.replace(b"{}", b"[]"))
        await receiver.done()
        assert (receiver.told, receiver.body) == (WHOLE, b"{}")
    assert (upstream.connections, len(upstream.heads)) == (2, 2)


# --- Ends and silence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(b"", ["broken UPSTREAM_INVALID"], id="before a byte"),
        pytest.param(OK[:10], ["broken UPSTREAM_INVALID"], id="within the head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", ["broken UPSTREAM_INVALID"], id="behind an interim answer"),
        pytest.param(OK[:-1], ["answered 200", "broken UPSTREAM_INVALID"], id="within the body"),
        pytest.param(b"garbage\r\n", ["broken UPSTREAM_INVALID"], id="of something else"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", ["answered 200", "ended"], id="that is the end of a body"),
    ],
)
@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
async def test_an_end(call: Call, said: bytes, told: list[str]) -> None:
    """What an end of the connection says depends on what came before it; nothing that has begun is sent again."""
    heads: list[bytes] = []
    async with pooled(saying(said, is_kept=False, heads=heads)) as pool:
        assert (await asked(pool, call)).told == told
    assert len(heads) == (2 if call is GET and not said else 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("is_first", [True, False], ids=["a new connection", "a connection that was used"])
async def test_what_is_safe_is_sent_once_more(method: str, *, is_first: bool) -> None:
    """A call that ended before a byte of its answer: safe ones are repeated, on a new connection; others never are."""
    heads: list[bytes] = []
    is_met = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_met
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            if head.startswith(f"{method} /hit ".encode()) and not is_met:
                is_met = True
                return
            writer.write(OK_HEAD if head.startswith(b"HEAD ") else OK)

    async with pooled(serve) as pool:
        if not is_first:
            await asked(pool)
        receiver = await asked(pool, Call(method, "/hit", ()))
        hits = [head for head in heads if b" /hit " in head]
        if method in {"GET", "HEAD"}:
            assert (receiver.told, len(hits)) == (WHOLE, 2)
            assert hits[0] == hits[1]
        else:
            assert (receiver.told, len(hits)) == (["broken UPSTREAM_INVALID"], 1)
        # Whatever became of it, the pool serves the next one.
        assert (await asked(pool)).told == WHOLE


async def test_a_repeat_goes_on_a_new_connection() -> None:
    """Those that rest may be as dead: a restarted upstream has forgotten them all."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        is_old = connections <= len(olds)
        if is_old:
            await reader.readuntil(b"\r\n\r\n")
            await until(lambda: connections == len(olds))
            writer.write(OK)
        while await reader.readuntil(b"\r\n\r\n"):
            if is_old:
                return
            writer.write(OK)

    olds = range(3)
    async with pooled(serve) as pool:
        for receiver in [sent(pool) for _ in olds]:
            await receiver.done()
        assert connections == 3
        assert (await asked(pool)).told == WHOLE
    assert connections == 4


async def test_an_answer_that_turns_odd() -> None:
    """It is odd also where its head was handed on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await until(lambda: receiver.told == ["answered 200"])
        writer.write(b"zz\r\n")
        await reader.read()

    receiver = Taken()
    async with pooled(serve) as pool:
        pool.send(GET, receiver)
        await receiver.done()
    assert receiver.told == ["answered 200", "broken UPSTREAM_INVALID"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(b"", ["broken UPSTREAM_TIMEOUT"], id="first byte"),
        pytest.param(OK[:10], ["broken UPSTREAM_TIMEOUT"], id="head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", ["broken UPSTREAM_TIMEOUT"], id="interim"),
        pytest.param(OK[:-1], ["answered 200", "broken UPSTREAM_TIMEOUT"], id="body"),
    ],
)
async def test_silence(said: bytes, told: list[str]) -> None:
    """An upstream that says nothing more is waited for as long as the limits say, and is asked once."""
    upstream = Upstream((said,))
    async with pooled(upstream, times=HASTY) as pool:
        began = asyncio.get_running_loop().time()
        assert (await asked(pool)).told == told
        assert asyncio.get_running_loop().time() - began >= 0.19
        await until(lambda: not upstream.open)
    assert len(upstream.heads) == 1


async def test_an_answer_that_trickles_has_an_end_too() -> None:
    """Each byte comes in time, and all of it does not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with pooled(serve, times=Timeouts(connect=5, first_byte=5, idle=5, total=0.5)) as pool:
        assert (await asked(pool)).told == ["answered 200", "broken UPSTREAM_TIMEOUT"]


# --- Receivers --------------------------------------------------------------------------------------------------------


async def test_a_pause_holds_the_upstream_up() -> None:
    """What is not wanted yet is not read, however long that takes; then all of it comes."""
    size = 32 * MIB
    sent_so_far = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_so_far
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent_so_far < size:
            writer.write(bytes(65536))
            await writer.drain()
            sent_so_far += 65536
        await reader.read()

    @dataclass(eq=False)
    class Counting(Taken):
        size: int = 0

        def received(self, piece: bytes) -> None:
            self.size += len(piece)
            if self.size == len(piece):
                self.connection.pause()

    receiver = Counting()
    async with pooled(serve, times=Timeouts(connect=5, first_byte=1, idle=1, total=60)) as pool:
        pool.send(GET, receiver)
        await until(lambda: receiver.size > 0)
        # Longer than the upstream may be silent: it is not its silence. The timer that runs is that for a first byte.
        await asyncio.sleep(1.5)
        assert not receiver.is_done.is_set()
        assert receiver.size <= MIB
        assert sent_so_far < size
        receiver.connection.resume()
        await receiver.done()
    assert (receiver.size, receiver.told) == (size, ["answered 200", "ended"])


@pytest.mark.parametrize("word", ["answered", "received"])
async def test_a_receiver_may_give_up_at_any_moment(word: str) -> None:
    """A connection that is closed tells nobody anything any more, and counts no more."""

    @dataclass(eq=False)
    class Leaving(Taken):
        def answered(self, status: int, headers: Headers) -> None:
            super().answered(status, headers)
            if word == "answered":
                self.give_up()

        def received(self, piece: bytes) -> None:
            super().received(piece)
            self.give_up()

    upstream = Upstream((b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",))
    async with pooled(upstream, most=1) as pool:
        receiver = Leaving()
        pool.send(GET, receiver)
        await until(lambda: upstream.connections > 0 and not upstream.open)
        assert (receiver.told, receiver.body) == (["answered 200"], b"" if word == "answered" else b"{}")
        upstream.answers = (OK,)
        assert (await asked(pool)).told == WHOLE


@pytest.mark.parametrize("is_whole", [True, False])
async def test_the_receiver_of_one_answer_may_ask_the_next(*, is_whole: bool) -> None:
    """The connection is there again when the end is told."""
    second = Taken()

    @dataclass(eq=False)
    class Asking(Taken):
        def whole(self, status: int, headers: Headers, body: bytes) -> None:
            pool.send(GET, second)
            super().whole(status, headers, body)

        def ended(self) -> None:
            pool.send(GET, second)
            super().ended()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-1])
        await until(lambda: first.told == ["answered 200"])
        writer.write(OK[-1:])
        await saying(OK)(reader, writer)

    first = Asking()
    upstream = Upstream()
    async with pooled(upstream if is_whole else serve, most=1) as pool:
        pool.send(GET, first)
        await second.done()
    assert first.told == (WHOLE if is_whole else ["answered 200", "ended"])
    assert second.told == WHOLE


@dataclass(eq=False)
class Faulty(Taken):
    """A receiver with a bug where it is told `word`."""

    word: str = ""

    def failed(self, error: Exception) -> None:
        """Keep what it is told of its bug."""
        self.told.append(f"failed {error}")
        self.is_done.set()

    def received(self, piece: bytes) -> None:
        """Take a piece."""
        super().received(piece)
        self._tell("received")

    def _tell(self, what: str) -> None:
        super()._tell(what)
        if what.split(" ", maxsplit=1)[0] == self.word:
            raise ValueError(self.word)


@pytest.mark.parametrize("word", ["whole", "answered", "received", "ended", "broken", "wanted"])
async def test_a_receiver_with_a_bug(word: str) -> None:
    """It is told of its own bug, and the pool goes on."""
    faulty = Faulty(word=word)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if word == "broken":
            return
        if word in {"answered", "received", "ended"}:
            writer.write(OK[:-1])
            await until(lambda: bool(faulty.told))
            writer.write(OK[-1:])
        else:
            writer.write(OK)
        await saying(OK)(reader, writer)

    async with pooled(serve) as pool:
        pool.send(replace(POST, upload=Upload.SIZED) if word == "wanted" else POST, faulty)
        await faulty.done()
        assert faulty.told[-1] == f"failed {word}"
        word = ""
        assert (await asked(pool)).told == WHOLE
