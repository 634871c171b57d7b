"""What the keeper does around an exchange: the order of effects, and `password` in what is shown."""

import re
from collections.abc import Collection
from typing import Any

import pytest

from gateway.stores import CredentialStore
from gateway.tokens.consent import Consent
from gateway.tokens.creation import ACCEPTED
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.passwords import PasswordHasher
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Checked, Json, Plan, Trace, Whose
from gateway.vocab.policy import Passwords
from gateway.vocab.record_form import MOLTIN
from gateway.vocab.refusals import Code, Refusal
from gateway.wiring import now
from tests.sessions import session
from tests.tokens.accounts import admission, registrar

ANN = {"type": "customer", "id": "ann-id", "name": "Ann", "email": "ann@x.example"}
BEN = {"type": "customer", "id": "ben-id", "name": "Ben", "email": "ben@x.example"}
# By a session that no log-out ends.
PATH = Whose("ann-id", {"id": "ann-id"}, session("ann-id").version)
SHOWN = Checked(200, {"data": ANN})


class Exchange:
    """An exchange that keeps what it was given and answers as told."""

    def __init__(self, answer: Checked | Refusal = SHOWN) -> None:
        self.plans: list[Plan] = []
        self._answer = answer

    async def __call__(self, plan: Plan) -> Checked | Refusal:
        """Answer as told."""
        self.plans.append(plan)
        return self._answer


async def nothing() -> None:
    """Let nobody hear of a log-out."""


# A look at records that are no customers.
LOOK = Plan("GET", "/v2/orders")


@pytest.fixture
def keeper(backend: Backend, store: CredentialStore, hasher: PasswordHasher) -> Keeper:
    """Give a keeper on a real store and upstream."""
    directory = Directory(backend, CustomerForm(), re.compile("[a-z-]+"))
    consent = Consent(directory, store, hasher, is_required=False)
    registers = registrar(directory, store, hasher, now)
    return Keeper(store, hasher, registers, admission(store), consent, lambda _: None, catch_up=nothing)


def put(**fields: object) -> Plan:
    """Return the plan of a change."""
    return Plan("PUT", "/v2/customers/ann-id", document={"data": {"type": "customer", **fields}})


async def test_password_alone_becomes_a_reading(keeper: Keeper, store: CredentialStore) -> None:
    """A change of the password alone reads the customer, to be sure that it exists, and sends no body."""
    exchange = Exchange()
    assert await keeper.carry(Passwords.CHANGE, put(password="new", id="ann-id"), PATH, exchange, Trace()) == SHOWN
    (plan,) = exchange.plans
    assert (plan.method, plan.document) == ("GET", None)
    assert await store.with_password(["ann-id"]) == {"ann-id"}


async def test_change_goes_on_without_the_password(keeper: Keeper) -> None:
    """Other fields are sent, the password is not."""
    exchange = Exchange()
    await keeper.carry(Passwords.CHANGE, put(password="new", name="Ann"), PATH, exchange, Trace())
    assert exchange.plans[0].document == {"data": {"type": "customer", "name": "Ann"}}


@pytest.mark.parametrize("unchanged", [True, False, None, ""])
async def test_a_password_that_is_none_changes_none(keeper: Keeper, store: CredentialStore, unchanged: object) -> None:
    """The boolean that was shown, or an empty field, is no new password; the rest is changed."""
    await store.set_password("ann-id", "hash")
    exchange = Exchange()
    await keeper.carry(Passwords.CHANGE, put(password=unchanged, name="Ann"), PATH, exchange, Trace())
    assert exchange.plans[0].document == {"data": {"type": "customer", "name": "Ann"}}
    assert await store.password_hash("ann-id") == "hash"


@pytest.mark.parametrize("wrong", [0, 1, [], {}, "x" * 1025])
async def test_a_password_of_another_kind_is_refused(keeper: Keeper, wrong: object) -> None:
    """What is neither a password nor a sign that there is none is the client's mistake."""
    exchange = Exchange()
    outcome = await keeper.carry(Passwords.CHANGE, put(password=wrong, name="Ann"), PATH, exchange, Trace())
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.source) == (Code.BODY_FIELD_INVALID, "data.password")
    assert not exchange.plans


