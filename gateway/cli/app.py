"""All commands of `gateway`. Exit code 2 for a usage error, 1 for a fault, 130 after Ctrl-C, 0 otherwise.

A command imports what it needs when it is called: help and usage errors do not wait for a server's libraries.
"""

import io
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gateway import __version__
from gateway.cli import hangup
from gateway.cli.cores import WORKERS_MOST
from gateway.cli.customers import customers
from gateway.cli.ending import INTERRUPTED, leave_at, say_stopped
from gateway.cli.fault import tell
from gateway.cli.keys import keys
from gateway.cli.options import (
    ADMIN,
    PUBLIC,
    USUAL,
    Admin,
    Config,
    File,
    FileWord,
    Listen,
    LogForm,
    Method,
    Misuse,
    Preset,
    Target,
    question,
    routing_file,
)
from gateway.cli.store import store
from gateway.cli.verify import SEED_EXAMPLE, verify
from gateway.vocab.messages import CallerKind


class _Explain(TyperCommand):
    """A command whose first argument is the one that may be left out."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature, of a type it keeps to itself
        """Return what stands in the line `Usage:`."""
        return ["[OPTIONS]", "[FILE]", "METHOD", "TARGET"]


# Help is plain text: a box breaks lines that somebody searches or pastes, and takes longer to draw than all else.
app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Authenticating reverse proxy: customers log in, and each reaches only what is their own.",
)

_WORKERS = (
    "Processes that share the ports. Each has its own cache of tokens, throttles, password pool and closed routes."
)

_DOCUMENT = "An OpenAPI 3 or Swagger 2 document, in JSON or YAML: one route for each operation."
_SAVED = "A saved answer of the API, as JSON or as `curl -i` prints it: say what would become of it."


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's way of a flag
    if asked:
        typer.echo(f"gateway {__version__} (Python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def gateway(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001, FBT002 - its callback reads it; typer's way of a flag
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show what there is where no command is given."""
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(short_help="Try it: a small commerce API with the gateway in front.")
def demo(
    listen: Listen = PUBLIC,
    admin: Admin = ADMIN,
    log: Annotated[LogForm, typer.Option(help="Lines for a person, or those of `gateway serve`.")] = LogForm.HUMAN,
) -> None:
    """Run a small commerce API with customers and orders, and the gateway in front of it."""
    leave_at(signal.SIGTERM, 0)
    from gateway.cli.demo import demo as run

    _end(run(listen, admin, log))


