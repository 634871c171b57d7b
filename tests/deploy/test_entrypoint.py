"""The image's own command line, run as the image runs it: another user, nothing writable but the store, no home.

The image itself is not built here. A root filesystem that refuses writes is stood in for by a user who owns nothing but
the store's folder, and by a working directory without write permission.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# Generous for a cold start on a busy machine; each is a deadline of a wait that ends as soon as the state is reached.
START_SECONDS = 30
# The gateway's own drain deadline, and a reserve.
STOP_SECONDS = 40

UPSTREAM_CLIENT = ("upstream-client", "upstream-client-secret")
STOREFRONT_CLIENT = "storefront-client"


def _free_ports(count: int) -> list[int]:
    """Return different ports on which nothing listens; all are held until the last one is known."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], log: Path, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with exactly this environment, its output in the log; it is gone when the block ends."""
    with log.open("wb") as output:
        # The command comes from this file and the Dockerfile.
        process = subprocess.Popen(  # noqa: S603
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until(reached: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a state of a process; fail with its log when it ends first or the deadline passes."""
    deadline = time.monotonic() + START_SECONDS
    while not reached():
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"not reached in {START_SECONDS} s:\n{log.read_text()}"
        # A pause that a death of the process cuts short.
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def _ask(port: int, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send one request to a loopback port and return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, path, body=urlencode(form) if form else None, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _is_ready(port: int) -> bool:
    """Tell whether /ready answers 200; a port that is still closed is not ready."""
    try:
        return _ask(port, "GET", "/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike tmp_path, which pytest keeps for the user that runs it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@pytest.fixture(name="as_image_user")
def _as_image_user(image: dict[str, str], root: Path) -> list[str]:
    """Return the words that run a command as the image's user without capabilities; none for a user who is not root.

    Where that user may not read the interpreter or the repository (a Python under /root), it gets the one capability to
    read and enter everything. It still owns nothing and may write nowhere, which is what the test is about.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv of util-linux is needed to run this test as root"
    user, group = image["USER"].split(":")
    drop = [setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
    bare = [*drop, *(f"--{kind}=-all" for kind in ("inh-caps", "ambient-caps", "bounding-set"))]
    # By a shell, which is what starts the command where its path holds a space.
    python = ["/bin/sh", "-c", 'exec "$0" "$@"', sys.executable]
    probe = [*python, "-c", "import sys, gateway; open(sys.argv[1]).close()", str(root / "config/moltin.yaml")]
    # The command is this test's own.
    tried = subprocess.run([*bare, *probe], capture_output=True, check=False, env={}, cwd="/")  # noqa: S603
    if tried.returncode == 0:
        return bare
    return [*drop, *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set"))]


@pytest.fixture(name="upstream")
def _upstream(tmp_path: Path) -> Iterator[str]:
    """Return the address of a running demo commerce API."""
    log = tmp_path / "upstream.log"
    environment = dict(zip(("DEMO_CLIENT_ID", "DEMO_CLIENT_SECRET"), UPSTREAM_CLIENT, strict=True))
    command = [sys.executable, "-m", "gateway.demo", "--port", "0"]
    with _running(command, environment | {"PYTHONUNBUFFERED": "1"}, log, tmp_path) as process:
        announced = re.compile(r"demo commerce API on (http://127\.0\.0\.1:\d+)\s")
        _wait_until(lambda: announced.search(log.read_text()) is not None, process, log)
        found = announced.search(log.read_text())
        assert found
        yield found[1]


@pytest.fixture(name="environment")
def _environment(
    place: Path, image: dict[str, str], image_environment: dict[str, str], upstream: str
) -> dict[str, str]:
    """Return what the container's environment would hold, with the folders it names made and owned as in the pod."""
    store, key = place / "store", place / "signing-key.pem"
    store.mkdir(mode=0o750)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(pem)
    # As the kubelet leaves a Secret with defaultMode 0400 and an fsGroup.
    key.chmod(0o440)
    if os.geteuid() == 0:
        user, group = (int(number) for number in image["USER"].split(":"))
        os.chown(store, user, group)
        os.chown(key, 0, group)
    of_the_image = {name: value.replace("/data", str(store)) for name, value in image_environment.items()}
    return of_the_image | {
        "UPSTREAM_URL": upstream,
        "UPSTREAM_CLIENT_ID": UPSTREAM_CLIENT[0],
        "UPSTREAM_CLIENT_SECRET": UPSTREAM_CLIENT[1],
        "GATEWAY_SIGNING_KEY_FILE": str(key),
        "GATEWAY_STORE_URL": f"sqlite:///{store}/gateway.db",
        "GATEWAY_PUBLIC_URL": "https://api.shop.example.com",
        "STOREFRONT_CLIENT_ID": STOREFRONT_CLIENT,
        "TRUSTED_CLIENT_ID": "trusted-client",
        "TRUSTED_CLIENT_SECRET": "trusted-client-secret",
    }


def test_the_image_command_serves_and_drains_as_an_unprivileged_user(
    root: Path,
    tmp_path: Path,
    place: Path,
    image_command: list[str],
    as_image_user: list[str],
    environment: dict[str, str],
) -> None:
    """ENTRYPOINT and CMD become ready, give out a bearer and end with 0 on SIGTERM, writing only into the store."""
    public, admin = _free_ports(2)
    script = Path(sys.executable).with_name(image_command[0])
    assert script.is_file(), f"the project is not installed: there is no {script}"
    here = {"/etc/gateway/moltin.yaml": str(root / "config/moltin.yaml")}
    arguments = [here.get(word, word) for word in image_command[1:]]
    for option, port in (("--listen", public), ("--admin", admin)):
        arguments[arguments.index(option) + 1] = f"127.0.0.1:{port}"
    folder = place / "read-only"
    folder.mkdir()
    folder.chmod(0o555)
    assert "HOME" not in environment

    log = tmp_path / "gateway.log"
    with _running([*as_image_user, str(script), *arguments], environment, log, folder) as process:
        _wait_until(lambda: _is_ready(admin), process, log)
        form = {"grant_type": "implicit", "client_id": STOREFRONT_CLIENT}
        status, body = _ask(public, "POST", "/oauth/access_token", form)
        assert status == 200, body
        reply = json.loads(body)
        assert (reply["token_type"], reply["identifier"]) == ("Bearer", "implicit")
        assert reply["access_token"]

        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
    assert list(folder.iterdir()) == []
    assert {path.name for path in place.iterdir()} == {"read-only", "signing-key.pem", "store"}
