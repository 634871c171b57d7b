"""Ids and amounts in a judged answer: an integer is an id by its digits, every other number is nobody's and stays."""

import pytest

from gateway.guard.core import judge
from gateway.guard.rules.belongs_to import BelongsTo
from gateway.guard.rules.identity import Identity
from gateway.guard.rules.owner import Owner
from gateway.guard.rules.redact import Redact
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.vocab.messages import Answer, Checked, Plan, Target, Whose
from gateway.vocab.policy import Access, Draft, GuardRule, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode, parse_request
from gateway.wire.links import LinkRewriter

LINKS = LinkRewriter((), "")
WHOSE = Whose("17", {"id": "17", "oid": "5"})
PLAN = Plan("GET", "/v2/orders", narrowed=True, referred=frozenset({("items", "7")}))
OWNER = Owner(pointer="/customer_id", also=("/customer",))
# What a back end may write that is no id, though some readers would take it for 17.
NO_IDS = [
    "17.0",
    "1.7e1",
    "170e-1",
    "-17",
    "-0",
    "0",
    "true",
    "[17]",
    '{"a":17}',
    r'"17\ud800"',
    "17.000000000000000000001",
]


def judged(body: str, *guards: GuardRule) -> str | Code:
    """Judge an answer; return what leaves, or the code of the refusal."""
    route = Route("orders", "/v2/orders", frozenset({"GET"}), {})
    answer = Answer(200, (("content-type", "application/json"),), body.encode())
    outcome = judge(route, Access(guards=guards), PLAN, WHOSE, answer, LINKS)
    if isinstance(outcome, Checked):
        return encode(outcome.document).decode()
    assert outcome.violation or outcome.code is not Code.GUARD_VIOLATION
    return outcome.code


@pytest.mark.parametrize("owner", ["17", '"17"'])
def test_an_integer_is_an_id_by_its_digits(owner: str) -> None:
    """Back ends that count their customers are served, and their numbers stay numbers."""
    body = f'{{"data":[{{"id":1,"customer_id":{owner},"customer":{{"id":{owner}}}}}]}}'
    assert judged(body, OWNER) == body
    assert judged(f'{{"data":{{"id":{owner}}}}}', Identity(parameter="id")) == f'{{"data":{{"id":{owner}}}}}'


@pytest.mark.parametrize("owner", NO_IDS)
def test_no_other_number_is_an_id(owner: str) -> None:
    """What has two spellings is nobody's, at the pointer and beside it."""
    good = '{"id":1,"customer_id":17}'
    assert judged(f'{{"data":[{good},{{"id":2,"customer_id":{owner}}}]}}', OWNER) is Code.GUARD_VIOLATION
    assert judged(f'{{"data":{{"id":2,"customer_id":{owner}}}}}', OWNER) is Code.RECORD_NOT_FOUND
    # Beside the pointer a list may hold ids, and an object without one names nobody.
    if owner not in {"[17]", '{"a":17}'}:
        beside = f'{{"data":[{good},{{"id":2,"customer_id":17,"customer":{owner}}}]}}'
        assert judged(beside, OWNER) is Code.GUARD_VIOLATION
    assert judged(f'{{"data":{{"id":{owner}}}}}', Identity(parameter="id")) is Code.RECORD_NOT_FOUND


@pytest.mark.parametrize("reference", ["7", '"7"'])
@pytest.mark.parametrize("included", ["7", '"7"'])
def test_included_records_may_be_counted(reference: str, included: str) -> None:
    """A checked record refers to them by the same digits."""
    body = (
        f'{{"data":[{{"customer_id":"17","relationships":{{"items":{{"data":[{{"id":{reference}}}]}}}}}}],'
        f'"included":{{"items":[{{"id":{included},"n":1.50}}]}}}}'
    )
    assert judged(body, OWNER) == body


@pytest.mark.parametrize("included", ["8", "7.0", "7e0", "true", "-7", '{"id":7}'])
def test_included_records_of_other_numbers_withhold_the_answer(included: str) -> None:
    """Nothing refers to a number that has two spellings."""
    body = (
        '{"data":[{"customer_id":"17","relationships":{"items":{"data":[{"id":7}]}}}],'
        f'"included":{{"items":[{{"id":{included}}}]}}}}'
    )
    assert judged(body, OWNER) is Code.GUARD_VIOLATION