@pytest.mark.parametrize(
    "answer",
    [
        Refusal(Code.UPSTREAM_FAILED),
        Refusal(Code.RECORD_NOT_FOUND),
        Checked(422, {"errors": []}),
        Checked(200, {"data": BEN}),
        Checked(200, {"data": [ANN]}),
        Checked(200, []),
        Checked(204),
    ],
)
async def test_password_changes_only_with_the_customer(
    keeper: Keeper, store: CredentialStore, answer: Checked | Refusal
) -> None:
    """Unless the upstream answers with the customer who was meant, no password is set."""
    for plan in (put(password="new"), put(password="new", name="Ann")):
        await keeper.carry(Passwords.CHANGE, plan, PATH, Exchange(answer), Trace())
    assert not await store.with_password(["ann-id", "ben-id"])


@pytest.mark.parametrize(
    ("mode", "plan"),
    [
        (Passwords.CHANGE, put(password="new", name="Ann")),
        (Passwords.CHANGE, put(password="new")),
        (Passwords.CHANGE, put(email="new@x.example")),
        (Passwords.FORGET, Plan("DELETE", "/v2/customers/ann-id")),
        (Passwords.REGISTER, put(email="new@x.example", password="new", name="Ann")),
        (Passwords.REGISTER, put(email="new@x.example", name="Ann")),
    ],
)
async def test_broken_store_stops_before_the_upstream(
    keeper: Keeper, store: CredentialStore, mode: Passwords, plan: Plan
) -> None:
    """A store that is down is noticed before the upstream changes anything."""
    await store.close()
    exchange = Exchange()
    outcome = await keeper.carry(mode, plan, PATH, exchange, Trace())
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.retry_after) == (Code.STORE_UNAVAILABLE, 1)
    assert not exchange.plans


class Closing(Exchange):
    """An exchange behind which the store is gone."""

    def __init__(self, store: CredentialStore, answer: Checked | Refusal = SHOWN) -> None:
        super().__init__(answer)
        self._store = store

    async def __call__(self, plan: Plan) -> Checked | Refusal:
        """Answer as told, and leave no store behind."""
        await self._store.close()
        return await super().__call__(plan)


@pytest.mark.parametrize(
    ("mode", "plan", "answer", "code"),
    [
        (Passwords.CHANGE, put(password="new", name="Ann"), SHOWN, Code.WRITE_UNCONFIRMED),
        (Passwords.FORGET, Plan("DELETE", "/v2/customers/ann-id"), Checked(204), Code.WRITE_UNCONFIRMED),
        (Passwords.CHANGE, put(password="new"), SHOWN, Code.STORE_UNAVAILABLE),
    ],
)
async def test_a_store_that_breaks_behind_a_write_does_not_undo_it(
    keeper: Keeper, store: CredentialStore, mode: Passwords, plan: Plan, answer: Checked, code: Code
) -> None:
    """What happened upstream is never told as what did not; where nothing was written there, nothing has happened."""
    outcome = await keeper.carry(mode, plan, PATH, Closing(store, answer), Trace())
    assert isinstance(outcome, Refusal)
    assert outcome.code is code


async def test_a_registration_whose_customer_was_made_is_accepted(keeper: Keeper, store: CredentialStore) -> None:
    """The intent is on the disk: the password's next use finishes it."""
    new = {**ANN, "email": "new@x.example"}
    fields = {"type": "customer", "name": "Ann", "email": new["email"], "password": "new"}
    plan = Plan("POST", "/v2/customers", document={"data": fields})
    assert await keeper.carry(Passwords.REGISTER, plan, PATH, Closing(store, Checked(201, {"data": new})), Trace()) == (
        ACCEPTED
    )


@pytest.mark.parametrize(
    ("answer", "is_gone"),
    [
        (Checked(204), True),
        (Checked(200, {"data": ANN}), True),
        (Refusal(Code.RECORD_NOT_FOUND), True),
        (Refusal(Code.RECORD_NOT_FOUND, violation=True), False),
        (Refusal(Code.UPSTREAM_FAILED), False),
        (Checked(409, {"errors": []}), False),
    ],
)
async def test_password_goes_with_the_customer(
    keeper: Keeper, store: CredentialStore, answer: Checked | Refusal, *, is_gone: bool
) -> None:
    """The password is forgotten when the customer is gone, also when it was gone before, and else kept."""
    await store.set_password("ann-id", "hash")
    plan = Plan("DELETE", "/v2/customers/ann-id")
    assert await keeper.carry(Passwords.FORGET, plan, PATH, Exchange(answer), Trace()) == answer
    assert (await store.password_hash("ann-id") is None) is is_gone


