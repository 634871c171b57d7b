"""Several upstreams behind one gateway: each with its own path, credential and memory, and none in another's place."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import LESLIE_ID, RON, RON_ID
from tests.carrying.certificates import Authority
from tests.fakes.commerce import Commerce, Fault, Recorded
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import served

CONFIG = """\
extends: moltin.yaml
public_url: https://gw.example
upstreams:
  orders:
    url: ${env:ORDERS_URL}/base
    credential: {kind: header, name: X-Api-Key, value: "${env:ORDERS_KEY}"}
    timeouts: {first_byte: 300ms}
    owner_memory: 1m
  table:
    url: ${env:TABLE_URL}
    credential: {kind: none}
routes:
  - {name: products, path: /v2/products, methods: [GET], access: {public: open, customer: open, trusted: open}}
  - name: parent-here
    path: /v2/orders/{oid}/shop
    methods: [GET]
    access:
      customer: {scope: [{parent_owner: &order {path: "/v2/orders/{oid}", pointer: /customer}}], guard: &own GUARD}
  - name: orders
    path: /v2/orders
    methods: [GET, POST]
    upstream: orders
    upstream_path: /api/orders/
    query: [page]
    access:
      customer:
        scope: [{body_stamp: {pointer: /data/customer}}, {filter: {field: owner, dialect: query}}]
        guard: [{owner: {pointer: /customer}}]
      trusted: open
  - name: order
    path: /v2/orders/{oid}
    methods: [GET, PUT]
    upstream: orders
    upstream_path: /api/orders/{oid}/
    access:
      customer:
        scope: [{parent_owner: {pointer: /customer}}]
        guard: [{owner: {pointer: /customer}}]
      trusted: open
  - name: parent-there
    path: /v2/orders/{oid}/parcels
    methods: [GET]
    upstream: orders
    upstream_path: /api/parcels/{oid}/
    access: {customer: {scope: [{parent_owner: *order}], guard: *own}}
  - name: parent-said
    path: /v2/orders/{oid}/rows
    methods: [GET]
    upstream: table
    access:
      customer:
        scope: [{parent_owner: {path: "/v2/orders/{oid}", pointer: /customer, upstream: orders}}]
        guard: *own
  - name: row
    path: /v2/rows/{id}
    methods: [GET]
    upstream: table
    upstream_path: /rows?id=eq.{id}
    access: {public: open}
""".replace("GUARD", "[{owner: {pointer: /customer}}]")


def reply(document: Any, status: str = "200 OK", *lines: str) -> bytes:
    """Return an answer in JSON."""
    body = json.dumps(document).encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *lines])
    return head.encode() + b"\r\n\r\n" + body


def order(ident: str, owner: str = RON_ID) -> dict[str, Any]:
    """Return an order as the orders' API has it."""
    return {"id": ident, "customer": owner, "url": f"/base/api/orders/{ident}/"}


class Orders(Commerce):
    """The API of the orders: o1 is Ron's, o2 Leslie's; it answers under /base/api alone."""

    def __init__(self) -> None:
        super().__init__()
        self.script(lambda _: True, self.answer_of)

    def answer_of(self, request: Recorded) -> bytes:
        """Answer with an order, a list of orders, or what lies below one."""
        if request.header("x-api-key") != "canary-orders-key":
            return reply({}, "401 Unauthorized")
        path = request.path.partition("?")[0]
        if path == "/base/api/orders/" and request.method == "POST":
            return reply({"data": order("o3")}, "201 Created", f"location: {self.url}/base/api/orders/o3/")
        if path == "/base/api/orders/":
            link = f"{self.url}/base/api/orders/?page=2"
            return reply({"data": [order("o1")], "links": {"next": link}})
        ident = path.rstrip("/").rpartition("/")[2]
        owner = {"o1": RON_ID, "o2": LESLIE_ID}.get(ident)
        if owner is None:
            return reply({}, "404 Not Found")
        return reply({"data": order(ident, owner)})


@pytest.fixture
async def orders() -> AsyncIterator[Orders]:
    """Give the API of the orders."""
    async with Orders() as api:
        yield api


@pytest.fixture
async def table() -> AsyncIterator[Commerce]:
    """Give an API in which records are picked by filters."""
    async with Commerce() as api:
        api.script(lambda _: True, lambda request: reply({"asked": request.target, "url": f"{api.url}/rows?id=eq.7"}))
        yield api


