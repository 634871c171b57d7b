"""`gateway check`: every fault with its place, or the table of who may do what."""

import os
import pty
import re
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.config.load import load
from tests.gateways import MOLTIN, ROOT, UPSTREAM_SECRET
from tests.process.processes import SCRIPT, extended

Run = Callable[..., Result]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│\n").split("│")]


def test_the_table_lists_every_route_for_every_caller(run: Run, environ: dict[str, str]) -> None:
    """`check` exits 0 and shows each route with its methods, its path and what each kind of caller may do."""
    result = run("check", "--config", MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {cells[0]: cells[1:] for cells in map(_cells, result.stdout.splitlines()) if len(cells) == 6}
    routes = load(MOLTIN, environ).routes
    assert [(name, *row[:2]) for name, row in rows.items()] == [
        (route.name, " ".join(route.methods), route.path) for route in routes
    ]
    assert rows["orders-list"][2:] == ["403", "filter owner", "open"]
    assert rows["product"][2:] == ["open", "open", "open"]
    assert rows["cart-customers"][2] == "403"


def test_every_fault_is_a_line(run: Run, tmp_path: Path) -> None:
    """`check` exits 1 and prints each fault with file, line and column, and no table."""
    config = extended(tmp_path, "nonsense: 1\nserver: {drain: soon}\nlog: {customer_key: canary-literal}\n")
    result = run("check", "--config", config)
    assert (result.exit_code, result.stdout) == (1, "")
    places = re.findall(rf"^{re.escape(str(config))}:(\d+):\d+: .+$", result.stderr, re.MULTILINE)
    assert (places, len(result.stderr.splitlines())) == (["2", "3"], 2)
    result = run("check", "--config", extended(tmp_path, "log: {customer_key: canary-literal}\n"))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "canary-literal" not in result.output


@pytest.mark.parametrize("command", [["check"], ["dump"], ["serve"], ["explain", "GET", "/v2/orders"]])
@pytest.mark.parametrize("kind", ["missing", "folder", "binary", "empty", "pipe", "list"])
def test_what_is_no_routing_file(run: Run, tmp_path: Path, command: list[str], kind: str) -> None:
    """A file that is not there, is no file or no YAML is one clear line with its place and exit 1, for each command."""
    path = tmp_path / "gateway.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_bytes({"binary": b"\x7fELF\x02\x00\xff\xfe", "empty": b"", "list": b"- 1\n"}[kind])
    result = run(*command, "--config", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: .", result.stderr)
    if kind != "empty":
        assert len(result.stderr.splitlines()) == 1
    assert isinstance(result.exception, SystemExit)


def test_a_pipe_gets_whole_words(environ: dict[str, str]) -> None:
    """Printed into a pipe, the table is as wide as it needs, whatever COLUMNS says: nothing is cut or folded."""
    command = [SCRIPT, "check", "--config", str(MOLTIN)]
    done = subprocess.run(command, env=environ | {"COLUMNS": "30"}, capture_output=True, text=True, check=True)  # noqa: S603
    assert "…" not in done.stdout
    for word in ("customers-register", "/v2/carts/{ref}/relationships/customers", "path_owner body_fields owner"):
        assert re.search(rf"│ {re.escape(word)} +│", done.stdout)


def test_a_narrow_terminal_folds(environ: dict[str, str]) -> None:
    """On a terminal of 60 columns, words are folded into more lines; no letter of them is left out."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 60))
    command = [SCRIPT, "check", "--config", str(MOLTIN)]
    with subprocess.Popen(command, env=environ | {"TERM": "xterm"}, stdout=slave, stderr=slave) as process:  # noqa: S603
        os.close(slave)
        printed = b""
        # Linux answers EIO once the other side is closed.
        try:
            while data := os.read(master, 65536):
                printed += data
        except OSError:
            pass
        os.close(master)
    assert process.returncode == 0
    # Without the sequences for bold and italic.
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed.decode())
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    assert "…" not in text
    first, rows = "", []
    for cells in (_cells(line) for line in lines if line.startswith("│")):
        # A row begins with its first method; its name goes on in the lines below.
        first = cells[0] if cells[5] else first + cells[0]
        rows.append(first)
    assert {"customers-register", "order-transactions"} <= set(rows)


def test_the_command_reads_its_file_only(run: Run, environ: dict[str, str]) -> None:
    """`check` of the file in the repository needs no store and makes none, and shows no secret."""
    result = run("check", "--config", ROOT / "config" / "moltin.yaml")
    assert result.exit_code == 0
    assert not Path(environ["GATEWAY_STORE_URL"].removeprefix("sqlite:///")).exists()
    assert UPSTREAM_SECRET not in result.output