async def test_showing_is_no_change(keeper: Keeper) -> None:
    """A route that only shows sends its plan as it is."""
    exchange = Exchange()
    plan = Plan("GET", "/v2/customers")
    assert await keeper.carry(Passwords.SHOW, plan, PATH, exchange, Trace()) == SHOWN
    assert exchange.plans == [plan]


@pytest.mark.parametrize(
    "document",
    [
        {"data": [ANN, BEN, {"type": "order", "id": "ann-id"}]},
        {"data": ANN, "included": [BEN]},
        {"data": [], "included": {"customers": [ANN, BEN], "items": [{"type": "item", "id": "x"}]}},
        {"data": [{**ANN, "password": "canary"}, {**BEN, "password": True}, None, 7]},
    ],
)
async def test_every_customer_says_it(keeper: Keeper, store: CredentialStore, document: Json) -> None:
    """Every customer of a document, included ones too, says whether it has a password; other records say nothing."""
    await store.set_password("ann-id", "hash")
    copied: Json = _copy(document)
    assert await _show(keeper, copied, Whose(None)) is None
    said = {one["id"]: one["password"] for one in _dicts(copied) if "password" in one}
    assert said == {"ann-id": True, "ben-id": False}
    assert all(one["type"] == "customer" for one in _dicts(copied) if "password" in one)


@pytest.mark.parametrize("ident", [None, 7, ["ann-id"], {"id": "ann-id"}])
async def test_customer_without_a_proper_id(keeper: Keeper, ident: object) -> None:
    """A customer whose id is no text has no password, and breaks nothing."""
    document: Json = {"data": [{"type": "customer", "id": ident}]}
    assert await _show(keeper, document, Whose(None)) is None
    assert document["data"][0]["password"] is False


@pytest.mark.parametrize("document", [None, [], [ANN], {}, {"data": None}, {"data": []}, {"data": "x", "included": 7}])
async def test_nothing_to_show_asks_nothing(keeper: Keeper, store: CredentialStore, document: object) -> None:
    """Without a customer in the document the store is not asked, and nothing has to be waited for."""
    await store.close()
    assert keeper.showing(_copy(document), Whose(None), LOOK, MOLTIN) is None


async def test_own_record_needs_no_store(keeper: Keeper, store: CredentialStore) -> None:
    """A logged-in customer has a password: that is shown while the store is down; others are not guessed at."""
    await store.close()
    own: Json = {"data": dict(ANN)}
    assert await _show(keeper, own, Whose("ann-id")) is None
    assert own["data"]["password"] is True
    for document, whose in (
        ({"data": [dict(ANN)]}, Whose(None)),
        ({"data": [dict(ANN), dict(BEN)]}, Whose("ann-id")),
        ({"data": [dict(BEN)]}, Whose("ann-id")),
    ):
        refusal = await _show(keeper, document, whose)
        assert refusal is not None
        assert refusal.code is Code.STORE_UNAVAILABLE
        assert "password" not in str(document)


async def test_a_customer_who_was_written_is_shown_without_a_store(keeper: Keeper, store: CredentialStore) -> None:
    """The change is made: whether others have a password is left unsaid, not what became of it."""
    await store.close()
    document: Json = {"data": {**BEN, "password": "canary"}}
    showing = keeper.showing(document, Whose(None), put(name="Ben"), MOLTIN)
    assert showing is not None
    assert await showing() is None
    assert document == {"data": BEN}


async def _show(keeper: Keeper, document: Any, whose: Whose) -> Refusal | None:
    showing = keeper.showing(document, whose, LOOK, MOLTIN)
    assert showing is not None
    return await showing()


def _copy(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _copy(value) for key, value in document.items()}
    return [_copy(one) for one in document] if isinstance(document, list) else document


def _dicts(document: object) -> Collection[Json]:
    """Return the records of a document."""
    if isinstance(document, dict):
        inner = [one for value in document.values() for one in _dicts(value)]
        return [document, *inner] if "id" in document else inner
    return [one for value in document for one in _dicts(value)] if isinstance(document, list) else []
