"""Remembers how header lines read: most requests of a client carry the lines of the one before. Pure but for that.

Lines are remembered one by one, never whole heads: behind an ingress that traces no head comes twice. What a line says
is a function of its bytes alone, so a memory can only make it faster; it is bounded in bytes, and belongs to one
snapshot of the configuration.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.vocab.messages import Headers

# Per worker. A line costs what its bytes take twice, as bytes and as text, and some objects around them.
_MOST: Final = 2 * 1024 * 1024
_OVERHEAD: Final = 300
# Tokens of ours have some 500 bytes. What is longer is read anew each time.
_LONGEST: Final = 2 * 1024
# No two requests carry the same: to remember these would mean to forget the others.
_NEVER_ALIKE: Final = frozenset({
    "b3", "cf-ray", "content-length", "date", "idempotency-key", "traceparent", "tracestate", "x-amzn-trace-id",
    "x-b3-spanid", "x-b3-traceid", "x-cloud-trace-context", "x-correlation-id", "x-datadog-parent-id",
    "x-datadog-trace-id", "x-request-id", "x-request-start",
})  # fmt: skip

RawHeaders = Iterable[tuple[bytes, bytes]]


class LineMemory:
    """Reads header lines. Two generations: what is not asked for while one fills up is forgotten with it.

    That is an order by use at the cost of one look into a dict; cachetools.LRUCache takes ten times as long for each
    of a request's lines.
    """

    __slots__ = ("_most", "_old", "_size", "_young")

    def __init__(self, most: int = _MOST) -> None:
        self._most: Final = most // 2
        self._young: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        self._old: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        self._size = 0

    def read(self, raw: RawHeaders) -> Headers:
        """Return lines as names in lower case and values without white space around them."""
        young = self._young
        return tuple([young.get(line) or self._remember(line) for line in raw])

    def _remember(self, line: tuple[bytes, bytes]) -> tuple[str, str]:
        read = self._old.get(line)
        if read is None:
            read = (_field_name(line[0]), line[1].decode("latin-1").strip(" \t"))
            if read[0] in _NEVER_ALIKE:
                return read
        size = len(line[0]) + len(line[1])
        if size <= _LONGEST:
            self._size += 2 * size + _OVERHEAD
            if self._size > self._most:
                self._old, self._young, self._size = self._young, {}, 2 * size + _OVERHEAD
            self._young[line] = read
        return read


# Names are few, and the same in every request.
@lru_cache(maxsize=512)
def _field_name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()
