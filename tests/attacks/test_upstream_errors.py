"""Errors of an upstream that misbehaves (D2.8): their texts tell nothing of anybody."""

import pytest

from gateway.demo.data import LESLIE
from tests.attacks.field import ON_ONE_LOOP, every
from tests.attacks.upstream import SINGLES, UNPROVEN, WAYS, Siege, Way, answer, record, statuses

pytestmark = [ON_ONE_LOOP, pytest.mark.usefixtures("families")]


# --- Errors -----------------------------------------------------------------------------------------------------------


TELLING = {
    "status": 422,
    "title": f"Order of {LESLIE.name} is locked",
    "detail": f"{LESLIE.canary}: see {LESLIE.email}",
    "source": f"data.customer.{LESLIE.id}",
    "code": LESLIE.canary,
    "meta": {"record": record("order", LESLIE)},
    "links": {"about": f"/v2/customers/{LESLIE.id}"},
    "id": LESLIE.canary,
    LESLIE.canary: True,
}
ERRORS = statuses(400, 402, 403, 404, 405, 409, 410, 412, 415, 418, 422, 423, 429, 451, 500, 503, 599)


@every(status=ERRORS, way=WAYS)
async def test_errors_that_tell(siege: Siege, status: int, way: Way) -> None:
    """An error's text leaves only as far as it can tell nothing (D2.8: what goes to the error path is checked too)."""
    headers = (("retry-after", f"3 {LESLIE.canary}"), ("x-customer", LESLIE.id), ("www-authenticate", LESLIE.email))
    document = {"errors": [TELLING, {"title": [LESLIE.canary], "detail": {"of": LESLIE.name}}], "data": way.foreign}
    suffered = await siege.suffer(way, answer(document, status, *headers))
    expected = status if status < 500 or status == 503 else 502
    if way in UNPROVEN and 400 <= status < 500 and status != 429:
        # A status would tell somebody else's from none.
        expected = 404
    assert suffered.status == expected, suffered.raw
    assert b"retry-after: 3" not in suffered.raw


HIDING: dict[str, object] = {
    "letter by letter": " ".join(LESLIE.email),
    "upper case": LESLIE.name.upper(),
    "in a source": "data.0.leslie",
    "full width": "".join(chr(ord(letter) + 0xFEE0) for letter in "LeslieKnope"),
    "a postcode": "46002",
    "an amount": "The total is 12900",
    "a link": "https://x.example/46002",
    "underscored": "order_of_leslie_knope",
    "accented": "Lèslie Knöpe",
    "an emoji": "paid by \U0001f9d1",
    "invisible": "le\u200bslie",
    "in markup": "<b>Leslie</b>",
    "very long": "the order " * 100,
    "a number": 46002,
    "a list": ["Leslie"],
}


@every(text=HIDING, place=["title", "detail", "source"])
async def test_errors_that_hide_what_they_tell(siege: Siege, text: object, place: str) -> None:
    """Words that no message of the API consists of do not leave, however they are written."""
    suffered = await siege.suffer(WAYS["customer-read"], answer({"errors": [{"status": 422, place: text}]}, 422))
    assert suffered.status == 422
    (error,) = suffered.document["errors"]
    assert error.get(place) != text
    assert b"leslie" not in suffered.body.lower()
    assert b"46002" not in suffered.body


BAD_ENVELOPES: dict[str, object] = {
    "an object": {"errors": {"0": TELLING}},
    "empty": {"errors": []},
    "texts": {"errors": [LESLIE.canary]},
    "one error": {"error": LESLIE.canary, "message": LESLIE.email},
    "an array": [TELLING],
    "a text": LESLIE.canary,
    "in a list": {"errors": [[TELLING]]},
    "many": {"errors": [TELLING] * 1000},
    "a record": record("order", LESLIE),
}


@every(envelope=BAD_ENVELOPES, status=statuses(400, 403, 409, 422, 500))
async def test_errors_of_another_shape(siege: Siege, envelope: object, status: int) -> None:
    """An error that is not in the API's envelope has a status and nothing to say."""
    suffered = await siege.suffer(WAYS["customer-change"], answer(envelope, status))
    assert suffered.status == (502 if status == 500 else status)


@every(way=SINGLES)
async def test_unknown_is_told_like_foreign(siege: Siege, way: Way) -> None:
    """Somebody else's record and none at all are one reply, but for the request's id.

    What makes a record names none: it was made, whatever is shown of it.
    """
    absent = await siege.suffer(way, answer({"errors": [TELLING]}, 404))
    foreign = await siege.suffer(way, answer(way.document(way.foreign), way.status))
    assert absent.status == 404
    if way.method == "POST":
        assert (foreign.status, foreign.code) == (502, "WRITE_UNCONFIRMED")
    else:
        assert absent.body == foreign.body
        assert absent.status == foreign.status
