"""The order of a registration, step by step, with a real store and upstream and an exchange that a test writes."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from gateway.stores import CredentialStore, Registration
from gateway.tokens.customer import Submitted, submitted
from gateway.tokens.directory import Directory
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.registration import Registrar
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Checked, Json, Plan, Trace
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce
from tests.tokens.accounts import registrar

ANN = "ann@x.example"
PASSWORD = "pass"
START = 1_800_000_000.0
INTENT = Registration("a" * 32, ANN, "Ann", "hash", START)
Act = Callable[[Plan], Awaitable[Checked | Refusal]]


def record(**fields: object) -> Json:
    """Return a customer as the upstream shows it."""
    return {"type": "customer", "id": "ann-id", "name": "Ann", "email": ANN, **fields}


@dataclass
class Bench:
    """A registrar at a time that stands still."""

    registrar: Registrar
    store: CredentialStore
    hasher: PasswordHasher
    upstream: Commerce
    time: float = START

    async def register(self, exchange: Act, password: object = PASSWORD, **fields: object) -> Checked | Refusal:
        """Register Ann."""
        data = {"type": "customer", "name": "Ann", "email": ANN, "password": password, **fields}
        plan = Plan("POST", "/v2/customers", document={"data": {k: v for k, v in data.items() if v is not None}})
        return await self.registrar.register(plan, exchange, Trace())

    def creating(self, answer: Checked | None = None, **fields: object) -> Act:
        """Make an exchange in which the upstream makes Ann, with other fields perhaps, and answers so."""

        async def exchange(plan: Plan) -> Checked | Refusal:
            del plan
            self.upstream.shop.customers["ann-id"] = record(**fields)
            return answer or CREATED

        return exchange


@pytest.fixture
def bench(backend: Backend, store: CredentialStore, hasher: PasswordHasher, upstream: Commerce) -> Bench:
    """Give a registrar on a real store and upstream."""
    directory = Directory(backend, CustomerForm(), re.compile("[a-z-]+"))
    made = Bench(registrar(directory, store, hasher, lambda: made.time), store, hasher, upstream)
    return made


def answering(answer: Checked | Refusal) -> Act:
    """Make an exchange with this answer."""

    async def exchange(plan: Plan) -> Checked | Refusal:
        del plan
        return answer

    return exchange


CREATED = Checked(201, {"data": record()})


async def test_intent_is_on_the_disk_before_the_customer_is_made(bench: Bench) -> None:
    """When the upstream is asked to create, the intent is kept, and what is sent has no password in it."""

    async def exchange(plan: Plan) -> Checked | Refusal:
        intent = await bench.store.pending(ANN)
        assert intent is not None
        assert (intent.name, intent.started_at) == ("Ann", START)
        assert await bench.hasher.verify("pass", intent.password_hash) is True
        assert plan.document == {"data": {"type": "customer", "name": "Ann", "email": ANN}}
        return await bench.creating()(plan)

    assert await bench.register(exchange) == CREATED
    assert await bench.store.pending(ANN) is None
    assert await bench.store.with_password(["ann-id"]) == {"ann-id"}


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [
        (Refusal(Code.UPSTREAM_FAILED), True),
        (Refusal(Code.UPSTREAM_TIMEOUT), True),
        (Refusal(Code.UPSTREAM_INVALID), True),
        (Refusal(Code.UPSTREAM_UNREACHABLE), False),
        (Refusal(Code.CREDENTIAL_UNAVAILABLE), False),
        (Refusal(Code.OVERLOADED), False),
        (Refusal(Code.THROTTLED), False),
        (Refusal(Code.RECORD_NOT_FOUND), False),
        (Checked(422, {"errors": [{}]}), False),
        (Checked(409, {"errors": [{}]}), False),
        (Checked(201, {"data": record(email="ben@x.example")}), True),
        (Checked(201, {"data": [record()]}), True),
        (Checked(201, {"data": record(id="../x")}), True),
    ],
)
async def test_intent_goes_only_when_nothing_was_made(
    bench: Bench, answer: Checked | Refusal, *, is_kept: bool
) -> None:
    """An intent is dropped when the upstream certainly made nothing, and kept whenever it may have."""
    outcome = await bench.register(answering(answer))
    assert isinstance(outcome, Refusal) or outcome.status >= 400
    assert (await bench.store.pending(ANN) is not None) is is_kept
    assert not await bench.store.with_password(["ann-id", "../x"])


@pytest.mark.parametrize(
    "fields", [{"email": "ben@x.example"}, {"email": ANN.title()}, {"email": None}, {"id": "ben-id"}]
)
async def test_id_of_somebody_else_is_given_nothing(bench: Bench, fields: Json) -> None:
    """The id that a creation answers is believed only when its own record shows the id and the e-mail."""
    outcome = await bench.register(bench.creating(**fields))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.violation) == (Code.UPSTREAM_INVALID, True)
    assert await bench.store.pending(ANN) is not None
    assert not await bench.store.with_password(["ann-id", "ben-id"])
    # Whose the id is does not matter to a repeat: the upstream makes Ann now.
    bench.upstream.shop.customers.clear()
    assert await bench.register(bench.creating()) == CREATED
    assert await bench.store.with_password(["ann-id"]) == {"ann-id"}


async def test_broken_off_exchange_keeps_the_intent(bench: Bench) -> None:
    """When the request itself is given up in the middle, the intent stays, and the e-mail is free for the repeat."""

    async def exchange(_: Plan) -> Checked | Refusal:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await bench.register(exchange)
    assert await bench.store.pending(ANN) is not None
    assert await bench.register(bench.creating()) == CREATED


async def test_repeat_is_dated_anew(bench: Bench) -> None:
    """A repeat much later makes the customer then: the intent must be of that time, or it would not be recognised."""
    await bench.register(answering(Refusal(Code.UPSTREAM_TIMEOUT)))
    bench.time += 3600
    await bench.register(answering(Refusal(Code.UPSTREAM_TIMEOUT)))
    intent = await bench.store.pending(ANN)
    assert intent is not None
    assert intent.started_at == START + 3600
    assert await bench.register(bench.creating()) == CREATED


async def test_refused_repeat_keeps_the_intent(bench: Bench) -> None:
    """A repeat that the upstream refuses keeps the intent: an earlier creation may be what stands in its way."""
    await bench.register(answering(Refusal(Code.UPSTREAM_TIMEOUT)))
    outcome = await bench.register(answering(Checked(409, {"errors": [{}]})))
    assert isinstance(outcome, Refusal)
    assert outcome.code is Code.EMAIL_TAKEN
    assert await bench.store.pending(ANN) is not None


@pytest.mark.parametrize("fields", [{"password": "other"}, {"name": "Mallory"}])
async def test_somebody_else_waits_until_a_creation_is_over(bench: Bench, fields: Json) -> None:
    """Another password or name is 409 for five minutes after an intent, and then takes its place."""
    await bench.register(answering(Refusal(Code.UPSTREAM_TIMEOUT)))
    bench.time += 299
    outcome = await bench.register(answering(CREATED), **fields)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.retry_after) == (Code.REGISTRATION_PENDING, 300)
    bench.time += 1
    assert await bench.register(bench.creating(), **fields) == CREATED


async def test_customer_who_has_a_password_keeps_it(bench: Bench) -> None:
    """When the upstream answers a creation with a customer who has a password, the password stays as it was."""
    await bench.store.set_password("ann-id", "hash-before")
    outcome = await bench.register(bench.creating())
    assert isinstance(outcome, Refusal)
    assert outcome.code is Code.EMAIL_TAKEN
    assert await bench.store.password_hash("ann-id") == "hash-before"


@pytest.mark.parametrize("password", [PASSWORD, None])
async def test_only_the_customer_is_shown(bench: Bench, password: str | None) -> None:
    """Nothing but the customer's own record is in the reply, whatever else the upstream put beside it."""
    noisy = Checked(201, {"data": record(), "included": [record(id="ben-id", email="ben@x.example")], "meta": {}})
    assert await bench.register(bench.creating(noisy), password) == CREATED


