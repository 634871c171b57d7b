"""How PostgreSQL is reached: what the store and the migrations have in common.

It holds no queries and no tables. A server that does not answer is one that is down: whoever asks waits two seconds at
the most, whether it is the network, a failing host or a process that stands still.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.stores.ports import StoreUnavailable
from gateway.stores.postgres_url import Place, Tls

ANSWER_SECONDS: Final = 1.8
"""How long one call of the store may take, the connection and its statements together."""

FAILURES: Final = (
    *(SQLAlchemyError, AsyncAdapt_asyncpg_dbapi.Error, OSError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
"""What is raised where the machine below fails."""

# Of each process. Ten replicas of two workers take 80 of the 100 that a server gives unless told otherwise.
_POOL_SIZE = 4
# Firewalls forget connections that say nothing for a while; seconds.
_RECYCLED = 600
# A host that has not answered by then is left to go on while the next one is asked too; seconds.
_HEAD_START = 0.4
# What is left of a process that stopped in the middle must not hold its rows; milliseconds.
_IDLE_IN_TRANSACTION = "5000"
# Nobody has this text, and it is no error of ours: a fail-over made a standby of the server that we hold.
_READ_ONLY = "25006"
# A call is made all the same where one before it has waited for as long as there is; seconds.
_LEAST = 0.1
# How long each call of a task that waits once has waited in vain.
_lost: ContextVar[list[float] | None] = ContextVar("lost", default=None)


def make_engine(place: Place, answer_seconds: float = ANSWER_SECONDS) -> AsyncEngine:
    """Return an engine whose connections lead to a server of the place that takes writes."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(place, answer_seconds),
        isolation_level="READ COMMITTED",
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_recycle=_RECYCLED,
        # The caller's own limit ends the wait.
        pool_timeout=2 * answer_seconds,
        # An exception would carry hashes and e-mails into a traceback.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "handle_error", _notice_standby)
    return engine


async def fetch(
    engine: AsyncEngine, sql: str, values: Sequence[object], answer_seconds: float = ANSWER_SECONDS
) -> Sequence[Sequence[Any]]:
    """Ask one thing outside of any transaction, and return the rows; for as long as the limit says, as `lent` does.

    Raises:
        StoreUnavailable: no connection could be had, or the server refused.

    """
    loop = asyncio.get_running_loop()
    with _answered(answer_seconds) as deadline:
        async with asyncio.timeout_at(deadline):
            pooled = await engine.raw_connection()
        wire: Any = pooled.driver_connection
        timer = loop.call_at(deadline, wire.terminate)
        try:
            rows: Sequence[Sequence[Any]] = await wire.fetch(sql, *values)
        except BaseException as error:
            # The answer to who was cancelled is under way on it, or it leads to a standby.
            if isinstance(error, asyncio.CancelledError) or getattr(error, "sqlstate", None) == _READ_ONLY:
                pooled.invalidate()
            raise
        finally:
            timer.cancel()
            pooled.close()
    if lost := _lost.get():
        # It is back.
        lost.clear()
    return rows


