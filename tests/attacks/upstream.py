"""The attacks from behind: requests of customers, whom each record belongs to, and what may come of an upstream's lies.

`besieged` runs a gateway before an upstream that answers what a test tells it to. `Siege.suffer` sends one request of
`WAYS` while the upstream misbehaves and returns the `Suffered`: the reply byte by byte, what the upstream received, and
what was logged. `assert_no_stranger` is part of all judgements; `Siege.is_sound` says that the gateway
still serves two customers their own, and nothing is left over in its connections.
"""

import gzip
import itertools
import json
import logging
import re
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.authn.key import Algorithm, generate, load_key
from gateway.demo import data
from gateway.demo.data import APRIL, GUEST, LESLIE, PEOPLE, RON, Person
from gateway.demo.shop import Shop
from gateway.vocab.messages import Json
from tests.attacks.field import ADDRESS, CONFIG, Field, address_of, order_of, telling
from tests.fakes.commerce import Commerce
from tests.fakes.faults import Predicate
from tests.fakes.wire import Recorded
from tests.gateways import UPSTREAM_SECRET, Site
from tests.gateways import site as run_site
from tests.server.raw import connected

# Nothing is remembered of a look-up: each vector meets the upstream anew.
ANEW = f"{CONFIG}upstream: {{owner_memory: 0s}}\n"

# How long an upstream of some attacks is waited for; it is never waited for where the gateway is right at once.
IMPATIENT = f"{CONFIG}upstream: {{owner_memory: 0s, timeouts: {{connect: 500ms, first_byte: 500ms, idle: 500ms}}}}\n"

MEGABYTE = 1024 * 1024
JSON = "content-type: application/json"
CANARY = LESLIE.canary
STRANGERS = (*PEOPLE, GUEST)
# design.md, "Status codes": what a reply to a misbehaving upstream may say beside its own client errors.
WITHHELD = frozenset({404, 502})
FAILED = frozenset({502, 503, 504})
# What stands in a reply that was not withheld (docs/upstream.md section 2 and 4).
TOP_LEVEL = frozenset({"data", "included", "meta", "links"})
ERROR = frozenset({"status", "title", "detail", "code", "source"})

Shape = Callable[["Way"], object]
"""Makes the document of an answer."""
Spell = Callable[[bytes], bytes]
"""Writes a body, or an answer with it, in a way of its own."""


@dataclass(frozen=True, slots=True)
class Way:
    """One scoped request: `kind` is of which kind its records are, `me` whose they have to be."""

    method: str
    path: str
    kind: str
    is_list: bool = False
    query: str = ""
    body: Json | None = None
    look_up: str | None = None
    status: int = 200
    me: Person = RON
    caller: str = "customer"

    @property
    def target(self) -> str:
        """The target as a client asks for it."""
        return self.path + self.query

    @property
    def own(self) -> Json:
        """A record of the caller's."""
        return record(self.kind, self.me)

    @property
    def foreign(self) -> Json:
        """The same kind of record, of somebody else."""
        return record(self.kind, LESLIE)

    def document(self, *records: object) -> Json:
        """Return the document in which records come; the caller's own one without any."""
        shown = list(records) or [self.own]
        if not self.is_list:
            return {"data": shown[0]}
        page = {"limit": 25, "offset": 0, "current": 1, "total": 1}
        return {"data": shown, "meta": {"page": page, "results": {"total": len(shown)}}, "links": {}}

    def asks(self, request: Recorded) -> bool:
        """Tell whether a request to the upstream is the one itself, and no look-up before it."""
        return (request.method, request.path) == (self.method, self.path)

    def looks_up(self, request: Recorded) -> bool:
        """Tell whether a request is the look-up before it."""
        return (request.method, request.path) == ("GET", self.look_up)


