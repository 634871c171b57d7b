"""Header lines of judged answers through the door: what an answer is about leaves with it, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.data import RON, RON_ID
from tests.fakes.commerce import Commerce, at
from tests.gateways import Site
from tests.gateways import site as run_site

NOTES = f"/notes/{RON_ID}"
OWN = b'{"data":[{"id":"n1","owner":"%s"},{"id":"n2","owner":"%s"}]}' % (RON_ID.encode(), RON_ID.encode())
CONFIG = """
extends: moltin.yaml
public_url: https://shop.example
cors: {origins: ["https://app.example"], expose: [X-Own]}
routes:
  - name: notes
    path: /notes/{id}
    methods: [GET, POST, PUT]
    query: ["page[limit]"]
    answer_headers: [X-Rate, X-Job]
    access:
      customer:
        scope:
          - path_owner: {parameter: id}
        guard:
          - owner: {pointer: /owner}
"""
PAGE = "application/vnd.api+json; charset=utf8"


@pytest.fixture
async def noted(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway with a list of notes, of which some header lines may leave."""
    async with run_site(upstream, tmp_path, config=CONFIG) as running:
        yield running


async def test_what_an_answer_is_about_leaves_with_it(noted: Site) -> None:
    """Media type, pages and counts of what was judged, and what the route lists; cookies and the like do not."""
    lines = [
        f"content-type: {PAGE}",
        f"content-length: {len(OWN)}",
        f'link: <{noted.commerce.url}{NOTES}?page[limit]=2&page[offset]=2>; rel="next"',
        "x-total-count: 900",
        "content-range: 0-1/900",
        "preference-applied: return=representation",
        "x-rate: 7",
        f"x-job: {noted.commerce.url.upper()}/jobs/1",
        "x-else: 1",
        "set-cookie: a=b",
        "www-authenticate: Basic",
        "accept-ranges: bytes",
        "last-modified: Wed, 21 Oct 2015 07:28:00 GMT",
        "location: /notes/2",
    ]
    head = "\r\n".join(["HTTP/1.1 200 X", *lines, "", ""])
    noted.commerce.script(at(NOTES), head.encode() + OWN)
    answer = await noted.customer(RON.email, "GET", NOTES, {"Origin": "https://app.example"})
    said = {name.lower(): value for name, value in answer.headers.items()}
    assert answer.status == 200
    exposed = said.pop("access-control-expose-headers").lower()
    assert {"x-own", "x-rate", "x-job", "link", "etag"} <= set(exposed.split(", "))
    for name in ("date", "server", "x-request-id", "access-control-allow-origin", "content-length", "vary"):
        del said[name]
    assert said == {
        "content-type": PAGE,
        "link": f'<https://shop.example{NOTES}?page[limit]=2&page[offset]=2>; rel="next"',
        "x-total-count": "2",
        "content-range": "0-1/2",
        "preference-applied": "return=representation",
        "x-rate": "7",
        "x-job": "https://shop.example/jobs/1",
        "cache-control": "private, no-store",
    }


@pytest.mark.parametrize("kind", ["application/json;charset=utf8", "application/json; charset=UTF8", PAGE])
async def test_media_types_of_requests_stay(noted: Site, kind: str) -> None:
    """However UTF-8 is spelled, and whatever JSON is called: the upstream hears it as it was said."""
    body = b'{"data":{"id":"n1","owner":"%s"}}' % RON_ID.encode()
    head = f"HTTP/1.1 201 X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    noted.commerce.script(at(NOTES, "POST"), head.encode() + body)
    answer = await noted.customer(RON.email, "POST", NOTES, {"Content-Type": kind}, data=b'{"data":{}}')
    assert (answer.status, answer.headers["content-type"]) == (201, kind)
    assert noted.commerce.requests[-1].header("content-type") == kind


async def test_a_write_without_a_body_says_the_new_tag(noted: Site) -> None:
    """A client that saw 204 can go on from there, under the condition that nobody else did."""
    noted.commerce.script(at(NOTES, "PUT"), b'HTTP/1.1 204 X\r\netag: "v2"\r\nx-rate: 7\r\n\r\n')
    answer = await noted.customer(RON.email, "PUT", NOTES, json={"data": {}})
    assert (answer.status, answer.headers["x-rate"]) == (204, "7")
    await noted.customer(RON.email, "PUT", NOTES, {"If-Match": answer.headers["etag"]}, json={"data": {}})
    assert noted.commerce.requests[-1].header("if-match") == '"v2"'