async def test_email_is_one_requests_at_a_time(bench: Bench) -> None:
    """While one request has an e-mail in hand others are told so, and afterwards it is free, also after a failure."""
    async with bench.registrar.alone(ANN) as first, bench.registrar.alone(ANN) as second:
        assert first is None
        assert second is not None
        assert (second.code, second.retry_after) == (Code.REGISTRATION_PENDING, 1)
        async with bench.registrar.alone("ben@x.example") as other:
            assert other is None
    async with bench.registrar.alone(ANN) as again:
        assert again is None


async def test_stale_intent_is_void_and_a_fresh_one_is_not(bench: Bench) -> None:
    """An intent is voided when its creation cannot be under way any more."""
    assert await bench.registrar.void_intent(ANN) is None
    await bench.store.begin(INTENT)
    bench.time = START + 299
    refusal = await bench.registrar.void_intent(ANN)
    assert refusal is not None
    assert refusal.code is Code.REGISTRATION_PENDING
    bench.time = START + 300
    assert await bench.registrar.void_intent(ANN) is None
    assert await bench.store.pending(ANN) is None


async def test_taken_email_asks_no_more(bench: Bench, upstream: Commerce) -> None:
    """For an e-mail that exists nothing is hashed, kept or created."""
    upstream.shop.customers["ann-id"] = record()
    outcome = await bench.register(answering(CREATED))
    assert isinstance(outcome, Refusal)
    assert outcome.code is Code.EMAIL_TAKEN
    assert await bench.store.pending(ANN) is None


@pytest.mark.parametrize(
    ("document", "source"),
    [
        (None, "data"),
        ({}, "data"),
        ({"data": []}, "data"),
        ({"data": {"email": "ann"}}, "data.email"),
        ({"data": {"email": ANN, "password": ""}}, "data.password"),
    ],
)
def test_fields_are_checked(document: Json | None, source: str) -> None:
    """A body without an object of fields, or with one that is not valid, is refused by name."""
    fields = submitted(Plan("POST", "/", document=document), CustomerForm())
    assert isinstance(fields, Refusal)
    assert (fields.code, fields.source) == (Code.BODY_FIELD_INVALID, source)


def test_fields_are_a_copy() -> None:
    """The plan keeps what came in; the fields have the canonical e-mail."""
    plan = Plan("POST", "/", document={"data": {"email": " Ann@X.example"}})
    one = submitted(plan, CustomerForm())
    assert isinstance(one, Submitted)
    assert (one.document, one.email, one.typed) == ({"data": {"email": ANN}}, ANN, " Ann@X.example")
    assert plan.document == {"data": {"email": " Ann@X.example"}}
