"""The canary sweep finds what it is for: planted secrets, in every kind of text that it searches."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.authn.key import Algorithm, generate
from gateway.demo.data import LESLIE, RON
from gateway.vocab.events import Lifecycle
from tests.canary_sweep import SWEEP, SecretShownError, Sweep, private_parts
from tests.fakes.commerce import Commerce, at
from tests.fakes.wire import head_bytes
from tests.gateways import ROOT, TRUSTED_SECRET, Site
from tests.gateways import site as run_site
from tests.process.processes import serving

SECRET = "planted-secret-of-this-test"


@pytest.fixture(autouse=True)
def _named() -> None:
    SWEEP.name("planted", SECRET)


async def test_a_secret_in_the_log_is_found(upstream: Commerce, tmp_path: Path) -> None:
    """A line of the log that holds a secret fails the test whose gateway wrote it."""
    with pytest.raises(SecretShownError, match="'log': \\['planted'\\]"):
        async with run_site(upstream, tmp_path, passwords=False) as site:
            site.gateway.emit(Lifecycle("started", f"with {SECRET}"))


async def test_a_secret_in_a_reply_is_found(upstream: Commerce, tmp_path: Path) -> None:
    """So does a reply: here the upstream gives the secret away on an open route."""
    raw = head_bytes(200, [("content-type", "application/json"), ("content-length", str(len(SECRET) + 2))])
    upstream.script(at("/v2/products"), raw + f'"{SECRET}"'.encode())
    with pytest.raises(SecretShownError, match="'replies': \\['planted'\\]"):
        async with run_site(upstream, tmp_path, passwords=False) as site:
            assert (await site.public("GET", "/v2/products")).status == 200


async def test_a_secret_on_an_admin_page_is_found(upstream: Commerce, tmp_path: Path) -> None:
    """And the configuration that the admin port shows: here with a secret where none belongs."""
    config = f"extends: moltin.yaml\ntokens: {{audience: {SECRET}}}\n"
    with pytest.raises(SecretShownError, match="'admin pages': \\['planted'\\]"):
        async with run_site(upstream, tmp_path, config=config, passwords=False):
            pass


async def test_a_secret_that_a_process_writes_is_found(environ: dict[str, str], tmp_path: Path) -> None:
    """The output of processes is searched: here a routing file is refused, and the fault names the file."""
    missing = tmp_path / SECRET / "gateway.yaml"
    with pytest.raises(SecretShownError, match="'stderr': \\['planted'\\]"):
        async with serving(environ, config=missing, wait=False) as served:
            assert await served.ended() != 0


@pytest.fixture
def key_parts(environ: dict[str, str]) -> list[str]:
    """Give what is secret in the signing key."""
    return private_parts(Path(environ["GATEWAY_SIGNING_KEY_FILE"]).read_text())


async def test_every_kind_of_secret_is_named(site: Site, key_parts: list[str]) -> None:
    """Keys, client secrets, passwords, bearers, customer tokens and the server's credential, without being told."""
    token = await site.token(RON.email)
    bearers = [await site.bearer(), await site.bearer("trusted")]
    await site.login(LESLIE.email, "a password that is wrong")
    await site.customer(RON.email, "GET", "/v2/orders")
    credential = str(site.commerce.requests[-1].header("authorization")).removeprefix("Bearer ")
    assert key_parts
    pieces = [part for one in (token, *bearers) for part in one.split(".")[1:]]
    for secret in (token, *bearers, *pieces, "a password that is wrong", credential, *key_parts, TRUSTED_SECRET):
        assert SWEEP.shown(f"before {secret} after"), secret


def test_grants_are_not_searched() -> None:
    """The reply to a grant holds its token by right; the token is a secret from then on."""
    sweep = Sweep()
    body = b'{"access_token":"eyJhbGciOiJ4In0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"}'
    assert sweep.reply("/oauth/access_token", 200, [], body) == ""
    assert sweep.shown("…eyJzdWIiOiJ4In0…") == ["payload of minted token"]
    # An error at the same place is searched.
    assert "refused" in sweep.reply("/oauth/access_token", 401, [("x", "y")], b'{"errors":["refused"]}')


@pytest.mark.parametrize("secret", ["twelve-chars", "a longer secret than that"])
@pytest.mark.parametrize("after", ["", ".", "x" * 40])
def test_a_secret_is_found_wherever_it_stands(secret: str, after: str) -> None:
    """At the start, at the end, and at each place between; all but its last or first character is not it."""
    sweep = Sweep()
    sweep.name("it", secret)
    for before in range(20):
        assert sweep.shown("-" * before + secret + after) == ["it"]
        assert sweep.shown("-" * before + secret[:-1] + "-" + after) == []
        assert sweep.shown("-" * before + secret[1:] + after) == []


def test_secrets_that_begin_alike_are_told_apart() -> None:
    """Every token of one key begins alike, and one secret may be the beginning of another."""
    sweep = Sweep()
    sweep.name("one", "canary-secret")
    sweep.name("other", "canary-secret-of-another")
    sweep.name("short", "canary")
    assert sweep.shown("canary-secre canary-") == []
    assert sweep.shown("canary-secret-of-") == ["one"]
    assert sweep.shown("canary-canary-secret-of-another") == ["one", "other"]


def test_keys_of_every_kind_have_private_parts() -> None:
    """A key in whose text nothing is secret would not be searched for."""
    for algorithm in Algorithm:
        assert all(len(part) >= 40 for part in private_parts(generate(algorithm)))
        assert private_parts(generate(algorithm))
    assert private_parts("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n") == [
        "MC4CAQAwBQYDK2Vw"
    ]


PRINTING = """
from tests.canary_sweep import SWEEP

def test_prints():
    SWEEP.name("planted", "{secret}")
    print("{text}")
"""


@pytest.mark.parametrize(("text", "code"), [(f"so {SECRET}", 1), ("nothing", 0)], ids=["a secret", "nothing"])
def test_what_a_test_prints_is_searched(tmp_path: Path, text: str, code: int) -> None:
    """A test that passes fails all the same where a secret was printed."""
    (tmp_path / "conftest.py").write_text("from tests.canary_sweep import pytest_runtest_makereport\n")
    (tmp_path / "test_printing.py").write_text(PRINTING.format(secret=SECRET, text=text))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environ = {"PYTHONPATH": str(ROOT), "PATH": ""}
    # All of it is ours.
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == code, done.stdout
    assert ("printed or logged secrets: ['planted']" in done.stdout) == bool(code)
