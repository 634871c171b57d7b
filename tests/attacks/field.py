"""The field on which attacks are run: a gateway, its recording upstream, an attacker (Ron) and a victim (Leslie).

How to add a class of attack. Write one test function a rule into the file of its part, named after the advisory where
there is one, with one sentence that says the rule and where it comes from. Multiply its vectors with `every`: each
keyword is an argument of the function and a dimension, a mapping from names to values or just names. Build the bytes
with `Field.request` or by hand, send them with `Field.attack`, and judge the `Outcome`:

    @every(trick={"dots": "..", "encoded": "%2e%2e"}, route=["orders", "customers"])
    async def test_cve_0000_00000_what_it_is(field: Field, trick: str, route: str) -> None:
        outcome = await field.attack(field.request("GET", f"/v2/{trick}/{route}"))
        assert_refused(outcome)

- `assert_refused`: a 4xx, and not one byte to the upstream.
- `assert_matched_or_refused`: that, or the upstream got exactly the path that was matched, in a spelling that nobody
  behind us can read as another path.
- `assert_clean` is part of both: no byte of anybody but the attacker in any reply, one Authorization upstream, which is
  the gateway's, no header beyond the list, no way to read the request's frame twice, and no failure in the log.

`attack` sends a harmless request behind the bytes when the connection is still open, and reads to the connection's end:
what a parser held back, or took for a second request, has shown itself by then. One gateway serves all vectors of a
module (fixture `field`), so that a vector costs milliseconds: mark the module with `pytestmark = ON_ONE_LOOP`.
"""

import asyncio
import functools
import itertools
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest

from gateway.authn.key import Algorithm, Key, generate, load_key
from gateway.config.compile import key_ring, snapshot
from gateway.demo.data import APRIL, GUEST, LESLIE, PEOPLE, RON, Person, identity
from gateway.demo.shop import Shop
from gateway.routing import Match, RouteTable
from gateway.vocab.messages import Target
from gateway.wire import target as wire_target
from tests.fakes.commerce import Commerce
from tests.fakes.wire import Recorded
from tests.gateways import TRUSTED_SECRET, UPSTREAM_SECRET, Replicas, Site
from tests.gateways import site as run_site
from tests.server.raw import PATIENCE, RawClient, RawReply, connected

ON_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
"""Tests that share the fixture `field` share its event loop."""

# Nobody is throttled: the attacks that are about that set up their own gateway.
CONFIG = """\
extends: moltin.yaml
customers:
  read_back: 200ms
  throttle:
    account: {burst: 100000, per_minute: 100000}
    address: {burst: 100000, per_minute: 100000}
    registrations:
      address: {burst: 100000, per_minute: 100000}
      email: {burst: 100000, per_minute: 100000}
    password_changes: {burst: 100000, per_minute: 100000}
"""

PROBE = "/v2/currencies/probe"
"""What is asked behind an attack: does the connection still speak HTTP, one answer for one request?"""
SMUGGLED = "/v2/currencies/smuggled"
"""What an attack hides inside another request; a trusted bearer makes it good if anybody reads it."""

# Written by hand from docs/upstream.md section 5, not taken from the code: a second opinion of what may go upstream.
_PASSING = frozenset({
    "accept", "accept-language", "content-type", "traceparent", "tracestate", "user-agent",
    "ep-beta-features", "ep-channel", "ep-context-tag", "ep-disable-beta-filtering", "ep-inventories-multi-location",
    "x-moltin-application", "x-moltin-currencies", "x-moltin-currency", "x-moltin-language", "x-moltin-locale",
    "x-moltin-sdk-language", "x-moltin-sdk-version",
})  # fmt: skip
_CONDITIONAL = frozenset({
    "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range",
})  # fmt: skip
_OURS = frozenset({"host", "authorization", "accept-encoding", "via", "x-forwarded-for", "x-request-id"})
_FRAMING = frozenset({"content-length", "transfer-encoding"})

ADDRESS = {
    "type": "address", "first_name": "Ron", "last_name": "Swanson", "line_1": "1 Main Street", "county": "Wamapoke",
    "postcode": "46001", "country": "US",
}  # fmt: skip


