"""Starts the demo commerce API: `python -m gateway.demo`; all it keeps is gone when it stops."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence

from gateway.demo.data import DEMO_PASSWORDS
from gateway.demo.server import serving
from gateway.demo.shop import BEARER_SECONDS, Shop


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; id and secret come from the environment where it does not name them."""
    parser = argparse.ArgumentParser(prog="python -m gateway.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--client-id", default=os.environ.get("DEMO_CLIENT_ID", "demo-client"))
    parser.add_argument(
        "--client-secret",
        default=os.environ.get("DEMO_CLIENT_SECRET", "demo-secret"),
        help="better given as DEMO_CLIENT_SECRET, where ps does not show it",
    )
    parser.add_argument("--bearer-seconds", type=int, default=BEARER_SECONDS, help="how long a bearer lives")
    parser.add_argument("--keep-passwords", action="store_true", help="keep the demo passwords and issue tokens")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if options.exit_with_parent:
        threading.Thread(target=_watch_parent, args=(loop, stop), daemon=True).start()
    shop = Shop(
        options.client_id,
        options.client_secret,
        bearer_seconds=options.bearer_seconds,
        passwords=dict(DEMO_PASSWORDS) if options.keep_passwords else None,
    )
    async with serving(shop, options.host, options.port) as url:
        sys.stdout.write(f"demo commerce API on {url}\n")
        sys.stdout.flush()
        await stop.wait()


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # os.read and not sys.stdin: a daemon thread inside a buffered read would break the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    asyncio.run(run(arguments(argv)))


if __name__ == "__main__":
    main()
