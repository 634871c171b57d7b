"""The channel on which PostgreSQL tells of log-outs as they happen. It says that there is news; what it is is asked.

A channel can be dead while its connection looks well: behind a pooler that lends it to somebody else, or a server that
stands still. So it is told something of its own every two seconds, and has to hear that.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from gateway.stores import postgres
from gateway.stores.ports import StoreUnavailable
from gateway.stores.postgres_url import Place

NAME: Final = "gateway_log_outs"
_BEAT: Final = 2.0


async def listen(place: Place, heard: Callable[[], None]) -> None:
    """Call `heard` once there is a channel and for all news, until it is dead, which it says by its end.

    Raises:
        StoreUnavailable: there is no channel any more, and why.

    """
    try:
        connection = await postgres.connect(place, _BEAT)
    except postgres.FAILURES as error:
        raise postgres.unavailable(error) from None
    loop = asyncio.get_running_loop()
    own, stirred, is_beating = f"gateway_beat_{secrets.token_hex(8)}", asyncio.Event(), False
    # Giving a statement up is no way out of a server that stands still: the wire is cut.
    timer = loop.call_later(_BEAT, connection.terminate)

    def beat(*_: object) -> None:
        nonlocal is_beating
        is_beating = True
        stirred.set()

    try:
        connection.add_termination_listener(lambda _: stirred.set())
        await connection.add_listener(NAME, lambda *_: heard())
        await connection.add_listener(own, beat)
        heard()
        while True:
            is_beating = False
            await connection.execute(f"NOTIFY {own}")
            while not is_beating and not connection.is_closed():
                await stirred.wait()
                stirred.clear()
            if connection.is_closed():
                raise StoreUnavailable("PostgreSQL: the channel of log-outs is dead")
            timer.cancel()
            # The beat may have come before the word that it was sent; the end of the channel is noticed at once.
            stirred.clear()
            loop.call_later(_BEAT, stirred.set)
            await stirred.wait()
            timer = loop.call_later(_BEAT, connection.terminate)
    except postgres.FAILURES:
        raise StoreUnavailable("PostgreSQL: the channel of log-outs is dead") from None
    finally:
        timer.cancel()
        connection.terminate()
