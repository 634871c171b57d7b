"""The express lane's connections all together: at most so many, and nobody waits for one."""

import asyncio

from gateway.upstream.connections import ConnectionPool
from tests.server.raw import served
from tests.upstream.connected import OK, TIMES, pooled, saying, taken


async def test_the_pool_has_a_limit() -> None:
    """It gives what it has and no more; what was closed makes room."""
    async with pooled(saying(OK), most=2) as pool:
        first, second = await taken(pool), await taken(pool)
        for _ in range(20):
            assert pool.take() is None
            await asyncio.sleep(0)
        first.close()
        assert await taken(pool) not in {first, second}


async def test_the_pool_of_an_upstream_that_is_gone() -> None:
    """It gives none, does not try again and again, and leaves no task."""
    async with served(saying(OK)) as url:
        pass
    pool = ConnectionPool(url, TIMES, 4)
    tasks = asyncio.all_tasks()
    for _ in range(20):
        assert pool.take() is None
        await asyncio.sleep(0.005)
    assert asyncio.all_tasks() == tasks
    await pool.close()


async def test_a_closed_pool_opens_nothing() -> None:
    """Neither what was being opened nor what is asked for afterwards."""
    async with served(saying(OK)) as url:
        pool = ConnectionPool(url, TIMES, 4)
        tasks = asyncio.all_tasks()
        assert pool.take() is None
        await pool.close()
        assert pool.take() is None
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}
