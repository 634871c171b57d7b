"""How much of what a client sends may be neither head nor body: sizes of chunks, and what stands behind them.

It parses nothing: it counts what went into the parser against what came out.
"""

from collections.abc import Sequence
from typing import Final

from gateway.server.body import Payload, PayloadFault
from gateway.server.heads import head_size
from gateway.server.parser import RawRequestMessage

# For each byte of a body so many of framing, as chunks of one byte have, and this much besides. Sizes with long
# extensions are work for nothing (as CVE-2023-39326 was for another server).
_SHARE: Final = 8
_MOST: Final = 32 * 1024


class FramingLimit:
    """Counts for one connection, where bodies come in chunks: what has a length has no framing.

    `was_in_body` says of what was counted last whether it began within a body.
    """

    __slots__ = ("_body", "_counted", "_framing", "_held", "_is_chunked", "was_in_body")

    def __init__(self) -> None:
        # The body that is under way and how much of it is counted; how many bytes went into the parser that did not
        # come out, how many came out as bodies meanwhile, and whether any of these was in chunks.
        self._body: Payload | None = None
        self._counted = 0
        self._framing = 0
        self._held = 0
        self._is_chunked = False
        self.was_in_body = False

    def is_excessive(self, size: int, messages: Sequence[tuple[RawRequestMessage, Payload]], *, is_whole: bool) -> bool:
        """Tell whether there is too much of it, given the size of a read and the requests that it began.

        Then the bodies that it belongs to can be had no more. `is_whole` says that the parser holds nothing back: what
        it does is no framing, and is told when it lets go.
        """
        is_chunked = False
        for message, _ in messages:
            is_chunked = is_chunked or message.chunked
        if is_whole and self._body is None and not self._framing and not is_chunked:
            return False
        self.was_in_body = self._body is not None
        self._is_chunked = self._is_chunked or is_chunked
        bodies = [payload for _, payload in messages]
        if self._body is not None:
            bodies.append(self._body)
        came = sum(body.total_bytes for body in bodies) - self._counted
        self._held += came
        self._framing += size - sum(head_size(message) for message, _ in messages) - came
        last = messages[-1][1] if messages else self._body
        self._body = None if last is None or last.is_eof() else last
        self._counted = 0 if self._body is None else self._body.total_bytes
        if not is_whole:
            return False
        is_excessive = self._is_chunked and self._framing > _MOST + _SHARE * self._held
        if is_excessive:
            for body in bodies:
                body.set_exception(PayloadFault())
        if self._body is None:
            self._framing = self._held = 0
            self._is_chunked = False
        # The end of a head whose beginning came before that of the body is not to be set off against it.
        self._framing = max(0, self._framing)
        return is_excessive

    def spoil(self) -> None:
        """Know that what came last is not HTTP: a body that has not come to its end can be had no more."""
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(PayloadFault())
