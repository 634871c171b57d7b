"""One connection of a client: aiohttp's parser, one request at a time, and how long each may take.

The parser is the only judge of where a request begins and ends; what it cannot read is answered in our own words. It
decides nothing about a request but whether it is one that we speak.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

from gateway.server.body import CLIENT_TIMEOUTS, Payload, PayloadFault, RequestBody
from gateway.server.client import Keeper
from gateway.server.edge import Edge, break_off, new_id, with_cors
from gateway.server.exchange import Exchange
from gateway.server.framing import FramingLimit
from gateway.server.heads import HeadLimit
from gateway.server.parser import (
    AHEAD_MOST,
    EMPTY_PAYLOAD,
    Begun,
    HttpProcessingError,
    HttpVersion10,
    HttpVersion11,
    RawRequestMessage,
    is_too_large,
    make_parser,
)
from gateway.server.peer import Peer, Peers
from gateway.server.replies import Closing, render, reply_head
from gateway.server.spoken import asks_for_websocket, is_spoken
from gateway.vocab.events import RequestDone
from gateway.vocab.messages import Request, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.client_address import UNKNOWN
from gateway.wire.headers import first, values

_CONTINUE: Final = "100-continue"
_NO_BODY: Final = RequestBody(EMPTY_PAYLOAD, 0, None, CLIENT_TIMEOUTS)
_USUAL: Final = Closing()
_UNREADABLE: Final = Closing(is_needed=True, is_old=True)


class ClientConnection(asyncio.Protocol):
    """One connection. Requests are answered in the order in which they came, the next one when its turn has come."""

    __slots__ = (
        "_ahead",
        "_deadline",
        "_edge",
        "_exchange",
        "_framing",
        "_heads",
        "_is_body_full",
        "_is_deaf",
        "_is_full",
        "_is_in_head",
        "_is_lingering",
        "_keeper",
        "_loop",
        "_parser",
        "_peer",
        "_peers",
        "_timer",
        "is_half_closed",
        "transport",
        "writing_paused",
    )

    def __init__(self, edge: Edge, keeper: Keeper) -> None:
        self._edge = edge
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        heads = edge.serving.heads
        self._parser = make_parser(self, self._loop, heads)
        self._ahead: deque[tuple[RawRequestMessage, Payload] | Code] = deque()
        self._exchange: Exchange | None = None
        self._framing = FramingLimit()
        self._heads = HeadLimit(heads.total)
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._is_deaf = False
        self._is_full = False
        self._is_body_full = False
        # None while nothing has come at all.
        self._is_in_head: bool | None = None
        self._is_lingering = False
        self._peers = edge.serving.peers
        self._peer = Peer(UNKNOWN, is_heard=False)
        self.transport: asyncio.Transport | None = None
        self.writing_paused = False
        self.is_half_closed = False

    @property
    def has_begun(self) -> bool:
        """Whether the reply that is due has begun."""
        return self._exchange is None or self._exchange.has_begun

    @property
    def connected(self) -> bool:
        """Whether the client is there; what aiohttp's payload asks before it waits."""
        return self.transport is not None

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport, peer: Peer | None = None) -> None:
        """Keep who it is, and wait for a request; `peer` is known where a proxy has said whose connection it is."""
        self.transport = cast("asyncio.Transport", transport)
        self._keeper.came(self)
        self._peer = peer or self._peers.connected(transport.get_extra_info("peername"))
        self._expect_within(self._edge.serving.keepalive)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and begin with the next request if its turn has come."""
        if self._is_deaf:
            return
        ahead = self._ahead
        try:
            messages, has_upgraded, _ = self._parser.feed_data(data)
        except HttpProcessingError as error:
            # The parser's text quotes the request, tokens too: it is neither sent nor kept.
            ahead.append(Code.HEADERS_TOO_LARGE if is_too_large(error) else Code.REQUEST_MALFORMED)
            self._is_deaf = True
            # The parser tells nobody who waits for the rest of a body.
            self._framing.spoil()
        else:
            ahead.extend(messages)
            is_excessive = self._is_excessive(len(data), messages)
            # What comes behind an upgrade that was asked for may not be HTTP any more.
            self._is_deaf = is_excessive or has_upgraded
        if self._exchange is not None:
            return
        if ahead:
            self._serve()
        elif data and not self._is_in_head:
            # A head that has begun must come to its end.
            self._is_in_head = True
            self._expect_within(self._edge.timeouts.head)

    def pause_writing(self) -> None:
        """Know that the client takes less than comes."""
        self.writing_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """Know that the client has caught up."""
        self.writing_paused = False
        if self._exchange is not None:
            self._exchange.resume()

    def eof_received(self) -> bool:
        """Let a client that will send no more have the replies to what it has asked, where it may be there.

        What cannot come to its end any more, a body, or has none, a stream of events, is taken for left, as is a
        connection at rest.
        """
        exchange = self._exchange
        if self.is_half_closed or exchange is None:
            return self.is_half_closed
        if exchange.is_heard_out(is_last=not self._ahead) and self._edge.half_closed.take(self):
            self.is_half_closed = True
            for one in self._ahead:
                if not isinstance(one, Code) and not one[1].is_eof():
                    one[1].set_exception(PayloadFault())
        return self.is_half_closed

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give up what is under way."""
        del exc
        if self.is_half_closed:
            self._edge.half_closed.forget(self)
        self.transport = None
        self._is_deaf = True
        self._keeper.went(self)
        self._ahead.clear()
        if self._timer is not None:
            self._timer.cancel()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    # aiohttp's payload calls these, as the buffer of a body fills and empties.

    def pause_reading(self) -> None:
        """Take no more of a body for now."""
        self._is_body_full = True
        self._parser.pause_reading()
        self._hold()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        """Take more of it, and of what was read already."""
        self._is_body_full = False
        if resume_parser:
            self.data_received(b"")
        self._let_go()

    # The exchange calls this.

    def settled(self, *, is_last: bool, has_rest: bool) -> None:
        """Go on with the next request, or end: this one is answered. `has_rest`: some of its body is still to come."""
        self._exchange = None
        if is_last or (self.is_half_closed and not self._ahead):
            self._finish(lingers=has_rest or bool(self._ahead) or self._is_deaf)
            return
        self._parser.message_consumed()
        self._expect_within(self._edge.serving.keepalive)
        if self._is_full and len(self._ahead) <= AHEAD_MOST // 2:
            self._is_full = False
            # What was read while it was full.
            self.data_received(b"")
            self._let_go()
        if self._ahead and self._exchange is None:
            self._serve()

    # The listener calls these.

    def is_about_to_ask(self, within: float) -> bool:
        """Tell whether it is new: nothing has come on it, and it has been there for less than so many seconds."""
        return self._is_in_head is None and self._loop.time() < self._deadline - self._edge.serving.keepalive + within

    def close(self) -> None:
        """End. A request under way is cut off; a client that can still read its last reply is left to do so."""
        if self._exchange is not None:
            break_off(self.transport)
        elif self.transport is not None and not self._is_lingering:
            self.transport.close()

    def cut_off(self) -> None:
        """End at once."""
        break_off(self.transport)

    # Ours

    def _finish(self, *, lingers: bool) -> None:
        """Say no more. What the client still sends is dropped for a while, so that it can read what was said last.

        RFC 9112 section 9.6: to close at once would make its system throw the reply away.
        """
        self._is_deaf = True
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if lingers and not self.is_half_closed:
            try:
                transport.write_eof()
            except OSError:
                # It ended while the reply was written: there is nothing to wait for.
                transport.abort()
                return
            self._is_lingering = True
            self._is_full = self._is_body_full = False
            self._let_go()
            self._expect_within(self._edge.timeouts.linger)
        else:
            transport.close()

    def _is_excessive(self, size: int, messages: Sequence[tuple[RawRequestMessage, Payload]]) -> bool:
        """Hold back a client that is far ahead, and say no to one whose heads or framing are too large.

        `size` is that of a read, `messages` the requests that it began.
        """
        ahead = self._ahead
        # The parser stops at so many that it has read whole and was not told to be done; the one under way counts.
        is_full = len(ahead) + (self._exchange is not None) >= AHEAD_MOST
        if is_full and not self._is_full:
            self._is_full = True
            self._hold()
        is_whole = not (is_full or self._is_body_full)
        good = self._heads.excess(size, messages, is_whole=is_whole)
        if good is not None:
            for _ in messages[good:]:
                ahead.pop()
            ahead.append(Code.HEADERS_TOO_LARGE)
        elif self._framing.is_excessive(size, messages, is_whole=is_whole):
            self._drop_behind(messages)
            ahead.append(Code.REQUEST_MALFORMED)
        else:
            return False
        return True

    def _serve(self) -> None:
        """Begin with the next request."""
        edge = self._edge
        self._is_in_head = False
        started = edge.clock()
        one = self._ahead.popleft()
        if isinstance(one, Code):
            self._refuse_unreadable(one)
            return
        message, payload = one
        peers = edge.serving.peers
        if peers is not self._peers and not self._is_trusted_still(peers):
            return
        peer = self._peer.address
        if peers.header in message.headers:
            peer = peers.client(self._peer, message.headers.getall(peers.header))
        protocol = "1.0" if message.version == HttpVersion10 else "1.1"
        request = edge.request(message.method, message.path, message.raw_headers, peer, protocol)
        body = _NO_BODY if payload is EMPTY_PAYLOAD else self._body_of(message, request, payload)
        is_ours = is_spoken(message)
        is_needed = not is_ours or "upgrade" in message.headers
        closing = _USUAL
        is_last = message.should_close or (self.is_half_closed and self._watches_last())
        if is_last or is_needed or message.version == HttpVersion10:
            closing = Closing(is_last, is_needed, message.version == HttpVersion10)
        self._exchange = exchange = Exchange(self, edge, request, body, closing, started)
        if not is_ours:
            exchange.refuse(Refusal(Code.REQUEST_MALFORMED, "HTTP version, CONNECT or framing"))
        elif is_needed and asks_for_websocket(message):
            exchange.refuse(Refusal(Code.WEBSOCKET_UNSUPPORTED))
        else:
            exchange.begin()

    def _is_trusted_still(self, peers: Peers) -> bool:
        """Know who it is, where others are trusted than when it connected; end it where nobody can vouch for that."""
        transport = self.transport
        anew = None if transport is None else peers.anew(self._peer, transport.get_extra_info("peername"))
        if anew is None:
            self._ahead.clear()
            self._is_deaf = True
            self.cut_off()
            return False
        self._peers, self._peer = peers, anew
        return True

    def _drop_behind(self, messages: Sequence[Begun]) -> None:
        """Forget the requests of this read that stand behind a body whose framing is not to be trusted, and it."""
        first = next((number for number, (one, _) in enumerate(messages) if one.chunked), 0)
        sound = 0 if self._framing.was_in_body else first
        for _ in messages[sound:]:
            self._ahead.pop()

    def _watches_last(self) -> bool:
        """Have the next reply to a client that sends no more watched, and tell whether it is the last."""
        self._edge.half_closed.take(self)
        return not self._ahead

    def _body_of(self, message: RawRequestMessage, request: Request, payload: Payload) -> RequestBody:
        # The parser has seen to it that there is one length, and a number; int() takes no thousands of zeros.
        length = None if message.chunked else int((first(request.headers, "content-length") or "").lstrip("0") or 0)
        expected = [value.lower() for value in values(request.headers, "expect")]
        waits = message.version == HttpVersion11 and _CONTINUE in expected
        return RequestBody(payload, length, self._say_continue if waits else None, self._edge.timeouts)

    def _refuse_unreadable(self, code: Code) -> None:
        edge, request_id = self._edge, new_id()
        reply = render(Refusal(code))
        lines = with_cors(reply.headers, edge.serving.snapshot, ())
        head = reply_head(reply.status, lines, request_id, len(reply.body), edge.now(), _UNREADABLE, is_last=True)
        if self.transport is not None:
            self.transport.write(head + reply.body)
        trace = Trace(request_id=request_id, code=code.name)
        edge.emit(RequestDone(request_id, "-", reply.status, 0.0, self._peer.address, trace, len(reply.body)))
        self._finish(lingers=True)

    def _say_continue(self) -> None:
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hold(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def _let_go(self) -> None:
        if self.transport is not None and not self._is_full and not self._is_body_full:
            self.transport.resume_reading()

    def _expect_within(self, seconds: float) -> None:
        """Set the time by which something must have come while no request is under way.

        The timer stays where it is if it fires earlier, and is set anew then: a request costs no timer.
        """
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        transport = self.transport
        if transport is None:
            return
        if self._exchange is not None:
            # An exchange has limits of its own; when it is through this is set anew.
            self._deadline = self._loop.time() + self._edge.serving.keepalive
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_time)
        elif transport.get_write_buffer_size():
            # All this time was not enough for the client to take the last reply; to close would mean to wait for ever.
            break_off(transport)
        else:
            transport.close()
