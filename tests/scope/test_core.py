"""The plan: rules in order, listed parameters, listed headers; and the judgement of parents."""

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.guard.rules.owner import Owner
from gateway.scope import names
from gateway.scope.core import (
    RuleOptions,
    is_buffered,
    is_judged_first,
    is_looked_at_first,
    judge_parent,
    make_plan,
    needs_document,
)
from gateway.scope.filters import epcc
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import Headers, Json, Lookup, Parent, Plan, Query, Request, Target, Whose
from gateway.vocab.policy import Access, Passwords, Route
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.client_address import UNKNOWN
from gateway.wire.headers import CONDITIONS, FORWARDED
from tests.scope.deciding import FOREIGN, OWN, customer

OPEN = Access()
SCOPED = Access(scope=(Filter(field="customer_id"),), guards=(Owner(pointer="/id"),))
STAMPED = Access((BodyStamp(pointer="/data/customer"),), (Owner(pointer="/id"),))
GUARDED = Access(guards=(Owner(pointer="/id"),))
OWN_PATH = Access((PathOwner(),), (Owner(pointer="/id"),))
JSON_TYPE = ("content-type", "application/json")


def route(passwords: Passwords | None = None, query: frozenset[str] | None = frozenset({"filter", "sort"})) -> Route:
    """Make a route."""
    return Route("orders", "/v2/orders", frozenset({"GET", "POST"}), {}, query=query, passwords=passwords)


def plan(
    access: Access,
    query: Query = (),
    *,
    method: str = "GET",
    headers: Headers = (),
    document: Json | None = None,
    whose: Whose | None = None,
    chosen: Route | None = None,
) -> Plan | Refusal:
    """Make a plan for the customer c1."""
    request = Request("r1", method, "/ignored", headers, UNKNOWN, 0.0)
    target = Target("/v2/orders", ("v2", "orders"), query)
    return make_plan(chosen or route(), access, whose or customer(), request, target, document, FORWARDED)


def planned(access: Access, query: Query = (), **options: Any) -> Plan:
    """Make a plan that must be possible; the line that says it went through a gateway is left out."""
    result = plan(access, query, **options)
    assert isinstance(result, Plan), result
    assert result.headers[-1][0] == "via"
    return replace(result, headers=result.headers[:-1])


def refused(access: Access, query: Query = (), **options: Any) -> Refusal:
    """Make a plan that must be refused."""
    result = plan(access, query, **options)
    assert isinstance(result, Refusal), result
    return result


def test_a_scoped_request_is_narrowed() -> None:
    """The plan holds the canonical path and the query as the rules left it."""
    result = planned(SCOPED, (("sort", "name"),))
    assert (result.method, result.path, result.narrowed) == ("GET", "/v2/orders", True)
    assert result.query == (("filter", "eq(customer_id,c1)"), ("sort", "name"))


def test_an_open_request_goes_as_it_came() -> None:
    """Where nothing narrows, every parameter passes in its order, repeated ones too."""
    query = (("anything", "1"), ("anything", "2"))
    result = planned(OPEN, query)
    assert (result.query, result.narrowed, result.document) == (query, False, None)


@pytest.mark.parametrize("name", ["_method", "_METHOD", "_method[]", "X-HTTP-Method-Override", "x_http_method"])
def test_no_parameter_overrides_the_method(name: str) -> None:
    """D2: some servers would act on another method than the one that was matched."""
    assert refused(OPEN, ((name, "DELETE"),)).code is Code.QUERY_NOT_ALLOWED
    assert planned(OPEN, (("method", "x"), ("payment_method", "y"))).query


@pytest.mark.parametrize("name", ["_method", "_METHOD", "X-HTTP-Method-Override"])
def test_no_member_of_a_body_overrides_the_method(name: str) -> None:
    """D2: Laravel takes a POST for a DELETE that says so in its JSON."""
    body: Json = {"data": {"method": "purchase", name: "x"}, "method": "x"}
    assert refused(STAMPED, method="POST", document={**body, name: "DELETE"}).code is Code.BODY_FIELD_FORBIDDEN
    assert planned(STAMPED, method="POST", document=body).document