@app.command(short_help="Run the gateway.")
def serve(
    context: typer.Context,
    file: File = None,
    config: Config = None,
    listen: Listen = PUBLIC,
    admin: Admin = ADMIN,
    workers: Annotated[
        int | None, typer.Option(min=1, max=WORKERS_MOST, help=_WORKERS, show_default="one for each CPU")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, then finish the requests in flight."""
    leave_at(signal.SIGTERM, 0)
    hangup.ignore()
    path = routing_file(context, file, config)
    from gateway.cli.serve import serve as run

    _end(run(path, listen, admin, workers))


@app.command(short_help="Write a first routing file, of an OpenAPI document or a preset.")
def init(
    context: typer.Context,
    preset: Annotated[Preset | None, typer.Option(help="Write the file of a small shop that speaks like this.")] = None,
    document: Annotated[str | None, typer.Option("--openapi", metavar="FILE|URL", help=_DOCUMENT)] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it; it must not exist.")] = USUAL,
) -> None:
    """Write a routing file to begin with: what is guessed is bound to the customer, what is not known stays closed."""
    if (preset is None) == (document is None):
        raise Misuse("write --preset NAME or --openapi FILE|URL, one of them", context)
    from gateway.cli import init as drafting

    if document is not None:
        drafting.of_document(document, out)
    elif preset is not None:
        drafting.of_preset(preset, out)


@app.command(short_help="Find every fault of a routing file, or prove it.")
def check(
    context: typer.Context,
    file: File = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Check a routing file: every fault with its place, or who may do what and the proof that it isolates."""
    path = routing_file(context, file, config)
    from gateway.cli.routing_file import read
    from gateway.cli.table import coverage_json, print_coverage
    from gateway.config.proof import prove

    checked = read(path)
    proof = prove(checked)
    if as_json:
        typer.echo(json.dumps(coverage_json(checked, proof), indent=2))
    else:
        print_coverage(checked, proof)


@app.command(short_help="Print the configuration in force, secrets masked.")
def dump(context: typer.Context, file: File = None, config: Config = None) -> None:
    """Print the effective configuration, secrets masked."""
    path = routing_file(context, file, config)
    from gateway.cli.routing_file import read
    from gateway.config.effective import dump as text_of

    typer.echo(text_of(read(path)), nl=False)


@app.command(short_help="Say what another routing file would change.")
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The routing file that is in force.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The one that shall take its place.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's way of a flag
    may_fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 where anything differs.")] = False,  # noqa: FBT002
) -> None:
    """Say what differs: what would be done with generated requests, for each method, route and caller, and settings."""
    from dataclasses import asdict

    from gateway.cli.routing_file import read
    from gateway.config.change import compare
    from gateway.wiring import now

    found = compare(read(old), read(new), now())
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        for line in found.lines():
            typer.echo(line)
        for name in found.restart:
            typer.echo(f"needs a restart: {name}")
    if may_fail and not found.is_empty:
        raise typer.Exit(1)


@app.command(short_help="Say what would be done with a request, and why.", cls=_Explain)
def explain(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: typer.Context,
    file: FileWord = None,
    method: Method = None,
    target: Target = None,
    config: Config = None,
    caller: Annotated[CallerKind | None, typer.Option("--as", help="Who asks, without a token.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="The customer's id.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'")] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="The body.")] = None,
    saved: Annotated[Path | None, typer.Option("--answer", metavar="FILE", help=_SAVED, dir_okay=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's way of a flag
    as_curl: Annotated[bool, typer.Option("--curl", help="Print the upstream request as a curl command.")] = False,  # noqa: FBT002
    may_fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 where the request would be refused.")] = False,  # noqa: FBT002
) -> None:
    """Say what the gateway would do with a request: the route, the rules, before and after. Sends nothing."""
    path, method, target = question(context, (file, method, target), config)
    if caller is CallerKind.CUSTOMER and customer is None:
        raise Misuse("--as customer needs --customer ID", context)
    if customer is not None and caller is not None and caller is not CallerKind.CUSTOMER:
        raise Misuse("--customer goes with --as customer", context)
    from gateway.cli import explain as explaining
    from gateway.cli.judged import saved_answer
    from gateway.cli.routing_file import read
    from gateway.cli.table import print_tables, written

    try:
        asked = explaining.Question(
            method, target, caller or (CallerKind.CUSTOMER if customer else None), customer, tuple(header or ()), data
        )
        answer = explaining.explain(read(path), asked, None if saved is None else saved_answer(saved))
    except ValueError as error:
        raise Misuse(str(error), context) from error
    if as_json:
        typer.echo(written(answer.as_json(), indent=2))
    elif not as_curl:
        print_tables(answer.as_tables())
    elif answer.plan is not None:
        typer.echo(answer.as_curl())
    else:
        tell(f"nothing would go upstream: {answer.refusal_text or 'the gateway answers this itself'}")
    if may_fail and (answer.refusal is not None or (answer.judged or {}).get("verdict") == "withheld"):
        raise typer.Exit(1)


app.command(short_help="Attack a running gateway as a customer.", epilog=SEED_EXAMPLE)(verify)
app.add_typer(keys, name="keys")
app.add_typer(store, name="store")
app.add_typer(customers, name="customers")


def _end(code: int) -> None:
    if code == INTERRUPTED:
        say_stopped()
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # An argument may hold bytes, and a terminal an encoding, that cannot be printed; that is no fault.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="gateway")
    except BrokenPipeError:
        # The reader of our output is gone; there is nobody to tell.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the stream of the interpreter's exit
        sys.exit(1)
