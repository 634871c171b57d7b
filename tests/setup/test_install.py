"""The set-up as a person meets it: `make` in a fresh checkout, with a registry that answers, fails, or is not there."""

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable

import pytest

from requirements.install import fault
from tests.setup.checkout import PATIENCE, Checkout, Ended, ended
from tests.setup.registry import Registry

BUILD = {"hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}
RUNS = "the gateway runs: demo"
STOPPED = "stopped; the next try goes on from here"
# A port on which nothing can listen.
NOWHERE = "http://127.0.0.1:1/simple/"


def interrupt(process: subprocess.Popen[str]) -> Ended:
    """Press Ctrl-C, which goes to make and all that it started."""
    os.killpg(process.pid, signal.SIGINT)
    return ended(process)


def read_until(process: subprocess.Popen[str], beginning: str) -> None:
    """Read what a command says until a line begins so."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"it ended without a line {beginning}")


def check_stopped(stopped: Ended) -> None:
    """Check that Ctrl-C ended a command with one line of ours, and as a shell expects it (its status is 130)."""
    assert (stopped.code, stopped.fault) == (-signal.SIGINT, STOPPED)


@pytest.mark.timeout(600)
def test_first_hour_with_a_bad_network(checkout: Checkout, registry: Registry) -> None:
    """Whatever stops the set-up, one line says so, nothing is half installed, and the next try goes on."""
    registry.held = "idna"
    slow = checkout.start("run")
    assert registry.holding.wait(PATIENCE)
    check_stopped(interrupt(slow))
    registry.release.set()
    assert checkout.installed() == set()

    checkout.environ |= {"PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "1"}
    offline = checkout.make("run")
    assert offline.fault.startswith("could not fetch ")
    assert "Connection refused" in offline.fault
    assert checkout.installed() == set()

    checkout.environ |= {"PIP_INDEX_URL": registry.url}
    registry.forged = {"idna"}
    forged = checkout.make("run")
    assert forged.fault == "idna 3.20 was not installed: the file that was offered is not the one in the lock"
    assert checkout.installed() == set()

    registry.forged = set()
    checkout.environ["PIP_RETRIES"] = "0"
    begun = checkout.start("run")
    read_until(begun, "installing")
    check_stopped(interrupt(begun))

    assert checkout.make("run").out[-1] == RUNS
    assert set(registry.asked) == BUILD | {"idna"}, "nothing else is looked for"


@pytest.mark.timeout(600)
def test_a_second_time_nothing_is_done(checkout: Checkout, registry: Registry) -> None:
    """What is there as the locks say stays, and what is missing is added; when files were written does not matter."""
    first = checkout.make("run")
    assert (first.code, first.err, first.out[-1]) == (0, [], RUNS)
    assert "fetching 7/7" in " ".join(first.out)
    registry.asked.clear()
    assert checkout.make("run") == Ended(0, [RUNS], [])
    assert checkout.make("setup").code == 0
    assert set(registry.asked) == {"iniconfig"}, "only what is missing is fetched"
    assert {"idna", "iniconfig"} < checkout.installed()
    for path in checkout.root.rglob("*.t*"):
        path.touch()
    assert checkout.make("setup") == Ended(0, [], [])
    assert checkout.make("run") == Ended(0, [RUNS], [])

    checkout.lock("dev", "idna")
    registry.asked.clear()
    assert checkout.make("run") == Ended(0, [RUNS], []), "its lock is as it was"
    assert "making .venv" in " ".join(checkout.make("setup").out)
    assert checkout.installed() & {"idna", "iniconfig"} == {"idna"}
    assert registry.asked == [], "what was fetched once is kept"


def set_up_was_stopped(checkout: Checkout) -> None:
    """Leave .venv as a power cut does while packages are installed."""
    for path in (checkout.root / ".venv").glob(".*"):
        path.unlink()


def python_is_gone(checkout: Checkout) -> None:
    """Remove the interpreter that .venv leads to."""
    (checkout.root / ".venv/bin/python").unlink()
    (checkout.root / ".venv/bin/python").symlink_to("/nowhere/python3")


def made_by_another_python(checkout: Checkout) -> None:
    """Leave .venv as another release of Python makes it."""
    for path in (checkout.root / ".venv").glob(".*"):
        path.write_text(path.read_text().replace(f"{sys.implementation.cache_tag} ", "cpython-310 "))


def folder_was_moved(checkout: Checkout) -> None:
    """Give the checkout another path, which the scripts in .venv do not know."""
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))


@pytest.mark.parametrize("change", [set_up_was_stopped, python_is_gone, made_by_another_python, folder_was_moved])
def test_what_is_not_as_it_was_made_is_made_anew(checkout: Checkout, change: Callable[[Checkout], None]) -> None:
    """Another Python or folder than .venv was made with is noticed, and a set-up that did not come to its end."""
    checkout.stamp()
    assert checkout.make("setup") == Ended(0, [], [])
    change(checkout)
    again = checkout.start("setup")
    read_until(again, "making .venv")
    check_stopped(interrupt(again))


@pytest.mark.parametrize("words", [("run",), ("run", "PYTHON=python3")], ids=["found", "named"])
def test_old_python(checkout: Checkout, words: tuple[str, ...]) -> None:
    """Without a Python that is new enough, one line says which one there is, and what to install."""
    checkout.environ["PATH"] = ""
    checkout.interpreter("python3", 'test "$1" = --version || exit 1; echo Python 3.9.2')
    fault = checkout.make(*words).fault
    assert fault.startswith("Python 3.11 or newer is needed, and python3 is Python 3.9.2: install one")
    assert "apt install python3" in fault


def test_no_python(checkout: Checkout) -> None:
    """Without any Python, one line says what to install."""
    checkout.environ["PATH"] = ""
    assert checkout.make("run").fault.startswith(
        "Python 3.11 or newer is needed, and python3 is not there: install one"
    )


def test_newer_python_beside_an_old_one(checkout: Checkout) -> None:
    """A new Python with a number in its name is found behind an old `python3`."""
    checkout.environ["PATH"] = ""
    checkout.interpreter("python3", "exit 1")
    checkout.interpreter("python3.12", 'test "$1" = -c || echo "$4 $5"')
    assert checkout.make("runtime") == Ended(0, ["requirements/install.py runtime"], [])


def test_python_without_venv(checkout: Checkout) -> None:
    """Where a system ships Python without ensurepip, one line names the package to install."""
    hidden = "import sys; sys.modules['ensurepip'] = None; $3"
    checkout.interpreter("python3", f'test "$1" = -c && exit; exec "{sys.executable}" -I -c "{hidden}" "$4" "$5"')
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt install python{minor}-venv" in checkout.make("run").fault
    assert not (checkout.root / ".venv").exists()


def test_read_only_checkout(checkout: Checkout) -> None:
    """In a checkout that may not be written to, one line says so."""
    checkout.root.chmod(0o555)
    # Root may write everywhere, unless it gives this up.
    prefix = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    fault = ended(checkout.start("run", prefix=prefix)).fault
    assert fault.startswith(f"{checkout.root}/.venv: Permission denied: the set-up needs a checkout")


def test_failing_npm(checkout: Checkout) -> None:
    """An npm that fails is told in one line, with its reason."""
    (checkout.root / "tests/clients").mkdir(parents=True)
    (checkout.root / "tests/clients/package-lock.json").touch()
    checkout.interpreter("npm", "echo npm error code ECONNREFUSED >&2; echo npm error more >&2; exit 1")
    assert checkout.make("clients").fault == "npm could not install tests/clients: code ECONNREFUSED"


def test_no_npm(checkout: Checkout) -> None:
    """Without npm the tests with the real SDKs are left out, and nothing fails."""
    checkout.environ["PATH"] = ""
    assert checkout.make("clients").code == 0


RETRYING = """
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by '{}': /simple/idna/
ERROR: Could not find a version that satisfies the requirement idna==3.20 (from versions: none)
ERROR: No matching distribution found for idna==3.20"""
NO_WHEEL = """
ERROR: Could not find a version that satisfies the requirement idna==3.20 (from versions: 3.18, 3.19)
ERROR: No matching distribution found for idna==3.20"""
HERE = f"no wheel of it for {sys.implementation.cache_tag} on {sysconfig.get_platform()}"
CUT_OFF = """
Collecting idna==3.20 (from -r locked.txt (line 1))
ERROR: Exception:
Traceback (most recent call last):
urllib3.exceptions.ProtocolError: Connection broken: IncompleteRead(0 bytes read)"""
NO_NAME = (
    "NewConnectionError('<urllib3.HTTPSConnection object at 0x7f1d>: [Errno -3] Temporary failure in name resolution')"
)
SILENT = "ReadTimeoutError(\"HTTPSConnectionPool(host='host.example', port=443): Read timed out. (read timeout=15)\")"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(RETRYING.format(NO_NAME), "[Errno -3] Temporary failure in name resolution", id="no name"),
        pytest.param(RETRYING.format(SILENT), "Read timed out. (read timeout=15)", id="no answer"),
        pytest.param(NO_WHEEL, HERE, id="no wheel"),
        pytest.param(NO_WHEEL.replace("3.18, 3.19", "none"), f"no answer, or {HERE}", id="nothing"),
        pytest.param(CUT_OFF, CUT_OFF.splitlines()[-1], id="cut off"),
    ],
)
def test_pip_is_quoted_in_one_line(said: str, reason: str) -> None:
    """Of all that pip says about a package that did not come, its name and the reason are left."""
    assert (
        fault("download", said.splitlines()) == f"could not fetch idna 3.20: {reason}; the next try goes on from here"
    )
