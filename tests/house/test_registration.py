"""Registrations, changes and deletions through the door: what is kept, what is refused, and in which order."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.demo.data import APRIL_ID, DEMO_PASSWORDS, LESLIE, LESLIE_ID, RON, RON_ID
from gateway.vocab.messages import Json
from tests.fakes.commerce import Commerce, Fault, Recorded, at
from tests.fakes.shop import add_customer
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.tokens.accounts import (
    ANN,
    NAME,
    OTHER,
    PASSWORD,
    asked,
    change,
    customer,
    made,
    plant,
    register,
    statements,
    store_of,
    token_of,
)

CREATION = at("/v2/customers", "POST")
OWN = f"/v2/customers/{RON_ID}"
DAY = 86400


def permissive(commerce: Commerce) -> None:
    """Make the upstream create customers without asking whether the e-mail is free."""

    def create(request: Recorded) -> bytes:
        fields = request.json()["data"]
        ident = f"made-{len(commerce.shop.customers)}"
        record = {"type": "customer", "id": ident, "name": fields["name"], "email": fields["email"]}
        commerce.shop.customers[ident] = record
        body = json.dumps({"data": record}).encode()
        head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return head % len(body) + body

    commerce.script(CREATION, create)


def customers_with(site: Site, email: str) -> list[str]:
    """Return the ids of the upstream's customers with this e-mail, in any case."""
    return [ident for ident, record in site.commerce.shop.customers.items() if record["email"].lower() == email.lower()]


async def test_registration_with_a_password(site: Site) -> None:
    """A registration answers 201 with `password` true, and the customer logs in with the password and no other."""
    answer = await register(site)
    assert answer.status == 201
    data = answer.json()["data"]
    assert (data["type"], data["name"], data["email"], data["password"]) == ("customer", NAME, ANN, True)
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == data["id"]
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    assert await store_of(site).pending(ANN) is None


async def test_registration_without_a_password(site: Site) -> None:
    """Without a password the customer is made, `password` is false, and nobody logs in until there is one."""
    answer = await register(site, password=None)
    assert (answer.status, answer.json()["data"]["password"]) == (201, False)
    for password in (PASSWORD, "no customer has this password"):
        assert (await site.login(ANN, password)).code == "LOGIN_FAILED"
    ident = answer.json()["data"]["id"]
    given = await site.trusted("PUT", f"/v2/customers/{ident}", json={"data": {"type": "customer", "password": OTHER}})
    assert (given.status, given.json()["data"]["password"]) == (200, True)
    assert (await site.login(ANN, OTHER)).status == 201


@pytest.mark.parametrize("email", [RON.email, RON.email.upper(), f" {RON.email}"])
async def test_email_that_is_taken(site: Site, email: str) -> None:
    """A second registration of an e-mail is 409 in any spelling, with or without password, and changes nothing."""
    for password in (OTHER, DEMO_PASSWORDS[RON.email], None):
        answer = await register(site, email, password)
        assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
    assert not [request for request in site.commerce.requests if request.method == "POST"]
    assert (await site.login(RON.email, OTHER)).status == 404
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_email_that_is_taken_where_the_upstream_does_not_check(site: Site) -> None:
    """The gateway refuses a second customer with the same e-mail also where the upstream would make it."""
    permissive(site.commerce)
    assert (await register(site)).status == 201
    for email in (ANN, ANN.title()):
        assert (await register(site, email, OTHER)).code == "EMAIL_TAKEN"
    assert len(customers_with(site, ANN)) == 1


async def test_upstream_knows_the_email_and_the_look_up_does_not(site: Site) -> None:
    """A 409 of the upstream itself is a 409 to the client, and no intent stays behind."""
    add_customer(site.commerce.shop, NAME, ANN.upper())
    answer = await register(site)
    assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
    assert await store_of(site).pending(ANN) is None
    assert (await register(site, password=None)).code == "EMAIL_TAKEN"


