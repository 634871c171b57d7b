"""Fuzzes whole requests over sockets: `python -m tests.fuzz.exchanges --seconds 60 --seed 1`.

Good requests of a customer or the public are changed in method, target, headers, framing, body and single bytes. Judged
are the bytes that a recording upstream gets and the replies: either nothing goes upstream, or exactly the path that was
matched, narrowed to the caller, with the gateway's own bearer; and no reply holds what is somebody else's.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from gateway.demo import data as demo
from gateway.demo.data import APRIL, LESLIE, LESLIE_ID, PEOPLE, RON, RON_CART, RON_ID, Person
from gateway.demo.shop import Shop
from gateway.vocab.refusals import Refusal
from gateway.wire.headers import CONDITIONAL, FORWARDED
from gateway.wire.target import parse, serialise
from tests.fakes.commerce import Commerce, Recorded
from tests.gateways import UPSTREAM_SECRET, CanaryShop, Site
from tests.gateways import site as run_site

# A request that ends the connection, so that nobody waits for more where the framing was kept.
LAST = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
# How long an idle gateway may be silent before the client gives up.
SILENCE = 0.03
SMUGGLED = "/v2/products/smuggled"
OWN = {
    "accept-encoding", "authorization", "connection", "content-length", "host", "transfer-encoding", "via",
    "x-forwarded-for", "x-request-id",
}  # fmt: skip
MAY_PASS = FORWARDED | CONDITIONAL | OWN
# Open routes that take bodies.
CODED = re.compile(r"/v2/carts/[^/]+/items(?:/[^/]+)?|/v2/inventories/multiple|/catalog/products/[^/]+/configure")
# Refusals that are decided before anything is sent.
EARLY = {
    "ACCESS_DENIED", "BEARER_INVALID", "BEARER_MISSING", "BODY_FIELD_FORBIDDEN", "BODY_FIELD_UNKNOWN",
    "BODY_MALFORMED", "BODY_TYPE", "BODY_UNEXPECTED", "CUSTOMER_TOKEN_INVALID", "FILTER_FIELD_RESERVED",
    "FILTER_INVALID", "HEADERS_TOO_LARGE", "METHOD_NOT_ALLOWED", "QUERY_NOT_ALLOWED", "QUERY_REPEATED", "ROUTE_UNKNOWN",
    "TARGET_AMBIGUOUS", "TARGET_INVALID",
}  # fmt: skip
ORDER = demo.identity("order", f"{RON.email}:0")
FOREIGN = demo.identity("order", f"{LESLIE.email}:0")
ADDRESS = demo.identity("address", f"{RON.email}:Home")

ADDRESS_FIELDS = {"first_name": "R", "last_name": "S", "line_1": "x", "county": "x", "postcode": "1", "country": "US"}
ADDRESS_BODY = json.dumps({"data": {"type": "address", **ADDRESS_FIELDS}}).encode()
BASES: tuple[tuple[str, str, bytes | None], ...] = (
    ("GET", "/v2/orders", None),
    ("GET", "/v2/orders?filter=eq(status,paid)&sort=-created_at&page[limit]=5", None),
    ("GET", f"/v2/orders/{ORDER}", None),
    ("GET", f"/v2/orders/{ORDER}/items", None),
    ("GET", f"/v2/orders/{ORDER}/transactions", None),
    ("GET", "/v2/customers", None),
    ("GET", f"/v2/customers/{RON_ID}", None),
    ("GET", f"/v2/customers/{RON_ID}/addresses", None),
    ("GET", f"/v2/customers/{RON_ID}/addresses/{ADDRESS}", None),
    ("PUT", f"/v2/customers/{RON_ID}", b'{"data":{"type":"customer","name":"Ron"}}'),
    ("POST", f"/v2/customers/{RON_ID}/addresses", ADDRESS_BODY),
    ("POST", f"/v2/orders/{ORDER}/payments", b'{"data":{"gateway":"manual","method":"purchase"}}'),
    ("POST", f"/v2/carts/{RON_CART}/items", b'{"data":{"type":"cart_item","id":"x","quantity":1}}'),
    ("POST", f"/v2/carts/{RON_CART}/relationships/customers", b'{"data":[{"type":"customer","id":"me"}]}'),
    ("GET", "/v2/products?page[limit]=1", None),
    ("GET", "/catalog/products", None),
)  # fmt: skip

PIECES = (
    "/..", "/.", "//", "/%2e%2e", "/%2E./", "%2f", "%5c", "\\", "%00", "%0d%0aX:%20y", "%20", "+", ";", ";a=b", "#",
    "?",
    "%3f", "%23", "%252e", "&", "&filter=", "&filter[]=x", "&FILTER=x", "&fil%74er=x",
    f"&filter=eq(customer_id,{LESLIE_ID})",
    f"|eq(customer_id,{LESLIE_ID})", "):eq(id,*", "&include=customer,items", "&page[limit]=1000", "/items", "/payments",
    "/addresses", LESLIE_ID, FOREIGN, RON_ID, "/v2/customers", "/v2/orders", "/relationships/customers", "é", "\x7f",
    "*",
)  # fmt: skip
LINES = (
    "Authorization: Bearer x", "Authorization:", "authorization: Basic eDp5", "X-Moltin-Customer-Token:",
    "X-Moltin-Customer-Token: a.b.c", "X_Moltin_Customer_Token: a.b.c", "X.Moltin.Customer.Token: x",
    f"X-Customer-Id: {LESLIE_ID}",
    f"X-Moltin-Customer-Id: {LESLIE_ID}", "Connection: close, Authorization, X-Moltin-Customer-Token",
    "Connection: keep-alive", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Upgrade: websocket",
    "HTTP2-Settings: AAMAAABkAAQAAP__", "Transfer-Encoding: chunked", "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: \x0bchunked", "TE: trailers",
    "Transfer-Encoding: chunked, identity", "Content-Length: 0", "Content-Length: 5", "Content-Length: +3",
    "Content-Length: 1e3",
    "Content-Length: 4, 4", "Content-Length: 99999999999999999999", "Expect: 100-continue",
    "X-HTTP-Method-Override: DELETE",
    "X-Original-URL: /v2/customers", "X-Rewrite-URL: /v2/customers", "X-Forwarded-Prefix: /v2/customers",
    "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;by=x", "Host: evil.example", "Host: a;by=evil",
    "Cookie: a=b",
    "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "Content-Encoding: gzip",
    "Content-Type: application/json; charset=utf-16", "Accept: */*", "Accept-Encoding: gzip", "Range: bytes=0-5",
    "If-None-Match: *", "EP-Channel: web", "X-MOLTIN-AUTH-STORE: x", "EP-Internal-Search-Ast-X: y",
    "Trailer: Authorization",
    " folded: line", "no colon", ": nameless", "X: \x00", "X: \r", "X:\ty", "Origin: https://shop.example",
    "Access-Control-Request-Method: DELETE", "X: " + "y" * 9000, "Proxy-Connection: keep-alive",
)  # fmt: skip
BODIES = (
    b'"id":"%s",' % LESLIE_ID.encode(), b'"customer":{"id":"%s"},' % LESLIE_ID.encode(), b'"data":{},', b"\xef\xbb\xbf",
    b'"relationships":{"customer":{"data":{"type":"customer","id":"%s"}}},' % LESLIE_ID.encode(),
    b'"password":"a-new-password",',
    b'"type":"customer","type":"x",', b'"__proto__":{"id":1},', b"[" * 40, b"\xff\xfe", b"1e999", b'"\\ud800"',
    b"\x00", b"\r\n",
    b"0\r\n\r\n", b"GET " + SMUGGLED.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
)  # fmt: skip
METHODS = (
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "get",
    "Get",
    "G\x00T",
    "MKCOL",
)
VERSIONS = ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/1.11", "")


@dataclass(frozen=True, slots=True)
class Case:
    """One connection's worth of bytes, sent for one caller (None: the public)."""

    person: Person | None
    raw: bytes
    secrets: tuple[str, ...]