@pytest.mark.parametrize(
    ("query", "code", "source"),
    [
        pytest.param((("fields", "x"),), Code.QUERY_NOT_ALLOWED, "query", id="a parameter nobody listed"),
        pytest.param((("Filter", "x"),), Code.QUERY_NOT_ALLOWED, "query", id="D6.1: another case"),
        pytest.param((("filter[]", "x"),), Code.QUERY_NOT_ALLOWED, "query", id="D6.1: an alias"),
        pytest.param((("sort", "a"), ("sort", "b")), Code.QUERY_REPEATED, "query.sort", id="D6.1: twice"),
        pytest.param((("filter", "a"), ("filter", "b")), Code.QUERY_REPEATED, "query.filter", id="D.0: two filters"),
    ],
)
def test_scoped_routes_take_listed_parameters_once(query: Query, code: Code, source: str) -> None:
    """What we do not know may mean anything to the upstream; the client's own name is not repeated to it."""
    refusal = refused(SCOPED, query)
    assert (refusal.code, refusal.source) == (code, source)


def test_a_scoped_route_without_a_list_takes_no_parameter() -> None:
    """No list is no parameter, not every parameter."""
    assert refused(SCOPED, (("sort", "a"),), chosen=route(query=None)).code is Code.QUERY_NOT_ALLOWED


def test_a_guard_alone_closes_the_query_too() -> None:
    """Access with a guard is scoped access."""
    assert refused(Access(guards=(Owner(pointer="/id"),)), (("x", ""),)).code is Code.QUERY_NOT_ALLOWED


def test_the_first_rule_that_says_no_ends_it() -> None:
    """Rules apply in order, and a refusal is final."""
    access = Access(scope=(PathOwner(), Filter(field="customer_id")))
    assert refused(access, (("filter", "nonsense"),), whose=customer(id=FOREIGN)).code is Code.RECORD_NOT_FOUND
    assert refused(access, (("filter", "nonsense"),), whose=customer(id=OWN)).code is Code.FILTER_INVALID


def test_rules_work_on_what_the_rule_before_left() -> None:
    """Two stamps both stand in the plan's body."""
    access = Access(scope=(BodyStamp(pointer="/data/a"), BodyStamp(pointer="/data/b")))
    assert planned(access, method="POST", document={}).document == {"data": {"a": {"id": OWN}, "b": {"id": OWN}}}


@pytest.mark.parametrize(
    ("access", "method", "expected"),
    [
        (OPEN, "HEAD", "HEAD"),
        (SCOPED, "HEAD", "GET"),
        (SCOPED, "GET", "GET"),
        (SCOPED, "POST", "POST"),
    ],
)
def test_a_guard_reads_a_body_for_head_too(access: Access, method: str, expected: str) -> None:
    """Only a whole answer can be judged, so HEAD on a scoped route asks for it."""
    assert planned(access, method=method).method == expected


def test_only_listed_headers_go_upstream() -> None:
    """The client's bearer and token end here, whatever the route."""
    headers = (("authorization", "Bearer x"), ("x-moltin-customer-token", "t"), ("accept", "a"), ("cookie", "c"))
    for access in (OPEN, SCOPED):
        assert planned(access, headers=headers).headers == (("accept", "a"),)


def test_a_client_does_not_choose_how_our_filter_is_read() -> None:
    """Where a rule composed the filter, the switch to the upstream's older parser ends here."""
    switch = (("ep-disable-beta-filtering", "true"),)
    assert planned(SCOPED, headers=switch).headers == ()
    assert planned(OPEN, headers=switch).headers == switch


def test_partial_requests_are_for_open_routes() -> None:
    """A guard must see a whole representation; conditions travel beside the other lines, on every route."""
    ranged, condition = ("range", "bytes=0-1"), ("if-none-match", '"x"')
    headers = (ranged, condition, ("accept", "a"))
    for options, conditions in (
        ({"access": OPEN}, (ranged, condition)),
        ({"access": SCOPED}, (condition,)),
        ({"access": OPEN, "chosen": route(Passwords.SHOW)}, (condition,)),
    ):
        made = planned(**options, headers=headers)
        assert (made.headers, made.conditions) == ((("accept", "a"),), conditions)


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_a_condition_needs_a_record_that_is_proven(name: str) -> None:
    """What is told of a collection that nothing narrows would be the state of everybody's records."""
    headers = ((name, "x"),)
    refusal = plan(STAMPED, method="POST", headers=headers, document={})
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.CONDITION_FORBIDDEN
    assert planned(OPEN, method="POST", headers=headers).conditions == headers
    own = planned(OWN_PATH, method="POST", headers=headers, whose=Whose(OWN, {"id": OWN}))
    assert own.conditions == headers
    assert not is_looked_at_first(OWN_PATH, own)
    by_guard = planned(GUARDED, method="PUT", headers=headers)
    assert is_looked_at_first(GUARDED, by_guard)
    assert not is_looked_at_first(GUARDED, planned(GUARDED, method="PUT"))
    assert is_judged_first(GUARDED, planned(GUARDED, headers=headers))
    assert not is_judged_first(OPEN, planned(OPEN, headers=headers))


