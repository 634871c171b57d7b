"""The configuration in force is swapped: what the next one takes over, what is made anew, and what becomes of the old.

tests/process has whole gateways read files; here configurations are given to one.
"""

import asyncio
import gc
from pathlib import Path

import pytest

from gateway.carrying.pool import ConnectionPool
from gateway.config.effective import version
from gateway.config.load import Loaded, load
from gateway.decision import Snapshot
from gateway.demo.data import LESLIE, RON, identity
from gateway.flow import Flow
from gateway.reload import Made, UnusableError
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, UPSTREAM_SECRET, CanaryShop, Site, environment
from tests.gateways import site as run_site
from tests.house.test_on_violation import CLOSING
from tests.server.raw import until

FOREIGN = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
QUICK = "customers: {throttle: {account: {burst: 2, per_minute: 0.1}}}\n"


def read(site: Site, folder: Path, text: str, **environ: str) -> Loaded:
    """Read a configuration as that of the site, with this text over it; passwords cost what they did."""
    path = folder / "next.yaml"
    path.write_text(f"extends: {MOLTIN}\n{text}")
    config = load(path, environment(folder, site.commerce.url, **environ))
    hashing = site.config.customers.hashing
    config = config.model_copy(update={"customers": config.customers.model_copy(update={"hashing": hashing})})
    return Loaded(config, version(config))


async def swapped(site: Site, loaded: Loaded) -> Made:
    """Have a configuration used, and return what was made of it."""
    made = await site.gateway.in_force.prepare(loaded)
    site.gateway.in_force.swap(made)
    return made


async def test_nothing_is_used_before_it_is_swapped(bare: Site, tmp_path: Path) -> None:
    """What was prepared may be dropped, and all is as if it had never been."""
    in_force = bare.gateway.in_force
    await bare.has_credentials()
    before, grants = in_force.version, len(bare.commerce.token_requests)
    loaded = read(bare, tmp_path, "clients: {path: /oauth/other}\nupstream: {connection_life: 1m}\n")
    made = await in_force.prepare(loaded)
    opened = {request.connection for request in bare.commerce.token_requests[grants:]}
    assert opened
    assert (await bare.public("GET", "/v2/products")).status == 200
    assert in_force.version == before != loaded.version
    await in_force.drop(made)
    await bare.commerce.wait(lambda: not opened & {*bare.commerce.open_connections})
    assert (await bare.public("GET", "/v2/products")).status == 200


async def test_what_stays_the_same_is_kept(bare: Site, tmp_path: Path) -> None:
    """Connections, the bearer for the upstream and what it remembers of clients: another route costs none of them."""
    assert (await bare.public("GET", "/v2/products")).status == 200
    edge = bare.gateway.edge
    before, grants = edge.serving, len(bare.commerce.token_requests)
    await swapped(bare, read(bare, tmp_path, "cors: {origins: ['https://app.example']}\n"))
    after = edge.serving
    assert after.snapshot is not before.snapshot
    assert (after.pools, after.peers) == (before.pools, before.peers)
    assert (await bare.public("GET", "/v2/products")).status == 200
    assert len(bare.commerce.token_requests) == grants


@pytest.mark.parametrize(
    "text",
    [
        "upstream: {timeouts: {idle: 29s}}\n",
        "upstream: {shares: {client: 0.5}}\n",
        "limits: {head: {lines: 100}}\n",
    ],
)
async def test_other_connections_are_made_where_they_must_be(bare: Site, tmp_path: Path, text: str) -> None:
    """The old ones close, at once where they rest."""
    await bare.public("GET", "/v2/products")
    old = list(bare.commerce.open_connections)
    before = bare.gateway.edge.serving.pools["default"]
    made = await swapped(bare, read(bare, tmp_path, text))
    pool = bare.gateway.edge.serving.pools["default"]
    assert made.pools == {pool}
    assert pool is not before
    await bare.commerce.wait(lambda: not {*old} & {*bare.commerce.open_connections})
    assert (await bare.public("GET", "/v2/products")).status == 200


async def test_another_secret_of_the_gateway_is_tried_first(upstream: Commerce, tmp_path: Path) -> None:
    """Each credential is had with it before anything is swapped; where one is not nothing is."""
    async with run_site(upstream, tmp_path, passwords=False) as site:
        await site.public("GET", "/v2/products")
        in_force = site.gateway.in_force
        before = in_force.version
        with pytest.raises(UnusableError, match=r"upstream\.credential gives none") as caught:
            await in_force.prepare(read(site, tmp_path, "", UPSTREAM_CLIENT_SECRET="canary-wrong-secret"))
        assert "canary-wrong-secret" not in str(caught.value)
        assert in_force.version == before
        assert (await site.public("GET", "/v2/products")).status == 200
        async with Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as other:
            loaded = read(site, tmp_path, "", UPSTREAM_URL=other.url)
            await swapped(site, loaded)
            # One for each of the gateway's credentials.
            assert len(other.token_requests) == 2
            assert (await site.public("GET", "/v2/products")).status == 200
            assert len(other.token_requests) == 2
            assert site.gateway.in_force.conditions == {"credential": True}