async def test_email_is_stored_canonical(site: Site) -> None:
    """The upstream is given the one canonical spelling, so that later look-ups find it."""
    assert (await register(site, " Ann@Perkins.EXAMPLE ")).status == 201
    (created,) = filter(CREATION, site.commerce.requests)
    assert created.json()["data"]["email"] == ANN


async def test_filter_that_is_ignored_stops_registrations(site: Site) -> None:
    """When the upstream answers everybody, nobody can prove that an e-mail is free: 502, and nothing is made."""
    site.commerce.fault(Fault.IGNORE_FILTER, when=at("/v2/customers", "GET"))
    answer = await register(site)
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")
    assert asked(site) == [("GET", "/v2/customers")]
    assert (await register(site, RON.email)).code == "EMAIL_TAKEN"


NO_REGISTRATIONS: list[tuple[object, int, str]] = [
    ({"data": {"type": "customer", "name": NAME, "password": "x"}}, 422, "data.email"),
    (customer("ann"), 422, "data.email"),
    (customer("a@b.c):eq(status,paid"), 422, "data.email"),
    (customer("a@b@c.example"), 422, "data.email"),
    (customer(["a@b.example"]), 422, "data.email"),
    (customer("ann\u200b@b.example"), 422, "data.email"),
    (customer(password=""), 422, "data.password"),
    (customer(password="x" * 1025), 422, "data.password"),
    (customer(password=12345678), 422, "data.password"),
    ({"data": {"type": "customer", "name": NAME, "email": ANN, "password": None}}, 422, "data.password"),
    (customer(password=["x"]), 422, "data.password"),
    (customer(password=True), 422, "data.password"),
    (customer(name=["Ann"]), 422, "data.name"),
    (customer(external_ref="x"), 422, "data"),
    (customer(id=RON_ID), 422, "data"),
    (customer(PASSWORD="x"), 422, "data"),
    ({**customer(), "meta": {}}, 422, "body"),
    ({"data": [customer()["data"]]}, 422, "data"),
    ({}, 422, "data"),
]


async def test_field_that_is_not_valid(site: Site) -> None:
    """A field that is wrong or not listed is named to the client, and neither upstream nor store hear of it."""
    with statements() as queries:
        for body, status, source in NO_REGISTRATIONS:
            answer = await site.public("POST", "/v2/customers", json=body)
            assert (answer.status, answer.json()["errors"][0]["source"]) == (status, source), body
    assert not queries
    assert not site.commerce.requests


async def test_body_that_is_malformed(site: Site) -> None:
    """A body that is not one JSON object with one reading is 400."""
    for data in (b"{", b"", b"[]", b'"x"', b'{"data":{"password":"a","password":"b"}}', b"\xff{}"):
        answer = await site.public("POST", "/v2/customers", data=data, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.code) == (400, "BODY_MALFORMED"), data


async def test_password_may_be_any_text(site: Site) -> None:
    """A password is 1 to 1024 bytes of any text, kept exactly."""
    for number, password in enumerate(("x", "é" * 512, "nul\0inside", " spaces ", "🔑" * 256)):
        email = f"n{number}@x.example"
        assert (await register(site, email, password)).status == 201
        assert (await site.login(email, password)).status == 201
        assert (await site.login(email, password.strip()[:-1] + "!")).status == 404


@pytest.mark.parametrize("status", [400, 422])
async def test_refusal_of_the_upstream_is_explained(site: Site, status: int) -> None:
    """What the upstream finds wrong is told to the client; no intent stays, so that another password works next."""
    site.commerce.fault(Fault.SERVER_ERROR, when=CREATION, status=status, times=1)
    answer = await register(site)
    assert answer.status == status
    assert answer.json()["errors"][0]["code"] == "UPSTREAM_REFUSED"
    assert await store_of(site).pending(ANN) is None
    assert (await register(site, password=OTHER)).status == 201
    assert (await site.login(ANN, OTHER)).status == 201