@pytest.mark.parametrize(("method", "passes"), [("GET", False), ("HEAD", False), ("POST", True), ("PUT", True)])
def test_a_content_type_without_a_body_says_nothing(method: str, *, passes: bool) -> None:
    """SDKs send one on every request (docs/upstream.md section 7)."""
    assert planned(OPEN, method=method, headers=(JSON_TYPE,)).headers == ((JSON_TYPE,) if passes else ())


@pytest.mark.parametrize(
    ("access", "passwords", "buffered", "document"),
    [
        pytest.param(OPEN, None, False, False, id="open: relayed"),
        pytest.param(SCOPED, None, True, False, id="scoped: judged whole"),
        pytest.param(
            Access(scope=(BodyStamp(pointer="/data/customer"),)), None, True, True, id="a rule wants the body"
        ),
        pytest.param(OPEN, Passwords.SHOW, True, False, id="customers in the answer"),
        pytest.param(OPEN, Passwords.REGISTER, True, True, id="a password in the body"),
        pytest.param(OPEN, Passwords.CHANGE, True, True, id="perhaps a password in the body"),
        pytest.param(OPEN, Passwords.FORGET, True, False, id="no body to read"),
    ],
)
def test_a_body_is_read_only_where_somebody_needs_it(
    access: Access, passwords: Passwords | None, *, buffered: bool, document: bool
) -> None:
    """Everything else streams."""
    assert is_buffered(route(passwords), access) is buffered
    assert needs_document(route(passwords), access) is document


def test_a_rule_without_behaviour_cannot_be_made() -> None:
    """The base of all rules decides nothing, so it is no rule."""
    with pytest.raises(TypeError, match="abstract"):
        RuleOptions()  # type: ignore[abstract]


# Parents

POINTER = "/relationships/customer/data/id"


def order(owner: object, ident: object = "o1") -> Lookup:
    """Answer with an order of `owner`; a list stands for no relationship at all."""
    relationships: dict[str, Any] = {} if owner == [] else {"customer": {"data": {"id": owner}}}
    return Lookup(200, {"data": {"id": ident, "relationships": relationships}})


# As PHP writes it, and as a reference without members.
NOBODY: list[Any] = [[], {"customer": []}, {"customer": {"data": []}}, {"customer": {"data": {}}}]


def related(relationships: object) -> Lookup:
    """Answer with an order of these relationships."""
    return Lookup(200, {"data": {"id": "o1", "relationships": relationships}})


def parent(owner: str | None = OWN, *, guest: bool = False) -> Parent:
    """Ask for the order o1."""
    return Parent("/v2/orders/o1", "o1", POINTER, owner, guest)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param(parent(), order(OWN), id="the own record"),
        pytest.param(
            Parent("/v2/orders/7", "7", POINTER, OWN, guest=False), order(OWN, 7), id="a record with a number"
        ),
        pytest.param(parent(guest=True), order(OWN), id="the own record, where a guest's would do"),
        pytest.param(parent(guest=True), order([]), id="a guest's record"),
        pytest.param(parent(None, guest=True), order([]), id="a guest's record for the public"),
        pytest.param(parent(None, guest=True), order(None), id="a record whose owner is null"),
        *(
            pytest.param(parent(None, guest=True), related(relationships), id=f"a guest's, {relationships}")
            for relationships in NOBODY
        ),
    ],
)
def test_a_parent_of_the_right_owner_lets_the_plan_run(asked: Parent, answer: Lookup) -> None:
    """Own and guest's records pass where they may."""
    assert judge_parent(asked, answer) is None


