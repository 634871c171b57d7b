"""The look-up of customers by e-mail: what is asked, and what of the answer is believed."""

import json
import re

import pytest

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from gateway.scope.filters import DIALECTS
from gateway.tokens.directory import Directory, Found
from gateway.upstream.backend import Backend
from gateway.vocab.messages import Json, Trace
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce, Fault, at

PATH = "/v2/customers"
LOOK_UP = at(PATH, "GET")
PATTERN = re.compile("[A-Za-z0-9_-]{1,64}")


def directory(backend: Backend, dialect: str = "epcc", parameter: str = "filter") -> Directory:
    """Make a directory of the upstream's customers."""
    return Directory(backend, PATH, DIALECTS[dialect], parameter, PATTERN)


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
    """A backend that answers a list without an envelope is read too."""
    upstream.script(LOOK_UP, answer([{"id": "ron", "email": RON.email}]))
    assert (await find(backend, RON.email)).customer_id == "ron"


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
    """A backend that answers a record without an envelope is read too, as its lists are."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer({"id": RON_ID, "email": RON.email}))
    assert await directory(backend).confirm(RON_ID, RON.email, Trace()) is None


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
        {"data": {"data": OWN}},
        {"data": None, **OWN},
        {"customer": OWN},
        [OWN],
        {},
        None,
        "text",
    ],
    ids=str,
)
async def test_id_that_is_somebody_elses(backend: Backend, upstream: Commerce, document: object) -> None:
    """A record of another id or e-mail, in whatever shape, is a broken isolation."""
    upstream.script(at(f"{PATH}/{RON_ID}"), answer(document))
    refusal = await directory(backend).confirm(RON_ID, RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, True)


async def test_id_that_nobody_has(backend: Backend) -> None:
    """An id that was said to be a customer's and is not there is nobody's."""
    refusal = await directory(backend).confirm("nobody", RON.email, Trace())
    assert refusal is not None
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, True)


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
