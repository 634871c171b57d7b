"""Who is measured: the gateway, and the proxies beside it, all before one upstream on one machine."""

import base64
import copy
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bench.machine import CONFIG, LOAD_CORE, PARTY_CORE, START_PATIENCE, free_port, need, process
from bench.upstream import CUSTOMER, PEERS, filled, upstream
from gateway.authn.key import load_key
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.vocab.messages import CallerKind, Session

STOREFRONT = "bench-storefront"
_TOKEN_LIFE = 3600


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who is measured."""

    name: str
    port: int
    pid: int
    admin: int = 0


class Stage:
    """A running upstream, and the parties that are started before it; they all end together."""

    def __init__(self, folder: Path, port: int, stack: ExitStack, algorithm: str) -> None:
        self.folder = folder
        self.upstream = port
        self._stack = stack
        # One key, so that all parties verify the same token.
        self._algorithm = algorithm
        self._verifies_with = _make_key(folder / "key.jwk", algorithm)
        self.env = {
            "UPSTREAM_URL": f"http://127.0.0.1:{port}",
            "UPSTREAM_CLIENT_ID": "bench",
            "UPSTREAM_CLIENT_SECRET": "bench",
            "GATEWAY_SIGNING_KEY_FILE": str(folder / "key.jwk"),
            "GATEWAY_STORE_URL": f"sqlite:///{folder}/store.db",
            "STOREFRONT_CLIENT_ID": STOREFRONT,
            "TRUSTED_CLIENT_ID": "bench-trusted",
            "TRUSTED_CLIENT_SECRET": "bench",
        }
        self.headers = self._headers()

    def _headers(self) -> dict[str, str]:
        """Return the headers of a logged-in customer."""
        config = load(CONFIG, self.env)
        compiled = snapshot(config, key_ring(config))
        now = time.time()  # noqa: TID251 - a benchmark has no clock given to it
        bearer, _ = compiled.callers.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now, _TOKEN_LIFE)
        token, _, _ = compiled.callers.customers.mint(Session(CUSTOMER, 1, 0, 2), now, _TOKEN_LIFE)
        return {"Authorization": f"Bearer {bearer}", "X-Moltin-Customer-Token": token}

    @contextmanager
    def apart(self) -> Iterator["Stage"]:
        """Give the same stage for parties that end with this block."""
        with ExitStack() as stack:
            stage = copy.copy(self)
            stage._stack = stack  # noqa: SLF001 - its own class
            yield stage

    def request(self, method: str, target: str, *lines: str) -> bytes:
        """Return the head of a request of the customer."""
        fields = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.example", *fields, *lines, "", ""]).encode()

    def routing_file(self, name: str, text: str) -> Path:
        """Write a routing file that extends config/moltin.yaml."""
        path = self.folder / f"{name}.yaml"
        path.write_text(f"extends: {CONFIG}\n{text}")
        return path

    def gateway(
        self,
        name: str = "gateway",
        *,
        config: str = "",
        core: int | str = PARTY_CORE,
        workers: int = 1,
        wrapper: tuple[str, ...] = (),
        under: tuple[str, ...] = (),
    ) -> Party:
        """Start a gateway with its JSON access log in a file; `config` is YAML over config/moltin.yaml.

        `wrapper` is what Python runs it with, `under` what runs Python.
        """
        need("taskset")
        port, admin = free_port(), free_port()
        command = [*under, sys.executable, *wrapper, "-m", "gateway", "serve"]
        command += ["--config", str(self.routing_file(name, config)), "--workers", str(workers)]
        command += ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
        log = self.folder / f"{name}.log"
        running = process(core, *command, ready="credential_renewed", port=port, env=self.env, log=log)
        pid = self._stack.enter_context(running)
        deadline = time.monotonic() + START_PATIENCE
        while log.read_text().count("credential_renewed") < workers:
            if time.monotonic() > deadline:
                sys.exit(f"{workers} workers did not start:\n{log.read_text()}")
            time.sleep(0.05)
        return Party(name, port, pid, admin)

    def direct(self) -> Party:
        """Return the upstream itself."""
        return Party("direct", self.upstream, 0)

    def nginx(self) -> Party:
        """Start nginx, which passes everything through."""
        need("nginx")
        return self._configured("nginx", "nginx.conf", "nginx", "-c")

    def haproxy(self) -> Party:
        """Start HAProxy, which verifies the customer token and narrows the query."""
        need("haproxy")
        return self._configured("haproxy", "haproxy.cfg", "haproxy", "-db", "-f")

    def envoy(self) -> Party:
        """Start Envoy, which verifies the customer token, narrows the query and sends the server's bearer."""
        # Where pip puts it: beside the interpreter.
        envoy = Path(sys.executable).with_name("envoy")
        if not envoy.exists():
            sys.exit("Envoy is needed: `make bench-peers`")
        options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        return self._configured("envoy", "envoy.yaml", str(envoy), *options, "--config-path")

    def _configured(self, name: str, template: str, *command: str) -> Party:
        port, file = free_port(), self.folder / template
        file.write_text(
            filled(
                template,
                folder=self.folder,
                port=port,
                upstream=self.upstream,
                algorithm=self._algorithm,
                key=self._verifies_with,
            )
        )
        return self._started(name, port, *command, str(file), env={"HOME": str(self.folder)})

    def fastify(self) -> Party:
        """Start fastify with http-proxy and jwt, which does as HAProxy does."""
        need("node")
        if not (PEERS / "node_modules").is_dir():
            sys.exit("fastify is needed: `make bench-peers`")
        port = free_port()
        env = {"BENCH_ALGORITHM": self._algorithm, "BENCH_KEY": self._verifies_with, "NODE_ENV": "production"}
        return self._started("fastify", port, "node", str(PEERS / "fastify.mjs"), str(port), self._url, env=env)

    def bare(self) -> Party:
        """Start bare aiohttp, which passes everything through."""
        port = free_port()
        return self._started("bare aiohttp", port, sys.executable, "-m", "bench.bare", str(port), self._url)

    def caddy(self) -> Party:
        """Start Caddy, which passes everything through."""
        return self._configured("caddy", "Caddyfile", "caddy", "run", "--adapter", "caddyfile", "--config")

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.upstream}"

    def _started(self, name: str, port: int, *command: str, env: dict[str, str] | None = None) -> Party:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        pid = self._stack.enter_context(process(PARTY_CORE, *command, port=port, env=env, log=log))
        return Party(name, port, pid)