def every(**dimensions: Mapping[str, object] | Iterable[str]) -> pytest.MarkDecorator:
    """Parametrise over the product of the dimensions; each vector is named after its values."""
    named = [
        values if isinstance(values, Mapping) else {value: value for value in values} for values in dimensions.values()
    ]
    rows = itertools.product(*(values.items() for values in named))
    vectors = [pytest.param(*(value for _, value in row), id="-".join(name for name, _ in row)) for row in rows]
    return pytest.mark.parametrize(tuple(dimensions), vectors)


def order_of(person: Person, number: int = 0) -> str:
    """Return the id of an order."""
    return identity("order", f"{person.email}:{number}")


def address_of(person: Person) -> str:
    """Return the id of the address that everybody has."""
    return identity("address", f"{person.email}:Home")


@functools.cache
def telling(person: Person) -> list[bytes]:
    """Return what shows that a reply holds something of this person."""
    ids = [person.id, address_of(person), *(order_of(person, number) for number in range(person.orders))]
    return [text.encode() for text in (person.canary, person.name, person.email, *ids)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attack: the replies, and what the upstream received meanwhile (without the probe's)."""

    sent: bytes
    replies: list[RawReply]
    requests: list[Recorded]
    beside: list[str]
    """Upstream bytes that are no whole request: unfinished or malformed."""
    failures: list[dict[str, Any]]
    """Lines in the log about bugs."""
    is_answered: bool
    """Whether each reply came whole and the connection ended where it was announced."""
    site: Site
    me: Person | None

    @property
    def first(self) -> RawReply:
        """Return the first reply."""
        assert self.replies, "no reply"
        return self.replies[0]

    @property
    def status(self) -> int:
        """Return the first reply's status."""
        return self.first.status

    @property
    def paths(self) -> list[str]:
        """Return the paths that the upstream was asked for."""
        return [request.path for request in self.requests]

    @property
    def last(self) -> Recorded:
        """Return the last request that the upstream received."""
        assert self.requests, "nothing went upstream"
        return self.requests[-1]


@dataclass(slots=True)
class Field:
    """A running gateway, everybody's tokens and the key they are signed with."""

    site: Site
    key: Key
    bearer: str
    trusted: str
    token: str
    """The attacker's."""
    stolen: str
    """The victim's: what an attacker must not be able to use through a hidden place."""
    routes: RouteTable = field(init=False)

    def __post_init__(self) -> None:
        self.routes = snapshot(self.site.config, key_ring(self.site.config)).routes

    def lines(self, *, customer: bool = True) -> list[str]:
        """Return the header lines with which the attacker proves who asks."""
        token = [f"X-Moltin-Customer-Token: {self.token}"] if customer else []
        return [f"Authorization: Bearer {self.bearer}", *token]

    def request(
        self,
        method: str,
        target: str | bytes,
        *lines: str | bytes,
        body: object = None,
        customer: bool = True,
        proof: Collection[str] | None = None,
        host: str = "Host: shop.example",
    ) -> bytes:
        """Write a request; a body that is not bytes is sent as JSON. `proof` stands in for the usual header lines."""
        head = [host, *(self.lines(customer=customer) if proof is None else proof), *lines]
        content = b""
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            if not any(_bytes(line).lower().startswith(b"content-type") for line in lines):
                head.append("Content-Type: application/json")
            head.append(f"Content-Length: {len(content)}")
        first = b" ".join((method.encode(), _bytes(target), b"HTTP/1.1"))
        return b"\r\n".join((first, *map(_bytes, head), b"", content))

    async def attack(self, raw: bytes, *, to_head: bool = False, me: Person | None = RON) -> Outcome:
        """Send the bytes on a connection of their own and see what comes of them; `me` may be shown."""
        commerce = self.site.commerce
        commerce.forget()
        log_size = self.site.log.tell()
        replies: list[RawReply] = []
        is_probed, is_answered = False, False
        async with connected(self.site) as client:
            client.send(raw)
            try:
                while not is_answered:
                    replies.append(await read_reply(client, to_head=to_head and not replies))
                    if replies[-1].ends:
                        is_answered = await client.rest() == b""
                        break
                    if not is_probed:
                        is_probed = True
                        client.send(self.request("GET", PROBE, "Connection: close", customer=False))
            except (asyncio.IncompleteReadError, ConnectionError):
                # The connection was broken off, which is an answer as well.
                pass
        requests = commerce.requests
        if is_probed and requests and requests[-1].path == PROBE:
            requests.pop()
            replies.pop()
        beside = [*commerce.malformed, *(repr(request.raw) for request in commerce.unfinished)]
        self.site.log.seek(log_size)
        # Reading leaves the place where it was: behind the last line.
        added = [json.loads(line) for line in self.site.log.read().splitlines()]
        failures = [line for line in added if line["event"] == "failed"]
        return Outcome(raw, replies, requests, beside, failures, is_answered, self.site, me)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


async def read_reply(client: RawClient, *, to_head: bool = False) -> RawReply:
    """Read one final reply; interim ones before it are taken for nothing."""
    status, headers, version = await client.head()
    while status < 200:
        status, headers, version = await client.head()
    length = dict(headers).get("content-length")
    async with asyncio.timeout(PATIENCE):
        if to_head or status in {204, 304}:
            body = b""
        elif length is not None:
            body = await client.reader.readexactly(int(length))
        else:
            body = await read_chunks(client) if "transfer-encoding" in dict(headers) else await client.reader.read()
    return RawReply(status, headers, body, version)


async def read_chunks(client: RawClient) -> bytes:
    """Read a body in chunks."""
    body = b""
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        body += (await client.reader.readexactly(size + 2))[:-2]
    await client.reader.readexactly(2)
    return body


# --- What must hold after every attack ------------------------------------------------------------------------------


def assert_clean(outcome: Outcome) -> None:
    """Nothing of anybody else in the replies, nothing of the client's credentials upstream, no failure of ours."""
    assert outcome.failures == []
    for reply in outcome.replies:
        assert_own(reply, outcome)
    for request in outcome.requests:
        assert_ours(request, outcome)


def assert_own(reply: RawReply, outcome: Outcome) -> None:
    """Check that a reply is JSON of the one shape, and holds no byte of anybody but the attacker."""
    shown = b"\n".join([*(f"{name}: {value}".encode("latin-1") for name, value in reply.headers), reply.body])
    # What the attacker wrote is known to the attacker, and the links of a list repeat it.
    known = outcome.sent + unquote_to_bytes(outcome.sent)
    for person in (*PEOPLE, GUEST):
        if person != outcome.me:
            found = [text for text in telling(person) if text in shown and text not in known]
            assert not found, f"{found} in {shown!r}"
    for secret in (UPSTREAM_SECRET, TRUSTED_SECRET, outcome.site.commerce.url):
        assert secret.encode() not in shown
    assert reply.status != 500
    if reply.status == 204 or not reply.body:
        return
    assert reply.values("content-type")[0].startswith("application/json")
    if reply.status >= 400:
        (error, *_) = reply.json()["errors"]
        assert error["status"] == reply.status
        # A parser's text quotes the line it stumbles over: ours quotes nothing.
        assert {"title", "detail", "code"} <= error.keys() <= {"status", "title", "detail", "code", "source"}


def assert_ours(request: Recorded, outcome: Outcome) -> None:
    """Check that an upstream request was built from the allow-lists, with our bearer alone, and has one frame."""
    names = [name.lower() for name, _ in request.headers]
    assert len(names) == len(set(names)), names
    assert set(names) <= _PASSING | _CONDITIONAL | _OURS | _FRAMING, names
    assert len(_FRAMING.intersection(names)) < 2
    assert request.values("transfer-encoding") in ([], ["chunked"])
    assert request.values("host") == [outcome.site.commerce.url.removeprefix("http://")]
    if not request.is_grant:
        assert request.values("x-forwarded-for") in ([], ["127.0.0.1"]), "a client says who it is"
    (authorization,) = request.values("authorization")
    # The shop's own bearers are 40 hexadecimal digits; no token of a client looks like one.
    assert re.fullmatch(r"Bearer [0-9a-f]{40}", authorization)
    head = request.raw.partition(b"\r\n\r\n")[0]
    assert b"eyJ" not in head, "a token of a client went upstream"
    assert request.version == "HTTP/1.1"


def assert_refused(outcome: Outcome, *statuses: int, code: str | None = None) -> None:
    """Check for a refusal (4xx, or one of `statuses`) of which not one byte reached the upstream."""
    assert_clean(outcome)
    assert outcome.replies, "no reply"
    for reply in outcome.replies:
        assert reply.status in statuses if statuses else 400 <= reply.status < 500, reply
    if code is not None and outcome.first.body:
        assert outcome.first.code == code
    assert_nothing_sent(outcome)


def assert_nothing_sent(outcome: Outcome) -> None:
    """Check that the upstream received nothing, whole or in part."""
    assert not outcome.requests, outcome.requests[0].raw
    assert not outcome.beside, outcome.beside


def assert_matched_or_refused(field: Field, outcome: Outcome, method: str, target: str) -> None:
    """Check the house rule: zero bytes to the upstream, or exactly the path that was matched."""
    assert_clean(outcome)
    assert not outcome.beside, outcome.beside
    if not outcome.requests:
        assert_refused(outcome)
        return
    assert outcome.status < 500, outcome.first
    read = wire_target.parse(target)
    assert isinstance(read, Target), "what was refused went upstream"
    match = field.routes.match(method, read.segments)
    assert isinstance(match, Match), "what has no route went upstream"
    *looked_up, sent = outcome.requests
    # On open routes it is as the client wrote it.
    assert sent.method == method
    assert sent.path in {read.path, target.partition("?")[0]}
    # Beside it only what the gateway asks before: the record itself, or one above it in the same path.
    for request in looked_up:
        assert request.method == "GET"
        assert f"{read.path}/".startswith(f"{request.path}/")
    if read.folded is None:
        for request in outcome.requests:
            assert_one_reading(request.path)
        return
    # Letters that Unicode normalisation makes other letters: only on an open route, and whoever does so is on it too.
    assert not looked_up
    assert tuple(careless(sent.path)) == read.folded
    assert field.routes.match(method, read.folded).route is match.route  # type: ignore[union-attr]


def assert_one_reading(path: str) -> None:
    """Check that a path means the same to the most careless reader as it does to a strict one."""
    strict = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
    assert careless(path) == strict


def careless(path: str) -> list[str]:
    """Read a path as the sum of all servers would that were ever fooled by one."""
    for _ in range(3):
        path = unquote(path, errors="replace")
    path = re.split(r"[?#\x00]", unicodedata.normalize("NFKC", path).replace("\\", "/"))[0]
    segments: list[str] = []
    for raw in path.split("/"):
        segment = raw.partition(";")[0]
        dots = segment.strip(" ")
        if dots.strip("."):
            segments.append(segment)
        elif len(dots) > 1:
            del segments[-1:]
    return segments


def target_of(spelled: str | bytes) -> str:
    """Return a target as the gateway's deciders get it."""
    return spelled if isinstance(spelled, str) else spelled.decode("utf-8", "surrogateescape")


# --- Setting up -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def fielded(
    folder: Path, config: str = CONFIG, algorithm: Algorithm = Algorithm.EDDSA, replicas: Replicas | None = None
) -> AsyncIterator[Field]:
    """Run a gateway, or several, with a key of this kind before the recording upstream, everybody logged in."""
    written = generate(algorithm)
    (folder / "signing.jwk").write_text(written)
    async with (
        Commerce(Shop("canary-upstream-id", UPSTREAM_SECRET)) as commerce,
        run_site(commerce, folder, config=config, replicas=replicas) as site,
    ):
        tokens = [site.lasting(person) for person in (RON, LESLIE, APRIL)]
        assert len(set(tokens)) == 3
        bearers = [await site.bearer(kind) for kind in ("public", "trusted")]
        yield Field(site, load_key(written), *bearers, *tokens[:2])