def record(kind: str, person: Person) -> Json:
    """Return a fresh record of somebody, which shows whose it is as far as its kind can."""
    heads, items, _ = data.orders()
    order = heads[order_of(person)]
    of_order = {"relationships": {"order": {"data": {"type": "order", "id": order["id"]}}}}
    match kind:
        case "customer":
            return data.customers()[person.id]
        case "address":
            return data.addresses()[person.id][address_of(person)] | {"relationships": owned_by(person)}
        case "order":
            return order
        case "order_item":
            return items[order["id"]][0] | of_order
        case "transaction":
            ident = data.identity("transaction", order["id"])
            return {"type": "transaction", "id": ident, "reference": person.canary, "status": "complete"} | of_order
        case _:
            return {"type": "customer", "id": person.id, "note": person.canary}


def without(body: Json, name: str) -> Json:
    """Return a record that lacks a member."""
    return {key: part for key, part in body.items() if key != name}


def owned_by(person: Person) -> Json:
    """Return relationships that name a customer."""
    return {"customer": {"data": {"type": "customer", "id": person.id}}}


ADDRESSES = f"/v2/customers/{RON.id}/addresses"
OWN_ADDRESS = f"{ADDRESSES}/{address_of(RON)}"
OWN_ORDER = f"/v2/orders/{order_of(RON)}"
GUEST_ORDER = f"/v2/orders/{order_of(GUEST)}"
CART = "/v2/carts/besieged"
PAY = {"data": {"gateway": "manual", "method": "purchase"}}
POSTAL = {key: value for key, value in ADDRESS.items() if key != "type"}
GUESTS_CHECKOUT = {"customer": {"name": GUEST.name, "email": GUEST.email}, "billing_address": POSTAL}
REFERENCES = {"data": [{"type": "customer", "id": RON.id}]}

# Every scoped route of config/moltin.yaml but the registration, which has a file of its own.
WAYS: dict[str, Way] = {
    "customers-list": Way("GET", "/v2/customers", "customer", is_list=True),
    "customer-read": Way("GET", f"/v2/customers/{RON.id}", "customer"),
    "customer-change": Way("PUT", f"/v2/customers/{RON.id}", "customer", body={"data": {"name": RON.name}}),
    "customer-delete": Way("DELETE", f"/v2/customers/{RON.id}", "customer"),
    "addresses-list": Way("GET", ADDRESSES, "address", is_list=True),
    "address-create": Way("POST", ADDRESSES, "address", body={"data": ADDRESS}, status=201),
    "address": Way("GET", OWN_ADDRESS, "address"),
    "address-change": Way("PUT", OWN_ADDRESS, "address", body={"data": ADDRESS}, look_up=OWN_ADDRESS),
    "address-delete": Way("DELETE", OWN_ADDRESS, "address", look_up=OWN_ADDRESS),
    "orders-list": Way("GET", "/v2/orders", "order", is_list=True, query="?include=items"),
    "order": Way("GET", OWN_ORDER, "order", query="?include=items"),
    "order-items": Way("GET", f"{OWN_ORDER}/items", "order_item", is_list=True, look_up=OWN_ORDER),
    "order-transactions": Way("GET", f"{OWN_ORDER}/transactions", "transaction", is_list=True, look_up=OWN_ORDER),
    "order-payments": Way("POST", f"{OWN_ORDER}/payments", "transaction", body=PAY, look_up=OWN_ORDER),
    "guest-payments": Way(
        "POST", f"{GUEST_ORDER}/payments", "transaction", body=PAY, look_up=GUEST_ORDER, me=GUEST, caller="public"
    ),
    "cart-checkout": Way(
        "POST", f"{CART}/checkout", "order", body={"data": {"customer": {"id": RON.id}, "billing_address": POSTAL}}
    ),
    "guest-checkout": Way(
        "POST", f"{CART}/checkout", "order", body={"data": GUESTS_CHECKOUT}, me=GUEST, caller="public"
    ),
    "cart-customers": Way("POST", f"{CART}/relationships/customers", "reference", is_list=True, body=REFERENCES),
    "cart-customers-delete": Way(
        "DELETE", f"{CART}/relationships/customers", "reference", is_list=True, body=REFERENCES
    ),
}
LISTS = {name: way for name, way in WAYS.items() if way.is_list}
SINGLES = {name: way for name, way in WAYS.items() if not way.is_list}
LOOKED_UP = {name: way for name, way in WAYS.items() if way.look_up is not None}
# Nothing proves, before they are asked for, whose these are.
UNPROVEN = (WAYS["order"], WAYS["address"])
LIST, SINGLE = WAYS["orders-list"], WAYS["order"]


