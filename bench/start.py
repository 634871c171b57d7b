"""`make bench-start`: how long the gateway takes from its start as a process to 200 on /ready of the admin port.

Each time with a store that is there already, and with none, which is then made. The gateway has core 0 for itself, the
upstream (asked for the server's bearer) and whoever asks for /ready have core 1.
"""

import http.client
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress

from bench.command import lane, parser, settings
from bench.machine import LOAD_CORE, PARTY_CORE, ROOT, START_PATIENCE, free_port, need, processor_seconds, stay_on
from bench.parties import Stage, stage
from bench.scorecard import Scorecard

WANTED = 1.0


def main() -> None:
    """Measure and print."""
    command = parser("start", __doc__, rounds=9)
    options = command.parse_args()
    need("taskset")
    card = Scorecard("start", settings(command, options))
    stay_on(LOAD_CORE)
    with stage() as on:
        file = str(on.routing_file("start", lane(options)))
        # Once for the files: they are read from disk, and Python compiles what is not compiled yet.
        start(on, file)
        kept, fresh = [], []
        used = processor_seconds(os.getpid())
        for _ in range(options.rounds):
            kept.append(start(on, file))
            (on.folder / "store.db").unlink()
            fresh.append(start(on, file))
        used = (processor_seconds(os.getpid()) - used) / (2 * options.rounds)
    for name, seconds in (("with a store", kept), ("without a store", fresh)):
        print(f"{name:16} {statistics.median(seconds):.3f} s (median; {min(seconds):.3f} to {max(seconds):.3f})")
    print(f"{used:.3f} s of processor time for a start, asking for /ready and a stop")
    card.want("seconds from start to ready, with a store", statistics.median(kept), most=WANTED, unit=" s")
    card.want("seconds from start to ready, without a store", statistics.median(fresh), most=WANTED, unit=" s")
    card.close()


def start(on: Stage, file: str) -> float:
    """Start a gateway, wait until it is ready, stop it, and return the seconds to ready."""
    listen, admin = free_port(), free_port()
    command = ["taskset", "-c", str(PARTY_CORE), sys.executable, "-m", "gateway", "serve", "--config", file]
    command += ["--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}", "--workers", "1"]
    with (on.folder / "start.log").open("w") as log:
        began = time.perf_counter()
        running = subprocess.Popen(command, stdout=log, stderr=log, env=on.env, cwd=ROOT)
        while not _is_ready(admin):
            if running.poll() is not None or time.perf_counter() - began > START_PATIENCE:
                sys.exit((on.folder / "start.log").read_text())
            time.sleep(0.002)
        seconds = time.perf_counter() - began
        running.send_signal(signal.SIGTERM)
        running.wait(START_PATIENCE)
    return seconds


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


if __name__ == "__main__":
    main()
