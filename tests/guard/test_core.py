"""What may leave of an answer: by status, by shape, then by the guard rules in order."""

import gzip
import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guard.core import GuardOptions, judge, lacks_body, relayable
from gateway.guard.rules.owner import Owner
from gateway.guard.rules.redact import Redact
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import Answer, Checked, Headers, Plan
from gateway.vocab.policy import Access, Route
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.links import LinkRewriter
from tests.guard.judging import FOREIGN, OWN, WHOSE, order

JSON_TYPE = ("content-type", "application/json")
GUARDED = Access(guards=(Owner(pointer="/relationships/customer/data/id"), Redact(pointers=("/secret",))))
QUERY = frozenset({"filter", "page[limit]", "page[offset]"})
ROUTE = Route("orders", "/v2/orders", frozenset({"GET"}), {}, query=QUERY, answer_limit=1000)
LINKS = LinkRewriter(("http://up",), "https://gw")


def judged(
    status: int = 200,
    body: bytes | dict[str, Any] | list[Any] = b"",
    *,
    method: str = "GET",
    headers: Headers = (JSON_TYPE,),
    access: Access = GUARDED,
    route: Route = ROUTE,
) -> Checked | Refusal:
    """Judge one answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(route, access, Plan(method, "/v2/orders"), WHOSE, Answer(status, headers, raw), LINKS)


def code(answer: Checked | Refusal) -> Code:
    """Return the code of what must be refused."""
    assert isinstance(answer, Refusal), answer
    return answer.code


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_success_leaves_with_its_status(status: int) -> None:
    """The rules apply in order: first whose it is, then what of it is shown."""
    assert judged(status, {"data": [order(secret="x")]}) == Checked(status, {"data": [order()]})


def test_the_first_rule_that_says_no_ends_it() -> None:
    """A foreign record is refused before anything is redacted."""
    assert code(judged(200, {"data": [order(FOREIGN)]})) is Code.GUARD_VIOLATION


def test_links_are_rewritten_before_the_rules_see_them() -> None:
    """Absolute links of the upstream become the gateway's."""
    document = {"data": order(links={"self": "http://up/v2/orders/o1"})}
    checked = judged(200, document)
    assert isinstance(checked, Checked)
    assert checked.document["data"]["links"] == {"self": "https://gw/v2/orders/o1"}


@pytest.mark.parametrize(
    "links", [{"next": "/v2/orders?filter=eq(customer_id,c1)&page[offset]=5", "prev": None}, {}, None]
)
def test_links_of_a_narrowed_list_ask_what_the_client_asked(links: Any) -> None:
    """Our clause is taken out again, or the next page would be refused."""
    plan = Plan("GET", "/v2/orders", query=(("filter", "eq(customer_id,c1)"),))
    raw = json.dumps({"data": [], "links": links}).encode()
    checked = judge(ROUTE, GUARDED, plan, WHOSE, Answer(200, (JSON_TYPE,), raw), LINKS)
    expected = {"next": "https://gw/v2/orders?page[offset]=5", "prev": None} if links else links
    assert checked == Checked(200, {"data": []} if links is None else {"data": [], "links": expected})


def test_only_what_was_judged_leaves_a_scoped_answer() -> None:
    """Of the top level leave records, links to this list, and known counts of it; `included` only if judged."""
    foreign = {"records": [order(FOREIGN)]}
    document = {
        "data": [order()],
        "included": {"items": []},
        "meta": {"results": {"total": 1, "all": 9}, "page": {"limit": 5, **foreign}, "note": "somebody", **foreign},
        "links": {"next": "/v2/orders?page[offset]=1", "prev": None, "x": foreign},
        "debug": foreign,
    }
    received = Answer(200, (JSON_TYPE,), json.dumps(document).encode())
    kept = {
        "data": [order()],
        "meta": {"results": {"total": 1}, "page": {"limit": 5}},
        "links": {"next": "https://gw/v2/orders?page[offset]=1", "prev": None},
    }
    plan = Plan("GET", "/v2/orders")
    assert judge(ROUTE, GUARDED, plan, WHOSE, received, LINKS) == Checked(200, {**kept, "included": {"items": []}})
    scoped = Access(scope=(PathOwner(),))
    assert judge(ROUTE, scoped, plan, WHOSE, received, LINKS) == Checked(200, kept)
    opened = judge(ROUTE, Access(), plan, WHOSE, received, LINKS)
    assert isinstance(opened, Checked)
    assert opened.document == document


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param((("content-type", "text/html"),), b"<html>", id="a page"),
        pytest.param((("content-type", "text/plain"),), b'{"data":[]}', id="JSON by another name"),
        pytest.param((), b'{"data":[]}', id="no type"),
        pytest.param((JSON_TYPE,), b"", id="no body"),
        pytest.param((JSON_TYPE,), b'{"data":[', id="a truncated body"),
        pytest.param((JSON_TYPE,), b'{"data":[]}{"data":[]}', id="two documents"),
        pytest.param((JSON_TYPE,), b'"text"', id="a text"),
        pytest.param((JSON_TYPE,), b"null", id="null"),
        pytest.param((JSON_TYPE,), b"[]", id="an array where an object is expected"),
        pytest.param((JSON_TYPE, ("content-encoding", "gzip")), b'{"data":[]}', id="compressed by name only"),
        pytest.param((JSON_TYPE, ("content-encoding", "br")), b'{"data":[]}', id="an unknown encoding"),
        pytest.param((JSON_TYPE, ("content-encoding", "gzip")), gzip.compress(b" " * 5000), id="D5.7: above the limit"),
        pytest.param((JSON_TYPE, ("content-encoding", "gzip")), gzip.compress(b"[]")[:-4], id="cut off"),
    ],
)
def test_a_success_that_cannot_be_checked_is_withheld(headers: Headers, body: bytes) -> None:
    """The guard fails closed."""
    assert code(judged(200, body, headers=headers)) is Code.UPSTREAM_INVALID


