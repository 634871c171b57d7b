"""Logins (D7): the answer is yes or no, and tells nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.demo.data import APRIL, DEMO_PASSWORDS, LESLIE, RON
from gateway.vocab.messages import Json
from tests.attacks.field import CONFIG, ON_ONE_LOOP, Field, Outcome, assert_clean, assert_refused, every, fielded
from tests.gateways import Replicas
from tests.server.raw import RawReply

pytestmark = ON_ONE_LOOP

LOGIN = "/v2/customers/tokens"
UNKNOWN = "nobody@nowhere.example"
BURST = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[1, 3], ids=["alone", "three replicas"])
async def narrow(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Field]:
    """Give a gateway on which an account has three attempts, and next to none come back during a test.

    Three that share PostgreSQL are one: no attempt more, and the same answers, whichever of them is asked.
    """
    config = CONFIG.replace(
        "account: {burst: 100000, per_minute: 100000}", f"account: {{burst: {BURST}, per_minute: 0.01}}"
    )
    assert config != CONFIG
    replicas = None if request.param == 1 else Replicas(request.param, request.getfixturevalue("server"))
    async with fielded(tmp_path_factory.mktemp("narrow"), config, replicas=replicas) as running:
        yield running


def login(field: Field, email: object, password: object, *lines: str, **members: object) -> bytes:
    """Write a login."""
    data = {"type": "token", "email": email, "password": password, **members}
    return field.request("POST", LOGIN, *lines, body={"data": data}, customer=False)


def told(reply: RawReply) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all that a reply tells, without what changes with each reply."""
    return reply.status, reply.body, [line for line in reply.headers if line[0] not in {"date", "x-request-id"}]


def asked(outcome: Outcome) -> list[str]:
    """Return what the upstream was asked: lists by e-mail, and one customer by the id, whoever it is."""
    return sorted("/v2/customers/ID" if "/v2/customers/" in one.path else one.path for one in outcome.requests)


def assert_no(outcome: Outcome) -> None:
    """Check for the one "no" of logins."""
    assert_clean(outcome)
    assert (outcome.status, outcome.first.code) == (404, "LOGIN_FAILED")


WHO = {
    "wrong password": (LESLIE.email, "wrong"),
    "another's password": (LESLIE.email, DEMO_PASSWORDS[RON.email]),
    "password in capitals": (LESLIE.email, DEMO_PASSWORDS[LESLIE.email].upper()),
    "password and a space": (LESLIE.email, DEMO_PASSWORDS[LESLIE.email] + " "),
    "password and NUL": (LESLIE.email, DEMO_PASSWORDS[LESLIE.email] + "\0"),
    "beginning of the password": (LESLIE.email, DEMO_PASSWORDS[LESLIE.email][:-1]),
    "password in fullwidth": (LESLIE.email, "".join(chr(ord(one) + 0xFEE0) for one in DEMO_PASSWORDS[LESLIE.email])),
    "hash for password": (LESLIE.email, "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"),
    "1024 bytes": (LESLIE.email, "x" * 1024),
    "73 bytes": (LESLIE.email, "x" * 73),
    "the customer's e-mail as password": (LESLIE.email, LESLIE.email),
    "unknown": (UNKNOWN, "wrong"),
    "unknown with a known password": (UNKNOWN, DEMO_PASSWORDS[LESLIE.email]),
    "no password set": ("ann@perkins.example", "wrong"),
    "deleted": (APRIL.email, DEMO_PASSWORDS[APRIL.email]),
    "a guest of the shop": ("jerry@gergich.example", "wrong"),
}


@every(who=WHO)
async def test_cve_2026_32595_one_no(field: Field, who: tuple[str, str]) -> None:
    """Unknown, wrong, without password and deleted are the same status, body and headers (D7.1, Traefik, Fiber)."""
    shop = field.site.commerce.shop
    kept = dict(shop.customers)
    shop.customers["ann"] = {**kept[LESLIE.id], "id": "ann", "email": "ann@perkins.example", "name": "Ann Perkins"}
    del shop.customers[APRIL.id]
    try:
        unknown = await field.attack(login(field, UNKNOWN, "wrong"), me=None)
        calls = asked(unknown)
        outcome = await field.attack(login(field, *who), me=None)
    finally:
        shop.customers = kept
    assert_no(unknown)
    assert_no(outcome)
    assert told(outcome.first) == told(unknown.first)
    assert asked(outcome) == calls


