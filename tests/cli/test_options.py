"""Which routing file a command reads, and how its words are told apart."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.gateways import MOLTIN
from tests.starting import run as installed

Run = Callable[..., Result]

# What each command is given beside the file.
COMMANDS = {"check": [], "dump": [], "explain": ["GET", "/v2/orders"]}
READERS = {**COMMANDS, "serve": [], "verify": ["--url", "http://127.0.0.1:9"]}


def _in(folder: Path, environ: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return installed(*map(str, arguments), environ=environ, folder=folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_file_is_an_argument_or_an_option(run: Run, environ: dict[str, str], tmp_path: Path, command: str) -> None:
    """FILE, `--config FILE`, both where they are the same, and ./gateway.yaml: all read the file."""
    rest = COMMANDS[command]
    said = run(command, MOLTIN, *rest)
    assert (said.exit_code, said.stderr) == (0, "")
    assert run(command, "--config", MOLTIN, *rest).stdout == said.stdout
    assert run(command, MOLTIN, *rest, "--config", MOLTIN.parent / "." / MOLTIN.name).stdout == said.stdout
    (tmp_path / "gateway.yaml").write_text(f"extends: {MOLTIN}\n")
    done = _in(tmp_path, environ, command, *rest)
    assert (done.returncode, done.stdout, done.stderr) == (0, said.stdout, "")


@pytest.mark.parametrize("command", READERS)
def test_two_files_are_one_too_many(run: Run, tmp_path: Path, command: str) -> None:
    """Two different files are a usage error that names both: neither is silently left out."""
    result = run(command, tmp_path / "a.yaml", "--config", tmp_path / "b.yaml", *READERS[command])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(
        f"two routing files are given, {tmp_path}/a.yaml and --config {tmp_path}/b.yaml: write one of them\n"
    )


@pytest.mark.parametrize("command", READERS)
def test_no_file_says_what_to_write(environ: dict[str, str], tmp_path: Path, command: str) -> None:
    """Without a file, and without a ./gateway.yaml, the last line says what to write instead."""
    done = _in(tmp_path, environ, command, *READERS[command])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        f"Error: no routing file: write its name after `gateway {command}`, or call it gateway.yaml and work in its"
        " folder; `gateway demo` needs none"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Missing argument 'TARGET'"),
        ([MOLTIN], "Missing argument 'TARGET'"),
        (["GET"], "Missing argument 'TARGET'"),
        ([MOLTIN, "GET"], "is no method: write FILE METHOD TARGET"),
        (["/v2/orders", "GET"], "'/v2/orders' is no method: write FILE METHOD TARGET"),
        ([MOLTIN, "/v2/orders", "GET"], "'/v2/orders' is no method: write FILE METHOD TARGET"),
        (["--config", MOLTIN, MOLTIN, "GET"], "is no method: write FILE METHOD TARGET"),
    ],
    ids=str,
)
def test_words_of_explain_that_are_missing_or_out_of_order(run: Run, words: list[str | Path], says: str) -> None:
    """A file is not taken for a method, nor a path: the message says the order."""
    result = run("explain", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr.splitlines()[-1]
    assert " explain [OPTIONS] [FILE] METHOD TARGET\n" in result.stderr


def test_verify_has_a_file_as_well(environ: dict[str, str], tmp_path: Path) -> None:
    """`verify FILE --url URL` reads the file before it asks the gateway, which is not there."""
    done = _in(tmp_path, environ, "verify", MOLTIN, "--url", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot be reached" in done.stderr
    faulty = tmp_path / "gateway.yaml"
    faulty.write_text("version: 2\n")
    assert str(faulty.name) in _in(tmp_path, environ, "verify", "--url", "http://127.0.0.1:9").stderr