def has_caddy() -> bool:
    """Say whether Caddy is installed; it is welcome, not needed."""
    return shutil.which("caddy") is not None


@contextmanager
def stage(
    *, core: int | str = LOAD_CORE, workers: int = 1, algorithm: str = "HS256", sink: bool = False
) -> Iterator[Stage]:
    """Make a folder and start the upstream, on `core` and with that many workers; all is gone when the block ends.

    `sink` is for uploads: an upstream that reads them. `algorithm` is that of the customer token, HS256 or RS256.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        # Where nginx is started by root, its workers are not.
        folder.chmod(0o755)
        port = free_port()
        if sink:
            command = (sys.executable, "-m", "bench.sink", str(port))
            stack.enter_context(process(core, *command, port=port, log=folder / "upstream.log"))
        else:
            stack.enter_context(upstream(folder, port, core=core, workers=workers))
        yield Stage(folder, port, stack, algorithm)


def _make_key(path: Path, algorithm: str) -> str:
    """Write a signing key, and what verifies as a set of keys; return what verifies: a secret, or the file of a key."""
    jwks = path.with_name("jwks.json")
    if algorithm == "HS256":
        # Printable, because HAProxy takes it from its configuration.
        secret = secrets.token_hex(32)
        encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
        jwk = {"kty": "oct", "alg": "HS256", "kid": "bench", "k": encoded}
        path.write_text(json.dumps(jwk))
        jwks.write_text(json.dumps({"keys": [jwk]}))
        return secret
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = path.with_suffix(".pem")
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    jwks.write_text(json.dumps({"keys": [load_key(path.read_text()).public_jwk]}))
    return str(public)