@pytest.fixture(name="site")
async def _site(upstream: Commerce, orders: Orders, table: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    async with run_site(
        upstream, tmp_path, config=CONFIG, ORDERS_URL=orders.url, TABLE_URL=table.url, ORDERS_KEY="canary-orders-key"
    ) as running:
        yield running


async def ron(site: Site, method: str, target: str, **options: Any) -> Any:
    """Ask as Ron."""
    return await site.customer(RON.email, method, target, **options)


def targets(api: Commerce) -> list[str]:
    """Return what an upstream was asked for."""
    return [f"{request.method} {request.target}" for request in api.requests]


async def test_each_route_goes_to_its_own_with_its_own_credential(
    site: Site, upstream: Commerce, orders: Orders, table: Commerce
) -> None:
    """No line of one upstream's credential reaches another, and paths are those of the upstream."""
    await site.public("GET", "/v2/products")
    assert (await ron(site, "GET", "/v2/orders")).status == 200
    assert (await site.public("GET", "/v2/rows/7?select=name")).status == 200
    assert targets(orders) == [f"GET /base/api/orders/?owner={RON_ID}"]
    assert targets(table) == ["GET /rows?select=name&id=eq.7"]
    assert "GET /v2/products" in targets(upstream)
    assert [request.header("authorization") for request in (*orders.requests, *table.requests)] == [None, None]
    assert not any(request.header("x-api-key") for request in (*upstream.requests, *table.requests))


async def test_links_come_back_as_public_paths(site: Site) -> None:
    """In lists, in records, and in filters by which a record is named."""
    listed = (await ron(site, "GET", "/v2/orders")).json()
    assert listed["data"] == [{**order("o1"), "url": "/v2/orders/o1"}]
    assert listed["links"] == {"next": "https://gw.example/v2/orders?page=2"}
    assert (await site.trusted("GET", "/v2/orders")).json()["links"] == {"next": "https://gw.example/v2/orders?page=2"}
    assert (await site.public("GET", "/v2/rows/7")).json()["url"] == "https://gw.example/v2/rows/7"


async def test_a_location_comes_back_as_a_public_path(site: Site) -> None:
    """That of a record which was made, for its customer and for a server."""
    made = await ron(site, "POST", "/v2/orders", json={"data": {"customer": {}}})
    assert (made.status, made.headers["location"]) == (201, "https://gw.example/v2/orders/o3")
    made = await site.trusted("POST", "/v2/orders", json={"data": {}})
    assert (made.status, made.headers["location"]) == (201, "https://gw.example/v2/orders/o3")


@pytest.mark.parametrize(("ident", "status"), [("o1", 200), ("o2", 404), ("o4", 404)])
async def test_a_record_is_held_to_its_owner_where_it_is(site: Site, orders: Orders, ident: str, status: int) -> None:
    """The look-up before a write goes where the write goes, and to the same record."""
    assert (await ron(site, "GET", f"/v2/orders/{ident}")).status == status
    orders.all_requests.clear()
    assert (await ron(site, "PUT", f"/v2/orders/{ident}", json={"data": {}})).status == status
    looked = f"GET /base/api/orders/{ident}/"
    assert targets(orders) == ([looked] if status == 404 else [f"PUT /base/api/orders/{ident}/"])


async def test_a_look_up_goes_to_the_upstream_of_its_route(site: Site, upstream: Commerce, orders: Orders) -> None:
    """Unless it says another one; what one upstream said is no answer for another."""
    upstream.script(lambda request: request.path == "/v2/orders/o1", reply({"data": order("o1", LESLIE_ID)}))
    orders.script(lambda request: request.path == "/base/v2/orders/o1", reply({"data": order("o1")}))
    for path in ("/v2/orders/o1/parcels", "/v2/orders/o1/shop", "/v2/orders/o1/parcels", "/v2/orders/o1/shop"):
        answer = await ron(site, "GET", path)
        assert answer.status == (404 if path.endswith("/shop") else 200)
    await ron(site, "GET", "/v2/orders/o1/rows")
    # There one look-up for each rule, remembered; here one each time, for a no is not remembered.
    assert targets(orders).count("GET /base/v2/orders/o1") == 2
    assert targets(upstream).count("GET /v2/orders/o1") == 2


async def test_look_ups_of_two_at_once_are_two(site: Site, upstream: Commerce, orders: Orders) -> None:
    """The same path at the same moment: neither gets what the other was answered."""
    upstream.script(lambda request: request.path == "/v2/orders/o1", reply({"data": order("o1", LESLIE_ID)}))
    orders.script(lambda request: request.path == "/base/v2/orders/o1", reply({"data": order("o1")}))
    await site.token(RON.email)
    paths = ["/v2/orders/o1/parcels", "/v2/orders/o1/shop"] * 5
    answers = await asyncio.gather(*(ron(site, "GET", path) for path in paths))
    assert [answer.status for answer in answers] == [200, 404] * 5


async def test_a_parameter_that_names_the_record_is_not_the_clients(site: Site, table: Commerce) -> None:
    """In no spelling: the upstream would choose which of two it takes."""
    for query in ("id=eq.8", "ID=eq.8", "id[]=eq.8", "i_d=eq.8"):
        answer = await site.public("GET", f"/v2/rows/7?{query}")
        assert (answer.status, answer.code) == (400, "QUERY_NOT_ALLOWED")
    assert (await site.public("GET", "/v2/rows/7%26id=eq.8")).status == 200
    assert targets(table) == ["GET /rows?id=eq.7%26id%3Deq.8"]


async def test_a_silent_one_takes_nothing_from_the_others(site: Site, orders: Orders) -> None:
    """Its time-outs are its own, and its routes alone answer so."""
    orders.fault(Fault.SLOW_HEAD, when=lambda _: True, gate=asyncio.Event())
    silent = await ron(site, "GET", "/v2/orders")
    assert (silent.status, silent.code) == (504, "UPSTREAM_TIMEOUT")
    assert (await site.public("GET", "/v2/products")).status == 200


async def test_each_is_told_apart_in_metrics_and_readiness(site: Site) -> None:
    """By its name."""
    await ron(site, "GET", "/v2/orders")
    await site.public("GET", "/v2/products")
    metrics = await site.metrics()
    assert 'gateway_upstream_seconds_count{route="orders",upstream="orders"} 1.0' in metrics
    assert 'gateway_upstream_seconds_count{route="products",upstream="default"} 1.0' in metrics
    async with site.session.get(f"{site.admin_url}/ready") as response:
        conditions = (await response.json())["conditions"]
    assert {name for name in conditions if name.startswith("credential")} == {
        "credential of default", "credential of orders", "credential of table",
    }  # fmt: skip


SPELLED = """\
extends: moltin.yaml
public_url: https://gw.example
upstreams:
  shop: {url: "HTTP://LocalHost:${env:PORT}/a/", credential: {kind: none}}
  more: {url: "http://localhost:${env:PORT}/x/../ab", credential: {kind: none}}
  deep: {url: "http://localhost:${env:PORT}/a/b", credential: {kind: none}}
routes:
  - name: thing
    path: /v2/things/{id}
    methods: [POST]
    upstream: shop
    upstream_path: /t/{id}/
    access: &all {public: open}
  - {name: more, path: "/v2/more/{id}", methods: [POST], upstream: more, upstream_path: "/t/{id}/", access: *all}
  - {name: deep, path: "/v2/deep/{id}", methods: [POST], upstream: deep, upstream_path: "/t/{id}/", access: *all}
"""


async def test_an_address_is_one_however_it_is_written(upstream: Commerce, tmp_path: Path) -> None:
    """In the file and by the APIs: links and Locations become public paths, each its own upstream's, on one host.

    One may lie below another, and each may link to the others.
    """
    known = {"/a": "/v2/things", "/ab": "/v2/more", "/a/b": "/v2/deep"}

    def answered(request: Recorded) -> bytes:
        there = f"//LOCALHOST:{upstream.port}{request.path.rstrip('/')}"
        links = [f"http://localhost:{upstream.port}{base}/t/7/" for base in (*known, "/abc", "/A")]
        return reply({"links": links}, "201 Created", f"location: {there}", f"link: <{there}>; rel=self")

    upstream.script(lambda request: request.path.endswith("/t/7/"), answered)
    async with run_site(upstream, tmp_path, config=SPELLED, PORT=str(upstream.port), passwords=False) as site:
        for path in known.values():
            made = await site.public("POST", f"{path}/7")
            assert (made.status, made.headers["location"]) == (201, f"https://gw.example{path}/7")
            assert made.headers["link"] == f"<https://gw.example{path}/7>; rel=self"
            *ours, beside, capital = made.json()["links"]
            assert ours == [f"https://gw.example{public}/7" for public in known.values()]
            assert beside == f"http://localhost:{upstream.port}/abc/t/7/"
            assert capital == f"http://localhost:{upstream.port}/A/t/7/"
    assert targets(upstream) == ["POST /a/t/7/", "POST /ab/t/7/", "POST /a/b/t/7/"]


SECURED = """\
extends: moltin.yaml
upstreams:
  orders: {url: "${env:ORDERS_URL}", credential: {kind: none}, tls: {ca_file: "${env:ORDERS_CA}"}}
  stock: {url: "${env:STOCK_URL}", credential: {kind: none}, tls: {ca_file: "${env:STOCK_CA}"}}
routes:
  - {name: order, path: /v2/order, methods: [GET], upstream: orders, access: &all {public: open}}
  - {name: stock, path: /v2/stock, methods: [GET], upstream: stock, access: *all}
"""


async def test_each_is_trusted_by_its_own_authority_alone(upstream: Commerce, tmp_path: Path) -> None:
    """Another upstream's vouches for nobody here, and nothing is sent to whom nobody vouches for."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" HTTP")[0])
        writer.write(reply({"data": []}))
        await reader.read()

    authorities = []
    for name in ("orders", "stock"):
        (tmp_path / name).mkdir()
        authorities.append(Authority.new(tmp_path / name))
    first, second = authorities
    async with (
        served(serve, tls=first.context("127.0.0.1")) as orders,
        served(serve, tls=second.context("127.0.0.1")) as stock,
    ):
        for files, status in ((authorities, 200), (authorities[::-1], 502)):
            async with run_site(
                upstream, tmp_path, config=SECURED, passwords=False, ORDERS_URL=orders, STOCK_URL=stock,
                ORDERS_CA=f"{files[0].file}", STOCK_CA=f"{files[1].file}",
            ) as site:  # fmt: skip
                answers = [await site.public("GET", path) for path in ("/v2/order", "/v2/stock")]
            assert [answer.status for answer in answers] == [status] * 2
    assert asked == [b"GET /v2/order", b"GET /v2/stock"]


FORMS = """\
extends: moltin.yaml
upstreams:
  orders: {url: "${env:ORDERS_URL}", credential: {kind: none}, records: {preset: drf, ids: either}}
routes:
  - {name: products, path: /v2/products, methods: [GET], access: {public: open}}
  - name: own
    path: /v2/orders
    methods: [GET]
    upstream: orders
    access:
      customer:
        scope: [{filter: {field: customer}}]
        guard: [{owner: {pointer: /customer}}]
  - name: items
    path: /v2/orders/{oid}/items
    methods: [GET]
    access:
      customer:
        scope: [{parent_owner: {path: "/orders/{oid}", pointer: /customer, upstream: orders}}]
        guard: [{belongs_to: {parameter: oid, pointer: /order}}]
"""


async def test_each_speaks_in_its_own_form(upstream: Commerce, orders: Commerce, tmp_path: Path) -> None:
    """Said once for each: its lists, its paths, and its records that others look up; the rest is as the file says."""

    def answered(request: Recorded) -> bytes:
        record = {"id": 7, "customer": RON_ID}
        assert request.path.endswith("/")
        return reply(record if request.path == "/orders/7/" else {"count": 1, "next": None, "results": [record]})

    orders.script(lambda request: request.path in {"/v2/orders/", "/orders/7/"}, answered)
    upstream.script(lambda request: request.path == "/v2/orders/7/items", reply({"data": [{"id": "i1", "order": "7"}]}))
    async with run_site(upstream, tmp_path, config=FORMS, ORDERS_URL=orders.url) as site:
        listed = await ron(site, "GET", "/v2/orders")
        items = await ron(site, "GET", "/v2/orders/7/items")
    assert (listed.status, items.status, items.json()["data"][0]["id"]) == (200, 200, "i1")
    assert targets(orders) == [f"GET /v2/orders/?customer={RON_ID}", "GET /orders/7/"]
