"""The admin port: what probes, scrapers and operators are told."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from pytest_aiohttp.plugin import AiohttpClient

from gateway.server.admin import make_admin
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import TRUSTED_SECRET, UPSTREAM_SECRET, Site
from tests.gateways import site as run_site

Client = TestClient[Request, Application]


@dataclass(slots=True)
class Behind:
    """What stands behind the application: conditions of readiness, metrics and a configuration, as they are now."""

    conditions: dict[str, bool] = field(default_factory=lambda: {"credential": True, "store": True})
    metrics: bytes = b"one 1.0\n"
    config: str = "version: 1\n"

    async def ready(self) -> dict[str, bool]:
        """Give the conditions."""
        return self.conditions

    async def render(self) -> tuple[bytes, str]:
        """Give the metrics and their type."""
        return self.metrics, "text/plain; version=0.0.4; charset=utf-8"

    def dump(self) -> str:
        """Give the configuration."""
        return self.config


@pytest.fixture
def behind() -> Behind:
    """Give what stands behind the application."""
    return Behind()


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, behind: Behind) -> Client:
    """Give a client of the application."""
    return await aiohttp_client(make_admin(behind.ready, behind.render, behind.dump))


async def asked(client: Client, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Ask the application; status, content type and text."""
    async with client.request(method, path) as response:
        return response.status, response.headers["content-type"], await response.text()


async def test_alive(client: Client, behind: Behind) -> None:
    """/live says that the process answers, nothing else, whatever it lacks."""
    for credential in (True, False):
        behind.conditions["credential"] = credential
        status, content_type, text = await asked(client, "/live")
        assert (status, text) == (200, '{"status":"live"}')
        assert content_type.startswith("application/json")


@pytest.mark.parametrize("missing", [(), ("credential",), ("store",), ("credential", "store")], ids="-".join)
async def test_ready_when_all_is_there(client: Client, behind: Behind, missing: tuple[str, ...]) -> None:
    """/ready is 200 when each condition holds, else 503; it names all of them."""
    behind.conditions.update(dict.fromkeys(missing, False))
    async with client.get("/ready") as response:
        assert response.status == (503 if missing else 200)
        assert response.content_type == "application/json"
        status = "not ready" if missing else "ready"
        assert await response.json() == {"status": status, "conditions": behind.conditions}


async def test_metrics(client: Client, behind: Behind) -> None:
    """/metrics is what the metrics are at that moment, under the content type that they have."""
    for behind.metrics in (b"one 1.0\n", b"one 2.0\n"):
        expected = (200, "text/plain; version=0.0.4; charset=utf-8", behind.metrics.decode())
        assert await asked(client, "/metrics") == expected


async def test_the_configuration(client: Client, behind: Behind) -> None:
    """/config is the YAML that is in force."""
    behind.config = "upstream: {url: https://api.example}  # ü\n"
    status, content_type, text = await asked(client, "/config")
    assert (status, text) == (200, behind.config)
    assert content_type.startswith("application/yaml")


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics", "/config"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(client: Client, path: str, method: str) -> None:
    """It is there to be read."""
    assert (await asked(client, path, method))[0] == 405


@pytest.mark.parametrize("path", ["/", "/v2/products", "/live/", "/ready/x", "/.well-known/jwks.json"])
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    """The shop is not behind this port."""
    assert (await asked(client, path))[0] == 404


async def pages(site: Site, path: str) -> tuple[int, str]:
    """Ask the admin port of a gateway; status and text."""
    async with site.session.get(site.admin_url + path) as response:
        return response.status, await response.text()


async def conditions(site: Site) -> tuple[int, dict[str, Any]]:
    """Ask a gateway if it is ready."""
    async with site.session.get(f"{site.admin_url}/ready") as response:
        return response.status, (await response.json())["conditions"]


async def test_the_gateway_serves_it(upstream: Commerce, tmp_path: Path) -> None:
    """The whole gateway has it on a port of its own, and tells there of itself, from its start to its drain."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/oauth/access_token"), gate=gate)
    async with run_site(upstream, tmp_path, passwords=False) as site:
        # Until the upstream has given a bearer, no traffic is asked for.
        assert await conditions(site) == (
            503,
            {"credential": False, "store": True, "revocations": True, "not_draining": True},
        )
        gate.set()
        assert (await site.public("GET", "/v2/products")).status == 200
        assert await conditions(site) == (
            200,
            {"credential": True, "store": True, "revocations": True, "not_draining": True},
        )

        await site.login("nobody@example.org", "wrong")
        await site.public("GET", "/v2/orders")
        status, text = await pages(site, "/metrics")
        assert status == 200
        for name in (
            'gateway_requests_total{caller="public",route="orders-list",status="403"} 1.0',
            'gateway_refusals_total{code="ACCESS_DENIED"} 1.0',
            'gateway_logins_total{outcome="refused"} 1.0',
            "gateway_upstream_seconds_count",
            "gateway_password_queue_depth",
            "gateway_credential_expiry_seconds",
            "gateway_isolation_violations_total",
        ):
            assert name in text

        status, text = await pages(site, "/config")
        assert status == 200
        assert yaml.safe_load(text)["upstream"]["url"] == upstream.url
        assert UPSTREAM_SECRET not in text
        assert TRUSTED_SECRET not in text
        assert all(key.get_secret_value() not in text for key in site.config.tokens.keys)

        # The public port shows nothing of it, whoever says to be a probe.
        for path in ("/live", "/ready", "/metrics", "/config"):
            answer = await site.trusted("GET", path, {"User-Agent": "GoogleHC/1.0"})
            assert (answer.status, answer.code) == (404, "ROUTE_UNKNOWN")

        # Without a store nobody can log in; who is logged in stays so, and the rest of the shop works.
        await site.gateway.store.close()
        assert await conditions(site) == (
            200,
            {"credential": True, "store": False, "revocations": True, "not_draining": True},
        )
        assert (await site.public("GET", "/v2/products")).status == 200

        # A drain turns /ready at once; /live stays.
        await site.gateway.drain()
        assert await conditions(site) == (
            503,
            {"credential": True, "store": False, "revocations": True, "not_draining": False},
        )
        assert (await pages(site, "/live"))[0] == 200
