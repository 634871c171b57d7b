"""Logins and registrations before an upstream that lies about who has an e-mail: no token is another customer's."""

import base64
import json
from collections.abc import Callable

import pytest_asyncio

from gateway.demo.data import APRIL, DEMO_PASSWORDS, LESLIE, PEOPLE, RON, Person
from gateway.vocab.messages import Json
from tests.attacks.field import ON_ONE_LOOP, every
from tests.attacks.upstream import Siege, Spell, answer, framed, packed, record, shown_in, statuses, without
from tests.fakes.commerce import Recorded, at
from tests.gateways import Answer

pytestmark = ON_ONE_LOOP

# Everybody has the same one, so that no mistaken identity is hidden by a password that does not fit.
PASSWORD = "the-one-password-of-all"
ANOTHER = "another-password"
LOOK_UP = at("/v2/customers", "GET")
CREATE = at("/v2/customers", "POST")
NEW = "new@new.example"
Lie = Callable[[], object]


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _one_password(siege: Siege) -> None:
    siege.commerce.forget()
    for person in PEOPLE:
        await siege.site.give(person, PASSWORD)


def subject(reply: Answer) -> str:
    """Return whose the token in a reply is."""
    part = reply.json()["data"]["token"].split(".")[1]
    said: dict[str, str] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert said["sub"] == reply.json()["data"]["customer_id"]
    return said["sub"]


def assert_nobody_shown(reply: Answer, me: Person | None = RON) -> None:
    """Check that a reply shows nobody but `me`, and is in the envelope of all."""
    shown = reply.body + repr(dict(reply.headers)).encode()
    assert shown_in(shown, me) == []
    assert reply.status not in {500, 401}
    if reply.status >= 400:
        assert reply.json()["errors"][0]["status"] == reply.status


async def assert_nobody_else(siege: Siege, told: bytes, email: str = RON.email, *, may: bool = False) -> None:
    """Check that a login as Ron, with his password, gives Ron's token or none; `may` says that it gives Ron's."""
    siege.commerce.script(LOOK_UP, told)
    reply = await siege.site.login(email, PASSWORD)
    assert_nobody_shown(reply)
    if may:
        assert reply.status == 201, reply.body
    if reply.status == 201:
        assert subject(reply) == RON.id
    else:
        assert reply.status in {404, 429, 502, 503, 504}
    siege.commerce.forget()
    for person in PEOPLE:
        assert subject(await siege.site.login(person.email, PASSWORD)) == person.id


def customer(person: Person, **members: object) -> Json:
    """Return a customer's record with other members."""
    return record("customer", person) | members


CASED = RON.email.replace("ron", "Ron")
OTHERS: dict[str, list[object]] = {
    "nobody": [],
    "another customer": [customer(LESLIE)],
    "all but him": [customer(LESLIE), customer(APRIL)],
    "his e-mail as a name": [customer(LESLIE, name=RON.email)],
    "his e-mail as a reference": [customer(LESLIE, external_ref=RON.email)],
    "his e-mail in a list": [customer(LESLIE, email=[RON.email])],
    "his e-mail in an object": [customer(LESLIE, email={"address": RON.email})],
    "his e-mail behind theirs": [customer(LESLIE, email=f"{LESLIE.email},{RON.email}")],
    "his e-mail before theirs": [customer(LESLIE, email=f"{RON.email},{LESLIE.email}")],
    "his e-mail with a name": [customer(LESLIE, email=f"Leslie <{RON.email}>")],
    "his e-mail with a comment": [customer(LESLIE, email=f"{RON.email} (Leslie)")],
    "his e-mail with a NUL": [customer(LESLIE, email=f"{RON.email}\x00")],
    "his e-mail with a line's end": [customer(LESLIE, email=f"{RON.email}\n")],
    "his e-mail with an invisible letter": [customer(LESLIE, email=f"ron\u200b@{RON.email.split('@')[1]}")],
    "his e-mail with a dot more": [customer(LESLIE, email=f"{RON.email}.")],
    "his e-mail with a label": [customer(LESLIE, email=RON.email.replace("@", "+1@"))],
    "his e-mail in full width": [customer(LESLIE, email=f"\uff52\uff4f\uff4e@{RON.email.split('@')[1]}")],
    "his e-mail with a Kelvin sign": [customer(LESLIE, email=RON.email.replace("s", "\u017f"))],
    "his e-mail in other fields": [
        customer(LESLIE, Email=RON.email, emails=[RON.email], contact={"email": RON.email}, data={"email": RON.email})
    ],
    "no e-mail": [without(customer(LESLIE), "email") | {"mail": RON.email}],
    "a null for the e-mail": [customer(LESLIE, email=None)],
    "a number for the e-mail": [customer(LESLIE, email=0)],
    "a longer e-mail": [customer(LESLIE, email=f"x{RON.email}")],
    "texts": [LESLIE.id, RON.email, LESLIE.canary],
    "lists": [[customer(LESLIE)], [RON.email]],
    "nulls": [None, None],
}


