"""The commerce API of the storm: lean, without memory, and wrong on demand.

A request's tag says what to do wrong and is echoed in the answer. It stands in the path, the query or the body, else in
the header `EP-Channel`, which the gateway passes on.
"""

import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Self, cast
from urllib.parse import unquote

from gateway.demo.data import PEOPLE, Person

TAG = re.compile(rb"t\d+x\d+x([a-z]+)")
OWNERS = {person.name.split(" ")[0].lower(): person for person in PEOPLE}
BY_ID = {person.id: person for person in PEOPLE}
# Of a relayed list; large enough to fill the buffers of a slow reader.
RECORDS = 400
LATER = 0.03


class Fault(StrEnum):
    """What goes wrong with the answer to a request; words without digits, for they stand in tags."""

    NONE = auto()
    FOREIGN = auto()
    """Another customer's record under the id that was asked for; in a list one among good ones."""
    UNFILTERED = auto()
    """Everybody's records, as if there were no filter."""
    INCLUDED = auto()
    """Another customer in `included`."""
    TELLING = auto()
    """An error whose text holds somebody else's data."""
    CUT = auto()
    """Half of the body, then the end of the connection."""
    RESET = auto()
    """Half of the body, then a reset."""
    CLOSED = auto()
    """The end of the connection instead of an answer."""
    CLOSING = auto()
    """An answer, and the end of the connection that nobody announced."""
    EXTRA = auto()
    """An answer, and behind it another that nobody asked for, with another customer's order."""
    GARBAGE = auto()
    """An answer, and behind it what is no HTTP."""
    FAILED = auto()
    """Status 500."""
    PAGE = auto()
    """Status 200 with a page."""
    EMPTY = auto()
    """Status 200 with nothing."""
    UNAUTHORIZED = auto()
    """Status 401 the first time."""
    SLOW = auto()
    """A good answer, later."""
    HALTING = auto()
    """A good answer in two pieces."""
    SHORT = auto()
    """A length that is too small, so that half of the body is left over."""
    LONG = auto()
    """A length that is too large; the connection stays open for a while."""
    TWOFOLD = auto()
    """Two lengths."""
    GZIP = auto()
    """A compressed body."""
    CHUNKED = auto()
    """A good body in chunks, with a trailer."""
    INTERIM = auto()
    """Two interim answers before the good one."""
    REDIRECT = auto()
    """A redirect to another customer's order."""


