"""One person has one spelling: e-mails and passwords as people type them, on whatever keyboard, through the door."""

import json
import unicodedata

import pytest

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import DEMO_PASSWORDS, RON, RON_ID
from tests.fakes.commerce import Fault, Recorded, at
from tests.fakes.wire import answer_bytes
from tests.gateways import Site
from tests.tokens.accounts import OTHER, PASSWORD, hasher_of, made, register, statements, store_of

LETTERS, LABELS = "ann@MÜNCHEN.example", "ann@xn--mnchen-3ya.example"
LOOK_UP = at("/v2/customers", "GET")
# Typed with the accents behind their letters, as some keyboards do.
COMPOSED = "Pässwörd mit Akzent"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


async def give(site: Site, customer_id: str, password: str, **fields: object) -> tuple[int, str]:
    """Give a customer a password as a server of the shop does; return status and code."""
    body = {"data": {"type": "customer", "password": password, **fields}}
    answer = await site.trusted("PUT", f"/v2/customers/{customer_id}", json=body)
    return answer.status, "" if answer.status == 200 else answer.code


@pytest.mark.parametrize(("first", "second"), [(LETTERS, LABELS), (LABELS, LETTERS)])
async def test_domain_in_letters_and_labels_is_one(site: Site, first: str, second: str) -> None:
    """A mailbox has one account, whichever way its domain is typed."""
    assert (await register(site, first)).status == 201
    for email in (first, second, second.lower(), f"\t{second}\u00a0", f"\u200b{first}"):
        assert (await site.login(email, PASSWORD)).status == 201, email
        assert (await register(site, email, OTHER)).code == "EMAIL_TAKEN", email


@pytest.mark.parametrize("email", [LETTERS.lower(), "Ann@xn--mnchen-3ya.Example"])
async def test_customer_who_was_there_in_another_spelling(site: Site, email: str) -> None:
    """An upstream that compares exactly keeps the e-mail as it was given; every spelling of it logs in once known."""
    old = made(site, email)
    assert await give(site, old["id"], OTHER) == (200, "")
    for typed in (email, LETTERS, LABELS, LABELS.upper()):
        answer = await site.login(typed, OTHER)
        assert (answer.status, answer.json()["data"]["customer_id"]) == (201, old["id"]), typed
        assert (await register(site, typed)).code == "EMAIL_TAKEN", typed


async def test_capitals_at_an_upstream_that_compares_exactly(site: Site) -> None:
    """Small letters find whoever was there with capitals, and make no second account."""
    old = made(site, "Mary.T@X.example")
    assert await give(site, old["id"], OTHER) == (200, "")
    for typed in ("Mary.T@X.example", "mary.t@x.example", "MARY.T@X.EXAMPLE"):
        assert (await site.login(typed, OTHER)).json()["data"]["customer_id"] == old["id"]
        assert (await register(site, typed)).code == "EMAIL_TAKEN"


@pytest.mark.parametrize(
    "email", ["a..x@docomo.ne.jp", "a.@docomo.ne.jp", ".a@docomo.ne.jp", '"Ann Lee"@shop.example', "u@[192.0.2.1]"]
)
async def test_every_address_that_a_shop_may_hold_logs_in(site: Site, email: str) -> None:
    """Addresses that old phones made, and the quoted ones of RFC 5322, are customers' too."""
    old = made(site, email)
    assert await give(site, old["id"], OTHER) == (200, "")
    assert (await site.login(f" {email}", OTHER)).json()["data"]["customer_id"] == old["id"]
    assert (await site.login(email, PASSWORD)).code == "LOGIN_FAILED"


@pytest.mark.parametrize("email", ["ann@\u2603.example", "a b@x.example", "ann", "\u212aate@x.example", None])
@pytest.mark.parametrize("fields", [{}, {"name": "Ann"}])
async def test_who_cannot_log_in_gets_no_password(site: Site, email: str | None, fields: dict[str, object]) -> None:
    """A password that would open nothing is refused before anything changes."""
    old = made(site, "x@x.example", "Before")
    old["email"] = email
    assert await give(site, old["id"], OTHER, **fields) == (422, "BODY_FIELD_INVALID")
    assert await store_of(site).password_hash(old["id"]) is None
    assert old["name"] == "Before"
    assert site.commerce.shop.customers[old["id"]]["name"] == "Before"


