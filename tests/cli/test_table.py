"""`gateway check`: every fault with its place, or the table of who may do what and what is proven of it."""

import json
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
from tests.process.processes import extended
from tests.starting import SCRIPT

Run = Callable[..., Result]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│\n").split("│")]


def test_the_table_lists_every_route_for_every_caller(run: Run, environ: dict[str, str]) -> None:
    """`check` exits 0 and shows each route with its methods, its path and what each kind of caller may do."""
    result = run("check", "--config", MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {cells[0]: cells[1:] for cells in map(_cells, result.stdout.splitlines()) if len(cells) == 7}
    routes = load(MOLTIN, environ).routes
    assert [(name, *row[:2]) for name, row in rows.items()] == [
        (route.name, " ".join(route.methods), route.path) for route in routes
    ]
    assert rows["orders-list"][2:] == ["403", "filter owner", "open", "isolated"]
    assert rows["product"][2:] == ["open", "open", "open", "public"]
    assert rows["cart-checkout"][5] == "guests only, isolated"
    assert rows["cart-customers"][2] == "403"


def test_the_coverage_is_summed_up(run: Run) -> None:
    """Below the table stand the sums, what the gateway answers itself, and a line for each note."""
    lines = run("check", "--config", MOLTIN).stdout.splitlines()
    sums = next(line for line in lines if " decisions: " in line)
    methods = next(int(found[1]) for found in [re.search(r"(\d+) method x path", sums)] if found)
    decisions, *counts = map(
        int, re.findall(r"(\d+) (?:decisions|isolated|guests|public|trusted|denied|unproven)", sums)
    )
    assert (decisions, sum(counts), counts[-1]) == (3 * methods, 3 * methods, 0)
    (here,) = [line for line in lines if line.startswith("answered here: POST /oauth/access_token, ")]
    assert "DELETE /v2/customers/tokens, DELETE /v2/customers/{id}/tokens, PUT /v2/customers/{id}/block, " in here
    assert here.endswith(", GET /.well-known/jwks.json; anything else is 404 or 405")
    shadowed = "note: customer-read, customer-change: GET, PUT: /v2/customers/tokens answers 405"
    assert any(line.startswith(shadowed) for line in lines)


def test_an_unproven_route_is_shown_with_its_reason(run: Run, tmp_path: Path) -> None:
    """`insecure_unproven` lets the file pass, and `check` says of which route, what is missing and why it may stay."""
    opened = "routes: [{name: orders-open, path: /v2/orders, methods: [GET], access: {customer: open}%s}]\n"
    result = run("check", "--config", extended(tmp_path, opened % ""))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "routes[0].access.customer: GET: only customers may use this" in result.stderr
    config = extended(tmp_path, opened % ", insecure_unproven: orders of one test shop")
    result = run("check", "--config", config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert _cells(result.stdout.splitlines()[4])[6] == "unproven: orders of one test shop"
    assert "1 denied, 1 unproven" not in result.stdout
    assert "2 denied, 1 unproven" in result.stdout
    assert "unproven: orders-open: customer: GET: only customers may use this" in result.stdout
    document = json.loads(run("check", "--json", "--config", config).stdout)
    (decision,) = (one for one in document["decisions"] if one["verdict"] == "unproven")
    assert (decision["caller"], decision["reason"]) == ("customer", "orders of one test shop")
    assert len(decision["missing"]) == 1


def test_a_delete_beside_rules_on_the_body_is_noted(run: Run, tmp_path: Path) -> None:
    """Whoever lets PUT and DELETE share a route is told that the DELETE, which has no body, is refused for it."""
    rules = "{scope: [body_fields: {allow: [name]}], guard: []}"
    config = extended(
        tmp_path, f"routes: [{{name: notes, path: /notes, methods: [PUT, DELETE], access: {{public: {rules}}}}}]\n"
    )
    told = "note: notes: DELETE: body_fields is about a body, which such a request mostly lacks (422 then)"
    assert told in run("check", "--config", config).stdout


def test_the_proof_as_json(run: Run) -> None:
    """`--json` holds each decision with the rules it stands on, under keys that stay."""
    result = run("check", "--json", "--config", MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert set(document) == {"routes", "methods", "counts", "decisions", "answered_here", "notes"}
    assert sum(document["counts"].values()) == len(document["decisions"]) == 3 * document["methods"]
    assert document["counts"]["unproven"] == 0
    assert {
        "route": "orders-list", "method": "GET", "path": "/v2/orders", "caller": "customer", "verdict": "isolated",
        "scope": ["filter"], "guard": ["owner"], "missing": [], "reason": None,
    } in document["decisions"]  # fmt: skip
    assert {"method": "POST", "path": "/v2/customers/tokens"} in document["answered_here"]
    assert all(set(note) == {"routes", "what"} for note in document["notes"])


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
