"""`gateway store`: what it says of the store of a routing file, and that it says no password."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from gateway.stores import upgrade
from tests.gateways import MOLTIN
from tests.process.processes import extended

Run = Callable[..., Result]


def test_check_changes_nothing(run: Run, environ: dict[str, str]) -> None:
    """Where there is no store yet it says what makes one; after that it says what is in it, also as JSON."""
    file = Path(environ["GATEWAY_STORE_URL"].removeprefix("sqlite:///"))
    result = run("store", "check", MOLTIN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no file yet: `gateway store migrate` brings it there" in result.stderr
    assert not file.exists()
    made = run("store", "migrate", MOLTIN)
    assert (made.exit_code, made.stderr) == (0, "")
    assert f"{environ['GATEWAY_STORE_URL']}: at revision " in made.stdout
    result = run("store", "check", MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "usable; 0 passwords, 0 registrations under way, 0 e-mails, 0 log-outs" in result.stdout
    told = json.loads(run("store", "check", MOLTIN, "--json").stdout)
    assert told == {
        "store": environ["GATEWAY_STORE_URL"],
        "usable": True,
        "credentials": 0,
        "customers": 0,
        "emails": 0,
        "log_outs": 0,
        "password_resets": 0,
        "registrations": 0,
    }


def test_a_store_that_cannot_be_used_is_one_line(run: Run, tmp_path: Path) -> None:
    """Also as JSON, with the exit code 1; the password of a URL is masked."""
    url = "postgresql://shop:canary-pg@127.0.0.1:1/shop"
    file = extended(tmp_path, f"store: {{url: '{url}'}}\ninsecure_literal_secrets: true\n")
    for words in (["check"], ["migrate"], ["check", "--json"]):
        result = run("store", *words, file)
        if "--json" in words:
            assert json.loads(result.stdout)["usable"] is False
        assert result.exit_code == 1
        assert result.stderr.startswith("the store cannot be used: PostgreSQL: ")
        assert "canary-pg" not in result.stdout + result.stderr
    dumped = run("dump", file)
    assert "postgresql://shop:**********@127.0.0.1:1/shop" in dumped.stdout


def test_a_password_in_the_url_is_a_secret(run: Run, tmp_path: Path) -> None:
    """It may not stand in the routing file."""
    file = extended(tmp_path, "store: {url: 'postgresql://shop:canary-pg@127.0.0.1:1/shop'}\n")
    result = run("check", file)
    assert result.exit_code == 1
    assert "store.url: a secret stands in the file" in result.stderr
    assert "canary-pg" not in result.stdout + result.stderr


def test_copy_says_what_is_wrong_with_its_words(run: Run, tmp_path: Path) -> None:
    """A URL that is none, and two that no copy goes between, are usage errors; what is missing is a fault."""
    upgrade(f"sqlite:///{tmp_path}/one.db")
    for source, target, says in (
        (f"sqlite:///{tmp_path}/one.db", "canary", "this is not a URL of a store"),
        (f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db", "a copy goes from sqlite:"),
    ):
        result = run("store", "copy", source, target)
        assert result.exit_code == 2
        assert says in " ".join(result.stderr.split())
    result = run("store", "copy", f"sqlite:///{tmp_path}/none.db", "postgresql://shop@127.0.0.1:1/shop")
    assert (result.exit_code, result.stderr.split(":")[0]) == (1, "nothing was copied")


def test_backup_writes_a_store(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """It says what is in it; a file that is there is no place for one."""
    upgrade(environ["GATEWAY_STORE_URL"])
    file = tmp_path / "backup.db"
    result = run("store", "backup", file, MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{file}: 0 passwords, ")
    again = run("store", "backup", file, MOLTIN)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"nothing was written: {file}: File exists\n"
    told = json.loads(run("store", "backup", tmp_path / "other.db", "--config", MOLTIN, "--json").stdout)
    assert set(told.values()) == {0}
