"""How the end meets clients that come all the time, and what a hang-up is."""

import asyncio
import os
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.process.processes import Served, children, serving

_ASK = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_CLIENTS = 8
_WORKERS = [1, 2]


@dataclass(eq=False)
class Crowd:
    """Clients that connect anew for each request, until nobody listens any more."""

    served: int = 0
    lost: list[str] = field(default_factory=list)

    async def ask(self, address: str) -> None:
        """Be one of them."""
        host, _, port = address.rpartition(":")
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            try:
                writer.write(_ASK)
                answer = await reader.read()
            except OSError as error:
                answer = type(error).__name__.encode()
            if answer.startswith(b"HTTP/1.1 404 "):
                self.served += 1
            else:
                self.lost.append(answer[:40].decode())
            writer.close()


@pytest.mark.parametrize("workers", _WORKERS)
async def test_no_fresh_connection_is_reset(environ: dict[str, str], workers: int) -> None:
    """At SIGTERM each connection that the kernel has made is answered; who comes later is refused."""
    crowd = Crowd()
    async with serving(environ, workers=workers) as served:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CLIENTS):
                group.create_task(crowd.ask(served.public))
            await served.logged(lambda _: crowd.served > 100)
            served.tell(signal.SIGTERM)
        assert await served.ended() == 0
    assert not crowd.lost


def heard(served: Served) -> int:
    """Count the hang-ups that the log tells of: nothing had changed."""
    reloads = [line for line in served.lines if line["event"] == "config_reload"]
    assert {line["outcome"] for line in reloads} <= {"unchanged"}
    return len(reloads)


@pytest.mark.parametrize("workers", _WORKERS)
async def test_a_hangup_ends_nothing(environ: dict[str, str], workers: int) -> None:
    """The configuration is read again, and the log says so once; afterwards all processes serve."""
    async with serving(environ, workers=workers) as served:
        for count in (1, 2):
            served.tell(signal.SIGHUP)
            await served.logged(lambda _: heard(served) == count)  # noqa: B023 - it is waited for here
        assert {(await served.call("GET", "/nowhere")).status for _ in range(4)} == {404}
        for pid in children(served.pid):
            os.kill(pid, signal.SIGHUP)
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
        assert served.errors == []


def takes_hangups(pid: int) -> bool:
    """Tell whether a process ignores or catches SIGHUP (proc(5): the lowest bit of its masks)."""
    masks = re.findall(r"(?m)^Sig(?:Ign|Cgt):\t([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text())
    return any(int(mask, 16) & 1 for mask in masks)


@pytest.mark.parametrize("workers", _WORKERS)
async def test_a_hangup_while_it_starts(environ: dict[str, str], workers: int) -> None:
    """Before anybody can say so it is ignored as well."""
    async with serving(environ, workers=workers, wait=False, afresh=True) as served:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            started = group.create_task(served.started(workers))
            # Before, it is not the gateway yet but Python that starts.
            while not takes_hangups(served.pid):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0)
            while not started.done():
                served.tell(signal.SIGHUP)
                await asyncio.sleep(0.02)
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