SPELLINGS = {
    "capitals": LESLIE.email.upper(),
    "one capital": LESLIE.email.capitalize(),
    "spaces around": f"  {LESLIE.email} ",
    "trailing tab": f"{LESLIE.email}\t",
    "trailing line": f"{LESLIE.email}\n",
    "trailing NUL": f"{LESLIE.email}\0",
    "NUL and more": f"{LESLIE.email}\0@evil.example",
    "escaped at": LESLIE.email.replace("@", "%40"),
    "two at": f"{LESLIE.email}@evil.example",
    "two at, reversed": f"evil@evil.example@{LESLIE.email}",
    "fullwidth at": LESLIE.email.replace("@", "\uff20"),
    "small at": LESLIE.email.replace("@", "\ufe6b"),
    "fullwidth": "".join(chr(ord(one) + 0xFEE0) if one.isalpha() else one for one in LESLIE.email),
    "dotless i": LESLIE.email.replace("i", "\u0131"),
    "dotted capital": LESLIE.email.replace("i", "\u0130"),
    "long s": LESLIE.email.replace("s", "\u017f"),
    "Kelvin": LESLIE.email.replace("k", "\u212a"),
    "ligature": LESLIE.email.replace("le", "\ufb02", 1),
    "Cyrillic": LESLIE.email.replace("e", "\u0435"),
    "combining": LESLIE.email.replace("e", "e\u0301", 1),
    "zero width": LESLIE.email.replace("@", "\u200b@"),
    "soft hyphen": LESLIE.email.replace("@", "\u00ad@"),
    "right to left": f"\u202e{LESLIE.email}",
    "zero width behind": f"{LESLIE.email}\u200b",
    "no-break space": f"{LESLIE.email}\u00a0",
    "quoted": f'"{LESLIE.email.split("@")[0]}"@{LESLIE.email.split("@")[1]}',
    "comment": LESLIE.email.replace("@", "(x)@"),
    "angle brackets": f"<{LESLIE.email}>",
    "name and angle brackets": f"Leslie <{LESLIE.email}>",
    "tag": LESLIE.email.replace("@", "+tag@"),
    "dot in the local part": LESLIE.email.replace("les", "l.es"),
    "dot at the end": f"{LESLIE.email}.",
    "list": f"{LESLIE.email},{UNKNOWN}",
    "semicolon": f"{LESLIE.email};{UNKNOWN}",
    "wildcard": "*@knope.example",
    "all wildcards": "*",
    "filter": f"{LESLIE.email}):eq(name,x",
    "filter with or": f"x@x.example)|eq(email,{LESLIE.email}",
    "SQL": f"{LESLIE.email}' OR '1'='1",
    "template": "{{email}}@x.example",
    "IP literal": "leslie@[127.0.0.1]",
    "percent hack": "leslie%knope.example@x.example",
    "bang path": "knope.example!leslie@x.example",
    "empty": "",
    "only an at": "@",
    "long": "x" * 250 + "@x.example",
    "lone surrogate": "\ud800@x.example",
}
# What a person may type for the same mailbox.
SAME = {
    "capitals",
    "one capital",
    "spaces around",
    "trailing tab",
    "trailing line",
    "no-break space",
    "zero width behind",
}


@every(spelling={name: (name, text) for name, text in SPELLINGS.items()})
async def test_cve_2025_24806_spellings_of_an_email(field: Field, spelling: tuple[str, str]) -> None:
    """An address has one canonical spelling for look-up and account; another one is nobody's (D7.2, Authelia)."""
    name, email = spelling
    outcome = await field.attack(login(field, email, DEMO_PASSWORDS[LESLIE.email]), me=LESLIE)
    assert_clean(outcome)
    for request in outcome.requests:
        assert request.path in {"/v2/customers", "/v2/customers/0", f"/v2/customers/{LESLIE.id}"}
        assert len(request.query) == (request.path == "/v2/customers")
    if name in SAME:
        assert outcome.first.json()["data"]["customer_id"] == LESLIE.id
    else:
        assert outcome.status in {400, 404, 422}


