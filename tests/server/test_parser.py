"""What we rely on of aiohttp is tried out at start: the installed one fits, and one that does otherwise is told of."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest

from gateway.server.parser import check
from tests.gateways import MOLTIN, ROOT

ADVICE = "; install the version in requirements/runtime.txt"


def test_the_installed_one_fits() -> None:
    """Nothing is raised, however often it is asked, on a loop or without."""
    check()
    check()


async def test_it_fits_while_a_loop_runs() -> None:
    """As it is asked at start."""
    check()


def test_the_newest_that_is_allowed_is_the_one_that_is_tested() -> None:
    """pyproject.toml allows no version beyond the minor one that the tests run with, which is the locked one."""
    installed = version("aiohttp")
    major, minor, _ = installed.split(".")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (asked,) = [one for one in project["dependencies"] if one.startswith("aiohttp>")]
    assert asked.split(",")[1] == f"<{major}.{int(minor) + 1}"
    for name in ("runtime", "dev"):
        assert f"aiohttp=={installed} " in (ROOT / "requirements" / f"{name}.txt").read_text()


# Another aiohttp, as far as we can see of it. `Parser` is the one that there is.
OTHERS = {
    "a name has gone": (
        "import aiohttp.streams; del aiohttp.streams.EMPTY_PAYLOAD",
        "cannot import name 'EMPTY_PAYLOAD' from 'aiohttp.streams'",
    ),
    "a module has gone": (
        "import aiohttp, sys; sys.modules['aiohttp.http_exceptions'] = None",
        "import of aiohttp.http_exceptions halted",
    ),
    "without its compiled parser": (
        "import aiohttp.http, aiohttp.http_parser as other; aiohttp.http.HttpRequestParser = other.HttpRequestParserPy",
        "it accepts requests that can be read in two ways (is its compiled parser missing?)",
    ),
    "another signature": (
        "def make(protocol, loop, limit): return Parser(protocol, loop, limit)\naiohttp.http.HttpRequestParser = make",
        "its parser works otherwise (TypeError: make() got an unexpected keyword argument 'max_line_size')",
    ),
    "another result": (
        "class Other(Parser):\n  def feed_data(self, data): return super().feed_data(data)[:2]",
        "its parser works otherwise (ValueError: not enough values to unpack (expected 3, got 2))",
    ),
    "requests are not held back": (
        (
            "def make(*given, max_msg_queue_size, **named): return Parser(*given, **named)\n"
            "aiohttp.http.HttpRequestParser = make"
        ),
        "it does not hold requests back",
    ),
    "bodies are unpacked": (
        (
            "def make(*given, auto_decompress, **named): return Parser(*given, **named)\n"
            "aiohttp.http.HttpRequestParser = make"
        ),
        "a body is not counted",
    ),
    "lines of any length": (
        (
            "def make(*given, **named): return Parser(*given, **{**named, 'max_line_size': 10**6})\n"
            "aiohttp.http.HttpRequestParser = make"
        ),
        "it takes lines of any length",
    ),
    "another empty body": (
        "import aiohttp.streams as streams; streams.EMPTY_PAYLOAD = streams.EmptyStreamReader()",
        "a request without a body has one",
    ),
    "bodies are not paused": (
        "class Other(Parser):\n  def pause_reading(self): pass",
        "a full body does not pause it",
    ),
    "nothing is consumed": (
        "class Other(Parser):\n  def message_consumed(self): pass",
        "it loses requests that it held back",
    ),
    "bodies are not counted": (
        (
            "import aiohttp.streams as streams\n"
            "feed = streams.StreamReader.feed_data\n"
            "def uncounted(self, data, size=0):\n  feed(self, data, size); self.total_bytes = 0\n"
            "streams.StreamReader.feed_data = uncounted"
        ),
        "a body is not counted",
    ),
}
PARSER = "import aiohttp.http; Parser = aiohttp.http.HttpRequestParser\n"
OTHER = "\naiohttp.http.HttpRequestParser = globals().get('Other', aiohttp.http.HttpRequestParser)\n"
CHECK = (
    "from gateway.server.parser import check, UnfitParserError\ntry: check()\nexcept UnfitParserError as e: print(e)"
)


@pytest.mark.parametrize("other", OTHERS)
def test_another_one_is_told_of(other: str) -> None:
    """Whatever is missing or done otherwise, the text says what, and what to do."""
    change, reason = OTHERS[other]
    program = PARSER + change + OTHER + CHECK
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"aiohttp {version('aiohttp')} cannot be used: {reason}")
    assert done.stdout.endswith(f"{ADVICE}\n")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["serve", str(MOLTIN), "--workers", "1"], id="one"),
        pytest.param(["serve", str(MOLTIN), "--workers", "2"], id="workers"),
        pytest.param(["demo"], id="demo"),
    ],
)
def test_a_gateway_with_another_one_does_not_start(environ: dict[str, str], words: list[str]) -> None:
    """It ends with one line and exit code 1."""
    ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "gateway", *words, *ports],
        cwd=ROOT,
        env=os.environ | environ | {"AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"aiohttp {version('aiohttp')} cannot be used: ")
    assert line.endswith(ADVICE)
    assert "started" not in done.stdout


def test_commands_that_serve_nothing_go_on(environ: dict[str, str]) -> None:
    """A routing file is checked whatever aiohttp is installed."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "gateway", "check", str(MOLTIN)],
        cwd=ROOT,
        env=os.environ | environ | {"AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