@pytest.mark.parametrize("kind", [Fault.CLOSE_AFTER, Fault.CUT_BODY, Fault.TRUNCATED_JSON, Fault.WRONG_TYPE])
async def test_creation_whose_answer_is_lost(site: Site, kind: Fault) -> None:
    """If the upstream made the customer and the answer is lost, the password waits: a login finds it."""
    site.commerce.fault(kind, when=CREATION, times=1)
    answer = await register(site)
    assert answer.status in {201, 502}
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    assert (await site.login(ANN, PASSWORD)).status == 201
    assert await store_of(site).pending(ANN) is None
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_repeat_of_a_creation_whose_answer_is_lost(site: Site) -> None:
    """The repeat of a registration that broke off finishes it with 201; with another password it is 409."""
    site.commerce.fault(Fault.CUT_BODY, when=CREATION, times=1)
    assert (await register(site)).status == 502
    assert (await register(site, password=OTHER)).code == "EMAIL_TAKEN"
    again = await register(site)
    assert (again.status, again.json()["data"]["password"]) == (201, True)
    assert len(customers_with(site, ANN)) == 1
    assert (await site.login(ANN, PASSWORD)).status == 201
    assert (await register(site)).code == "EMAIL_TAKEN"


async def test_upstream_that_is_silent(upstream: Commerce, tmp_path: Path) -> None:
    """After a time-out the intent stays; a repeat with the same password goes on, with another it is 409 for now."""
    config = "extends: moltin.yaml\nupstream:\n  timeouts: {connect: 300ms, first_byte: 200ms}\n"
    async with run_site(upstream, tmp_path, config=config) as site:
        fault = upstream.fault(Fault.SILENT, when=CREATION, times=1)
        assert (await register(site)).status == 504
        assert fault.hits == 1
        other = await register(site, password=OTHER)
        assert (other.status, other.code) == (409, "REGISTRATION_PENDING")
        assert int(other.headers["retry-after"]) > 0
        assert (await register(site)).status == 201
        assert (await site.login(ANN, PASSWORD)).status == 201


async def test_upstream_that_is_down(site: Site) -> None:
    """When the upstream cannot be reached nothing was made, and no intent stays behind."""
    assert (await site.login(RON.email, "x")).status == 404
    site.commerce.fault(Fault.UNAUTHORIZED, when=CREATION)
    assert (await register(site)).status == 503
    assert await store_of(site).pending(ANN) is None


async def test_registrations_at_once_with_different_passwords(site: Site) -> None:
    """Of twenty registrations of one e-mail at once exactly one is 201, and only its password logs in."""
    await site.bearer()
    passwords = [f"password-{number}" for number in range(20)]
    answers = await asyncio.gather(*(register(site, password=password) for password in passwords))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    won = passwords[[answer.status for answer in answers].index(201)]
    assert (await site.login(ANN, won)).status == 201
    for password in [one for one in passwords if one != won][:5]:
        assert (await site.login(ANN, password)).code == "LOGIN_FAILED"
    assert len(customers_with(site, ANN)) == 1


@pytest.mark.parametrize("spelling", [ANN, ANN.upper()])
async def test_same_registration_twice_at_once(site: Site, spelling: str) -> None:
    """A double click makes one customer, also where the upstream would make two."""
    permissive(site.commerce)
    await site.bearer()
    answers = await asyncio.gather(register(site), register(site, spelling), register(site))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert len(customers_with(site, ANN)) == 1
    assert (await site.login(ANN, PASSWORD)).status == 201


@pytest.mark.parametrize("kind", [Fault.SERVER_ERROR, Fault.HTML_ERROR, Fault.CLOSE, Fault.HTML_OK])
async def test_planted_intent_does_not_open_another_name(site: Site, kind: Fault) -> None:
    """Who registers a victim's e-mail while the upstream fails gets nothing when the victim is made by another name."""
    fault = site.commerce.fault(kind, when=CREATION)
    assert (await register(site, name="Mallory")).status == 502
    fault.times = 0
    victim = made(site)
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
    assert (await register(site, name="Mallory")).code == "EMAIL_TAKEN"
    assert await store_of(site).password_hash(victim["id"]) is None


