"""Reads one answer after another from the bytes of a connection: llhttp judges their framing.

It is as lenient as aiohttp's client is, for answers that are odd and yet can be read in one way: lines that end in a
bare LF, blanks behind the size of a chunk, odd letters in a value. A request can never be among them.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import httptools

from gateway.vocab.policy import HeadLimits

if TYPE_CHECKING:
    from gateway.vocab.messages import Headers

_FIRST_INTERIM = 100
_SWITCHING = 101
_FIRST_FINAL = 200
_WITHOUT_BODY = frozenset({204, 304})


# Most answers carry the fields of the one before (saves 1 us of 2); 8 MiB at most.
@lru_cache(maxsize=128)
def _field(name: bytes, value: bytes) -> tuple[str, str] | None:
    """Return a field with its name in lower case, or None where it cannot be one."""
    if b"\0" in value:
        return None
    return name.decode("ascii", "replace").lower(), value.rstrip(b" \t").decode("latin-1")


class AnswerReader:
    """What has come of one answer.

    `headers` are None until the head is complete. `pieces` of the body are there to be taken. `is_odd` says that the
    answer cannot be read, `has_surplus` that something came behind it. `ends_with_connection`: its length is told by
    that alone. `limits` are those of a head.
    """

    def __init__(self, limits: HeadLimits = HeadLimits()) -> None:  # noqa: B008 - a frozen value
        self._limits = limits
        self._renew()
        self._is_to_head = False
        self.begin()

    def begin(self) -> None:
        """Make ready for the next answer."""
        if self._is_to_head:
            # llhttp waits for a body that never comes, and cannot be told.
            self._renew()
        self._is_to_head = False
        self.status = 0
        self.headers: Headers | None = None
        self.pieces: list[bytes] = []
        self.is_complete = False
        self.is_reusable = False
        self.is_odd = False
        self.has_surplus = False
        self.ends_with_connection = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._size = 0

    def expect_no_body(self) -> None:
        """Know that the question was a HEAD: whatever the answer says of its body, none follows (RFC 9110 9.3.2)."""
        self._is_to_head = True

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come."""
        return not self._size

    def feed(self, data: bytes) -> None:
        """Read what came."""
        self._size += len(data)
        is_new = self.headers is None
        try:
            # Where no body may follow, the parser would take what does for one: it is given no more than the head.
            for piece in data.splitlines(keepends=True) if self._is_to_head else (data,):
                if self.is_complete:
                    # A body where there is none: what is it, and where does it end?
                    self.is_odd, self.has_surplus = is_new, True
                    break
                self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # aiohttp's client, which is the measure, believes no head behind which garbage came at once.
            if self.is_complete and not is_new:
                self.has_surplus = True
            else:
                self.is_odd = True
        if self.headers is None and self._size > self._limits.total:
            self.is_odd = True

    def end(self) -> None:
        """Know that the upstream says no more."""
        if self.ends_with_connection and not self.is_odd:
            self.is_complete = True

    def _renew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    # llhttp calls these. They only take down what was said: what they raise would be lost.

    def on_message_begin(self) -> None:
        """Begin an answer; a second one in the same breath is one too many."""
        self.has_surplus = self.is_complete
        self._fields = []

    def on_status(self, reason: bytes) -> None:
        """Take note of the reason phrase."""
        if len(reason) > self._limits.line:
            self.is_odd = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take down a field; those behind the body (RFC 9110 section 6.5) must not pass for those of the head."""
        if self.headers is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Know the head."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < _FIRST_INTERIM or self.status == _SWITCHING:
            self.is_odd = True
        if self.status < _FIRST_FINAL:
            # An interim answer, with all that is in it, is only the beginning (RFC 9110 section 15.2).
            return
        has_length = self._is_to_head or self.status in _WITHOUT_BODY
        fields = [field for raw in self._fields if (field := _field(*raw)) is not None]
        if len(fields) < len(self._fields) or self._is_large():
            self.is_odd = True
        named = dict(fields)
        if "transfer-encoding" in named:
            codings = {value.lower() for name, value in fields if name == "transfer-encoding"}
            self.is_odd = self.is_odd or codings != {"chunked"}
            has_length = has_length or "chunked" in codings
        self.headers = tuple(fields)
        self.ends_with_connection = not (has_length or "content-length" in named)
        if self._is_to_head:
            self.is_complete = True
            self.is_reusable = self._parser.should_keep_alive()

    def _is_large(self) -> bool:
        limits = self._limits
        if self._size <= limits.line and self._size <= limits.total:
            return len(self._fields) > limits.lines
        sizes = [len(name) + len(value) for name, value in self._fields]
        is_large = len(sizes) > limits.lines or max(sizes, default=0) > limits.line
        # A line has a colon, a space and its end besides.
        return is_large or sum(sizes) + 4 * len(sizes) > limits.total

    def on_body(self, piece: bytes) -> None:
        """Take down a piece."""
        if self.headers is not None and not self.is_complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """Know the end."""
        if self.headers is None or self.is_complete:
            return
        self.is_complete = True
        # To be asked now: llhttp forgets it with the message.
        self.is_reusable = self._parser.should_keep_alive() and not self.ends_with_connection