class Upstream:
    """The server; use with `async with`. `injected` counts the faults that were answered with."""

    def __init__(self) -> None:
        self.url = ""
        self.injected: Counter[Fault] = Counter()
        self.grants = 0
        self.unscoped: list[str] = []
        self.protocols: set[_Protocol] = set()
        self.seen: set[bytes] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Protocol(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self.close_connections()
            await self._server.wait_closed()

    def close_connections(self) -> None:
        """End every connection."""
        for protocol in list(self.protocols):
            protocol.transport.close()

    def answer(self, head: bytes, body: bytes) -> tuple[Fault, bytes, bytes, str]:
        """Return the fault of a request, its tag, the body of the good answer or of the wrong one, and its owner."""
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.split(b" ")
        if target == b"/oauth/access_token":
            self.grants += 1
            grant = {"access_token": f"bearer-of-the-storm-{self.grants}", "token_type": "Bearer", "expires_in": 3600}
            return Fault.NONE, b"", json.dumps(grant).encode(), ""
        found = TAG.search(target) or TAG.search(body) or TAG.search(rest)
        tag = found[0] if found else b""
        fault = Fault(found[1].decode()) if found else Fault.NONE
        record, owner = self._record(method, target.decode(), body, tag.decode(), fault)
        return fault, tag, json.dumps(record, separators=(",", ":")).encode(), owner

    def _record(self, method: bytes, target: str, body: bytes, tag: str, fault: Fault) -> tuple[Any, str]:
        path, _, query = target.partition("?")
        words = path.split("/")[2:]
        match words:
            case ["orders"]:
                return self._orders(query, tag, fault)
            case ["orders", ident, *part]:
                name = ident.partition(".")[0]
                return (_part(ident, name, part[0], tag) if part else {"data": _order(ident, name, fault)}), name
            case ["customers"]:
                return self._customers(query, tag, fault)
            case ["customers", ident, *part]:
                if ident not in BY_ID:
                    return {"data": None}, ""
                person = BY_ID[ident] if fault is not Fault.FOREIGN else _another(BY_ID[ident].name)
                if not part:
                    return {"data": _customer(person, tag)}, ident
                address = _address(person, part[1] if len(part) > 1 else "a1", tag, fault)
                return {"data": address if len(part) > 1 or method == b"POST" else [address]}, ident
            case ["carts", *rest]:
                return _cart(rest, body, tag, fault)
            case _:
                listed = [{"type": "product", "id": f"{tag}.{number}"} for number in range(RECORDS)]
                return {"data": {"type": "product", "id": words[-1]} if words[1:] else listed}, ""

    def _customers(self, query: str, tag: str, fault: Fault) -> tuple[Any, str]:
        owner = re.search(r"filter=eq\(id,([^)]*)\)", query)
        if (email := re.search(r"filter=eq\(email,([^)]*)\)", query)) is not None:
            # A login asks for whoever it is.
            return {"data": [_customer(one, tag) for one in PEOPLE if one.email == unquote(email[1])]}, ""
        if owner is None or owner[1] not in BY_ID:
            self.unscoped.append(query)
            return {"data": []}, ""
        people = list(PEOPLE) if fault is Fault.UNFILTERED else [BY_ID[owner[1]]]
        return {"data": [_customer(person, tag) for person in people]}, owner[1]

    def _orders(self, query: str, tag: str, fault: Fault) -> tuple[Any, str]:
        found = re.search(r"filter=eq\(customer_id,([^)]*)\)", query)
        owner = found[1] if found else ""
        if owner not in BY_ID:
            self.unscoped.append(query)
            return {"data": []}, ""
        name = BY_ID[owner].name.split(" ")[0].lower()
        names = list(OWNERS) if fault is Fault.UNFILTERED else [name] * 2
        if fault is Fault.FOREIGN:
            names[1] = _another(name).name.split(" ")[0].lower()
        listed: dict[str, Any] = {"data": [_order(f"{one}.{tag}", one, Fault.NONE) for one in names]}
        if fault is Fault.INCLUDED:
            listed["included"] = {"customers": [_customer(_another(name), tag)]}
        return {**listed, "meta": {"results": {"total": len(names)}}, "links": {}}, name


def _another(name: str) -> Person:
    """Return a customer of another name."""
    return next(person for person in PEOPLE if not person.name.lower().startswith(name.lower()))


def _order(ident: str, name: str, fault: Fault) -> dict[str, Any]:
    if fault is Fault.FOREIGN:
        name = _another(name).name.split(" ")[0].lower()
    person = OWNERS.get(name)
    owner = {"customer": {"data": {"type": "customer", "id": person.id}}} if person else {}
    return {
        "type": "order",
        "id": ident,
        "status": "complete",
        "order_number": ident.partition(".")[2],
        "external_ref": person.canary if person else "",
        "relationships": {**owner, "items": {"data": [{"type": "item", "id": f"i-{ident}"}]}},
    }


def _cart(words: list[str], body: bytes, tag: str, fault: Fault) -> tuple[Any, str]:
    """Return the order that a checkout makes, or the items of a cart."""
    if words[-1] != "checkout":
        return {"data": [{"type": "cart_item", "id": tag, "name": tag}], "meta": {}}, ""
    owner = json.loads(body)["data"]["customer"].get("id")
    name = BY_ID[owner].name.split(" ")[0].lower() if owner else "guest"
    return {"data": _order(f"{name}.{tag}", name, fault)}, name


def _part(ident: str, name: str, part: str, tag: str) -> Any:
    """Return the items, the transactions or the new transaction of an order."""
    person = OWNERS.get(name)
    record = {
        "type": {"items": "order_item"}.get(part, "transaction"),
        "id": f"i-{ident}",
        "reference": person.canary if person else "",
        "name": tag,
        "relationships": {"order": {"data": {"type": "order", "id": ident}}},
    }
    return {"data": record if part == "payments" else [record]}


def _customer(person: Person, tag: str) -> dict[str, Any]:
    return {"type": "customer", "id": person.id, "name": tag, "email": person.email, "external_ref": person.canary}


def _address(person: Person, ident: str, tag: str, fault: Fault) -> dict[str, Any]:
    owner = {"relationships": {"customer": {"data": {"id": person.id}}}} if fault is Fault.FOREIGN else {}
    return {"type": "address", "id": ident, "name": tag, "instructions": person.canary, **owner}


def _head(status: int, length: int, *lines: str, kind: str = "application/json") -> bytes:
    lines = (f"HTTP/1.1 {status} Said", f"content-type: {kind}", f"content-length: {length}", *lines, "", "")
    return "\r\n".join(lines).encode()


def _chunked(status: int, body: bytes) -> bytes:
    half = len(body) // 2
    head = b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\n" % status
    head += b"transfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n"
    parts = b"".join(b"%x;n=v\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return head + parts + b"0\r\nx-end: 1\r\n\r\n"


class _Protocol(asyncio.Protocol):
    """One connection: whole requests in, one after the other, answers out."""

    def __init__(self, upstream: Upstream) -> None:
        self.transport: asyncio.Transport
        self._upstream = upstream
        self._data = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = cast("asyncio.Transport", transport)
        self._upstream.protocols.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._upstream.protocols.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self._data += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        head, mark, rest = self._data.partition(b"\r\n\r\n")
        if not mark:
            return
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            if not rest.endswith(b"0\r\n\r\n"):
                return
            body, self._data = rest, b""
        else:
            found = re.search(rb"content-length: (\d+)", lower)
            size = int(found[1]) if found else 0
            if len(rest) < size:
                return
            body, self._data = rest[:size], rest[size:]
        status = 201 if head.startswith(b"POST") else 200
        self._say(status, *self._upstream.answer(head, body))

    def _say(self, status: int, fault: Fault, tag: bytes, body: bytes, owner: str) -> None:
        self._upstream.injected[fault] += 1
        good = _head(status, len(body)) + body
        if fault is Fault.UNAUTHORIZED and tag not in self._upstream.seen:
            self._upstream.seen.add(tag)
            good = _head(401, 2) + b"{}"
        other = _another(BY_ID[owner].name if owner in BY_ID else owner or "guest")
        answer = _Answer(status, body, good, other, is_owned=bool(owner))
        _ACTS.get(fault, _act_well)(self, answer)
        if self._data and not self._busy:
            self._next()

    def later(self, data: bytes) -> None:
        """Say the rest of an answer later; the next request waits for it."""
        self._busy = True

        def say() -> None:
            self._busy = False
            self.transport.write(data)
            self._next()

        asyncio.get_running_loop().call_later(LATER, say)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What would be answered, and another customer whose data has no place in it."""

    status: int
    body: bytes
    good: bytes
    other: Person
    is_owned: bool

    @property
    def half(self) -> int:
        """Where the body is cut."""
        return len(self.body) // 2

    def head(self, length: int, *lines: str) -> bytes:
        """Return the head of the answer with some length."""
        return _head(self.status, length, *lines)

    def unasked(self, status: int = 200) -> bytes:
        """Return a whole answer with the other customer's order."""
        record = _order("unasked", self.other.name.split(" ")[0].lower(), Fault.NONE)
        body = json.dumps({"data": record}).encode()
        return _head(status, len(body)) + body


_Act = Callable[[_Protocol, _Answer], None]


def _act_well(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.good)


def _tell(to: _Protocol, answer: _Answer) -> None:
    # Open routes pass the messages of errors on; there the upstream speaks of nobody.
    detail = answer.other.canary if answer.is_owned else "taken"
    body = json.dumps({"errors": [{"title": "Taken", "detail": detail}]}).encode()
    to.transport.write(_head(409, len(body)) + body)


def _cut(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.head(len(answer.body)) + answer.body[: answer.half])
    to.transport.close()


def _reset(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.head(len(answer.body)) + answer.body[: answer.half])
    to.transport.abort()


def _close(to: _Protocol, answer: _Answer) -> None:
    del answer
    to.transport.close()


def _close_after(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.good)
    to.transport.close()


def _halt(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.good[: -answer.half])
    to.later(answer.good[-answer.half :])


def _promise_too_much(to: _Protocol, answer: _Answer) -> None:
    to.transport.write(answer.head(len(answer.body) + 100) + answer.body)
    asyncio.get_running_loop().call_later(LATER, to.transport.close)


def _compress(to: _Protocol, answer: _Answer) -> None:
    packed = gzip.compress(answer.body, 1)
    to.transport.write(answer.head(len(packed), "content-encoding: gzip") + packed)


def _prepare(to: _Protocol, answer: _Answer) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    to.transport.write(interim + answer.good)


def _write(data: Callable[[_Answer], bytes]) -> _Act:
    return lambda to, answer: to.transport.write(data(answer))


_ACTS: Mapping[Fault, _Act] = {
    Fault.TELLING: _tell,
    Fault.CUT: _cut,
    Fault.RESET: _reset,
    Fault.CLOSED: _close,
    Fault.CLOSING: _close_after,
    Fault.EXTRA: _write(lambda answer: answer.good + answer.unasked()),
    Fault.GARBAGE: _write(lambda answer: answer.good + b"GARBAGE " + answer.other.canary.encode()),
    Fault.FAILED: _write(lambda answer: answer.unasked(500)),
    Fault.PAGE: _write(lambda _: _head(200, 15, kind="text/html") + b"<html>no</html>"),
    Fault.EMPTY: _write(lambda _: _head(200, 0)),
    Fault.SLOW: lambda to, answer: to.later(answer.good),
    Fault.HALTING: _halt,
    Fault.SHORT: _write(lambda answer: answer.head(answer.half) + answer.body),
    Fault.LONG: _promise_too_much,
    Fault.TWOFOLD: _write(lambda answer: answer.head(len(answer.body), f"content-length: {answer.half}") + answer.body),
    Fault.GZIP: _compress,
    Fault.CHUNKED: _write(lambda answer: _chunked(answer.status, answer.body)),
    Fault.INTERIM: _prepare,
    Fault.REDIRECT: _write(lambda _: _head(302, 0, "location: /v2/orders/april.x")),
}
