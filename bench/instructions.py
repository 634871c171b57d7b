"""`make bench-instructions`: the instructions in user space of a scoped GET, which do not depend on what else runs.

The whole gateway - one worker, guard and JSON log on, real sockets, the upstream of all benchmarks - runs in valgrind's
simulated processor (callgrind). After a warm-up the count is set to zero while nothing is asked, a number of requests
is answered, and the count is read when the log has a line for each of them. A fixed number of connections goes in step:
each sends one request, then each reads its answer, so that requests come together as they do under load, always alike.
All heads differ, as behind any ingress that traces, or all are the same. The count depends on the interpreter: one that
was built with profile-guided optimisation needs some 10 % less.
"""

import re
import statistics
import subprocess
import time
from collections.abc import Callable

from bench.command import parser, settings
from bench.load import ORDERS
from bench.machine import LOAD_CORE, PATIENCE, need, stay_on
from bench.openloop import Connection, traced
from bench.parties import Stage, stage
from bench.scorecard import Scorecard

WANTED = {"unique": 360_000, "repeated": 340_000}
"""At most, of a request whose head is like no other, and like all others."""


def main() -> None:
    """Count and print."""
    command = parser("instructions", __doc__, rounds=3, requests=960, connections=32)
    options = command.parse_args()
    need("taskset", "nginx", "valgrind")
    card = Scorecard("instructions", settings(command, options))
    stay_on(LOAD_CORE)
    each = options.requests // options.connections
    makers: dict[str, Callable[[bytes], bytes]] = {"unique": traced, "repeated": lambda head: head}
    counts: dict[str, list[float]] = {kind: [] for kind in makers}
    began = time.monotonic()
    with stage() as on:
        # Dictionaries and sets are laid out alike in each run.
        on.env["PYTHONHASHSEED"] = "0"
        counted = Counted(on, options.connections)
        counted.carry(traced, each)
        counted.switch_on()
        counted.carry(traced, each)
        for _ in range(options.rounds):
            for kind, make in makers.items():
                counted.count(make, 1)
                counts[kind].append(counted.count(make, each) / (each * options.connections))
        counted.close()
    print(f"{options.rounds} rounds of {options.requests} requests over {options.connections} connections, in step")
    for kind, found in counts.items():
        middle = statistics.median(found)
        print(f"{kind:9} head {middle:10,.0f} ({', '.join(f'{one / middle - 1:+.2%}' for one in found)})")
    print(f"{time.monotonic() - began:.0f} s in all")
    for kind, most in WANTED.items():
        card.want(f"instructions of a scoped GET, {kind} head", statistics.median(counts[kind]), most=most)
    card.close()


class Counted:
    """A gateway whose instructions are counted, and connections to it."""

    def __init__(self, on: Stage, connections: int) -> None:
        self._dumps = on.folder / "callgrind"
        self._dumps.mkdir()
        tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self._dumps}/out")
        self._party = on.gateway("counted", under=tool)
        self._log = on.folder / "counted.log"
        self._head = on.request("GET", ORDERS)
        self._connections = [Connection(self._party.port) for _ in range(connections)]
        self._asked = 0

    def switch_on(self) -> None:
        """Count from now on; until then it runs some times as fast."""
        self._control("--instr=on")

    def count(self, make: Callable[[bytes], bytes], times: int) -> int:
        """Return the instructions of so many requests on each connection."""
        self._control("--zero")
        self.carry(make, times)
        self._control("--dump")
        (dump,) = self._dumps.glob("out.*")
        found = re.search(r"^summary: (\d+)", dump.read_text(), re.MULTILINE)
        dump.unlink()
        if found is None:
            raise SystemExit("callgrind tells no sum")
        return int(found[1])

    def carry(self, make: Callable[[bytes], bytes], times: int) -> None:
        """Have so many requests answered on each connection, and wait until nothing of them is left to be done."""
        for _ in range(times):
            for connection in self._connections:
                connection.send(make(self._head), 0.0)
            for connection in self._connections:
                while (success := connection.take()) is None:
                    pass
                if not success:
                    raise SystemExit("a request was not answered with a success")
        self._asked += times * len(self._connections)
        # The log is the last that is done of a request, in batches.
        deadline = time.monotonic() + PATIENCE
        while (logged := self._log.read_text().count('"event":"request"')) < self._asked:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._asked} requests, but {logged} lines in the log")
            time.sleep(0.05)

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections:
            connection.close()

    def _control(self, action: str) -> None:
        done = subprocess.run(
            ["callgrind_control", action, str(self._party.pid)], capture_output=True, text=True, check=True
        )
        if "OK" not in done.stdout:
            raise SystemExit(f"callgrind does not take {action}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
