"""`gateway verify`: proves on a running gateway that customer A gets nothing of customer B, and shows what was tried.

Exit code 0: no leak; 1: a leak; 2: a usage error; 3: it could not be run, or nothing would have been proven.
"""

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.cli.demo import config_file
from gateway.cli.loop import new_event_loop
from gateway.cli.table import whole
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from gateway.verify import recipes
from gateway.verify.gate import Access
from gateway.verify.model import Caller, CannotRunError
from gateway.verify.page import as_html
from gateway.verify.report import Document, as_json, document
from gateway.verify.run import Options, Proof, Steps, prove

LEAK, CANNOT_RUN = 1, 3
_ADMIN_BEARER = "GATEWAY_VERIFY_ADMIN_BEARER"
_CLIENT_SECRET = "GATEWAY_VERIFY_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_PIPE_WIDTH = 10_000
_SHOWN_LEAKS = 20
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._~/-]*)?")

out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)


def _secret(text: str, option: str) -> str:
    """Read a secret from where the command line says; it never stands there itself."""
    if text.startswith("@"):
        try:
            found = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError):
            raise typer.BadParameter(f"{option}: the file cannot be read") from None
    elif text.startswith("env:"):
        found = os.environ.get(text[4:], "")
    else:
        raise typer.BadParameter(f"{option}: write @FILE or env:NAME; a secret does not belong on a command line")
    if not found:
        raise typer.BadParameter(f"{option}: nothing stands there")
    return found


def _taken(customers: list[str]) -> tuple[tuple[str, str], ...]:
    if len(customers) not in {0, 2}:
        raise typer.BadParameter("--customer is given twice or not at all")
    pairs = [text.partition(":") for text in customers]
    if any("@" not in email or not rest for email, _, rest in pairs):
        raise typer.BadParameter("--customer: write EMAIL:@FILE or EMAIL:env:NAME")
    return tuple((email, _secret(rest, "--customer")) for email, _, rest in pairs)


def _access(
    config: Config, storefront: str | None, bearer: str | None, client_id: str | None, secret: str | None
) -> Access:
    implicit = [client.id for client in config.clients.implicit]
    bearer_text = _secret(bearer, "--admin-bearer") if bearer else os.environ.get(_ADMIN_BEARER)
    secret_text = _secret(secret, "--client-secret") if secret else os.environ.get(_CLIENT_SECRET)
    if client_id and not secret_text:
        raise typer.BadParameter(f"--client-id goes with --client-secret @FILE, or with {_CLIENT_SECRET}")
    return Access(storefront or next(iter(implicit), None), bearer_text or None, client_id, secret_text or None)


def verify(  # noqa: PLR0913, PLR0917 - one parameter for each option
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The routing file it runs on.")
    ] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The running gateway, http or https.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Start the demonstration and verify it.")] = False,  # noqa: FBT002 - typer's way of a flag
    customer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EMAIL:@FILE",
            help="An existing test customer, with a file of its password (or env:NAME); give it twice. Their records"
            " are changed. Without it two customers are registered, and deleted afterwards.",
        ),
    ] = None,
    storefront: Annotated[
        str | None, typer.Option("--storefront-client", metavar="ID", help="Client of the implicit grant.")
    ] = None,
    admin_bearer: Annotated[
        str | None, typer.Option(metavar="@FILE", help=f"A bearer of a trusted client; or set {_ADMIN_BEARER}.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="A trusted client, to obtain that bearer.")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="@FILE", help=f"Its secret; or set {_CLIENT_SECRET}.")
    ] = None,
    seed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: requests that give a customer records (see the manual).")
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write FILE.html or FILE.json; may be given several times."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for one request.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 8,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the registered customers.")] = False,  # noqa: FBT002
) -> None:
    """Prove on a running gateway that no customer gets or changes a record of another. Exit code 1: a leak."""
    reports = report or []
    if any(path.suffix not in {".html", ".json"} for path in reports):
        raise typer.BadParameter("--report: write a name that ends in .html or .json")
    if demo and (config or url):
        raise typer.BadParameter("--demo brings its own --config and --url")
    if not demo and (config is None or url is None):
        raise typer.BadParameter("give --config FILE and --url URL, or --demo")
    if url is not None and not _BASE_URL.fullmatch(url):
        raise typer.BadParameter("--url: write http:// or https://, a host, perhaps a path")
    options = Options(_taken(customer or []), keep, timeout, concurrency)
    try:
        seeds = recipes.load(seed)
    except ValueError as error:
        raise typer.BadParameter(f"--seed {error}") from None
    try:
        with ExitStack() as stack:
            if demo:
                config = config_file()
                url = stack.enter_context(_demonstration())
            loaded = load(config or Path(), {} if demo else None)
            access = _access(loaded, storefront, admin_bearer, client_id, client_secret)
            if demo and not access.admin_bearer:
                # The secrets of the demonstration are known to everybody.
                known = loaded.clients.client_credentials[0]
                access = Access(access.storefront, None, known.id, known.secret.get_secret_value())
            steps = stack.enter_context(_steps())
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                proof = runner.run(prove(url or "", loaded, seeds, access, options, steps))
        shown = document(proof, (config or Path()).name, _sha256(config or Path()))
        _write(reports, shown, proof)
    except (ConfigError, CannotRunError) as error:
        _fail(f"{error}")
    except OSError as error:
        _fail(f"{error.filename or 'the gateway'}: {error.strerror or error}")
    _show(shown)
    raise typer.Exit(LEAK if proof.leaks else 0)