@every(others=OTHERS)
async def test_look_ups_that_answer_others(siege: Siege, others: list[object]) -> None:
    """Only a record that itself carries the e-mail is the customer's (D7.2): the upstream's choice is not believed."""
    await assert_nobody_else(siege, answer({"data": others}))


@every(
    others={name: others for name, others in OTHERS.items() if name != "his e-mail in a list"},
    place=["before", "behind"],
)
async def test_look_ups_that_answer_others_too(siege: Siege, others: list[object], place: str) -> None:
    """Among others, wherever they stand, the customer is found by the own record."""
    records = [customer(RON), *others] if place == "behind" else [*others, customer(RON)]
    await assert_nobody_else(siege, answer({"data": records}), may=True)


@every(
    doubled={
        "in another case": customer(LESLIE, email=CASED),
        "in capitals": customer(LESLIE, email=RON.email.upper()),
        "the same again": customer(RON),
        "the same under another name": customer(RON, name=LESLIE.name),
    },
    place=["before", "behind"],
)
async def test_e_mails_that_differ_in_case(siege: Siege, doubled: Json, place: str) -> None:
    """Of two addresses that differ in case, each is reached by its own spelling only (D7.2, CVE-2025-24806)."""
    records = [customer(RON), doubled] if place == "behind" else [doubled, customer(RON)]
    await assert_nobody_else(siege, answer({"data": records}), may=True)


@every(place=["before", "behind"], typed=[RON.email, CASED, RON.email.upper()])
async def test_two_customers_of_one_e_mail(siege: Siege, place: str, typed: str) -> None:
    """Where two have exactly one e-mail, nobody is meant."""
    records = [customer(RON), customer(LESLIE, email=RON.email)]
    siege.commerce.script(LOOK_UP, answer({"data": records if place == "behind" else records[::-1]}))
    reply = await siege.site.login(typed, PASSWORD)
    assert_nobody_shown(reply)
    assert (reply.status, reply.code) == (404, "LOGIN_FAILED")


IDS: dict[str, object] = {
    "null": None,
    "a number": 7,
    "true": True,
    "a list": [RON.id],
    "an object": {"id": RON.id},
    "empty": "",
    "a path": f"{RON.id}/../{LESLIE.id}",
    "two": f"{RON.id},{LESLIE.id}",
    "a filter": f"{RON.id}),eq(id,{LESLIE.id}",
    "a space": f" {RON.id}",
    "a line's end": f"{RON.id}\n",
    "a wildcard": "*",
    "very long": "a" * 10_000,
    "dots": "..",
    "a NUL": f"{RON.id}\x00",
    "not ASCII": f"{RON.id}é",
}


@every(ident=IDS)
async def test_ids_that_are_none(siege: Siege, ident: object) -> None:
    """An id that could mean anything in a path, a filter or a token is nobody's."""
    siege.commerce.script(LOOK_UP, answer({"data": [customer(RON, id=ident)]}))
    reply = await siege.site.login(RON.email, PASSWORD)
    assert_nobody_shown(reply)
    assert reply.status in {404, 502}


def both(body: bytes) -> bytes:
    """Write a list of Leslie behind a list of Ron."""
    return body + json.dumps({"data": [customer(LESLIE)]}).encode()


SPELLED: dict[str, Spell] = {
    "two documents": lambda body: answer(both(body)),
    "half": lambda body: answer(body[:-20]),
    "a page": lambda b: answer(b, 200, ("content-type", "text/html")),
    "an array": lambda _: answer([customer(LESLIE)]),
    "a record": lambda _: answer({"data": customer(LESLIE)}),
    "his record": lambda _: answer({"data": customer(RON)}),
    "nothing": lambda _: answer(b""),
    "a text": lambda _: answer({"data": RON.email}),
    "null": lambda _: answer({"data": None}),
    "packed": lambda b: answer(packed(b), 200, ("content-encoding", "gzip")),
    "packed twice": lambda b: answer(packed(packed(b)), 200, ("content-encoding", "gzip, gzip")),
    "a bomb": lambda b: answer(packed(b + b" " * 2**24), 200, ("content-encoding", "gzip")),
    "above the limit": lambda b: answer(b + b" " * 2**20),
    "moved": lambda b: answer(b, 302, ("location", "/v2/customers")),
    "created": lambda b: answer(b, 201),
    "a part": lambda b: answer(b, 206),
    "not modified": lambda _: framed(b"", 304),
    "unknown": lambda b: answer(b, 404),
    "failed": lambda b: answer(b, 500),
    "too many": lambda b: answer(b, 429),
    "refused": lambda _: answer({"errors": [{"title": LESLIE.canary}]}, 400),
    "UTF-16": lambda b: answer(b.decode().encode("utf-16")),
    "data twice": lambda b: answer(b[:-1] + b',"data":[' + json.dumps(customer(LESLIE)).encode() + b"]}"),
    "id twice": lambda _: answer(
        b'{"data":[' + json.dumps(customer(LESLIE)).encode()[:-1] + b',"id":"' + RON.id.encode() + b'"}]}'
    ),
    "much": lambda _: answer({"data": [customer(LESLIE)] * 2000}),
}


