"""`gateway demo`: a small commerce API as its own process, and the gateway in front of it, ready to be tried."""

import os
import signal
import tempfile
from pathlib import Path

import gateway
from gateway.cli import child
from gateway.cli.ending import INTERRUPTED, exit_code
from gateway.cli.fault import START_FAULTS, cannot_start, fail
from gateway.cli.options import LogForm
from gateway.vocab.address import Address

_CLIENT_ID = "demo-gateway"
_CLIENT_SECRET = "demo-gateway-secret"  # noqa: S105 - known to everybody, as demo.yaml says


def config_file() -> Path:
    """Return the demonstration's routing file: of the checkout, or as installed with the package."""
    package = Path(gateway.__file__).parent
    installed = package / "config" / "files" / "demo.yaml"
    return installed if installed.exists() else package.parent / "config" / "demo.yaml"


def demo(listen: Address, admin: Address, log: LogForm) -> int:
    """Run both until told to stop; returns the exit code."""
    command = ("-m", "gateway.demo", "--port", "0", "--exit-with-parent")
    environ = os.environ | {"DEMO_CLIENT_ID": _CLIENT_ID, "DEMO_CLIENT_SECRET": _CLIENT_SECRET}
    with child.running(*command, codes={signal.SIGINT: INTERRUPTED, signal.SIGTERM: 0}, environ=environ) as api:
        # These are imported while the other process starts.
        from gateway.cli.loop import Stop, run  # noqa: PLC0415
        from gateway.cli.showcase import show  # noqa: PLC0415

        url = api.said(r"demo commerce API on (http://\S+)")
        if url is None:
            fail("the demo commerce API did not start")

        async def work(stop: Stop) -> None:
            with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
                # The user's own environment does not leak in: a demonstration must not reach a real API.
                own = {"UPSTREAM_URL": url, "GATEWAY_STORE_URL": f"sqlite:///{folder}/gateway.db"}
                await show(config_file(), own, listen, admin, log, stop)

        try:
            return exit_code(run(work))
        except START_FAULTS as error:
            fail(cannot_start(error, listen, admin))
