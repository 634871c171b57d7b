"""PostgreSQL's first server dies and its standby takes over: replicas find it, and what was acknowledged is there."""

import asyncio

from gateway.demo.data import RON
from tests.fakes.commerce import Commerce
from tests.postgres import Makes, Server, ask, new_database
from tests.process.processes import serving
from tests.process.test_resets import spend, token_for

FIRST, LATER = "canary-first-password", "canary-later-password"
# What a login may take until it succeeds again once there is a server that takes writes; seconds.
BACK = 5.0


async def standby(makes: Makes, primary: Server) -> Server:
    """Give a standby without which the primary acknowledges nothing."""
    other = await asyncio.to_thread(makes.server, primary)
    await ask(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'")
    await ask(primary.url(), "SELECT pg_reload_conf()")
    async with asyncio.timeout(20):
        while ("sync",) not in await ask(primary.url(), "SELECT sync_state FROM pg_stat_replication"):
            pass
    return other


async def test_the_standby_takes_over(makes: Makes, environ: dict[str, str], upstream: Commerce) -> None:
    """Logins are 503 until there is a server that takes writes, and then come back by themselves, on all replicas.

    Tokens that are out go on all the while. A new password, a log-out and a reset that was spent just before the death
    count; the reset that was only asked for can be spent.
    """
    assert upstream.url == environ["UPSTREAM_URL"]
    primary = makes.server()
    name = (await new_database(primary)).rpartition("/")[2]
    second = await standby(makes, primary)
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{second.port}"
    url = f"postgresql://postgres@{hosts}/{name}?target_session_attrs=read-write"
    shared = {**environ, "GATEWAY_STORE_URL": url}
    async with serving(shared, wait=False) as one, serving(shared, wait=False) as other:
        replicas = (one, other)
        await asyncio.gather(*(served.started() for served in replicas))
        spent = await token_for(one, RON.email)
        assert await spend(one, spent, FIRST) == 200
        held, ended = [(await other.login(RON.email, FIRST)).json()["data"]["token"] for _ in range(2)]
        assert (await other.log_out(ended)).status == 204
        asked = await token_for(one, RON.email)
        await asyncio.to_thread(primary.kill)
        assert {(await served.login(RON.email, FIRST)).status for served in replicas} == {503}
        assert {(await served.orders(held)).status for served in replicas} == {200}
        await asyncio.to_thread(second.promote)
        async with asyncio.timeout(BACK):
            for served in replicas:
                while (answer := await served.login(RON.email, FIRST)).status == 503:
                    pass
                assert answer.status == 201
        assert {(await served.orders(ended)).status for served in replicas} == {403}
        assert {(await served.orders(held)).status for served in replicas} == {200}
        assert await spend(other, spent, LATER) == 404
        assert await spend(other, asked, LATER) == 200
        async with asyncio.timeout(2):
            while {(await served.orders(held)).status for served in replicas} != {403}:
                pass
        assert (await one.login(RON.email, LATER)).status == 201
