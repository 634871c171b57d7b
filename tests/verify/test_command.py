"""`gateway verify` as a command: exit codes, reports, and no secret on the command line."""

import json
import os
import signal
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.verify import recipes
from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, TRUSTED, TRUSTED_SECRET, environment
from tests.gateways import site as run_site
from tests.starting import PATIENCE, Process, start
from tests.verify.test_planted import broken

USAGE = [
    ([], "give --url URL, where the gateway runs, or --demo"),
    (["x"], "give --url URL, where the gateway runs, or --demo"),
    (["--demo", "--url", "http://x"], "--demo brings its own"),
    (["--demo", "x"], "--demo brings its own"),
    (["--demo", "--config", "x"], "--demo brings its own"),
    (["--config", "x", "--url", "ftp://x"], "--url: write http"),
    (["--config", "x", "--url", "http://user:word@x"], "--url: write http"),
    (["--demo", "--report", "x.pdf"], ".html or .json"),
    (["--demo", "--customer", "a@b.example:@x"], "twice or not at all"),
    (["--demo", *["--customer", "a@b.example:s3cret"] * 2], "does not belong on a command line"),
    (["--demo", *["--customer", "nobody"] * 2], "EMAIL:@FILE"),
    (["--demo", "--seed", "/nonexistent"], "No such file"),
    (["--demo", "--timeout", "0"], "Invalid value for '--timeout'"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), USAGE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_usage_errors_are_two(arguments: list[str], says: str) -> None:
    """Each says what to write, and repeats no secret."""
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert result.exit_code == 2
    assert says in result.stderr
    assert "s3cret" not in result.output


def test_a_secret_stands_in_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--admin-bearer takes @FILE or env:NAME; an empty one is an error."""
    for name, value in environment(tmp_path, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "gateway.yaml"
    file.write_text(broken())
    base = ["verify", "--config", str(file), "--url", "http://127.0.0.1:9"]
    for text, says in (
        ("b3arer", "does not belong"),
        ("@/nonexistent", "cannot be read"),
        ("env:NOTHING", "nothing stands there"),
    ):
        result = CliRunner().invoke(app, [*base, "--admin-bearer", text])
        assert (result.exit_code, says in result.stderr, "b3arer" in result.output) == (2, True, False)
    result = CliRunner().invoke(app, [*base, "--client-id", "x"])
    assert result.exit_code == 2


@pytest.mark.parametrize("variable", ["GATEWAY_VERIFY_ADMIN_BEARER", "GATEWAY_VERIFY_CLIENT_SECRET"])
def test_what_nobody_can_send_is_named_by_its_place(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newline at its end is no part of it; another character is told of, and not shown."""
    base = ["verify", "--config", "x", "--url", "http://127.0.0.1:9"]
    monkeypatch.setenv(variable, "canary-s3cret\u00e4")
    result = CliRunner().invoke(app, base)
    assert (result.exit_code, "canary" in result.output) == (2, False)
    assert f"{variable}: holds a character that is no visible ASCII" in result.stderr
    monkeypatch.setenv(variable, "\ufeffcanary-s3cret\r\n")
    assert variable not in CliRunner().invoke(app, base).output


def test_what_cannot_be_run_is_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, or the routing file is faulty: neither success nor a leak."""
    for name, value in environment(tmp_path, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "gateway.yaml"
    file.write_text(broken())
    result = CliRunner().invoke(app, ["verify", "--config", str(file), "--url", "http://127.0.0.1:9"])
    assert (result.exit_code, "cannot be reached" in result.stderr) == (3, True)
    file.write_text("version: 2\n")
    result = CliRunner().invoke(app, ["verify", "--config", str(file), "--url", "http://127.0.0.1:9"])
    assert (result.exit_code, "not verified: " in result.stderr) == (3, True)


def test_the_help_shows_a_seed_that_works(tmp_path: Path) -> None:
    """The example in `verify --help` is a file for --seed as it stands, and the built-in seeds stay behind it."""
    shown = CliRunner().invoke(app, ["verify", "--help"]).stdout
    example = shown[shown.index("requests:") - 2 :]
    (tmp_path / "seed.yaml").write_text(textwrap.dedent(example))
    first, second, *rest = recipes.load(tmp_path / "seed.yaml").requests
    assert (first.path, list(first.saves)) == ("/v2/wishlists", ["list"])
    assert "${list}" in second.path
    assert tuple(rest) == recipes.built_in().requests


async def _command(folder: Path, upstream: str, *arguments: str) -> tuple[int, str, str]:
    """Run the installed command; return its exit code, output and errors."""
    process = await _started(folder, upstream, *arguments)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def _started(folder: Path, upstream: str, *arguments: str) -> Process:
    environ = environment(folder, upstream) | {
        "PATH": os.environ["PATH"],
        "GATEWAY_VERIFY_CLIENT_SECRET": TRUSTED_SECRET,
    }
    return await start("verify", *arguments, environ=environ)


async def test_ctrl_c_deletes_the_customers_it_made(upstream: Commerce, tmp_path: Path) -> None:
    """In the middle of an attack, Ctrl-C ends it with one line and exit 130, once its two customers are gone again."""
    async with run_site(upstream, tmp_path, passwords=False) as site:
        process = await _started(tmp_path, upstream.url, str(MOLTIN), "--url", site.url, "--client-id", TRUSTED)
        await upstream.wait(lambda: len(upstream.requests) > 100, PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert (process.returncode, out, err) == (130, b"", b"stopped\n")
    asked = [(request.method, request.path) for request in upstream.requests]
    assert asked.count(("POST", "/v2/customers")) >= 2
    assert sum(method == "DELETE" and path.startswith("/v2/customers/") for method, path in asked[-6:]) == 2


@pytest.mark.parametrize(("access", "code"), [({}, 0), ({"order": "open"}, 1)], ids=["sound", "broken"])
async def test_the_installed_command(upstream: Commerce, tmp_path: Path, access: dict[str, str], code: int) -> None:
    """Against a gateway that runs: the exit code, the table, both reports, and no secret in any of them."""
    page, data = tmp_path / "out" / "verify.html", tmp_path / "out" / "verify.json"
    async with run_site(upstream, tmp_path, config=broken(**access), passwords=False) as site:
        arguments = ["--config", str(tmp_path / "gateway.yaml"), "--url", site.url, "--client-id", TRUSTED, "--keep"]
        ended, out, err = await _command(
            tmp_path, upstream.url, *arguments, "--report", str(page), "--report", str(data), "--concurrency", "4"
        )
    assert (ended, err) == (code, "")
    report = json.loads(data.read_text())
    assert report["result"] == ("leak" if code else "no leak")
    assert {leak["route"] for leak in report["leaks"]} == set(access)
    assert report["config"]["name"] == "gateway.yaml"
    assert {row["name"] for row in report["routes"]} == {route.name for route in site.config.routes}
    assert ("LEAK 1: GET on order" in out) == bool(code)
    assert "kept as wished: " in out
    for text in (out, page.read_text(), data.read_text()):
        assert TRUSTED_SECRET not in text
        assert "eyJ" not in text
