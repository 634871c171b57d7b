"""What the API says gets through: through the door, on open and on guarded routes, before and after a write."""

from pathlib import Path

import pytest

from gateway.demo.data import LESLIE, RON, identity
from tests.fakes.commerce import Commerce, at
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.saying import CART, DATE, FOREIGN, HOME, ME, OWN, PRODUCT, error_of, own, said, saying
from tests.tokens.accounts import ANN, register

# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"<h1>no</h1>", b'{"message":"no"}'])
async def test_a_refusal_gets_through(site: Site, body: bytes) -> None:
    """Whatever comes with it; GET and HEAD agree, and so do open and guarded routes."""
    await site.token(RON.email)
    for status in (400, 402, 404, 409, 410, 413, 415, 416, 422, 423, 424, 428, 451):
        site.commerce.forget()
        lines = (("content-type", "text/html"), ("www-authenticate", "Basic"), ("allow", "GET"))
        site.commerce.script(lambda _: True, saying(status, body, *lines, ("content-range", "bytes */9")))
        got = await site.public("GET", PRODUCT)
        head = await site.public("HEAD", PRODUCT)
        assert (got.status, head.status) == (status, status)
        assert error_of(got)["code"] == "UPSTREAM_REFUSED"
        assert head.body == b""
        for reply in (got, head):
            assert reply.headers["allow"] == "GET"
            assert reply.headers.get("content-range") == ("bytes */9" if status == 416 else None)
        changed = await own(site, "PUT", ME, json={"data": {"type": "customer", "name": "R"}})
        assert changed.status == status
        assert error_of(changed)["code"] == ("RECORD_NOT_FOUND" if status == 404 else "UPSTREAM_REFUSED")


async def test_an_error_page_that_is_too_large_still_has_its_status(site: Site) -> None:
    """Nobody needs it."""
    await site.token(RON.email)
    site.commerce.script(lambda _: True, said(410, b"x" * 9_000_000, ("content-type", "text/html")))
    assert (await site.public("GET", PRODUCT)).status == 410
    assert (await own(site, "PUT", ME, json={"data": {"type": "customer", "name": "R"}})).status == 410


@pytest.mark.parametrize("status", [301, 304, 400, 403, 405, 409, 410, 412, 416, 422, 451])
async def test_a_record_of_unknown_owner_answers_as_none(site: Site, status: int) -> None:
    """An order, and an address below the own path: whatever the API says of a stranger's, the client hears 404."""
    await site.token(RON.email)
    for target in (FOREIGN, f"{ME}/addresses/{identity('address', f'{LESLIE.email}:Home')}"):
        replies = []
        for answer in (
            said(404, {"errors": [{"status": 404}]}),
            said(status, b"" if status == 304 else {"errors": [{}]}, ("allow", "GET")),
        ):
            site.commerce.forget()
            site.commerce.script(at(target), answer)
            replies += [await own(site, method, target) for method in ("GET", "HEAD")]
        assert [reply.status for reply in replies] == [404] * 4
        assert replies[0].body == replies[2].body
        names = [{name.lower() for name in reply.headers} for reply in replies]
        assert names[0] == names[2]
        assert names[1] == names[3]


@pytest.mark.parametrize("status", [401, 407])
async def test_what_speaks_of_our_credential_is_ours(site: Site, status: int) -> None:
    """It is renewed once; what is still not accepted is 503, with no challenge to clients."""
    site.commerce.script(at(PRODUCT), said(status, b"", ("www-authenticate", "Bearer")), times=1)
    site.commerce.script(at(PRODUCT), said(200, {"data": {"id": "p1"}}))
    assert (await site.public("GET", PRODUCT)).status == 200
    site.commerce.forget()
    site.commerce.script(lambda request: not request.is_grant, said(status))
    refused = await site.public("GET", PRODUCT)
    assert (refused.status, error_of(refused)["code"]) == (503, "CREDENTIAL_UNAVAILABLE")
    assert "retry-after" in refused.headers


@pytest.mark.parametrize("status", [500, 501, 502, 504, 599])
async def test_failures_are_bad_gateway(site: Site, status: int) -> None:
    """For HEAD as for GET."""
    site.commerce.script(at(PRODUCT), saying(status, b"<h1>oops</h1>", ("content-type", "text/html")))
    assert [(await site.public(method, PRODUCT)).status for method in ("GET", "HEAD")] == [502, 502]


