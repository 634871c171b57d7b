"""The small parts: seeds, snapshots, replies read from bytes, facts of routes."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from gateway.config.model import Config
from gateway.verify import recipes
from gateway.verify.client import Client, parse, unchunked
from gateway.verify.facts import RouteFacts, read
from gateway.verify.judge import Judge, Local
from gateway.verify.model import Message, Reply
from gateway.verify.snapshot import Change, What, compare, taken
from gateway.vocab.record_form import PRESETS
from tests.config.writing import minimal, route
from tests.gateways import Site
from tests.server.raw import served
from tests.verify.settings import routes


def test_snapshots_compare_records() -> None:
    """Changed, gone and new are told apart; times are no change, and paths that were not read say nothing."""
    before = taken("/o", [{"id": "1", "at": "2026-01-05T09:30:00Z"}, {"id": "2", "n": 1}], lambda _: True)
    later = taken("/o", [{"id": "1", "at": "2027-01-05T09:30:00Z"}, {"id": "2", "n": 2}, {"id": "3"}], lambda _: True)
    assert compare(before, before, ["/o"]) == []
    assert {(one.what, one.id) for one in compare(before, later, ["/o"])} == {(What.CHANGED, "2"), (What.NEW, "3")}
    assert compare(before, {}, []) == []
    assert compare(before, {}, ["/o"]) == [Change(What.GONE, "/o", "1"), Change(What.GONE, "/o", "2")]
    assert taken("/o", [{"id": "1"}], lambda _: False) == {}


def test_seeds_put_variables_in_and_find_routes() -> None:
    """A seed fits a route where its words are the route's words; a value that is not known is an error."""
    known = routes()
    requests = recipes.built_in().requests
    found = [recipes.find(request, tuple(known.values())) for request in requests]
    assert [route.name if route else None for route in found] == [
        "address-create",
        "cart-items",
        "cart-checkout",
        "cart-items",
    ]
    assert recipes.expand({"a": ["${x}-${x}", 1]}, {"x": "y"}) == {"a": ["y-y", 1]}
    with pytest.raises(recipes.UnknownVariableError):
        recipes.expand("${nothing}", {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requests: [{path: nothing}]", "requests.0.path"),
        ("nosuch: 1", "nosuch: Extra inputs"),
        ("a: [", "not valid YAML"),
        ("requests: [{path: /x, as: root}]", "requests.0.as"),
        ("requests: [{path: /x, saves: {oid: data.id}}]", "saves.oid: a JSON pointer begins with a slash"),
    ],
)
def test_a_faulty_seed_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The place and what is wrong with it."""
    file = tmp_path / "seed.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        recipes.load(file)
    with pytest.raises(ValueError, match="No such file"):
        recipes.load(tmp_path / "none.yaml")


def test_keys_open_all_that_is_below_them() -> None:
    """Who knows a cart's reference may use its items; the collection of carts is no key."""
    known = routes()
    assert {name for name, route in known.items() if route.is_key} >= {"cart", "cart-items", "cart-checkout"}
    assert not known["carts-create"].is_key
    assert ("relationships", "customer", "data", "id") in known["orders-list"].owners


def test_replies_are_read_from_bytes() -> None:
    """Chunks are joined; what is no reply is kept to be judged."""
    whole = parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
    assert (whole.status, whole.body) == (200, b"abcde")
    assert unchunked(b"zz\r\nabc") == b"zzabc"
    assert parse(b"garbage").status == 0
    assert parse(b"garbage").body == b"garbage"


async def test_requests_leave_as_spelled(site: Site) -> None:
    """Raw or not: dots, double slashes, repeated lines and strange methods reach the gateway as they were written."""
    async with Client(site.url, 5, 2) as client:
        for raw in (False, True):
            reply = await client.send(Message("GET", "/v2/orders/..//x%2F", (("X-A", "1"), ("X-A", "2")), raw=raw))
            assert reply.status == 400
            assert b"TARGET_AMBIGUOUS" in reply.body
            assert "x-request-id" in reply.head.lower()


async def test_compressed_replies_are_unpacked_and_busy_gateways_asked_again() -> None:
    """A gzip body is judged in plain text; 429 with Retry-After is followed by another try."""
    body = gzip.compress(b'{"canary":1}')
    replies = [
        b"HTTP/1.1 429 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while replies:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(replies.pop(0))

    async with served(serve) as url, Client(url, 5, 1) as client:
        reply = await client.send(Message("GET", "/"))
    assert (reply.status, reply.body, client.sent) == (200, b'{"canary":1}', 2)


async def test_nobody_there_is_no_reply() -> None:
    """Status 0 and the name of the fault, on both ways."""
    async with Client("http://127.0.0.1:9", 2, 1) as client:
        for raw in (False, True):
            reply = await client.send(Message("GET", "/", raw=raw))
            assert (reply.status, bool(reply.fault)) == (0, True)


def fields_of(preset: str, *allow: str) -> RouteFacts:
    """Return the facts of a route that makes notes, with these fields in its bodies."""
    rules = {"scope": [{"body_fields": {"allow": list(allow)}}, {"body_stamp": {"pointer": "/owner"}}]}
    written = route(name="notes", path="/notes", methods=["POST"], access={"customer": rules})
    (facts,) = read(Config.model_validate(minimal(routes=[written], records={"preset": preset})))
    return facts


def test_a_guess_learns_from_errors() -> None:
    """A field that an error names becomes another kind of value; where none is named, fields are left out."""
    guess = recipes.Guess(fields_of("rest", "text", "count"), "mark")
    assert guess.document() == {"text": "mark", "count": "mark"}
    assert guess.learn({"errors": [{"source": "count"}]})
    assert guess.document() == {"text": "mark", "count": 1}
    assert guess.learn({"errors": [{"source": "total"}]})
    assert guess.document() == {"text": "mark", "count": 1, "total": "mark"}
    found = []
    while guess.learn({"errors": [{"title": "no"}]}):
        found.append(guess.document())
    assert found == [{"text": "mark"}, {"count": "mark"}, {}]


def test_a_guess_has_the_form_of_its_api() -> None:
    """Wrapped or flat, and of a type where records have one."""
    jsonapi = recipes.Guess(fields_of("jsonapi", "type", "attributes/text"), "mark").document()
    assert jsonapi == {"data": {"type": "notes", "attributes": {"text": "mark"}}}
    assert recipes.Guess(fields_of("drf", "text"), "mark").document() == {"text": "mark"}
    assert recipes.Guess(fields_of("moltin", "text"), "mark").document() == {"data": {"type": "note", "text": "mark"}}


def test_ids_that_count_are_looked_for_where_they_mean_something() -> None:
    """The record 7 of another collection is nobody's; on B's own route it is B's, as is one that names B."""
    form = PRESETS["drf"]
    local = {"orders": Local("7", frozenset({"3"}), (("customer",),), form)}
    judge = Judge([], {"7", "3"}, {("id",), ("customer",)}, local)

    def judged(document: object, at: str) -> list[str]:
        return judge.judge("GET /", Reply(200, "", json.dumps(document).encode()), route=at)

    assert judged({"count": 1, "results": [{"id": 7}, {"id": 3}]}, "products") == []
    assert judged({"count": 1, "results": [{"id": 7, "customer": 1}]}, "orders") == []
    assert judged({"count": 1, "results": [{"id": 3, "customer": 1}]}, "orders") == ["a record with an id of B's"]
    assert judged({"id": 9, "customer": 7}, "orders") == ["a record that names B as its owner"]
