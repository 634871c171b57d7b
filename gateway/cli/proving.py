"""What `gateway verify` does: proves on a running gateway that customer A gets nothing of customer B, and shows it.

Exit code 0: no leak; 1: a leak; 2: a usage error; 3: it could not be run, or nothing would have been proven.
"""

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.cli import child
from gateway.cli.demo import config_file
from gateway.cli.ending import INTERRUPTED, say_stopped
from gateway.cli.fault import fail
from gateway.cli.loop import Stop, collect, run
from gateway.cli.table import PIPE_WIDTH, whole
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from gateway.verify.gate import Access
from gateway.verify.model import Caller, CannotRunError
from gateway.verify.page import as_html
from gateway.verify.recipes import Seeds
from gateway.verify.report import Document, as_json, document
from gateway.verify.run import Options, Run, Steps, prove

LEAK, CANNOT_RUN = 1, 3
_SHOWN_LEAKS = 20

out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Without `file` and `url` the demonstration is started and verified."""

    file: Path | None
    url: str | None
    seeds: Seeds
    access: Access
    options: Options
    reports: tuple[Path, ...]


def carry_out(request: Request) -> NoReturn:
    """Prove, write the reports, show the result, and leave with its exit code."""
    try:
        with ExitStack() as stack:
            file, url, environ = request.file or config_file(), request.url, None
            if request.file is None:
                url, upstream = _demonstration(stack)
                environ = {"UPSTREAM_URL": upstream}
            config = load(file, environ)
            attacked = _prove(request, config, url or "")
        shown = document(attacked, file.name, _sha256(file))
        _write(request.reports, shown, attacked)
    except (ConfigError, CannotRunError) as error:
        _fail(f"{error}")
    except OSError as error:
        _fail(f"{error.filename or 'the gateway'}: {error.strerror or error}")
    _show(shown)
    raise typer.Exit(LEAK if attacked.leaks else 0)


def _prove(request: Request, config: Config, url: str) -> Run:
    access = request.access
    if access.storefront is None and config.clients.implicit:
        access = replace(access, storefront=config.clients.implicit[0].id)
    if request.file is None and not access.admin_bearer:
        # The secrets of the demonstration are known to everybody.
        known = config.clients.client_credentials[0]
        access = replace(access, client_id=known.id, client_secret=known.all_secrets[0].get_secret_value())
    found: list[Run] = []

    async def work(stop: Stop) -> None:
        collect()
        # Ctrl-C once more leaves the customers where they are.
        stop.cuts = asyncio.current_task()
        with _steps() as steps:
            found.append(await prove(url, config, request.seeds, access, request.options, steps))

    stopped = run(work)
    if stopped == signal.SIGINT:
        say_stopped()
    if stopped is not None:
        raise typer.Exit(128 + stopped)
    return found[0]


def _demonstration(stack: ExitStack) -> tuple[str, str]:
    """Run `gateway demo` on free ports as a process of its own; return its URL and that of the API behind it."""
    command = ("-m", "gateway", "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: 128 + signal.SIGTERM}
    demo = stack.enter_context(child.running(*command, codes=codes, environ=os.environ))
    said = demo.said(r"gateway on (http://[^,]+, .* demo commerce API on http://[^,]+),")
    if said is None:
        raise CannotRunError("the demonstration did not start")
    return said.partition(",")[0], said.rpartition(" ")[2]


def _fail(text: str) -> NoReturn:
    fail(f"not verified: {text}", CANNOT_RUN)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(paths: tuple[Path, ...], shown: Document, attacked: Run) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        render = as_html if path.suffix == ".html" else as_json
        path.write_text(render(shown, attacked.masks), encoding="utf-8")


def _show(shown: Document) -> None:
    """Print the table of routes and callers, the leaks, and the totals."""
    if not out.is_terminal:
        out.width = PIPE_WIDTH
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