async def test_planted_intent_does_not_open_a_customer_made_at_another_time(site: Site) -> None:
    """Even with the victim's name a planted intent opens nobody who was made more than ten minutes before or after."""
    await plant(site, age=3600)
    for age in (0, 2 * 3600, 30 * DAY):
        victim = made(site, age=age)
        assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
        assert (await register(site)).code == "EMAIL_TAKEN"
        del site.commerce.shop.customers[victim["id"]]


async def test_planted_intent_with_the_right_name_and_time(site: Site) -> None:
    """The window that stays open: who planted name and e-mail, and the victim is made upstream within ten minutes.

    Nothing tells this customer from one that the intent itself made and whose answer was lost, as long as somebody
    makes it at the upstream directly. Through the gateway it cannot happen: the next test.
    """
    await plant(site, age=120)
    victim = made(site)
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == victim["id"]


async def test_planted_intent_where_the_upstream_tells_no_times(site: Site) -> None:
    """Where records carry no time of creation, an intent is good for a day and not longer."""
    victim = made(site, age=None)
    intent = await plant(site, age=DAY + 60)
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
    await store_of(site).abandon(intent.id)
    await plant(site, age=DAY - 60)
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == victim["id"]


@pytest.mark.parametrize("password", [OTHER, None], ids=["with password", "without"])
async def test_customer_made_through_the_gateway_voids_a_stale_intent(site: Site, password: str | None) -> None:
    """A server that makes the victim through the gateway removes what was planted; while it is fresh it is told 409."""
    intent = await plant(site, password=PASSWORD)
    fresh = await site.trusted("POST", "/v2/customers", json=customer(ANN, password))
    assert (fresh.status, fresh.code) == (409, "REGISTRATION_PENDING")
    await store_of(site).abandon(intent.id)
    await plant(site, password=PASSWORD, age=301)
    answer = await site.trusted("POST", "/v2/customers", json=customer(ANN, password))
    assert (answer.status, answer.json()["data"]["password"]) == (201, password is not None)
    assert await store_of(site).pending(ANN) is None
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"


async def test_password_set_by_a_server_voids_an_intent(site: Site) -> None:
    """A customer who has a password is opened by it alone, whatever was planted."""
    await plant(site)
    victim = made(site)
    target = f"/v2/customers/{victim['id']}"
    assert (await site.trusted("PUT", target, json={"data": {"type": "customer", "password": OTHER}})).status == 200
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
    assert (await register(site)).code == "EMAIL_TAKEN"
    assert (await site.login(ANN, OTHER)).status == 201


async def test_email_given_to_an_old_customer_voids_a_stale_intent(site: Site) -> None:
    """A customer who was there before the intent is never opened by it, also when the e-mail becomes theirs later."""
    old = made(site, "old@perkins.example", age=None)
    await plant(site, age=301)
    target = f"/v2/customers/{old['id']}"
    assert (await site.trusted("PUT", target, json={"data": {"type": "customer", "email": ANN}})).status == 200
    assert await store_of(site).pending(ANN) is None
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"


async def test_guessing_at_an_intent_sets_nothing(site: Site) -> None:
    """A customer that was there before a registration keeps its state: the registration is 409 and plants nothing."""
    victim = made(site)
    assert (await register(site)).code == "EMAIL_TAKEN"
    assert await store_of(site).pending(ANN) is None
    assert await store_of(site).password_hash(victim["id"]) is None


async def test_creation_that_answers_another_customer(site: Site) -> None:
    """An upstream that answers a registration with somebody else's record shows nothing of it and gives no password."""
    record = site.commerce.shop.customers[LESLIE_ID]
    body = json.dumps({"data": record}).encode()
    head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(CREATION, head + body)
    for password in (PASSWORD, None):
        answer = await register(site, "ben@wyatt.example", password)
        assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID") or answer.code == "REGISTRATION_PENDING"
        assert LESLIE.canary.encode() not in answer.body
        assert LESLIE.email.encode() not in answer.body
        assert (await site.login(LESLIE.email, PASSWORD)).status == 404


