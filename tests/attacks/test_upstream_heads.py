"""Statuses and headers of an upstream that misbehaves (D2.8, D5.7): none leads anywhere, none leaves."""

from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from gateway.demo.data import LESLIE, RON
from tests.attacks.field import ON_ONE_LOOP, every
from tests.attacks.upstream import (
    CANARY,
    JSON,
    LIST,
    WAYS,
    Siege,
    Way,
    answer,
    assert_failed,
    assert_own_or_failed,
    assert_unjudged,
    assert_withheld,
    body_of,
    foreign_list,
    framed,
    record,
    statuses,
    writes,
)
from tests.fakes.commerce import Commerce

pytestmark = ON_ONE_LOOP


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere() -> AsyncIterator[Commerce]:
    """Give a server that nobody may ask for anything."""
    async with Commerce() as commerce:
        yield commerce
        assert commerce.connections == []


# --- Statuses ---------------------------------------------------------------------------------------------------------


UNEXPECTED = statuses(
    101, 203, 205, 206, 207, 208, 214, 226, 250, 299, 300, 301, 302, 303, 304, 305, 307, 308, 399, 600, 700, 999
)


@every(status=UNEXPECTED, way=WAYS)
async def test_statuses_that_nobody_expects(siege: Siege, status: int, way: Way) -> None:
    """Of successes only 200, 201, 202 and 204 are known: a part, a multiple, a cached or a moved one is withheld."""
    said = answer(way.document(way.foreign), status, ("content-range", "bytes 0-9/10"), ("location", way.path))
    suffered = await siege.suffer(way, said, close=True)
    # A body behind a 304 is no part of it: the connection is out of step.
    if status in {101, 304} or status >= 500:
        assert_failed(suffered)
    else:
        assert_unjudged(suffered)


@every(status=statuses(304, 204, 205, 101), way=["orders-list", "order", "customer-delete"])
async def test_bodies_where_there_is_none(siege: Siege, status: int, way: str) -> None:
    """What stands behind an answer that has no body is nobody's answer (D5.1 response side)."""
    said = framed(b"", status) + foreign_list()
    suffered = await siege.suffer(WAYS[way], said, close=status == 205)
    if status == 101:
        assert_failed(suffered)
    elif suffered.status != 204:
        assert_unjudged(suffered)
    assert await siege.is_sound()


INTERIM = {
    "one": b"HTTP/1.1 100 Continue\r\n\r\n",
    "hints": f"HTTP/1.1 103 Early Hints\r\nlink: </v2/customers/{LESLIE.id}>\r\n\r\n".encode(),
    "fifty": b"HTTP/1.1 102 Processing\r\n\r\n" * 50,
    "a flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "with a length": b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n",
    "with a body": b"HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\n\r\nhello",
}


@every(interim=INTERIM, whose=["own", "foreign"])
async def test_interim_answers(siege: Siege, interim: bytes, whose: str) -> None:
    """Interim answers are passed over and end (D5.7: 1xx flood); what they say reaches nobody."""
    said = interim + (answer(body_of(LIST)) if whose == "own" else foreign_list())
    suffered = await siege.suffer(LIST, said, close=True)
    if whose == "own":
        assert_own_or_failed(suffered)
    else:
        assert_failed(suffered)
    assert await siege.is_sound()


PLACES: dict[str, Callable[[str], str]] = {
    "absolute": lambda url: f"{url}/v2/orders",
    "without scheme": lambda url: url.replace("http:", "") + "/v2/orders",
    "with a user": lambda url: url.replace("http://", "http://user:word@") + "/v2/orders",
    "upper case": lambda url: url.replace("http", "HTTP"),
}


@every(
    status=statuses(300, 301, 302, 303, 305, 307, 308, 201, 200),
    place=PLACES,
    way=["orders-list", "customer-change", "customer-delete", "order-payments"],
)
async def test_cve_2026_41181_redirects(
    siege: Siege, elsewhere: Commerce, status: int, place: Callable[[str], str], way: str
) -> None:
    """No redirect is followed, so our bearer is shown to nobody but the upstream (D2.8)."""
    where = place(elsewhere.url)
    headers = [
        ("location", where),
        ("content-location", where),
        ("refresh", f"0; url={where}"),
        ("link", f"<{where}>; rel=next"),
        ("alt-svc", f'h2="{where}"'),
        ("uri", where),
    ]
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document(), status, *headers))
    assert elsewhere.connections == []
    assert elsewhere.url.encode() not in suffered.raw
    if status >= 300:
        assert_failed(suffered)


