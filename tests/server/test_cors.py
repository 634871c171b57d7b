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
    ("target", "method"),
    [
        pytest.param("/v2/customers/tokens", "POST", id="the login"),
        pytest.param("/oauth/access_token", "POST", id="bearers"),
        pytest.param("/v2/carts/x/items", "DELETE", id="a route"),
        pytest.param("/v2/orders", "PUT", id="a method that the path has not"),
        pytest.param("/nowhere", "GET", id="no route"),
        pytest.param("/v2/orders/", "GET", id="a slash too many"),
        pytest.param("/v2//orders", "PATCH", id="a path that can be read in two ways"),
        pytest.param("/v2/orders?filter=eq(customer_id,x)", "GET", id="a query that is refused"),
    ],
)
async def test_a_preflight_is_answered_here(bare: Site, target: str, method: str) -> None:
    """Whatever the path, the page may ask and read what is wrong with it; no bearer, no word to the upstream."""
    answer = await bare.call("OPTIONS", target, headers=asking(method=method, names=", ".join(sorted(HEADERS))))
    assert (answer.status, answer.body) == (204, b"")
    assert origins(answer) == ["*"]
    assert method.lower() in split(answer, "access-control-allow-methods")
    assert split(answer, "access-control-allow-headers") >= HEADERS
    assert "access-control-allow-credentials" not in answer.headers
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["x-request-id"]
    assert not bare.commerce.requests


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


async def test_a_page_learns_that_its_token_is_dead(bare: Site) -> None:
    """The catalogue stays open with it, and the reply says so; what customers alone may see does not."""
    page = {"Origin": SHOP, "X-Moltin-Customer-Token": "dead"}
    answer = await bare.public("GET", "/v2/products", page)
    assert (answer.status, answer.headers["x-customer-token"]) == (200, "ignored")
    assert "x-customer-token" in split(answer, "access-control-expose-headers")
    assert split(answer, "cache-control") == {"private", "no-store"}
    assert "x-customer-token" not in (await bare.public("GET", "/v2/products", {"Origin": SHOP})).headers
    answer = await bare.public("GET", "/v2/orders", page)
    assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
    assert "x-customer-token" not in answer.headers
    assert all(sent.header("x-moltin-customer-token") is None for sent in bare.commerce.requests)


@pytest.mark.parametrize("nothing", ["", "undefined", "null"])
async def test_a_page_where_nobody_is_logged_in(bare: Site, nothing: str) -> None:
    """What an app sends then is no token: what is everybody's is open, and nothing is said of it."""
    page = {"Origin": SHOP, "X-Moltin-Customer-Token": nothing}
    answer = await bare.public("GET", "/v2/products", page)
    assert (answer.status, answer.headers.get("x-customer-token")) == (200, None)
    assert (await bare.public("GET", "/v2/orders", page)).code == "ACCESS_DENIED"


@pytest.mark.parametrize("state", ["", "undefined", "null", "dead"])
async def test_a_server_whose_session_has_ended(bare: Site, state: str) -> None:
    """Beside a trusted bearer no state of a token is as if there were none: it would show everybody's records."""
    trusted = {"Authorization": f"Bearer {await bare.bearer('trusted')}", "X-Moltin-Customer-Token": state}
    for target in ("/v2/orders", "/v2/products", "/v2/customers"):
        answer = await bare.call("GET", target, headers=trusted)
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
    assert not bare.commerce.requests
