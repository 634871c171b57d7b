"""Fill .venv with exactly what the locks beside this file name: `python3 requirements/install.py SET`, as make does it.

It runs on the user's own Python before anything is installed, so it knows the standard library alone. It resolves
nothing: pip is told every package with its hashes, and never asked to look for what a package wants.
"""

import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Wheels are kept, so that nothing is fetched twice: not after a failure, not for another lock, not for a new .venv.
WHEELS = VENV / "wheels" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
# What pip said in the last run, where one line of ours is not enough.
LOG = VENV / "pip.log"

# The locks of each set. A package that stands in several of them has the same pin and hashes in all.
LOCKS = {
    "runtime": ("build", "runtime"),
    "development": ("build", "runtime", "dev"),
    "bench": ("build", "runtime", "dev", "bench"),
    "fuzz": ("build", "runtime", "dev", "fuzz"),
    "peers": ("build", "runtime", "dev", "peers"),
}
# Wheels only: a source package would run code to become one, with tools that no lock names. These have no wheel; they
# come last, and are built with what the lock has brought by then.
SOURCES = frozenset({"forbiddenfruit"})
# pip asks for one package after the other, and computes longer on each list of files than the answer takes.
FETCHERS = 2

_INTERRUPTED = 130


class SetupError(Exception):
    """What went wrong, in one line for the person who waits."""


class Requirement(NamedTuple):
    """A package of a lock: its name, and the lines that pin its version and files."""

    name: str
    text: str

    @property
    def hashes(self) -> frozenset[str]:
        """Return the SHA-256 of each file that will do."""
        return frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", self.text))


def read_lock(text: str) -> list[Requirement]:
    """Return the packages of a lock, in its order."""
    blocks = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    return [Requirement(block.partition("==")[0], block) for block in blocks]


