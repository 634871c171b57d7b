"""Many customers at once before an upstream that breaks off anywhere (D4, D5): never anybody's bytes but one's own."""

import asyncio
import random

from gateway.demo.data import LESLIE, LESLIE_CART, RON, RON_CART, Person
from gateway.demo.shop import Shop
from tests.attacks.field import ON_ONE_LOOP, every, order_of, telling
from tests.attacks.upstream import Siege, Way, answer, shown_in
from tests.fakes.commerce import Recorded
from tests.fakes.wire import answer_bytes

pytestmark = ON_ONE_LOOP

ROUNDS = 120


def targets(person: Person, cart: str) -> dict[str, str]:
    """Return what somebody asks for."""
    return {
        "list": "/v2/orders",
        "order": f"/v2/orders/{order_of(person)}",
        "items": f"/v2/orders/{order_of(person)}/items",
        "profile": f"/v2/customers/{person.id}",
        "cart": f"/v2/carts/{cart}",
    }


BOTH = {"customer": (RON, targets(RON, RON_CART)), "victim": (LESLIE, targets(LESLIE, LESLIE_CART))}


class Faulty:
    """An upstream that tells the truth as far as its dice let it come."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a seeded choice of where to break off
        self.shop = shop

    def __call__(self, request: Recorded) -> bytes:
        """Answer a request: whole, cut, doubled, or with what comes behind it."""
        headers = {name.lower(): value for name, value in request.headers}
        said = answer_bytes(self.shop.answer(request.method, request.path, request.query, headers, request.body))
        match self.random.randrange(5):
            case 0:
                return said[: self.random.randrange(len(said))]
            case 1:
                return said + said[: self.random.randrange(len(said))]
            case 2:
                return said + said
            case _:
                return said


@every(seed={str(seed): seed for seed in range(4)}, closing=["always", "by turns"])
async def test_two_customers_at_once(siege: Siege, seed: int, closing: str) -> None:
    """Requests of two customers in turns and at once, answers cut at any byte: each gets the own, whole, or a no."""
    siege.commerce.forget()
    faulty = Faulty(siege.commerce.shop, seed)
    dice = random.Random(seed)  # noqa: S311 - a seeded choice of requests
    # Half of an answer is followed by the end of its connection: on one that stays open it would only be waited for.
    share = 1.0 if closing == "always" else 0.5
    siege.commerce.script(lambda request: not request.is_grant and faulty.random.random() < share, faulty, close=True)
    asked = [(caller, dice.choice(list(BOTH[caller][1]))) for _ in range(ROUNDS // 2) for caller in BOTH]
    slots = asyncio.Semaphore(8)

    async def ask(caller: str, what: str) -> bytes:
        async with slots:
            return await siege.ask(Way("GET", BOTH[caller][1][what], "any"), caller)

    replies = await asyncio.gather(*(ask(caller, what) for caller, what in asked))
    good = 0
    for (caller, what), raw in zip(asked, replies, strict=True):
        me = BOTH[caller][0]
        assert shown_in(raw, me) == [], (caller, what, raw)
        if what == "cart" and not raw.endswith(b"}"):
            # Relayed as it came, and broken off with it.
            continue
        if raw.startswith(b"HTTP/1.1 200 "):
            good += 1
            assert [text for text in telling(me) if text in raw]
        else:
            assert raw.startswith(b"HTTP/1.1 502 "), raw
    assert 0 < good < len(asked)
    assert await siege.is_sound()


@every(kept=["answers of the other", "the own answers"])
async def test_answers_in_another_order(siege: Siege, kept: str) -> None:
    """An upstream that mixes up who asked answers each customer with the other's list: both get a no."""
    siege.commerce.forget()

    def crossed(request: Recorded) -> bytes:
        other = LESLIE if RON.id in request.target else RON
        if kept == "the own answers":
            other = RON if other is LESLIE else LESLIE
        headers = {name.lower(): value for name, value in request.headers}
        query = [("filter", f"eq(customer_id,{other.id})")]
        return answer(siege.commerce.shop.answer("GET", "/v2/orders", query, headers, b"").body)

    siege.commerce.script(lambda request: request.path == "/v2/orders", crossed)
    orders = Way("GET", "/v2/orders", "order")
    replies = await asyncio.gather(*(siege.ask(orders, caller) for _ in range(20) for caller in BOTH))
    for raw, caller in zip(replies, [caller for _ in range(20) for caller in BOTH], strict=True):
        assert shown_in(raw, BOTH[caller][0]) == []
        assert raw.startswith(b"HTTP/1.1 502 " if kept != "the own answers" else b"HTTP/1.1 200 "), raw
    assert await siege.is_sound()


@every(abandoned=["at once", "after the head"])
async def test_clients_that_leave(siege: Siege, abandoned: str) -> None:
    """What is left of a request whose client has gone is not the answer to the next customer's."""
    siege.commerce.forget()
    for number in range(20):
        raw = siege.field.request("GET", f"/v2/orders/{order_of(RON)}", proof=siege.proof("customer"))
        reader, writer = await asyncio.open_connection(siege.site.gateway.listen.host, siege.site.gateway.listen.port)
        writer.write(raw)
        await writer.drain()
        if abandoned == "after the head":
            await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        if number % 5 == 0:
            assert await siege.is_sound()
    assert await siege.is_sound()