async def test_the_old_goes_with_its_last_request(bare: Site, tmp_path: Path) -> None:
    """Of configurations after each other the newest is left, and beside it the one that somebody is served by."""
    gate = asyncio.Event()
    bare.commerce.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=gate, times=1)
    waiting = asyncio.ensure_future(bare.public("GET", "/v2/products"))
    await bare.commerce.wait(lambda: len(bare.commerce.requests) == 1)
    at_first = _living()
    for number in range(8):
        await swapped(bare, read(bare, tmp_path, f"upstream: {{connection_life: {number + 1}m}}\n"))
        await bare.public("GET", "/v2/categories")
    # The first one is kept by its request; the others have gone before.
    await until(lambda: _living() == tuple(number + 1 for number in at_first))
    gate.set()
    assert (await waiting).status == 200
    await until(lambda: _living() == at_first)


def _living() -> tuple[int, ...]:
    gc.collect()
    return tuple(sum(isinstance(one, kind) for one in gc.get_objects()) for kind in (Snapshot, Flow, ConnectionPool))


async def test_limits_of_logins_count_on(upstream: Commerce, tmp_path: Path) -> None:
    """A reload is no new chance for whoever guesses: of other limits what was taken before is taken as well."""
    async with run_site(upstream, tmp_path, config=f"extends: {MOLTIN}\n{QUICK}") as site:
        for _ in range(2):
            assert (await site.login(RON.email, "wrong")).status == 404
        for text, *outcomes in (
            (QUICK + "cors: {max_age: 5m}\n", "throttled"),
            (QUICK.replace("2,", "3,"), "refused", "throttled"),
            (QUICK.replace("2,", "1,"), "throttled"),
        ):
            await swapped(site, read(site, tmp_path, text))
            for _ in outcomes:
                await site.login(RON.email, "wrong")
            told = [line["outcome"] for line in site.log_lines() if line["event"] == "login"]
            assert told[-len(outcomes) :] == outcomes


async def test_a_closed_route_stays_closed(upstream: Commerce, tmp_path: Path) -> None:
    """Another configuration is no proof that the upstream answers rightly."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        site.commerce.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"), times=1)
        assert (await site.customer(RON.email, "GET", "/v2/orders")).code == "GUARD_VIOLATION"
        await swapped(site, read(site, tmp_path, CLOSING.replace("extends: moltin.yaml", "cors: {max_age: 5m}")))
        assert (await site.customer(RON.email, "GET", "/v2/orders")).code == "ROUTE_CLOSED"
        assert (await site.customer(RON.email, "GET", FOREIGN)).status == 404


async def test_who_is_trusted_counts_on_connections_that_stay(bare: Site, tmp_path: Path) -> None:
    """A proxy that is trusted no more is not heard any more, on the connection that it has."""
    line = {"X-Forwarded-For": "203.0.113.7"}
    for text, peer in (
        ("server: {trusted_proxies: [127.0.0.0/8]}\n", "203.0.113.7"),
        ("server: {trusted_proxies: [10.0.0.0/8]}\n", "127.0.0.1"),
        ("server: {trusted_proxies: [127.0.0.0/8]}\n", "203.0.113.7"),
    ):
        await swapped(bare, read(bare, tmp_path, text))
        await bare.public("GET", "/v2/products", line)
        requests = [one for one in bare.log_lines() if one["event"] == "request"]
        assert requests[-1]["peer"] == peer


async def test_the_log_follows(site: Site, tmp_path: Path) -> None:
    """Details are told from then on, and customers have another name where the key is another one."""
    names, details = list[str](), list[bool]()
    for text in ("", "log: {details: true}\n", "log: {customer_key: '${env:LOG_KEY}'}\n"):
        await swapped(site, read(site, tmp_path, text, LOG_KEY="canary-log-key-SECRET"))
        assert (await site.customer(RON.email, "GET", FOREIGN)).status == 404
        line = [one for one in site.log_lines() if one["event"] == "request"][-1]
        names.append(line["customer"])
        details.append("detail" in line)
    assert details == [False, True, False]
    assert names[1] != names[2]


async def test_dangerous_settings_are_told_again(bare: Site, tmp_path: Path) -> None:
    """Whoever makes a route unproven in a running gateway finds it in the log as at a start."""
    text = "insecure_literal_secrets: true\n"
    await swapped(bare, read(bare, tmp_path, text))
    lines = [line for line in bare.log_lines() if line.get("state") == "insecure setting"]
    assert [line["detail"] for line in lines] == ["insecure_literal_secrets"]
