"""What `gateway demo` shows: a gateway whose customers have passwords already, and lines to paste."""

import sys
from collections.abc import Mapping
from pathlib import Path

from gateway import __version__
from gateway.cli.loop import Stop
from gateway.cli.options import LogForm
from gateway.cli.routing_file import read
from gateway.cli.screen import Screen
from gateway.cli.serve import finish
from gateway.cli.streams import unblocked
from gateway.config.effective import insecure_settings
from gateway.config.model import Config
from gateway.demo.data import DEMO_PASSWORDS, LESLIE_ID, PEOPLE, RON, RON_ID, orders
from gateway.ops.log import EventLog, Log
from gateway.vocab.address import Address
from gateway.vocab.refusals import Refusal
from gateway.wire.pointer import resolve
from gateway.wiring import Gateway, now, running

_OWNER = ("relationships", "customer", "data", "id")


async def show(
    file: Path, environ: Mapping[str, str], listen: Address, admin: Address, log: LogForm, stop: Stop
) -> None:
    """Serve until told to stop. Lines for a person name customers, for these are known to everybody."""
    config = read(file, environ)
    is_human = log is LogForm.HUMAN

    def make_log(written: EventLog) -> Log:
        return Screen(written.write, {person.id: person.name for person in PEOPLE}, now) if is_human else written

    with unblocked() as out:
        async with running(config, listen, admin, log=out, make_log=make_log) as gateway:
            await _give_passwords(gateway)
            # Standard output is all JSON where that was asked for.
            stream = out if is_human else sys.stderr
            stream.write(_welcome(gateway.listen, gateway.admin, config) + "\n")
            await finish(gateway, stop)


async def _give_passwords(running: Gateway) -> None:
    """Give the demo customers the passwords that the welcome text names."""
    if running.hasher is None:
        return
    for person in PEOPLE:
        hashed = await running.hasher.hash(DEMO_PASSWORDS[person.email])
        if not isinstance(hashed, Refusal):
            await running.store.set_password(person.id, hashed)


def _welcome(listen: Address, admin: Address, config: Config) -> str:
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
gateway on {base}, admin on http://{admin}, demo commerce API on {config.upstream.url}, version {__version__}
{" and ".join(insecure_settings(config))} are on, and fine here: the demonstration's people and secrets are made up, \
and its tokens shall end with it.

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
