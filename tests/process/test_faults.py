"""What the command says when it cannot start: clear lines, an exit code, no traceback, no secret."""

import json
import re
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from gateway.authn.key import Algorithm, generate
from tests.gateways import MOLTIN, TRUSTED_SECRET, UPSTREAM_SECRET, environment
from tests.process.processes import extended
from tests.starting import run

NOBODY = "http://127.0.0.1:9"


def _run(environ: dict[str, str], *arguments: str, config: Path = MOLTIN) -> subprocess.CompletedProcess[str]:
    """Run `gateway serve` to its end."""
    return run("serve", "--config", str(config), *arguments, environ=environ)


def test_every_fault_of_the_configuration_has_its_line(tmp_path: Path) -> None:
    """Each fault is one line with file, line and column; all are told at once, and none repeats a secret."""
    config = extended(
        tmp_path,
        "tokens: {issuer: x, audience: y, keys: ['${env:KEY}'], lifes: 1}\n"
        "upstream: {url: 'http://user:canary-in-url@host', credential: {client_secret: canary-literal}}\n"
        "server: {drain: soon}\n",
    )
    environ = environment(tmp_path, NOBODY, KEY=json.dumps({"kty": "OKP", "d": "canary-key-material"}))
    done = _run(environ, config=config)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line for line in lines if not re.fullmatch(rf"{re.escape(str(config))}:[2-4]:\d+: .+", line)] == []
    assert [f":{line}:" in done.stderr for line in (1, 2, 3, 4)] == [False, True, True, True]
    assert "lifes" in done.stderr
    shown = [secret for secret in ("canary", UPSTREAM_SECRET, TRUSTED_SECRET) if secret in done.stderr]
    assert shown == []


def test_a_key_that_cannot_be_used_is_not_shown(tmp_path: Path) -> None:
    """A signing key that is broken is a fault at its place, and none of its text is repeated."""
    environ = environment(tmp_path, NOBODY)
    member = json.loads(generate(Algorithm.EDDSA))["d"]
    Path(environ["GATEWAY_SIGNING_KEY_FILE"]).write_text(json.dumps({"kty": "OKP", "alg": "EdDSA", "d": member}))
    done = _run(environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"{re.escape(str(MOLTIN))}:\d+:\d+: tokens\.keys\[0\]: unusable key: .+\n", done.stderr)
    assert member not in done.stderr


def test_missing_variables_are_all_named(tmp_path: Path) -> None:
    """An empty environment is answered with every variable that is missing, a line for each place."""
    done = _run({"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    named = re.findall(r"^.+?:\d+:\d+: environment variable (\w+) is not set", done.stderr, re.MULTILINE)
    wanted = set(environment(tmp_path, NOBODY)) - {"GATEWAY_STORE_URL"}
    assert set(named) == wanted
    assert len(done.stderr.splitlines()) == len(named)


@pytest.mark.parametrize("option", ["--listen", "--admin"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use(option: str, workers: str, tmp_path: Path) -> None:
    """A port that somebody has is one line and exit 1, with one process or several."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ports = {"--listen": "127.0.0.1:0", "--admin": "127.0.0.1:0"}
        ports[option] = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = [word for pair in ports.items() for word in pair]
        done = _run(environment(tmp_path, NOBODY), *arguments, "--workers", workers)
    assert (done.returncode, done.stdout) == (1, "")
    says = r"cannot listen on \S+ and \S+: .*[Aa]ddress already in use; --listen and --admin take other addresses\n"
    assert re.fullmatch(says, done.stderr)


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    """A store in a folder that takes no files, not even from root, is one line and exit 1."""
    done = _run(environment(tmp_path, NOBODY, GATEWAY_STORE_URL="sqlite:////proc/store.db"))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"the store cannot be used: SQLite: .+\n", done.stderr)


def test_a_store_that_is_no_database(tmp_path: Path) -> None:
    """A file that is something else than a store is one line and exit 1, and stays as it is."""
    text = b"somebody's letters" * 100
    (tmp_path / "store.db").write_bytes(text)
    done = _run(environment(tmp_path, NOBODY))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"the store cannot be used: SQLite: .+\n", done.stderr)
    assert (tmp_path / "store.db").read_bytes() == text


def test_a_store_that_is_another_applications(tmp_path: Path) -> None:
    """A database that holds somebody else's tables is named, gets none of ours, and stays as it is."""
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("CREATE TABLE letters (sender TEXT)")
        connection.commit()
    before = (tmp_path / "store.db").read_bytes()
    done = _run(environment(tmp_path, NOBODY), "--workers", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "the store cannot be used: SQLite: the file is another application's: it has the tables 'letters'; give the"
        " gateway its own\n"
    )
    assert (tmp_path / "store.db").read_bytes() == before
    assert [path.name for path in tmp_path.glob("store.db*")] == ["store.db"]
