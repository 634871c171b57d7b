"""Starts the demonstration as a process and walks one real SDK through it; what came of each step is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, LESLIE_ID, PRODUCTS, RON, RON_ID, addresses, identity
from gateway.vocab.messages import Json

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / ".package-lock.json"
GATEWAY = Path(sys.executable).parent / "gateway"
# Far more than the two seconds that a walk takes; the driver itself gives each step ten seconds.
PATIENCE = 100

NEWCOMER = {"name": "Ben Wyatt", "email": "ben@wyatt.example", "password": "ice town costs ice clown"}
ADDRESS = {
    "name": "Home",
    "first_name": "Ron",
    "last_name": "Swanson",
    "line_1": "1 Sunny Street",
    "city": "Sunny Town",
    "county": "Sunnyville",
    "postcode": "SU33 1YY",
    "country": "GB",
}
RON_ORDERS = frozenset(identity("order", f"{RON.email}:{number}") for number in range(RON.orders))


def obstacle() -> str | None:
    """Say why the SDKs cannot be driven here, or None."""
    if shutil.which("node") is None:
        return "no Node on this machine: the tests with the real SDKs are left out"
    if not INSTALLED.exists():
        return "the SDKs are not installed: `make clients` installs them"
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """How the SDK's promise ended (`resolved`, `rejected` or `silent`), with what, and the requests sent for it."""

    name: str
    outcome: str
    value: Any
    requests: list[Json]

    @property
    def data(self) -> Any:
        """The `data` of what the promise was resolved with."""
        assert self.outcome == "resolved", (self.name, self.value)
        return self.value["data"]

    @property
    def error(self) -> Json:
        """The first error of what the promise was rejected with."""
        assert self.outcome == "rejected", (self.name, self.value)
        error: Json = self.value["errors"][0]
        return error

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of the refusal, which must be what the reply said too."""
        assert self.requests[-1]["status"] == self.error["status"], self.name
        return self.error["status"], self.error["code"]

    @property
    def sent_token(self) -> bool:
        """Whether the last request of the step carried a customer token."""
        return bool(self.requests[-1]["token"])


@dataclass(frozen=True, slots=True)
class Walk:
    """One SDK's walk through the shop: the steps, and the gateway's log of them."""

    sdk: int
    steps: dict[str, Step]
    log: list[Json]

    def __getitem__(self, name: str) -> Step:
        return self.steps[name]


def walk(sdk: int, folder: Path) -> Walk:
    """Start the demonstration, drive the SDK through it, stop the demonstration; `folder` is where both live."""
    with _demo(folder) as (host, lines):
        node = shutil.which("node")
        assert node is not None
        driven = subprocess.run(  # noqa: S603 - our own script
            [node, str(HERE / "drive.mjs"), json.dumps(_plan(sdk, host))],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert driven.returncode == 0, driven.stderr
    told = [json.loads(line) for line in driven.stdout.splitlines()]
    steps = {one["step"]: Step(one["step"], one["outcome"], one["value"], one["requests"]) for one in told}
    return Walk(sdk, steps, [json.loads(line) for line in lines if line.startswith("{")])


@contextmanager
def _demo(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run `gateway demo`; gives its address, and its output, which is complete when the context is left."""
    command = [str(GATEWAY), "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "json"]
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,))
        try:
            host = _address(process.stdout, lines)
            # The pipe is emptied all the time: a full one would hold up the gateway.
            reader.start()
            yield host, lines
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            if reader.ident is not None:
                reader.join()
    assert process.returncode == 0, lines


def _address(output: Iterator[str], lines: list[str]) -> str:
    for line in output:
        lines.append(line)
        if line.startswith("gateway on http://"):
            return line.split(",")[0].removeprefix("gateway on http://")
    raise AssertionError("".join(lines))


def _plan(sdk: int, host: str) -> Json:
    """Give the driver what it needs to know."""
    return {
        "sdk": sdk,
        "host": host,
        "client": "demo-storefront",
        "server": {"id": "demo-server", "secret": "demo-server-secret"},
        "ron": {"id": RON_ID, "name": RON.name, "email": RON.email, "password": DEMO_PASSWORDS[RON.email]},
        "leslie": {"id": LESLIE_ID, "address": next(iter(addresses()[LESLIE_ID]))},
        "newcomer": NEWCOMER,
        "address": ADDRESS,
        "orders": {
            "own": identity("order", f"{RON.email}:0"),
            # The newest order of each demo customer is not paid yet.
            "open": identity("order", f"{RON.email}:{RON.orders - 1}"),
            "foreign": identity("order", f"{LESLIE.email}:0"),
            "unknown": identity("order", "of nobody"),
        },
        "products": [identity("product", sku) for sku, _, _ in PRODUCTS],
    }