# --- Patience ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(429, "THROTTLED"), (503, "UPSTREAM_UNAVAILABLE")])
@pytest.mark.parametrize("after", ["120", DATE])
async def test_patience_is_passed_on(site: Site, status: int, code: str, after: str) -> None:
    """Open, guarded, and met in the gateway's own look-ups, so that SDKs repeat what they asked."""
    await site.token(RON.email)
    site.commerce.script(
        lambda request: not request.is_grant, saying(status, {"errors": [{"status": status}]}, ("retry-after", after))
    )
    email = {"data": {"type": "customer", "email": ANN}}
    for reply in (
        await site.public("GET", PRODUCT),
        await own(site, "GET", OWN),
        await own(site, "GET", f"{OWN}/items"),
        await own(site, "POST", f"{OWN}/payments", json={"data": {"gateway": "manual", "method": "purchase"}}),
        await own(site, "PUT", ME, json=email),
        await register(site),
        await site.login(LESLIE.email, "whatever"),
    ):
        assert (reply.status, error_of(reply)["code"]) == (status, code)
        assert reply.headers["retry-after"] == after
    head = await site.public("HEAD", PRODUCT)
    assert (head.status, head.headers["retry-after"]) == (status, after)


# --- Successes that show nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_what_was_done_was_done(site: Site, method: str, status: int) -> None:
    """An open write without a body is a success, with its lines; a client that reads an error writes twice."""
    site.commerce.script(at(f"{CART}/items"), said(status, b"", ("location", f"{site.commerce.url}{CART}/items/i1")))
    reply = await site.public(method, f"{CART}/items", json={"data": {"id": "p1"}})
    assert reply.status == status
    assert reply.headers["location"] == f"{CART}/items/i1"
    assert reply.body == (b"" if status == 204 else b'{"data":null}')


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_guarded_write_that_shows_nothing_is_a_success(site: Site, status: int) -> None:
    """There is no record in it to be judged."""
    target = f"{ME}/addresses"
    site.commerce.script(at(target, "POST"), said(status))
    reply = await own(site, "POST", target, json=HOME)
    assert (reply.status, reply.body) == (status, b"" if status == 204 else b'{"data":null}')


@pytest.mark.parametrize("status", [301, 303, 307])
async def test_a_redirected_write_may_have_happened(site: Site, status: int) -> None:
    """That is what its code says, and the log says why."""
    target = f"{ME}/addresses"
    site.commerce.script(at(target, "POST"), said(status, b"", ("location", f"{target}/a1")))
    reply = await own(site, "POST", target, json=HOME)
    assert (reply.status, error_of(reply)["code"]) == (502, "WRITE_UNCONFIRMED")
    assert "location" not in reply.headers


# --- Redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_redirect_gets_through(site: Site, status: int, method: str) -> None:
    """Empty or with a page, which stays: it may name the upstream's own address."""
    page = f'<a href="{site.commerce.url}/x">moved</a>'.encode()
    for body, lines in ((b"", ()), (page, (("content-type", "text/html"),))):
        site.commerce.forget()
        site.commerce.script(
            at(PRODUCT), saying(status, body, ("location", f"{site.commerce.url}/v2/products/p2"), *lines)
        )
        reply = await site.public(method, PRODUCT)
        assert (reply.status, reply.headers["location"], reply.body) == (status, "/v2/products/p2", b"")


async def test_a_redirect_elsewhere_is_for_who_has_nothing_to_lose(upstream: Commerce, tmp_path: Path) -> None:
    """An origin that the routing file lists is for all."""
    listed = 'extends: moltin.yaml\nupstream: {redirect_origins: ["https://sso.example"]}\n'
    async with run_site(upstream, tmp_path, config=listed) as site:
        await site.token(RON.email)
        for origin in ("https://evil.example", "https://sso.example"):
            is_listed = origin == "https://sso.example"
            for status in (302, 307):
                site.commerce.forget()
                site.commerce.script(at(PRODUCT), said(status, b"", ("location", f"{origin}/x")))
                anybody = await site.public("GET", PRODUCT)
                assert anybody.status == (status if is_listed or status == 302 else 502)
                for reply in (await own(site, "GET", PRODUCT), await site.trusted("GET", PRODUCT)):
                    assert reply.status == (status if is_listed else 502)
                    assert ("location" in reply.headers) is is_listed


# --- Reasons ----------------------------------------------------------------------------------------------------------


async def test_what_blames_the_api_is_explained_in_the_log(site: Site) -> None:
    """By request id, in the one line of the request, though details are off."""
    site.commerce.script(at(PRODUCT), said(200, b"<h1>hello</h1>", ("content-type", "text/html")))
    reply = await site.public("GET", PRODUCT)
    (line,) = [line for line in site.log_lines() if line.get("id") == reply.headers["x-request-id"]]
    assert (line["code"], line["detail"]) == ("UPSTREAM_INVALID", "HTML with status 200")
    unknown = await site.public("GET", "/nowhere?name=leslie")
    (line,) = [line for line in site.log_lines() if line.get("id") == unknown.headers["x-request-id"]]
    assert "detail" not in line