async def test_repeat_that_shows_another_customer(site: Site) -> None:
    """The repeat of a registration never shows another customer's record."""
    await plant(site)
    mine = made(site)
    site.commerce.fault(Fault.OTHER_RECORD, when=at(f"/v2/customers/{mine['id']}"), record=LESLIE_ID)
    for answer in (await register(site), await site.login(ANN, PASSWORD)):
        assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")
    assert await store_of(site).password_hash(mine["id"]) is None
    site.commerce.forget()
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_password_alone_changes_nothing_upstream(site: Site) -> None:
    """A change of the password alone reads the customer upstream; the new password works and the old one does not."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.forget()
    answer = await change(site, token, RON_ID, password=OTHER)
    assert (answer.status, answer.json()["data"]["password"]) == (200, True)
    assert answer.json()["data"]["name"] == RON.name
    assert asked(site) == [("GET", OWN)]
    assert site.commerce.requests[0].body == b""
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "LOGIN_FAILED"
    assert (await site.login(RON.email, OTHER)).status == 201


async def test_password_and_name(site: Site) -> None:
    """A change of more than the password sends the rest upstream, without it."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.forget()
    answer = await change(site, token, RON_ID, name="Duke Silver", password=OTHER)
    assert (answer.status, answer.json()["data"]["name"], answer.json()["data"]["password"]) == (
        200,
        "Duke Silver",
        True,
    )
    (sent,) = site.commerce.requests
    assert (sent.method, sent.json()) == ("PUT", {"data": {"type": "customer", "name": "Duke Silver"}})
    assert (await site.login(RON.email, OTHER)).status == 201


async def test_new_email(site: Site) -> None:
    """After a change of e-mail the customer logs in by the new one and not by the old one."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    answer = await change(site, token, RON_ID, email="Duke@Silver.example")
    assert (answer.status, answer.json()["data"]["email"]) == (200, "duke@silver.example")
    password = DEMO_PASSWORDS[RON.email]
    assert (await site.login(RON.email, password)).code == "LOGIN_FAILED"
    assert (await site.login("duke@silver.example", password)).json()["data"]["customer_id"] == RON_ID


async def test_own_email_again(site: Site) -> None:
    """A profile form that sends the customer's own e-mail with the rest is no conflict."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    assert (await change(site, token, RON_ID, name="Ron", email=RON.email.upper())).status == 200
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


@pytest.mark.parametrize("email", [LESLIE.email, LESLIE.email.upper()])
async def test_email_of_somebody_else(site: Site, email: str) -> None:
    """The e-mail of another customer is 409, and neither e-mail nor password change."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    answer = await change(site, token, RON_ID, email=email, password=OTHER)
    assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
    assert site.commerce.shop.customers[RON_ID]["email"] == RON.email
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    trusted = await site.trusted("PUT", OWN, json={"data": {"type": "customer", "email": email}})
    assert trusted.code == "EMAIL_TAKEN"


async def test_email_that_nobody_can_prove_to_be_free(site: Site) -> None:
    """When the upstream ignores the filter a new e-mail is refused, as it is at registration."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.IGNORE_FILTER, when=at("/v2/customers", "GET"))
    assert (await change(site, token, RON_ID, email="duke@silver.example")).code == "UPSTREAM_INVALID"
    assert (await change(site, token, RON_ID, email=RON.email, name="Ron")).status == 200


async def test_server_changes_any_customer(site: Site) -> None:
    """A trusted caller sets the password of any customer, and sends fields of the API beside it."""
    fields = {"type": "customer", "external_ref": "crm-7", "password": OTHER}
    answer = await site.trusted("PUT", f"/v2/customers/{APRIL_ID}", json={"data": fields})
    assert (answer.status, answer.json()["data"]["password"]) == (200, True)
    assert site.commerce.requests[-1].json() == {"data": {"type": "customer", "external_ref": "crm-7"}}
    assert (await site.login("april@ludgate.example", OTHER)).status == 201
    unknown = await site.trusted("PUT", "/v2/customers/none", json={"data": {"password": OTHER}})
    assert unknown.status == 404
    assert await store_of(site).password_hash("none") is None


