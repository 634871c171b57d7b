"""Processes on chosen cores, free ports, and what the kernel knows of both: memory, descriptors, processor time."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config" / "moltin.yaml"
PARTY_CORE = 0
"""The core of the party that is measured, and of nothing else."""
LOAD_CORE = 1
"""The core of the upstream and of whoever makes the load."""
PATIENCE = 20.0
START_PATIENCE = 300.0
"""Long, for a busy machine, for routing files of thousands of routes, and for what runs under valgrind."""
_PACKAGES = {
    "wrk": "wrk",
    "taskset": "util-linux",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "node": "nodejs",
    "valgrind": "valgrind",
}
_PORTS: set[int] = set()


def need(*tools: str) -> None:
    """End with what to install where a tool is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            package = _PACKAGES[tool]
            sys.exit(f"{tool} is needed: `make bench-peers`, or on Debian apt-get install {package}")


def free_port() -> int:
    """Return a port that is free now, and another one each time."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        if port not in _PORTS:
            _PORTS.add(port)
            return port


@contextmanager
def process(
    core: int | str,
    *command: str,
    ready: str = "",
    port: int | None = None,
    env: dict[str, str] | None = None,
    log: Path,
) -> Iterator[int]:
    """Run a command on a core (or cores: `0,1`) until the block ends; gives its pid.

    It begins when the log holds `ready` and `port` takes connections.
    """
    with log.open("w") as output:
        started = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdout=output,
            stderr=output,
            env=os.environ | (env or {}),
            cwd=ROOT,
        )
        try:
            deadline = time.monotonic() + START_PATIENCE
            while ready not in log.read_text() or (port is not None and not _is_open(port)):
                if started.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{' '.join(command)} did not start:\n{log.read_text()}")
                time.sleep(0.02)
            yield started.pid
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def _is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def stay_on(core: int) -> None:
    """Keep this process on one core."""
    os.sched_setaffinity(0, {core})


def resident_kib(pid: int) -> int:
    """Return the memory of a process that is in the machine's memory now."""
    return _status(pid, "VmRSS")


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has had since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Count the most memory of a process from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def busy_seconds() -> list[float]:
    """Return for each core how long it has been at work; the hypervisor's share counts as work."""
    busy = []
    for line in Path("/proc/stat").read_text().splitlines():
        if re.match(r"cpu\d", line):
            user, nice, system, idle, iowait, *rest = (int(value) for value in line.split()[1:])
            del idle, iowait
            busy.append((user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK"))
    return busy


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, of those it has started, and of theirs; also of those that are gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) for child in children)


def allow_descriptors(count: int) -> None:
    """Let this process and those it starts have that many open descriptors, or end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
    except (ValueError, OSError):
        sys.exit(f"{count} open descriptors are needed, {hard} are allowed: raise the hard limit (ulimit -Hn) first")


def version(*command: str) -> str:
    """Return the first version number that a command tells of itself."""
    if shutil.which(command[0]) is None:
        return "-"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else "?"
