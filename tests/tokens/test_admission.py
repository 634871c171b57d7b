"""Password work that is no login: how much of it, under what, and what a client sees."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, RON
from gateway.stores import CredentialStore
from gateway.tokens.admission import Admission, Work
from gateway.tokens.attempts import Attempts, Together
from gateway.tokens.consent import Consent
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.throttle import Counted, Limit
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.events import Event, Throttled
from gateway.vocab.messages import Checked, Plan, Trace, Whose
from gateway.vocab.policy import Passwords
from gateway.vocab.refusals import Code, Refusal
from gateway.wiring import now
from tests.fakes.commerce import Commerce
from tests.gateways import Answer, Replicas, Site
from tests.gateways import site as run_site
from tests.postgres import Server, ask
from tests.tokens.accounts import ANN, OTHER, change, customer, register, registrar, token_of

TWO, THREE = Limit(2, 6), Limit(3, 6)
LIMITS = {work: (THREE if work is Work.NEW_PASSWORD else TWO, THREE) for work in Work}
TRACE = Trace(counts_for="198.51.100.7")


@pytest.fixture
def events() -> list[Event]:
    """Give a place for what is emitted."""
    return []


def admission(store: CredentialStore, events: list[Event]) -> Admission:
    """Make one that has little room; a piece of work comes back each ten seconds."""
    together = Together(store, lambda: 0.0, events.append)
    made = {work: Attempts(work, *LIMITS[work], Counted(100), together, lambda: 0.0) for work in Work}
    return Admission(made, events.append)


@pytest.fixture
def limited(store: CredentialStore, events: list[Event]) -> Admission:
    """Give one, on a store that counts nothing."""
    return admission(store, events)


async def asked(limited: Admission, work: Work, **keys: str) -> str:
    """Ask, and return by what it was refused and for how long; nothing where it was not."""
    refusal = await limited.refusal(work, **keys)
    return "" if refusal is None else f"{refusal.detail}, {refusal.retry_after} s"


BY_ADDRESS = "registration by address, 10 s"
BY_EMAIL = "registration by email, 10 s"


async def test_each_key_has_its_bucket(limited: Admission) -> None:
    """An address over however many e-mails, an e-mail over however many addresses."""
    of = Work.REGISTRATION
    done = [await asked(limited, of, address="a", email=f"{number}@x.example") for number in range(4)]
    assert done == ["", "", "", BY_ADDRESS]
    done = [await asked(limited, of, address=f"b{number}", email="ann@x.example") for number in range(3)]
    assert done == ["", "", BY_EMAIL]


async def test_an_address_that_is_used_up_costs_the_email_nothing(limited: Admission) -> None:
    """Nor does it matter which e-mail it names: whoever has it can register."""
    of = Work.REGISTRATION
    for number in range(3):
        await asked(limited, of, address="flood", email=f"{number}@x.example")
    for _ in range(50):
        assert await asked(limited, of, address="flood", email="ann@x.example") == BY_ADDRESS
    assert await asked(limited, of, address="home", email="ann@x.example") == ""


async def test_an_email_that_is_used_up_costs_the_address_its_work(limited: Admission) -> None:
    """Or one address could ask for ever."""
    given = [await asked(limited, Work.REGISTRATION, address="flood", email="ann@x.example") for _ in range(4)]
    assert given == ["", "", BY_EMAIL, BY_ADDRESS]


async def test_what_is_not_counted_has_no_bucket(limited: Admission) -> None:
    """A trusted client's address, or one behind which many may be; of work without an account there is nothing else."""
    assert {await asked(limited, Work.REGISTRATION, email=f"{n}@x.example") for n in range(99)} == {""}
    assert {await asked(limited, Work.NEW_PASSWORD, address="") for _ in range(99)} == {""}
    assert {await asked(limited, Work.NEW_PASSWORD, address=f"{n}") for n in range(99)} == {""}


async def test_no_kind_takes_from_another(limited: Admission, events: list[Event]) -> None:
    """The same text under two kinds is two keys, and each says by what it is limited."""
    keys = {
        Work.REGISTRATION: {"email": "x", "address": "x"},
        Work.PASSWORD_CHANGE: {"customer": "x"},
        Work.RESET: {"email": "x"},
        Work.NEW_PASSWORD: {"address": "x"},
    }
    for work, of in keys.items():
        while await asked(limited, work, **of) == "":
            pass
    told = [("registration", "email"), ("password_change", "customer"), ("reset", "email"), ("new_password", "address")]
    assert events == [Throttled(*one) for one in told]


# --- On the way of a request ------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(backend: Backend, store: CredentialStore, hasher: PasswordHasher, events: list[Event]) -> Keeper:
    """Give a keeper of few registrations and changes, on a real store and upstream."""
    return made(backend, store, hasher, events)