async def test_change_of_a_field_that_is_not_the_customers(site: Site) -> None:
    """A customer changes name, e-mail and password, to valid values; anything else is 422 and goes nowhere.

    Another id is 403: the path says whom the change is about.
    """
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.forget()
    wrong: list[dict[str, object]] = [
        {"external_ref": "x"},
        {"password": "x" * 1025},
        {"password": ["x"]},
        {"email": "ron"},
        {"email": None},
    ]
    for fields in wrong:
        assert (await change(site, token, RON_ID, **fields)).status == 422, fields
    assert not site.commerce.requests
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    site.commerce.forget()
    assert (await change(site, token, RON_ID, id=LESLIE_ID)).code == "BODY_FIELD_FORBIDDEN"
    assert not site.commerce.requests


async def test_the_record_as_it_was_shown(site: Site) -> None:
    """Sent back it changes nothing but what was changed in it: not the password, and nothing that is read-only."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    shown = (await site.customer(RON.email, "GET", f"/v2/customers/{RON_ID}")).json()["data"]
    assert shown["password"] is True
    for changed in ({"name": "Ron"}, {"name": "Ronald", "password": ""}, {"password": None, "name": "Ron S"}):
        site.commerce.forget()
        answer = await change(site, token, RON_ID, **(shown | changed))
        assert (answer.status, answer.json()["data"]["name"]) == (200, changed["name"])
        (sent,) = [request for request in site.commerce.requests if request.method == "PUT"]
        assert sent.json()["data"] == {"type": "customer", "name": changed["name"], "email": RON.email}
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    assert (await change(site, token, RON_ID, **(shown | {"id": LESLIE_ID}))).code == "BODY_FIELD_FORBIDDEN"


@pytest.mark.parametrize(("upstream_status", "status"), [(400, 400), (422, 422), (500, 502), (404, 404)])
async def test_change_that_the_upstream_refuses(site: Site, upstream_status: int, status: int) -> None:
    """When the upstream refuses a change, the password stays as well."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.SERVER_ERROR, when=at(OWN), status=upstream_status)
    for fields in ({"name": "Duke Silver", "password": OTHER}, {"password": OTHER}):
        assert (await change(site, token, RON_ID, **fields)).status == status
    assert (await site.login(RON.email, OTHER)).status == 404
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_change_that_answers_another_customer(site: Site) -> None:
    """When a change is answered with another customer's record, nobody's password changes: not for a server either."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.OTHER_RECORD, when=at(OWN), record=LESLIE_ID)
    answer = await change(site, token, RON_ID, password=OTHER)
    assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
    trusted = await site.trusted("PUT", OWN, json={"data": {"type": "customer", "password": OTHER}})
    assert (trusted.status, trusted.code) == (502, "UPSTREAM_INVALID")
    for email in (RON.email, LESLIE.email):
        assert (await site.login(email, OTHER)).status == 404
        assert (await site.login(email, DEMO_PASSWORDS[email])).status == 201


async def test_foreign_customer_cannot_be_changed(site: Site) -> None:
    """A customer sets no other customer's password: 404, and nothing goes upstream."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.forget()
    assert (await change(site, token, LESLIE_ID, password=OTHER)).code == "RECORD_NOT_FOUND"
    assert not site.commerce.requests
    assert (await site.public("PUT", OWN, json={"data": {"password": OTHER}})).status == 403


async def test_deletion_takes_the_password_with_it(site: Site) -> None:
    """A deletion is 204, the password is gone, and the e-mail may be registered anew with another one."""
    answer = await site.customer(RON.email, "DELETE", OWN)
    assert (answer.status, answer.body) == (204, b"")
    assert await store_of(site).password_hash(RON_ID) is None
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "LOGIN_FAILED"
    assert (await register(site, RON.email, OTHER)).status == 201
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 404
    assert (await site.login(RON.email, OTHER)).status == 201


async def test_deletion_by_a_server_and_its_repeat(site: Site) -> None:
    """A trusted deletion takes the password too; its repeat is 404 and takes what a broken-off one left."""
    assert (await site.trusted("DELETE", OWN)).status == 204
    assert await store_of(site).password_hash(RON_ID) is None
    await store_of(site).set_password(RON_ID, "left behind")
    assert (await site.trusted("DELETE", OWN)).status == 404
    assert await store_of(site).password_hash(RON_ID) is None


