"""`gateway keys` on a folder: what it prints, what it refuses, and that it shows nothing of a key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.authn.key import Algorithm, generate
from gateway.config.load import load
from tests.process.processes import extended

Run = Callable[..., Result]


def folder(run: Run, path: Path, *steps: str) -> list[dict[str, Any]]:
    """Take these steps, and return what `list` says of the folder."""
    for step in steps:
        words = ["--longest-life", "24h"] if step == "retire" else []
        assert (
            run("keys", step, "--folder", path, *words, *(["--insecure-now"] if step != "new" else [])).exit_code == 0
        )
    listed: list[dict[str, Any]] = json.loads(run("keys", "list", "--folder", path, "--json").stdout)["keys"]
    return listed


def aged(path: Path, seconds: int) -> None:
    """Let every time in the folder be so much longer ago."""
    for file in path.iterdir():
        jwk = json.loads(file.read_text())
        jwk["gateway"] = {name: time - seconds for name, time in jwk["gateway"].items()}
        file.write_text(json.dumps(jwk))


def test_a_life_of_a_key(run: Run, tmp_path: Path) -> None:
    """Next, active, retiring, retired: each step when its time has come, from the routing file's folder and lives."""
    keys = tmp_path / "keys"
    file = extended(tmp_path, "tokens: {keys: keys, customer_life: 2h}\n")
    first = run("keys", "new", file)
    assert first.exit_code == 0
    assert run("keys", "list", file).stdout == first.stdout
    (old,) = folder(run, keys)
    assert first.stdout.startswith(f"{old['kid']}: EdDSA, active since 20")

    second = run("keys", "new", file)
    assert ", next since 20" in second.stdout
    assert "; may sign from 20" in second.stdout
    early = run("keys", "rotate", file)
    assert (early.exit_code, early.stdout) == (1, "")
    assert "is not published for long enough: wait until 20" in early.stderr
    aged(keys, 600)
    done = run("keys", "rotate", file, "--json")
    assert [(one["state"], one["kid"] == old["kid"]) for one in json.loads(done.stdout)["keys"]] == [
        ("active", False),
        ("retiring", True),
    ]

    early = run("keys", "retire", file)
    assert (early.exit_code, early.stdout) == (1, "")
    assert f"tokens signed with {old['kid']} may be in use: wait until 20" in early.stderr
    # The longest life and five minutes to take it up; one more is that of clocks.
    aged(keys, 7200 + 300)
    assert run("keys", "retire", file).exit_code == 1
    aged(keys, 60)
    assert run("keys", "retire", file).stdout.startswith(f"{old['kid']}: EdDSA, retired since 20")
    assert run("keys", "list", file).stdout.count("\n") == 2
    assert load(file).tokens.keys[0].get_secret_value() in [path.read_text() for path in keys.iterdir()]


def test_the_folder_is_the_ring(run: Run, tmp_path: Path) -> None:
    """The configuration has the keys of the folder: the one that signs first, no retired one; `dump` masks each."""
    file = extended(tmp_path, "tokens: {keys: keys}\n")
    kids = [one["kid"] for one in folder(run, tmp_path / "keys", "new", "new", "rotate", "retire", "new")]
    assert [json.loads(key.get_secret_value())["kid"] for key in load(file).tokens.keys] == kids[:2]
    assert run("check", file).exit_code == 0
    shown = run("dump", file).stdout
    assert "keys:\n  - '**********'\n  - '**********'\n" in shown


