"""Caches and coalesced calls (D4): two customers at the same moment never get each other's answer."""

import asyncio
import json

from gateway.demo.data import LESLIE, RON, Person
from tests.attacks.field import ON_ONE_LOOP, Field, every, order_of, telling
from tests.authn import forge
from tests.fakes.commerce import Fault
from tests.gateways import Answer
from tests.server.raw import connected

pytestmark = ON_ONE_LOOP

PAIRS = 50
LISTS = ("/v2/orders", "/v2/customers", "/v2/orders?page[limit]=1", "/v2/orders?filter=eq(status,complete)")


def others(me: Person) -> Person:
    """Return the other of the two customers."""
    return LESLIE if me is RON else RON


def assert_mine(answer: Answer, me: Person) -> None:
    """Check that a list is somebody's own, in every byte, and says that no cache may keep it."""
    assert answer.status == 200, answer.body
    assert answer.json()["data"]
    assert me.name.encode() in answer.body
    shown = answer.body + repr(dict(answer.headers)).encode()
    assert not [text for text in telling(others(me)) if text in shown]
    assert answer.headers["cache-control"] == "private, no-store"
    assert {name.strip().lower() for name in answer.headers["vary"].split(",")} >= {
        "authorization",
        "x-moltin-customer-token",
    }
    assert "etag" not in answer.headers
    assert "age" not in answer.headers


async def test_cve_2026_35030_tokens_that_begin_alike(field: Field) -> None:
    """Tokens with a long common prefix are two tokens (D4.1 LiteLLM: a key of the first 20 characters)."""
    assert field.token != field.stolen
    assert field.token[:60] == field.stolen[:60]
    for _ in range(3):
        for person in (RON, LESLIE):
            assert_mine(await field.site.customer(person.email, "GET", "/v2/orders"), person)


@every(part=["header", "payload", "signature"])
async def test_cve_2026_35030_parts_of_a_remembered_token(field: Field, part: str) -> None:
    """A token that shares all but one part with a remembered one is no token (D4.1, D4.3)."""
    for person in (RON, LESLIE):
        assert_mine(await field.site.customer(person.email, "GET", "/v2/orders"), person)
    at = ("header", "payload", "signature").index(part)
    mine, theirs = field.token.split("."), field.stolen.split(".")
    foreign = forge.forge(forge.key(field.key.algorithm, "theirs"), {"alg": "EdDSA"}, {"sub": LESLIE.id}).split(".")
    for source in (theirs, foreign):
        mixed = [*mine]
        mixed[at] = source[at]
        if mixed == mine:
            continue
        answer = await field.site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": ".".join(mixed)})
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")


@every(target=LISTS)
async def test_d4_7_identical_requests_interleaved(field: Field, target: str) -> None:
    """The same request of two customers in turns is two answers (D4.7 Fiber CVE-2026-30246)."""
    for _ in range(5):
        for person in (RON, LESLIE):
            assert_mine(await field.site.customer(person.email, "GET", target), person)


@every(target=LISTS)
async def test_d4_4_identical_requests_at_once(field: Field, target: str) -> None:
    """Fifty pairs of one request at the same moment: each answer is its asker's (D4.4, Traefik CVE-2026-71326)."""
    people = [RON, LESLIE] * PAIRS
    answers = await asyncio.gather(*(field.site.customer(person.email, "GET", target) for person in people))
    for person, answer in zip(people, answers, strict=True):
        assert_mine(answer, person)


@every(target=LISTS)
async def test_d4_4_identical_requests_held_back(field: Field, target: str) -> None:
    """The same holds where all of them wait for the upstream together, so that all could be coalesced."""
    gate = asyncio.Event()
    field.site.commerce.forget()
    field.site.commerce.fault(Fault.SLOW_HEAD, gate=gate)
    people = [RON, LESLIE] * 20
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(field.site.customer(person.email, "GET", target)) for person in people]
        await field.site.commerce.wait(lambda: len(field.site.commerce.requests) >= 2)
        gate.set()
    field.site.commerce.forget()
    for person, task in zip(people, tasks, strict=True):
        assert_mine(task.result(), person)


