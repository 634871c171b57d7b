"""Logins through the door: who gets a customer token, and what everybody else can learn."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from argon2 import PasswordHasher
from blockbuster import blockbuster_ctx

from gateway.config.customers import Hashing
from gateway.demo.data import APRIL, DEMO_PASSWORDS, LESLIE, RON, RON_ID
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Answer, Site
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, PASSWORD, asked, made, register, same_headers, statements, store_of

LOOK_UP = at("/v2/customers", "GET")
UNKNOWN = "nobody@nowhere.example"


def claims(token: str) -> dict[str, object]:
    """Read a token without believing it."""
    part = token.split(".")[1]
    read: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


def kinds(site: Site) -> list[tuple[str, str]]:
    """Return what the upstream was asked, in whatever order, without whose id was asked for."""
    return sorted((method, "/v2/customers/ID" if path != "/v2/customers" else path) for method, path in asked(site))


def throttled(account: int = 3, address: int = 100) -> str:
    """Return a configuration with these bursts, of which next to nothing comes back during a test."""
    return (
        "extends: moltin.yaml\ncustomers:\n  throttle:\n"
        f"    account: {{burst: {account}, per_minute: 0.01}}\n    address: {{burst: {address}, per_minute: 0.01}}\n"
    )


@pytest.mark.parametrize("members", [{}, {"authentication_mechanism": "password"}], ids=["old SDK", "new SDK"])
async def test_reply_is_what_sdks_read(site: Site, members: dict[str, str]) -> None:
    """A login answers 201 with exactly the fields of the API; expires is 24 hours after iat, in epoch seconds."""
    answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email], **members)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert list(answer.json()) == ["data"]
    data = answer.json()["data"]
    assert set(data) == {"type", "id", "customer_id", "token", "expires"}
    assert (data["type"], data["customer_id"]) == ("token", RON_ID)
    said = claims(data["token"])
    assert (said["sub"], said["jti"], said["exp"]) == (RON_ID, data["id"], data["expires"])
    assert isinstance(said["iat"], int)
    assert data["expires"] == said["iat"] + 86400


NO_LOGINS: list[tuple[object, int, str]] = [
    ({}, 422, "data"),
    ({"data": []}, 422, "data"),
    ({"data": {"type": "customer", "email": RON.email, "password": "x"}}, 422, "data.type"),
    (
        {"data": {"email": RON.email, "password": "x", "authentication_mechanism": "oidc"}},
        422,
        "data.authentication_mechanism",
    ),
    ({"data": {"password": "x"}}, 422, "data.email"),
    ({"data": {"email": [RON.email], "password": "x"}}, 422, "data.email"),
    ({"data": {"email": "ron", "password": "x"}}, 422, "data.email"),
    ({"data": {"email": "a@b@c.example", "password": "x"}}, 422, "data.email"),
    ({"data": {"email": "a@b.c):eq(status,paid", "password": "x"}}, 422, "data.email"),
    ({"data": {"email": RON.email}}, 422, "data.password"),
    ({"data": {"email": RON.email, "password": ""}}, 422, "data.password"),
    ({"data": {"email": RON.email, "password": "x" * 1025}}, 422, "data.password"),
    ({"data": {"email": RON.email, "password": 12345678}}, 422, "data.password"),
    ({"data": {"email": RON.email, "password": None}}, 422, "data.password"),
    ({"data": {"email": RON.email, "password": "x" * 20_000}}, 413, "body"),
]


async def test_malformed_login_names_the_field(site: Site) -> None:
    """What cannot be a login is refused by the name of its field, and the upstream is not asked."""
    for body, status, source in NO_LOGINS:
        answer = await site.public("POST", "/v2/customers/tokens", json=body)
        assert (answer.status, answer.json()["errors"][0]["source"]) == (status, source), body
    assert not site.commerce.requests


async def test_login_that_is_no_json_object(site: Site) -> None:
    """A login body is one JSON object with one reading, and says so."""
    twice = b'{"data":{"email":"a@b.c","email":"d@e.f","password":"x"}}'
    for data, content_type, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (twice, "application/json", 400),
        (b'{"data":{"email":"a@b.c","password":"x"}}', "text/plain", 415),
    ):
        answer = await site.public("POST", "/v2/customers/tokens", data=data, headers={"Content-Type": content_type})
        assert answer.status == status, data
    assert not site.commerce.requests


async def test_wrong_email_and_wrong_password_are_the_same(site: Site) -> None:
    """An unknown e-mail, a wrong password and a customer without password: same reply, same calls, same queries."""
    made(site, ANN)
    seen: list[tuple[int, bytes, dict[str, str], list[tuple[str, str]], list[str]]] = []
    await site.login(RON.email, "wrong")
    for email in (RON.email, UNKNOWN, ANN):
        site.commerce.forget()
        with statements() as queries:
            answer = await site.login(email, "wrong")
        seen.append((answer.status, answer.body, same_headers(answer), kinds(site), queries))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == 404
    assert json.loads(seen[0][1])["errors"][0]["code"] == "LOGIN_FAILED"
    assert seen[0][3] == [("GET", "/v2/customers"), ("GET", "/v2/customers/ID")]
    assert seen[0][4]


async def test_number_of_calls_depends_on_the_question_alone(site: Site) -> None:
    """An e-mail typed in capitals is asked for in both spellings, and by an id, whether or not anybody has it."""
    for email in (RON.email.upper(), UNKNOWN.upper()):
        site.commerce.forget()
        assert (await site.login(email, "wrong")).status == 404
        assert kinds(site) == [("GET", "/v2/customers"), ("GET", "/v2/customers"), ("GET", "/v2/customers/ID")]


async def test_spellings_are_one_account(site: Site) -> None:
    """Case of letters and spaces around an e-mail make no other account."""
    for email in (RON.email.upper(), f"  {RON.email} ", "Ron@Swanson.Example"):
        answer = await site.login(email, DEMO_PASSWORDS[RON.email])
        assert answer.json()["data"]["customer_id"] == RON_ID


async def test_customers_whose_addresses_differ_in_case_only(site: Site) -> None:
    """Each of two such customers is reached by the exact spelling; where both are found, another reaches nobody."""
    lower, upper = made(site, "twin@x.example"), made(site, "TWIN@x.example")
    for record, password in ((lower, "lower-password"), (upper, "upper-password")):
        hashed = await site.gateway.hasher.hash(password) if site.gateway.hasher else None
        assert isinstance(hashed, str)
        await store_of(site).set_password(record["id"], hashed)
    # An upstream that compares without case answers with both, as this one does when it answers with everybody.
    site.commerce.fault(Fault.IGNORE_FILTER, when=LOOK_UP)
    assert (await site.login("twin@x.example", "lower-password")).json()["data"]["customer_id"] == lower["id"]
    assert (await site.login("TWIN@x.example", "upper-password")).json()["data"]["customer_id"] == upper["id"]
    for email, password in (("twin@x.example", "upper-password"), ("Twin@x.example", "lower-password")):
        assert (await site.login(email, password)).code == "LOGIN_FAILED"
    taken = await register(site, "Twin@X.example")
    assert (taken.status, taken.code) == (409, "EMAIL_TAKEN")


async def test_email_is_a_literal_in_the_look_up(site: Site) -> None:
    """Whatever an e-mail holds, the upstream gets one filter parameter with one condition, and the customer logs in."""
    for email, sent in (
        ("a+b@x.example", "a%2Bb@x.example"),
        ("a.b-c_d@x-y.example", "eq(email,a.b-c_d@x-y.example)"),
        ("o'neil@x.example", "o'neil@x.example"),
        ("jürgen@x.example", "j%C3%BCrgen@x.example"),
        ("a&b=c@x.example", "a%26b"),
        ("a%2cb@x.example", "a%252cb"),
        ("a|b*@x.example", "*@x.example"),
        ("{a}/b#c?d@x.example", "%23c"),
    ):
        assert (await register(site, email)).status == 201, email
        site.commerce.forget()
        assert (await site.login(email, PASSWORD)).status == 201, email
        (look_up,) = filter(LOOK_UP, site.commerce.requests)
        assert [name for name, _ in look_up.query] == ["filter"]
        assert look_up.query[0][1] in {f"eq(email,{email})", f'eq(email,"{email}")'}
        assert sent in look_up.target.replace("%27", "'")


async def test_look_up_carries_the_servers_bearer_only(site: Site) -> None:
    """What the client sends with a login does not reach the upstream: neither bearer nor password nor headers."""
    await site.public(
        "POST",
        "/v2/customers/tokens",
        headers={"X-Moltin-Customer-Token": await site.token(RON.email), "X-Moltin-Currency": "XXX"},
        json={"data": {"email": LESLIE.email, "password": DEMO_PASSWORDS[LESLIE.email]}},
    )
    for request in site.commerce.requests:
        assert request.method == "GET"
        assert (await site.bearer()).encode() not in request.raw
        assert DEMO_PASSWORDS[LESLIE.email].encode() not in request.raw
        assert request.header("x-moltin-customer-token") is None


async def test_upstream_that_ignores_the_filter(site: Site) -> None:
    """When the look-up answers everybody, only the customer of that e-mail logs in; known and unknown look the same."""
    site.commerce.fault(Fault.IGNORE_FILTER, when=LOOK_UP)
    answer = await site.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])
    assert answer.json()["data"]["customer_id"] == LESLIE.id
    refused = [await site.login(email, DEMO_PASSWORDS[RON.email]) for email in (LESLIE.email, UNKNOWN)]
    assert refused[0].status == refused[1].status == 404
    assert refused[0].body == refused[1].body


@pytest.mark.parametrize(
    "data",
    [
        [{"type": "customer", "id": RON_ID, "email": RON.email}],
        [{"type": "customer", "id": RON_ID}],
        [{"type": "customer", "id": RON_ID, "email": [LESLIE.email]}],
        [RON_ID],
        [],
    ],
    ids=["another's", "without e-mail", "list of e-mails", "no records", "none"],
)
async def test_look_up_that_answers_another_record(site: Site, data: list[object]) -> None:
    """A record is the customer's only if it says the e-mail itself; else nobody has it."""
    body = json.dumps({"data": data}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(LOOK_UP, head + body)
    for password in DEMO_PASSWORDS.values():
        assert (await site.login(LESLIE.email, password)).code == "LOGIN_FAILED"


async def test_customer_id_that_fits_no_pattern(site: Site) -> None:
    """An id that could not stand in a path or a filter never gets into a token."""
    body = json.dumps({"data": [{"type": "customer", "id": "../orders", "email": LESLIE.email}]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(LOOK_UP, head + body)
    assert (await site.login(LESLIE.email, "x")).code == "UPSTREAM_INVALID"


async def test_customer_deleted_upstream(site: Site) -> None:
    """A customer deleted upstream cannot log in; a token issued before finds what the upstream still has, no more."""
    await site.token(RON.email)
    del site.commerce.shop.customers[RON_ID]
    site.commerce.shop.addresses.pop(RON_ID, None)
    refused = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
    unknown = await site.login(UNKNOWN, DEMO_PASSWORDS[RON.email])
    assert (refused.status, refused.body) == (404, unknown.body)
    own = f"/v2/customers/{RON_ID}"
    assert (await site.customer(RON.email, "GET", "/v2/customers")).json()["data"] == []
    for method, target, options in (
        ("GET", own, {}),
        ("PUT", own, {"json": {"data": {"type": "customer", "name": "Ghost"}}}),
        ("PUT", own, {"json": {"data": {"type": "customer", "password": "ghost"}}}),
        ("GET", f"{own}/addresses", {}),
        ("GET", "/v2/orders", {}),
        ("DELETE", own, {}),
    ):
        answer = await site.customer(RON.email, method, target, None, **options)
        if target == "/v2/orders":
            owners = {order["relationships"]["customer"]["data"]["id"] for order in answer.json()["data"]}
            assert owners == {RON_ID}
        else:
            assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND"), (method, target)
    # Whoever is deleted is logged out, also where that was done already.
    assert (await site.customer(RON.email, "GET", "/v2/orders")).code == "CUSTOMER_TOKEN_INVALID"
    assert not await store_of(site).with_password([RON_ID])


async def test_throttle_of_an_account_does_not_tell_who_exists(upstream: Commerce, tmp_path: Path) -> None:
    """After the burst every pair is a wrong one, the right one too, and nothing in an answer says that it is."""
    async with run_site(upstream, tmp_path, config=throttled()) as site:
        pairs = [(RON.email, "wrong")] * 5 + [(UNKNOWN, "wrong")] * 5 + [(RON.email.upper(), DEMO_PASSWORDS[RON.email])]
        answers = [await site.login(*pair) for pair in pairs]
        changing = {"x-request-id", "date"}
        told = {
            (a.status, a.body, tuple((k, v) for k, v in a.headers.items() if k.lower() not in changing))
            for a in answers
        }
        assert len(told) == 1
        assert (answers[0].status, answers[0].code) == (404, "LOGIN_FAILED")
        assert (await site.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])).status == 201
        assert 'gateway_logins_total{outcome="throttled"} 5.0' in await site.metrics()


async def test_throttled_login_does_the_same_work(upstream: Commerce, tmp_path: Path) -> None:
    """The same calls and the same queries as for any wrong password; the right one is not looked at."""
    async with run_site(upstream, tmp_path, config=throttled(account=1)) as site:
        work = []
        for password in ("wrong", "wrong", DEMO_PASSWORDS[RON.email]):
            upstream.forget()
            with statements() as queries:
                assert (await site.login(RON.email, password)).status == 404
            work.append(([request.target for request in upstream.requests], list(queries)))
        assert work[0] == work[1] == work[2]


async def test_known_address_is_not_locked_out(upstream: Commerce, tmp_path: Path) -> None:
    """Where a customer has logged in, wrong passwords from elsewhere do not count."""
    async with run_site(upstream, tmp_path, config=throttled()) as site:
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
        from_elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
        async with aiohttp.ClientSession(connector=from_elsewhere) as elsewhere:
            stranger = replace(site, session=elsewhere)
            for _ in range(6):
                assert (await stranger.login(RON.email, "wrong")).status == 404
            assert (await stranger.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 404
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_attempts_at_once_do_not_slip_under_the_throttle(upstream: Commerce, tmp_path: Path) -> None:
    """Of many attempts at the same moment no more than the burst are tried."""
    async with run_site(upstream, tmp_path, config=throttled()) as site:
        await site.bearer()
        answers = await asyncio.gather(*(site.login(RON.email, "wrong") for _ in range(10)))
        assert [answer.status for answer in answers] == [404] * 10
        assert 'gateway_logins_total{outcome="throttled"} 7.0' in await site.metrics()


async def test_throttle_of_an_address(upstream: Commerce, tmp_path: Path) -> None:
    """One address cannot try many accounts: after its burst it answers 429, for any account."""
    async with run_site(upstream, tmp_path, config=throttled(account=50, address=4)) as site:
        answers = [await site.login(f"n{number}@x.example", "wrong") for number in range(6)]
        assert [answer.status for answer in answers] == [404] * 4 + [429] * 2
        # An already issued token is no login.
        assert (await site.public("GET", "/v2/products")).status == 200


async def test_success_is_given_back(upstream: Commerce, tmp_path: Path) -> None:
    """Only attempts that failed count: a customer may log in as often as she likes, and failures before still count."""
    async with run_site(upstream, tmp_path, config=throttled(account=2)) as site:
        assert (await site.login(RON.email, "wrong")).status == 404
        for _ in range(4):
            assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
        # The address is known now, and has a burst of its own.
        for _ in range(2):
            assert (await site.login(RON.email, "wrong")).status == 404
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 404


async def test_broken_machinery_does_not_count(upstream: Commerce, tmp_path: Path) -> None:
    """While the upstream fails nobody is locked out, because nobody learned anything."""
    async with run_site(upstream, tmp_path, config=throttled(account=2)) as site:
        fault = upstream.fault(Fault.SERVER_ERROR, when=LOOK_UP, times=5)
        for _ in range(5):
            assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 502
        assert fault.hits == 5
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_full_hashing_queue_answers_at_once_and_blocks_nobody(upstream: Commerce, tmp_path: Path) -> None:
    """While a hash is computed other traffic goes on; a login beyond the queue answers 503 with Retry-After at once."""
    slow = "extends: moltin.yaml\ncustomers:\n  hashing: {memory: 96MiB, passes: 16, workers: 1, queue: 0}\n"
    async with run_site(upstream, tmp_path, config=slow, passwords=False) as site, asyncio.TaskGroup() as group:
        await site.bearer()
        first = group.create_task(site.login(UNKNOWN, "wrong"))
        while "gateway_password_queue_depth 1" not in await site.metrics():
            assert not first.done()
        refused: Answer = await site.login(RON.email, "wrong")
        open_route = await site.public("GET", "/v2/products")
        assert not first.done(), "the loop was blocked by the hash, or the hash is too fast for this test"
        assert (refused.status, refused.code) == (503, "OVERLOADED")
        assert int(refused.headers["retry-after"]) > 0
        assert open_route.status == 200
        assert (await first).status == 404


async def test_no_blocking_call_in_the_loop(site: Site) -> None:
    """Registration, login and change of a password make no blocking call in the event loop."""
    await site.bearer()
    with blockbuster_ctx("gateway"):
        assert (await register(site)).status == 201
        assert (await site.login(ANN, PASSWORD)).status == 201
        assert (await site.login(ANN, "wrong")).status == 404
        own = f"/v2/customers/{APRIL.id}"
        answer = await site.customer(APRIL.email, "PUT", own, json={"data": {"type": "customer", "password": "new"}})
        assert answer.status == 200
    assert not [line for line in site.log_lines() if line.get("event") == "failed"]


async def test_weak_hash_is_made_anew(upstream: Commerce, tmp_path: Path) -> None:
    """A login with a hash of weaker parameters stores one of today's, and the password stays the same."""
    hashed = PasswordHasher(1, 64, 1).hash("weakly-hashed")
    async with run_site(upstream, tmp_path, passwords=False, hashing=Hashing()) as site:
        await store_of(site).set_password(RON_ID, hashed)
        assert (await site.login(RON.email, "wrong")).status == 404
        assert await store_of(site).password_hash(RON_ID) == hashed
        assert (await site.login(RON.email, "weakly-hashed")).status == 201
        stronger = await store_of(site).password_hash(RON_ID)
        assert stronger is not None
        assert "m=19456,t=2" in stronger
        assert (await site.login(RON.email, "weakly-hashed")).status == 201
