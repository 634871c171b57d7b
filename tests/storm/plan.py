"""What the storm asks, on which connections, and which replies are right. The same seed gives the same plan."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.data import APRIL, LESLIE, PEOPLE, RON, Person
from tests.storm.upstream import RECORDS, Fault

# Faults that leave nothing a guarded route may show. Foreign records are not among them: they show by themselves.
HOPELESS = frozenset(
    {
        Fault.TELLING, Fault.CUT, Fault.RESET, Fault.FAILED, Fault.PAGE, Fault.EMPTY, Fault.SHORT, Fault.LONG,
        Fault.TWOFOLD, Fault.REDIRECT,
    }
)  # fmt: skip
# Faults after which a request is answered as if there had been none.
HARMLESS = frozenset({Fault.NONE, Fault.SLOW, Fault.HALTING, Fault.CHUNKED, Fault.INTERIM})
HARMLESS |= {Fault.CLOSING, Fault.EXTRA, Fault.GZIP}
# Statuses that say "the upstream is at fault", and what a fault makes of single records and of errors.
AT_FAULT = frozenset({404, 409, 502, 503, 504})
# One request of eight meets a fault.
FAULTY = 0.12
CANARIES = {person.email: person.canary.encode() for person in PEOPLE}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: who asks (None: the public), its bytes, and how to know the right reply."""

    person: Person | None
    kind: str
    raw: bytes
    status: int
    tag: str
    fault: Fault
    is_right: Callable[[Any], bool]
    relayed: bool = False


@dataclass(slots=True)
class Script:
    """What happens on one connection: the requests in batches, each sent at once, and where the client breaks off."""

    batches: list[list[Ask]]
    pieces: list[int] = field(default_factory=list)
    cut_request: int | None = None
    cut_reply: int | None = None
    slow: bool = False

    @property
    def asks(self) -> list[Ask]:
        """Every request in order."""
        return [ask for batch in self.batches for ask in batch]


class Planner:
    """Makes scripts. `bearer` and `tokens` (by e-mail) are the credentials to use."""

    def __init__(self, seed: int, bearer: str, tokens: dict[str, str]) -> None:
        self._seed = seed
        self._bearer = bearer
        self._tokens = tokens

    def script(self, number: int) -> Script:
        """Make the script of one connection."""
        chance = random.Random(f"{self._seed}:{number}")  # noqa: S311 - a seed to repeat is what it is for
        asks = _Asks(chance, number, self._bearer, self._tokens)
        alternating = chance.random() < 0.4
        person = chance.choice((RON, LESLIE, APRIL, RON, LESLIE, None))
        batches = []
        for _ in range(chance.choice((1, 2, 3, 5, 8))):
            batch = []
            for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
                who = chance.choice((RON, LESLIE, APRIL, None)) if alternating else person
                batch.append(asks.make(who))
            batches.append(batch)
        script = Script(batches, slow=chance.random() < 0.02)
        # The first batch in pieces of any size.
        if chance.random() < 0.2:
            script.pieces = [chance.choice((1, 7, 60, 300)) for _ in range(20)]
        way = chance.random()
        if way < 0.1:
            script.cut_request = chance.randrange(sum(len(ask.raw) for ask in script.asks))
        elif way < 0.2:
            script.cut_reply = chance.randrange(chance.choice((50, 1500, 20_000)))
        return script