@contextlib.asynccontextmanager
async def lent(
    engine: AsyncEngine, isolation: str, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[AsyncConnection]:
    """Lend a connection for as long as the limit says, then cut it: what was asked fails as if the server were gone.

    Giving a statement up is no way out of a server that stands still, for it would be asked to confirm that.

    Raises:
        StoreUnavailable: no connection could be had, or a statement failed.

    """
    loop = asyncio.get_running_loop()
    with _answered(answer_seconds) as deadline:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout_at(deadline):
                connection = await engine.connect()
            wire: Any = (await connection.get_raw_connection()).driver_connection
            timer = loop.call_at(deadline, wire.terminate)
            # Also as long as a transaction is undone.
            stack.callback(timer.cancel)
            stack.push_async_callback(connection.close)
            yield await connection.execution_options(isolation_level=isolation)


def wait_once() -> None:
    """Have this task wait no longer for a server that stands still than one call may take, however many it makes."""
    _lost.set([])


@contextlib.contextmanager
def _answered(answer_seconds: float) -> Iterator[float]:
    """Give the time by which a call must have its answer, and say of a failure what a caller may know of it."""
    clock, lost = asyncio.get_running_loop().time, _lost.get()
    limit = answer_seconds if lost is None else min(answer_seconds, max(_LEAST, ANSWER_SECONDS - sum(lost)))
    deadline = clock() + limit
    try:
        yield deadline
    except FAILURES as error:
        failure = unavailable(error)
        if clock() >= deadline:
            failure = StoreUnavailable(f"PostgreSQL: no answer within {limit:g} s")
            if lost is not None:
                lost.append(limit)
        # PostgreSQL's details quote values of rows, and would stand in a traceback.
        raise failure from None


def unavailable(error: BaseException) -> StoreUnavailable:
    """Describe a failure in one line, in the words of the port, without statement, parameters or rows."""
    return StoreUnavailable(f"PostgreSQL: {_reason(error)}")


def _reason(error: BaseException) -> str:
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if error.__cause__ is not None and isinstance(error.__cause__, FAILURES):
        error = error.__cause__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not good: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, asyncpg.DataError):
        # The driver's own, too: their first line quotes the value.
        return "a value cannot be kept"
    if isinstance(error, asyncpg.PostgresError | asyncpg.TargetServerAttributeNotMatched) and error.args:
        # The first line names tables and roles, the detail below it values.
        return str(error.args[0]).splitlines()[0]
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return "the server has no TLS; sslmode=disable does without on a network that is yours alone"
    return "the connection was lost" if isinstance(error, OSError) else type(error).__name__


def _password_in(file: Path) -> str:
    """Return what stands in a file, but for what editors put around it: a byte order mark, the end of the line."""
    try:
        return file.read_text(encoding="utf-8").removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeDecodeError:
        raise StoreUnavailable("PostgreSQL: the password file is no text in UTF-8") from None


async def connect(place: Place, answer_seconds: float) -> asyncpg.Connection:
    """Return a connection to the first host that answers and is what is asked for.

    Hosts are asked in their order, each with a head start before the next: one that stands still must not use up the
    time of all. Raises what the last of them raised.
    """
    tls = False if place.tls is None else await asyncio.to_thread(_context, place.tls)
    password = place.password
    if place.password_file is not None:
        # Read each time: a password that was changed is in the file by then.
        password = await asyncio.to_thread(_password_in, Path(place.password_file))
    waiting = list(place.hosts)
    asking: set[asyncio.Task[asyncpg.Connection]] = set()
    failure: BaseException = ConnectionError()
    try:
        while waiting or asking:
            if waiting:
                host, port = waiting.pop(0)
                asked = _ask(place, host, port, password=password, tls=tls, answer_seconds=answer_seconds)
                asking.add(asyncio.ensure_future(asked))
            done, asking = await asyncio.wait(
                asking, timeout=_HEAD_START if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            good = [task for task in done if task.exception() is None]
            if good:
                asking |= {*good[1:]}
                return good[0].result()
            failure = next((error for task in done if (error := task.exception()) is not None), failure)
        raise failure
    finally:
        await _drop(asking)


async def _drop(asking: set[asyncio.Task[asyncpg.Connection]]) -> None:
    for task in asking:
        task.cancel()
    for end in await asyncio.gather(*asking, return_exceptions=True):
        if isinstance(end, asyncpg.Connection):
            end.terminate()


async def _ask(
    place: Place, host: str, port: int, *, password: str | None, tls: ssl.SSLContext | bool, answer_seconds: float
) -> asyncpg.Connection:
    limit = str(int(answer_seconds * 1000))
    return await asyncpg.connect(
        host=host,
        port=port,
        user=place.user,
        password=password,
        passfile=place.passfile,
        database=place.database,
        ssl=False if host.startswith("/") else tls,
        timeout=answer_seconds,
        target_session_attrs=place.target,
        server_settings={
            "application_name": "customer-token-gateway",
            # What was cut off here must not go on there, behind a lock that comes free at last.
            "statement_timeout": limit,
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        },
    )


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    # A server that was stopped or killed has closed them all: that is known here without asking.
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _notice_standby(context: Any) -> None:
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True
