"""Log-outs over worker processes that share an SQLite file, and over the end of all of them."""

import asyncio

from tests.fakes.commerce import Commerce
from tests.process.processes import Served, serving

EMAIL, PASSWORD, NAME = "april@pawnee.example", "canary-password-april", "April Ludgate"
# Requests in a row, each over a connection of its own, after which every one of two workers has been asked.
ENOUGH = 12


async def token_of(served: Served) -> str:
    """Log in, which succeeds."""
    answer = await served.login(EMAIL, PASSWORD)
    assert answer.status == 201
    return str(answer.json()["data"]["token"])


async def test_a_log_out_counts_on_all_workers(environ: dict[str, str], upstream: Commerce) -> None:
    """Within two seconds at the latest, by asking the file; the customer's other tokens go on at each."""
    assert upstream.url == environ["UPSTREAM_URL"]
    async with serving(environ, workers=2) as served:
        assert (registered := await served.register(EMAIL, PASSWORD, NAME)) is not None
        assert registered.status == 201
        for _ in range(3):
            token, other = await token_of(served), await token_of(served)
            assert {(await served.orders(token)).status for _ in range(ENOUGH)} == {200}
            assert (await served.log_out(token)).status == 204
            refused = 0
            async with asyncio.timeout(2):
                while refused < ENOUGH:
                    refused = refused + 1 if (await served.orders(token)).status == 403 else 0
            assert {(await served.orders(other)).status for _ in range(ENOUGH)} == {200}


async def test_a_log_out_outlives_a_power_cut(environ: dict[str, str], upstream: Commerce) -> None:
    """What was answered 204 is on the disk: whoever starts next knows it before the first request."""
    assert upstream.url == environ["UPSTREAM_URL"]
    async with serving(environ) as served:
        assert await served.register(EMAIL, PASSWORD, NAME) is not None
        token, other = await token_of(served), await token_of(served)
        assert (await served.log_out(token)).status == 204
        await served.kill()
    async with serving(environ) as again:
        assert (await again.orders(token)).code == "CUSTOMER_TOKEN_INVALID"
        assert (await again.orders(other)).status == 200
