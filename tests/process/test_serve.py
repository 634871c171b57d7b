"""The command from its start to its last request: probes, signals, deadlines."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from gateway import __version__
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, TRUSTED_SECRET, UPSTREAM_SECRET, Answer
from tests.process.processes import Served, extended, serving

FAMILIES = (
    "gateway_requests_total",
    "gateway_request_seconds",
    "gateway_upstream_seconds",
    "gateway_refusals_total",
    "gateway_isolation_violations_total",
    "gateway_logins_total",
    "gateway_password_queue_depth",
    "gateway_credential_expiry_seconds",
    "gateway_credential_renewals_total",
)


async def _is_refused(address: str) -> bool:
    """Tell whether nobody listens."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def _credential(served: Served) -> None:
    renewed = {"event": "credential_renewed", "credential": "server"}
    await served.logged(lambda lines: any(renewed.items() <= line.items() for line in lines))


async def test_probes_and_metrics_of_a_running_gateway(environ: dict[str, str]) -> None:
    """A gateway on config/moltin.yaml is live, ready once it has its credential, counts, and shows no secret."""
    async with serving(environ, config=MOLTIN, afresh=True) as served:
        await _credential(served)
        assert (await served.ask("/live")).status == 200
        ready = await served.ask("/ready")
        assert (ready.status, ready.json()["conditions"]) == (
            200,
            {"credential": True, "store": True, "revocations": True, "not_draining": True},
        )
        assert (await served.as_public("GET", "/v2/products")).status == 200
        metrics = (await served.ask("/metrics")).body.decode()
        assert [family for family in FAMILIES if f"# TYPE {family} " not in metrics] == []
        config = (await served.ask("/config")).body.decode()
        assert config.startswith(f"# gateway {__version__}\n")
        assert "upstream" in config
        assert [line["detail"].rpartition(" ")[2] for line in served.lines if line.get("state") == "started"] == [
            __version__
        ]
        assert not [secret for secret in (UPSTREAM_SECRET, TRUSTED_SECRET) if secret in config]
        assert served.errors == []


async def test_not_ready_without_credential(environ: dict[str, str], upstream: Commerce) -> None:
    """A silent token endpoint leaves the gateway live and not ready, named by its condition, until it answers."""
    silent = upstream.fault(Fault.SILENT, when=lambda request: request.is_grant, times=2)
    async with serving(environ) as served:
        # One for each of the gateway's credentials.
        await upstream.wait(lambda: silent.hits == 2)
        assert (await served.ask("/live")).status == 200
        ready = await served.ask("/ready")
        assert (ready.status, ready.json()["conditions"]["credential"]) == (503, False)
        upstream.close_connections()
        await _credential(served)
        assert (await served.ask("/ready")).status == 200


async def test_requests_in_flight_outlive_sigterm(environ: dict[str, str], upstream: Commerce) -> None:
    """After SIGTERM, however often it comes, the request in flight finishes, no other begins, and the end is exit 0."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=gate)
    async with serving(environ) as served:
        await served.bearer()
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(served.as_public("GET", "/v2/products"))
            await upstream.wait(lambda: any(request.path == "/v2/products" for request in upstream.requests))
            served.tell(signal.SIGTERM)
            await served.draining()
            for _ in range(2):
                ready = await served.ask("/ready")
                assert (ready.status, ready.json()["conditions"]["not_draining"]) == (503, False)
                served.tell(signal.SIGTERM)
            assert (await served.ask("/live")).status == 200
            assert await _is_refused(served.public)
            gate.set()
        answer = slow.result()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert await served.ended() == 0
        assert served.states() == ["started", "draining", "stopped"]


async def test_the_drain_deadline_cuts(environ: dict[str, str], upstream: Commerce, tmp_path: Path) -> None:
    """A request that never ends is cut at the configured deadline, not before, and the exit code is 0."""
    upstream.fault(Fault.SILENT, when=at("/v2/products"))

    async def cut(served: Served) -> Answer | None:
        try:
            return await served.as_public("GET", "/v2/products")
        except aiohttp.ClientError:
            return None

    async with serving(environ, config=extended(tmp_path, "server: {drain: 1s}\n")) as served:
        await served.bearer()
        async with asyncio.TaskGroup() as group:
            endless = group.create_task(cut(served))
            await upstream.wait(lambda: any(request.path == "/v2/products" for request in upstream.requests))
            served.tell(signal.SIGTERM)
            assert await served.ended() == 0
        assert endless.result() is None
        assert served.states() == ["started", "draining", "drain deadline", "stopped"]
        times = {line["state"]: datetime.fromisoformat(line["ts"]) for line in served.lines if "state" in line}
        assert 0.9 <= (times["drain deadline"] - times["draining"]).total_seconds() < 10


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_an_idle_gateway_ends_at_once(environ: dict[str, str], number: signal.Signals, code: int) -> None:
    """Open connections without a request do not hold up the end."""
    async with serving(environ) as served:
        await served.as_public("GET", "/v2/products")
        host, _, port = served.public.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
        served.tell(number)
        assert await served.ended() == code
        writer.close()
        times = {line["state"]: datetime.fromisoformat(line["ts"]) for line in served.lines if "state" in line}
        # Far below the drain deadline of 30 s and the 60 s that aiohttp's runner would wait.
        assert (times["stopped"] - times["draining"]).total_seconds() < 5
