"""The look-up of customers by e-mail: what is asked, and what of the answer is believed."""

import json
import re

import pytest

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from gateway.tokens.directory import NOBODYS_ID, Directory, Found
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Json, Trace
from gateway.vocab.record_form import MOLTIN, PRESETS, RecordForm
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce, Fault, at

PATH = "/v2/customers"
LOOK_UP = at(PATH, "GET")
PATTERN = re.compile("[A-Za-z0-9_-]{1,64}")


def directory(
    backend: Backend, dialect: str = "epcc", parameter: str = "filter", form: RecordForm = MOLTIN
) -> Directory:
    """Make a directory of the upstream's customers."""
    how = CustomerForm(path=PATH, dialect=dialect, filter_parameter=parameter, form=form)
    return Directory(backend, how, PATTERN)


async def find(backend: Backend, email: str, typed: str | None = None) -> Found:
    """Find, which succeeds."""
    found = await directory(backend).find(email, typed or email, Trace())
    assert isinstance(found, Found)
    return found


def answer(document: object, status: int = 200) -> bytes:
    """Write an answer with a document."""
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def answers(upstream: Commerce, data: object, status: int = 200) -> None:
    """Let the upstream answer look-ups with these records."""
    upstream.script(LOOK_UP, answer({"data": data} if not isinstance(data, bytes) else {}, status))


async def test_customer_is_found(backend: Backend) -> None:
    """A customer is found by e-mail, with the record and the id."""
    found = await find(backend, RON.email)
    assert (found.customer_id, found.holders, found.is_proven) == (RON_ID, frozenset({RON_ID}), True)


async def test_nobody_is_found(backend: Backend) -> None:
    """When nobody has the e-mail that is proven by an empty answer."""
    found = await find(backend, "nobody@x.example")
    assert (found.record, found.customer_id, found.holders, found.is_proven) == (None, None, frozenset(), True)


@pytest.mark.parametrize("typed", ["Ron@Swanson.Example", RON.email.upper()])
async def test_both_spellings_are_asked_for(backend: Backend, upstream: Commerce, typed: str) -> None:
    """A customer that an upstream keeps in the typed spelling is found, and so is one in the canonical spelling."""
    assert (await find(backend, RON.email, f" {typed} ")).customer_id == RON_ID
    assert sorted(one.query[0][1] for one in upstream.requests) == sorted(
        [f"eq(email,{RON.email})", f"eq(email,{typed})"]
    )
    upstream.shop.customers[RON_ID]["email"] = typed
    assert (await find(backend, RON.email, typed)).customer_id == RON_ID


async def test_filter_that_is_ignored_proves_nothing(backend: Backend, upstream: Commerce) -> None:
    """Other people's records are never the customer, and make "nobody" unproven."""
    upstream.fault(Fault.IGNORE_FILTER, when=LOOK_UP)
    assert (await find(backend, RON.email)).customer_id == RON_ID
    found = await find(backend, "nobody@x.example")
    assert (found.record, found.is_proven) == (None, False)


@pytest.mark.parametrize("record", ["text", None, 7, {}, {"email": None}, {"email": [RON.email]}, {"email": "ron"}])
async def test_record_without_the_email_is_not_believed(backend: Backend, upstream: Commerce, record: object) -> None:
    """A record that does not say the e-mail itself is nobody's, and proves nothing."""
    answers(upstream, [record])
    found = await find(backend, RON.email)
    assert (found.record, found.is_proven) == (None, False)


async def test_twins_are_reached_by_their_own_spelling(backend: Backend, upstream: Commerce) -> None:
    """Of customers whose addresses differ in case only the exact spelling is meant; both are holders."""
    twins = [
        {"id": RON_ID, "email": "twin@x.example"},
        {"id": LESLIE_ID, "email": "Twin@x.example"},
    ]
    answers(upstream, twins)
    for typed, meant in (("twin@x.example", RON_ID), ("Twin@x.example", LESLIE_ID), ("TWIN@x.example", None)):
        found = await find(backend, "twin@x.example", typed)
        assert (found.customer_id, found.holders) == (meant, frozenset({RON_ID, LESLIE_ID}))


