"""`make bench`: the gateway beside bare aiohttp pass-through, alternating in one run; prints medians and their ratio.

Each party has core 0 for itself while it is measured; the upstream and wrk share core 1. A request is a scoped list of
orders of about 2 KB: verified token, filter, guard, JSON access log (to a file that nobody reads). With --profile the
gateway runs under cProfile instead, and what it spends its time in is printed.
"""

import argparse
import os
import platform
import pstats
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from gateway import __version__
from gateway.authn.key import Algorithm, generate
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.vocab.messages import CallerKind

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config" / "moltin.yaml"
CUSTOMER = "79cc0486-bbdf-491b-a0a2-722383b6288b"
STOREFRONT = "bench-storefront"
WANTED = 0.6
TARGET = "/v2/orders?page[limit]=3&sort=-created_at"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def process(core: int, *command: str, ready: str, env: dict[str, str] | None = None, log: Path) -> Iterator[None]:
    """Run a command on one core, from the line that says it is ready to the end of the block."""
    with log.open("w") as output:
        started = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdout=output,
            stderr=output,
            env=os.environ | (env or {}),
            cwd=ROOT,
        )
        deadline = time.monotonic() + 20
        while ready not in log.read_text():
            if started.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
        started.send_signal(signal.SIGTERM)
        started.wait(30)


def load_of(port: int, headers: list[str], seconds: int) -> float:
    """Return the requests per second that wrk sees on one port; every answer must be a success."""
    lines = [word for header in headers for word in ("-H", header)]
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", *lines, f"http://127.0.0.1:{port}{TARGET}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(done.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None:
        sys.exit(done.stdout)
    return float(found[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is needed: install the package {package}, on Debian with apt-get install {package}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        upstream, bare, gateway = free_port(), free_port(), free_port()
        (folder / "key.jwk").write_text(generate(Algorithm.EDDSA))
        env = {
            "UPSTREAM_URL": f"http://127.0.0.1:{upstream}",
            "UPSTREAM_CLIENT_ID": "bench",
            "UPSTREAM_CLIENT_SECRET": "bench",
            "GATEWAY_SIGNING_KEY_FILE": str(folder / "key.jwk"),
            "GATEWAY_STORE_URL": f"sqlite:///{folder}/store.db",
            "STOREFRONT_CLIENT_ID": STOREFRONT,
            "TRUSTED_CLIENT_ID": "bench-trusted",
            "TRUSTED_CLIENT_SECRET": "bench",
        }
        headers = tokens(env)
        python = sys.executable
        command = [python, "-m", "bench.upstream", str(upstream), CUSTOMER]
        stack.enter_context(process(1, *command, ready="ready", log=folder / "upstream.log"))
        serve = ["-m", "gateway", "serve", "--config", str(CONFIG), "--listen", f"127.0.0.1:{gateway}"]
        serve += ["--admin", f"127.0.0.1:{free_port()}"]
        stats = folder / "gateway.pstats"
        if options.profile:
            serve = ["-m", "cProfile", "-o", str(stats), *serve]
        with process(0, python, *serve, ready="credential_renewed", env=env, log=folder / "gateway.log"):
            if options.profile:
                load_of(gateway, headers, options.seconds)
            else:
                command = [python, "-m", "bench.bare", str(bare), env["UPSTREAM_URL"]]
                stack.enter_context(process(0, *command, ready="ready", log=folder / "bare.log"))
                report(bare, gateway, headers, options.rounds, options.seconds)
        if options.profile:
            pstats.Stats(str(stats)).sort_stats("tottime").print_stats(40)


def tokens(env: dict[str, str]) -> list[str]:
    """Return the header lines of a logged-in customer."""
    config = load(CONFIG, env)
    compiled = snapshot(config, key_ring(config))
    now = time.time()  # noqa: TID251 - a benchmark has no clock given to it
    bearer, _ = compiled.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now, 3600)
    token, _, _ = compiled.customers.mint(CUSTOMER, now, 3600)
    return [f"Authorization: Bearer {bearer}", f"X-Moltin-Customer-Token: {token}"]


def report(bare: int, gateway: int, headers: list[str], rounds: int, seconds: int) -> None:
    """Measure both in turns and print the medians."""
    figures: dict[str, list[float]] = {"bare aiohttp": [], "gateway": []}
    for _ in range(rounds):
        figures["bare aiohttp"].append(load_of(bare, headers, seconds))
        figures["gateway"].append(load_of(gateway, headers, seconds))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    versions = f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, gateway {__version__}"
    print(f"{os.cpu_count()} cores, {versions}; {rounds} rounds of {seconds} s, 32 connections")
    for name, values in figures.items():
        spread = f"{min(values):.0f} to {max(values):.0f}"
        print(f"{name:14} {medians[name]:8.0f} requests/s (median; {spread})")
    ratio = medians["gateway"] / medians["bare aiohttp"]
    print(f"ratio          {ratio:8.2f} (wanted: at least {WANTED})")


if __name__ == "__main__":
    main()