def _fail(text: str) -> NoReturn:
    err.print(f"not verified: {text}", style="red", soft_wrap=True)
    raise typer.Exit(CANNOT_RUN)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(paths: list[Path], shown: Document, proof: Proof) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        render = as_html if path.suffix == ".html" else as_json
        path.write_text(render(shown, proof.masks), encoding="utf-8")


def _show(shown: Document) -> None:
    """Print the table of routes and callers, the leaks, and the totals."""
    if not out.is_terminal:
        out.width = _PIPE_WIDTH
    table = whole("route", "method", *Caller, title="vectors that held")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in shown["verdicts"]:
        held, leak, odd = (len(one[name]) for name in ("held", "leak", "inconclusive"))
        text = f"LEAK {leak}" if leak else f"{held}, {odd} inconclusive" if odd else str(held or "-")
        rows.setdefault((one["route"], one["method"]), {})[one["caller"]] = text
    for (route, method), row in rows.items():
        table.add_row(route, method, *(row[caller] for caller in Caller))
    out.print(table)
    for number, leak in enumerate(shown["leaks"][:_SHOWN_LEAKS], 1):
        place = f"{leak['method']} on {leak['route']} as {leak['caller']}, {leak['vector']}"
        out.print(f"LEAK {number}: {place}: {'; '.join(leak['evidence'])}", style="red", soft_wrap=True)
        out.print(f"  {leak['request']}", soft_wrap=True)
    if len(shown["leaks"]) > _SHOWN_LEAKS:
        out.print(f"... and {len(shown['leaks']) - _SHOWN_LEAKS} more: see --report", soft_wrap=True)
    for note in shown["not_covered"]:
        out.print(f"note: {note}", style="dim", soft_wrap=True)
    totals = shown["totals"]
    out.print(
        f"{totals['leaks'] or 'no'} leak{'' if totals['leaks'] == 1 else 's'} in {totals['judged']} attacks"
        f" ({len(shown['vectors'])} kinds, {len(shown['routes'])} routes), {totals['inconclusive']} inconclusive,"
        f" {shown['seconds']} s",
        style="bold",
        soft_wrap=True,
    )


@contextmanager
def _steps() -> Iterator[Steps]:
    """Show a bar on a terminal, nothing elsewhere."""
    if not err.is_terminal:
        yield lambda _text, _count: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        yield _bar(bar, bar.add_task("starting", total=None))


def _bar(bar: Progress, task: TaskID) -> Callable[[str, int], None]:
    def step(text: str, count: int) -> None:
        if text:
            bar.update(task, description=text, total=count or None, completed=0)
        else:
            bar.advance(task, count)

    return step


@contextmanager
def _demonstration() -> Iterator[str]:
    """Run `gateway demo` on free ports as a process of its own; give its URL."""
    command = [sys.executable, "-m", "gateway", "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            lines = process.stdout or iter(())
            found = next((match for line in lines if (match := re.search(r"gateway on (http://[^,]+),", line))), None)
            if found is None:
                raise CannotRunError("the demonstration did not start")
            # It writes its log where its welcome went; somebody must take it.
            threading.Thread(target=deque, args=(lines, 0), daemon=True).start()
            yield found[1]
        finally:
            process.terminate()