async def nothing() -> None:
    """Let nobody hear of a log-out."""


def made(backend: Backend, store: CredentialStore, hasher: PasswordHasher, events: list[Event]) -> Keeper:
    """Make one."""
    directory = Directory(backend, CustomerForm(), re.compile("[A-Za-z0-9-]+"))
    consent = Consent(directory, store, hasher, is_required=False)
    registers = registrar(directory, store, hasher, now)
    return Keeper(store, hasher, registers, admission(store, events), consent, events.append, catch_up=nothing)


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


# --- Over replicas ----------------------------------------------------------------------------------------------------

SHARED = """extends: moltin.yaml
server: {trusted_proxies: [127.0.0.0/8]}
customers:
  throttle:
    registrations: {address: {burst: 4, per_minute: 0.1}, email: {burst: 3, per_minute: 0.1}}
    password_changes: {burst: 3, per_minute: 0.1}
    resets: {email: {burst: 3, per_minute: 0.1}, address: {burst: 3, per_minute: 0.1}}
"""
REPLICAS = 3
UNKNOWN = "nobody@x.example"
BOTH = pytest.mark.parametrize("email", [RON.email, UNKNOWN], ids=["known", "unknown"])


@pytest.fixture
async def shop(upstream: Commerce, tmp_path: Path, server: Server) -> AsyncIterator[Site]:
    """Three gateways on one database, each asked in turn."""
    async with run_site(upstream, tmp_path, config=SHARED, replicas=Replicas(REPLICAS, server)) as site:
        yield site


def forwarded(number: int | None = None) -> dict[str, str]:
    """Say from which client a request came: one of many, or the one."""
    return {"X-Forwarded-For": "203.0.113.7" if number is None else f"198.51.100.{number}"}


async def passing(ask: Callable[[int], Awaitable[Answer]]) -> int:
    """Ask as often as all gateways would let pass by themselves, and return how often it was not too often."""
    answers = [await ask(number) for number in range(REPLICAS * 4)]
    late = [answer for answer in answers if answer.status == 429]
    assert all(answer.code == "THROTTLED" and 500 < again(answer) <= 600 for answer in late)
    return len(answers) - len(late)


@BOTH
async def test_replicas_share_the_limit_of_an_email(shop: Site, email: str) -> None:
    """Registrations from however many addresses and resets have one each, known or not; logins are left alone."""

    async def register_it(number: int) -> Answer:
        return await shop.public("POST", "/v2/customers", forwarded(number), json=customer(email, OTHER))

    async def ask_for_reset(_: int) -> Answer:
        data = {"type": "password-reset", "email": email}
        return await shop.trusted("POST", "/v2/customers/password-resets", forwarded(), json={"data": data})

    assert await passing(register_it) == 3
    assert await passing(ask_for_reset) == 3
    assert (await shop.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    assert "gateway_attempts_counted_alone_total 0.0" in await shop.metrics()


async def test_replicas_share_the_limit_of_an_address(shop: Site) -> None:
    """Registrations of however many e-mails and tokens that are to be spent; a trusted client's address is none."""

    async def register_another(number: int) -> Answer:
        return await shop.public("POST", "/v2/customers", forwarded(), json=customer(f"{number}@x.example"))

    async def register_trusted(number: int) -> Answer:
        return await shop.trusted("POST", "/v2/customers", forwarded(), json=customer(f"t{number}@x.example"))

    async def spend(_: int) -> Answer:
        data = {"type": "password", "token": "canary-no-token", "password": OTHER}
        return await shop.public("POST", "/v2/customers/passwords", forwarded(), json={"data": data})

    assert await passing(register_another) == 4
    assert await passing(spend) == 3
    assert await passing(register_trusted) == REPLICAS * 4
    rows = await ask(shop.config.store.url, "SELECT a::text FROM login_attempts a")
    shown = "\n".join(row for (row,) in rows)
    for text in ("x.example", "203.0.113.7"):
        assert text.encode().hex() not in shown


async def test_replicas_share_the_limit_of_a_customer(shop: Site) -> None:
    """Changes of a password; where the database does not count, each goes on alone with what it has counted itself."""

    async def change_it(number: int) -> Answer:
        body = {"data": {"type": "customer", "password": f"canary-new-{number}"}}
        return await shop.trusted("PUT", f"/v2/customers/{who.id}", json=body)

    who = RON
    assert await passing(change_it) == 3
    await ask(shop.config.store.url, "ALTER TABLE login_attempts ADD CONSTRAINT none CHECK (until < 0) NOT VALID")
    who = LESLIE
    assert await passing(change_it) == REPLICAS * 3
    who = RON
    assert await passing(change_it) < REPLICAS * 3