# --- Answers of an upstream -----------------------------------------------------------------------------------------


def answer(document: object, status: int = 200, *headers: tuple[str, str]) -> bytes:
    """Write an answer with a document, or with these bytes, and a content type that no header gives."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = [f"{name}: {value}" for name, value in headers]
    if not any(name.lower() == "content-type" for name, _ in headers):
        lines.append("content-type: application/json")
    return framed(body, status, *lines, f"content-length: {len(body)}")


def framed(body: bytes, status: int = 200, *lines: str) -> bytes:
    """Write an answer with exactly these header lines."""
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode("latin-1") + body


def statuses(*numbers: int) -> dict[str, int]:
    """Name statuses as vectors."""
    return {str(number): number for number in numbers}


def body_of(way: Way, *records: object) -> bytes:
    """Write the document of a true answer, or one with these records."""
    return json.dumps(way.document(*records)).encode()


def foreign_list() -> bytes:
    """Write a whole answer that is somebody else's: neither the attacker's nor the victim's."""
    return answer(LIST.document(record("order", APRIL)))


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Write a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def halves(body: bytes) -> tuple[bytes, bytes]:
    """Cut a body in two."""
    return body[: len(body) // 2], body[len(body) // 2 :]


# --- Suffering one ---------------------------------------------------------------------------------------------------


def _integer(digits: str) -> int | str:
    # Python makes no number of more digits than this.
    return digits if len(digits) > sys.int_info.default_max_str_digits else int(digits)


@dataclass(frozen=True, slots=True)
class Suffered:
    """What came of a request to a misbehaving upstream."""

    way: Way
    raw: bytes
    """Every byte that the client got."""
    requests: list[Recorded]
    logged: str
    """What was logged meanwhile, by the gateway and by any library in its process."""

    @property
    def violations(self) -> int:
        """How many violations of isolation were told; `Siege.begin` checks that as many were counted."""
        return self.logged.count('"event":"guard_violated"')

    @property
    def refusals(self) -> int:
        """How many refusals were told."""
        return refusals_in(self.logged)

    @property
    def status(self) -> int:
        """The reply's status."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        """The reply's head."""
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """The reply's body as it was sent."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def document(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.body, parse_int=_integer)

    @property
    def code(self) -> str:
        """The refusal code of an error."""
        return str(self.document["errors"][0]["code"])


@dataclass(slots=True)
class Siege:
    """A gateway with a misbehaving upstream behind it."""

    field: Field
    heard: list[str]
    """What was said through Python's own logging."""
    family: str = ""
    """The test whose vectors are run."""

    @property
    def site(self) -> Site:
        """The gateway."""
        return self.field.site

    @property
    def commerce(self) -> Commerce:
        """The upstream."""
        return self.field.site.commerce

    def proof(self, caller: str) -> list[str]:
        """Return the lines by which the gateway knows a caller."""
        token = [f"X-Moltin-Customer-Token: {self.field.token}"]
        bearer = [f"Authorization: Bearer {self.field.bearer}"]
        match caller:
            case "public":
                return bearer
            case "limited":
                return [f"Authorization: Bearer {self.field.trusted}", *token]
            case "victim":
                return [*bearer, f"X-Moltin-Customer-Token: {self.field.stolen}"]
            case _:
                return bearer + token

    async def ask(self, way: Way, caller: str | None = None) -> bytes:
        """Send a request on a connection of its own and return every byte of what comes back."""
        proof = self.proof(caller or way.caller)
        raw = self.field.request(way.method, way.target, "Connection: close", body=way.body, proof=proof)
        async with connected(self.site) as client:
            client.send(raw)
            return await client.rest()

    async def suffer(
        self,
        way: Way,
        said: bytes | Callable[[Recorded], bytes] | None,
        *,
        when: Predicate | None = None,
        caller: str | None = None,
        close: bool = False,
    ) -> Suffered:
        """Send a request while the upstream answers `said` to it, or to what `when` says, and judge the least."""
        self.commerce.forget()
        if said is not None:
            self.commerce.script(when or way.asks, said, close=close)
        return await self.watch(way, caller)

    async def watch(self, way: Way, caller: str | None = None) -> Suffered:
        """Send a request to an upstream whose faults are set already, and judge the least."""
        log_size, heard = len(self.site.log.getvalue()), len(self.heard)
        raw = await self.ask(way, caller)
        logged = self.site.log.getvalue()[log_size:] + "\n".join(self.heard[heard:])
        suffered = Suffered(way, raw, self.commerce.requests, logged)
        assert_no_stranger(suffered)
        return suffered

    async def begin(self, family: str) -> None:
        """Begin the vectors of a test, after a look at what those before have left of the gateway."""
        if family == self.family:
            return
        self.family = family
        await self.is_sound()
        told, metrics = self.site.log.getvalue(), (await self.site.metrics()).splitlines()
        assert counted(metrics, "gateway_isolation_violations_total") == told.count('"event":"guard_violated"')
        assert counted(metrics, "gateway_refusals_total") == refusals_in(told)

    async def is_sound(self) -> bool:
        """Check that two customers still get their own, whoever asks first, and say so."""
        self.commerce.forget()
        for caller, me in (("victim", LESLIE), ("customer", RON), ("public", None)):
            way = replace(LIST, me=me or RON)
            if me is None:
                way = Way("GET", "/v2/products", "product")
            raw = await self.ask(way, caller)
            assert raw.startswith(b"HTTP/1.1 200 "), raw
            assert me is None or me.canary.encode() in raw
            for person in STRANGERS:
                assert person == me or not [text for text in telling(person) if text in raw]
        return True


def refusals_in(log: str) -> int:
    """Count the requests in a log that were refused."""
    return log.count('"event":"request"') - log.count('"code":null')


def counted(lines: list[str], name: str) -> float:
    """Add up a metric over all its labels."""
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


# --- What must hold ---------------------------------------------------------------------------------------------------


def shown_in(text: bytes, me: Person | None) -> list[bytes]:
    """Return what a text shows of anybody but `me`, packed or not."""
    plain = text
    for at in (found.start() for found in re.finditer(rb"\x1f\x8b\x08", text)):
        plain += zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(text[at:])
    strangers = [person for person in STRANGERS if person != me]
    return [mark for mark in itertools.chain.from_iterable(map(telling, strangers)) if mark in plain]


def assert_no_stranger(suffered: Suffered) -> None:
    """Check that nobody else shows in the reply or in the log, that nothing broke, and that the reply is JSON."""
    assert shown_in(suffered.raw, suffered.way.me) == [], suffered.raw
    # The log may not tell of the caller either, but that is the house's own test.
    assert shown_in(suffered.logged.encode(), None) == [], suffered.logged
    assert '"event":"failed"' not in suffered.logged, suffered.logged
    assert suffered.raw.startswith(b"HTTP/1.1 "), suffered.raw
    assert suffered.status != 500
    if suffered.status == 204:
        assert suffered.body == b""
        return
    assert f"content-length: {len(suffered.body)}".encode() in suffered.head.lower(), suffered.raw
    assert re.search(rb"\r\ncontent-type: application/(vnd\.api\+)?json(; charset=utf-8)?\r\n", suffered.head.lower())
    assert b"set-cookie" not in suffered.head.lower()
    document = suffered.document
    if suffered.status >= 400:
        assert set(document) == {"errors"}
        for error in document["errors"]:
            assert ERROR - {"source"} <= set(error) <= ERROR
            assert error["status"] == suffered.status
    else:
        assert set(document) <= TOP_LEVEL


def assert_withheld(suffered: Suffered, *statuses: int) -> None:
    """Check that nothing of an answer left: 404 for a single record, 502 for a list and for what was made; counted."""
    expected = set(statuses) or {502 if suffered.way.is_list or suffered.way.method == "POST" else 404}
    assert suffered.status in expected, suffered.raw
    assert suffered.violations + suffered.refusals > 0
    assert suffered.status != 404 or suffered.code == "RECORD_NOT_FOUND"


def assert_failed(suffered: Suffered) -> None:
    """Check for the answer to an upstream that cannot be understood."""
    assert_withheld(suffered, *FAILED)


def assert_unjudged(suffered: Suffered) -> None:
    """Check for the answer to a success that has a form which nobody can judge: it tells no record from none."""
    assert_withheld(suffered, *((404,) if suffered.way in UNPROVEN else FAILED))


def assert_own_or_failed(suffered: Suffered) -> None:
    """Check that a reply is whole and the caller's, or none at all; nothing between."""
    if suffered.status < 300:
        assert_own(suffered)
    elif suffered.status == 404:
        assert_unjudged(suffered)
    else:
        assert_failed(suffered)


def assert_own(suffered: Suffered) -> None:
    """Check that the caller got the own records."""
    assert suffered.status < 300, suffered.raw
    if suffered.status != 204:
        assert suffered.way.me.id in suffered.raw.decode() or suffered.way.me.canary in suffered.raw.decode()


def twice(document: Json, name: str, value: object, *, last: bool) -> bytes:
    """Write an object in which a member comes twice, this value before or behind the true one."""
    text, extra = json.dumps(document)[1:-1], f"{json.dumps(name)}: {json.dumps(value)}"
    return f"{{{text}, {extra}}}".encode() if last else f"{{{extra}, {text}}}".encode()


def writes(suffered: Suffered) -> list[Recorded]:
    """Return what the upstream received that was no look-up."""
    return [request for request in suffered.requests if request.method != "GET" or not suffered.way.looks_up(request)]


def packed(body: bytes) -> bytes:
    """Compress a body, always to the same bytes."""
    return gzip.compress(body, mtime=0)


# --- Setting up -------------------------------------------------------------------------------------------------------


class _Ear(logging.Handler):
    """Keeps what is logged through Python's logging, by whichever library."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self._heard.append(record.getMessage() + str(record.exc_info or ""))


@asynccontextmanager
async def besieged(
    folder: Path, config: str = ANEW, ports: list[int] | None = None, url: str | None = None
) -> AsyncIterator[Siege]:
    """Run a gateway before an upstream, everybody logged in, with an ear on every log.

    With `url` the gateway asks there for the upstream, whose port is put into `ports` before.
    """
    written = generate(Algorithm.EDDSA)
    (folder / "signing.jwk").write_text(written)
    heard: list[str] = []
    ear = _Ear(heard)
    logging.getLogger().addHandler(ear)
    try:
        async with AsyncExitStack() as stack:
            commerce = await stack.enter_async_context(Commerce(Shop("canary-upstream-id", UPSTREAM_SECRET)))
            if ports is not None:
                ports.append(commerce.port)
            site = await stack.enter_async_context(
                run_site(commerce, folder, config=config, UPSTREAM_URL=url or commerce.url)
            )
            tokens = [site.lasting(person) for person in (RON, LESLIE, APRIL)]
            bearers = [await site.bearer(kind) for kind in ("public", "trusted")]
            yield Siege(Field(site, load_key(written), *bearers, *tokens[:2]), heard)
    finally:
        logging.getLogger().removeHandler(ear)