async def test_identical_addresses_mean_nobody(backend: Backend, upstream: Commerce) -> None:
    """Two customers with one and the same address cannot be told apart: nobody is meant."""
    answers(upstream, [{"id": RON_ID, "email": RON.email}, {"id": LESLIE_ID, "email": RON.email}])
    found = await find(backend, RON.email)
    assert (found.record, found.holders) == (None, frozenset({RON_ID, LESLIE_ID}))


async def test_an_id_may_be_an_integer(backend: Backend, upstream: Commerce) -> None:
    """Back ends that count their customers are served: the id is its digits everywhere."""
    answers(upstream, [{"id": 17, "email": RON.email}])
    found = await find(backend, RON.email)
    assert (found.customer_id, found.holders) == ("17", frozenset({"17"}))


@pytest.mark.parametrize("ident", ["../orders", "a/b", "a b", "", "x" * 65, None, 7.0, -7.5, True, 10**64, ["x"]])
async def test_id_must_fit_the_pattern(backend: Backend, upstream: Commerce, ident: object) -> None:
    """An id that could change a path or a filter makes the answer unusable."""
    answers(upstream, [{"id": ident, "email": RON.email}])
    found = await directory(backend).find(RON.email, RON.email, Trace())
    assert isinstance(found, Refusal)
    assert found.code is Code.UPSTREAM_INVALID


@pytest.mark.parametrize(("data", "status"), [({}, 200), ("text", 200), (None, 202), (b"", 200), ([], 404), ([], 400)])
async def test_answer_without_a_list(backend: Backend, upstream: Commerce, data: object, status: int) -> None:
    """Anything but a list of records is a broken upstream, not "nobody"."""
    answers(upstream, data, status)
    found = await directory(backend).find(RON.email, RON.email, Trace())
    assert isinstance(found, Refusal)
    assert found.code is Code.UPSTREAM_INVALID


async def test_null_for_a_list_is_nobody(backend: Backend, upstream: Commerce) -> None:
    """Go writes an empty list as null; beside errors, or another record, it says nothing."""
    answers(upstream, None)
    assert await find(backend, RON.email) == Found(None, frozenset(), is_proven=True)
    for beside in ({"errors": [{"status": 500}]}, {"id": RON_ID, "email": RON.email}):
        upstream.script(LOOK_UP, answer({"data": None, **beside}))
        found = await directory(backend).find(RON.email, RON.email, Trace())
        assert isinstance(found, Refusal)
        assert found.code is Code.UPSTREAM_INVALID


@pytest.mark.parametrize("data", [None, []])
async def test_an_id_that_nobody_has_proves_nothing(backend: Backend, upstream: Commerce, data: object) -> None:
    """No record is nobody's, so that no isolation is broken; a password it does not get."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer({"data": data}))
    refusal = await directory(backend).confirm(RON_ID, RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, False)


async def test_bare_list_is_read(backend: Backend, upstream: Commerce) -> None:
    """A backend that answers a list without an envelope is read where its form says so."""
    upstream.script(LOOK_UP, answer([{"id": "ron", "email": RON.email}]))
    found = await directory(backend, form=PRESETS["rest"]).find(RON.email, RON.email, Trace())
    assert isinstance(found, Found)
    assert found.customer_id == "ron"
    refusal = await directory(backend).find(RON.email, RON.email, Trace())
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.unfit) == (Code.UPSTREAM_INVALID, True)
    assert refusal.detail == "look-up by e-mail answered 200 without a list: no array of records at /data"


async def test_failure_of_one_question_is_the_failure_of_all(backend: Backend, upstream: Commerce) -> None:
    """When one of two spellings cannot be asked for, nobody can say who is meant."""
    upstream.fault(Fault.SERVER_ERROR, when=LOOK_UP, times=1)
    found = await directory(backend).find(RON.email, RON.email.upper(), Trace())
    assert isinstance(found, Refusal)
    assert found.code is Code.UPSTREAM_FAILED


async def test_id_is_confirmed_by_its_own_record(backend: Backend, upstream: Commerce) -> None:
    """One call, by the id, says that a customer has this e-mail."""
    assert await directory(backend).confirm(RON_ID, RON.email, Trace()) is None
    assert [(one.method, one.target) for one in upstream.requests] == [("GET", f"{PATH}/{RON_ID}")]


async def test_bare_record_confirms_too(backend: Backend, upstream: Commerce) -> None:
    """A record without an envelope is read where the form says so, as lists are."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer({"id": RON_ID, "email": RON.email}))
    assert await directory(backend, form=PRESETS["rest"]).confirm(RON_ID, RON.email, Trace()) is None
    assert await directory(backend).confirm(RON_ID, RON.email, Trace()) is not None


