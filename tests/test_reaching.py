"""What reaches an upstream is made of what the file says of it, and gone with the gateway."""

import asyncio
from pathlib import Path

from gateway.carrying.outbox import Outbox
from gateway.config.apiside import Upstream
from gateway.config.model import Config
from gateway.reaching import AllReached, Means, reach, reach_all
from gateway.vocab.messages import Trace
from gateway.vocab.policy import Credential, HeadLimits
from gateway.wiring import clock, now
from tests.carrying.certificates import Authority
from tests.config.writing import minimal
from tests.fakes.commerce import Commerce
from tests.server.raw import served

WEAKER = {"kind": "header", "name": "X-Api-Key", "value": "for-all"}


async def test_both_credentials_reach_the_upstream(upstream: Commerce) -> None:
    """Each with its own line; both are to be kept fresh, and the gateway is ready with the one for customers."""
    options = {"url": upstream.url, "credential": {"kind": "none"}, "public_credential": WEAKER}
    config = Config.model_validate(minimal(upstream=options))
    means = means_of()
    reached = reach("default", config.upstream, "", 3, means)
    assert reached.is_good
    assert len(reached.held) == 2
    assert reached.pool.most == 3
    assert await reached.backend.lines(Credential.SERVER) == ()
    assert await reached.backend.lines(Credential.PUBLIC) == (("x-api-key", "for-all"),)
    await reached.backend.look_up("/v2/products", (), Trace("r-1"))
    assert [request.path for request in upstream.requests] == ["/v2/products"]
    await reached.close()


def means_of() -> Means:
    """Return what all upstreams share."""
    return Means(Outbox(asyncio.get_running_loop()), HeadLimits(), lambda _: None, now, clock, lambda _: None)


def api(**keys: object) -> Upstream:
    """Return what a file says of an upstream."""
    return Upstream.model_validate({"url": "http://up.example", "credential": {"kind": "none"}, **keys})


async def closed(reached: AllReached) -> None:
    """Close all."""
    for one in reached.by_name.values():
        await one.close()


async def test_each_upstream_has_its_part_of_the_connections() -> None:
    """And nothing that another one has."""
    apis = {"a": api(connections=30), "b": api(connections=10), "c": api(connections=1)}
    reached = reach_all(apis, "", 20, means_of())
    assert [pool.most for pool in reached.pools.values()] == [14, 4, 1]
    for parts in (reached.pools, reached.backends, reached.parents):
        assert len({id(part) for part in parts.values()}) == 3
    assert [*reached.held.values()] == [f"upstreams.{name}.credential" for name in "abc"]
    await closed(reached)
    wide = reach_all(apis, "", 41, means_of())
    assert [pool.most for pool in wide.pools.values()] == [30, 10, 1]
    await closed(wide)


async def test_what_one_upstream_says_no_more_is_taken_from_no_other() -> None:
    """A change of one leaves the connections and credentials of the others; their look-ups are always new."""
    means = means_of()
    before = reach_all({"a": api(), "b": api()}, "", 20, means)
    after = reach_all({"a": api(), "b": api(timeouts={"idle": "1s"})}, "", 20, means, before)
    assert (after.pools["a"] is before.pools["a"], after.pools["b"] is before.pools["b"]) == (True, False)
    assert before.held.keys() & after.held.keys() == {*before.by_name["a"].held}
    assert after.parents["a"] is not before.parents["a"]
    await closed(before)
    await closed(after)


async def test_a_token_endpoint_elsewhere_has_connections_of_its_own() -> None:
    """They stay with the credential as long as nothing is said otherwise, and are gone with it."""
    means = means_of()

    def asks(url: str, **keys: object) -> dict[str, Upstream]:
        credential = {"client_id": "us", "client_secret": "x", "url": url}
        weaker = {"kind": "implicit", "client_id": "us", "url": url}
        return {"a": api(credential=credential, public_credential=weaker, **keys)}

    before = reach_all(asks("http://one.example/token"), "", 20, means)
    same = reach_all(asks("http://one.example/token", owner_memory="2s"), "", 20, means, before)
    assert len(before.connections) == 3
    assert same.connections == before.connections
    other = reach_all(asks("http://two.example/token"), "", 20, means, same)
    assert len(other.connections & before.connections) == 1
    moved = reach_all(asks("http://two.example/token"), "another authority", 20, means, other)
    assert not moved.connections & other.connections
    for one in (before, same, other, moved):
        await closed(one)


async def test_a_token_endpoint_elsewhere_is_proven_by_its_own_files(tmp_path: Path) -> None:
    """The secret goes to nobody whom they do not vouch for, whatever proves the upstream."""
    authority, asked = Authority.new(tmp_path), []

    async def grants(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        grant = b'{"access_token":"granted","expires_in":60}'
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(grant)
        writer.write(head + grant)
        await reader.read()

    async with served(grants, tls=authority.context("localhost")) as url:
        place = f"https://localhost:{url.rpartition(':')[2]}/token"
        for tls, is_granted in (({"ca_file": str(authority.file)}, True), ({}, False)):
            credential = {"client_id": "us", "client_secret": "x", "url": place, "tls": tls}
            reached = reach("default", api(credential=credential), "", 3, means_of())
            lines = await reached.backend.lines(Credential.SERVER)
            assert isinstance(lines, tuple) == is_granted
            await reached.close()
    assert asked == [b"POST /token HTTP/1.1\r\n"]


async def test_a_credential_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    """The only one makes a gateway not ready, and so do all; one of several takes the others from nobody."""
    bad = api(credential={"kind": "bearer", "token_file": str(tmp_path / "none")})
    no_more = "its routes answer 503 CREDENTIAL_UNAVAILABLE"
    for apis, expected in (
        ({"a": bad}, {"credential": False}),
        ({"a": api()}, {"credential": True}),
        ({"a": bad, "b": bad}, {"credential of a": False, "credential of b": False}),
        ({"a": api(), "b": bad}, {"credential of a": True, "credential of b": no_more}),
    ):
        reached = reach_all(apis, "", 9, means_of())
        assert reached.conditions == expected
        await closed(reached)
