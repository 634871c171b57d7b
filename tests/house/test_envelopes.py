"""In every envelope, from door to door: to whom a record of nobody is shown, and who is said to have a password.

docs/configuration.md has what `owner` takes for nobody; none of it depends on where an API puts its records.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpRawServer

from gateway.config.compile import key_ring, snapshot
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.vocab.messages import Json
from gateway.wiring import Address, Gateway, now, running
from tests.canary_sweep import SWEEP
from tests.gateways import environment
from tests.sessions import session as lasting

OWN, FOREIGN = "7", "8"
TEXT = "canary-note-of-somebody"
MISSING = object()

CONFIG = """
version: 1
upstream: {{url: "${{env:UPSTREAM_URL}}", credential: {{kind: none}}}}
records: {{preset: {preset}}}
tokens: {{issuer: notes, audience: app, keys: ["${{file:${{env:GATEWAY_SIGNING_KEY_FILE}}}}"]}}
store: {{url: "${{env:GATEWAY_STORE_URL}}"}}
clients: {{require: false}}
customers: {{path: /people}}
routes:
  - name: notes
    path: /notes
    methods: [GET]
    access: {{customer: {{scope: [filter: {{field: customer}}], guard: [owner: {{pointer: {pointer}}}]}}}}
  - name: note
    path: /notes/{{nid}}
    methods: [GET]
    access: {{customer: {{guard: [owner: {{pointer: {pointer}}}]}}}}
  - name: people
    path: /people
    methods: [GET]
    passwords: show
    access: {{customer: {{scope: [filter: {{field: id}}], guard: [owner: {{pointer: /id}}]}}}}
  - name: person
    path: /people/{{id}}
    methods: [GET]
    passwords: show
    access: {{customer: {{scope: [path_owner: {{}}], guard: [owner: {{pointer: /id}}]}}}}
"""
# Where the path proves whose a record is it need not say so itself.
BELOW = """
  - name: own-notes
    path: /people/{{id}}/notes
    methods: [GET]
    access: {{customer: {{scope: [path_owner: {{}}], guard: [owner: &own {{pointer: {pointer}, required: false}}]}}}}
  - name: own-note
    path: /people/{{id}}/notes/{{nid}}
    methods: [GET]
    access: {{customer: {{scope: [path_owner: {{}}], guard: [owner: *own, identity: {{parameter: nid}}]}}}}
"""


@dataclass(frozen=True)
class Envelope:
    """How an API writes a record with these fields and this owner, a list of them, and a single one."""

    pointer: str
    ident: Callable[[str], Any]
    listed: Callable[[list[Json]], Any]
    single: Callable[[Json], Any]

    @property
    def is_reference(self) -> bool:
        """Whether an owner is a relationship."""
        return self.pointer.startswith("/relationships")

    def note(self, owner: object) -> Json:
        """Return a record with something at the place of its owner."""
        note = self.record("5", text=TEXT)
        if self.is_reference:
            return note if owner is MISSING else {**note, "relationships": {"customer": {"data": owner}}}
        return note if owner is MISSING else {**note, self.pointer[1:]: owner}

    def owned(self, customer_id: str) -> Json:
        """Return a record of a customer."""
        ident = self.ident(customer_id)
        return self.note({"type": "customers", "id": ident} if self.is_reference else ident)

    def record(self, ident: str, **fields: object) -> Json:
        """Return a record of no kind in particular."""
        return {"id": self.ident(ident), **fields}


class Typed(Envelope):
    """JSON:API: records have a type, and fields of their own place."""

    def record(self, ident: str, **fields: object) -> Json:
        """Return a record."""
        return {"type": "things", "id": ident, "attributes": fields}


def wrapped(records: Any) -> Any:
    """Put records into `data`."""
    return {"data": records}


def counted(records: list[Json]) -> Json:
    """Return a page of Django REST framework's."""
    return {"count": len(records), "next": None, "previous": None, "results": records}


def bare(records: Any) -> Any:
    """Put records into nothing."""
    return records


# In which records are told from anything else that names nobody.
WRAPPED = ("moltin", "jsonapi")
REFERENCE = "/relationships/customer/data/id"
ENVELOPES = {
    "moltin": Envelope(REFERENCE, str, wrapped, wrapped),
    "jsonapi": Typed(REFERENCE, str, wrapped, wrapped),
    "rest": Envelope("/customer", str, bare, bare),
    "drf": Envelope("/customer", int, counted, bare),
    "postgrest": Envelope("/customer", int, bare, lambda record: [record]),
}
# What names nobody, and what only looks so: a place that has to hold an id, or a relationship, and holds none.
NOBODY = {"null": None, "missing": MISSING, "text": "", "array": [], "object": {}}
# An empty relationship is nobody's, also as PHP writes it.
OF_NOBODY = {"null", "missing", "array", "object"}


class Door:
    """A gateway in front of an API that answers everything with one document."""

    def __init__(self, envelope: Envelope, gateway: Gateway, session: aiohttp.ClientSession, token: str) -> None:
        self.envelope = envelope
        self.gateway = gateway
        self.answer: Any = None
        self._session = session
        self._token = token

    async def get(self, path: str, answer: Any) -> tuple[int, Any, str]:
        """Ask as the customer, the API being about to answer this; return status, document and text of the reply."""
        self.answer = answer
        url, line = f"http://{self.gateway.listen}{path}", {"X-Moltin-Customer-Token": self._token}
        async with self._session.get(url, headers=line) as reply:
            return reply.status, await reply.json(content_type=None), await reply.text()