OWN: Json = {"id": RON_ID, "email": RON.email}


@pytest.mark.parametrize(
    "document",
    [
        {"data": OWN | {"id": LESLIE_ID}},
        {"data": OWN | {"id": [RON_ID]}},
        {"data": OWN | {"email": LESLIE.email}},
        {"data": OWN | {"email": RON.email.title()}},
        {"data": OWN | {"email": None}},
        {"data": {"id": RON_ID}},
        {"data": [OWN]},
    ],
    ids=str,
)
async def test_id_that_is_somebody_elses(backend: Backend, upstream: Commerce, document: object) -> None:
    """A record of another id or e-mail, in whatever shape, is a broken isolation."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer(document))
    refusal = await directory(backend).confirm(RON_ID, RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, True)


@pytest.mark.parametrize(
    "document",
    [{"data": {"data": OWN}}, {"data": None, **OWN}, {"customer": OWN}, {"data": []}, {"data": {}}, {}, None, "text"],
    ids=str,
)
async def test_answer_that_shows_nobody(backend: Backend, upstream: Commerce, document: object) -> None:
    """What holds no record proves nothing, and nothing foreign was in it."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer(document))
    refusal = await directory(backend).confirm(RON_ID, RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, False)


async def test_id_that_nobody_has(backend: Backend) -> None:
    """An id that was said to be a customer's and is not there may be shown later: no lie, and no proof."""
    refusal = await directory(backend).confirm("nobody", RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation, refusal.retry_after) == (Code.REGISTRATION_PENDING, False, 1)


async def test_id_may_be_a_number(backend: Backend, upstream: Commerce) -> None:
    """A backend that counts its customers is read: the id is its text everywhere."""
    answers(upstream, [{"id": 17, "email": RON.email}])
    found = await find(backend, RON.email)
    assert (found.customer_id, found.holders) == ("17", frozenset({"17"}))
    upstream.script(at(f"{PATH}/17"), answer({"data": {"id": 17, "email": RON.email}}))
    assert await directory(backend).confirm("17", RON.email, Trace()) is None


# --- Who is known already -------------------------------------------------------------------------------------------


async def test_who_is_known_is_found_before_lists_show_it(backend: Backend, upstream: Commerce) -> None:
    """One call more, by the id, finds a customer whom no list shows yet, and says that the own record shows it."""
    answers(upstream, [])
    found = await directory(backend).find(RON.email, RON.email, Trace(), RON_ID)
    assert isinstance(found, Found)
    assert (found.customer_id, found.holders, found.confirmed) == (RON_ID, frozenset({RON_ID}), frozenset({RON_ID}))
    assert sorted(one.path for one in upstream.requests) == [PATH, f"{PATH}/{RON_ID}"]


async def test_who_is_known_is_found_in_another_spelling(backend: Backend, upstream: Commerce) -> None:
    """An upstream that compares exactly finds nobody by small letters; the record of who is known does."""
    upstream.shop.customers[RON_ID]["email"] = "Ron@Swanson.Example"
    answers(upstream, [])
    found = await directory(backend).find(RON.email, RON.email, Trace(), RON_ID)
    assert isinstance(found, Found)
    assert found.customer_id == RON_ID


async def test_own_record_counts_more_than_a_list(backend: Backend, upstream: Commerce) -> None:
    """Of a customer whom a list shows as well, what the own record says is what is compared."""
    upstream.shop.customers[RON_ID]["email"] = "Ron@Swanson.Example"
    answers(upstream, [OWN])
    found = await directory(backend).find(RON.email, RON.email, Trace(), RON_ID)
    assert isinstance(found, Found)
    assert found.record is not None
    assert (found.customer_id, found.record["email"]) == (RON_ID, "Ron@Swanson.Example")


async def test_who_is_known_is_not_added_to_others(backend: Backend, upstream: Commerce) -> None:
    """Where a list shows somebody, or somebody else, it is the list that decides."""
    for listed, holders in (
        ({"id": LESLIE_ID, "email": "Ron@swanson.example"}, frozenset({LESLIE_ID})),
        ({"id": LESLIE_ID, "email": LESLIE.email}, frozenset()),
    ):
        upstream.forget()
        answers(upstream, [listed])
        found = await directory(backend).find(RON.email, RON.email, Trace(), RON_ID)
        assert isinstance(found, Found)
        assert (found.holders, found.confirmed) == (holders, frozenset())


