"""No secret leaves the process: canaries go in by every door, and everything that comes out is searched for them."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from gateway.demo.data import RON
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, STOREFRONT, TRUSTED, TRUSTED_SECRET, UPSTREAM_SECRET, Answer
from tests.process.processes import Served, serving

PASSWORD = "canary-password-of-a-customer"
WRONG = "canary-password-that-is-wrong"
HEADER = "X-Moltin-Customer-Token"


@pytest.fixture
def signing_key(environ: dict[str, str]) -> str:
    """Give the secret part of the signing key."""
    return str(json.loads(Path(environ["GATEWAY_SIGNING_KEY_FILE"]).read_text())["d"])


class _Heard:
    """Everything the gateway said to clients, but for the tokens it was asked for."""

    def __init__(self, served: Served) -> None:
        self.replies: list[bytes] = []
        self._served = served

    async def call(self, method: str, target: str, **options: object) -> Answer:
        """Send a request and keep the reply."""
        answer = await self._served.call(method, target, **options)
        self.replies.append(repr(sorted(answer.headers.items())).encode() + answer.body)
        return answer

    async def raw(self, data: bytes) -> None:
        """Send bytes and keep what comes until the gateway closes the connection."""
        host, _, port = self._served.public.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(20):
            self.replies.append(await reader.read())
        writer.close()


async def test_no_secret_is_ever_shown(environ: dict[str, str], signing_key: str, upstream: Commerce) -> None:
    """Logs, stderr, metrics, configuration and replies hold no secret, whatever goes wrong with a request."""
    async with serving(environ, config=MOLTIN, afresh=True) as served:
        heard = _Heard(served)
        public, trusted = await _bearers(served)
        bearer = {"Authorization": f"Bearer {public}"}
        customer = {"type": "customer", "name": "April Ludgate", "email": "april@pawnee.example", "password": PASSWORD}
        created = await heard.call("POST", "/v2/customers", headers=bearer, json={"data": customer})
        assert created.status == 201
        login = {"type": "token", "email": customer["email"], "password": PASSWORD}
        token = (await served.call("POST", "/v2/customers/tokens", headers=bearer, json={"data": login})).json()
        token = token["data"]["token"]
        both = {**bearer, HEADER: token}
        ident = created.json()["data"]["id"]
        assert (await heard.call("GET", f"/v2/customers/{ident}", headers=both)).status == 200

        await _misuse(heard, public, trusted, token, login)
        await _break_upstream(heard, upstream, both, ident)
        outputs = [(await served.ask(path)).body for path in ("/metrics", "/config", "/ready")]
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0

    texts = {
        "replies": b"\n".join(heard.replies),
        "admin": b"\n".join(outputs),
        "log": "\n".join(served.output).encode(),
        "stderr": "\n".join(served.errors).encode(),
    }
    # What is searched is really there.
    assert [ident.encode() in texts["replies"], b"gateway_logins_total" in texts["admin"]] == [True, True]
    assert texts["log"].count(b'"event":"request"') > 30
    own = {request.header("authorization") for request in upstream.requests}
    secrets = [UPSTREAM_SECRET, TRUSTED_SECRET, PASSWORD, WRONG, signing_key, public, trusted, token]
    secrets += [value.removeprefix("Bearer ") for value in own if value]
    # A piece of a token is a secret as well: the signature, and the claims.
    secrets += [part for each in (public, trusted, token) for part in each.split(".")[1:]]
    assert len(set(secrets)) >= 15
    shown = [(place, secret) for place, text in texts.items() for secret in secrets if secret.encode() in text]
    assert shown == []
    # Who a customer is does not stand in the log either.
    assert not [text for text in ("april@pawnee.example", RON.email, ident) if text.encode() in texts["log"]]
    assert texts["stderr"] == b""


async def _bearers(served: Served) -> tuple[str, str]:
    form = {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": TRUSTED_SECRET}
    trusted = await served.call("POST", "/oauth/access_token", data=form)
    return await served.bearer(), trusted.json()["access_token"]


async def _misuse(heard: _Heard, public: str, trusted: str, token: str, login: dict[str, str]) -> None:
    """Put every secret where it does not belong."""
    bearer = {"Authorization": f"Bearer {public}"}
    for form in (
        {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": WRONG},
        {"grant_type": "implicit", "client_id": PASSWORD},
        {"grant_type": TRUSTED_SECRET, "client_id": STOREFRONT},
    ):
        await heard.call("POST", "/oauth/access_token", data=form)
    for data in (
        {**login, "password": WRONG},
        {**login, "email": PASSWORD},
        {**login, "password": [PASSWORD]},
        {**login, PASSWORD: PASSWORD},
        {**login, "type": PASSWORD},
    ):
        await heard.call("POST", "/v2/customers/tokens", headers=bearer, json={"data": data})
    as_json = {**bearer, "Content-Type": "application/json"}
    for body in (f'{{"data":{{"password":"{PASSWORD}"', f'{{"password":"{PASSWORD}","password":1}}', PASSWORD):
        for path in ("/v2/customers", "/v2/customers/tokens"):
            await heard.call("POST", path, headers=as_json, data=body)
    unknown = {"type": "customer", "name": "A", "email": "a@b.example", "password": PASSWORD, PASSWORD: 1}
    await heard.call("POST", "/v2/customers", headers=bearer, json={"data": unknown})
    for target in (f"/v2/orders?access_token={token}", f"/v2/{PASSWORD}", f"/v2/orders?filter=eq(x,{PASSWORD}"):
        await heard.call("GET", target, headers={**bearer, HEADER: token})
    for headers in (
        {"Authorization": f"Basic {public}"},
        {"Authorization": f"Bearer {public}x"},
        {"Authorization": f"Bearer {token}"},
        {**bearer, HEADER: trusted},
        {**bearer, HEADER: f"{token}x"},
        {**bearer, HEADER: f"{token}, {token}"},
    ):
        await heard.call("GET", "/v2/orders", headers=headers)
    post = (
        f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {public}\r\n"
        "Content-Type: application/json\r\n"
    )
    for raw in (
        f"GET /v2/products HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {public}\r\n\r\n",
        f"GET /v2/products HTTP/1.1\r\nHost: x\r\n{HEADER}: {token}\x00\r\n\r\n",
        f"GET /v2/products HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n",
        f"{token} /v2/products HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /v2/products?{PASSWORD} HTTP/{token}\r\nHost: x\r\n\r\n",
        f"GET /v2/products HTTP/1.1\r\nHost: x\r\nX: {token * 200}\r\n\r\n",
        f"{post}Transfer-Encoding: chunked\r\n\r\n{PASSWORD}\r\n",
        f'{post}Content-Length: 900\r\n\r\n{{"data":{{"password":"{PASSWORD}"',
    ):
        await heard.raw(raw.encode())


async def _break_upstream(heard: _Heard, upstream: Commerce, both: dict[str, str], ident: str) -> None:
    """Let the upstream fail while secrets are under way."""
    change = {"data": {"type": "customer", "name": "April", "password": WRONG}}
    path = f"/v2/customers/{ident}"
    for fault in (Fault.HTML_ERROR, Fault.CLOSE, Fault.TRUNCATED_JSON, Fault.SERVER_ERROR, Fault.OTHER_RECORD):
        injection = upstream.fault(fault, when=at(path))
        answer = await heard.call("PUT", path, headers=both, json=change)
        assert answer.status in {404, 500, 502}, fault
        injection.times = 0
    upstream.fault(Fault.UNAUTHORIZED, when=at("/v2/orders"))
    await heard.call("GET", "/v2/orders", headers=both)
    await upstream.stop()
    for method in ("GET", "PUT"):
        answer = await heard.call(method, path, headers=both, json=change if method == "PUT" else None)
        assert answer.status in {502, 503}