class _Asks:
    """Makes the requests of one connection."""

    def __init__(self, chance: random.Random, connection: int, bearer: str, tokens: dict[str, str]) -> None:
        self._chance = chance
        self._connection = connection
        self._bearer = bearer
        self._tokens = tokens
        self._count = 0

    def make(self, person: Person | None) -> Ask:
        """Make a request of somebody."""
        chance = self._chance
        kind = chance.choice(_PUBLIC if person is None else _CUSTOMER)
        fault = chance.choice(list(Fault)) if chance.random() < FAULTY else Fault.NONE
        if kind in _UNHEARD or (kind is _foreign_order and fault is Fault.FOREIGN):
            # Nobody upstream is asked; and whoever takes the upstream's word for whose an order is must believe it.
            fault = Fault.NONE
        tag = f"t{self._connection}x{self._count}x{fault.value}"
        self._count += 1
        method, target, body, status, is_right = kind(person or RON, tag, chance)
        raw = self._raw(person, method, target, body, tag)
        return Ask(person, kind.__name__.strip("_"), raw, status, tag, fault, is_right, relayed=kind in _RELAYED)

    def _raw(self, person: Person | None, method: str, target: str, body: Any, tag: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: shop.example", f"Authorization: Bearer {self._bearer}"]
        lines.append(f"EP-Channel: {tag}")
        if person is not None:
            lines.append(f"X-Moltin-Customer-Token: {self._tokens[person.email]}")
        if body is None:
            return "\r\n".join([*lines, "", ""]).encode()
        text = json.dumps(body).encode()
        lines.append("Content-Type: application/json")
        if self._chance.random() < 0.5:
            return "\r\n".join([*lines, f"Content-Length: {len(text)}", "", ""]).encode() + text
        cut = self._chance.randrange(1, len(text))
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:cut], text[cut:]))
        return "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode() + chunks + b"0\r\n\r\n"


Made = tuple[str, str, Any, int, Callable[[Any], bool]]
Maker = Callable[[Person, str, random.Random], Made]


def _name(person: Person) -> str:
    return person.name.split(" ")[0].lower()


def _data(document: Any) -> Any:
    return document["data"]


def _refused(document: Any) -> bool:
    return document["errors"][0]["status"] >= 400 and "data" not in document


def _order(person: Person, tag: str, chance: random.Random) -> Made:
    del chance
    ident = f"{_name(person)}.{tag}"
    return "GET", f"/v2/orders/{ident}", None, 200, lambda document: bool(_data(document)["id"] == ident)


def _orders(person: Person, tag: str, chance: random.Random) -> Made:
    del chance

    def is_right(document: Any) -> bool:
        return [one["id"] for one in _data(document)] == [f"{_name(person)}.{tag}"] * 2

    return "GET", f"/v2/orders?filter=eq(order_number,{tag})&page[limit]=10", None, 200, is_right


def _foreign_order(person: Person, tag: str, chance: random.Random) -> Made:
    other = chance.choice([one for one in PEOPLE if one is not person])
    part = chance.choice(("", "/items", "/transactions"))
    return "GET", f"/v2/orders/{_name(other)}.{tag}{part}", None, 404, _refused


def _foreign_customer(person: Person, tag: str, chance: random.Random) -> Made:
    del tag
    other = chance.choice([one for one in PEOPLE if one is not person])
    return "GET", f"/v2/customers/{other.id}{chance.choice(('', '/addresses'))}", None, 404, _refused


def _widening(person: Person, tag: str, chance: random.Random) -> Made:
    del person, tag
    return "GET", f"/v2/orders?filter=eq(a,b)|eq(customer_id,{chance.choice(PEOPLE).id})", None, 400, _refused


def _self(person: Person, tag: str, chance: random.Random) -> Made:
    path = chance.choice(("/v2/customers", f"/v2/customers/{person.id}"))

    def is_right(document: Any) -> bool:
        record = _data(document) if path.endswith(person.id) else _data(document)[0]
        # Whether there is a password is the storm's matter: walks change theirs.
        return bool(record["id"] == person.id and record["name"] == tag and isinstance(record["password"], bool))

    return "GET", path, None, 200, is_right


def _addresses(person: Person, tag: str, chance: random.Random) -> Made:
    path = f"/v2/customers/{person.id}/addresses"
    if chance.random() < 0.5:
        return "GET", path, None, 200, lambda document: [one["name"] for one in _data(document)] == [tag]
    return "GET", f"{path}/{tag}", None, 200, lambda document: bool(_data(document)["id"] == tag)


