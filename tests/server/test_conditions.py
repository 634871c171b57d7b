"""Conditional requests through the door: nobody's update is lost, and no condition tells of somebody else's record."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import LESLIE, RON, RON_ID, identity
from tests.fakes.commerce import Commerce, Recorded, at
from tests.gateways import Answer, Site
from tests.gateways import site as run_site

OWN_ORDER = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
FOREIGN_ORDER = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
UNKNOWN_ORDER = f"/v2/orders/{identity('order', 'nobody')}"
LIST = "/v2/orders"
ME = f"/v2/customers/{RON_ID}"
CART = "/v2/carts/c"
LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
DATES = ("if-modified-since", "if-unmodified-since")
CONDITIONS = {
    "If-Match": '"x"',
    "If-None-Match": "*",
    "If-Modified-Since": LONG_AGO,
    "If-Unmodified-Since": LONG_AGO,
}


@dataclass
class Versions:
    """Adds versions to what the shop of an upstream answers, and judges conditions by them as RFC 9110 says.

    `now` counts the writes. A condition on a date holds for what it says unless `is_new`: then all records changed.
    """

    upstream: Commerce
    paths: frozenset[str]
    extra: str = ""
    is_new: bool = False
    now: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.upstream.script(lambda request: request.path in self.paths, self.answer)

    def tag(self, path: str) -> str:
        """Return the tag of what lies there."""
        return f'"v{self.now.get(path, 1)}"'

    def answer(self, request: Recorded) -> bytes:
        """Answer one request, or say that its condition does not hold."""
        status = self.judged(request)
        said: Any = {"errors": [{"status": 412, "title": "Precondition Failed", "detail": "changed"}]}
        lines = f"etag: {self.tag(request.path)}\r\n{self.extra}"
        if status is None:
            headers = {name.lower(): value for name, value in request.headers}
            method = "GET" if request.method == "HEAD" else request.method
            shop = self.upstream.shop.answer(method, request.path, request.query, headers, request.body)
            status, said = shop.status, json.loads(shop.body or "null")
            if request.method not in {"GET", "HEAD"}:
                self.now[request.path] = self.now.get(request.path, 1) + 1
            lines = f"etag: {self.tag(request.path)}\r\nlast-modified: {LONG_AGO}\r\n{self.extra}"
        if status in {204, 304}:
            return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode()
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{lines}content-length: {len(body)}\r\n\r\n"
        return head.encode() + (b"" if request.method == "HEAD" else body)

    def judged(self, request: Recorded) -> int | None:
        """Return the status that says that a condition does not hold."""
        tag, is_read = self.tag(request.path), request.method in {"GET", "HEAD"}
        match, unmatched = request.header("if-match"), request.header("if-none-match")
        if match is not None and match not in {tag, "*"}:
            return 412
        if request.header("if-unmodified-since") is not None and self.is_new:
            return 412
        if unmatched is not None:
            named = {one.strip().removeprefix("W/") for one in unmatched.split(",")}
            return None if named.isdisjoint({tag, "*"}) else 304 if is_read else 412
        has_date = request.header("if-modified-since") is not None
        return 304 if has_date and is_read and not self.is_new else None


@pytest.fixture
async def versions(upstream: Commerce) -> Versions:
    """Give an upstream whose records have versions."""
    return Versions(upstream, frozenset({OWN_ORDER, FOREIGN_ORDER, UNKNOWN_ORDER, LIST, ME, CART}))


def conditions_of(request: Recorded) -> dict[str, str]:
    """Return the conditions of a request that the upstream received."""
    return {name.lower(): value for name, value in request.headers if name.lower() in map(str.lower, CONDITIONS)}


def lines(answer: Answer) -> Mapping[str, str]:
    """Return the header lines of a reply that may tell of a record."""
    return {
        name.lower(): value for name, value in answer.headers.items() if name.lower() not in {"date", "x-request-id"}
    }


# --- Reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [OWN_ORDER, ME])
async def test_a_record_that_did_not_change_is_not_sent_again(
    site: Site, versions: Versions, method: str, path: str
) -> None:
    """The tag of the reply, sent back, gives 304 with the same tag; after a change it gives the record."""
    whole = await site.customer(RON.email, method, path)
    tag = whole.headers["etag"]
    assert (whole.status, whole.headers["last-modified"]) == (200, LONG_AGO)
    assert tag != versions.tag(path)
    for condition in ({"If-None-Match": tag}, {"If-None-Match": f'"x", W/{tag}'}, {"If-Modified-Since": LONG_AGO}):
        answer = await site.customer(RON.email, method, path, condition)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in answer.headers
        assert answer.headers["cache-control"] == "private, no-store"
    versions.now[path] = 7
    answer = await site.customer(RON.email, method, path, {"If-None-Match": tag})
    assert answer.status == 200
    assert answer.headers["etag"] not in {tag, versions.tag(path)}


async def test_the_answer_without_the_condition_comes_first(site: Site, versions: Versions) -> None:
    """The upstream hears of the condition when the record is known to be the caller's, as it knows its own tags."""
    tag = (await site.customer(RON.email, "GET", OWN_ORDER)).headers["etag"]
    site.commerce.all_requests.clear()
    await site.customer(RON.email, "GET", OWN_ORDER, {"If-None-Match": tag})
    assert [conditions_of(request) for request in site.commerce.requests] == [
        {}, {"if-none-match": versions.tag(OWN_ORDER)},
    ]  # fmt: skip