@every(spelled=SPELLED)
async def test_look_ups_that_cannot_be_read(siege: Siege, spelled: Spell) -> None:
    """A look-up that is not one list of records in a plain success says nothing about anybody."""
    await assert_nobody_else(siege, spelled(json.dumps({"data": [customer(RON)]}).encode()))


@every(whose=["Leslie's", "April's"], then=["at once", "later"])
async def test_answers_to_somebody_elses_look_up(siege: Siege, whose: str, then: str) -> None:
    """Crossed look-ups (D4.4): the answer to another's question logs nobody in, and neither does the one after it."""
    person = LESLIE if whose == "Leslie's" else APRIL
    true = answer({"data": [customer(person)]})
    siege.commerce.script(LOOK_UP, true + true if then == "later" else true, times=1)
    assert (await siege.site.login(RON.email, PASSWORD)).status == 404
    for me in (RON, LESLIE, APRIL):
        assert subject(await siege.site.login(me.email, PASSWORD)) == me.id


# --- Registrations ----------------------------------------------------------------------------------------------------


async def register(siege: Siege, email: str = NEW, password: str = ANOTHER) -> Answer:
    """Register a new customer."""
    fields = {"type": "customer", "name": "New", "email": email, "password": password}
    return await siege.site.public("POST", "/v2/customers", json={"data": fields})


async def assert_passwords_kept(siege: Siege, taken: str = ANOTHER) -> None:
    """Check that everybody has the password they had, and nobody the new one."""
    siege.commerce.forget()
    for person in PEOPLE:
        assert (await siege.site.login(person.email, taken)).code == "LOGIN_FAILED"
        assert subject(await siege.site.login(person.email, PASSWORD)) == person.id


@every(others={name: others for name, others in OTHERS.items() if others})
async def test_registrations_before_a_filter_that_is_ignored(siege: Siege, others: list[object]) -> None:
    """Where others come for an e-mail, nobody knows whether it is free: nobody is created."""
    siege.commerce.script(LOOK_UP, answer({"data": others}))
    reply = await register(siege)
    assert_nobody_shown(reply, None)
    assert reply.status in {409, 502}
    assert not [request for request in siege.commerce.requests if request.method == "POST"]
    await assert_passwords_kept(siege)


CREATED: dict[str, Lie] = {
    "another customer": lambda: {"data": customer(LESLIE)},
    "another with this e-mail": lambda: {"data": customer(LESLIE, email=NEW)},
    "another with this e-mail and name": lambda: {"data": customer(LESLIE, email=NEW, name="New")},
    "this e-mail in another field": lambda: {"data": customer(LESLIE, name=NEW)},
    "this e-mail in capitals": lambda: {"data": customer(LESLIE, email=NEW.upper())},
    "a list": lambda: {"data": [customer(LESLIE, email=NEW)]},
    "a list of all": lambda: {"data": [customer(person) for person in PEOPLE]},
    "no id": lambda: {"data": {"type": "customer", "email": NEW, "name": "New"}},
    "an id that is none": lambda: {"data": {"type": "customer", "email": NEW, "id": f"../{LESLIE.id}"}},
    "a list for the id": lambda: {"data": {"type": "customer", "email": NEW, "id": [LESLIE.id]}},
    "nothing": dict,
    "null": lambda: {"data": None},
    "an array": lambda: [customer(LESLIE, email=NEW)],
    "errors": lambda: {"errors": [{"title": LESLIE.canary, "detail": LESLIE.email}]},
}


