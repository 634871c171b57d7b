"""The prover knows nothing of Moltin: another backend, another dialect, other words, with an operator's seed file."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpRawServer

from gateway.config.load import load
from gateway.verify import recipes
from gateway.verify.gate import Access
from gateway.verify.run import Options, Run, prove
from gateway.wiring import Address, running
from tests.gateways import environment
from tests.verify.proving import found, leaky_routes, silent

SEEDS = """
requests:
  - {path: /notes, body: {data: {text: "${canary}", colour: blue}}}
"""

CONFIG = """
version: 1
upstream: {url: "${env:UPSTREAM_URL}", credential: {client_id: x, client_secret: "${env:UPSTREAM_CLIENT_SECRET}"}}
tokens: {issuer: notes, audience: app, keys: ["${file:${env:GATEWAY_SIGNING_KEY_FILE}}"]}
store: {url: "${env:GATEWAY_STORE_URL}"}
clients: {require: false}
customers: {path: /people, login_path: /session, verify: upstream, dialect: jsonapi}
routes:
  - name: people-register
    path: /people
    methods: [POST]
    passwords: register
    access: {public: {scope: [{body_fields: {allow: [type, name, email, password]}}]}}
  - name: person
    path: /people/{id}
    methods: [GET, DELETE]
    access: {customer: {scope: [{path_owner: {parameter: id}}], guard: [{owner: {pointer: /id}}]}}
  - name: notes
    path: /notes
    methods: [GET]
    query: [sort]
    access:
      customer:
        scope: [{filter: {field: owner, dialect: jsonapi}}]
        guard: [{owner: {pointer: /owner}}]
  - name: note-create
    path: /notes
    methods: [POST]
    access:
      customer:
        scope: [{body_fields: {allow: [text, colour]}}, {body_stamp: {pointer: /data/author}}]
        guard: [{owner: {pointer: /owner}}]
  - name: note
    path: /notes/{nid}
    methods: [GET]
    access: NOTE
"""
GUARDED = "{customer: {guard: [{owner: {pointer: /owner}}]}}"


class Notes:
    """A small backend that keeps people and their notes, and trusts whoever asks."""

    def __init__(self) -> None:
        self.calls_them = "people"
        self.people: dict[str, dict[str, Any]] = {}
        self.passwords: dict[str, str] = {}
        self.notes: dict[str, dict[str, Any]] = {}
        self._ids = itertools.count(1)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer any request."""
        match request.method, self._path(request):
            case "POST", ["oauth", "access_token"]:
                return web.json_response({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
            case "POST", ["session"]:
                data = (await request.json())["data"]
                ids = [ident for ident, one in self.people.items() if one["email"] == data["email"]]
                if not ids or self.passwords[ids[0]] != data["password"]:
                    return web.json_response({"errors": [{"title": "no"}]}, status=404)
                return web.json_response({"data": {"customer_id": ids[0], "token": "x"}})
            case "POST", ["people"]:
                data = (await request.json())["data"]
                ident = f"person-{next(self._ids)}"
                self.passwords[ident] = data.pop("password")
                self.people[ident] = {**data, "id": ident}
                return web.json_response({"data": self.people[ident]}, status=201)
            case "POST", ["notes"]:
                data = (await request.json())["data"]
                ident = f"note-{next(self._ids)}"
                self.notes[ident] = {"id": ident, "owner": data.pop("author")["id"], **data}
                return web.json_response({"data": self.notes[ident]}, status=201)
            case "GET", ["notes"]:
                owner = request.query.get("filter[owner]")
                return web.json_response(
                    {"data": [one for one in self.notes.values() if owner in {None, one["owner"]}]}
                )
            case method, [kind, ident] if kind in {"people", "notes"}:
                kept = self.people if kind == "people" else self.notes
                if ident not in kept:
                    return web.json_response({"errors": [{"title": "Not Found"}]}, status=404)
                if method == "DELETE":
                    del kept[ident]
                    return web.Response(status=204)
                return web.json_response({"data": kept[ident]})
        return web.json_response({"errors": [{"title": "Not Found"}]}, status=404)

    def _path(self, request: web.BaseRequest) -> list[str]:
        """Return the segments of a path, by what the people are called here."""
        kind, *rest = request.path.strip("/").split("/")
        if kind in {"people", "folk"}:
            kind = "people" if kind == self.calls_them else "nobody"
        return [kind, *rest]


@pytest.fixture
def notes() -> Notes:
    """Give an empty backend."""
    return Notes()


@pytest.fixture
async def url(notes: Notes, aiohttp_raw_server: AiohttpRawServer) -> str:
    """Run the backend and give its URL."""
    server = await aiohttp_raw_server(notes.answer)
    return str(server.make_url("")).rstrip("/")


async def attacked(url: str, folder: Path, access: str, config_text: str = CONFIG) -> Run:
    """Run a gateway in front of the backend, with this access to single notes, and attack it."""
    file, seed = folder / "notes.yaml", folder / "seed.yaml"
    reason = '\n    insecure_unproven: "broken on purpose"'
    file.write_text(config_text.replace("NOTE", access + (reason if access != GUARDED else "")))
    seed.write_text(SEEDS)
    config = load(file, environment(folder, url))
    with (folder / "log").open("w") as log:
        async with running(config, Address("127.0.0.1", 0), Address("127.0.0.1", 0), log=log) as gateway:
            options = Options(concurrency=4)
            return await prove(f"http://{gateway.listen}", config, recipes.load(seed), Access(None), options, silent)


async def test_a_sound_file_holds(notes: Notes, url: str, tmp_path: Path) -> None:
    """No leak, filters in the dialect of the file, customers gone afterwards without any trusted client."""
    proof = await attacked(url, tmp_path, GUARDED)
    assert proof.leaks == []
    assert dict(proof.protected) == {"person": 1, "notes": 1, "note": 1}
    assert notes.people == {}
    tried = {cell.vector for cell, tally in proof.outcome.tallies.items() if cell.route == "notes" and tally.sent}
    assert {"filter-foreign", "filter-or", "filter-hidden"} <= tried


async def test_customers_are_found_by_the_path_that_clients_know(notes: Notes, url: str, tmp_path: Path) -> None:
    """Where the backend has them elsewhere they are made, walked, attacked and deleted by the public path alone."""
    notes.calls_them = "folk"
    elsewhere = CONFIG.replace("customers: {path: /people", "customers: {path: /folk")
    for path in ("/people", "/people/{id}"):
        there = path.replace("people", "folk")
        elsewhere = elsewhere.replace(f"path: {path}\n", f"path: {path}\n    upstream_path: {there}\n")
    proof = await attacked(url, tmp_path, GUARDED, elsewhere)
    assert proof.leaks == []
    assert dict(proof.protected) == {"person": 1, "notes": 1, "note": 1}
    assert notes.people == {}


async def test_an_open_note_is_found(url: str, tmp_path: Path) -> None:
    """A note that is relayed to any customer is a leak, found by an id that B's list showed."""
    proof = await attacked(url, tmp_path, "{customer: open}")
    assert ("note", "foreign-id") in found(proof)
    assert leaky_routes(proof) == {"note"}


async def test_an_open_note_is_found_by_strangers(url: str, tmp_path: Path) -> None:
    """Also where nobody needs to log in."""
    proof = await attacked(url, tmp_path, "{public: open, customer: open}")
    assert "anonymous" in {leak.cell.caller for leak in proof.leaks}