def _lock(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


class Stamps:
    """What .venv holds, by files in it that name what it was made from; the times of files prove nothing."""

    def __init__(self) -> None:
        tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        project = json.dumps([tables["build-system"], tables["project"], tables.get("tool", {}).get("hatch")])
        parts = {"python": "", "project": project} | {
            name: "".join(_lock(each).read_text(encoding="utf-8") for each in locks) for name, locks in LOCKS.items()
        }
        # Scripts in .venv name its path, and a folder can be moved.
        made_by = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {sys.base_prefix} {VENV}"
        self._wanted = {
            name: f"{made_by} {hashlib.sha256(part.encode()).hexdigest()}\n" for name, part in parts.items()
        }

    def held(self) -> set[str]:
        """Return what .venv holds as it is wanted now: "python" (and pip), "project", and sets of packages."""
        return {name for name, text in self._wanted.items() if self._read(name) == text}

    def outdated(self) -> bool:
        """Return whether .venv holds a set as a lock said it that has changed since."""
        return any(self._read(name) not in {"", self._wanted[name]} for name in LOCKS)

    def write(self, names: Iterable[str]) -> None:
        """Say that .venv holds these."""
        for name in names:
            (VENV / f".{name}").write_text(self._wanted[name], encoding="utf-8")

    def remove(self) -> None:
        """Say nothing: from here on .venv is in a state that nobody knows, until it is written."""
        for name in self._wanted:
            (VENV / f".{name}").unlink(missing_ok=True)

    @staticmethod
    def _read(name: str) -> str:
        path = VENV / f".{name}"
        return path.read_text(encoding="utf-8") if path.is_file() else ""


class Progress:
    """Short lines about what goes on. On a terminal the passing ones are written over each other."""

    def __init__(self) -> None:
        self._clear = "\r\033[K" if sys.stdout.isatty() else ""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(f"{self._clear}{text}", flush=True)

    def pass_by(self, text: str) -> None:
        """Print a line that the next one takes the place of, where that can be."""
        if self._clear:
            print(self._clear + text[: shutil.get_terminal_size().columns - 1], end="", flush=True)
        else:
            self.say(text)

    def fail(self, text: str) -> None:
        """Print the last line, where errors go."""
        print(self._clear, end="", flush=True)
        print(text, file=sys.stderr, flush=True)


class Pip:
    """The pip of .venv. None of its processes outlives this one."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._running: list[subprocess.Popen[str]] = []

    def fetch(self, wanted: Sequence[Requirement], *options: str) -> None:
        """Download those that are not there yet.

        Where they come from is the user's to say, in the configuration of pip; what they are is not. After a failure
        the cache of pip has what came before it.
        """
        WHEELS.mkdir(parents=True, exist_ok=True)
        there = {hashlib.sha256(file.read_bytes()).hexdigest() for file in WHEELS.iterdir()}
        missing = [each for each in wanted if not each.hashes & there]
        environ = os.environ | {"PIP_CONSTRAINT": os.devnull, "PIP_QUIET": "0", "PIP_VERBOSE": "0"}
        command = ("download", "--progress-bar=off", "--dest", str(WHEELS), *options)
        report = self._reporter(len(missing))
        if missing:
            self._progress.pass_by(f"fetching {_count(missing)}")
        shares = [share for share in (missing[first::FETCHERS] for first in range(FETCHERS)) if share]
        with ThreadPoolExecutor(FETCHERS) as pool:
            futures = [pool.submit(self._run, command, environ, share, report) for share in shares]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self.stop()
                raise

    def install(self, wanted: Sequence[Requirement], *options: str) -> None:
        """Install what was fetched, and ask nobody."""
        self._progress.pass_by(f"installing {_count(wanted)}")
        command = ("install", "--no-index", "--find-links", str(WHEELS), *options)
        self._run(command, _alone(), wanted)

    def install_project(self) -> None:
        """Install this folder, as editable, with the build backend that the locks brought."""
        options = ("--no-deps", "--no-index", "--no-build-isolation")
        self._run(("install", *options, "--editable", str(ROOT)), _alone())

    def check(self) -> None:
        """Prove that all that is installed finds what it asks for."""
        self._run(("check",), _alone())

    def stop(self) -> None:
        """End whatever runs."""
        running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            process.wait()

    def _reporter(self, total: int) -> Callable[[str], None]:
        done = 0
        patient = False

        def report(line: str) -> None:
            nonlocal done, total, patient
            if line.startswith("Ignoring "):
                total -= 1
            elif line.startswith("WARNING: Retrying ") and not patient:
                self._progress.pass_by("no answer yet, trying again")
                patient = True
            elif line.startswith(("Collecting ", "Processing ")):
                # A package by its name, or the path of a wheel that lies on a disk.
                found = re.search(r"([\w.-]+?)(?:==|-)(\d[^\s-]*)", line.partition(" (from ")[0].rpartition("/")[2])
                done += 1
                self._progress.pass_by(f"fetching {done}/{total}: " + (f"{found[1]} {found[2]}" if found else line))

        return report

    def _run(
        self,
        arguments: Sequence[str],
        environ: dict[str, str],
        wanted: Sequence[Requirement] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        command = [str(PYTHON), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
        with tempfile.NamedTemporaryFile("w", dir=VENV, suffix=".txt", encoding="utf-8") as lock:
            if wanted:
                lock.writelines(each.text for each in wanted)
                lock.flush()
                command += ["--no-deps", "--require-hashes", "-r", lock.name]
            lines: list[str] = []
            with subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                self._running.append(process)
                for line in process.stdout or ():
                    lines.append(line.strip())
                    report(lines[-1])
            self._running.remove(process)
        with LOG.open("a", encoding="utf-8") as log:
            log.write("\n".join([shlex.join(command), *lines, ""]))
        if process.returncode:
            raise SetupError(fault(arguments[0], lines))


def _count(packages: Sequence[Requirement]) -> str:
    return f"{len(packages)} packages" if len(packages) > 1 else packages[0].name


def _alone() -> dict[str, str]:
    """Return an environment in which pip has no configuration but its arguments."""
    # A package without a pyproject.toml is built as one that has it; by a variable, for not every pip has the option.
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_USE_PEP517": "1"}
    return {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | own


def fault(command: str, lines: Sequence[str]) -> str:
    """Return in one line what a pip that failed said in many."""
    lines = lines or ["it ended without a word"]
    text = "\n".join(lines)
    if command != "download":
        what = "the locks do not fit together" if command == "check" else "could not install"
        first = next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")), lines[0])
        return f"{what}: {first} (all that pip said is in {LOG.relative_to(ROOT)})"
    named = re.findall(r"(?m)(?:requirement|found for|^Collecting) ([\w.-]+)==([^\s;]+)", text)
    package = " ".join(named[-1]) if named else "the packages"
    if "DO NOT MATCH THE HASHES" in text:
        return f"{package} was not installed: the file that was offered is not the one in the lock"
    broken = re.findall(r"connection broken by '(?:\w+\(['\"])?(.*?)(?:['\"]\))?': /", text)
    if broken:
        reason = re.sub(r"<[^>]*>: |\w+\(host=[^)]*\): ", "", broken[-1])
    elif "No matching distribution" in text:
        silent = "no answer, or " if "from versions: none" in text else ""
        reason = f"{silent}no wheel of it for {sys.implementation.cache_tag} on {sysconfig.get_platform()}"
    else:
        reason = lines[-1].removeprefix("ERROR: ")
    return f"could not fetch {package}: {reason}; the next try goes on from here"


def make_venv(progress: Progress) -> None:
    """Make .venv anew, with pip and nothing else in it. Only fetched wheels stay."""
    progress.pass_by(f"making .venv with Python {platform.python_version()}")
    try:
        import ensurepip  # noqa: F401, PLC0415 - some systems ship both
        import venv  # noqa: PLC0415 - apart from Python
    except ImportError:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(
            f"{sys.executable} cannot make a virtual environment: install its modules venv and ensurepip"
            f" (Debian, Ubuntu: apt install {package})"
        ) from None
    VENV.mkdir(exist_ok=True)
    for path in VENV.iterdir():
        if path != WHEELS.parent:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, ValueError) as error:
        raise SetupError(f"{sys.executable} could not make {VENV}: {error}") from None


def provide(name: str, progress: Progress, pip: Pip) -> None:
    """Bring .venv to where it holds a set and this project; do nothing where it does."""
    stamps = Stamps()
    held = stamps.held() if _works() else set()
    if {name, "project"} <= held:
        return
    started = time.monotonic()
    LOG.unlink(missing_ok=True)
    if "python" not in held:
        make_venv(progress)
        stamps.write(held := {"python"})
    packages = {each for lock in LOCKS[name] for each in read_lock(_lock(lock).read_text(encoding="utf-8"))}
    wheels = sorted(each for each in packages if each.name not in SOURCES)
    sources = sorted(packages.difference(wheels))
    if name not in held:
        pip.fetch(wheels, "--only-binary=:all:")
        if stamps.outdated():
            make_venv(progress)
            held = {"python"}
    stamps.remove()
    if name not in held:
        pip.install(wheels)
        if sources:
            pip.fetch(sources, "--no-build-isolation", *(f"--no-binary={each.name}" for each in sources))
            pip.install(sources, "--no-build-isolation")
        held |= {each for each, locks in LOCKS.items() if set(locks) <= set(LOCKS[name])}
    if "project" not in held:
        pip.install_project()
    pip.check()
    stamps.write(held | {"project"})
    progress.say(f".venv is ready ({name}, Python {platform.python_version()}, {time.monotonic() - started:.0f} s)")


def _works() -> bool:
    """Return whether .venv has a Python that runs; it is a link to one that may be gone."""
    if Path(sys.prefix).resolve() == VENV:
        return True
    try:
        return subprocess.run([PYTHON, "-I", "-c", ""], check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def _only_one(progress: Progress) -> Iterator[None]:
    """Hold off a second set-up of this folder until the block ends, or this process does."""
    folder = os.open(ROOT / "requirements", os.O_RDONLY)
    try:
        # Some network file systems lock nothing; there it is the person who starts one at a time.
        with suppress(OSError):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.pass_by("waiting for another set-up of this folder")
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(name: str) -> int:
    """Provide a set; return the exit code."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress()
    pip = Pip(progress)
    try:
        with _only_one(progress):
            provide(name, progress, pip)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        pip.stop()
        progress.fail("stopped; the next try goes on from here")
        return _INTERRUPTED
    except SetupError as error:
        progress.fail(str(error))
        return 1
    except OSError as error:
        closed = error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}
        hint = ": the set-up needs a checkout that it may write to, such as a copy of your own" if closed else ""
        progress.fail(f"{error.filename or VENV}: {error.strerror or error}{hint}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
