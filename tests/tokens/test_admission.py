"""Password work that is no login: how much of it, under what, and what a client sees."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.stores import CredentialStore
from gateway.tokens.admission import Admission
from gateway.tokens.consent import Consent
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.throttle import Denied, Limit, Work, WorkThrottle
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.events import Event, Throttled
from gateway.vocab.messages import Checked, Plan, Trace, Whose
from gateway.vocab.policy import Passwords
from gateway.vocab.refusals import Code, Refusal
from gateway.wiring import now
from tests.fakes.commerce import Commerce
from tests.gateways import Answer
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, OTHER, change, customer, register, registrar, token_of

LIMITS = {
    Work.REGISTRATION: {"address": Limit(3, 6), "email": Limit(2, 6)},
    Work.PASSWORD_CHANGE: {"customer": Limit(2, 6)},
}
TRACE = Trace(counts_for="198.51.100.7")


def throttle() -> WorkThrottle:
    """Make one that has little room; a piece of work comes back each ten seconds."""
    return WorkThrottle(LIMITS, 100)


def keys(address: str, email: str) -> dict[str, str]:
    """Say what a registration is counted under."""
    return {"address": address, "email": email}


def test_each_key_has_its_bucket() -> None:
    """An address over however many e-mails, an e-mail over however many addresses."""
    limited = throttle()
    done = [limited.reserve(Work.REGISTRATION, keys("a", f"{number}@x.example"), 0.0) for number in range(4)]
    assert done == [None, None, None, Denied(10, "address")]
    done = [limited.reserve(Work.REGISTRATION, keys(f"b{number}", "ann@x.example"), 0.0) for number in range(3)]
    assert done == [None, None, Denied(10, "email")]
    assert limited.reserve(Work.REGISTRATION, keys("a", "new@x.example"), 10.0) is None


def test_an_address_that_is_used_up_costs_the_email_nothing() -> None:
    """Nor does it matter which e-mail it names: whoever has it can register."""
    limited = throttle()
    for number in range(3):
        limited.reserve(Work.REGISTRATION, keys("flood", f"{number}@x.example"), 0.0)
    for _ in range(50):
        assert limited.reserve(Work.REGISTRATION, keys("flood", "ann@x.example"), 0.0) == Denied(10, "address")
    assert limited.reserve(Work.REGISTRATION, keys("home", "ann@x.example"), 0.0) is None


def test_an_email_that_is_used_up_costs_the_address_its_work() -> None:
    """Or one address could ask for ever."""
    limited = throttle()
    given = [limited.reserve(Work.REGISTRATION, keys("flood", "ann@x.example"), 0.0) for _ in range(4)]
    assert given == [None, None, Denied(10, "email"), Denied(10, "address")]


def test_what_is_not_counted_has_no_bucket() -> None:
    """A trusted client's address, or one behind which many may be."""
    limited = throttle()
    assert {limited.reserve(Work.REGISTRATION, keys("", f"{n}@x.example"), 0.0) for n in range(99)} == {None}


def test_no_kind_takes_from_another() -> None:
    """The same text under two kinds is two keys."""
    limited = throttle()
    for _ in range(3):
        limited.reserve(Work.REGISTRATION, keys("x", "x"), 0.0)
    assert limited.reserve(Work.PASSWORD_CHANGE, {"customer": "x"}, 0.0) is None


# --- On the way of a request ------------------------------------------------------------------------------------------


@pytest.fixture
def events() -> list[Event]:
    """Give a place for what is emitted."""
    return []


@pytest.fixture
def keeper(backend: Backend, store: CredentialStore, hasher: PasswordHasher, events: list[Event]) -> Keeper:
    """Give a keeper of few registrations and changes, on a real store and upstream."""
    return made(backend, store, hasher, events)


async def nothing() -> None:
    """Let nobody hear of a log-out."""


def made(backend: Backend, store: CredentialStore, hasher: PasswordHasher, events: list[Event]) -> Keeper:
    """Make one."""
    directory = Directory(backend, CustomerForm(), re.compile("[A-Za-z0-9-]+"))
    admission = Admission(throttle(), lambda: 0.0, events.append)
    consent = Consent(directory, store, hasher, is_required=False)
    registers = registrar(directory, store, hasher, now)
    return Keeper(store, hasher, registers, admission, consent, events.append, catch_up=nothing)


async def nowhere(plan: Plan) -> Checked | Refusal:
    """Make no customer."""
    del plan
    return Refusal(Code.UPSTREAM_UNREACHABLE)


async def registered(keeper: Keeper, email: str, trace: Trace = TRACE) -> Any:
    """Register, as far as the upstream lets it; return the refusal's code and when to come again."""
    plan = Plan("POST", "/v2/customers", document=customer(email, "password"))
    done = await keeper.carry(Passwords.REGISTER, plan, Whose(None), nowhere, trace)
    assert isinstance(done, Refusal)
    return done.code, done.retry_after


@pytest.mark.parametrize("email", ["ron@swanson.example", "nobody@example.com"], ids=["known", "unknown"])
async def test_registrations_of_an_email_end(
    keeper: Keeper, email: str, upstream: Commerce, events: list[Event]
) -> None:
    """With 429 and Retry-After, alike for known and unknown e-mails, and without a word to the API."""
    for number in range(2):
        code, _ = await registered(keeper, email, replace(TRACE, counts_for=f"192.0.2.{number}"))
        assert code is not Code.THROTTLED
    asked = len(upstream.requests)
    spelled = f" {email.upper()}" if email.upper() == email else email.replace("example", "EXAMPLE")
    assert await registered(keeper, spelled) == (Code.THROTTLED, 10)
    assert len(upstream.requests) == asked
    assert events == [Throttled("registration", "email")]