def test_a_compressed_success_is_read() -> None:
    """An upstream may compress though it was not asked to."""
    body = gzip.compress(json.dumps({"data": []}).encode())
    assert judged(200, body, headers=(JSON_TYPE, ("content-encoding", "gzip"))) == Checked(200, {"data": []})


@pytest.mark.parametrize("status", [100, 203, 204, 205, 206, 207, 226, 300, 301, 302, 303, 304, 305, 307, 308])
def test_a_read_that_is_neither_a_success_nor_an_error_is_withheld(status: int) -> None:
    """Partial content, redirects, "not modified" and what nobody expects are no answers to a scoped read."""
    assert code(judged(status, {"data": [order()]})) is Code.UPSTREAM_INVALID


UNPROVEN = replace(GUARDED, unproven=frozenset({"GET"}))


@pytest.mark.parametrize("status", [203, 205, 206, 207, 226, 300, 302, 304, 400, 404, 409, 418])
def test_a_form_that_a_request_can_bring_about_tells_no_record_from_none(status: int) -> None:
    """Where only the answer says whose the record is: partial content (Range), a page (Accept), a refusal."""
    assert code(judged(status, order(FOREIGN), access=UNPROVEN)) is Code.RECORD_NOT_FOUND
    page = judged(200, b"<order/>", headers=(("content-type", "application/xml"),), access=UNPROVEN)
    assert code(page) is Code.RECORD_NOT_FOUND
    assert code(judged(200, b'{"data":[', access=UNPROVEN)) is Code.UPSTREAM_INVALID


def test_a_list_that_a_write_answers_owes_no_tag_of_ours() -> None:
    """A condition of a write was judged before it: what came of it is told."""
    headers = (JSON_TYPE, ("etag", '"1"'))
    written = judged(200, {"data": []}, method="POST", headers=headers)
    assert isinstance(written, Checked)
    assert not written.owes_tag
    read = judged(200, {"data": []}, headers=headers)
    assert isinstance(read, Checked)
    assert read.owes_tag


def test_an_unknown_record_is_as_a_foreign_one() -> None:
    """The upstream's 404 becomes the one refusal that foreign records get."""
    refusal = judged(404, {"errors": [{"detail": "order o1 not found"}]})
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.source, refusal.violation) == (Code.RECORD_NOT_FOUND, None, False)


@pytest.mark.parametrize(
    ("method", "status", "body", "expected"),
    [
        pytest.param("DELETE", 204, b"", Checked(204), id="a removal"),
        pytest.param("POST", 204, b"", Checked(204), id="a change without answer"),
        pytest.param("DELETE", 200, b"", Checked(204), id="a removal that says 200 without a body"),
        pytest.param("DELETE", 204, b"{}", None, id="204 with a body"),
        pytest.param("GET", 204, b"", None, id="204 where a record was asked for"),
        pytest.param("GET", 200, b"", None, id="200 without a body where a record was asked for"),
        *[
            pytest.param(method, status, body, Checked(status, {"data": None}), id=f"{method} {status} {body!r}")
            for method in ("POST", "PUT", "PATCH")
            for status in (200, 201, 202)
            for body in (b"", b"null", b"{}", b'{"data":null}', b'{"data":null,"meta":{"x":"c2"}}')
        ],
        pytest.param("PUT", 205, b"", Checked(204), id="a change that resets a form"),
    ],
)
def test_a_success_without_a_record_is_one_where_something_was_done(
    method: str, status: int, body: bytes, expected: Checked | None
) -> None:
    """The write happened, and nothing is there to be judged; an empty answer to a question is not understood."""
    answer = judged(status, body, method=method)
    assert code(answer) is Code.UPSTREAM_INVALID if expected is None else answer == expected