async def test_two_customers_of_one_mailbox(site: Site) -> None:
    """Each is reached as it is spelled; any other spelling is refused with an event, and a registration is 409."""
    labels, letters = made(site, LABELS), made(site, LETTERS.lower())
    for record, password in ((labels, "labels-password"), (letters, "letters-password")):
        assert await give(site, record["id"], password) == (200, "")
    assert (await site.login(LABELS, "labels-password")).json()["data"]["customer_id"] == labels["id"]
    assert (await site.login(LETTERS.lower(), "letters-password")).json()["data"]["customer_id"] == letters["id"]
    assert not [line for line in site.log_lines() if line["event"] == "email_shared"]
    for password in ("labels-password", "letters-password"):
        assert (await site.login(LETTERS, password)).code == "LOGIN_FAILED"
    told = [line for line in site.log_lines() if line["event"] == "email_shared"]
    assert [line["holders"] for line in told] == [2, 2]
    assert (await register(site, LETTERS)).code == "EMAIL_TAKEN"


@pytest.mark.parametrize(("first", "second"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
async def test_password_typed_on_another_keyboard(site: Site, first: str, second: str) -> None:
    """A letter and its accent are one, in either order of typing; width, case and the number of spaces are not."""
    assert (await register(site, password=first)).status == 201
    for password in (first, second, second.replace(" ", "\u00a0")):
        assert (await site.login("ann@perkins.example", password)).status == 201
    for password in (
        first.replace(" ", "  "),
        f"{first} ",
        first.upper(),
        unicodedata.normalize("NFD", first).replace("\u0308", ""),
        first.replace("d", "\uff44"),
    ):
        assert (await site.login("ann@perkins.example", password)).code == "LOGIN_FAILED"


async def test_hash_of_another_spelling_lives_on(site: Site) -> None:
    """A password that was hashed as it was sent, by an older release, still opens."""
    # What hashes nothing but its input: the library itself.
    hashed = hasher_of(site)._argon2.hash(DECOMPOSED)
    await store_of(site).set_password(RON_ID, hashed)
    assert (await site.login(RON.email, DECOMPOSED)).status == 201
    assert (await site.login(RON.email, COMPOSED)).code == "LOGIN_FAILED"


@pytest.mark.parametrize("email", [RON.email, "nobody@x.example"])
async def test_second_try_is_everybodys(site: Site, email: str) -> None:
    """Known or not, an odd spelling of a password costs the same queries and calls as a plain one."""
    seen = []
    for password in ("plain", "e\u0301"):
        site.commerce.forget()
        with statements() as queries:
            assert (await site.login(email, password)).code == "LOGIN_FAILED"
        seen.append((list(queries), sorted(one.path for one in site.commerce.requests)))
    assert seen[0] == seen[1]


async def test_customers_may_be_counted(site: Site) -> None:
    """Where ids are numbers a registration and a login work, and the id is its digits."""
    record: dict[str, object] = {}

    def create(request: Recorded) -> bytes:
        record.update(request.json()["data"], id=17)
        return written({"data": record}, 201)

    site.commerce.script(at("/v2/customers", "POST"), create)
    site.commerce.script(LOOK_UP, lambda _: written({"data": [record] if record else []}))
    site.commerce.script(at("/v2/customers/17"), lambda _: written({"data": record}))
    answer = await register(site)
    assert (answer.status, answer.json()["data"]["id"], answer.json()["data"]["password"]) == (201, 17, True)
    assert (await site.login("ann@perkins.example", PASSWORD)).json()["data"]["customer_id"] == "17"
    own = await site.trusted("GET", "/v2/customers/17")
    assert own.json()["data"]["password"] is True


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    return answer_bytes(ShopAnswer(status, [("content-type", "application/json")], json.dumps(document).encode()))


async def test_filter_that_is_ignored_still_finds_the_person(site: Site) -> None:
    """Where the upstream answers everybody the customer is found among them, in another spelling too."""
    site.commerce.fault(Fault.IGNORE_FILTER, when=LOOK_UP)
    answer = await site.login(RON.email.upper(), DEMO_PASSWORDS[RON.email])
    assert answer.json()["data"]["customer_id"] == RON_ID
