"""`make bench-start`: what a command takes from its start as a process, and the gateway until 200 on /ready.

The commands are --help, --version and `check` of config/moltin.yaml. The gateway starts with a store that is there
already, and with none, which is then made. All take turns on core 0; the upstream (the demonstration's API, asked for
the server's bearer) and whoever asks for /ready have core 1.
"""

import http.client
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from bench.command import parser, settings
from bench.machine import CONFIG, LOAD_CORE, PARTY_CORE, ROOT, START_PATIENCE, free_port, need, process, stay_on
from bench.scorecard import Scorecard
from gateway.authn.key import generate
from gateway.vocab.algorithm import Algorithm

GATEWAY = ("taskset", "-c", str(PARTY_CORE), sys.executable, "-m", "gateway")
Measured = tuple[float, float]
"""Seconds by the clock, and of the processor."""


def main() -> None:
    """Measure and print."""
    command = parser("start", __doc__, rounds=9)
    options = command.parse_args()
    need("taskset")
    card = Scorecard("start", settings(command, options))
    stay_on(LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as made:
        folder = Path(made)
        env, port = _environment(folder), free_port()
        env["UPSTREAM_URL"] = f"http://127.0.0.1:{port}"
        file = folder / "start.yaml"
        file.write_text(f"extends: {CONFIG}\n")

        turns = {
            "of --help": (0.5, partial(finish, env, "--help")),
            "of --version": (0.5, partial(finish, env, "--version")),
            "of check config/moltin.yaml": (1.0, partial(finish, env, "check", str(CONFIG))),
            "from start to ready, with a store": (1.0, partial(start, file, env)),
            "from start to ready, without a store": (1.0, partial(start, file, env, store=folder / "store.db")),
        }
        taken: dict[str, list[Measured]] = {name: [] for name in turns}
        api = (sys.executable, "-m", "gateway.demo", "--port", str(port), "--client-id", "bench")
        with process(LOAD_CORE, *api, port=port, env={"DEMO_CLIENT_SECRET": "bench"}, log=folder / "upstream.log"):
            # Once for the files: they are read from disk, and Python compiles what is not compiled yet.
            start(file, env)
            for _ in range(options.rounds):
                for name, (_, measure) in turns.items():
                    taken[name].append(measure())
    for name, (most, _) in turns.items():
        wall, busy = zip(*taken[name], strict=True)
        spread = f"{min(wall):.3f} to {max(wall):.3f}"
        print(
            f"{name:32} {statistics.median(wall):.3f} s (median; {spread}), processor {statistics.median(busy):.3f} s"
        )
        card.want(f"seconds: {name}", statistics.median(wall), most=most, unit=" s")
    card.close()


def _environment(folder: Path) -> dict[str, str]:
    """Return what config/moltin.yaml asks for."""
    (folder / "key.jwk").write_text(generate(Algorithm.EDDSA))
    return os.environ | {
        "UPSTREAM_CLIENT_ID": "bench",
        "UPSTREAM_CLIENT_SECRET": "bench",
        "GATEWAY_SIGNING_KEY_FILE": str(folder / "key.jwk"),
        "GATEWAY_STORE_URL": f"sqlite:///{folder}/store.db",
        "STOREFRONT_CLIENT_ID": "bench-storefront",
        "TRUSTED_CLIENT_ID": "bench-trusted",
        "TRUSTED_CLIENT_SECRET": "bench",
    }


def finish(env: dict[str, str], *arguments: str) -> Measured:
    """Run a command to its end."""
    before = _children()
    began = time.perf_counter()
    subprocess.run([*GATEWAY, *arguments], env=env, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began, _children() - before


def start(file: Path, env: dict[str, str], *, store: Path | None = None) -> Measured:
    """Start a gateway, wait until it is ready, and stop it; processor time is that until its end.

    `store` is removed before.
    """
    if store is not None:
        store.unlink()
    listen, admin, log = free_port(), free_port(), file.with_suffix(".log")
    command = [*GATEWAY, "serve", str(file), "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}"]
    with log.open("w") as output:
        before = _children()
        began = time.perf_counter()
        running = subprocess.Popen([*command, "--workers", "1"], stdout=output, stderr=output, env=env, cwd=ROOT)
        while not _is_ready(admin):
            if running.poll() is not None or time.perf_counter() - began > START_PATIENCE:
                sys.exit(log.read_text())
            time.sleep(0.002)
        seconds = time.perf_counter() - began
        running.send_signal(signal.SIGTERM)
        running.wait(START_PATIENCE)
    return seconds, _children() - before


def _children() -> float:
    """Return the processor time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


if __name__ == "__main__":
    main()