SHAPES: dict[str, Json] = {
    "e-mail in a list": {"email": [LESLIE.email], "password": "x"},
    "e-mail in an object": {"email": {"$eq": LESLIE.email}, "password": "x"},
    "e-mail null": {"email": None, "password": "x"},
    "e-mail a number": {"email": 1, "password": "x"},
    "e-mail true": {"email": True, "password": "x"},
    "no e-mail": {"password": "x"},
    "password in a list": {"email": LESLIE.email, "password": [DEMO_PASSWORDS[LESLIE.email]]},
    "password an object": {"email": LESLIE.email, "password": {"$ne": ""}},
    "password null": {"email": LESLIE.email, "password": None},
    "password true": {"email": LESLIE.email, "password": True},
    "password a number": {"email": LESLIE.email, "password": 1},
    "password empty": {"email": LESLIE.email, "password": ""},
    "no password": {"email": LESLIE.email},
    "password of 1025 bytes": {"email": LESLIE.email, "password": "x" * 1025},
    "password of 15 KB": {"email": LESLIE.email, "password": "x" * 15_000},
    "another type": {"type": "customer", "email": LESLIE.email, "password": "x"},
    "type null": {"type": None, "email": LESLIE.email, "password": "x"},
    "another mechanism": {"authentication_mechanism": "oidc", "email": LESLIE.email, "password": "x"},
    "passwordless": {"authentication_mechanism": "passwordless", "email": LESLIE.email},
    "capitals": {"Email": LESLIE.email, "Password": "x"},
}


@every(shape=SHAPES)
async def test_d7_10_shapes_of_logins(field: Field, shape: Json) -> None:
    """What is no e-mail and no password is refused before anybody is asked (D7.10, D7.5)."""
    outcome = await field.attack(field.request("POST", LOGIN, body={"data": shape}, customer=False), me=None)
    assert_refused(outcome, 422)


@every(count=["20000", "1000000"])
async def test_d7_10_a_million_members(field: Field, count: str) -> None:
    """A login of a million members is refused by its size, at once (D7.10)."""
    content = b"{" + b",".join(b'"k%d":0' % number for number in range(int(count))) + b"}"
    outcome = await field.attack(field.request("POST", LOGIN, body=content, customer=False), me=None)
    assert_refused(outcome, 413)


@every(kind=["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", ""])
async def test_d7_10_login_from_a_foreign_form(field: Field, kind: str) -> None:
    """A form of another site cannot log anybody in: only JSON is a login (D7.10)."""
    data = {"data": {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}}
    raw = field.request(
        "POST", LOGIN, f"Content-Type: {kind}", "Origin: http://evil.example", body=data, customer=False
    )
    assert_refused(await field.attack(raw, me=None), 415)


async def test_d7_3_throttled_accounts_tell_nothing(narrow: Field) -> None:
    """Beyond the burst known and unknown accounts answer alike, attempt by attempt, byte by byte (D7.3, D7.1)."""
    found = []
    for email in (LESLIE.email, UNKNOWN):
        answers = []
        # Spaces and capitals are the same account, and count for it.
        for spelling in (email, email.upper(), f" {email}", email, email.title()):
            outcome = await narrow.attack(login(narrow, spelling, "wrong"), me=None)
            assert_clean(outcome)
            answers.append((told(outcome.first), len(outcome.requests)))
        found.append(answers)
    assert found[0] == found[1]


async def test_d7_3_a_throttled_account_does_not_tell_the_right_password(narrow: Field) -> None:
    """Beyond the burst the right password is answered like a wrong one: guessing on tells nothing (D7.3)."""
    outcomes = []
    for password in (*["wrong"] * (BURST + 1), DEMO_PASSWORDS[APRIL.email], "wrong"):
        outcomes.append(await narrow.attack(login(narrow, APRIL.email, password), me=None))
        assert_clean(outcomes[-1])
        assert 400 <= outcomes[-1].status < 500
    assert told(outcomes[-1].first) == told(outcomes[-2].first) == told(outcomes[-3].first)
    # A token that is held goes on: throttling logins locks nobody out (D7.4).
    assert (await narrow.site.customer(APRIL.email, "GET", "/v2/orders")).status == 200