async def test_a_read_under_a_condition_that_fails(site: Site, versions: Versions) -> None:
    """412, in the envelope of every error, of a record that is the caller's."""
    versions.is_new = True
    for condition in ({"If-Match": '"x"'}, {"If-Unmodified-Since": LONG_AGO}):
        answer = await site.customer(RON.email, "GET", OWN_ORDER, condition)
        assert (answer.status, answer.json()["errors"][0]["status"]) == (412, 412)
    answer = await site.customer(RON.email, "GET", OWN_ORDER, {"If-Match": "*"})
    assert answer.status == 200


@pytest.mark.parametrize("name", list(CONDITIONS))
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_condition_tells_a_foreign_record_from_none(
    site: Site, versions: Versions, method: str, name: str, *, is_new: bool
) -> None:
    """Both are the one 404, and the upstream is never asked under the condition."""
    versions.is_new = is_new
    versions.now[UNKNOWN_ORDER] = 1
    replies = []
    for path in (FOREIGN_ORDER, UNKNOWN_ORDER):
        for value in (CONDITIONS[name], versions.tag(path)):
            answer = await site.customer(RON.email, method, path, {name: value})
            replies.append((answer.status, lines(answer), answer.body))
    assert replies[0][0] == 404
    assert all(reply == replies[0] for reply in replies)
    assert not any(conditions_of(request) for request in site.commerce.requests)


async def test_a_list_has_a_tag_of_its_own_bytes(site: Site, versions: Versions) -> None:
    """It changes with the customer's own records and with nothing else, and the upstream is not asked for it."""
    whole = await site.customer(RON.email, "GET", LIST)
    tag = whole.headers["etag"]
    assert "last-modified" not in whole.headers
    # Somebody else's order changed: the upstream's tag of the list is another one.
    versions.now[LIST] = 9
    answer = await site.customer(RON.email, "GET", LIST, {"If-None-Match": tag})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    answer = await site.customer(RON.email, "GET", LIST, {"If-None-Match": versions.tag(LIST)})
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, whole.body, tag)
    answer = await site.customer(RON.email, "GET", LIST, {"If-Match": '"x"'})
    assert (answer.status, answer.code) == (412, "CONDITION_FAILED")
    versions.is_new = True
    for name in DATES:
        assert (await site.customer(RON.email, "GET", LIST, {name: LONG_AGO})).status == 200
    assert not any(conditions_of(request) for request in site.commerce.requests)


