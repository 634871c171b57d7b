"""The commands themselves: help, usage errors, `dump` and `keys new`."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from gateway import __version__
from gateway.authn.key import Algorithm, load_key
from gateway.config.model import Config
from tests.gateways import MOLTIN, ROOT, TRUSTED_SECRET, UPSTREAM_SECRET
from tests.process.processes import extended
from tests.starting import SCRIPT

Run = Callable[..., Result]

COMMANDS = [
    [],
    ["serve"],
    ["demo"],
    ["init"],
    ["check"],
    ["explain"],
    ["dump"],
    ["diff"],
    ["keys"],
    ["keys", "new"],
    ["store"],
    ["store", "copy"],
    ["customers"],
    ["customers", "logout"],
]


def _installed(*arguments: str | bytes | Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], env=environ, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_needs_nothing(run: Run, environ: dict[str, str], command: list[str]) -> None:
    """--help of each command works without any variable of the configuration, exit 0."""
    result = run(*command, "--help", **dict.fromkeys(environ))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Usage: " in result.stdout
    assert run(*command, "-h").stdout == result.stdout


def test_help_with_an_empty_environment() -> None:
    """The installed command explains itself in an environment without a single variable, and hides its own switches."""
    done = _installed("serve", "--help", environ={})
    assert (done.returncode, done.stderr) == (0, "")
    assert "--workers" in done.stdout
    assert "--as-worker" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["check", "--config", "x", "--nosuch"], "No such option"),
        (["serve", "--config", "x", "--listen", "8080"], "write HOST:PORT"),
        (["serve", "--config", "x", "--listen", "h:65536"], "write HOST:PORT"),
        (["serve", "--config", "x", "--admin", "h:-1"], "write HOST:PORT"),
        (["serve", "--config", "x", "--listen", f"{'a' * 80}:80"], "this cannot be the name of a host"),
        (["serve", "--config", "x", "--workers", "0"], "greater than or equal to 1"),
        (["serve", "--config", "x", "--workers", "two"], "as an integer"),
        (["explain", "--config", MOLTIN, "GET"], "Missing argument 'TARGET'"),
        (["explain", "--config", MOLTIN, "GET", "/", "--as", "root"], "is not one of"),
        (["explain", "--config", MOLTIN, "GET", "/", "--as", "customer"], "--as customer needs --customer ID"),
        (["explain", "--config", MOLTIN, "GET", "/", "--as", "public", "--customer", "c"], "goes with --as customer"),
        (["explain", "--config", MOLTIN, "GET", "/", "--customer", "a b"], "does not fit the configured pattern"),
        (["explain", "--config", MOLTIN, "GET", "/", "-H", "Bearer canary [/b]"], "a header is written 'Name: value'"),
        (["keys", "new", "--out", "x", "--algorithm", "none"], "is not one of"),
    ],
)
def test_usage_errors(run: Run, arguments: list[str], says: str) -> None:
    """What is called wrongly is told so in one clear message, with exit 2, and repeats no secret."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert "canary" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["keys"]])
def test_no_command_shows_the_help(run: Run, arguments: list[str]) -> None:
    """Who writes no command is shown which there are; that is an answer, exit 0."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == run(*arguments, "--help").stdout
    assert "Commands:" in result.stdout


def test_the_help_is_plain(run: Run) -> None:
    """Help has no boxes and cuts nothing off: each command is told of in one whole line."""
    shown = run("--help").stdout
    assert shown.isascii()
    assert "..." not in shown.partition("Commands:")[2]


def test_the_version(run: Run) -> None:
    """`--version` says which it is, as the package's metadata does; no command and no configuration is needed."""
    result = run("--version")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.split()[:2] == ["gateway", __version__]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