@every(created=CREATED, status=statuses(201, 200, 202))
async def test_registrations_that_are_answered_with_others(siege: Siege, created: Lie, status: int) -> None:
    """A password is given only to the customer that was created, who has none; the answer shows nobody else."""
    siege.commerce.script(CREATE, answer(created(), status))
    reply = await register(siege)
    assert_nobody_shown(reply, None)
    # An answer that shows nobody says that somebody was made: the one who will have the e-mail.
    assert reply.status in ({202} if created() in ({}, {"data": None}) else {409, 502})
    await assert_passwords_kept(siege)
    # What such an answer leaves behind would be another vector's.
    await siege.site.gateway.store.purge(2**40)


BESIDE: dict[str, Json] = {
    "included": {"included": {"customers": [record("customer", LESLIE)]}},
    "meta": {"meta": {"previous": LESLIE.canary}},
    "links": {"links": {"self": f"/v2/customers/{LESLIE.id}"}},
    "more": {"records": [record("customer", LESLIE)]},
}


@every(beside=BESIDE)
async def test_registrations_with_others_beside(siege: Siege, beside: Json) -> None:
    """Beside the new customer nothing leaves, neither of the creation nor of the look at who was made."""
    ident = f"new-{next(iter(beside))}"
    told: Json = {}

    def say(request: Recorded) -> bytes:
        told.update(data={**request.json()["data"], "id": ident})
        return answer(told | beside, 201)

    siege.commerce.script(CREATE, say)
    siege.commerce.script(at(f"/v2/customers/{ident}"), lambda _: answer(told | beside))
    reply = await register(siege, email=f"{next(iter(beside))}@new.example")
    assert_nobody_shown(reply, None)
    assert reply.status == 201
    assert set(reply.json()) == {"data"}


ERRORS = statuses(400, 403, 404, 409, 422, 429, 500, 503, 302, 206)


@every(status=ERRORS)
async def test_registrations_that_fail_and_tell(siege: Siege, status: int) -> None:
    """What an upstream says about others when it creates nobody stays inside."""
    told = {"errors": [{"status": status, "title": LESLIE.name, "detail": LESLIE.canary, "source": LESLIE.email}]}
    siege.commerce.script(CREATE, answer(told, status, ("location", f"/v2/customers/{LESLIE.id}")))
    reply = await register(siege, email=f"e{status}@new.example")
    assert_nobody_shown(reply, None)
    assert reply.status >= 400
    await assert_passwords_kept(siege)


def old(**members: object) -> Json:
    """Return the record of somebody who was there, as a lie shows it: of the new e-mail and name."""
    return {"type": "customer", "id": APRIL.id, "email": NEW, "name": "New"} | members


# Whoever was there has no password: nothing but the proof stands between them and a new one.
SHOWN: dict[str, Lie] = {
    "the truth": lambda: {"data": record("customer", APRIL)},
    "the true e-mail": lambda: {"data": old(email=APRIL.email)},
    "another customer": lambda: {"data": customer(LESLIE)},
    "another with this e-mail": lambda: {"data": old(id=LESLIE.id)},
    "this e-mail in another field": lambda: {"data": customer(APRIL, name=NEW, contact={"email": NEW})},
    "this e-mail in capitals": lambda: {"data": old(email=NEW.upper())},
    "this e-mail with a space": lambda: {"data": old(email=f" {NEW}")},
    "this e-mail in a list": lambda: {"data": old(email=[NEW])},
    "an id in capitals": lambda: {"data": old(id=APRIL.id.upper())},
    "a list for the id": lambda: {"data": old(id=[APRIL.id])},
    "no id": lambda: {"data": {"email": NEW}},
    "a list": lambda: {"data": [old()]},
    "a list of both": lambda: {"data": [old(), record("customer", APRIL)]},
    "data in data": lambda: {"data": {"data": old()}},
    "an array": lambda: [old()],
    "null": lambda: {"data": None},
    "errors": lambda: {"errors": [{"title": NEW}]},
    "nothing": dict,
}


SHOWN_NOBODY = [SHOWN[name]() for name in ("data in data", "null", "errors", "nothing")]


@every(shown=SHOWN, way=["registration", "repeat", "login"])
async def test_ids_that_are_somebody_elses(siege: Siege, shown: Lie, way: str) -> None:
    """No answer that gives an old customer's id to a new one is believed before the record of that id is."""
    await forget_april(siege)
    if way == "registration":
        siege.commerce.script(CREATE, answer({"data": old()}, 201))
    else:
        siege.commerce.script(CREATE, framed(b"", 500, "content-length: 0"))
        await register(siege)
        siege.commerce.script(LOOK_UP, answer({"data": [old()]}))
    siege.commerce.script(at(f"/v2/customers/{APRIL.id}"), answer(shown()))
    reply = await siege.site.login(NEW, ANOTHER) if way == "login" else await register(siege)
    assert_nobody_shown(reply, None)
    if way == "registration" and shown() in SHOWN_NOBODY:
        # Somebody was made who is not shown: perhaps later.
        assert (reply.status, reply.json()["meta"]["code"]) == (202, "REGISTRATION_ACCEPTED")
    else:
        assert (reply.status, reply.code) == (502, "UPSTREAM_INVALID")
    await assert_april_has_none(siege)