def test_a_write_that_shows_something_else_is_not_understood() -> None:
    """A record where none is read, or errors, are no answer without a record; nothing of them leaves."""
    for document in (order(FOREIGN), {"errors": [{"title": "no"}]}, {"data": None, "included": {"orders": [order()]}}):
        assert code(judged(201, document, method="POST")) is Code.WRITE_UNCONFIRMED
    bare = replace(ROUTE, form=PRESETS["rest"])
    assert code(judged(201, order(FOREIGN), method="POST", route=bare)) is Code.WRITE_UNCONFIRMED
    assert judged(201, b"", method="POST", route=bare) == Checked(201, {})


ONE = Route("order", "/v2/orders/{oid}", frozenset({"GET"}), {}, query=QUERY)
MANY = Plan("GET", "/v2/orders")
A_FILTER = Plan("GET", "/v2/orders", query=(("filter", "eq(customer_id,c1)"),))
BARE_LIST = replace(ROUTE, form=PRESETS["rest"])
BARE_ONE = replace(ONE, form=PRESETS["rest"])


@pytest.mark.parametrize(
    ("route", "plan", "access", "body", "expected"),
    [
        pytest.param(ROUTE, MANY, GUARDED, b'{"data":null}', {"data": []}, id="a list"),
        pytest.param(ROUTE, MANY, GUARDED, b'{"data":null,"errors":null}', {"data": []}, id="no errors, as Go says"),
        pytest.param(ROUTE, MANY, GUARDED, b'{"data":null,"errors":[{}]}', Code.UPSTREAM_INVALID, id="errors"),
        pytest.param(ROUTE, MANY, GUARDED, b'{"data":null,"id":"o1"}', Code.UPSTREAM_INVALID, id="a record beside it"),
        pytest.param(BARE_LIST, MANY, GUARDED, b"null", [], id="a bare list"),
        pytest.param(ONE, MANY, GUARDED, b'{"data":null}', Code.RECORD_NOT_FOUND, id="no record"),
        pytest.param(ONE, MANY, GUARDED, b'{"data":[]}', Code.RECORD_NOT_FOUND, id="no record, in PHP"),
        pytest.param(BARE_ONE, MANY, GUARDED, b"[]", Code.RECORD_NOT_FOUND, id="no bare record, in PHP"),
        pytest.param(BARE_ONE, MANY, GUARDED, b"null", Code.RECORD_NOT_FOUND, id="no bare record"),
        pytest.param(ONE, A_FILTER, GUARDED, b'{"data":[]}', {"data": []}, id="a list below a parameter"),
    ],
)
def test_nothing_is_an_empty_list_or_no_record(
    route: Route, plan: Plan, access: Access, body: bytes, expected: object
) -> None:
    """Null for a list is an empty one; for a record it is none, which is nobody's, and breaks no isolation."""
    answer = judge(route, access, plan, WHOSE, Answer(200, (JSON_TYPE,), body), LINKS)
    if isinstance(expected, Code):
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.violation) == (expected, False)
    else:
        assert isinstance(answer, Checked)
        assert answer.document == expected


def test_a_write_by_id_that_shows_nothing_in_php_is_one() -> None:
    """The change happened; a creation may answer a list that is empty."""
    for method, route, document in (("PUT", ONE, None), ("POST", ROUTE, [])):
        answer = judge(route, GUARDED, Plan(method, "/v2/x"), WHOSE, Answer(200, (JSON_TYPE,), b'{"data":[]}'), LINKS)
        assert answer == Checked(200, {"data": document})


# Explained client errors


@pytest.mark.parametrize("status", [400, 402, 403, 409, 412, 422, 451])
def test_an_error_is_rebuilt_from_its_messages(status: int) -> None:
    """Title, detail and source leave, if they are checked; everything else of an error body has no checked meaning."""
    body = {
        "errors": [
            {"status": "9", "title": "T", "detail": "a b", "source": "data.name", "meta": order(FOREIGN), "code": "X"},
            {"title": 7, "detail": ["x"]},
            "text",
        ],
        "data": order(FOREIGN),
    }
    checked = judged(status, body)
    assert isinstance(checked, Checked)
    assert (checked.status, checked.document) == (
        status,
        {
            "errors": [
                {
                    "status": status,
                    "title": "T",
                    "detail": "The commerce API refused the request.",
                    "source": "data.name",
                    "code": "UPSTREAM_REFUSED",
                },
                {
                    "status": status,
                    "title": HTTPStatus(status).phrase,
                    "detail": "The commerce API refused the request.",
                    "code": "UPSTREAM_REFUSED",
                },
            ]
        },
    )


