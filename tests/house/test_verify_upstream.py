"""`customers.verify: upstream`: the upstream keeps the passwords, the gateway mints the token."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, LESLIE_ID, RON, RON_ID
from gateway.demo.shop import Shop
from tests.fakes.commerce import Commerce, Fault, at
from tests.fakes.shop import revoke_bearers
from tests.fakes.wire import Recorded
from tests.gateways import UPSTREAM_SECRET, Site
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, PASSWORD, asked, change, customer, register, store_of, token_of

CONFIG = "extends: moltin.yaml\ncustomers: {verify: upstream}\n"
LOGIN = at("/v2/customers/tokens", "POST")


@pytest.fixture
async def upstream() -> AsyncIterator[Commerce]:
    """Give an upstream that keeps the passwords of the demo customers itself."""
    shop = Shop("canary-upstream-id", UPSTREAM_SECRET, passwords=dict(DEMO_PASSWORDS))
    async with Commerce(shop) as commerce:
        yield commerce


@pytest.fixture(name="site")
async def _site(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    async with run_site(upstream, tmp_path, config=CONFIG) as running:
        yield running


async def test_login_is_the_upstreams(site: Site) -> None:
    """The login goes to the upstream with the gateway's bearer, and the answer becomes a token of the gateway."""
    answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email], authentication_mechanism="password")
    assert answer.status == 201
    data = answer.json()["data"]
    assert set(data) == {"type", "id", "customer_id", "token", "expires"}
    assert data["customer_id"] == RON_ID
    (sent,) = site.commerce.requests
    assert (sent.method, sent.path) == ("POST", "/v2/customers/tokens")
    assert sent.json()["data"]["password"] == DEMO_PASSWORDS[RON.email]
    assert (await site.bearer()).encode() not in sent.raw
    # The upstream may count attempts by address.
    assert sent.values("x-forwarded-for") == ["127.0.0.1"]
    orders = await site.customer(RON.email, "GET", "/v2/orders")
    assert {one["relationships"]["customer"]["data"]["id"] for one in orders.json()["data"]} == {RON_ID}
    assert (await site.customer(RON.email, "GET", f"/v2/customers/{LESLIE_ID}")).status == 404


async def test_wrong_pairs_are_the_same(site: Site) -> None:
    """A wrong password and an unknown e-mail are 404 with one body, and they count for the throttle."""
    answers = [await site.login(email, "wrong") for email in (RON.email, "nobody@x.example")]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
    assert answers[0].code == "LOGIN_FAILED"
    again = [await site.login(RON.email, "wrong") for _ in range(10)]
    assert again[-1].code == "LOGIN_FAILED"
    assert 'gateway_logins_total{outcome="throttled"} 1.0' in await site.metrics()
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "LOGIN_FAILED"


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_other_words_for_wrong(site: Site, status: int) -> None:
    """However an upstream says that a pair is not right, the client reads the same 404."""
    site.commerce.fault(Fault.SERVER_ERROR, when=LOGIN, status=status)
    assert (await site.login(RON.email, "wrong")).code == "LOGIN_FAILED"


async def test_upstream_that_says_401_to_wrong_passwords(site: Site) -> None:
    """A 401 to a login costs no good bearer, counts as a failure, and stops nobody else's traffic."""
    assert (await site.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])).status == 201
    grants = len(site.commerce.token_requests)
    site.commerce.fault(Fault.UNAUTHORIZED, when=LOGIN)
    answers = [await site.login(RON.email, "wrong") for _ in range(11)]
    assert [answer.code for answer in answers] == ["LOGIN_FAILED"] * 11
    assert len(site.commerce.token_requests) == grants
    assert (await site.public("GET", "/v2/products")).status == 200


async def test_upstream_that_says_401_to_some_and_404_to_others(site: Site) -> None:
    """An unknown e-mail costs as many calls as a wrong password, or the time would tell who is a customer."""

    def said(request: Recorded) -> bytes:
        return b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % (401 if RON.email.encode() in request.body else 404)

    site.commerce.script(LOGIN, said)
    calls = []
    for email in (RON.email, "nobody@x.example", RON.email, LESLIE.email):
        before = len(site.commerce.requests)
        assert (await site.login(email, "wrong")).code == "LOGIN_FAILED"
        calls.append([(request.method, request.path) for request in site.commerce.requests[before:]])
    assert calls[1:] == calls[:1] * 3
    assert len(calls[0]) > 1


