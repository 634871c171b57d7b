"""The admin port: what probes, scrapers and operators are told."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import TRUSTED_SECRET, UPSTREAM_SECRET, Site
from tests.gateways import site as run_site


async def ask(site: Site, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Ask the admin port; status, content type and text."""
    async with site.session.request(method, site.admin_url + path) as response:
        return response.status, response.headers["content-type"], await response.text()


async def ready(site: Site) -> tuple[int, dict[str, Any]]:
    """Ask /ready."""
    async with site.session.get(f"{site.admin_url}/ready") as response:
        document = await response.json()
        return response.status, document["conditions"]


async def test_alive(bare: Site) -> None:
    """/live says that the process answers, nothing else."""
    status, content_type, text = await ask(bare, "/live")
    assert (status, text) == (200, '{"status":"live"}')
    assert content_type.startswith("application/json")


async def test_ready_when_all_is_there(bare: Site) -> None:
    """/ready is 200 with the server's bearer, a usable store, and no drain under way."""
    await bare.public("GET", "/v2/products")
    assert await ready(bare) == (200, {"credential": True, "store": True, "not_draining": True})


async def test_not_ready_without_a_bearer(upstream: Commerce, tmp_path: Path) -> None:
    """Until the upstream has given a bearer, no traffic is asked for."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/oauth/access_token"), gate=gate)
    async with run_site(upstream, tmp_path, passwords=False) as site:
        assert await ready(site) == (503, {"credential": False, "store": True, "not_draining": True})
        gate.set()
        assert (await site.public("GET", "/v2/products")).status == 200
        assert (await ready(site))[0] == 200


async def test_not_ready_without_a_store(bare: Site) -> None:
    """Without a store nobody can log in."""
    await bare.public("GET", "/v2/products")
    assert bare.gateway.store is not None
    await bare.gateway.store.close()
    assert await ready(bare) == (503, {"credential": True, "store": False, "not_draining": True})
    # Who is logged in stays so, and the rest of the shop works.
    assert (await bare.public("GET", "/v2/products")).status == 200


async def test_not_ready_while_draining(bare: Site) -> None:
    """A drain turns /ready at once; /live stays."""
    await bare.public("GET", "/v2/products")
    await bare.gateway.drain()
    assert await ready(bare) == (503, {"credential": True, "store": True, "not_draining": False})
    assert (await ask(bare, "/live"))[0] == 200


async def test_metrics(site: Site) -> None:
    """/metrics is Prometheus text with what the issue names."""
    await site.login("nobody@example.org", "wrong")
    await site.public("GET", "/v2/orders")
    status, content_type, text = await ask(site, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    for name in (
        'gateway_requests_total{caller="public",lane="express",route="orders-list",status="403"} 1.0',
        'gateway_refusals_total{code="ACCESS_DENIED"} 1.0',
        'gateway_logins_total{outcome="refused"} 1.0',
        "gateway_upstream_seconds_count",
        "gateway_password_queue_depth",
        "gateway_credential_expiry_seconds",
        "gateway_isolation_violations_total",
    ):
        assert name in text


async def test_the_configuration_without_its_secrets(bare: Site) -> None:
    """/config shows what is in force, secrets masked."""
    status, content_type, text = await ask(bare, "/config")
    assert status == 200
    assert content_type.startswith("application/yaml")
    assert yaml.safe_load(text)["upstream"]["url"] == bare.commerce.url
    assert UPSTREAM_SECRET not in text
    assert TRUSTED_SECRET not in text
    assert all(key.get_secret_value() not in text for key in bare.config.tokens.keys)


async def test_the_ports_are_apart(bare: Site) -> None:
    """The public port shows nothing of the admin port, whoever says to be a probe."""
    for path in ("/live", "/ready", "/metrics", "/config"):
        answer = await bare.trusted("GET", path, {"User-Agent": "GoogleHC/1.0"})
        assert (answer.status, answer.code) == (404, "ROUTE_UNKNOWN")
    assert (await ask(bare, "/v2/products"))[0] == 404
    assert (await ask(bare, "/config", "POST"))[0] == 405
