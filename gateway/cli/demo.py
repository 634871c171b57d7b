"""`gateway demo`: a small commerce API as its own process, and the gateway in front of it, ready to be tried."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

import gateway
from gateway.cli.serve import run_server
from gateway.config.load import load
from gateway.demo.data import DEMO_PASSWORDS, LESLIE_ID, RON, RON_ID, customers, orders
from gateway.vocab.refusals import Refusal
from gateway.wire.pointer import resolve
from gateway.wiring import Address, Gateway

_OWNER = ("relationships", "customer", "data", "id")
_CLIENT_ID = "demo-gateway"
_CLIENT_SECRET = "demo-gateway-secret"  # noqa: S105 - known to everybody, as demo.yaml says


def config_file() -> Path:
    """Return the demonstration's routing file: of the checkout, or as installed with the package."""
    package = Path(gateway.__file__).parent
    installed = package / "config" / "files" / "demo.yaml"
    return installed if installed.exists() else package.parent / "config" / "demo.yaml"


def run_demo(listen: Address, admin: Address, console: Console) -> int:
    """Run both until told to stop; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder, _commerce_api() as url:
        # The user's own environment does not leak in: a demonstration must not reach a real API.
        environ = {"UPSTREAM_URL": url, "GATEWAY_STORE_URL": f"sqlite:///{folder}/gateway.db"}
        config = load(config_file(), environ)

        async def started(running: Gateway) -> None:
            await _give_passwords(running)
            console.print(_welcome(running.listen, running.admin, url), markup=False, highlight=False, soft_wrap=True)

        return run_server(config, listen, admin, started=started)


@contextmanager
def _commerce_api() -> Iterator[str]:
    command = [sys.executable, "-m", "gateway.demo", "--port", "0", "--exit-with-parent"]
    environ = os.environ | {"DEMO_CLIENT_ID": _CLIENT_ID, "DEMO_CLIENT_SECRET": _CLIENT_SECRET}
    # Its own session: Ctrl-C goes to the gateway, which still needs its upstream for requests in flight.
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            url = line.strip().rpartition(" ")[2]
            if not url.startswith("http://"):
                raise OSError("the demo commerce API did not start")
            yield url
        finally:
            process.terminate()


async def _give_passwords(running: Gateway) -> None:
    """Give the demo customers the passwords that the welcome text names."""
    if running.store is None or running.hasher is None:
        return
    for customer in customers().values():
        hashed = await running.hasher.hash(DEMO_PASSWORDS[customer["email"]])
        if not isinstance(hashed, Refusal):
            await running.store.set_password(customer["id"], hashed)


def _welcome(listen: Address, admin: Address, url: str) -> str:
    own, foreign = (
        next(order["id"] for order in orders()[0].values() if resolve(order, _OWNER) == whose)
        for whose in (RON_ID, LESLIE_ID)
    )
    base = f"http://{listen}"
    extract = """sed 's/.*"%s":"\\([^"]*\\)".*/\\1/'"""
    bearer, token = extract % "access_token", extract % "token"
    login = f'{{"data":{{"type":"token","email":"{RON.email}","password":"{DEMO_PASSWORDS[RON.email]}"}}}}'
    both = '-H "Authorization: Bearer $BEARER" -H "X-Moltin-Customer-Token: $TOKEN"'
    return f"""
gateway on {base}, admin on http://{admin}, demo commerce API on {url}

Get a bearer, as a shop's front end does:
  BEARER=$(curl -s {base}/oauth/access_token -d grant_type=implicit -d client_id=demo-storefront | {bearer})
Log {RON.name} in:
  TOKEN=$(curl -s {base}/v2/customers/tokens -H "Authorization: Bearer $BEARER" -H 'Content-Type: application/json' \
    -d '{login}' | {token})
Own orders:
  curl -s {base}/v2/orders {both}
One own order:
  curl -s {base}/v2/orders/{own} {both}
Somebody else's order (404):
  curl -s {base}/v2/orders/{foreign} {both}

Stop with Ctrl-C.
"""