async def test_a_trusted_caller_is_answered_by_the_upstream(site: Site, versions: Versions) -> None:
    """It may see every record: one request, and what the upstream says of the condition."""
    tag = (await site.trusted("GET", FOREIGN_ORDER)).headers["etag"]
    site.commerce.all_requests.clear()
    answer = await site.trusted("GET", FOREIGN_ORDER, {"If-None-Match": tag})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    answer = await site.trusted("GET", FOREIGN_ORDER, {"If-Match": '"x"'})
    assert answer.status == 412
    assert [conditions_of(request) for request in site.commerce.requests] == [
        {"if-none-match": versions.tag(FOREIGN_ORDER)}, {"if-match": '"x"'},
    ]  # fmt: skip


# --- Writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [(ME, {"data": {"type": "customer", "name": "R. Swanson"}}), (CART, {"data": {"name": "mine"}})],
)
async def test_of_two_writers_one_has_to_look_again(site: Site, versions: Versions, path: str, body: Any) -> None:
    """GET, PUT with its tag, and the same PUT once more: the second one does not hold any more, and changes nothing."""
    tag = (await site.customer(RON.email, "GET", path)).headers["etag"]
    assert tag != versions.tag(path)
    first = await site.customer(RON.email, "PUT", path, {"If-Match": tag}, json=body)
    assert first.status == 200
    second = await site.customer(RON.email, "PUT", path, {"If-Match": tag}, json=body)
    assert second.status == 412
    assert (await site.customer(RON.email, "PUT", path, {"If-Match": first.headers["etag"]}, json=body)).status == 200
    assert versions.now[path] == 3


async def test_a_password_alone_is_changed_under_its_condition(site: Site, versions: Versions) -> None:
    """Nothing of the record changes upstream, and its condition holds all the same."""
    body = {"data": {"type": "customer", "password": "another pass word"}}
    tag = (await site.customer(RON.email, "GET", ME)).headers["etag"]
    for condition in ({"If-Match": '"x"'}, {"If-None-Match": tag}, {"If-None-Match": "*"}):
        answer = await site.customer(RON.email, "PUT", ME, condition, json=body)
        assert answer.status == 412
        assert (await site.login(RON.email, "another pass word")).status == 404
    assert (await site.customer(RON.email, "PUT", ME, {"If-Match": tag}, json=body)).status == 200
    assert (await site.login(RON.email, "another pass word")).status == 201
    assert versions.now == {}


GUARD_ONLY = """
extends: moltin.yaml
upstream: {owner_memory: 0s}
routes:
  - name: order
    path: /v2/orders/{oid}
    methods: [GET, PUT, DELETE]
    insecure_unproven: a test of what looks first
    access:
      customer:
        guard:
          - owner: {pointer: /relationships/customer/data/id}
  - name: orders-list
    path: /v2/orders
    methods: [GET, POST]
    insecure_unproven: a test of what looks first
    access:
      customer:
        guard:
          - owner: {pointer: /relationships/customer/data/id}
"""