class FindingError(AssertionError):
    """What must never happen, with the bytes that made it happen."""

    def __init__(self, what: str, raw: bytes) -> None:
        super().__init__(f"{what}\n{raw!r}")
        self.what = what
        self.raw = raw


@dataclass(slots=True)
class _Draft:
    """A request while it is being changed."""

    method: str
    target: str
    version: str
    lines: list[str]
    body: bytes
    is_torn: bool = False

    def raw(self) -> bytes:
        """Write it."""
        return "\r\n".join([f"{self.method} {self.target} {self.version}", *self.lines, "", ""]).encode() + self.body


class Grammar:
    """Makes requests; the same seed makes the same ones, but for the tokens in them."""

    def __init__(self, seed: str, bearer: str, tokens: dict[str, str]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a seed to repeat is what it is for
        self._bearer = bearer
        self._tokens = tokens

    def case(self) -> Case:
        """Make the bytes of one connection: one to three requests of one caller."""
        chance = self._random
        person = chance.choice((None, RON, RON, RON, APRIL))
        raw = b"".join(self._request(person) for _ in range(chance.choice((1, 1, 1, 1, 2, 3))))
        secrets = (self._bearer, *((self._tokens[person.email],) if person else ()))
        return Case(person, raw, secrets)

    def _request(self, person: Person | None) -> bytes:
        chance = self._random
        method, target, body = chance.choice(BASES)
        if person is APRIL:
            target = target.replace(RON_ID, APRIL.id)
        lines = ["Host: shop.example", f"Authorization: Bearer {self._bearer}"]
        if person is not None:
            lines.append(f"X-Moltin-Customer-Token: {self._tokens[person.email]}")
        if body is not None:
            lines.append("Content-Type: application/json")
        draft = _Draft(method, target, "HTTP/1.1", lines, self._framed(body, lines))
        mutations = chance.choices(
            (self._target, self._first_line, self._line, self._body, self._bytes),
            (8, 3, 7, 4, 2),
            k=chance.choice((0, 0, 1, 1, 1, 2, 2, 3, 5)),
        )
        for mutation in mutations:
            mutation(draft)
        raw = draft.raw()
        return self._torn(raw) if draft.is_torn else raw

    def _target(self, draft: "_Draft") -> None:
        at = self._random.randrange(len(draft.target) + 1)
        end = at + self._random.choice((0, 0, 0, 1, 4))
        draft.target = draft.target[:at] + self._random.choice(PIECES) + draft.target[end:]

    def _first_line(self, draft: "_Draft") -> None:
        if self._random.random() < 2 / 3:
            draft.method = self._random.choice(METHODS)
        else:
            draft.version = self._random.choice(VERSIONS)

    def _line(self, draft: "_Draft") -> None:
        chance, lines = self._random, draft.lines
        new = chance.choice(lines if lines and chance.random() < 0.15 else LINES)
        if lines and chance.random() < 0.15:
            lines.pop(chance.randrange(len(lines)))
        else:
            lines.insert(chance.randrange(len(lines) + 1), new)

    def _body(self, draft: "_Draft") -> None:
        at = self._random.randrange(len(draft.body) + 1)
        draft.body = draft.body[:at] + self._random.choice(BODIES) + draft.body[at:]

    def _bytes(self, draft: "_Draft") -> None:
        draft.is_torn = True

    def _framed(self, body: bytes | None, lines: list[str]) -> bytes:
        """Add the lines that frame the body, and frame it."""
        chance = self._random
        if body is None:
            return b""
        if chance.random() < 0.3:
            at = body.find(b'"', chance.randrange(len(body)))
            body = body[:at] + chance.choice(BODIES) + body[at:]
        if chance.random() < 0.6:
            lines.append(f"Content-Length: {len(body)}")
            return body
        lines.append("Transfer-Encoding: chunked")
        cut = chance.randrange(len(body))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        extension = chance.choice((b"", b"", b";a=b", b" ", b";\n"))
        chunks = [b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts]
        odd = (b"0\r\nAuthorization: x\r\n\r\n", b"0\r\n", b"00\r\n\r\n")
        return b"".join(chunks) + chance.choice((b"0\r\n\r\n",) * 4 + odd)

    def _torn(self, raw: bytes) -> bytes:
        """Change, lose or double some bytes."""
        chance = self._random
        at = chance.randrange(len(raw))
        end = min(len(raw), at + chance.choice((1, 1, 2, 8)))
        byte = bytes([chance.randrange(256)])
        new = chance.choice((b"", raw[at:end] * 2, byte, b"\r\n", b"\n", b"\x00", b" ", b"\t", b":"))
        return raw[:at] + new + raw[end:]


class Judge:
    """Sends cases to a gateway and judges what comes of them."""

    def __init__(self, site: Site) -> None:
        self.statuses: Counter[int] = Counter()
        self.forwarded = 0
        self._site = site

    async def one(self, case: Case) -> None:
        """Send a case; raises FindingError."""
        site, commerce = self._site, self._site.commerce
        commerce.forget()
        received = await self._exchange(case.raw + LAST)
        await site.gateway.edge.drained()
        replies = self._replies(received, case)
        self.statuses.update(status for status, _ in replies)
        for person in PEOPLE:
            if person is not case.person and person.canary.encode() in received:
                raise FindingError(f"the reply holds what is {person.name}'s", case.raw)
        if any(secret.encode() in received for secret in (*case.secrets, UPSTREAM_SECRET)):
            raise FindingError("the reply holds a secret", case.raw)
        for request in commerce.requests:
            if problem := self._problem(request, case):
                raise FindingError(f"{problem}: {request.raw!r}", case.raw)
        self.forwarded += len(commerce.requests)
        if commerce.malformed:
            raise FindingError(f"the upstream got what is no request: {commerce.malformed}", case.raw)
        if problem := self._mismatch(replies, case):
            raise FindingError(problem, case.raw)
        if any(status == 500 for status, _ in replies):
            raise FindingError("the gateway failed", case.raw)
        self._restore(changed=any(request.method != "GET" for request in commerce.requests))

    async def _exchange(self, raw: bytes) -> bytes:
        """Send bytes and return all that comes back until the gateway closes, or is silent for too long."""
        listen = self._site.gateway.listen
        reader, writer = await asyncio.open_connection(listen.host, listen.port)
        received = b""
        patience = 2
        try:
            writer.write(raw)
            while patience:
                try:
                    async with asyncio.timeout(SILENCE):
                        piece = await reader.read(2**20)
                except TimeoutError:
                    # It waits for the rest of a request that never comes, unless it is still at work.
                    await self._site.gateway.edge.drained()
                    patience -= 1
                    continue
                if not piece:
                    break
                received += piece
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        return received

    def _replies(self, received: bytes, case: Case) -> list[tuple[int, bytes]]:
        """Split what came into replies: each whole, well framed, JSON or empty. The methods of requests are unsure."""
        replies = []
        heads_only = re.search(rb"HEAD|head", case.raw) is not None
        while received:
            head, mark, rest = received.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            found = re.fullmatch(r"HTTP/([0-9.]+) ([1-5][0-9]{2}) [ -~]*", first)
            if not mark or found is None:
                raise FindingError(f"no reply: {received[:200]!r}", case.raw)
            if found[1] not in {"1.0", "1.1"}:
                raise FindingError(f"a reply in another version: {first!r}", case.raw)
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            status = int(found[2])
            if status < 200 or (heads_only and (not rest or rest.startswith(b"HTTP/"))):
                body = b""
            else:
                body, rest = _body(status, fields, rest, case)
            if status >= 400 and body and "errors" not in json.loads(body):
                raise FindingError(f"an error without envelope: {body[:200]!r}", case.raw)
            if status >= 200:
                replies.append((status, body))
            received = rest
        return replies

    def _problem(self, request: Recorded, case: Case) -> str | None:
        """Say what is wrong with a request that the upstream got."""
        bearers = request.values("authorization")
        if len(bearers) != 1 or not re.fullmatch(r"Bearer [0-9a-f]{40}", bearers[0]):
            return "not our bearer, or more than one"
        if any(secret.encode() in request.raw for secret in case.secrets):
            return "a client's token goes upstream"
        # What is only passed on may be coded: nobody here reads it.
        coded = {"content-encoding"} if CODED.fullmatch(request.path) and request.body else set()
        strange = {name.lower() for name, _ in request.headers} - MAY_PASS - coded
        if strange:
            return f"headers {strange} go upstream"
        if request.values("x-forwarded-for") not in ([], ["127.0.0.1"]):
            return "a client says who it is"
        for name in ("host", "content-length", "transfer-encoding", "content-type"):
            if len(request.values(name)) > 1:
                return f"{name} goes upstream twice"
        target = parse(request.target)
        if isinstance(target, Refusal):
            return "the target has two readings"
        if serialise(target.path, target.query) != request.target and request.target.encode() not in case.raw:
            return "the target is neither canonical nor as it came"
        if "smuggled" in request.target:
            return "a request without bearer was forwarded"
        return _unscoped(request, case.person)

    def _mismatch(self, replies: list[tuple[int, bytes]], case: Case) -> str | None:
        """Compare what was forwarded with the only request that was sent; several cannot be told apart."""
        requests = self._site.commerce.requests
        if len(replies) != 2 or case.raw.count(b"HTTP/") != 1:
            return None
        status, body = replies[0]
        code = json.loads(body)["errors"][0].get("code") if status >= 400 and body else ""
        if code in EARLY and requests:
            return f"refused with {code}, and yet forwarded: {requests[0].raw!r}"
        words = case.raw.partition(b"\r\n")[0].split(b" ")
        target = parse(words[1].decode("latin-1")) if len(words) == 3 else None
        if not requests:
            return None
        if target is None or isinstance(target, Refusal):
            return f"the target is refused, and yet forwarded: {requests[-1].raw!r}"
        # Before the request itself only the records that prove whose it is are asked for.
        if requests[-1].path != target.path and not target.path.startswith(f"{requests[-1].path}/") and status < 300:
            return f"another path was forwarded: {requests[-1].raw!r}"
        return None

    def _restore(self, *, changed: bool) -> None:
        if changed:
            shop = self._site.commerce.shop
            fresh = Shop("x", "y")
            shop.customers, shop.addresses, shop.orders = fresh.customers, fresh.addresses, fresh.orders
            shop.carts, shop.cart_items = fresh.carts, fresh.cart_items
            shop.order_items, shop.transactions = fresh.order_items, fresh.transactions


def _body(status: int, fields: dict[str, str], data: bytes, case: Case) -> tuple[bytes, bytes]:
    """Split what stands behind a head into its body and the rest."""
    if "transfer-encoding" in fields:
        return _unchunked(data)
    if "content-length" not in fields and status not in {204, 304}:
        # Only the end of the connection says where this body ends, so that nothing may follow.
        if b"HTTP/1." in data:
            raise FindingError(f"a reply behind one that has no end: {data[-300:]!r}", case.raw)
        return data, b""
    size = int(fields.get("content-length", 0))
    if len(data) < size:
        raise FindingError(f"a reply that is not whole: {data[:200]!r}", case.raw)
    return data[:size], data[size:]


def _unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        body, data = body + data[:size], data[size + 2 :]
        if size == 0:
            return body, data


def _unscoped(request: Recorded, person: Person | None) -> str | None:
    """Say how a request reaches beyond its caller, in words that share nothing with the routing file."""
    path, owner = request.path, person.id if person else None
    words = path.split("/")[1:]
    if words[0] == "catalog" or words[:2] == ["v2", "carts"]:
        return "the list of all carts" if path == "/v2/carts" and request.method != "POST" else None
    if words[0] != "v2" or len(words) < 2:
        return "an unknown path"
    clause = next((value for name, value in request.query if name == "filter"), "")
    match words[1]:
        case "products" | "categories" | "brands" | "collections" | "files" | "currencies":
            return None if request.method in {"GET", "HEAD"} else "a catalogue is changed"
        case "customers" if len(words) == 2:
            if request.method == "POST":
                return None
            # Registrations and changes of an address ask who has an e-mail.
            own = clause.split(":")[0] == f"eq(id,{owner})" or re.fullmatch(r"eq\(email,[^:|]*\)", clause)
            return None if own and owner else "a list of customers that is not narrowed"
        case "customers":
            return None if words[2] == owner else "another customer"
        case "orders" if len(words) == 2:
            narrowed = owner and clause.split(":")[0] == f"eq(customer_id,{owner})"
            return None if narrowed else "a list that is not narrowed"
        case "orders":
            # Anybody may ask for an order; what the answer holds is judged.
            if len(words) == 3:
                return None if request.method in {"GET", "HEAD"} else "an order is changed"
            return _order_part(request, words, person)
        case _:
            return "an unknown path"


def _order_part(request: Recorded, words: list[str], person: Person | None) -> str | None:
    own = {demo.identity("order", f"{person.email}:{number}") for number in range(person.orders)} if person else set()
    if words[3:] in (["items"], ["transactions"]) and request.method in {"GET", "HEAD"}:
        return None if words[2] in own else "a part of another customer's order"
    if words[3:] == ["payments"] and request.method == "POST":
        return None if words[2] in {*own, demo.GUEST_ORDER_ID} else "another customer's order is paid"
    return "an unknown path"


async def fuzz(
    seed: int, go_on: Callable[[int], bool], folder: Path, found: Callable[[FindingError], None]
) -> tuple[int, Judge]:
    """Run cases as long as `go_on` says so of their number; tells of what must never happen."""
    async with (
        Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as commerce,
        run_site(commerce, folder) as site,
    ):
        tokens = {person.email: await site.token(person.email) for person in (RON, APRIL)}
        bearer = await site.bearer()
        judge = Judge(site)
        number = 0
        while go_on(number):
            case = Grammar(f"{seed}:{number}", bearer, tokens).case()
            try:
                await judge.one(case)
            except FindingError as finding:
                found(finding)
            except (ValueError, LookupError) as error:
                found(FindingError(f"a reply that cannot be read: {error!r}", case.raw))
            number += 1
        failed = [line for line in site.log_lines() if line["event"] == "failed"]
        if failed:
            found(FindingError(f"the log tells of faults: {failed[:3]}", b""))
    return number, judge


def main() -> None:
    """Run for some time; exit 1 with the bytes in files where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--findings", type=Path, default=Path(".hypothesis/findings"))
    options = parser.parse_args()
    until = monotonic() + options.seconds
    # The first of each kind; one fault is found again and again.
    kinds: dict[str, FindingError] = {}

    def found(finding: FindingError) -> None:
        kinds.setdefault(finding.what.partition(":")[0], finding)

    with tempfile.TemporaryDirectory() as folder:
        number, judge = asyncio.run(fuzz(options.seed, lambda _: monotonic() < until, Path(folder), found))
    for index, finding in enumerate(kinds.values()):
        options.findings.mkdir(parents=True, exist_ok=True)
        (options.findings / f"exchange-{options.seed}-{index}").write_bytes(finding.raw)
        sys.stdout.write(f"FOUND {finding}\n")
    statuses = " ".join(f"{status}:{count}" for status, count in sorted(judge.statuses.items()))
    sys.stdout.write(
        f"exchanges: seed={options.seed} executions={number} forwarded={judge.forwarded} findings={len(kinds)}"
        f" statuses={statuses}\n"
    )
    sys.exit(1 if kinds else 0)


if __name__ == "__main__":
    main()
