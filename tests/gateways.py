"""Starts real gateways in front of the recording upstream, in this process, on free ports; and talks to them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import argon2
import yarl

from gateway.authn.key import Algorithm, generate
from gateway.config.compile import key_ring, snapshot
from gateway.config.customers import Hashing
from gateway.config.model import Config
from gateway.demo.answers import ShopAnswer
from gateway.demo.data import DEMO_PASSWORDS, PEOPLE, Person
from gateway.demo.shop import Shop
from gateway.wiring import Address, Gateway, now, running
from tests.canary_sweep import SWEEP, private_parts
from tests.fakes.commerce import Commerce
from tests.postgres import Server, new_database
from tests.reading import read
from tests.sessions import session

ROOT = Path(__file__).parent.parent
MOLTIN = ROOT / "config" / "moltin.yaml"

STOREFRONT = "canary-storefront-id"
TRUSTED = "canary-trusted-id"
TRUSTED_SECRET = "canary-trusted-secret"
UPSTREAM_SECRET = "canary-upstream-secret"
for _secret in (TRUSTED_SECRET, UPSTREAM_SECRET, *DEMO_PASSWORDS.values()):
    SWEEP.name("a constant of the tests", _secret)


# The real algorithm at next to no cost: what a password costs is no matter of most tests, and else most of their time.
CHEAP = Hashing.model_validate({"memory": "64KiB", "passes": 1})


@cache
def _hashed(password: str, hashing: Hashing) -> str:
    """Hash a password at this cost, once in a session."""
    hasher = argon2.PasswordHasher(hashing.passes, hashing.memory // 1024, hashing.lanes, type=argon2.Type.ID)
    return hasher.hash(password)


class CanaryShop(Shop):
    """The demo shop as the upstream of tests: the bearers it issues are named as secrets."""

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> ShopAnswer:
        """Answer as the shop does."""
        answer = super().answer(method, path, query, headers, body)
        SWEEP.name_grant(path, answer.status, answer.body)
        return answer


@dataclass(slots=True)
class Answer:
    """A reply, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Return the refusal code of an error reply."""
        return str(self.json()["errors"][0]["code"])


# A short repr: asyncio writes out what each task has returned, and a fixture returns a site with its configuration.
@dataclass(slots=True, repr=False)
class Site:
    """A running gateway, its upstream and a client session; or several that are asked in turns and keep one log."""

    gateways: Sequence[Gateway]
    commerce: Commerce
    session: aiohttp.ClientSession
    stream: io.StringIO
    config: Config
    bearers: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    turn: int = 0

    @property
    def gateway(self) -> Gateway:
        """Return the gateway whose turn it is."""
        self.turn += 1
        return self.gateways[self.turn % len(self.gateways)]

    @property
    def log(self) -> io.StringIO:
        """Return what the gateway has logged until now, to the last line."""
        for gateway in self.gateways:
            gateway.emit.flush()
        return self.stream

    @property
    def url(self) -> str:
        """Return the public URL."""
        return f"http://{self.gateway.listen}"

    @property
    def admin_url(self) -> str:
        """Return the admin URL."""
        return f"http://{self.gateway.admin}"

    async def has_credentials(self) -> None:
        """Wait until the gateway has both of its credentials for the API."""
        while self.log.getvalue().count('"event":"credential_renewed"') < 2:  # noqa: ASYNC110 - nobody tells of a line
            await asyncio.sleep(0.005)

    async def give(self, person: Person, password: str) -> None:
        """See to it that the store has this password of a customer."""
        store = self.gateway.store
        stored = _hashed(password, self.config.customers.hashing)
        if await store.password_hash(person.id) != stored:
            await store.set_password(person.id, stored)

    async def give_demo_passwords(self) -> None:
        """See to it that the demo customers have the demo passwords."""
        for person in PEOPLE:
            await self.give(person, DEMO_PASSWORDS[person.email])

    async def call(self, method: str, target: str, **options: Any) -> Answer:
        """Send a request exactly as spelled; no header is added but what aiohttp needs."""
        SWEEP.name_request(options)
        url = yarl.URL(self.url + target, encoded=True)
        async with self.session.request(method, url, allow_redirects=False, **options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        self.replies.append(SWEEP.reply(target, answer.status, answer.headers.items(), answer.body))
        return answer

    async def bearer(self, kind: str = "public") -> str:
        """Return a bearer of a public or trusted client."""
        if kind not in self.bearers:
            form = {"grant_type": "implicit", "client_id": STOREFRONT}
            if kind == "trusted":
                form = {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": TRUSTED_SECRET}
            answer = await self.call("POST", "/oauth/access_token", data=form)
            self.bearers[kind] = answer.json()["access_token"]
        return self.bearers[kind]

    async def token(self, email: str) -> str:
        """Log a demo customer in and return the customer token."""
        if email not in self.tokens:
            answer = await self.login(email, DEMO_PASSWORDS[email])
            self.tokens[email] = answer.json()["data"]["token"]
        return self.tokens[email]

    def lasting(self, person: Person) -> str:
        """Return a token of a customer that no log-out ends, and use it from now on."""
        customers = snapshot(self.config, key_ring(self.config)).callers.customers
        token, _, _ = customers.mint(session(person.id), now(), 3600)
        SWEEP.name("a customer token", token)
        self.tokens[person.email] = token
        return token

    async def login(self, email: object, password: object, **members: object) -> Answer:
        """Try to log in."""
        data = {"type": "token", "email": email, "password": password, **members}
        return await self.public("POST", "/v2/customers/tokens", json={"data": data})

    async def public(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send a request as the storefront."""
        return await self._as("public", method, target, headers, options)

    async def trusted(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send a request as a server with client credentials."""
        return await self._as("trusted", method, target, headers, options)

    async def customer(
        self, email: str, method: str, target: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send a request as a logged-in demo customer."""
        token = {"X-Moltin-Customer-Token": await self.token(email)}
        return await self._as("public", method, target, {**token, **(headers or {})}, options)

    async def _as(
        self, kind: str, method: str, target: str, headers: Mapping[str, str] | None, options: dict[str, Any]
    ) -> Answer:
        authorization = {"Authorization": f"Bearer {await self.bearer(kind)}"}
        return await self.call(method, target, headers={**authorization, **(headers or {})}, **options)

    async def metrics(self) -> str:
        """Return what the admin port shows to a scraper; of several one behind the other."""
        pages = []
        for gateway in self.gateways:
            async with self.session.get(f"http://{gateway.admin}/metrics") as response:
                pages.append(await response.text())
        return "\n".join(pages)

    async def admin_pages(self) -> str:
        """Return everything that the admin port shows."""
        pages = [await admin_pages(self.session, f"http://{gateway.admin}") for gateway in self.gateways]
        return "\n".join(pages)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the log so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@dataclass(slots=True)
class Replicas:
    """How many gateways a site is, and the server on which they share a database."""

    number: int
    server: Server


several: list[Replicas] = []
"""What every site is that says nothing of it; filled by the plugin tests/replicas.py."""
_ADMIN_PATIENCE = aiohttp.ClientTimeout(total=5)


async def admin_pages(session: aiohttp.ClientSession, url: str) -> str:
    """Return everything that an admin port shows; nothing where it has gone."""
    pages = []
    for path in ("/metrics", "/config", "/ready"):
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(url + path, timeout=_ADMIN_PATIENCE) as response:
                pages.append(await response.text())
    return "\n".join(pages)


def environment(folder: Path, upstream: str, **overrides: str) -> dict[str, str]:
    """Return the environment of config/moltin.yaml, with a fresh key and store in `folder`."""
    key = folder / "signing.jwk"
    if not key.exists():
        key.write_text(generate(Algorithm.EDDSA))
    for part in private_parts(key.read_text()):
        SWEEP.name("private part of the signing key", part)
    for name, value in overrides.items():
        if name.endswith("SECRET"):
            SWEEP.name(name, value)
    return {
        "UPSTREAM_URL": upstream,
        "UPSTREAM_CLIENT_ID": "canary-upstream-id",
        "UPSTREAM_CLIENT_SECRET": UPSTREAM_SECRET,
        "GATEWAY_SIGNING_KEY_FILE": str(key),
        "GATEWAY_STORE_URL": f"sqlite:///{folder}/store.db",
        "STOREFRONT_CLIENT_ID": STOREFRONT,
        "TRUSTED_CLIENT_ID": TRUSTED,
        "TRUSTED_CLIENT_SECRET": TRUSTED_SECRET,
        **overrides,
    }


@asynccontextmanager
async def site(
    commerce: Commerce,
    folder: Path,
    *,
    config: str | Config | None = None,
    passwords: bool = True,
    hashing: Hashing = CHEAP,
    replicas: Replicas | None = None,
    **environ: str,
) -> AsyncIterator[Site]:
    """Run a gateway on config/moltin.yaml, or on `config`, a YAML text that may say `extends: moltin.yaml`.

    A configuration of another site is taken as it is. With `replicas` it is several that share a database.
    With `passwords` the demo customers have their demo passwords.
    Where the file says nothing of its own, passwords cost what `hashing` says.
    """
    path = MOLTIN
    if several and "GATEWAY_STORE_URL" not in environ and not isinstance(config, Config):
        replicas = replicas or several[0]
    if replicas is not None:
        environ["GATEWAY_STORE_URL"] = await new_database(replicas.server)
    if isinstance(config, str):
        path = folder / "gateway.yaml"
        path.write_text(config.replace("extends: moltin.yaml", f"extends: {MOLTIN}"))
    if isinstance(config, Config):
        loaded = config
    else:
        loaded = read(path, environment(folder, commerce.url, **environ), is_own=path != MOLTIN)
    if loaded.customers.hashing == Hashing():
        customers = loaded.customers.model_copy(update={"hashing": hashing})
        loaded = loaded.model_copy(update={"customers": customers})
    log = io.StringIO()
    async with (
        AsyncExitStack() as stack,
        aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        gateways = [
            await stack.enter_async_context(running(loaded, Address("127.0.0.1", 0), Address("127.0.0.1", 0), log=log))
            for _ in range(1 if replicas is None else replicas.number)
        ]
        running_site = Site(gateways, commerce, session, log, loaded)
        if passwords and gateways[0].hasher is not None:
            await running_site.give_demo_passwords()
        try:
            yield running_site
        finally:
            pages = await running_site.admin_pages()
    SWEEP.search("site", {"log": log.getvalue(), "admin pages": pages, "replies": "\n".join(running_site.replies)})