@every(of=["ron", "leslie"], sub=["", "/items", "/transactions"])
async def test_d4_2_parents_of_two_customers_at_once(field: Field, of: str, sub: str) -> None:
    """A look-up made for the owner of an order opens it for nobody else, at the same moment or after (D4.2, D4.3)."""
    owner = RON if of == "ron" else LESLIE
    stranger = others(owner)
    target = f"/v2/orders/{order_of(owner)}{sub}"
    gate = asyncio.Event()
    field.site.commerce.forget()
    field.site.commerce.fault(Fault.SLOW_HEAD, gate=gate)
    people = [owner, stranger] * PAIRS
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(field.site.customer(person.email, "GET", target)) for person in people]
        await field.site.commerce.wait(lambda: len(field.site.commerce.requests) >= 1)
        gate.set()
    field.site.commerce.forget()
    for person, task in zip(people, tasks, strict=True):
        answer = task.result()
        if person is owner:
            assert answer.status == 200
            assert owner.canary.encode() in answer.body
            assert answer.headers["cache-control"] == "private, no-store"
        else:
            assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
            assert not [text for text in telling(owner) if text in answer.body]
    # The stranger's 404 is no answer for the owner either, and the owner's none for the stranger.
    assert (await field.site.customer(owner.email, "GET", target)).status == 200
    assert (await field.site.customer(stranger.email, "GET", target)).status == 404


async def test_d4_2_a_foreign_order_answers_like_an_unknown_one(field: Field) -> None:
    """Foreign and unknown are byte for byte the same (design.md, status codes)."""
    unknown = "00000000-0000-4000-8000-000000000000"
    for sub in ("", "/items", "/transactions"):
        foreign = await field.site.customer(RON.email, "GET", f"/v2/orders/{order_of(LESLIE)}{sub}")
        missing = await field.site.customer(RON.email, "GET", f"/v2/orders/{unknown}{sub}")
        assert (foreign.status, foreign.body) == (missing.status, missing.body)
        same = [
            {
                name.lower(): value
                for name, value in answer.headers.items()
                if name.lower() not in {"date", "x-request-id"}
            }
            for answer in (foreign, missing)
        ]
        assert same[0] == same[1]


async def test_d4_7_pipelined_requests_of_two_customers(field: Field) -> None:
    """Requests of two customers on one connection are answered in order, each with its asker's records (D5.1)."""
    people = [RON, LESLIE, LESLIE, RON] * 5
    tokens = {RON: field.token, LESLIE: field.stolen}
    raw = b""
    for person in people:
        proof = [f"Authorization: Bearer {field.bearer}", f"X-Moltin-Customer-Token: {tokens[person]}"]
        raw += field.request("GET", "/v2/customers", proof=proof)
    async with connected(field.site) as client:
        client.send(raw)
        for person in people:
            reply = await client.reply()
            assert reply.status == 200
            assert [record["id"] for record in json.loads(reply.body)["data"]] == [person.id]


@every(header=["If-None-Match: *", 'If-None-Match: "x"', "If-Modified-Since: Wed, 01 Jan 2030 00:00:00 GMT",
               "Range: bytes=0-10", 'If-Range: "x"', "Cache-Control: only-if-cached", "Cache-Control: max-stale=9999",
               "Pragma: cache"])  # fmt: skip
async def test_d4_7_conditions_ask_no_cache(field: Field, header: str) -> None:
    """On a scoped route conditions and ranges are not passed on: the whole answer is judged (D4.7, D5.7)."""
    name, _, value = header.partition(": ")
    field.site.commerce.forget()
    answer = await field.site.customer(RON.email, "GET", "/v2/orders", {name: value})
    assert_mine(answer, RON)
    (request,) = field.site.commerce.requests
    assert request.header(name) is None