@pytest.mark.parametrize("number", ["18", "17.0"])
def test_an_included_customer_is_known_by_the_digits(number: str) -> None:
    """Somebody else's number is somebody else."""
    body = (
        f'{{"data":[{{"customer_id":17,"relationships":{{"x":{{"data":{{"type":"customer","id":{number}}}}}}}}}],'
        f'"included":[{{"type":"customer","id":{number}}}]}}'
    )
    assert judged(body, OWNER) is Code.GUARD_VIOLATION
    assert judged(body.replace(number, "17"), OWNER) == body.replace(number, "17")


@pytest.mark.parametrize(
    ("part", "is_good"), [("7", True), ('"7"', True), ("8", False), ("7.0", False), ("[7]", False)]
)
def test_a_part_is_known_by_the_digits(part: str, *, is_good: bool) -> None:
    """What the parent refers to as 7 is the record 7, and no record makes the guard fall."""
    rule = BelongsTo(parameter="oid", pointer="/order", relationship="items")
    body = f'{{"data":[{{"id":{part}}},{{"id":9,"order":5}}]}}'
    assert judged(body, rule, Owner(pointer="/customer_id", required=False)) == (
        body if is_good else Code.GUARD_VIOLATION
    )


def test_what_is_redacted_stands_beside_what_stays_as_it_came() -> None:
    """Removing one member respells no other, and an odd text hides nothing from the rule."""
    kept = r'"a":1.0,"b":"\ud800","c":{"d":-0,"e":12345678901234567890}'
    body = f'{{"data":[{{"customer_id":17,{kept},"secret":"x","c2":{{"secret":1e2}}}}]}}'
    expected = f'{{"data":[{{"customer_id":17,{kept},"c2":{{}}}}]}}'
    assert judged(body, OWNER, Redact(pointers=("/secret", "/c2/secret"))) == expected


def request(body: str) -> Draft:
    """Return a draft with a client's body."""
    document = parse_request(body.encode(), "application/json", None)
    assert not isinstance(document, Refusal)
    return Draft(Target("/v2/orders", ("v2", "orders")), (), document)


@pytest.mark.parametrize("ident", ["17", '"17"'])
def test_a_body_names_the_customer_by_the_digits(ident: str) -> None:
    """The stamp takes its place, a field that must be the path's id may be either, and amounts stay as they came."""
    stamped = BodyStamp(pointer="/data/customer").apply(
        request(f'{{"data":{{"amount":1.50,"customer":{{"id":{ident}}}}}}}'), WHOSE
    )
    assert isinstance(stamped, Draft)
    assert encode(stamped.document) == b'{"data":{"amount":1.50,"customer":{"id":"17"}}}'
    checked = BodyFields(match={"id": "id"}).apply(request(f'{{"data":{{"id":{ident},"n":1e2}}}}'), WHOSE)
    assert isinstance(checked, Draft)


@pytest.mark.parametrize("ident", [one for one in NO_IDS if "ud800" not in one])
def test_a_body_that_names_another_number_is_refused(ident: str) -> None:
    """No number but the customer's own digits is taken for the customer."""
    for outcome in (
        BodyStamp(pointer="/data/customer").apply(request(f'{{"data":{{"customer":{{"id":{ident}}}}}}}'), WHOSE),
        BodyFields(match={"id": "id"}).apply(request(f'{{"data":{{"id":{ident}}}}}'), WHOSE),
    ):
        assert isinstance(outcome, Refusal)
        assert outcome.code is Code.BODY_FIELD_FORBIDDEN


def test_the_words_of_a_number_are_the_clients() -> None:
    """An error may say the amount that the client sent, in the client's spelling."""
    plan = Plan("POST", "/v2/orders", document=request('{"amount":19000.50}').document)
    route = Route("orders", "/v2/orders", frozenset({"POST"}), {})
    answer = Answer(
        422, (("content-type", "application/json"),), b'{"errors":[{"detail":"amount 19000.50 is invalid"}]}'
    )
    outcome = judge(route, Access(guards=(OWNER,)), plan, WHOSE, answer, LINKS)
    assert isinstance(outcome, Checked)
    assert outcome.document["errors"][0]["detail"] == "amount 19000.50 is invalid"
