"""What the answer to a creation says."""

import pytest

from gateway.tokens.creation import ACCEPTED, is_not_there, only, proves_no_creation
from gateway.tokens.silence import shows_nobody
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Checked
from gateway.vocab.refusals import Code, Refusal

ANN = "ann@x.example"
HOW = CustomerForm()
RECORD = {"type": "customer", "id": 17, "email": ANN}


def test_nothing_but_the_customer_is_shown() -> None:
    """What stands beside the record does not leave; an id may be a number."""
    noisy = Checked(201, {"data": RECORD, "included": [1], "meta": {}})
    assert only(noisy, HOW, ANN) == only(noisy, HOW, ANN, "17") == Checked(201, {"data": RECORD})


@pytest.mark.parametrize(
    ("document", "is_foreign"),
    [
        ({"data": RECORD | {"email": "ben@x.example"}}, True),
        ({"data": RECORD | {"id": 18}}, True),
        ({"data": [RECORD]}, True),
        ({"data": {}}, False),
        ({"data": []}, False),
        ({"data": None}, False),
        ({"errors": []}, False),
        ([RECORD], True),
        (None, False),
    ],
)
def test_another_customer_is_a_violation_and_nobody_is_not(document: object, *, is_foreign: bool) -> None:
    """Only what held a record of somebody else may have been foreign."""
    refusal = only(Checked(201, document), HOW, ANN, "17")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.violation) == (Code.UPSTREAM_INVALID, is_foreign)


def test_what_shows_nobody() -> None:
    """A success without a body, or with null for the record, says that somebody was made."""
    assert shows_nobody(Checked(204), HOW.form)
    assert shows_nobody(Checked(201, {"data": None}), HOW.form)
    assert not shows_nobody(Checked(201, {"data": RECORD}), HOW.form)
    assert ACCEPTED.document["data"] is None


@pytest.mark.parametrize(
    ("refusal", "is_proof"),
    [
        (Refusal(Code.UPSTREAM_UNREACHABLE), True),
        (Refusal(Code.UPSTREAM_TIMEOUT), False),
        (Refusal(Code.UPSTREAM_INVALID, upstream_status=422), True),
        (Refusal(Code.UPSTREAM_FAILED, upstream_status=500), False),
    ],
)
def test_when_nobody_was_made(refusal: Refusal, *, is_proof: bool) -> None:
    """Only where the request cannot have arrived, or was refused by its status."""
    assert proves_no_creation(refusal) is is_proof


def test_what_is_not_there_may_come() -> None:
    """Another customer under the id is no absence."""
    assert is_not_there(Refusal(Code.RECORD_NOT_FOUND))
    assert not is_not_there(Refusal(Code.RECORD_NOT_FOUND, violation=True))
    assert not is_not_there(Refusal(Code.UPSTREAM_FAILED))