@every(status=statuses(302, 307, 308))
async def test_redirects_of_look_ups_and_relays(siege: Siege, elsewhere: Commerce, status: int) -> None:
    """Nor is one followed for a look-up of our own, or on a route that is open."""
    said = answer({"data": record("order", RON)}, status, ("location", f"{elsewhere.url}/v2/orders"))
    way = WAYS["order-payments"]
    suffered = await siege.suffer(way, said, when=way.looks_up)
    assert_withheld(suffered, 404)
    assert writes(suffered) == []
    siege.commerce.forget()
    siege.commerce.script(lambda _: True, said)
    await siege.ask(Way("GET", "/v2/products", "product"), "public")
    await siege.site.login(RON.email, "x")
    assert elsewhere.connections == []


# --- Heads ------------------------------------------------------------------------------------------------------------


HEADS: dict[str, tuple[str, ...]] = {
    "a cookie": (f"set-cookie: session={CANARY}; Path=/; Domain=shop.example",),
    "many cookies": tuple(f"set-cookie: a{number}={CANARY}" for number in range(100)),
    "a cookie that cannot be read": (f'set-cookie: {CANARY}="\\', f"set-cookie: ={LESLIE.email}; expires=x"),
    "a cookie of odd letters": (f"set-cookie: \xe9[{CANARY}]=({LESLIE.email})",),
    "names that tell": (f"x-{CANARY}: 1", f"{CANARY}: 1"),
    "values that tell": (f"x-customer: {LESLIE.id}", f"etag: {CANARY}", f"server: {CANARY}", f"via: 1.1 {CANARY}"),
    "ours": (
        f"x-request-id: {CANARY}",
        "cache-control: public, max-age=9",
        f"vary: {CANARY}",
        "access-control-allow-credentials: true",
    ),
    "a reason that tells": (),
    "folded": (f"x-a: b\r\n {CANARY}",),
    "a bare line feed": (f"x-a: b\nset-cookie: {CANARY}",),
    "a bare carriage return": (f"x-a: b\rset-cookie: {CANARY}",),
    "a NUL": (f"x-a: b\x00{CANARY}",),
    "a space in a name": (f"x a: {CANARY}",),
    "a space before the colon": (f"x-a : {CANARY}",),
    "no colon": (CANARY,),
    "an empty name": (f": {CANARY}",),
    "odd letters": (f"x-\xe9: \xff{CANARY}",),
    "a huge value": (f"x-a: {CANARY * 4000}",),
    "a huge name": (f"{'a' * 80_000}: 1",),
    "very many": tuple(f"x-{number}: {CANARY}" for number in range(3000)),
    "a trailer": (f"trailer: x-{CANARY}",),
    "an upgrade": ("connection: upgrade", "upgrade: websocket"),
    "h2c": ("connection: upgrade, http2-settings", "upgrade: h2c"),
    "a second answer": (f"x-a: b\r\n\r\nHTTP/1.1 200 OK\r\nx-b: {CANARY}",),
    "a keep-alive of its own": ("connection: keep-alive", "keep-alive: timeout=99999, max=1000000"),
}


@every(head=HEADS, whose=["own", "foreign"])
async def test_heads_that_tell(siege: Siege, head: tuple[str, ...], whose: str) -> None:
    """Not one header of an upstream reaches a customer, and none is taken for two (D5.7: CRLF in a header)."""
    body = body_of(LIST) if whose == "own" else body_of(LIST, LIST.foreign)
    said = framed(body, 200, JSON, f"content-length: {len(body)}", *head)
    if head == HEADS["a reason that tells"]:
        said = said.replace(b"200 Said", f"200 {CANARY}".encode())
    suffered = await siege.suffer(LIST, said, close=True)
    if whose == "own":
        assert_own_or_failed(suffered)
    else:
        assert_failed(suffered)
    assert suffered.head.count(b"HTTP/1.1") == 1
    assert b"public" not in suffered.head
    assert await siege.is_sound()
