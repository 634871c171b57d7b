"""`gateway customers`: what an operator does reaches the store, and gateways that run."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, RON, RON_ID
from gateway.stores import open_store, upgrade
from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, Site
from tests.gateways import site as run_site

Run = Callable[..., Result]


def test_show_tells_what_is_known(run: Run, environ: dict[str, str]) -> None:
    """Of a customer whom nobody has seen too; the hash of a password is shown nowhere."""
    url = environ["GATEWAY_STORE_URL"]
    result = run("customers", "show", "ann", MOLTIN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no file yet" in result.stderr
    upgrade(url)
    result = run("customers", "show", "ann", MOLTIN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "customer: ann\nseen: no\npassword: no\nblocked: no\nlogged_out: never\n"

    async def work() -> None:
        store = open_store(url)
        await store.open()
        await store.set_password("ann", "canary-hash")
        await store.block("ann")
        await store.close()

    asyncio.run(work())
    told = json.loads(run("customers", "show", "ann", MOLTIN, "--json").stdout)
    ended = told.pop("logged_out")
    assert told == {"customer": "ann", "seen": True, "password": True, "blocked": True}
    assert ended.endswith("+00:00")


def test_what_is_done_is_said(run: Run, environ: dict[str, str]) -> None:
    """In a line, or as JSON."""
    upgrade(environ["GATEWAY_STORE_URL"])
    for command, done in (
        ("logout", "logged out"),
        ("block", "blocked"),
        ("unblock", "unblocked"),
        ("forget", "forgotten"),
    ):
        result = run("customers", command, "ann", MOLTIN)
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"ann: {done}\n", "")
        told = json.loads(run("customers", command, "ann", "--config", MOLTIN, "--json").stdout)
        assert told == {"customer": "ann", "done": done}
    result = run("customers", "logout", "--all", MOLTIN)
    assert (result.exit_code, result.stdout) == (0, "everybody: logged out\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["logout"], "name a customer, or write --all"),
        (["logout", "ann", MOLTIN, "--all"], "--all stands for every customer"),
        (["logout", "a b", MOLTIN], "no customer can have this id"),
        (["block"], "Missing argument 'ID'"),
    ],
)
def test_usage_errors(run: Run, environ: dict[str, str], words: list[object], says: str) -> None:
    """Exit 2, and nothing is done."""
    upgrade(environ["GATEWAY_STORE_URL"])
    result = run("customers", *words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_a_store_that_cannot_be_used_is_one_line(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """Nothing is said to be done."""
    upgrade(environ["GATEWAY_STORE_URL"])
    (tmp_path / "store.db").unlink()
    (tmp_path / "store.db").mkdir()
    for words in (["logout", "ann"], ["logout", "--all"], ["forget", "ann"]):
        result = run("customers", *words, MOLTIN)
        assert (result.exit_code, result.stdout) == (1, "")


@pytest.fixture
async def site(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on the store that the commands use."""
    async with run_site(upstream, tmp_path) as running:
        yield running


async def orders(site: Site, token: str) -> int:
    """Ask for the own orders with a token."""
    return (await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": token})).status


@pytest.mark.parametrize(
    "words", [["logout", RON_ID], ["block", RON_ID], ["forget", RON_ID], ["logout", "--all"]], ids=str
)
async def test_gateways_that_run_hear_of_it(run: Run, site: Site, words: list[str]) -> None:
    """The tokens that were out are worth nothing within two seconds; nobody else's are touched, but by --all."""
    ron, leslie = await site.token(RON.email), await site.token(LESLIE.email)
    assert await asyncio.to_thread(lambda: run("customers", *words, MOLTIN).exit_code) == 0
    async with asyncio.timeout(2):
        while await orders(site, ron) == 200:  # noqa: ASYNC110 - each look is a request
            await asyncio.sleep(0.02)
    assert await orders(site, ron) == 403
    assert await orders(site, leslie) == (403 if "--all" in words else 200)
    again = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
    assert again.status == (404 if words[0] in {"block", "forget"} else 201)