@asynccontextmanager
async def opened(preset: str, server: AiohttpRawServer, folder: Path) -> AsyncIterator[Door]:
    """Run both."""
    doors: list[Door] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        del request
        return web.json_response(doors[0].answer)

    envelope, file = ENVELOPES[preset], folder / "gateway.yaml"
    url = str((await server(answer)).make_url("")).rstrip("/")
    text = CONFIG + (BELOW if preset in WRAPPED else "")
    file.write_text(text.format(preset=preset, pointer=envelope.pointer))
    config = load(file, environment(folder, url))
    token, _, _ = snapshot(config, key_ring(config)).callers.customers.mint(lasting(OWN), now(), 3600)
    SWEEP.name("a customer token", token)
    with (folder / "log").open("w") as log:
        async with (
            running(config, Address("127.0.0.1", 0), Address("127.0.0.1", 0), log=log) as gateway,
            aiohttp.ClientSession() as session,
        ):
            doors.append(Door(envelope, gateway, session, token))
            yield doors[0]
    SWEEP.search("envelopes", {"log": (folder / "log").read_text()})


@pytest.fixture(params=ENVELOPES)
async def door(
    request: pytest.FixtureRequest, aiohttp_raw_server: AiohttpRawServer, tmp_path: Path
) -> AsyncIterator[Door]:
    """Give a gateway in front of each envelope."""
    async with opened(request.param, aiohttp_raw_server, tmp_path) as one:
        yield one


async def test_the_customers_own_records_are_shown(door: Door) -> None:
    """And a stranger's are not; else nothing below would say anything."""
    own, foreign = door.envelope.owned(OWN), door.envelope.owned(FOREIGN)
    for below in ("", f"/people/{OWN}") if door.envelope.is_reference else ("",):
        assert (await door.get(f"{below}/notes", door.envelope.listed([own])))[0] == 200
        assert (await door.get(f"{below}/notes/5", door.envelope.single(own)))[0] == 200
        assert (await door.get(f"{below}/notes", door.envelope.listed([own, foreign])))[0] == 502
        assert (await door.get(f"{below}/notes/5", door.envelope.single(foreign)))[0] == 404


@pytest.mark.parametrize("kind", NOBODY)
async def test_a_record_of_nobody_is_nobodys(door: Door, kind: str) -> None:
    """Where an owner is required none is shown: a list is withheld whole, a single one is as if it were not there."""
    guests = door.envelope.note(NOBODY[kind])
    for records in ([guests], [door.envelope.owned(OWN), guests]):
        status, document, text = await door.get("/notes", door.envelope.listed(records))
        assert (status, document["errors"][0]["code"] in {"GUARD_VIOLATION", "UPSTREAM_INVALID"}) == (502, True)
        assert TEXT not in text
    status, document, text = await door.get("/notes/5", door.envelope.single(guests))
    assert (status, document["errors"][0]["code"]) == (404, "RECORD_NOT_FOUND")
    assert TEXT not in text


@pytest.mark.parametrize("kind", NOBODY)
@pytest.mark.parametrize("preset", WRAPPED)
async def test_where_the_path_proves_whose_it_is(
    preset: str, kind: str, aiohttp_raw_server: AiohttpRawServer, tmp_path: Path
) -> None:
    """Then what names nobody is shown; what should name somebody, and cannot be read, is not."""
    async with opened(preset, aiohttp_raw_server, tmp_path) as door:
        await _judged_below(door, kind)


async def _judged_below(door: Door, kind: str) -> None:
    guests = door.envelope.note(NOBODY[kind])
    is_shown = kind in OF_NOBODY
    for records in ([guests], [door.envelope.owned(OWN), guests]):
        status, _, text = await door.get(f"/people/{OWN}/notes", door.envelope.listed(records))
        assert (status, TEXT in text) == ((200, True) if is_shown else (502, False))
    status, _, text = await door.get(f"/people/{OWN}/notes/5", door.envelope.single(guests))
    assert (status, TEXT in text) == ((200, True) if is_shown else (404, False))
    assert (await door.get(f"/people/{FOREIGN}/notes/5", door.envelope.single(guests)))[0] == 404


@pytest.mark.parametrize("preset", [preset for preset in ENVELOPES if preset not in WRAPPED])
def test_without_an_envelope_an_owner_is_required(preset: str, tmp_path: Path) -> None:
    """There anything that names nobody would be a record: such a file is refused."""
    file = tmp_path / "gateway.yaml"
    file.write_text((CONFIG + BELOW).format(preset=preset, pointer=ENVELOPES[preset].pointer))
    with pytest.raises(ConfigError, match="write required: true"):
        load(file, environment(tmp_path, "http://127.0.0.1:1"))


@pytest.mark.parametrize("has_password", [True, False])
@pytest.mark.parametrize("said", [{}, {"password": "canary-hash-of-the-api"}, {"password": True}])
async def test_who_has_a_password(door: Door, said: dict[str, object], *, has_password: bool) -> None:
    """It stands beside the customer's other fields, wherever they do, and is the store's word, not the API's."""
    if has_password:
        await door.gateway.store.set_password(OWN, "$argon2id$none")
    person = door.envelope.record(OWN, name="Ann", **said)
    shown = door.envelope.record(OWN, name="Ann", password=has_password)
    expected = door.envelope.single(shown)
    status, document, _ = await door.get(f"/people/{OWN}", door.envelope.single(person))
    assert (status, document) == (200, expected)
    status, document, _ = await door.get("/people", door.envelope.listed([person]))
    assert status == 200
    records = document["results"] if isinstance(document, dict) and "results" in document else document
    records = records["data"] if isinstance(records, dict) else records
    assert records == [shown]