async def test_bearer_that_is_not_accepted_any_more(site: Site) -> None:
    """A 401 that speaks of the gateway's own bearer is healed, and the customer notices nothing."""
    assert (await site.public("GET", "/v2/products")).status == 200
    revoke_bearers(site.commerce.shop)
    answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
    while answer.status == 503:
        # A bearer that is rejected within a second of its issue is not renewed at once.
        assert answer.code == "CREDENTIAL_UNAVAILABLE"
        assert int(answer.headers["retry-after"]) > 0
        answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
    assert answer.status == 201


@pytest.mark.parametrize(
    ("kind", "options", "status", "code"),
    [
        (Fault.SERVER_ERROR, {"status": 500}, 502, "UPSTREAM_FAILED"),
        (Fault.SERVER_ERROR, {"status": 429}, 429, "THROTTLED"),
        (Fault.HTML_OK, {}, 502, "UPSTREAM_INVALID"),
        (Fault.EMPTY_BODY, {}, 502, "UPSTREAM_INVALID"),
        (Fault.REDIRECT, {"location": "http://evil.example/"}, 502, "UPSTREAM_FAILED"),
        (Fault.TRUNCATED_JSON, {}, 502, "UPSTREAM_INVALID"),
        (Fault.CLOSE, {}, 502, "UPSTREAM_INVALID"),
    ],
)
async def test_broken_upstream_is_no_wrong_password(
    site: Site, kind: Fault, options: dict[str, object], status: int, code: str
) -> None:
    """When the upstream cannot say, nobody is refused as wrong and nothing counts."""
    site.commerce.fault(kind, when=LOGIN, times=12, **options)
    for _ in range(12):
        answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
        assert (answer.status, answer.code) == (status, code)
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_compressed_answer(site: Site) -> None:
    """An upstream that compresses its answer is understood."""
    site.commerce.fault(Fault.GZIP, when=LOGIN)
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


@pytest.mark.parametrize("customer_id", ["../orders", "", None, 7.0, 1e1, True, -7.5, "a,b"])
async def test_answer_without_a_customer_id(site: Site, customer_id: object) -> None:
    """No token is minted for what cannot be a customer id."""
    body = json.dumps({"data": {"type": "token", "customer_id": customer_id}}).encode()
    head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(LOGIN, head + body)
    answer = await site.login(RON.email, "x")
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")


async def test_a_customer_id_may_be_an_integer(site: Site) -> None:
    """A backend that counts its customers: the id is its digits, in the reply as in the token."""
    body = b'{"data":{"type":"token","customer_id":17}}'
    head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(LOGIN, head + body)
    answer = await site.login(RON.email, "x")
    assert (answer.status, answer.json()["data"]["customer_id"]) == (201, "17")


async def test_passwords_of_registration_and_change_are_passed_on(site: Site) -> None:
    """Registration and change carry the password to the upstream, and `password` in replies is the upstream's."""
    answer = await register(site)
    assert answer.status == 201
    assert site.commerce.requests[-1].json() == customer(ANN, PASSWORD)
    assert answer.json()["data"]["password"] is False
    token = await site.token(RON.email)
    site.commerce.forget()
    changed = await change(site, token, RON_ID, password="canary-new")
    assert (changed.status, changed.json()["data"]["password"]) == (200, True)
    assert asked(site) == [("PUT", f"/v2/customers/{RON_ID}")]
    assert site.commerce.requests[0].json()["data"]["password"] == "canary-new"
    listed = (await site.trusted("GET", "/v2/customers")).json()["data"]
    assert {one["email"]: one["password"] for one in listed} == {**dict.fromkeys(DEMO_PASSWORDS, True), ANN: False}


async def test_field_list_holds_here_too(site: Site) -> None:
    """The routes of moltin.yaml keep their rules: fields that are not listed are 422, foreign customers 404."""
    assert (await register(site, external_ref="x")).status == 422
    token = await site.token(RON.email)
    assert (await change(site, token, LESLIE_ID, password="canary-new")).status == 404
    assert (await site.customer(RON.email, "DELETE", f"/v2/customers/{RON_ID}")).status == 204


async def test_the_store_holds_no_password(site: Site) -> None:
    """Nothing that is typed anywhere comes into it: only who was logged out, and whom the gateway has seen."""
    assert site.gateway.hasher is None
    await site.token(RON.email)
    assert (await register(site)).status == 201
    token = await site.token(LESLIE.email)
    assert (await change(site, token, LESLIE_ID, password="canary-new")).status == 200
    assert await store_of(site).with_password([RON_ID, LESLIE_ID]) == frozenset()
    async with site.session.get(f"{site.admin_url}/ready") as response:
        assert response.status == 200
        assert (await response.json())["conditions"]["store"] is True