STRANGERS: dict[str, tuple[object, int]] = {
    "another's record": ({"data": {"id": LESLIE_ID, "email": LESLIE.email}}, 200),
    "another's id": ({"data": OWN | {"id": LESLIE_ID}}, 200),
    "another e-mail": ({"data": OWN | {"email": LESLIE.email}}, 200),
    "a list": ({"data": [OWN]}, 200),
    "text": ("text", 200),
    "nobody": ({"errors": []}, 404),
    "a refusal": ({"errors": []}, 403),
    "a failure": ({"errors": []}, 500),
    "too many requests": ({"errors": []}, 429),
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_who_is_known_is_believed_by_the_own_record_only(backend: Backend, upstream: Commerce, name: str) -> None:
    """What the id shows otherwise adds nobody and takes nobody away, nor does it fail where lists do not."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer(*STRANGERS[name]))
    for email, holders in (("nobody@x.example", frozenset[str]()), (RON.email, frozenset({RON_ID}))):
        found = await directory(backend).find(email, email, Trace(), RON_ID)
        assert isinstance(found, Found)
        assert (found.holders, found.confirmed, found.is_proven) == (holders, frozenset(), True)


async def test_nobodys_id_is_asked_for_like_any(backend: Backend, upstream: Commerce) -> None:
    """Where nobody is known the same calls are made."""
    found = await directory(backend).find(RON.email, RON.email, Trace(), NOBODYS_ID)
    assert isinstance(found, Found)
    assert (found.customer_id, found.confirmed) == (RON_ID, frozenset())
    assert sorted(one.path for one in upstream.requests) == [PATH, f"{PATH}/0"]


@pytest.mark.parametrize(
    "typed", ["a@M\u00dcNCHEN.example", "a@xn--mnchen-3ya.example", "\ta@m\u00fcnchen.example\u00a0"]
)
async def test_domain_is_asked_for_in_letters_too(backend: Backend, upstream: Commerce, typed: str) -> None:
    """An upstream that compares exactly may hold A-labels or U-labels: both are asked for, however it was typed."""
    answers(upstream, [{"id": "ann", "email": "a@m\u00fcnchen.example"}])
    assert (await find(backend, "a@xn--mnchen-3ya.example", typed)).customer_id == "ann"
    asked = {one.query[0][1].replace('"', "") for one in upstream.requests}
    assert asked >= {"eq(email,a@xn--mnchen-3ya.example)", "eq(email,a@m\u00fcnchen.example)"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, Code.UPSTREAM_FAILED),
        (503, Code.UPSTREAM_UNAVAILABLE),
        (429, Code.THROTTLED),
        (201, Code.UPSTREAM_INVALID),
        (302, Code.UPSTREAM_INVALID),
        (403, Code.UPSTREAM_INVALID),
    ],
)
async def test_id_that_cannot_be_asked_for(backend: Backend, upstream: Commerce, status: int, code: Code) -> None:
    """An upstream that does not say has not lied: a refusal, and no broken isolation."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer({"data": OWN}, status))
    refusal = await directory(backend).confirm(RON_ID, RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (code, False)


@pytest.mark.parametrize(
    ("dialect", "parameter", "query"),
    [
        ("epcc", "filter", [("filter", "eq(email,o+x@x.example)")]),
        ("epcc", "where", [("where", "eq(email,o+x@x.example)")]),
        ("query", "filter", [("email", "o+x@x.example")]),
        ("jsonapi", "filter", [("filter[email]", "o+x@x.example")]),
        ("postgrest", "filter", [("email", "eq.o+x@x.example")]),
    ],
)
async def test_every_dialect_asks_for_one_email(
    backend: Backend, upstream: Commerce, dialect: str, parameter: str, query: list[tuple[str, str]]
) -> None:
    """In each dialect the question is one condition on the e-mail."""
    answers(upstream, [])
    found = await directory(backend, dialect, parameter).find("o+x@x.example", "o+x@x.example", Trace())
    assert isinstance(found, Found)
    assert [one.query for one in upstream.requests] == [query]
