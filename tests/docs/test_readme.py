"""The README's tour really runs: its lines are executed against the demonstration and print what it says."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.verify import recipes
from tests.gateways import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
# The complete routing file, and the commands that go with it.
FILE = re.compile(
    r"<!-- routing file -->\n```yaml\n(.*?)```.*<!-- routing file: commands -->\n```sh\n(.*?)```", re.DOTALL
)
TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
GATEWAY = f"{os.path.dirname(sys.executable)}/gateway"  # noqa: PTH120 - beside the interpreter, not where its link leads


@pytest.fixture
def demo() -> Iterator[str]:
    """Run the demonstration on free ports; give its public address."""
    command = [GATEWAY, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            found = re.search(r"gateway on http://(\S+),", line)
            address = found[1] if found else address
            if "Stop with Ctrl-C" in line:
                break
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def pattern(expected: str) -> re.Pattern[str]:
    """Return what the output must match: the text, with `...` standing for anything."""
    return re.compile(".*".join(re.escape(part) for part in expected.strip().split("...")), re.DOTALL)


def test_tour_prints_what_it_says(demo: str) -> None:
    """Each block of the tour, run in one shell against the demonstration, prints the text below it."""
    blocks = TOUR.findall(README)
    assert len(blocks) == 4
    mark = "--- next block ---"
    script = f"\necho; echo '{mark}'\n".join(commands.replace("127.0.0.1:8080", demo) for commands, _ in blocks)
    script = script.replace(".venv/bin/gateway", shlex.quote(GATEWAY))
    done = subprocess.run(["/bin/sh", "-eu"], input=script, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == ""
    for (_, expected), printed in zip(blocks, done.stdout.split(mark), strict=True):
        # curl prints no line end after a body.
        assert pattern(expected.replace("}\n{", "}{")).fullmatch(printed.strip()), printed


def test_the_routing_file_is_complete(tmp_path: Path) -> None:
    """The file as it stands, with the commands below it in a folder of their own: no fault, all of it proven."""
    found = FILE.search(README)
    assert found is not None
    (tmp_path / "gateway.yaml").write_text(found[1])
    export, *commands, serve = found[2].splitlines()
    assert export.startswith("export PATH=$PWD/.venv/bin:$PATH UPSTREAM_CLIENT_SECRET=")
    assert serve.startswith("gateway serve ")
    environ = {"PATH": f"{os.path.dirname(GATEWAY)}:{os.environ['PATH']}", "UPSTREAM_CLIENT_SECRET": "secret"}  # noqa: PTH120
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        check=True,
    )
    assert done.stderr == ""
    assert "4 routes, no fault found" in done.stdout
    assert " 2 isolated, " in done.stdout
    assert " 0 unproven" in done.stdout
    assert "filter=eq(customer_id,c1)" in done.stdout
    assert "client_secret: '**********'" in done.stdout
    assert len(found[1].splitlines()) < 40


def test_the_gateway_serves_the_routing_file(tmp_path: Path) -> None:
    """`gateway serve` without a word takes it from its folder, and makes its store there."""
    found = FILE.search(README)
    assert found is not None
    (tmp_path / "gateway.yaml").write_text(found[1])
    environ = {"PATH": os.environ["PATH"], "UPSTREAM_CLIENT_SECRET": "secret"}
    subprocess.run([GATEWAY, "keys", "new", "--out", "signing.jwk"], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603
    command = [GATEWAY, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert any('"state":"started"' in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert (tmp_path / "gateway.db").is_file()


def test_the_seed_file_of_the_manual_is_one(tmp_path: Path) -> None:
    """docs/verify.md shows a file for --seed that `gateway verify` reads as it stands."""
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    (tmp_path / "wishes.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    seeds = recipes.load(tmp_path / "wishes.yaml")
    assert [request.path for request in seeds.requests[:2]] == ["/v2/wishlists", "/v2/wishlists/${list}/items"]
    assert (seeds.keys[0], seeds.bodies[0].method) == ("/v2/wishlists/shared/{key}", "PUT")


def test_every_make_target_it_names_exists() -> None:
    """The README promises no target that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_somewhere() -> None:
    """Relative links of the README lead to files."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
