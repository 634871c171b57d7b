"""Look-ups before writes (D2.8, D4): an upstream that lies when asked whose a record is, is asked to change nothing."""

import json

import pytest

from gateway.demo.data import APRIL, GUEST, LESLIE, RON
from gateway.vocab.messages import Json
from tests.attacks.field import ON_ONE_LOOP, address_of, every
from tests.attacks.upstream import (
    LOOKED_UP,
    MEGABYTE,
    WAYS,
    Shape,
    Siege,
    Spell,
    Suffered,
    Way,
    answer,
    assert_own,
    assert_withheld,
    framed,
    owned_by,
    packed,
    record,
    statuses,
    twice,
    without,
    writes,
)

pytestmark = [ON_ONE_LOOP, pytest.mark.usefixtures("families")]


def parent(way: Way) -> Json:
    """Return the record that is looked up, as it truly is."""
    return record("address" if way.kind == "address" else "order", way.me)


def assert_nothing_written(suffered: Suffered) -> None:
    """Check that the request went no further than the look-up, and that this is told."""
    assert writes(suffered) == []
    assert_withheld(suffered, 404, 429, 502, 503, 504)
    assert suffered.refusals == 1


@every(way=LOOKED_UP)
async def test_the_truth_is_believed(siege: Siege, way: Way) -> None:
    """The look-ups of these attacks are those of requests that pass, told otherwise."""
    siege.commerce.forget()
    siege.commerce.script(way.asks, answer(way.document(), way.status))
    siege.commerce.script(way.looks_up, answer({"data": parent(way)}), times=1)
    suffered = await siege.watch(way)
    assert_own(suffered)
    assert len(writes(suffered)) == 1


def other(way: Way) -> Json:
    """Return somebody else's record of the kind that is looked up."""
    return record("address" if way.kind == "address" else "order", LESLIE)


def claimed(way: Way, **members: object) -> Json:
    """Return somebody else's record under the id that was asked for."""
    return {"data": other(way) | {"id": parent(way)["id"]} | members}


def disowned(way: Way, owner: object) -> Json:
    """Return the true record with another owner."""
    return {"data": parent(way) | {"relationships": {"customer": {"data": {"type": "customer", "id": owner}}}}}


LIES: dict[str, Shape] = {
    "another's": lambda way: {"data": other(way)},
    "another's under this id": claimed,
    "another's under both ids": lambda way: claimed(way, customer_id=way.me.id),
    "a list with it": lambda way: {"data": [parent(way)]},
    "a list of both": lambda way: {"data": [parent(way), other(way)]},
    "not enveloped": parent,
    "an array": lambda way: [parent(way)],
    "enveloped twice": lambda way: {"data": {"data": parent(way)}},
    "null": lambda _: {"data": None},
    "a text": lambda way: {"data": json.dumps(parent(way))},
    "true": lambda _: {"data": True},
    "nothing": lambda _: {},
    "without id": lambda way: {"data": without(parent(way), "id")},
    "a null for the id": lambda way: {"data": parent(way) | {"id": None}},
    "a list for the id": lambda way: {"data": parent(way) | {"id": [parent(way)["id"]]}},
    "an id in upper case": lambda way: {"data": parent(way) | {"id": parent(way)["id"].upper()}},
    "an id with a space": lambda way: {"data": parent(way) | {"id": f"{parent(way)['id']} "}},
    "an id with more": lambda way: {"data": parent(way) | {"id": f"{parent(way)['id']}0"}},
    "an owner in upper case": lambda way: disowned(way, RON.id.upper()),
    "an owner with a space": lambda way: disowned(way, f" {RON.id}"),
    "an owner with a line's end": lambda way: disowned(way, f"{RON.id}\n"),
    "another owner": lambda way: disowned(way, APRIL.id),
    "a list of owners": lambda way: disowned(way, [RON.id]),
    "an object as owner": lambda way: disowned(way, {"id": RON.id}),
    "an empty text as owner": lambda way: disowned(way, ""),
    "true as owner": lambda way: disowned(way, owner=True),
    "zero as owner": lambda way: disowned(way, 0),
    "a list of customers": lambda way: {
        "data": parent(way) | {"relationships": {"customer": {"data": [owned_by(RON)["customer"]["data"]]}}}
    },
    "a customer of no data": lambda way: {"data": parent(way) | {"relationships": {"customer": {}}}},
    "a text for the customer": lambda way: {"data": parent(way) | {"relationships": {"customer": RON.id}}},
    "a text for relationships": lambda way: {"data": parent(way) | {"relationships": RON.id}},
    "a list for relationships": lambda way: {"data": parent(way) | {"relationships": [owned_by(RON)]}},
}