async def valid(site: Site, token: str) -> bool:
    """Tell whether a customer token still opens the own orders."""
    answer = await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": token})
    assert answer.status == 200 or answer.code == "CUSTOMER_TOKEN_INVALID"
    return answer.status == 200


async def test_a_new_password_logs_out_everywhere(site: Site) -> None:
    """As the upstream keeps it, so does its change end sessions; a change of anything else, or of none, ends none."""
    tokens = [await token_of(site, RON.email, DEMO_PASSWORDS[RON.email]) for _ in range(2)]
    for fields in ({"name": "Ron"}, {"password": ""}, {"password": True}):
        assert (await change(site, tokens[0], RON_ID, **fields)).status < 500
    assert [await valid(site, token) for token in tokens] == [True, True]
    assert (await change(site, tokens[0], RON_ID, password="canary-new")).status == 200
    assert [await valid(site, token) for token in tokens] == [False, False]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_log_out_that_is_not_known_here_yet_counts(upstream: Commerce, tmp_path: Path, method: str) -> None:
    """The store is asked: whoever has a stolen token would else keep the account by it, or take it along."""
    async with (
        run_site(upstream, tmp_path, config=CONFIG) as here,
        run_site(upstream, tmp_path, config=here.config) as there,
    ):
        token = {"X-Moltin-Customer-Token": await token_of(here, RON.email, DEMO_PASSWORDS[RON.email])}
        assert (await there.trusted("DELETE", f"/v2/customers/{RON_ID}/tokens")).status == 204
        upstream.forget()
        body = {"data": {"type": "customer", "password": "canary-new"}}
        answer = await here.public(method, f"/v2/customers/{RON_ID}", token, json=body if method == "PUT" else None)
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
        assert asked(here) == []


async def test_a_change_of_which_nobody_knows_logs_out(site: Site) -> None:
    """Where the upstream may have taken the new password the sessions of the old one are over."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.CLOSE, when=at(f"/v2/customers/{RON_ID}", "PUT"))
    assert (await change(site, token, RON_ID, password="canary-new")).status == 502
    assert not await valid(site, token)


async def test_a_refused_change_logs_nobody_out(site: Site) -> None:
    """A password that the upstream does not take is no new one."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.SERVER_ERROR, when=at(f"/v2/customers/{RON_ID}", "PUT"), status=422)
    assert (await change(site, token, RON_ID, password="canary-new")).status == 422
    assert await valid(site, token)


async def test_a_deletion_logs_out(site: Site) -> None:
    """Whoever is gone has no token that opens anything."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    assert (await site.trusted("DELETE", f"/v2/customers/{RON_ID}")).status == 204
    assert not await valid(site, token)


async def test_log_outs_and_blocks(site: Site) -> None:
    """They are the gateway's own business: the same as where it keeps the passwords."""
    first, second = [await token_of(site, RON.email, DEMO_PASSWORDS[RON.email]) for _ in range(2)]
    out = await site.public("DELETE", "/v2/customers/tokens", {"X-Moltin-Customer-Token": first})
    assert (out.status, await valid(site, first), await valid(site, second)) == (204, False, True)
    assert (await site.trusted("PUT", f"/v2/customers/{RON_ID}/block")).status == 204
    assert not await valid(site, second)
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "LOGIN_FAILED"
    assert (await site.trusted("DELETE", f"/v2/customers/{RON_ID}/block")).status == 204
    assert await valid(site, await token_of(site, RON.email, DEMO_PASSWORDS[RON.email]))


async def test_a_log_out_while_the_upstream_compares_ends_the_login(site: Site) -> None:
    """It may have been for a new password: what was compared is the old one."""
    await site.token(LESLIE.email)
    site.commerce.forget()
    gate = asyncio.Event()
    site.commerce.fault(Fault.SLOW_HEAD, when=LOGIN, gate=gate)
    login = asyncio.ensure_future(site.login(RON.email, DEMO_PASSWORDS[RON.email]))
    await site.commerce.wait(lambda: len(site.commerce.requests) == 1)
    assert (await site.trusted("DELETE", f"/v2/customers/{RON_ID}/tokens")).status == 204
    gate.set()
    assert not await valid(site, (await login).json()["data"]["token"])


async def test_while_the_store_is_down_nobody_logs_in(site: Site) -> None:
    """Nobody could tell who is blocked; who is logged in goes on, and no password changes that ends no session."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    await store_of(site).close()
    site.commerce.forget()
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "STORE_UNAVAILABLE"
    assert (await change(site, token, RON_ID, password="canary-new")).code == "STORE_UNAVAILABLE"
    assert asked(site) == []
    assert await valid(site, token)
