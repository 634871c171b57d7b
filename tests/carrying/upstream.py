"""An upstream that keeps records: it does what it is asked, counts what it did, and says what it is told to say."""

import asyncio
import json
import os
import re
import socket
import struct
from dataclasses import dataclass, field

from gateway.demo.answers import ShopAnswer, json_answer
from gateway.demo.data import LESLIE, RON
from gateway.vocab.messages import Json
from tests.carrying.case import Said
from tests.fakes.wire import Connection, MalformedRequestError, Recorded, answer_bytes, body_parts, read_head
from tests.gateways import UPSTREAM_SECRET, CanaryShop

# Long enough that a piece is a read of its own on a machine that is busy.
PAUSE = 0.002
# What is sent in one turn of a loop is read in the next; another one for what is called soon.
_TURNS = 3
_RESET = struct.pack("ii", 1, 0)

NOTES = {person: f"/v2/customers/{person.id}/notes" for person in (RON, LESLIE)}
BASKETS = "/v2/baskets"
_KEPT = re.compile(r"(?P<collection>/v2/customers/[^/]+/notes|/v2/baskets)(/(?P<id>[^/]+))?")
_SUCCESS = {"POST": 201}


class Records:
    """Notes of two customers and baskets of anybody; `did` tells what became of them, in order."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self._made = 0
        self._kept: dict[str, dict[str, Json]] = {}
        for collection, owner in ((NOTES[RON], RON.id), (NOTES[LESLIE], LESLIE.id), (BASKETS, "nobody")):
            self._add(collection, {"text": "first"}, owner)

    def _add(self, collection: str, fields: Json, owner: str) -> Json:
        self._made += 1
        kind = collection.rpartition("/")[2].removesuffix("s")
        record = {**fields, "type": kind, "id": f"{kind}{self._made}", "owner": owner, "version": 1}
        self._kept.setdefault(collection, {})[str(record["id"])] = record
        return record

    def answer(self, request: Recorded) -> ShopAnswer | None:
        """Do what is asked; None where it is about something else. A deleted record is shown once more."""
        match = _KEPT.fullmatch(request.path)
        if match is None:
            return None
        kept, ident, method = self._kept[match["collection"]], match["id"], request.method
        try:
            fields = json.loads(request.body or b"{}").get("data", {})
        except ValueError:
            return json_answer({"errors": [{"status": 400, "title": "Bad Request", "detail": "not JSON"}]}, 400)
        if ident is None and method == "POST":
            owner = match["collection"].split("/")[3] if "/customers/" in request.path else "nobody"
            record = self._add(match["collection"], fields, owner)
            self.did.append(f"created {record['id']}")
        elif ident is None:
            return json_answer({"data": [*kept.values()]})
        elif ident not in kept:
            self.did.append(f"missed {ident}")
            return json_answer({"errors": [{"status": 404, "title": "Not Found", "detail": "no such record"}]}, 404)
        elif method == "DELETE":
            record = kept.pop(ident)
            self.did.append(f"deleted {ident}")
        elif method in {"PUT", "PATCH", "POST"}:
            record = kept[ident]
            record |= {**fields, "version": record["version"] + 1}
            self.did.append(f"changed {ident} to version {record['version']}")
        else:
            record = kept[ident]
        return json_answer({"data": record}, _SUCCESS.get(method, 200) if ident is None else 200)


@dataclass(slots=True)
class Upstream:
    """Says what it is told, and the truth otherwise. `url` is where it is reached, once it runs."""

    shop: CanaryShop = field(default_factory=lambda: CanaryShop("canary-upstream-id", UPSTREAM_SECRET))
    url: str = ""
    bearers: set[str] = field(default_factory=set)
    """All that it has issued."""
    requests: list[Recorded] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    records: Records = field(default_factory=Records)
    said: int = 0
    ended: int = 0
    """How many connections it ended, or saw ended."""
    _says: tuple[Said, ...] = ()
    _used: list[int] = field(default_factory=list)
    _hurries: bool = False
    _busy: int = 0
    _count: int = 0
    _idle: dict[Connection, asyncio.StreamWriter] = field(default_factory=dict)

    def begin(self, *says: Said, hurries: bool = False) -> None:
        """Forget what came, put the records back, and say something else from now on.

        One that `hurries` has no pause between pieces: on a busy machine two may be read as one.
        """
        self._hurries = hurries
        self.requests, self.faults, self.records, self.said = [], [], Records(), 0
        self._says, self._used = says, [0] * len(says)

    @property
    def is_busy(self) -> bool:
        """Whether it is saying something."""
        return self._busy > 0

    def interject(self, said: bytes) -> None:
        """Say something at once on every connection that waits for its next request; nothing says that they end."""
        for writer in self._idle.values():
            # Past the loop, which would write in a moment of its own.
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as connection:
                if said:
                    connection.send(said)
                else:
                    connection.shutdown(socket.SHUT_WR)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self._count += 1
        connection = Connection(self._count)
        try:
            while True:
                self._idle[connection] = writer
                request = await read_head(reader, connection)
                del self._idle[connection]
                if request is None:
                    return
                self.requests.append(request)
                pieces = [(wire, payload) async for wire, payload in body_parts(reader, request)]
                request.body, request.complete = b"".join(payload for _, payload in pieces), True
                self._busy += 1
                try:
                    is_kept = await self._say(request, writer)
                finally:
                    self._busy -= 1
                if not is_kept:
                    return
        except MalformedRequestError as error:
            self.faults.append(str(error))
        finally:
            self._idle.pop(connection, None)
            self.ended += 1

    async def _say(self, request: Recorded, writer: asyncio.StreamWriter) -> bool:
        """Do what is asked and answer; tell whether the connection stays."""
        truth = self._truth(request)
        said = self._said_to(request)
        if said is None:
            writer.write(_without_body(truth) if request.method == "HEAD" else answer_bytes(truth))
            return True
        for number, piece in enumerate(said.pieces(truth) if callable(said.pieces) else said.pieces):
            if number:
                await (turns() if self._hurries else asyncio.sleep(PAUSE))
            writer.write(piece)
            await writer.drain()
        self.said += 1
        if said.end == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif said.end == "close":
            writer.close()
            await writer.wait_closed()
        return said.end == "open"

    def _said_to(self, request: Recorded) -> Said | None:
        for number, said in enumerate(self._says):
            is_meant = request.path.startswith(said.about) and (not request.is_grant or said.about == request.path)
            if is_meant and (said.times is None or self._used[number] < said.times):
                self._used[number] += 1
                return said
        return None

    def _truth(self, request: Recorded) -> ShopAnswer:
        if (answer := self.records.answer(request)) is not None:
            return answer
        method = request.method
        if request.is_grant or (method == "GET" and not request.path.startswith(("/v2/carts", "/catalog"))):
            headers = {name.lower(): value for name, value in request.headers}
            answer = self.shop.answer(method, request.path, request.query, headers, request.body)
            if request.is_grant:
                self.bearers.add(answer.json()["access_token"])
            return answer
        return ShopAnswer(204, [], b"") if method == "DELETE" else json_answer({"data": {"id": "it"}})


def _without_body(answer: ShopAnswer) -> bytes:
    return answer_bytes(answer).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


async def turns() -> None:
    """Let what was sent be read."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
