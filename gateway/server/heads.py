"""How large the heads of one client's requests may be, as a whole: that of a line is the parser's to say.

It parses nothing: it counts what went into the parser, and measures a head only where it could be too large.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gateway.server.parser import EMPTY_PAYLOAD, Begun, RawRequestMessage

if TYPE_CHECKING:
    from gateway.server.body import Payload


class HeadLimit:
    """Counts for one connection; `most` is in bytes.

    What a head has so far lies between two counts: one leaves out the read in which something else ended, whose rest
    may be its beginning, and the other counts that whole read in.
    """

    __slots__ = ("_at_least", "_at_most", "_most", "_payload", "_was_over")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._at_least = 0
        self._at_most = 0
        self._payload: Payload = EMPTY_PAYLOAD
        self._was_over = True

    def excess(self, size: int, messages: Sequence[Begun], *, is_whole: bool) -> int | None:
        """Return how many requests come before a head that is too large; None where none is.

        `size` is that of a read, `messages` the requests that it began. `is_whole` says that the parser holds nothing
        back: what it does may be many heads.
        """
        found = None
        if messages:
            if self._at_most + size > self._most:
                sizes = [head_size(message) for message, _ in messages]
                found = next((index for index, one in enumerate(sizes) if one > self._most), None)
            self._payload = messages[-1][1]
        if messages or not is_whole or not self._was_over:
            self._at_least, self._at_most = 0, size or self._at_most
        else:
            self._at_least += size
            self._at_most += size
            found = 0 if self._at_least > self._most else None
        self._was_over = self._payload is EMPTY_PAYLOAD or self._payload.is_eof()
        return found


def head_size(message: RawRequestMessage) -> int:
    """Return how many bytes the head of a request had on the wire, white space around values aside."""
    fields = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + fields + len("  HTTP/1.1\r\n\r\n")