async def test_deletion_that_fails_keeps_the_password(site: Site) -> None:
    """When the upstream does not delete, the customer still logs in."""
    site.commerce.fault(Fault.SERVER_ERROR, when=at(OWN, "DELETE"))
    assert (await site.customer(RON.email, "DELETE", OWN)).status == 502
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_password_is_a_boolean_everywhere(site: Site) -> None:
    """Every customer in any reply says by a JSON boolean whether there is a password, whatever the upstream says."""
    record = made(site)
    for said in ({}, {"password": "canary-hash-of-the-upstream"}, {"password": None}, {"password": True}):
        site.commerce.shop.customers[record["id"]] = {**record, **said}
        everybody = (await site.trusted("GET", "/v2/customers")).json()["data"]
        assert {one["id"]: one["password"] for one in everybody} == {
            **dict.fromkeys((RON_ID, LESLIE_ID, APRIL_ID), True),
            record["id"]: False,
        }
        one = await site.trusted("GET", f"/v2/customers/{record['id']}")
        assert one.json()["data"]["password"] is False
    assert (await site.customer(RON.email, "GET", OWN)).json()["data"]["password"] is True
    assert [one["password"] for one in (await site.customer(RON.email, "GET", "/v2/customers")).json()["data"]] == [
        True
    ]


