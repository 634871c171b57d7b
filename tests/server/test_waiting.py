"""Waiting costs a task, and nothing else does: what can be decided at once makes none, what cannot makes one."""

import asyncio
import json
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import gateway
from gateway.demo.data import DEMO_PASSWORDS, LESLIE_ID, RON, RON_ID
from tests.fakes.commerce import Fault, at
from tests.gateways import STOREFRONT, Site
from tests.server.raw import RawReply, connected, until
from tests.server.stage import done

if TYPE_CHECKING:
    from types import CoroutineType

OURS = str(Path(gateway.__file__).parent)
WAIT, UPLOAD = "Exchange._wait", "upload"
JSON = "Content-Type: application/json"
ADDRESSES = f"/v2/customers/{RON_ID}/addresses"
ADDRESS = json.dumps(
    {"data": {"type": "address", "name": "x", "first_name": "R", "last_name": "S", "line_1": "1", "postcode": "1",
              "county": "x", "country": "US"}}
).encode()  # fmt: skip
ITEM = b'{"data":{"type":"cart_item","id":"x","quantity":1}}'
LOGIN = json.dumps({"data": {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}}).encode()


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the names of what tasks are made of meanwhile, of those that the gateway makes."""
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def make(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any
    ) -> asyncio.Task[Any]:
        coroutine = cast("CoroutineType[Any, Any, Any]", work)
        if coroutine.cr_code.co_filename.startswith(OURS):
            made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(make)
    try:
        yield made
    finally:
        loop.set_task_factory(None)


@dataclass(frozen=True)
class Ask:
    """A request, by a customer or not; `late` sends its body when the request is under way."""

    method: str
    target: str
    status: int
    body: bytes = b""
    lines: tuple[str, ...] = ()
    is_customer: bool = True
    late: bool = False
    makes: tuple[str, ...] = field(default=())


async def proofs(site: Site, *, is_customer: bool) -> list[str]:
    """Return the lines that say who asks."""
    lines = [f"Authorization: Bearer {await site.bearer()}"]
    return [*lines, f"X-Moltin-Customer-Token: {await site.token(RON.email)}"] if is_customer else lines


async def carried(site: Site, ask: Ask) -> tuple[RawReply, list[str]]:
    """Send a request on a connection of its own, with an upstream connection at rest; return the tasks that it took."""
    lines = await proofs(site, is_customer=ask.is_customer)
    # So that none has to be made, and the credential is there.
    assert (await site.public("GET", "/v2/brands")).status == 200
    async with connected(site) as client:
        begun = len(await done(site))
        head = "\r\n".join(
            [f"{ask.method} {ask.target} HTTP/1.1", "Host: x", *lines, *ask.lines]
            + ([f"Content-Length: {len(ask.body)}"] if ask.body else [])
        )
        with counted() as made:
            if ask.late:
                client.send(head + "\r\n\r\n")
                await until(lambda: bool(made))
                client.send(ask.body)
            else:
                client.send(head.encode() + b"\r\n\r\n" + ask.body)
            reply = await client.reply(to_head=ask.method == "HEAD")
            await done(site, begun + 1)
    return reply, made


AT_ONCE = {
    "an open GET": Ask("GET", "/v2/products", 200, is_customer=False),
    "an open HEAD": Ask("HEAD", "/v2/products", 200, is_customer=False),
    "a scoped list": Ask("GET", ADDRESSES, 200),
    "a scoped list with a filter": Ask("GET", "/v2/orders?filter=eq(status,complete)", 200),
    "a scoped HEAD": Ask("HEAD", ADDRESSES, 200),
    "somebody else's record": Ask("GET", f"/v2/customers/{LESLIE_ID}/addresses", 404),
    "a record that is not there": Ask("GET", "/v2/orders/nowhere", 404),
    "a POST that came with its head": Ask("POST", ADDRESSES, 201, ADDRESS, (JSON,)),
    "a small upload": Ask("POST", "/v2/carts/waiting/items", 404, ITEM, (JSON,), is_customer=False),
    "a DELETE": Ask("DELETE", "/v2/carts/waiting", 204, is_customer=False),
    "a bearer by form": Ask(
        "POST",
        "/oauth/access_token",
        200,
        f"grant_type=implicit&client_id={STOREFRONT}".encode(),
        ("Content-Type: application/x-www-form-urlencoded",),
        is_customer=False,
    ),
    "the public keys": Ask("GET", "/.well-known/jwks.json", 200, is_customer=False),
    "a preflight": Ask(
        "OPTIONS", "/v2/orders", 204, lines=("Origin: https://x.example", "Access-Control-Request-Method: GET")
    ),
    "no route": Ask("GET", "/nowhere", 404),
    "a body that is no JSON": Ask("POST", ADDRESSES, 400, b"{", (JSON,)),
    "a body that is too large": Ask("POST", ADDRESSES, 413, b" " * 300_000, (JSON,)),
}


@pytest.mark.parametrize("name", AT_ONCE)
async def test_what_need_not_wait_makes_no_task(site: Site, name: str) -> None:
    """From its head to the last byte of its reply it is carried by callbacks alone."""
    ask = AT_ONCE[name]
    reply, made = await carried(site, ask)
    assert (reply.status, made) == (ask.status, [])


LATER = {
    "a body that comes later": Ask("POST", ADDRESSES, 201, ADDRESS, (JSON,), late=True, makes=(WAIT,)),
    "a small upload that comes later": Ask(
        "POST", "/v2/carts/waiting/items", 404, ITEM, (JSON,), is_customer=False, late=True, makes=(WAIT,)
    ),
    "a form that comes later": Ask(
        "POST",
        "/oauth/access_token",
        200,
        f"grant_type=implicit&client_id={STOREFRONT}".encode(),
        ("Content-Type: application/x-www-form-urlencoded",),
        is_customer=False,
        late=True,
        makes=(WAIT,),
    ),
    "a login": Ask("POST", "/v2/customers/tokens", 201, LOGIN, (JSON,), is_customer=False, makes=(WAIT,)),
    "who has a password": Ask("GET", f"/v2/customers/{RON_ID}", 200, makes=(WAIT,)),
    "a large upload": Ask(
        "POST", "/v2/carts/waiting/items", 404, b" " * 70_000 + ITEM, (JSON,), is_customer=False, makes=(UPLOAD,)
    ),
}


@pytest.mark.parametrize("name", LATER)
async def test_what_must_wait_makes_one_task(site: Site, name: str) -> None:
    """However much is awaited."""
    ask = LATER[name]
    reply, made = await carried(site, ask)
    assert reply.status == ask.status
    assert tuple(one for one in made if one in {WAIT, UPLOAD}) == ask.makes


async def test_a_look_up_is_waited_for_once(site: Site) -> None:
    """A parent is looked up in a task; while it is remembered none is made."""
    mine = (await site.customer(RON.email, "GET", "/v2/orders")).json()["data"][0]["id"]
    ask = Ask("GET", f"/v2/orders/{mine}/items", 200)
    reply, made = await carried(site, ask)
    assert reply.status == 200
    assert made.count(WAIT) == 1
    site.commerce.forget()
    site.commerce.fault(Fault.SILENT, when=at(f"/v2/orders/{mine}"))
    reply, made = await carried(site, ask)
    assert reply.status == 200
    assert made.count(WAIT) <= 1


# --- Clients that leave while something is awaited --------------------------------------------------------------------


async def test_a_client_that_leaves_ends_the_wait(site: Site) -> None:
    """Nothing is awaited for nobody: the task ends with its client's connection, wherever it stood."""
    lines = await proofs(site, is_customer=True)
    mine = (await site.customer(RON.email, "GET", "/v2/orders")).json()["data"][0]["id"]
    site.commerce.fault(Fault.SILENT, when=at(f"/v2/orders/{mine}"))

    def waiting() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "deciding"]

    for method, target, more in (
        ("GET", f"/v2/orders/{mine}/items", ()),
        ("POST", ADDRESSES, (JSON, "Content-Length: 100")),
    ):
        async with connected(site) as client:
            client.ask(method, target, *lines, *more)
            await until(lambda: len(waiting()) == 1)
            client.leave()
            await until(lambda: not waiting())
    async with asyncio.timeout(5):
        await site.gateway.edge.drained()
    assert [line["status"] for line in await done(site)][-2:] == [499, 499]
    assert not [line for line in site.log_lines() if line["event"] == "failed"]


async def test_a_password_that_is_being_kept_is_kept(site: Site) -> None:
    """What must not be half done is finished although its client has left: here, name and password change together."""
    lines = await proofs(site, is_customer=True)
    before = await site.gateway.store.password_hash(RON_ID)
    gate = asyncio.Event()
    own = f"/v2/customers/{RON_ID}"
    site.commerce.fault(Fault.SLOW_HEAD, when=at(own, "PUT"), gate=gate, times=1)
    body = json.dumps(
        {"data": {"type": "customer", "name": "Duke Silver", "password": "canary-other-password"}}
    ).encode()
    async with connected(site) as client:
        client.ask("PUT", own, *lines, JSON, body=body)
        await site.commerce.wait(lambda: any(request.method == "PUT" for request in site.commerce.requests))
        client.leave()
        await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "deciding"])
        async with asyncio.timeout(5):
            await site.gateway.edge.drained()
    gate.set()
    while await site.gateway.store.password_hash(RON_ID) == before:  # noqa: ASYNC110 - each look waits for the store
        await asyncio.sleep(0)
    assert site.commerce.shop.customers[RON_ID]["name"] == "Duke Silver"
    assert (await site.login(RON.email, "canary-other-password")).status == 201