def test_a_refusal_is_told_as_json(run: Run, tmp_path: Path) -> None:
    """A program learns until when to wait."""
    made = folder(run, tmp_path / "keys", "new", "new")
    result = run("keys", "rotate", "--folder", tmp_path / "keys", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["until"] == made[1]["may_sign_from"] == made[1]["since"] + 600


def test_one_key_by_its_id(run: Run, tmp_path: Path) -> None:
    """A next key that nobody wants goes at once; the one that signs stays; a retired one is gone already."""
    keys = tmp_path / "keys"
    made = {one["state"]: one["kid"] for one in folder(run, keys, "new", "new")}
    words = ("--folder", keys, "--longest-life", "24h", "--kid")
    assert f"{made['active']} signs: " in run("keys", "retire", *words, made["active"], "--insecure-now").stderr
    assert run("keys", "retire", *words, made["next"]).stdout.startswith(f"{made['next']}: EdDSA, retired")
    for kid, says in ((made["next"], "is retired"), ("nobody", "no key of the folder is nobody")):
        result = run("keys", "retire", *words, kid)
        assert (result.exit_code, result.stdout) == (1, "")
        assert says in result.stderr


def test_only_the_keys_whose_time_has_come(run: Run, tmp_path: Path) -> None:
    """Of two retiring keys the older one goes."""
    keys = tmp_path / "keys"
    folder(run, keys, "new", "new", "rotate")
    aged(keys, 90_000)
    before = folder(run, keys, "new", "rotate")
    words = ("--folder", keys, "--longest-life", "24h")
    gone = json.loads(run("keys", "retire", *words, "--json").stdout)["keys"]
    assert [one["kid"] for one in gone] == [before[2]["kid"]]
    assert run("keys", "retire", *words).exit_code == 1


def test_nothing_to_do(run: Run, tmp_path: Path) -> None:
    """One next key at a time; without one nothing rotates, without a retiring one nothing retires."""
    keys = tmp_path / "keys"
    folder(run, keys, "new")
    assert "there is no next key" in run("keys", "rotate", "--folder", keys).stderr
    assert "no key is retiring" in run("keys", "retire", "--folder", keys, "--longest-life", "1h").stderr
    folder(run, keys, "new")
    result = run("keys", "new", "--folder", keys)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is the next key already" in result.stderr
    assert len(list(keys.iterdir())) == 2


def test_an_old_key_takes_part(run: Run, tmp_path: Path) -> None:
    """A key that was in a list before, JWK or PEM, signs in the folder until another takes its place."""
    keys = tmp_path / "keys"
    keys.mkdir()
    assert run("keys", "new", "--out", keys / "old.jwk").exit_code == 0
    assert ", active from the beginning" in run("keys", "list", "--folder", keys).stdout
    states = [(one["state"], one["file"] == "old.jwk") for one in folder(run, keys, "new", "rotate", "retire")]
    assert states == [("active", False), ("retired", True)]


@pytest.mark.parametrize("as_file", [False, True])
def test_a_broken_folder_is_told_and_not_changed(run: Run, tmp_path: Path, *, as_file: bool) -> None:
    """Each command names the file, shows nothing of it, and changes nothing; a gateway does not start with it."""
    keys = tmp_path / "keys"
    file = extended(tmp_path, "tokens: {keys: keys}\n")
    folder(run, keys, "new", "new")
    (keys / "bad.jwk").write_text('{"kty": "canary"}')
    before = {path.name: path.read_text() for path in keys.iterdir()}
    where = [file] if as_file else ["--folder", keys]
    life = [] if as_file else ["--longest-life", "24h"]
    for words in (["list"], ["new"], ["rotate", "--insecure-now"], ["retire", "--insecure-now", *life]):
        result = run("keys", *words, *where)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "bad.jwk: the JWK's alg is not one of" in result.stderr
        assert "canary" not in result.stderr
    assert {path.name: path.read_text() for path in keys.iterdir()} == before
    checked = run("check", file)
    assert checked.exit_code == 1
    assert "tokens.keys: bad.jwk: the JWK's alg is not one of" in checked.stderr


def test_no_signer_is_a_fault(run: Run, tmp_path: Path) -> None:
    """A folder in which nothing signs, an empty or a missing one, is no ring; the fault says what to do."""
    file = extended(tmp_path, "tokens: {keys: keys}\n")
    assert "tokens.keys: the folder cannot be read: No such file" in run("check", file).stderr
    (tmp_path / "keys").mkdir()
    assert "no key of the folder signs; make one with `gateway keys new`" in run("check", file).stderr
    text = json.dumps({**json.loads(generate(Algorithm.EDDSA)), "gateway": {"created": 1}})
    (tmp_path / "keys" / "next.jwk").write_text(text)
    assert "no key of the folder signs" in run("check", file).stderr
    assert run("keys", "rotate", file).exit_code == 0
    assert run("check", file).exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "--out", "x", "--folder", "y"], "--out is for a key outside of any folder"),
        (["list", "--folder", "y", "--config", "x"], "--folder stands in place of the routing file"),
        (["retire", "--folder", "y"], "--longest-life goes with --folder"),
        (["retire", "--folder", "y", "--longest-life", "3"], "add the unit"),
        (["list"], "no routing file"),
    ],
)
def test_usage_errors(run: Run, words: list[str], says: str) -> None:
    """What cannot be meant is told so, exit 2."""
    result = run("keys", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in " ".join(result.stderr.split())


def test_a_list_is_no_folder(run: Run, tmp_path: Path) -> None:
    """Keys of a list are the operator's own files: the commands leave them alone."""
    result = run("keys", "new", extended(tmp_path, "tokens: {customer_life: 2h}\n"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "tokens.keys is no folder" in result.stderr
    result = run("keys", "list", extended(tmp_path, "tokens: {keys: keys, customer_life: 2}\n"))
    assert "tokens.customer_life: a number without a unit" in result.stderr


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """One line that names it, exit 1."""
    (tmp_path / "file").write_text("")
    result = run("keys", "new", "--folder", tmp_path / "file")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert result.stderr.startswith("cannot change ")