async def test_d7_3_a_throttled_address_tells_nothing(tmp_path: Path) -> None:
    """An address with too many attempts is told so, for known and unknown accounts in the same words (D7.3)."""
    config = CONFIG.replace("address: {burst: 100000, per_minute: 100000}", "address: {burst: 6, per_minute: 0.01}")
    assert config != CONFIG
    async with fielded(tmp_path, config) as field:
        for number in range(6):
            await field.attack(login(field, f"x{number}@x.example", "wrong"), me=None)
        found = []
        for email, password in ((RON.email, DEMO_PASSWORDS[RON.email]), (RON.email, "wrong"), (UNKNOWN, "wrong")):
            outcome = await field.attack(login(field, email, password), me=None)
            assert_refused(outcome, 429, code="THROTTLED")
            status, body, headers = told(outcome.first)
            # The clock goes on between the attempts, so that the seconds may differ.
            found.append((status, body, [line for line in headers if line[0] != "retry-after"]))
        assert found[0] == found[1] == found[2]


async def test_cve_2026_71326_many_logins_at_once(field: Field) -> None:
    """Logins of several people at once are not coalesced: each gets the own token or the own "no" (D4.4)."""
    good = [(person.email, DEMO_PASSWORDS[person.email], person.id) for person in (RON, LESLIE)]
    bad = [(LESLIE.email, DEMO_PASSWORDS[RON.email], None), (UNKNOWN, DEMO_PASSWORDS[RON.email], None)]
    tried = [*good, *bad] * 4
    answers = await asyncio.gather(*(field.site.login(email, password) for email, password, _ in tried))
    for (_, _, expected), answer in zip(tried, answers, strict=True):
        if expected is None:
            assert (answer.status, answer.code) == (404, "LOGIN_FAILED")
        else:
            assert answer.json()["data"]["customer_id"] == expected
    tokens = [answer.json()["data"]["token"] for answer in answers if answer.status == 201]
    assert len(set(tokens)) == len(tokens)


GRANTS: dict[str, str] = {
    "no grant": "client_id={id}",
    "another grant": "grant_type=password&client_id={id}",
    "both grants": "grant_type=implicit&grant_type=client_credentials&client_id={id}",
    "no client": "grant_type=implicit",
    "unknown client": "grant_type=implicit&client_id=x",
    "trusted client without secret": "grant_type=client_credentials&client_id={trusted}",
    "trusted client, empty secret": "grant_type=client_credentials&client_id={trusted}&client_secret=",
    "trusted client, wrong secret": "grant_type=client_credentials&client_id={trusted}&client_secret=x",
    "trusted client, implicit": "grant_type=implicit&client_id={trusted}",
    "public client with credentials": "grant_type=client_credentials&client_id={id}&client_secret=",
    "secret twice": "grant_type=client_credentials&client_id={trusted}&client_secret=x&client_secret={secret}",
    "client twice": "grant_type=client_credentials&client_id=x&client_id={trusted}&client_secret={secret}",
    "secret as a list": "grant_type=client_credentials&client_id={trusted}&client_secret[]={secret}",
    "semicolons": "grant_type=client_credentials;client_id={trusted};client_secret={secret}",
    "21 fields": "grant_type=implicit&client_id={id}" + "".join(f"&a{number}=1" for number in range(20)),
    "broken escape": "grant_type=implicit&client_id=%ff%fe",
    "JSON": '{{"grant_type":"implicit"}}',
    "empty": "",
    "10 KB": "grant_type=implicit&client_id={id}&a=" + "x" * 10_000,
}


@every(form=GRANTS)
async def test_d8_5_bearers_for_nobody(field: Field, form: str) -> None:
    """A bearer is for a configured client with its secret, asked for without a doubt (D8.5, D6.1)."""
    config = field.site.config.clients
    trusted = config.client_credentials[0]
    text = form.format(id=config.implicit[0].id, trusted=trusted.id, secret=trusted.all_secrets[0].get_secret_value())
    kind = "Content-Type: application/x-www-form-urlencoded"
    outcome = await field.attack(
        field.request("POST", "/oauth/access_token", kind, body=text.encode(), proof=[]), me=None
    )
    assert_refused(outcome, 400, 401, 413)
