"""A gateway that was forked for a test is one as operators start it."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.process.processes import serving
from tests.starting import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere none is forked")


def _seen(pid: int) -> dict[str, object]:
    """Say all of a process that it was given, or has set for itself, and that is no number of its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    names = ("Umask", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Cpus_allowed", "CapEff")
    return {
        **{name: re.findall(rf"(?m)^{name}:\s*(.*)$", status) for name in names},
        "streams": [os.readlink(f"/proc/{pid}/fd/{number}").partition(":")[0] for number in range(3)],  # noqa: PTH115
        "folder": os.readlink(f"/proc/{pid}/cwd"),  # noqa: PTH115 - as it is
        "limits": Path(f"/proc/{pid}/limits").read_text(),
        "session": os.getsid(pid) == os.getpgid(pid),
        "niceness": os.getpriority(os.PRIO_PROCESS, pid),
    }


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_is_the_same(environ: dict[str, str], workers: int) -> None:
    """Its streams, signals and limits are, and how it ends; what has workers forks them itself, either way."""
    seen = []
    for afresh in (True, False):
        async with serving(environ, workers=workers, afresh=afresh) as served:
            assert (await served.as_public("GET", "/v2/products")).status == 200
            seen.append(_seen(served.pid))
            served.tell(signal.SIGTERM)
            assert await served.ended() == 0
            assert served.errors == []
    assert seen[0] == seen[1]


@pytest.mark.parametrize("words", [("--version",), ("serve", "--no-such"), ("check", "nowhere.yaml"), ("keys", "new")])
def test_a_command_ends_the_same(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What it prints to which stream is, and its exit code."""
    environ = {"HOME": str(tmp_path), "TERM": "dumb"}
    afresh, forked = (run(*words, environ=environ, afresh=which) for which in (True, False))
    assert (forked.returncode, forked.stderr) == (afresh.returncode, afresh.stderr)
    assert re.sub(r'"(kid|x|d)":"[^"]+"', "", forked.stdout) == re.sub(r'"(kid|x|d)":"[^"]+"', "", afresh.stdout)