async def test_registrations_from_an_address_end(keeper: Keeper, upstream: Commerce, events: list[Event]) -> None:
    """However many e-mails; those of a trusted client, or of one who cannot be told from others, do not."""
    for number in range(3):
        assert (await registered(keeper, f"{number}@example.com"))[0] is not Code.THROTTLED
    asked = len(upstream.requests)
    assert await registered(keeper, "other@example.com") == (Code.THROTTLED, 10)
    assert len(upstream.requests) == asked
    assert events == [Throttled("registration", "address")]
    for number in range(20):
        assert (await registered(keeper, f"t{number}@example.com", Trace()))[0] is not Code.THROTTLED


async def test_where_no_password_can_be_computed_the_api_is_not_asked(
    backend: Backend, store: CredentialStore, upstream: Commerce
) -> None:
    """A registration is refused at once, and counts for nothing."""
    sizes = {"workers": 1, "queue_limit": 1, "memory_kib": 64 * 1024, "time_cost": 16, "parallelism": 1}
    slow = PasswordHasher(**sizes, emit=lambda _: None)
    keeper = made(backend, store, slow, [])
    waiting = asyncio.ensure_future(slow.hash("canary-flood"))
    # One turn of the loop, in which it takes the only place.
    await asyncio.sleep(0)
    asked = len(upstream.requests)
    for _ in range(9):
        assert await registered(keeper, "ann@example.com") == (Code.OVERLOADED, 1)
    assert len(upstream.requests) == asked
    await waiting
    assert (await registered(keeper, "ann@example.com"))[0] is Code.UPSTREAM_UNREACHABLE
    slow.close()


async def test_what_cannot_be_registered_is_not_counted(keeper: Keeper) -> None:
    """It costs nothing."""
    for _ in range(20):
        assert (await registered(keeper, "no e-mail"))[0] is Code.BODY_FIELD_INVALID
    assert (await registered(keeper, "ann@example.com"))[0] is not Code.THROTTLED


async def test_changes_of_a_password_end(keeper: Keeper, events: list[Event]) -> None:
    """For each customer apart, and only those that set one."""

    async def changed(customer_id: str, **fields: object) -> tuple[Code, object]:
        plan = Plan("PUT", f"/v2/customers/{customer_id}", document={"data": {"type": "customer", **fields}})
        done = await keeper.carry(Passwords.CHANGE, plan, Whose(customer_id, {"id": customer_id}), nowhere, TRACE)
        assert isinstance(done, Refusal)
        return done.code, done.retry_after

    for _ in range(2):
        assert (await changed("ann", password="canary-new"))[0] is Code.UPSTREAM_UNREACHABLE
    assert await changed("ann", password="canary-new") == (Code.THROTTLED, 10)
    assert events == [Throttled("password_change", "customer")]
    assert (await changed("ann", name="Ann", password=True))[0] is Code.UPSTREAM_UNREACHABLE
    assert (await changed("ben", password="canary-new"))[0] is Code.UPSTREAM_UNREACHABLE


# --- From door to door ------------------------------------------------------------------------------------------------


def again(answer: Answer) -> int:
    """Return when to come again."""
    return int(answer.headers["Retry-After"])


CONFIG = """extends: moltin.yaml
customers:
  throttle:
    registrations: {email: {burst: 10, per_minute: 0.1}}
    password_changes: {burst: 10, per_minute: 0.1}
"""


async def test_a_flood_of_registrations_locks_nobody_out(upstream: Commerce, tmp_path: Path) -> None:
    """Whoever registers somebody's e-mail again and again gets 429 in the end; the customer logs in and changes it."""
    async with run_site(upstream, tmp_path, config=CONFIG) as site:
        assert (await register(site, ANN)).status == 201
        answers = [await register(site, ANN, OTHER) for _ in range(12)]
        assert {(answer.status, answer.code) for answer in answers[:9]} == {(409, "EMAIL_TAKEN")}
        assert {(answer.status, answer.code) for answer in answers[9:]} == {(429, "THROTTLED")}
        assert 500 < again(answers[-1]) <= 600
        login = await site.login(ANN, "canary-ann-password")
        customer_id = login.json()["data"]["customer_id"]
        body = [{"data": {"type": "customer", "password": f"canary-new-{number}"}} for number in range(12)]
        own = f"/v2/customers/{customer_id}"
        changes = [await site.trusted("PUT", own, json=one) for one in body]
        assert [answer.status for answer in changes] == [200] * 10 + [429] * 2
        assert 500 < again(changes[-1]) <= 600
        token = await token_of(site, ANN, "canary-new-9")
        assert (await change(site, token, customer_id, name="Ann Again")).status == 200
        assert (await site.login(ANN, "canary-new-9")).status == 201


async def test_what_a_trusted_client_sends_counts_for_no_address(upstream: Commerce, tmp_path: Path) -> None:
    """It logs in many from one address; a storefront's logins from there are counted."""
    config = "extends: moltin.yaml\ncustomers: {throttle: {address: {burst: 2, per_minute: 0.1}}}\n"
    async with run_site(upstream, tmp_path, config=config) as site:
        for number in range(6):
            data = {"type": "token", "email": f"{number}@example.com", "password": "canary-wrong"}
            assert (await site.trusted("POST", "/v2/customers/tokens", json={"data": data})).code == "LOGIN_FAILED"
        codes = [(await site.login(f"{number}@example.com", "canary-wrong")).code for number in range(3)]
        assert codes == ["LOGIN_FAILED", "LOGIN_FAILED", "THROTTLED"]
