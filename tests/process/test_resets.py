"""A password reset killed with SIGKILL at each of its points: it is spent and done, or neither, and can be repeated."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from gateway.demo.data import RON
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import TRUSTED, TRUSTED_SECRET
from tests.postgres import Makes, Server, new_database
from tests.process.processes import Served, locked, serving

FIRST, LATER = "canary-first-password", "canary-later-password"
OWN = at(f"/v2/customers/{RON.id}", "GET")


async def token_for(served: Served, email: str) -> str:
    """Return a token, as the shop's server gets it."""
    form = {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": TRUSTED_SECRET}
    bearer = (await served.call("POST", "/oauth/access_token", data=form)).json()["access_token"]
    body = {"data": {"type": "password-reset", "email": email}}
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = await served.call("POST", "/v2/customers/password-resets", headers=headers, json=body)
    assert answer.status == 201, answer.body
    return str(answer.json()["data"]["token"])


async def spend(served: Served, token: str, password: str) -> int:
    """Spend a token; return the status."""
    body = {"data": {"type": "password", "token": token, "password": password}}
    return (await served.as_public("POST", "/v2/customers/passwords", json=body)).status


@pytest.mark.parametrize("is_held_upstream", [True, False], ids=["upstream", "store"])
async def test_killed_while_a_token_is_asked_for(
    environ: dict[str, str], upstream: Commerce, tmp_path: Path, *, is_held_upstream: bool
) -> None:
    """The one that was given before is good as before, for nothing has taken its place."""

    async def dies(served: Served) -> bool:
        try:
            await token_for(served, RON.email)
        except aiohttp.ClientError:
            return True
        return False

    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(environ))
        token = await token_for(served, RON.email)
        asked = len(upstream.requests)
        if is_held_upstream:
            upstream.fault(Fault.SILENT, when=OWN)
        else:
            stack.enter_context(locked(tmp_path / "store.db"))
        asking = asyncio.ensure_future(asyncio.wait_for(dies(served), 30))
        await upstream.wait(lambda: any(map(OWN, upstream.requests[asked:])))
        await served.kill()
        assert await asking
    upstream.forget()
    async with serving(environ) as again:
        assert await spend(again, token, FIRST) == 200
        assert (await again.login(RON.email, FIRST)).status == 201


async def test_killed_once_a_token_was_given(environ: dict[str, str], upstream: Commerce) -> None:
    """It is good at the next start, once; the one before it is not any more."""
    assert upstream.url == environ["UPSTREAM_URL"]
    async with serving(environ) as served:
        before, token = [await token_for(served, RON.email) for _ in range(2)]
        await served.kill()
    async with serving(environ) as again:
        assert await spend(again, before, FIRST) == 404
        assert await spend(again, token, FIRST) == 200
        assert await spend(again, token, LATER) == 404


async def test_killed_while_the_upstream_is_asked(environ: dict[str, str], upstream: Commerce) -> None:
    """Nothing is spent: the token is good at the next start, and sets the password."""
    async with serving(environ) as served:
        token = await token_for(served, RON.email)
        upstream.fault(Fault.SILENT, when=OWN)
        asked = len(upstream.requests)
        async with asyncio.TaskGroup() as group:
            spending = group.create_task(asyncio.wait_for(_dies(served, token, FIRST), 30))
            await upstream.wait(lambda: any(map(OWN, upstream.requests[asked:])))
            await served.kill()
        assert spending.result()
    upstream.forget()
    async with serving(environ) as again:
        assert (await again.login(RON.email, FIRST)).status == 404
        assert await spend(again, token, FIRST) == 200
        assert (await again.login(RON.email, FIRST)).status == 201


async def test_killed_before_the_store_is_written(environ: dict[str, str], upstream: Commerce, tmp_path: Path) -> None:
    """While somebody else writes, the step waits; killed then, it has not begun."""
    async with serving(environ) as served:
        token = await token_for(served, RON.email)
        async with asyncio.TaskGroup() as group:
            with locked(tmp_path / "store.db"):
                asked = len(upstream.requests)
                spending = group.create_task(asyncio.wait_for(_dies(served, token, FIRST), 30))
                await upstream.wait(lambda: any(map(OWN, upstream.requests[asked:])))
                await served.kill()
        assert spending.result()
    async with serving(environ) as again:
        assert await spend(again, token, FIRST) == 200


async def test_killed_after_the_answer(environ: dict[str, str], upstream: Commerce) -> None:
    """What was acknowledged is there: the password logs in, and the token is spent."""
    assert upstream.url == environ["UPSTREAM_URL"]
    async with serving(environ) as served:
        token = await token_for(served, RON.email)
        assert await spend(served, token, FIRST) == 200
        await served.kill()
    async with serving(environ) as again:
        assert await spend(again, token, LATER) == 404
        assert (await again.login(RON.email, FIRST)).status == 201


@pytest.mark.parametrize(
    ("harm", "heal"),
    [(Server.kill, Server.start), (Server.freeze, Server.thaw)],
    ids=["killed", "standing still"],
)
async def test_postgresql_goes_and_comes_back(
    environ: dict[str, str],
    upstream: Commerce,
    makes: Makes,
    harm: Callable[[Server], None],
    heal: Callable[[Server], None],
) -> None:
    """Meanwhile 503, and nothing is spent; what was acknowledged before is there afterwards."""
    assert upstream.url == environ["UPSTREAM_URL"]
    server = makes.server()
    shared = {**environ, "GATEWAY_STORE_URL": await new_database(server)}
    async with serving(shared) as one, serving(shared) as other:
        assert await spend(one, await token_for(one, RON.email), FIRST) == 200
        token = await token_for(other, RON.email)
        await asyncio.gather(one.bearer(), other.bearer())
        await asyncio.to_thread(harm, server)
        assert await spend(one, token, LATER) == 503
        await asyncio.to_thread(heal, server)
        async with asyncio.timeout(20):
            while (answer := await other.login(RON.email, FIRST)).status == 503:
                pass
        assert answer.status == 201
        async with asyncio.timeout(20):
            while (status := await spend(one, token, LATER)) == 503:
                pass
        assert status == 200
        assert (await other.login(RON.email, LATER)).status == 201


async def _dies(served: Served, token: str, password: str) -> bool:
    """Spend a token at a process that is killed meanwhile; True when there was no answer."""
    try:
        await spend(served, token, password)
    except aiohttp.ClientError:
        return True
    return False
