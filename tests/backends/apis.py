"""Starts real API servers of other vendors, and says how each of them is spoken to."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.vocab.messages import Json
from gateway.wire.pointer import resolve
from tests.postgres import free_port

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
TOKEN = "canary-token-of-the-api"
LESLIE = "11111111-1111-4111-8111-111111111111"
# A cold start on a busy machine.
PATIENCE = 60.0
_DATABASE = {
    "customers": [{"id": 1, "name": "Leslie", "email": "leslie@knope.example"}],
    "orders": [{"id": 1, "customer_id": 1, "note": "only for leslie"}],
    "products": [{"id": 1, "name": "Waffle"}],
}


def _flat(kind: str, fields: Json, ident: Any = None) -> Json:
    del kind, ident
    return fields


def _jsonapi(kind: str, fields: Json, ident: Any = None) -> Json:
    known = {} if ident is None else {"id": ident}
    return {"data": {"type": kind, **known, "attributes": fields}}


@dataclass(frozen=True, slots=True)
class Api:
    """One API: the example in front of it, its command, what it prints when it is there, and how it speaks.

    `leslies` are the ids of a customer and an order that are there. `changes` is the method that changes a record.
    """

    example: str
    command: Callable[[int, Path], list[str]]
    is_there: str
    base: str
    end: str
    body: Callable[..., Json]
    list_at: tuple[str, ...]
    record_at: tuple[str, ...]
    fields_at: tuple[str, ...]
    owner_at: tuple[str, ...]
    leslies: tuple[str, str]
    order: Json
    page_one: str
    kind: str = "application/json"
    needs_node: bool = True

    def path(self, *segments: str) -> str:
        """Return a path of the API."""
        return "/".join((self.base, *segments)) + self.end

    def record(self, document: Any) -> Json:
        """Return the record of an answer, its fields beside its id."""
        return self.fields(resolve(document, self.record_at))

    def records(self, document: Any) -> list[Json]:
        """Return the records of a list."""
        return [self.fields(one) for one in resolve(document, self.list_at)]

    def fields(self, record: Any) -> Json:
        """Return a record with its fields, its id and its owner in one object."""
        owner = {"owner": str(resolve(record, self.owner_at))}
        return {**resolve(record, self.fields_at), "id": str(record["id"]), **owner}

    def obstacle(self) -> str | None:
        """Say why it cannot be started here, or None."""
        if not self.needs_node:
            return None
        if shutil.which("node") is None:
            return "no Node on this machine: the servers that need one are left out"
        return None if MODULES.is_dir() else "the servers are not installed: `make clients` installs them"


def _json_server(port: int, folder: Path) -> list[str]:
    database = folder / "db.json"
    database.write_text(json.dumps(_DATABASE))
    return ["node", str(MODULES / "json-server" / "lib" / "cli" / "bin.js"), "--port", str(port), str(database)]


APIS = (
    Api(
        example="rest", command=_json_server, is_there="Home", base="", end="", body=_flat, list_at=(), record_at=(),
        fields_at=(), owner_at=("customer_id",), leslies=("1", "1"), order={"note": "mine"},
        page_one="_page=1&_limit=2",
    ),
    Api(
        example="django-rest", command=lambda port, _: [sys.executable, str(HERE / "django_shop.py"), str(port), TOKEN],
        is_there="there", base="/api", end="/", body=_flat, list_at=("results",), record_at=(), fields_at=(),
        owner_at=("customer",), leslies=("1", "1"), order={"note": "mine", "total": "5.00"}, page_one="page=1",
        needs_node=False,
    ),
    Api(
        example="jsonapi", command=lambda port, _: ["node", str(HERE / "jsonapi.js"), str(port)], is_there="there",
        base="", end="", body=_jsonapi, list_at=("data",), record_at=("data",), fields_at=("attributes",),
        owner_at=("relationships", "customer", "data", "id"),
        leslies=(LESLIE, "22222222-2222-4222-8222-222222222222"), order={"note": "mine"},
        page_one="sort=note", kind="application/vnd.api+json",
    ),
)  # fmt: skip


@asynccontextmanager
async def serving(api: Api, folder: Path) -> AsyncIterator[str]:
    """Run an API and give its URL."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *api.command(port, folder), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=HERE
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not said or api.is_there not in said[-1]:
                line = await process.stdout.readline()
                assert line, said
                said.append(line.decode())
        rest = asyncio.create_task(_drained(process.stdout))  # noqa: TID251 - ended below
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await rest


async def _drained(stream: asyncio.StreamReader) -> None:
    """Read what a server prints, so that it never waits for a reader."""
    while await stream.readline():
        pass
