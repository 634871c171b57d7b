"""All commands of `gateway`. Exit code 2 for a usage error, 1 for a fault, 0 otherwise."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console, RenderableType

from gateway.authn.key import Algorithm, generate, load_key
from gateway.cli import explain as explaining
from gateway.cli.cores import usable
from gateway.cli.demo import run_demo
from gateway.cli.serve import START_FAULT, run_server, run_workers, settled
from gateway.cli.table import coverage_json, coverage_lines, coverage_table
from gateway.cli.verify import verify
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.proof import prove
from gateway.stores import StoreUnavailable, upgrade
from gateway.vocab.messages import CallerKind
from gateway.wiring import Address, dump

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Authenticating reverse proxy."
)
keys = typer.Typer(no_args_is_help=True, help="Signing keys.")
app.add_typer(keys, name="keys")
app.command()(verify)
# Names of parameters stand in brackets, and what a client sends may be anything: no text of ours is markup.
out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)

_PUBLIC = Address("127.0.0.1", 8080)
_ADMIN = Address("127.0.0.1", 9901)
# Wider than any table of ours: rich takes 80 columns for a pipe, and would break words that somebody greps for.
_PIPE_WIDTH = 10_000

_WORKERS_MOST = 256
_WORKERS = (
    "Processes that share the ports. Each has its own cache of tokens, login throttle, password pool and closed routes."
)

ConfigFile = Annotated[Path, typer.Option("--config", metavar="FILE", help="The routing file.")]


def _address(text: str | Address) -> Address:
    # Typer passes the default through here as well.
    if isinstance(text, Address):
        return text
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port there is
        raise typer.BadParameter("write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    host = host.removeprefix("[").removesuffix("]")
    try:
        # As the resolver would, which lets its failure through as it is.
        host.encode("idna")
    except UnicodeError:
        raise typer.BadParameter("this cannot be the name of a host") from None
    return Address(host, int(port))


Listen = Annotated[Address, typer.Option(parser=_address, metavar="HOST:PORT", help="Public address.")]
Admin = Annotated[Address, typer.Option(parser=_address, metavar="HOST:PORT", help="Admin address.")]


def fail(text: str, code: int = 1) -> NoReturn:
    """Print one line and leave with an exit code."""
    err.print(text, style="red", soft_wrap=True)
    raise typer.Exit(code)


def _print_tables(tables: RenderableType) -> None:
    if not out.is_terminal:
        out.width = _PIPE_WIDTH
    out.print(tables)


def _load(path: Path) -> Config:
    try:
        return load(path)
    except ConfigError as error:
        fail(str(error))


def _cannot_start(error: StoreUnavailable | OSError, listen: Address, admin: Address) -> str:
    if isinstance(error, StoreUnavailable):
        return f"the store cannot be used: {error}"
    return f"cannot listen on {listen} and {admin}: {error.strerror or error}"


@app.command()
def serve(
    config: ConfigFile,
    listen: Listen = _PUBLIC,
    admin: Admin = _ADMIN,
    workers: Annotated[
        int | None, typer.Option(min=1, max=_WORKERS_MOST, help=_WORKERS, show_default="one for each CPU")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or SIGINT, then finish the requests in flight."""
    checked = _load(config)
    count = workers or min(usable(), _WORKERS_MOST)
    shared = settled(checked)

    def work(public: Address, private: Address, lifeline: int) -> int:
        try:
            return run_server(shared, public, private, lifeline=lifeline)
        except (StoreUnavailable, OSError) as error:
            err.print(_cannot_start(error, public, private), style="red", soft_wrap=True)
            return START_FAULT

    try:
        if count > 1:
            # Each worker does it too and finds nothing left to do; a store that cannot be had is told of once.
            if checked.customers.verify != "upstream":
                upgrade(checked.store.url)
            code = run_workers(work, listen, admin, count)
        else:
            code = run_server(checked, listen, admin)
    except (StoreUnavailable, OSError) as error:
        fail(_cannot_start(error, listen, admin))
    raise typer.Exit(code)


@app.command()
def demo(
    listen: Listen = _PUBLIC,
    admin: Admin = _ADMIN,
) -> None:
    """Run a small commerce API with customers and orders, and the gateway in front of it."""
    try:
        code = run_demo(listen, admin, out)
    except ConfigError as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot listen on {listen} and {admin}: {error.strerror or error}")
    raise typer.Exit(code)


@app.command()
def check(
    config: ConfigFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Check a routing file: every fault with its place, or who may do what and the proof that it isolates."""
    checked = _load(config)
    proof = prove(checked)
    if as_json:
        out.print(json.dumps(coverage_json(checked, proof), indent=2), soft_wrap=True)
        return
    _print_tables(coverage_table(checked, proof))
    for line in coverage_lines(checked, proof):
        out.print(line)


@app.command("dump")
def show_config(config: ConfigFile) -> None:
    """Print the effective configuration, secrets masked."""
    out.print(dump(_load(config)), soft_wrap=True, end="")


@app.command()
def explain(  # noqa: PLR0913, PLR0917 - one parameter for each option
    config: ConfigFile,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Such as GET.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Path and query, as a client would send them.")],
    caller: Annotated[CallerKind | None, typer.Option("--as", help="Who asks, without a token.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="The customer's id.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'")] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="The body.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's way of a flag
    as_curl: Annotated[bool, typer.Option("--curl", help="Print the upstream request as a curl command.")] = False,  # noqa: FBT002
) -> None:
    """Say what the gateway would do with a request: the route, the rules, before and after. Sends nothing."""
    if caller is CallerKind.CUSTOMER and customer is None:
        raise typer.BadParameter("--as customer needs --customer ID")
    if customer is not None and caller is not None and caller is not CallerKind.CUSTOMER:
        raise typer.BadParameter("--customer goes with --as customer")
    try:
        question = explaining.Question(
            method, target, caller or (CallerKind.CUSTOMER if customer else None), customer, tuple(header or ()), data
        )
        answer = explaining.explain(_load(config), question)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        out.print(json.dumps(answer.as_json(), indent=2), soft_wrap=True)
    elif as_curl:
        if answer.plan is None:
            fail(f"nothing would go upstream: {answer.refusal_text}")
        out.print(answer.as_curl(), soft_wrap=True)
    else:
        _print_tables(answer.as_tables())


@keys.command()
def new(
    path: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it; it must not exist.")],
    algorithm: Annotated[Algorithm, typer.Option(help="What it signs with.")] = Algorithm.EDDSA,
) -> None:
    """Make a private signing key, readable by its owner only."""
    text = generate(algorithm)
    try:
        # Never over an existing key: tokens signed with it would all die.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    out.print(f"{path}: {algorithm} key {load_key(text).kid}", soft_wrap=True)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # An argument may hold bytes, and a terminal an encoding, that cannot be printed; that is no fault.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:
        # The reader of our output is gone; there is nobody to tell.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the stream of the interpreter's exit
        sys.exit(1)