async def test_password_of_included_customers(site: Site) -> None:
    """Customers that come along with orders say it too."""
    order = next(one for one in site.commerce.shop.orders.values() if RON_ID in json.dumps(one["relationships"]))
    included = {"customers": [{"type": "customer", "id": RON_ID, "email": RON.email, "password": "canary-hash"}]}
    body = json.dumps({"data": [order], "included": included}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    site.commerce.script(at("/v2/orders"), head + body)
    for answer in (
        await site.customer(RON.email, "GET", "/v2/orders?include=customer"),
        await site.trusted("GET", "/v2/orders?include=customer"),
    ):
        assert [one["password"] for one in answer.json()["included"]["customers"]] == [True]
        assert b"canary-hash" not in answer.body


async def test_one_query_for_each_reply(site: Site) -> None:
    """A reply costs one query of the store, however many customers are in it, and none where there are none."""
    for number in range(20):
        made(site, f"n{number}@x.example")
    await site.bearer("trusted")
    with statements() as queries:
        answer = await site.trusted("GET", "/v2/customers?page[limit]=100")
    assert len(answer.json()["data"]) == 23
    assert len(queries) == 1
    with statements() as queries:
        assert (await site.trusted("GET", "/v2/orders")).status == 200
    assert not queries


# Who may have been there before, and who hangs up


def upserting(site: Site, record: Json, status: bytes) -> None:
    """Make the upstream answer creations with a customer who is there, found by a look-up that minds the case."""
    site.commerce.shop.customers[record["id"]] = record
    body = json.dumps({"data": record}).encode()
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    site.commerce.script(CREATION, head + body)
    site.commerce.script(lambda request: request.path == "/v2/customers" and request.method == "GET", _NOBODY, times=1)


_NOBODY = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'


async def test_upstream_that_answers_here_he_is_gives_no_password(site: Site) -> None:
    """200 instead of 201, with a customer made an hour ago, is no creation: no password is bound."""
    victim = made(site, age=3600)
    upserting(site, victim, b"200 OK")
    answer = await register(site)
    assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
    assert await store_of(site).pending(ANN) is None
    assert await store_of(site).password_hash(victim["id"]) is None
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created"])
async def test_customer_of_another_spelling_was_there_before(site: Site, status: bytes) -> None:
    """We make customers with the canonical spelling: one of another spelling is not ours, whatever is said of it."""
    victim = made(site, email=ANN.title(), age=None)
    upserting(site, victim, status)
    answer = await register(site)
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")
    for spelling in (ANN, ANN.title()):
        assert (await site.login(spelling, PASSWORD)).code == "LOGIN_FAILED"
    assert await store_of(site).password_hash(victim["id"]) is None


@pytest.mark.parametrize("age", [0, None])
async def test_upstream_that_says_200_for_a_new_customer(site: Site, age: float | None) -> None:
    """200 with a customer made at this moment, or who knows when, is a creation: nobody was there before it."""
    upserting(site, made(site, age=age), b"200 OK")
    assert (await register(site)).status == 200
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_a_redirected_registration_may_have_made_the_customer(site: Site) -> None:
    """Behind a 303 it mostly did: the intent stays, and the repeat with the same password goes on."""
    site.commerce.script(CREATION, b"HTTP/1.1 303 See Other\r\ncontent-length: 0\r\n\r\n", times=1)
    answer = await register(site)
    assert (answer.status, answer.code) == (502, "WRITE_UNCONFIRMED")
    assert await store_of(site).pending(ANN) is not None
    assert (await register(site, password=OTHER)).code == "REGISTRATION_PENDING"
    assert (await register(site)).status == 201
    assert (await site.login(ANN, PASSWORD)).status == 201


@pytest.mark.parametrize("status", [b"404 Not Found", b"413 Payload Too Large", b"429 Slow Down"])
async def test_answer_that_proves_no_creation_leaves_no_intent(site: Site, status: bytes) -> None:
    """Whatever an answer looks like: a status that means "not made" ends the intent."""
    site.commerce.script(CREATION, b"HTTP/1.1 %s\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nno" % status)
    assert (await register(site)).status >= 400
    assert await store_of(site).pending(ANN) is None


async def test_client_that_hangs_up_leaves_a_whole_registration(site: Site) -> None:
    """A registration whose client is gone is finished all the same: customer and password, or neither."""
    gate = asyncio.Event()
    await site.bearer()
    site.commerce.fault(Fault.SLOW_HEAD, when=CREATION, gate=gate, times=1)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(register(site))
        await site.commerce.wait(lambda: ("POST", "/v2/customers") in asked(site))
        leaving.cancel()
    gate.set()
    await settled(site)
    assert (await site.login(ANN, PASSWORD)).status == 201


async def settled(site: Site) -> None:
    """Wait until no registration of Ann's is under way."""
    while await store_of(site).pending(ANN) is not None:  # noqa: ASYNC110 - each look is a query: it waits for the store
        await asyncio.sleep(0)


async def test_client_that_hangs_up_leaves_a_whole_change(site: Site) -> None:
    """A change of name and password whose client is gone changes both."""
    gate = asyncio.Event()
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.fault(Fault.SLOW_HEAD, when=at(OWN, "PUT"), gate=gate, times=1)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(change(site, token, RON_ID, name="Duke Silver", password=OTHER))
        await site.commerce.wait(lambda: ("PUT", OWN) in asked(site))
        leaving.cancel()
    before = await store_of(site).password_hash(RON_ID)
    gate.set()
    while await store_of(site).password_hash(RON_ID) == before:  # noqa: ASYNC110 - each look waits for the store
        await asyncio.sleep(0)
    assert site.commerce.shop.customers[RON_ID]["name"] == "Duke Silver"
    assert (await site.login(RON.email, OTHER)).status == 201


async def test_guesses_at_an_intent_are_counted(site: Site) -> None:
    """The password of a registration under way cannot be guessed at will: after ten, 429."""
    await plant(site)
    codes = [(await register(site, password=f"guess {number}")).code for number in range(12)]
    assert codes == ["REGISTRATION_PENDING"] * 10 + ["THROTTLED"] * 2


@pytest.mark.parametrize("name", [1, None, ["Ann"], {"$ne": 1}])
async def test_name_that_is_no_text(site: Site, name: object) -> None:
    """A name is text, in registrations and changes."""
    body = {"data": {"type": "customer", "email": ANN, "password": PASSWORD, "name": name}}
    for answer in (
        await site.public("POST", "/v2/customers", json=body),
        await change(site, await site.token(RON.email), RON_ID, name=name),
    ):
        assert (answer.status, answer.json()["errors"][0]["source"]) == (422, "data.name")
