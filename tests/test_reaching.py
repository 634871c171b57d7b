"""What reaches an upstream is made of what the file says of it, and gone with the gateway."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.carrying.outbox import Outbox
from gateway.config.apiside import Upstream
from gateway.config.model import Config
from gateway.reaching import Means, reach, reach_all
from gateway.vocab.messages import Trace
from gateway.vocab.policy import Credential, HeadLimits
from gateway.wiring import clock, now
from tests.config.writing import minimal
from tests.fakes.commerce import Commerce

WEAKER = {"kind": "header", "name": "X-Api-Key", "value": "for-all"}


async def test_both_credentials_reach_the_upstream(upstream: Commerce) -> None:
    """Each with its own line; both are to be kept fresh, and the gateway is ready with the one for customers."""
    options = {"url": upstream.url, "credential": {"kind": "none"}, "public_credential": WEAKER}
    config = Config.model_validate(minimal(upstream=options))
    means = Means(Outbox(asyncio.get_running_loop()), HeadLimits(), lambda _: None, now, clock)
    async with AsyncExitStack() as stack:
        reached = reach("default", config.upstream, 3, means, stack)
        assert len(reached.held) == 2
        assert reached.pool.most == 3
        assert await reached.backend.lines(Credential.SERVER) == ()
        assert await reached.backend.lines(Credential.PUBLIC) == (("x-api-key", "for-all"),)
        await reached.backend.look_up("/v2/products", (), Trace("r-1"))
        assert [request.path for request in upstream.requests] == ["/v2/products"]


def api(**keys: object) -> Upstream:
    """Return what a file says of an upstream."""
    return Upstream.model_validate({"url": "http://up.example", "credential": {"kind": "none"}, **keys})


async def test_each_upstream_has_its_part_of_the_connections() -> None:
    """And nothing that another one has."""
    means = Means(Outbox(asyncio.get_running_loop()), HeadLimits(), lambda _: None, now, clock)
    apis = {"a": api(connections=30), "b": api(connections=10), "c": api(connections=1)}
    async with AsyncExitStack() as stack:
        reached = reach_all(apis, 20, means, stack)
        assert [pool.most for pool in reached.pools.values()] == [14, 4, 1]
        for parts in (reached.pools, reached.backends, reached.parents):
            assert len({id(part) for part in parts.values()}) == 3
        assert len([*reached.held]) == 3
        wide = reach_all(apis, 1000, means, stack)
        assert [pool.most for pool in wide.pools.values()] == [30, 10, 1]


async def test_a_credential_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    """The only one makes a gateway not ready, and so do all; one of several takes the others from nobody."""
    means = Means(Outbox(asyncio.get_running_loop()), HeadLimits(), lambda _: None, now, clock)
    bad = api(credential={"kind": "bearer", "token_file": str(tmp_path / "none")})
    async with AsyncExitStack() as stack:
        assert reach_all({"a": bad}, 9, means, stack).conditions == {"credential": False}
        assert reach_all({"a": api()}, 9, means, stack).conditions == {"credential": True}
        assert reach_all({"a": bad, "b": bad}, 9, means, stack).conditions == {
            "credential of a": False, "credential of b": False,
        }  # fmt: skip
        assert reach_all({"a": api(), "b": bad}, 9, means, stack).conditions == {
            "credential of a": True, "credential of b": "its routes answer 503 CREDENTIAL_UNAVAILABLE",
        }  # fmt: skip
