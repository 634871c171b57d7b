"""Browsers: preflights are answered by the gateway, and every reply can be read by a page that may."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.data import RON
from tests.fakes.commerce import Commerce, Fault
from tests.gateways import Answer, Site
from tests.gateways import site as run_site

SHOP = "https://shop.example"
LISTED = f"""
extends: moltin.yaml
cors: {{origins: ["{SHOP}", "https://other.example"], max_age: 5m}}
customers: {{throttle: {{account: {{burst: 1, per_minute: 1}}, address: {{burst: 1, per_minute: 1}}}}}}
"""

# docs/upstream.md section 5, and what browsers ask for besides.
HEADERS = {
    "authorization", "content-type", "x-moltin-currency", "x-moltin-currencies", "x-moltin-language",
    "x-moltin-locale", "x-moltin-customer-token", "x-moltin-sdk-language", "x-moltin-sdk-version",
    "x-moltin-application", "ep-channel", "ep-context-tag", "ep-beta-features", "ep-disable-beta-filtering",
    "ep-account-management-authentication-token", "ep-inventories-multi-location",
}  # fmt: skip


@pytest.fixture
async def listed(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that lists the origins which may call."""
    async with run_site(upstream, tmp_path, config=LISTED) as site:
        yield site


def asking(origin: str = SHOP, method: str = "POST", names: str = "authorization, content-type") -> dict[str, str]:
    """Give the lines of a preflight."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": names,
    }


def origins(answer: Answer) -> list[str]:
    """Return every origin that a reply allows: browsers refuse a reply with more than one."""
    return [value for name, value in answer.headers.items() if name.lower() == "access-control-allow-origin"]


def split(answer: Answer, name: str) -> set[str]:
    """Return the words of a list header in lower case."""
    return {word.strip().lower() for word in answer.headers.get(name, "").split(",")}


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/v2/customers/tokens", {"post"}),
        ("/oauth/access_token", {"post"}),
        ("/v2/carts/x/items", {"get", "head", "post", "put", "delete"}),
        ("/v2/orders", {"get", "head"}),
    ],
)
async def test_a_preflight_is_answered_here(bare: Site, target: str, methods: set[str]) -> None:
    """The gateway says itself what a page may send; no bearer is needed, and the upstream is not asked."""
    answer = await bare.call("OPTIONS", target, headers=asking(names=", ".join(sorted(HEADERS))))
    assert (answer.status, answer.body) == (204, b"")
    assert origins(answer) == ["*"]
    assert split(answer, "access-control-allow-methods") == methods
    assert split(answer, "access-control-allow-headers") >= HEADERS
    assert "access-control-allow-credentials" not in answer.headers
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["x-request-id"]
    assert not bare.commerce.requests


async def test_a_preflight_of_nowhere(bare: Site) -> None:
    """A path that does not exist does not exist for a preflight either."""
    answer = await bare.call("OPTIONS", "/nowhere", headers=asking())
    assert (answer.status, answer.code) == (404, "ROUTE_UNKNOWN")
    assert origins(answer) == ["*"]


async def test_options_that_are_no_preflight(bare: Site) -> None:
    """OPTIONS without the lines of a preflight is a method like any other: none of ours."""
    answer = await bare.call("OPTIONS", "/v2/products")
    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_listed_origins(listed: Site) -> None:
    """With a list, a listed origin is named back and no other is; caches are told."""
    for origin, expected in ((SHOP, [SHOP]), ("https://other.example", ["https://other.example"])):
        for answer in (
            await listed.call("OPTIONS", "/v2/orders", headers=asking(origin)),
            await listed.public("GET", "/v2/products", {"Origin": origin}),
        ):
            assert origins(answer) == expected
            assert "origin" in split(answer, "vary")
    for origin in ("https://evil.example", f"{SHOP}.evil.example", "null", SHOP.upper(), f"{SHOP}/"):
        answer = await listed.call("OPTIONS", "/v2/orders", headers=asking(origin))
        assert (answer.status, origins(answer)) == (204, [])
        assert "access-control-allow-methods" not in answer.headers
        answer = await listed.public("GET", "/v2/products", {"Origin": origin})
        assert origins(answer) == []
        assert "origin" in split(answer, "vary")


@pytest.mark.parametrize("listing", [False, True], ids=["any", "listed"])
async def test_errors_can_be_read(upstream: Commerce, tmp_path: Path, *, listing: bool) -> None:
    """Errors carry the same lines as successes: an app must learn what went wrong and for how long."""
    page = {"Origin": SHOP}
    async with run_site(upstream, tmp_path, config=LISTED if listing else None) as site:
        upstream.fault(Fault.HTML_OK)
        refused = [
            (await site.call("GET", "/v2/orders", headers=page), 401),
            (await site.public("GET", "/v2/orders", page), 403),
            (await site.public("GET", "/nowhere", page), 404),
            (await site.public("DELETE", "/v2/products", page), 405),
            (await site.public("GET", "/v2/products", page), 502),
        ]
        if listing:
            upstream.forget()
            data = {"type": "token", "email": RON.email, "password": "wrong"}
            answers = [await site.public("POST", "/v2/customers/tokens", page, json={"data": data}) for _ in range(3)]
            assert answers[-1].headers["retry-after"]
            refused.append((answers[-1], 429))
    for answer, status in refused:
        assert answer.status == status
        assert origins(answer) == [SHOP if listing else "*"]
        assert {"x-request-id", "retry-after"} <= split(answer, "access-control-expose-headers")


async def test_scoped_answers_vary_by_more_than_the_origin(listed: Site) -> None:
    """Both lines of Vary stay: who asks, and from which page."""
    answer = await listed.customer(RON.email, "GET", "/v2/orders", {"Origin": SHOP})
    vary = {word.strip().lower() for value in answer.headers.getall("vary") for word in value.split(",")}  # type: ignore[attr-defined]
    assert vary == {"authorization", "x-moltin-customer-token", "origin"}