def test_an_error_without_readable_messages_still_has_one() -> None:
    """SDKs read errors[0], always (docs/upstream.md section 2)."""
    checked = judged(400, {"errors": ["x", None]})
    assert isinstance(checked, Checked)
    assert [sorted(error) for error in checked.document["errors"]] == [["code", "detail", "status", "title"]]


def test_long_and_many_messages_are_data() -> None:
    """What is longer than any message does not leave, nor more than ten."""
    checked = judged(422, {"errors": [{"title": "t", "detail": "x" * 301}]})
    assert isinstance(checked, Checked)
    assert checked.document["errors"][0]["detail"] == "The commerce API refused the request."
    many = judged(422, {"errors": [{"title": "t"}] * 11})
    assert isinstance(many, Checked)
    assert len(many.document["errors"]) == 10


# Answers that are relayed


@pytest.mark.parametrize(
    ("status", "content_type", "expected"),
    [
        pytest.param(200, "application/json", None, id="JSON"),
        pytest.param(200, "image/png", None, id="a picture"),
        pytest.param(206, "image/png", None, id="a part"),
        pytest.param(302, None, None, id="a redirect"),
        pytest.param(302, "text/html", None, id="a redirect with a page"),
        pytest.param(304, None, None, id="not modified"),
        pytest.param(204, None, None, id="no content"),
        pytest.param(404, "application/json", None, id="an error in JSON"),
        pytest.param(404, "text/html", None, id="an error page"),
        pytest.param(500, None, None, id="an error in nothing"),
        pytest.param(200, "text/html", Code.UPSTREAM_INVALID, id="a page"),
        pytest.param(300, "text/html", Code.UPSTREAM_INVALID, id="a page of choices"),
        pytest.param(101, None, Code.UPSTREAM_INVALID, id="D5.11: another protocol"),
    ],
)
def test_open_answers_are_relayed_unless_old_sdks_fall_over_them(
    status: int, content_type: str | None, expected: Code | None
) -> None:
    """Pages are held back (docs/upstream.md section 7); of errors and redirects no page leaves anyway."""
    refusal = relayable(status, (("content-type", content_type),) if content_type else ())
    assert (refusal.code if refusal else None) is expected


@pytest.mark.parametrize(
    ("status", "method", "expected"), [(200, "HEAD", True), (204, "GET", True), (304, "GET", True), (200, "GET", False)]
)
def test_some_answers_have_no_body_by_rule(status: int, method: str, *, expected: bool) -> None:
    """RFC 9110 sections 9.3.2, 15.3.5, 15.3.6 and 15.4.5."""
    assert lacks_body(status, method) is expected


def test_a_rule_without_behaviour_cannot_be_made() -> None:
    """The base of all guards judges nothing, so it is no guard."""
    with pytest.raises(TypeError, match="abstract"):
        GuardOptions()  # type: ignore[abstract]


@given(st.integers(100, 599), st.binary(max_size=40), st.sampled_from(["GET", "POST", "DELETE"]))
def test_any_answer_is_checked_or_refused(status: int, body: bytes, method: str) -> None:
    """No answer makes the judge raise, and what leaves without being checked is empty."""
    answer = judged(status, body, method=method)
    if isinstance(answer, Checked) and answer.document is not None:
        assert OWN in json.dumps(answer.document) or not answer.document.get("data")


@pytest.mark.parametrize("document", [{"leak": order(FOREIGN)}, [order(FOREIGN)], {}, []])
def test_a_scoped_answer_without_data_does_not_leave(document: Any) -> None:
    """Where no rule judges a bare document there is nothing in it that was judged, whatever the route's other rules."""
    received = Answer(200, (JSON_TYPE,), json.dumps(document).encode())
    for access in (Access(scope=(PathOwner(),)), GUARDED):
        refusal = judge(ROUTE, access, Plan("GET", "/v2/orders/o1/items"), WHOSE, received, LINKS)
        assert isinstance(refusal, Refusal)
        assert refusal.code is Code.UPSTREAM_INVALID
    own = Answer(200, (JSON_TYPE,), json.dumps([order()]).encode())
    assert judge(BARE_LIST, GUARDED, Plan("GET", "/v2/orders"), WHOSE, own, LINKS) == Checked(200, [order()])


def test_a_deletion_that_shows_no_record_has_no_content() -> None:
    """A backend may answer a deletion with an empty object: the client is told that it is done, and nothing else."""
    received = Answer(200, (JSON_TYPE,), json.dumps({"leak": order(FOREIGN)}).encode())
    assert judge(ROUTE, GUARDED, Plan("DELETE", "/v2/orders/o1"), WHOSE, received, LINKS) == Checked(204)
