"""`gateway serve`: the gateway as a process or several; signals, workers, exit codes."""

import asyncio
import gc
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from gateway.cli import hangup
from gateway.cli.candidate import Reading
from gateway.cli.chance import Chance
from gateway.cli.circle import leads_back
from gateway.cli.claim import claimed, listening
from gateway.cli.cores import WORKERS_MOST, usable
from gateway.cli.ending import exit_code
from gateway.cli.fault import START_FAULTS, cannot_start, fail
from gateway.cli.following import Following
from gateway.cli.hangup import Hangups
from gateway.cli.loop import Stop, collect, run
from gateway.cli.membership import Membership
from gateway.cli.reload import Reloader
from gateway.cli.rollout import Rollout
from gateway.cli.routing_file import read_all
from gateway.cli.streams import unblocked
from gateway.cli.supervisor import GRACE, Crew
from gateway.config.files import Files
from gateway.ops.outlet import Outlet
from gateway.server.parser import check as check_parser
from gateway.stores import Mark, mark_of, upgrade
from gateway.vocab.address import Address
from gateway.wiring import Gateway, running

# In memory, on Linux, in containers too (shm_overview(7)).
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what lies there is in a folder of its own that only its owner can open


def serve(path: Path, listen: Address, admin: Address, workers: int | None) -> int:
    """Serve until told to stop; returns the exit code. `workers` None makes one for each CPU."""
    files, chance = Files(), Chance()
    loaded = read_all(path, files)
    config, reading = loaded.config, Reading(path, {**os.environ}, listen, admin, loaded, files)
    if (fault := leads_back(config, listen, admin)) is not None:
        fail(fault)
    count = workers or min(usable(), WORKERS_MOST)
    opened: Mark | None = None

    def work(public: Address, private: Address, member: Membership) -> int:
        with unblocked() as log:
            try:
                return run_worker(crew.rollout, public, private, log, member, opened)
            except START_FAULTS as error:
                member.fail(cannot_start(error, public, private))
                return 1

    try:
        if count == 1:
            with unblocked() as log:
                return run_alone(reading, chance, log)
        # Each worker does it too and finds nothing to do, or to say; what cannot be had is told of once.
        check_parser()
        upgrade(config.store.url, may_migrate=config.store.migrate == "auto")
        # A worker that comes later, when somebody has put another file there, does not open that.
        opened = mark_of(config.store.url)
        # Until here a signal ends the process; from now on it is told to the workers.
        crew = Crew(reading, chance)
        return run_workers(crew, work, listen, admin, count)
    except START_FAULTS as error:
        fail(cannot_start(error, listen, admin))


def run_alone(reading: Reading, chance: Chance, log: Outlet) -> int:
    """Serve in this process alone until told to stop; returns the exit code."""

    async def work(stop: Stop) -> None:
        hangups, reloader = Hangups(), Reloader(reading, chance)
        try:
            async with (
                running(chance.settle(reading.in_force), reading.listen, reading.admin, log=log) as gateway,
                asyncio.TaskGroup() as group,
            ):
                # A signal comes between any two instructions.
                hangups.say_by(partial(asyncio.get_running_loop().call_soon_threadsafe, reloader.ask))
                reloading = group.create_task(reloader.run(gateway), name="configuration")
                await finish(gateway, stop)
                reloading.cancel()
        finally:
            hangup.ignore()

    return exit_code(run(work, ends_within=reading.in_force.config.server.drain + GRACE))


def run_worker(
    rollout: Rollout, listen: Address, admin: Address, log: Outlet, member: Membership, opened: Mark | None
) -> int:
    """Serve as one of several workers, which have the store `opened`, until told to stop; returns the exit code.

    `rollout` says with which configuration it begins.
    """
    loaded, files = rollout.settled, rollout.files

    async def work(stop: Stop) -> None:
        member.begin(stop)
        hangups = Hangups()
        try:
            async with (
                running(loaded, listen, admin, log=log, shared_ports=True, opened=opened) as gateway,
                asyncio.TaskGroup() as group,
            ):
                following = Following(gateway, files, member.say)
                hangups.say_by(partial(asyncio.get_running_loop().call_soon_threadsafe, following.ask))
                member.serve(gateway, following.take)
                doing = group.create_task(following.run(), name="configuration")
                await finish(gateway, stop)
                doing.cancel()
                member.leave(gateway, following.take)
        finally:
            hangup.ignore()

    return exit_code(run(work, ends_within=loaded.config.server.drain + GRACE))


async def finish(gateway: Gateway, stop: Stop) -> None:
    """Let a gateway that has started serve until it is told to stop, and the requests in flight finish.

    SIGINT after that cuts them.
    """
    collect()
    await stop.wait()
    stop.cuts = asyncio.ensure_future(gateway.drain())
    with suppress(asyncio.CancelledError):
        await stop.cuts


def run_workers(
    crew: Crew,
    work: Callable[[Address, Address, Membership], int],
    listen: Address,
    admin: Address,
    count: int,
) -> int:
    """Serve with several processes on the same ports: restart those that die, stop all when told to.

    `work` serves in a process of its own, given the addresses and its membership, and returns the exit code; what is
    in memory now is in each of them. Metrics are added up through files that the workers share; everything else a
    worker remembers (verified tokens, its throttles, the password pool) is its own. Raises OSError when a port cannot
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
