"""What the fake upstream can do wrong, in words: the faults and their options; acts.py does them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto

from tests.fakes.wire import Recorded

Predicate = Callable[[Recorded], bool]


class Fault(StrEnum):
    """A way to misbehave; options of `Commerce.fault` in brackets."""

    IGNORE_FILTER = auto()
    """Answers as if no filter had been sent: everything."""
    OTHER_RECORD = auto()
    """Answers another owner's record (or its sub-resource) than the path names [record]."""
    SLOW_HEAD = auto()
    """Waits before the answer [gate, delay]."""
    SLOW_BODY = auto()
    """Waits in the middle of the body [gate, delay]."""
    CUT_BODY = auto()
    """Closes in the middle of the body."""
    LONG_LENGTH = auto()
    """Announces [size, default 100] more bytes than it sends, and keeps the connection open."""
    TRUNCATED_JSON = auto()
    """Sends half of the document, framed as if it were whole."""
    TRAILING_BYTES = auto()
    """Sends a second document after the first, inside the same body."""
    GZIP = auto()
    """Compresses the body."""
    GZIP_BOMB = auto()
    """Sends a small body that unpacks to [size, default 16 MiB] bytes of JSON."""
    REDIRECT = auto()
    """Answers [status, default 302] to [location]."""
    UNAUTHORIZED = auto()
    """Answers 401, as for an expired bearer."""
    SERVER_ERROR = auto()
    """Answers [status, default 500] with an error envelope."""
    HTML_OK = auto()
    """Answers 200 with a page."""
    HTML_ERROR = auto()
    """Answers [status, default 500] with a page."""
    EMPTY_BODY = auto()
    """Answers 200 without a body."""
    WRONG_TYPE = auto()
    """Sends the true JSON as text/plain."""
    SET_COOKIE = auto()
    """Adds a cookie and headers of the upstream's inside."""
    HUGE_HEADERS = auto()
    """Adds a header of [size, default 100 000] bytes."""
    EXTRA_BYTES = auto()
    """Sends the answer, and after it another that nobody asked for, with every customer's orders."""
    LATE_EXTRA = auto()
    """Sends the answer, waits, and sends the same unasked one on the resting connection [gate, delay]."""
    CLOSE = auto()
    """Closes before the answer."""
    CLOSE_AFTER = auto()
    """Answers, then closes without having said so."""
    SILENT = auto()
    """Never answers; holds the connection until the peer leaves."""
    CHUNKED = auto()
    """Sends the true body in chunks of [size, default 100] bytes."""


@dataclass(eq=False, slots=True)
class Injection:
    """One fault that is set: for which requests, how often still (None: always), and its options."""

    fault: Fault
    when: Predicate
    times: int | None = None
    gate: asyncio.Event | None = None
    delay: float = 0.0
    location: str = ""
    record: str | None = None
    status: int | None = None
    size: int | None = None
    hits: int = field(default=0, init=False)
