"""`gateway serve`: the gateway as a process or several; signals, workers, exit codes."""

import asyncio
import gc
import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from gateway.authn.key import generate
from gateway.cli import hangup
from gateway.cli.circle import leads_back
from gateway.cli.claim import claimed, listening
from gateway.cli.cores import WORKERS_MOST, usable
from gateway.cli.ending import exit_code
from gateway.cli.fault import START_FAULTS, cannot_start, fail
from gateway.cli.hangup import Hangups
from gateway.cli.loop import Stop, collect, run
from gateway.cli.membership import Membership
from gateway.cli.routing_file import read
from gateway.cli.streams import unblocked
from gateway.cli.supervisor import GRACE, Crew
from gateway.config.model import Config
from gateway.ops.outlet import Outlet
from gateway.server.parser import check as check_parser
from gateway.stores import Mark, mark_of, upgrade
from gateway.vocab.address import Address
from gateway.vocab.algorithm import Algorithm
from gateway.vocab.events import Lifecycle
from gateway.wiring import Gateway, running

# In memory, on Linux, in containers too (shm_overview(7)).
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what lies there is in a folder of its own that only its owner can open


def serve(path: Path, listen: Address, admin: Address, workers: int | None) -> int:
    """Serve until told to stop; returns the exit code. `workers` None makes one for each CPU."""
    config = read(path)
    if (fault := leads_back(config, listen, admin)) is not None:
        fail(fault)
    count = workers or min(usable(), WORKERS_MOST)
    shared = settled(config)
    opened: Mark | None = None

    def work(public: Address, private: Address, member: Membership) -> int:
        with unblocked() as log:
            try:
                return run_server(shared, public, private, log, member, opened)
            except START_FAULTS as error:
                member.fail(cannot_start(error, public, private))
                return 1

    try:
        if count == 1:
            with unblocked() as log:
                return run_server(config, listen, admin, log)
        # Each worker does it too and finds nothing to do, or to say; what cannot be had is told of once.
        check_parser()
        upgrade(config.store.url, may_migrate=config.store.migrate == "auto")
        # A worker that comes later, when somebody has put another file there, does not open that.
        opened = mark_of(config.store.url)
        # Until here a signal ends the process; from now on it is told to the workers.
        crew = Crew(config.server.heartbeat, config.server.drain)
        return run_workers(crew, work, listen, admin, count)
    except START_FAULTS as error:
        fail(cannot_start(error, listen, admin))


def run_server(
    config: Config,
    listen: Address,
    admin: Address,
    log: Outlet,
    member: Membership | None = None,
    opened: Mark | None = None,
) -> int:
    """Serve in this process until told to stop; returns the exit code.

    `member` makes it one of several workers, which have the store `opened`.
    """

    async def work(stop: Stop) -> None:
        if member is not None:
            member.begin(stop)
        hangups = Hangups()
        try:
            async with running(
                config, listen, admin, log=log, shared_ports=member is not None, opened=opened
            ) as gateway:
                hangups.say_by(partial(_say_unheeded, asyncio.get_running_loop(), gateway))
                if member is not None:
                    member.serve(gateway)
                await finish(gateway, stop)
        finally:
            hangup.ignore()

    return exit_code(run(work, ends_within=config.server.drain + GRACE))


async def finish(gateway: Gateway, stop: Stop) -> None:
    """Let a gateway that has started serve until it is told to stop, and the requests in flight finish.

    SIGINT after that cuts them.
    """
    collect()
    await stop.wait()
    stop.cuts = asyncio.ensure_future(gateway.drain())
    with suppress(asyncio.CancelledError):
        await stop.cuts


def _say_unheeded(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    # A signal comes between any two instructions, the log's too.
    loop.call_soon_threadsafe(gateway.emit, Lifecycle(hangup.UNHEEDED, hangup.REASON))


def settled(config: Config) -> Config:
    """Make up, once for all workers, the keys that the configuration leaves to chance."""
    tokens, log = config.tokens, config.log
    if not tokens.keys:
        tokens = tokens.model_copy(update={"keys": (SecretStr(generate(Algorithm.EDDSA)),)})
    if log.customer_key is None:
        log = log.model_copy(update={"customer_key": SecretStr(secrets.token_hex(32))})
    return config.model_copy(update={"tokens": tokens, "log": log})


def run_workers(
    crew: Crew, work: Callable[[Address, Address, Membership], int], listen: Address, admin: Address, count: int
) -> int:
    """Serve with several processes on the same ports: restart those that die, stop all when told to.

    `work` serves in a process of its own, given the addresses and its membership, and returns the exit code; what is
    in memory now is in each of them. Metrics are added up through files that the workers share; everything else a
    worker remembers (verified tokens, the throttle, the password pool) is its own. Raises OSError when a port cannot
    be had.
    """
    with (
        claimed(listen) as (public, held),
        listening(admin) as (private, desk),
        tempfile.TemporaryDirectory(prefix="gateway-metrics-", dir=_in_memory(), ignore_cleanup_errors=True) as shared,
    ):
        # Whatever start-up made is shared by all; a collector that looked through it would copy it.
        gc.collect()
        gc.freeze()
        return crew.run(lambda member: work(public, private, member), shared, count, desk, held)


def _in_memory() -> str | None:
    # The numbers need no disk, and a container with a read-only root has no folder for temporary files but this one.
    return _SHARED_MEMORY if "TMPDIR" not in os.environ and os.access(_SHARED_MEMORY, os.W_OK) else None