@every(lie=LIES, way=LOOKED_UP)
async def test_lies_about_the_owner(siege: Siege, lie: Shape, way: Way) -> None:
    """Nothing is written, and nothing below is asked for, unless the look-up proves whose the record is."""
    assert_nothing_written(await siege.suffer(way, answer(lie(way)), when=way.looks_up))


UNREADABLE: dict[str, Spell] = {
    "half of it": lambda body: answer(body[: len(body) // 2]),
    "two of it": lambda body: answer(body + body),
    "UTF-16": lambda body: answer(body.decode().encode("utf-16")),
    "no UTF-8": lambda body: answer(body[:-2] + b',"x":"\xff"}}'),
    "NaN": lambda body: answer(body[:-2] + b',"x":NaN}}'),
    "too deep": lambda body: answer(body[:-2] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}}"),
    "nothing": lambda _: answer(b""),
    "a page": lambda body: answer(body, 200, ("content-type", "text/html")),
    "plain text": lambda body: answer(body, 200, ("content-type", "text/plain")),
    "no type": lambda body: framed(body, 200, f"content-length: {len(body)}"),
    "another charset": lambda body: answer(body, 200, ("content-type", "application/json; charset=utf-16")),
    "an encoding that is not": lambda body: answer(body, 200, ("content-encoding", "gzip")),
    "an unknown encoding": lambda body: answer(body, 200, ("content-encoding", "br")),
    "packed twice": lambda body: answer(packed(packed(body)), 200, ("content-encoding", "gzip, gzip")),
    "a bomb": lambda body: answer(packed(body + b" " * 16 * MEGABYTE), 200, ("content-encoding", "gzip")),
    "too large": lambda body: answer(body + b" " * MEGABYTE),
    "too large, in chunks": lambda body: framed(
        b"%x\r\n" % (len(body) + MEGABYTE) + body + b" " * MEGABYTE + b"\r\n0\r\n\r\n",
        200,
        "content-type: application/json",
        "transfer-encoding: chunked",
    ),
}


@every(spelled=UNREADABLE, way=["address-change", "address-delete", "order-payments", "guest-payments", "order-items"])
async def test_look_ups_that_cannot_be_read(siege: Siege, spelled: Spell, way: str) -> None:
    """The truth, told in a way that could be read as something else, proves nothing."""
    told = spelled(json.dumps({"data": parent(WAYS[way])}).encode())
    assert_nothing_written(await siege.suffer(WAYS[way], told, when=WAYS[way].looks_up))


STATUSES = statuses(
    101, 201, 202, 203, 204, 206, 207, 226, 300, 301, 302, 304, 307, 308, 400, 403, 404, 409, 410, 422, 429, 500, 503
)


@every(status=STATUSES, way=["address-change", "address-delete", "order-payments", "guest-payments", "order-items"])
async def test_look_ups_of_another_status(siege: Siege, status: int, way: str) -> None:
    """Only a plain 200 says whose a record is: partial, cached, moved or failed answers do not."""
    told = answer({"data": parent(WAYS[way])}, status, ("location", WAYS[way].path))
    if status in {101, 204, 304}:
        told = framed(b"", status)
    assert_nothing_written(await siege.suffer(WAYS[way], told, when=WAYS[way].looks_up, close=True))


@every(way=["address-change", "address-delete", "order-payments", "guest-payments"], last=["owner", "id", "data"])
async def test_look_ups_that_say_two_things(siege: Siege, way: str, last: str) -> None:
    """Where a member comes twice, the last one counts, as it does for what leaves."""
    true = parent(WAYS[way])
    told = {
        "owner": b'{"data":' + twice(true, "relationships", owned_by(LESLIE), last=True) + b"}",
        "id": b'{"data":' + twice(true, "id", other(WAYS[way])["id"], last=True) + b"}",
        "data": twice({"data": true}, "data", other(WAYS[way]), last=True),
    }[last]
    assert_nothing_written(await siege.suffer(WAYS[way], answer(told), when=WAYS[way].looks_up))


ELSEWHERE: dict[str, Json] = {
    "customer_id": {"customer_id": LESLIE.id},
    "customer.id": {"customer": {"id": LESLIE.id, "name": LESLIE.name}},
    "links.self": {"links": {"self": f"/v2/customers/{LESLIE.id}/addresses/{address_of(RON)}"}},
}


@every(named_at=ELSEWHERE, way=["address-change", "address-delete"])
async def test_addresses_named_in_another_place(siege: Siege, named_at: Json, way: str) -> None:
    """An address that names somebody else, where the guard of the same route looks for it, is not written to."""
    told = without(parent(WAYS[way]), "relationships") | named_at
    assert_nothing_written(await siege.suffer(WAYS[way], answer({"data": told}), when=WAYS[way].looks_up))


@every(
    named_at={name: ELSEWHERE[name] for name in ("customer_id", "customer.id")},
    way=["order-payments", "guest-payments"],
)
async def test_orders_named_in_another_place(siege: Siege, named_at: Json, way: str) -> None:
    """An order that names somebody anywhere is no guest's, and is not paid by whoever asks."""
    told = record("order", GUEST) | {"id": parent(WAYS[way])["id"]} | named_at
    assert_nothing_written(await siege.suffer(WAYS[way], answer({"data": told}), when=WAYS[way].looks_up))


@every(way=["address-change", "address-delete", "order-payments", "guest-payments"], lie=["stranger", "cut", "late"])
async def test_look_ups_one_after_the_other(siege: Siege, way: str, lie: str) -> None:
    """No yes is kept for the next request: the upstream is asked each time, and believed this time only (D4.3)."""
    good = WAYS[way]
    siege.commerce.forget()
    siege.commerce.script(good.asks, answer(good.document(), good.status))
    siege.commerce.script(good.looks_up, answer({"data": parent(good)}), times=1)
    assert_own(await siege.watch(good))
    said = answer({"data": other(good)})
    close = lie == "cut"
    said = said[: len(said) // 2] if close else said
    assert_nothing_written(await siege.suffer(good, said, when=good.looks_up, close=close))
    if lie == "late":
        # The answer to the look-up comes once more, behind itself: it is not the answer to the next request.
        true = answer({"data": parent(good)})
        siege.commerce.forget()
        siege.commerce.script(good.looks_up, true + true)
        siege.commerce.script(good.asks, answer(good.document(good.foreign)))
        assert_withheld(await siege.watch(good), 404)


@every(
    way=["customer-change", "customer-delete", "address-create"],
    path=["the victim's", "the victim's, encoded", "nobody's"],
)
async def test_writes_by_somebodys_path(siege: Siege, way: str, path: str) -> None:
    """Where the path says whose it is, nobody is asked and nothing is sent."""
    spelled = {"the victim's": LESLIE.id, "the victim's, encoded": LESLIE.id.replace("-", "%2D"), "nobody's": "x"}
    foreign = Way(WAYS[way].method, WAYS[way].path.replace(RON.id, spelled[path]), WAYS[way].kind, body=WAYS[way].body)
    suffered = await siege.suffer(foreign, None)
    assert suffered.requests == []
    assert_withheld(suffered, 404)
