"""What `gateway demo` prints: lines to paste that stay on the screen, and a log for a person or for a program."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway import __version__
from gateway.demo.data import DEMO_PASSWORDS, RON
from tests.starting import PATIENCE, SCRIPT

STOREFRONT = {"grant_type": "implicit", "client_id": "demo-storefront"}
LOGIN = {"data": {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}}


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[tuple[str, list[str], list[str]]]:
    """Run it; give its address, and what it has printed so far to either stream, which is all of it afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *arguments),
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed: tuple[list[str], list[str]] = ([], [])
    welcomed = asyncio.Event()

    async def read(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            lines.append(line.decode().rstrip("\n"))
            if lines[-1].startswith("Stop with Ctrl-C"):
                welcomed.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(read(process.stdout, printed[0]))
        group.create_task(read(process.stderr, printed[1]))
        try:
            async with asyncio.timeout(PATIENCE):
                await welcomed.wait()
            address = re.search(r"gateway on (http://[^,]+),", "\n".join(printed[0] + printed[1]))
            assert address is not None
            yield address[1], *printed
        finally:
            process.terminate()
    assert await process.wait() == 0


async def _visit(url: str) -> None:
    """Log Ron in and ask for what is his, and for what is not there."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/oauth/access_token", data=STOREFRONT) as answer:
            bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        async with session.post(f"{url}/v2/customers/tokens", json=LOGIN, headers=bearer) as answer:
            token = {"X-Moltin-Customer-Token": (await answer.json())["data"]["token"]}
        for path, headers in (
            ("/v2/orders?page[limit]=1", bearer | token),
            ("/v2/orders", bearer),
            ("/nothing/here?a=b", {}),
        ):
            async with session.get(f"{url}{path}", headers=headers):
                pass


async def test_the_lines_to_paste_stay_on_the_screen(tmp_path: Path) -> None:
    """The start ends with them and nothing follows by itself; then each request is one short line."""
    async with demo(tmp_path) as (url, output, errors):
        welcome = len(output)
        await _visit(url)
    assert errors == []
    assert output[:welcome][-2:] == ["Stop with Ctrl-C.", ""] or output[:welcome][-1] == "Stop with Ctrl-C."
    lines = [line for line in output[welcome:] if line]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d .+", line) for line in lines), lines
    assert [re.sub(r"[0-9.]+ ms", "N ms", line[9:]) for line in lines] == [
        "POST /oauth/access_token 200 N ms public",
        "POST /v2/customers/tokens 201 N ms Ron Swanson",
        "GET /v2/orders 200 N ms Ron Swanson",
        "GET /v2/orders 403 N ms public ACCESS_DENIED",
        "GET /nothing/here 404 N ms nobody ROUTE_UNKNOWN",
    ]
    assert max(map(len, lines)) < 80


async def test_what_is_insecure_is_one_sentence_that_says_why_that_is_fine(tmp_path: Path) -> None:
    """The settings are named, once, with the reason; the version is said too."""
    async with demo(tmp_path) as (_, output, _):
        pass
    sentences = [line for line in output if "insecure" in line]
    assert len(sentences) == 1
    assert set(re.findall(r"insecure_\w+", sentences[0])) == {"insecure_literal_secrets", "insecure_ephemeral_key"}
    assert "fine here" in sentences[0]
    assert any(line.startswith("gateway on ") and line.endswith(f"version {__version__}") for line in output)


async def test_a_log_for_a_program(tmp_path: Path) -> None:
    """With --log json standard output holds the lines of `gateway serve` alone; the welcome goes to standard error."""
    async with demo(tmp_path, "--log", "json") as (url, output, errors):
        await _visit(url)
    lines = [json.loads(line) for line in output]
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 201, 200, 403, 404]
    assert [line["state"] for line in lines if line["event"] == "lifecycle"] == [
        *["insecure setting"] * 2,
        *("started", "draining", "stopped"),
    ]
    assert "nothing/here" not in "".join(output)
    assert "Stop with Ctrl-C." in errors


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """The second one on the same port says in one line what it wants and what to write instead."""
    async with demo(tmp_path) as (url, _, _):
        taken = url.removeprefix("http://")
        process = await asyncio.create_subprocess_exec(
            *(SCRIPT, "demo", "--listen", taken, "--admin", "127.0.0.1:0"),
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    (line,) = errors.decode().splitlines()
    assert taken in line
    assert "--listen" in line
