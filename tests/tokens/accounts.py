"""Registers and changes customers as clients do, plants what a crash leaves behind, counts what stores are asked."""

import gc
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.demo.data import stamp
from gateway.stores import CredentialStore, Registration
from gateway.tokens.admission import Admission, Work
from gateway.tokens.attempts import Attempts, Together
from gateway.tokens.directory import Directory
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.patience import Patience
from gateway.tokens.registration import Registrar
from gateway.tokens.throttle import Counted, Limit
from gateway.vocab.messages import Json
from gateway.vocab.refusals import Refusal
from tests.gateways import Answer, Site

ANN = "ann@perkins.example"
NAME = "Ann Perkins"
PASSWORD = "canary-ann-password"
OTHER = "canary-other-password"
# Seconds in which a registrar of its own asks again.
IMPATIENT = 0.4


def registrar(
    directory: Directory, store: CredentialStore, hasher: PasswordHasher, now: Callable[[], float]
) -> Registrar:
    """Make a registrar that accepts ten guesses."""
    together = Together(store, now, lambda _: None)
    attempts = Attempts("registered", Limit(10, 10), Limit(1000, 1000), Counted(100), together, now)
    return Registrar(directory, store, hasher, attempts, now, Patience(IMPATIENT))


def admission(store: CredentialStore) -> Admission:
    """Make what lets very many registrations of an address or e-mail, and changes of a customer, through."""
    together = Together(store, lambda: 0.0, lambda _: None)
    limit = Limit(1000, 1000)
    work = {one: Attempts(one, limit, limit, Counted(100), together, lambda: 0.0) for one in Work}
    return Admission(work, lambda _: None)


def customer(email: object = ANN, password: object = None, name: object = NAME, **fields: object) -> Json:
    """Return the body that registers or changes a customer; None leaves a field out."""
    data: Json = {"type": "customer", "name": name, "email": email, "password": password, **fields}
    return {"data": {key: value for key, value in data.items() if value is not None}}


async def register(site: Site, email: object = ANN, password: object = PASSWORD, **fields: object) -> Answer:
    """Register a customer as the storefront does."""
    return await site.public("POST", "/v2/customers", json=customer(email, password, **fields))


async def change(site: Site, token: str, customer_id: str, **fields: object) -> Answer:
    """Change a customer with the customer's own token."""
    return await site.public(
        "PUT",
        f"/v2/customers/{customer_id}",
        headers={"X-Moltin-Customer-Token": token},
        json={"data": {"type": "customer", **fields}},
    )


async def token_of(site: Site, email: str, password: str) -> str:
    """Log in, which succeeds."""
    answer = await site.login(email, password)
    assert answer.status == 201, answer.body
    return str(answer.json()["data"]["token"])


def store_of(site: Site) -> CredentialStore:
    """Return the store of a gateway."""
    return site.gateway.store


def hasher_of(site: Site) -> PasswordHasher:
    """Return the hasher of a gateway that has one."""
    assert site.gateway.hasher is not None
    return site.gateway.hasher


async def plant(
    site: Site, email: str = ANN, password: str = PASSWORD, *, name: str = NAME, age: float = 0
) -> Registration:
    """Leave the intent of a registration that broke off `age` seconds ago."""
    hashed = await hasher_of(site).hash(password)
    assert not isinstance(hashed, Refusal)
    intent = Registration(uuid.uuid4().hex, email, name, hashed, datetime.now(UTC).timestamp() - age)
    assert await store_of(site).begin(intent)
    return intent


def made(site: Site, email: str = ANN, name: str = NAME, *, age: float | None = 0) -> Json:
    """Put a customer into the upstream as somebody else does, made `age` seconds ago; None: it does not say when."""
    ident = str(uuid.uuid4())
    record: Json = {"type": "customer", "id": ident, "name": name, "email": email, "external_ref": None}
    record["meta"] = {"timestamps": {}}
    if age is not None:
        moment = stamp(datetime.now(UTC) - timedelta(seconds=age))
        record["meta"] = {"timestamps": {"created_at": moment, "updated_at": moment}}
    site.commerce.shop.customers[ident] = record
    return record


def asked(site: Site) -> list[tuple[str, str]]:
    """Return method and path of what the upstream was asked."""
    return [(request.method, request.path) for request in site.commerce.requests]


def same_headers(answer: Answer) -> dict[str, str]:
    """Return the headers of a reply that do not change with time."""
    changing = {"date", "x-request-id"}
    return {name.lower(): value for name, value in answer.headers.items() if name.lower() not in changing}


# Texts and numbers, which SQLite shows in their places.
_POLL = "numbers LEFT OUTER JOIN log_outs"
_VALUE = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL of this process meanwhile: of any engine, and of the connections by which SQLite is read."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    def note_read(sql: str) -> None:
        # Log-outs are asked for each second, whoever logs in meanwhile.
        if _POLL not in sql:
            seen.append(_VALUE.sub("?", sql))

    with ExitStack() as stack:
        event.listen(Engine, "before_cursor_execute", note)
        stack.callback(event.remove, Engine, "before_cursor_execute", note)
        for one in gc.get_objects():
            # Those that are not an engine's may be used from any thread.
            if isinstance(one, sqlite3.Connection):
                with suppress(sqlite3.ProgrammingError):
                    one.set_trace_callback(note_read)
                    stack.callback(one.set_trace_callback, None)
        yield seen
