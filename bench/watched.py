"""A gateway that counts itself: `python -m bench.watched ROUTING_FILE PORT ADMIN_PORT FILE`.

At SIGUSR1 it adds a line to the file: tasks, open descriptors, memory and objects, after a look for garbage.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path

from bench.machine import resident_kib
from gateway.cli.ending import exit_code
from gateway.cli.loop import Stop, run
from gateway.cli.serve import finish
from gateway.config.load import load
from gateway.wiring import Address, running


def main(routing_file: str, port: str, admin: str, file: str) -> int:
    """Serve until stopped."""

    def count() -> None:
        gc.collect()
        counted = {
            "tasks": len(asyncio.all_tasks()),
            "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "resident": resident_kib(os.getpid()),
            "objects": len(gc.get_objects()),
        }
        with Path(file).open("a") as counts:
            counts.write(json.dumps(counted) + "\n")

    async def work(stop: Stop) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, count)
        config = load(Path(routing_file), os.environ)
        at = Address("127.0.0.1", int(port)), Address("127.0.0.1", int(admin))
        async with running(config, *at, log=sys.stdout) as gateway:
            await finish(gateway, stop)

    return exit_code(run(work))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
