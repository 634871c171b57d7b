"""HTTP/1.1 as the fake upstream reads it: exact bytes are kept, nothing is normalised and nothing is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from gateway.demo.answers import ShopAnswer, split_target

# Heads and chunk lines up to this size are read; tests of huge heads stay below it.
LARGEST_LINE = 4 * 1024 * 1024


class ConnectionState(StrEnum):
    """Who, if anyone, has ended a connection."""

    OPEN = "open"
    CLOSED_BY_PEER = "closed by peer"
    CLOSED = "closed"


@dataclass(eq=False, slots=True)
class Connection:
    """One accepted connection; `requests` counts the heads that arrived on it."""

    number: int
    state: ConnectionState = ConnectionState.OPEN
    requests: int = 0


@dataclass(eq=False, slots=True)
class Recorded:
    """One request as it arrived.

    `headers` are the lines in order, names as sent; `body` is without chunk framing, `raw` is every byte of head and
    body. `received` counts body bytes while they come; an upload that is only counted leaves `body` empty.
    """

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    raw: bytes
    connection: Connection
    body: bytes = b""
    received: int = 0
    complete: bool = False
    query: list[tuple[str, str]] = field(init=False)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.path, self.query = split_target(self.target)

    def header(self, name: str) -> str | None:
        """Give the value of a header, None without it; of several lines the first."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def values(self, name: str) -> list[str]:
        """Give the values of all lines of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    @property
    def is_grant(self) -> bool:
        """Whether this asks for a bearer."""
        return self.path == "/oauth/access_token"


class MalformedRequestError(Exception):
    """The bytes are no HTTP/1.1 request."""


async def read_head(reader: asyncio.StreamReader, connection: Connection) -> Recorded | None:
    """Read one request head; None where the peer has nothing more to say."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise MalformedRequestError(repr(error.partial)) from None
        return None
    except asyncio.LimitOverrunError as error:
        raise MalformedRequestError(str(error)) from None
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or any(":" not in line for line in lines):
        raise MalformedRequestError(repr(raw))
    method, target, version = words
    pairs = [line.split(":", 1) for line in lines]
    headers = [(name, value.strip(" \t")) for name, value in pairs]
    return Recorded(method, target, version, headers, raw, connection)


async def body_parts(reader: asyncio.StreamReader, request: Recorded) -> AsyncIterator[tuple[bytes, bytes]]:
    """Give the body piece by piece: the bytes of the wire, and what they carry."""
    if "chunked" in (request.header("transfer-encoding") or "").lower():
        while True:
            line = await reader.readuntil(b"\r\n")
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise MalformedRequestError(repr(line)) from None
            if size == 0:
                break
            chunk = await reader.readexactly(size + 2)
            yield line + chunk, chunk[:-2]
        while line != b"\r\n":
            yield line, b""
            line = await reader.readuntil(b"\r\n")
        yield line, b""
        return
    length = request.header("content-length") or "0"
    if not length.isdecimal():
        raise MalformedRequestError(f"content-length {length!r}")
    left = int(length)
    while left:
        part = await reader.read(min(left, 65536))
        if not part:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(part)
        yield part, part


def head_bytes(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Write the head of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def answer_bytes(answer: ShopAnswer) -> bytes:
    """Write a whole answer, with the length it needs."""
    return head_bytes(answer.status, framed(answer)) + answer.body


def framed(answer: ShopAnswer) -> list[tuple[str, str]]:
    """Give the headers with a content-length, where the status may have one and the shop did not set it (HEAD)."""
    named = any(name == "content-length" for name, _ in answer.headers)
    if named or answer.status in {204, 304}:
        return answer.headers
    return [*answer.headers, ("content-length", str(len(answer.body)))]
