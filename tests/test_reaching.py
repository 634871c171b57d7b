"""What reaches an upstream is made of what the file says of it, and gone with the gateway."""

import asyncio

from gateway.carrying.outbox import Outbox
from gateway.config.model import Config
from gateway.reaching import Means, reach
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
    means = Means(Outbox(asyncio.get_running_loop()), HeadLimits(), lambda _: None, now, clock, lambda _: None)
    reached = reach(config.upstream, "", 3, means)
    assert reached.is_good
    assert len(reached.held) == 2
    assert reached.pool.most == 3
    assert await reached.backend.lines(Credential.SERVER) == ()
    assert await reached.backend.lines(Credential.PUBLIC) == (("x-api-key", "for-all"),)
    await reached.backend.look_up("/v2/products", (), Trace("r-1"))
    assert [request.path for request in upstream.requests] == ["/v2/products"]
    await reached.close()
