"""What came of a case, as plain values to be compared and kept: what changes from run to run has a name instead."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.demo.data import APRIL, LESLIE, RON
from tests.carrying.client import Reply
from tests.carrying.upstream import Upstream
from tests.fakes.wire import Recorded

# Longer bodies, and lines of a head, are kept as their length and digest.
_LONGEST = 700
_LONGEST_LINE = 200
_PEOPLE = {RON.id: "<ron>", LESLIE.id: "<leslie>", APRIL.id: "<april>"}
_ID = re.compile(r"^x-request-id: ([0-9a-f]{16})$")
_BEARER = re.compile(r"(?i)^(authorization: Bearer )(.+)$")
_DATE = re.compile(r"^Date: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$")
# It is made of the upstream's port, among others.
_PSEUDONYM = re.compile(r"(customer-token-gateway)-[0-9a-f]{12}")
_SOME_ID, _NOW = "x-request-id: <id>", "Date: <now>"
_ANYWHERE = frozenset({_SOME_ID, _NOW})
# Members of the gateway's own answers: a public key, and a token.
_RANDOM = re.compile(r'"(kid|x|token|access_token|id|expires)":("[\w.-]{30,}"|\d{10})')
_OURS = ("/.well-known/jwks.json", "/v2/customers/tokens")


@dataclass(frozen=True, slots=True)
class Message:
    """A request upstream or a reply: the lines of its head, and its body as text."""

    head: tuple[str, ...]
    body: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the log. `size` is None where it is chance: of a reply that broke off."""

    event: str
    method: str | None = None
    route: str | None = None
    caller: str | None = None
    status: int | None = None
    code: str | None = None
    size: int | None = None
    aborted: bool | None = None
    peer: str | None = None

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> "Event":
        """Take from a line of the log what is no chance and no secret."""
        fields = ("method", "route", "caller", "status", "code", "bytes", "aborted", "peer")
        method, route, caller, status, code, size, aborted, peer = map(line.get, fields)
        if line["event"] == "failed":
            method, route = line["what"], line["error"]
        return cls(line["event"], method, route, caller, status, code, None if aborted else size, aborted, peer)

    def __str__(self) -> str:
        if self.status is None:
            return " ".join([self.event, *filter(None, (self.method, self.route))])
        parts = (self.method, self.route, self.caller, self.status, self.code or "-")
        size = "-" if self.size is None else self.size
        return " ".join([*map(str, parts), str(size), str(self.peer), *(["aborted"] if self.aborted else [])])


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is seen of one case.

    `upstream`: every request in order, as often as it came; `replies_to`: the number of the reply, of all clients, that
    has its id, 0 where none has; `connections`: on which one each came, numbered as they were first used. `did`: what
    the upstream did for them. `client`: the replies of each connection, and behind them what became of it.
    """

    upstream: tuple[Message, ...] = ()
    replies_to: tuple[int, ...] = ()
    connections: tuple[int, ...] = ()
    did: tuple[str, ...] = ()
    client: tuple[Message | str, ...] = ()
    log: tuple[Event, ...] = ()


@dataclass(slots=True)
class Names:
    """What stands for the values that change from run to run: numbers in the order in which they are first seen."""

    upstream: Upstream
    _ids: list[str] = field(default_factory=list)
    _bearers: dict[str, int] = field(default_factory=dict)

    def requests(self, requests: Iterable[Recorded]) -> tuple[Message, ...]:
        """Return requests as they came; those for a bearer without their body, which is a secret."""
        return tuple(
            Message(
                self._head(request.raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n"), request.body),
                "<a secret>" if request.is_grant else text(request.body) if request.complete else "<cut short>",
            )
            for request in requests
        )

    def replies_to(self, requests: Iterable[Recorded]) -> tuple[int, ...]:
        """Return for each request the number of the reply with its id."""
        ids = [request.header("x-request-id") for request in requests if not request.is_grant]
        return tuple(self._ids.index(ident) + 1 if ident in self._ids else 0 for ident in ids)

    @staticmethod
    def connections(requests: Iterable[Recorded]) -> tuple[int, ...]:
        """Return for each request the number of the connection that it came on."""
        numbers: dict[int, int] = {}
        return tuple(numbers.setdefault(request.connection.number, len(numbers) + 1) for request in requests)

    def reply(self, reply: Reply, target: str) -> Message:
        """Return a reply as it came; those that are final have an id which no other has."""
        found = [match[1] for line in reply.head if (match := _ID.match(line))]
        assert not set(found) & set(self._ids), f"{found} was the id of another reply"
        self._ids += found
        body = text(reply.body)
        if target in _OURS:
            body = _RANDOM.sub(r'"\1":"<\1>"', body)
        # Where among the others they stand is nobody's concern, as long as they do.
        head = sorted(self._head(reply.head, reply.body), key=_ANYWHERE.__contains__)
        return Message(tuple(head), body if reply.is_whole or not reply.head else "<broken off>")

    def _head(self, lines: Iterable[str], body: bytes) -> tuple[str, ...]:
        return tuple(self._line(line, body) for line in lines)

    def _line(self, line: str, body: bytes) -> str:
        if _ID.match(line):
            return _SOME_ID
        if match := _BEARER.match(line):
            is_ours = match[2] in self.upstream.bearers
            return f"{match[1]}<{self._bearers.setdefault(match[2], len(self._bearers) + 1) if is_ours else 'STRANGE'}>"
        if _DATE.match(line):
            return _NOW
        if body and line.lower() == f"content-length: {len(body)}":
            return f"{line[:14]}: <that of the body>"
        line = _named(_PSEUDONYM.sub(r"\1", line.replace(urlsplit(self.upstream.url).netloc, "<upstream>")))
        return line if len(line) <= _LONGEST_LINE else f"{line[:20]}... {_digest(line.encode('latin-1'))}"


def text(body: bytes) -> str:
    """Return a body to be read; a long one, or one that is no text, as its length and digest."""
    try:
        if len(body) <= _LONGEST:
            return _named(body.decode())
    except UnicodeDecodeError:
        pass
    return _digest(body)


def _digest(data: bytes) -> str:
    return f"<{len(data)} bytes, {hashlib.blake2b(data, digest_size=6).hexdigest()}>"


def _named(line: str) -> str:
    for ident, name in _PEOPLE.items():
        line = line.replace(ident, name)
    return line
