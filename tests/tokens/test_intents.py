"""Which customer an intent made, as far as its record tells."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.stores import Registration
from gateway.tokens.directory import Found
from gateway.tokens.intents import is_awaited, is_recoverable
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Json

ANN = "ann@x.example"
HOW = CustomerForm()
START = 1_800_000_000.0
INTENT = Registration("a" * 32, ANN, "Ann", "hash", START)


def record(**fields: object) -> Json:
    """Return a customer as the upstream shows it."""
    return {"type": "customer", "id": "ann-id", "name": "Ann", "email": ANN, **fields}


def made_at(seconds: float, suffix: str = "Z") -> Json:
    """Return the timestamps of a customer made at this time."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + suffix
    return {"meta": {"timestamps": {"created_at": text}}}


@pytest.mark.parametrize(
    ("fields", "after", "good"),
    [
        ({}, 0, True),
        ({}, 86400, True),
        ({}, 86402, False),
        ({}, -1, True),
        ({}, -2, False),
        ({"email": "ANN@x.example"}, 0, False),
        ({"email": "ben@x.example"}, 0, False),
        ({"email": None}, 0, False),
        ({"name": " Ann "}, 0, False),
        ({"name": "ann"}, 0, False),
        ({"name": None}, 0, False),
        (made_at(START), 3600, True),
        (made_at(START + 600), 3600, True),
        (made_at(START - 600), 3600, True),
        (made_at(START + 601), 3600, False),
        (made_at(START - 601), 3600, False),
        (made_at(START, ".250+00:00"), 3600, True),
        (made_at(START, "-01:00"), 3600, False),
        (made_at(START, ""), 3600, True),
        (made_at(START + 7200, "+02:00"), 3600, True),
        ({"meta": {"timestamps": {"created_at": "yesterday"}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": 7}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": START + 5}}}, 3600, True),
        ({"meta": {"timestamps": {"created_at": int(START) - 601}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": int(START + 5) * 1000}}}, 3600, True),
        ({"meta": {"timestamps": {"created_at": int(START - 601) * 1000}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": f"{START + 5:.0f}"}}}, 3600, True),
        ({"meta": {"timestamps": {"created_at": f"{START + 5:.0f}000"}}}, 3600, True),
        ({"meta": {"timestamps": {"created_at": True}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": "nan"}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": 10**400}}}, 3600, False),
        ({"meta": {"timestamps": {"created_at": []}}}, 3600, False),
        ({"meta": {"timestamps": None}}, 3600, True),
        ({"meta": []}, 3600, True),
    ],
)
def test_whom_an_intent_made(fields: Json, after: float, *, good: bool) -> None:
    """An intent made a customer of its e-mail and name, made when it was carried out, within a day."""
    shown = record(**fields)
    found = Found(shown, frozenset({"ann-id"}), is_proven=True, customer_id="ann-id")
    assert is_recoverable(INTENT, found, START + after, HOW) is good


def test_whom_the_upstream_named_is_made_whatever_the_name() -> None:
    """An intent that knows whom it made needs no name, which the upstream may have spelled its own way."""
    found = Found(record(name="ANN"), frozenset({"ann-id"}), is_proven=True, customer_id="ann-id")
    assert not is_recoverable(INTENT, found, START, HOW)
    assert is_recoverable(replace(INTENT, customer_id="ann-id"), found, START, HOW)
    assert not is_recoverable(replace(INTENT, customer_id="ben-id"), found, START, HOW)
    assert not is_recoverable(replace(INTENT, customer_id="ann-id", email="ben@x.example"), found, START, HOW)


@pytest.mark.parametrize(
    ("customer_id", "after", "good"),
    [("ann-id", 0, True), ("ann-id", 299, True), ("ann-id", 300, False), (None, 0, False)],
)
def test_whom_is_waited_for(customer_id: str | None, after: float, *, good: bool) -> None:
    """An upstream that does not show somebody for minutes has nobody."""
    assert is_awaited(replace(INTENT, customer_id=customer_id), START + after) is good


def test_nothing_is_recovered_from_nothing() -> None:
    """Without an intent, or without a customer, there is nothing to recover."""
    assert not is_recoverable(
        None, Found(record(), frozenset({"ann-id"}), is_proven=True, customer_id="ann-id"), START, HOW
    )
    assert not is_recoverable(INTENT, Found(None, frozenset(), is_proven=True), START, HOW)
    other = replace(INTENT, email="ben@x.example")
    assert not is_recoverable(
        other, Found(record(), frozenset({"ann-id"}), is_proven=True, customer_id="ann-id"), START, HOW
    )