@every(status=statuses(201, 202, 204, 206, 301, 304, 401, 403, 404, 429, 500))
async def test_ids_that_nobody_confirms(siege: Siege, status: int) -> None:
    """Only a plain 200 says whose an id is, whatever stands in an answer of another status."""
    await forget_april(siege)
    siege.commerce.script(CREATE, answer({"data": old()}, 201))
    told = framed(b"", status) if status in {204, 304} else answer({"data": old()}, status)
    siege.commerce.script(at(f"/v2/customers/{APRIL.id}"), told)
    reply = await register(siege)
    assert_nobody_shown(reply, None)
    # Somebody was made, and nobody is shown.
    assert reply.status == 202
    await assert_april_has_none(siege)


async def test_a_registration_gives_no_password_to_who_was_there(siege: Siege) -> None:
    """An answer that gives an old customer's id to a new one gives nobody that customer's password."""
    await forget_april(siege)
    siege.commerce.script(CREATE, answer({"data": {"type": "customer", "id": APRIL.id, "email": NEW}}, 201))
    await register(siege)
    await assert_april_has_none(siege)


async def forget_april(siege: Siege) -> None:
    """Take April's password away."""
    await siege.site.gateway.store.forget(APRIL.id)


async def assert_april_has_none(siege: Siege) -> None:
    """Check that April has no password, and leave no registration behind: it would be another vector's."""
    siege.commerce.forget()
    reply = await siege.site.login(APRIL.email, ANOTHER)
    assert reply.status == 404, subject(reply)
    store = siege.site.gateway.store
    assert store is not None
    assert await store.password_hash(APRIL.id) is None
    await store.purge(2**40)


# --- Changes ----------------------------------------------------------------------------------------------------------


CHANGED: dict[str, Lie] = {
    "another customer": lambda: {"data": customer(LESLIE)},
    "a list of both": lambda: {"data": [customer(RON), customer(LESLIE)]},
    "nothing": dict,
    "null": lambda: {"data": None},
    "an array": lambda: [customer(RON)],
    "him in a list": lambda: {"data": [customer(RON)]},
    "another under his e-mail": lambda: {"data": customer(LESLIE, email=RON.email)},
}


@every(changed=CHANGED, what=["password", "password and name"], status=statuses(200, 500, 404))
async def test_changes_that_are_answered_with_others(siege: Siege, changed: Lie, what: str, status: int) -> None:
    """A password changes only with an answer that shows the customer: another's proves nothing."""
    fields: Json = {"type": "customer", "password": ANOTHER}
    if what != "password":
        fields["name"] = RON.name
    siege.commerce.script(lambda request: request.path == f"/v2/customers/{RON.id}", answer(changed(), status))
    reply = await siege.site.customer(RON.email, "PUT", f"/v2/customers/{RON.id}", json={"data": fields})
    assert_nobody_shown(reply)
    assert reply.status in {404, 502}
    await assert_passwords_kept(siege)


@every(others={name: others for name, others in OTHERS.items() if others})
async def test_e_mails_that_others_may_have(siege: Siege, others: list[object]) -> None:
    """An e-mail that nobody knows to be free is not taken."""
    siege.commerce.script(LOOK_UP, answer({"data": others}))
    fields = {"type": "customer", "email": NEW}
    reply = await siege.site.customer(RON.email, "PUT", f"/v2/customers/{RON.id}", json={"data": fields})
    assert_nobody_shown(reply)
    assert reply.status in {409, 502}
    assert not [request for request in siege.commerce.requests if request.method == "PUT"]


async def test_the_password_of_another_opens_nobody(siege: Siege) -> None:
    """With passwords of their own, a look-up that names somebody else fits neither password."""
    await siege.site.give_demo_passwords()
    for told in ([customer(LESLIE)], [customer(LESLIE, email=RON.email)], [customer(LESLIE, email=CASED)]):
        siege.commerce.forget()
        siege.commerce.script(LOOK_UP, answer({"data": told}))
        reply = await siege.site.login(RON.email, DEMO_PASSWORDS[RON.email])
        assert (reply.status, reply.code) == (404, "LOGIN_FAILED")
        assert_nobody_shown(reply)