SERVER = {"aiohttp", "sqlalchemy", "alembic", "prometheus_client", "uvloop"}
LIBRARIES = SERVER | {"asyncio", "pydantic", "cryptography", "jwt", "argon2", "yaml", "rich"}


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], LIBRARIES),
        (["--version"], LIBRARIES),
        # Typer reads the options of a command with pydantic.
        ([], LIBRARIES - {"pydantic"}),
        (["serve", "--help"], LIBRARIES - {"pydantic"}),
        (["verify", "--help"], LIBRARIES - {"pydantic"}),
        (["serve", "--nosuch"], LIBRARIES - {"pydantic"}),
        (["serve"], LIBRARIES - {"pydantic"}),
        (["check", str(MOLTIN)], SERVER),
        (["init", "--help"], LIBRARIES - {"pydantic"}),
        (["init", "--preset", "rest"], SERVER),
        (["dump", str(MOLTIN)], SERVER | {"rich"}),
        (["keys", "new", "--out", "signing.jwk"], SERVER | {"rich", "yaml"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_needs(
    environ: dict[str, str], tmp_path: Path, arguments: list[str], unused: set[str]
) -> None:
    """Help, version and usage errors wait for no library of the server, nor does what only reads a file."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)))\n"
        "from gateway.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    imported = set(done.stderr.splitlines()[-1].split())
    assert "gateway.cli.app" in imported
    assert imported & unused == set()


def test_dump_is_the_effective_configuration(run: Run, tmp_path: Path) -> None:
    """`dump` shows values with their defaults filled in and variables replaced, and every secret masked."""
    result = run("dump", extended(tmp_path, "server: {drain: 5s}\n"))
    assert (result.exit_code, result.stderr) == (0, "")
    shown = yaml.safe_load(result.stdout)
    assert set(shown) <= set(Config.model_fields)
    assert (shown["server"]["drain"], shown["server"]["keepalive"]) == ("5s", "75s")
    assert shown["upstream"]["url"] == "http://127.0.0.1:9"
    assert shown["upstream"]["credential"]["client_secret"] == "**********"
    assert {route["name"] for route in shown["routes"]} >= {"orders-list", "cart-checkout"}
    key = json.loads((tmp_path / "signing.jwk").read_text())["d"]
    assert [secret for secret in (UPSTREAM_SECRET, TRUSTED_SECRET, key) if secret in result.output] == []


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_new_key(run: Run, tmp_path: Path, algorithm: Algorithm) -> None:
    """`keys new` writes a key that the gateway can use, for its owner only, and prints its id and nothing of it."""
    path = tmp_path / "new.jwk"
    result = run("keys", "new", "--algorithm", algorithm, "--out", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = load_key(path.read_text())
    assert key.algorithm is algorithm
    assert result.stdout == f"{path}: {algorithm} key {key.kid}\n"
    assert run("check", "--config", MOLTIN).exit_code == 0


def test_the_default_algorithm(run: Run, tmp_path: Path) -> None:
    """Without --algorithm the key is an Ed25519 one."""
    assert run("keys", "new", "--out", tmp_path / "new.jwk").exit_code == 0
    assert load_key((tmp_path / "new.jwk").read_text()).algorithm is Algorithm.EDDSA


@pytest.mark.parametrize("kind", ["file", "folder", "link", "nowhere"])
def test_a_key_overwrites_nothing(run: Run, tmp_path: Path, kind: str) -> None:
    """`keys new` never writes over something, nor through a link; one line and exit 1."""
    path = tmp_path / "there"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path = tmp_path / "missing" / "key"
    result = run("keys", "new", "--out", path)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert result.stderr.startswith(f"cannot write {path}: ")
    assert kind != "file" or path.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_bytes_that_cannot_be_printed(environ: dict[str, str]) -> None:
    """Arguments that are no text in the terminal's encoding are shown escaped, and are no traceback."""
    strict = environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"}
    done = _installed("explain", "--config", MOLTIN, "GET", b"/v2/\xff\xe2\x82\xac", environ=strict)
    assert (done.returncode, done.stderr) == (0, "")
    assert "400 TARGET_INVALID" in done.stdout
    missing = _installed("check", "--config", b"/\xff.yaml", environ=strict)
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)


def test_a_reader_that_leaves(environ: dict[str, str]) -> None:
    """Output into a pipe that nobody reads any more ends the command without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gateway", "check", "--config", str(MOLTIN)]
    done = subprocess.run(command, env=environ, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