@pytest.fixture
async def guarded(upstream: Commerce, versions: Versions, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that knows whose an order is by the answer alone."""
    del versions
    async with run_site(upstream, tmp_path, config=GUARD_ONLY) as running:
        yield running


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("name", list(CONDITIONS))
async def test_a_conditional_write_looks_first_whose_the_record_is(guarded: Site, method: str, name: str) -> None:
    """Somebody else's record and none are the same 404, and neither was written to."""
    options: dict[str, Any] = {"json": {"data": {}}} if method == "PUT" else {}
    replies = []
    for path in (FOREIGN_ORDER, UNKNOWN_ORDER):
        answer = await guarded.customer(RON.email, method, path, {name: CONDITIONS[name]}, **options)
        replies.append((answer.status, lines(answer), answer.body))
    assert replies[0][0] == 404
    assert replies[0] == replies[1]
    assert {request.method for request in guarded.commerce.requests if LIST in request.path} == {"GET"}


@pytest.mark.parametrize("name", list(CONDITIONS))
async def test_no_condition_on_a_collection_of_everybodys(guarded: Site, name: str) -> None:
    """`If-Unmodified-Since` would tell when anybody ordered something: refused before the upstream is asked."""
    guarded.commerce.all_requests.clear()
    answer = await guarded.customer(RON.email, "POST", LIST, {name: CONDITIONS[name]}, json={"data": {}})
    assert (answer.status, answer.code) == (400, "CONDITION_FORBIDDEN")
    assert [request.path for request in guarded.commerce.requests if request.path == LIST] == []


# --- Open routes ------------------------------------------------------------------------------------------------------

PRODUCTS = "/v2/products"


async def test_an_open_body_that_is_rewritten_has_a_tag_of_its_own(bare: Site) -> None:
    """It is not the upstream's, comes back as the upstream's, and nothing is said of the upstream's bytes."""
    extra = "accept-ranges: bytes\r\ncontent-md5: x\r\ncontent-digest: sha-256=:x:\r\ndigest: x\r\nrepr-digest: x\r\n"
    versions = Versions(bare.commerce, frozenset({PRODUCTS}), extra)
    whole = await bare.public("GET", PRODUCTS)
    tag = whole.headers["etag"]
    assert tag != versions.tag(PRODUCTS)
    assert lines(whole).keys().isdisjoint({"accept-ranges", "content-md5", "content-digest", "digest", "repr-digest"})
    answer = await bare.public("GET", PRODUCTS, {"If-None-Match": tag})
    assert (answer.status, answer.headers["etag"]) == (304, tag)
    head = await bare.public("HEAD", PRODUCTS)
    assert (head.status, head.headers["etag"]) == (200, tag)
    assert "accept-ranges" not in head.headers


@pytest.mark.parametrize("size", [1, 100_000])
async def test_a_part_of_a_rewritten_body_is_not_served(bare: Site, size: int) -> None:
    """Its bytes are not the upstream's: the whole comes instead, as a server may always answer."""
    part = f'"{bare.commerce.url}/v2'.encode() * size

    def answer(request: Recorded) -> bytes:
        if request.header("range") is None:
            body = b'{"data":{"links":{"self":"%s/v2/x"}}}' % bare.commerce.url.encode()
            lines = f'content-length: {len(body)}\r\netag: "a"\r\n'
            return f"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n{lines}\r\n".encode() + body
        kind = "multipart/byteranges; boundary=x" if "," in str(request.header("range")) else "application/json"
        lines = f"content-type: {kind}\r\ncontent-range: bytes 1-9/40\r\ncontent-length: {len(part)}\r\n"
        return f"HTTP/1.1 206 X\r\n{lines}\r\n".encode() + part

    bare.commerce.script(at(PRODUCTS), answer)
    for ranges in ("bytes=1-9", "bytes=1-2,4-5"):
        whole = await bare.public("GET", PRODUCTS, {"Range": ranges, "If-Range": '"a"'})
        assert (whole.status, whole.json()) == (200, {"data": {"links": {"self": "/v2/x"}}})
        assert "content-range" not in whole.headers
        first, second = bare.commerce.requests[-2:]
        assert (first.header("range"), second.header("range"), second.header("if-range")) == (ranges, None, None)


async def test_a_part_that_nobody_asked_for_is_no_answer(bare: Site) -> None:
    """It is refused, and not asked for again."""
    body = b'"http'
    lines = f"content-type: application/json\r\ncontent-range: bytes 0-4/9\r\ncontent-length: {len(body)}\r\n"
    bare.commerce.script(at(PRODUCTS), f"HTTP/1.1 206 X\r\n{lines}\r\n".encode() + body)
    answer = await bare.public("GET", PRODUCTS)
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")
    assert len(bare.commerce.requests) == 1


async def test_a_write_is_not_repeated_for_its_range(bare: Site) -> None:
    """Range means nothing to a write (RFC 9110 section 14.2); an answer in parts is none, and the write was made."""
    lines = "content-type: application/json\r\ncontent-range: bytes 0-1/9\r\ncontent-length: 2\r\n"
    bare.commerce.script(at(CART, "PUT"), f"HTTP/1.1 206 X\r\n{lines}\r\n[]".encode())
    answer = await bare.public("PUT", CART, {"Range": "bytes=0-1"}, json={"data": {"name": "a"}})
    assert answer.status == 502
    assert [request.method for request in bare.commerce.requests] == ["PUT"]


async def test_a_page_that_calls_itself_a_part_is_whole(bare: Site) -> None:
    """Ranges of other units than bytes are lists, whole documents in which links are rewritten."""
    body = b'["%s/v2/x"]' % bare.commerce.url.encode()
    lines = f"content-type: application/json\r\ncontent-range: 0-0/9\r\ncontent-length: {len(body)}\r\n"
    bare.commerce.script(at(PRODUCTS), f"HTTP/1.1 206 X\r\n{lines}\r\n".encode() + body)
    answer = await bare.public("GET", PRODUCTS)
    assert (answer.status, answer.json(), answer.headers["content-range"]) == (206, ["/v2/x"], "0-0/9")


# --- Compressed although that was not asked for -----------------------------------------------------------------------


def compressed(body: bytes, coding: str = "gzip", *, status: int = 200) -> Callable[[Recorded], bytes]:
    """Return an answer that says of its body that it is coded."""
    lines = f'content-type: application/json\r\ncontent-encoding: {coding}\r\netag: "a"\r\ncontent-length: {len(body)}'
    head = f"HTTP/1.1 {status} X\r\n{lines}\r\n\r\n".encode()
    return lambda request: head + (b"" if request.method == "HEAD" else body)


@pytest.mark.parametrize("status", [200, 201, 404])
async def test_a_compressed_body_is_read_before_it_passes(bare: Site, status: int) -> None:
    """Its links become ours, and it is plain again, for that is what was asked for."""
    errors = {"errors": [{"status": status, "title": "x", "detail": "y"}]}
    document = errors if status == 404 else {"data": [{"links": {"self": f"{bare.commerce.url}/v2/x"}}]}
    body = json.dumps(document).encode()
    bare.commerce.script(at(PRODUCTS), compressed(gzip.compress(body), status=status))
    answer = await bare.public("GET", PRODUCTS)
    assert answer.status == status
    assert "content-encoding" not in answer.headers
    assert bare.commerce.url.encode() not in answer.body
    if status != 404:
        assert answer.json() == {"data": [{"links": {"self": "/v2/x"}}]}
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["etag"] != '"a"'
    head = await bare.public("HEAD", PRODUCTS)
    assert (head.status, head.body) == (status, b"")
    assert "content-encoding" not in head.headers


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(gzip.compress(b'"' + bytes(9 * 1024 * 1024) + b'"'), "gzip", id="a bomb"),
        pytest.param(gzip.compress(b"[]")[:-4], "gzip", id="cut off"),
        pytest.param(b"[]", "gzip", id="not compressed at all"),
        pytest.param(b"[]", "br", id="a coding that cannot be undone"),
        pytest.param(gzip.compress(gzip.compress(b"[]")), "gzip, gzip", id="twice"),
    ],
)
async def test_what_cannot_be_read_does_not_pass(bare: Site, body: bytes, coding: str) -> None:
    """Neither does more than the route's limit: nobody inflates without end."""
    bare.commerce.script(at(PRODUCTS), compressed(body, coding))
    answer = await bare.public("GET", PRODUCTS)
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")


async def test_a_compressed_picture_passes_as_it_is(bare: Site) -> None:
    """What is not rewritten need not be read."""
    body = gzip.compress(b"<svg/>")
    lines = f'content-type: image/svg+xml\r\ncontent-encoding: gzip\r\netag: "a"\r\ncontent-length: {len(body)}\r\n'
    bare.commerce.script(at(PRODUCTS), f"HTTP/1.1 200 X\r\n{lines}\r\n".encode() + body)
    answer = await bare.public("GET", PRODUCTS)
    assert (answer.body, answer.headers["content-encoding"], answer.headers["etag"]) == (body, "gzip", '"a"')