@pytest.mark.parametrize(
    ("asked", "answer", "violation"),
    [
        pytest.param(parent(), order(FOREIGN), False, id="a foreign record"),
        pytest.param(parent(guest=True), order(FOREIGN), False, id="a foreign record, where a guest's would do"),
        pytest.param(parent(None, guest=True), order(OWN), False, id="anybody's record, where only a guest's will do"),
        pytest.param(parent(), order([]), False, id="a guest's record, where only the own will do"),
        pytest.param(parent(guest=True), order(""), False, id="an owner that cannot be read is no guest"),
        pytest.param(parent(None, guest=True), order({}), False, id="another owner that cannot be read"),
        pytest.param(parent(), Lookup(404, None), False, id="no record"),
        pytest.param(parent(guest=True), Lookup(403, None), False, id="no answer"),
        pytest.param(parent(), Lookup(200, []), False, id="a list for a document"),
        pytest.param(parent(None, guest=True), Lookup(200, {"data": None}), False, id="null, which is no guest's"),
        pytest.param(parent(None, guest=True), Lookup(200, {"data": []}), False, id="nothing, which is no guest's"),
        pytest.param(parent(), related({"customer": []}), False, id="a guest's in PHP, where only the own will do"),
        pytest.param(parent(None, guest=True), related({"customer": {"links": {}}}), False, id="nobody says whose"),
        pytest.param(parent(), order(OWN, "o2"), True, id="another record than asked for"),
        pytest.param(parent(), order(OWN, "O1"), False, id="a record that is the same by case"),
        pytest.param(parent(), order(OWN, None), True, id="a record without id"),
        pytest.param(parent(None, guest=True), Lookup(200, {}), False, id="no data"),
        pytest.param(parent(), Lookup(200, {"data": []}), False, id="no records"),
        pytest.param(parent(None, guest=True), Lookup(200, {"data": [{"id": "o1"}]}), True, id="a list of records"),
    ],
)
def test_every_other_parent_is_not_there(asked: Parent, answer: Lookup, *, violation: bool) -> None:
    """Foreign, unknown and unreadable parents answer alike; an upstream that mixes records up is reported."""
    refusal = judge_parent(asked, answer)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.violation) == (Code.RECORD_NOT_FOUND, violation)


@pytest.mark.parametrize("mode", [Passwords.CHANGE, Passwords.FORGET])
def test_whose_password_it_is_is_said_in_one_spelling(mode: Passwords) -> None:
    """Where ids are numbers, also for whoever may name any customer: what is kept is kept under the canonical text."""
    chosen = dataclasses.replace(route(mode), form=PRESETS["drf"])
    for named in ("07", "+7", "7.0", " 7", "\u0667", "seven", ""):
        refusal = refused(OPEN, method="PUT", chosen=chosen, whose=Whose(None, {"id": named}))
        assert refusal.code is Code.RECORD_NOT_FOUND
    assert planned(OPEN, method="PUT", chosen=chosen, whose=Whose(None, {"id": "7"})).method == "PUT"
    by_text = dataclasses.replace(chosen, form=PRESETS["jsonapi"])
    assert planned(OPEN, method="PUT", chosen=by_text, whose=Whose(None, {"id": "07"})).method == "PUT"


@pytest.mark.parametrize("named", ["07", "+7", "7.0", " 7", "\u0667"])
def test_a_record_that_an_api_takes_another_text_for_is_another(named: str) -> None:
    """Where ids may be numbers and texts only the answer tells: what names 7 otherwise is no 7, whoever's it is."""
    for form in (PRESETS["rest"], PRESETS["jsonapi"]):
        asked = Parent(f"/orders/{named}", named, "/customer_id", OWN, guest=False, form=form)
        record = {"id": 7 if form is PRESETS["rest"] else "7", "customer_id": OWN}
        found = Lookup(200, record if form is PRESETS["rest"] else {"data": record})
        refusal = judge_parent(asked, found)
        assert refusal is not None
        # It is no fault of the API's: a client could close a route by it.
        assert (refusal.code, refusal.violation) == (Code.RECORD_NOT_FOUND, False)
        assert judge_parent(replace(asked, record_id="7"), found) is None


def test_no_name_is_remembered_however_long_it_is() -> None:
    """What a client sends is bounded before anything of it is kept."""
    before = names.fold.cache_info().currsize, epcc._behind_ours.cache_info().currsize
    for number in range(4):
        long = f"_{number}{'x' * 40_000}"
        assert planned(OPEN, ((long, "x"),)).query
        assert planned(STAMPED, method="POST", document={long: 1}).document
        assert refused(SCOPED, (("filter", f"eq(a,{long})"),)).code is Code.FILTER_INVALID
    assert before == (names.fold.cache_info().currsize, epcc._behind_ours.cache_info().currsize)