def _address_written(person: Person, tag: str, chance: random.Random) -> Made:
    body = {"data": {"type": "address", "name": tag}}
    path = f"/v2/customers/{person.id}/addresses"
    if chance.random() < 0.5:
        return "POST", path, body, 201, lambda document: bool(_data(document)["name"] == tag)
    return "PUT", f"{path}/{tag}", body, 200, lambda document: bool(_data(document)["id"] == tag)


def _items(person: Person, tag: str, chance: random.Random) -> Made:
    ident = f"{_name(person)}.{tag}"
    path = f"/v2/orders/{ident}/{chance.choice(('items', 'transactions'))}"
    return "GET", path, None, 200, lambda document: [one["id"] for one in _data(document)] == [f"i-{ident}"]


def _payment(person: Person, tag: str, chance: random.Random) -> Made:
    del chance
    ident = f"{_name(person)}.{tag}"
    body = {"data": {"gateway": "manual", "method": "purchase"}}
    return "POST", f"/v2/orders/{ident}/payments", body, 201, lambda document: bool(_data(document)["name"] == tag)


def _checkout(person: Person, tag: str, chance: random.Random) -> Made:
    del chance
    body = {"data": {"customer": {"name": "N", "email": person.email}, "order_number": tag}}
    ident = f"{_name(person)}.{tag}"
    return "POST", f"/v2/carts/{tag}/checkout", body, 201, lambda document: bool(_data(document)["id"] == ident)


def _guest_checkout(person: Person, tag: str, chance: random.Random) -> Made:
    method, path, _, status, _ = _checkout(person, tag, chance)
    body = {"data": {"customer": {"name": "N", "email": "n@guest.example"}, "order_number": tag}}
    return method, path, body, status, lambda document: bool(_data(document)["id"] == f"guest.{tag}")


def _cart(person: Person, tag: str, chance: random.Random) -> Made:
    del person
    if chance.random() < 0.5:
        return "GET", f"/v2/carts/{tag}/items", None, 200, lambda document: bool(_data(document)[0]["id"] == tag)
    body = {"data": {"type": "cart_item", "id": tag, "quantity": 1}}
    return "POST", f"/v2/carts/{tag}/items", body, 201, lambda document: bool(_data(document)[0]["id"] == tag)


def _product(person: Person, tag: str, chance: random.Random) -> Made:
    del person, chance
    return "GET", f"/v2/products/{tag}", None, 200, lambda document: bool(_data(document)["id"] == tag)


def _products(person: Person, tag: str, chance: random.Random) -> Made:
    del person, chance

    def is_right(document: Any) -> bool:
        return [one["id"] for one in _data(document)] == [f"{tag}.{number}" for number in range(RECORDS)]

    return "GET", f"/v2/products?page[limit]=100&x={tag}", None, 200, is_right


def _denied(person: Person, tag: str, chance: random.Random) -> Made:
    path = chance.choice(
        ("/v2/orders", "/v2/customers", f"/v2/customers/{person.id}", f"/v2/orders/{_name(person)}.{tag}")
    )
    return "GET", path, None, 403, _refused


def _unknown(person: Person, tag: str, chance: random.Random) -> Made:
    del person
    return "GET", chance.choice((f"/v2/{tag}", "/v2/orders/a/b/c/d")), None, 404, _refused


_CUSTOMER: tuple[Maker, ...] = (
    _order, _order, _orders, _orders, _foreign_order, _foreign_customer, _widening, _self, _addresses,
    _address_written, _items, _payment, _checkout, _cart, _product, _products, _unknown,
)  # fmt: skip
_PUBLIC: tuple[Maker, ...] = (_product, _products, _cart, _guest_checkout, _denied, _unknown)
_RELAYED = frozenset({_product, _products, _cart})
_UNHEARD = frozenset({_foreign_customer, _widening, _denied, _unknown})
