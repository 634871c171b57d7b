"""`make login-timing`, `make record-timing`: whether answers can be told apart by the time they take.

Samples of all kinds are interleaved in random order, so that whatever the machine does meanwhile falls on all of them.
Each kind is compared with the first one by the Mann-Whitney U test; printed are p, the effect size (Cliff's delta, from
-1 to 1, negligible below 0.147) and the difference of the medians. Exit 1 where a difference is significant (p below
0.05 divided by the number of comparisons) and its effect is not negligible or the medians are a millisecond apart.
"""

import argparse
import asyncio
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from scipy.stats import mannwhitneyu

from bench.machine import CONFIG, free_port, process
from bench.passwords import PASSWORD, keep_passwords
from gateway.authn.key import Algorithm, generate
from gateway.demo.data import LESLIE, RON, RON_ID, identity

# Attempts at one account before it is throttled; the samples are spread over as many accounts as that needs.
BURST = 5
WARM_UP = 20
NEGLIGIBLE = 0.147
SIGNIFICANT = 0.05
MOST_MS = 1.0
SECRET = "bench-upstream-secret"  # noqa: S105 - of a demonstration that lives for a minute

Probe = Callable[[int], Awaitable[float]]
"""Takes the number of a sample and returns its seconds."""


class Bench:
    """A gateway before the demo API, and a client that measures."""

    def __init__(self, gateway: int, upstream: int, session: aiohttp.ClientSession) -> None:
        self.url = f"http://127.0.0.1:{gateway}"
        self.upstream = f"http://127.0.0.1:{upstream}"
        self._session = session
        self._bearer = ""

    async def grant(self, url: str, **form: str) -> str:
        """Return a bearer."""
        async with self._session.post(f"{url}/oauth/access_token", data=form) as reply:
            return str((await reply.json())["access_token"])

    async def prepare(self) -> None:
        """Get the storefront's bearer."""
        self._bearer = await self.grant(self.url, grant_type="implicit", client_id="storefront")

    async def send(
        self, method: str, path: str, status: int, token: str | None = None, body: object = None
    ) -> tuple[float, bytes]:
        """Send a request that must be answered with `status`; return the seconds and the body."""
        headers = {"Authorization": f"Bearer {self._bearer}"} | ({"X-Moltin-Customer-Token": token} if token else {})
        began = time.perf_counter()
        async with self._session.request(method, self.url + path, headers=headers, json=body) as reply:
            raw = await reply.read()
        seconds = time.perf_counter() - began
        if reply.status != status:
            sys.exit(f"{method} {path} answered {reply.status}: {raw.decode()}")
        return seconds, raw

    async def login(self, email: str, password: str, status: int = 404) -> tuple[float, bytes]:
        """Try to log in."""
        data = {"data": {"type": "token", "email": email, "password": password}}
        return await self.send("POST", "/v2/customers/tokens", status, body=data)

    async def make_customers(self, emails: list[str]) -> list[str]:
        """Make customers at the API itself and return their ids."""
        bearer = await self.grant(
            self.upstream, grant_type="client_credentials", client_id="gateway", client_secret=SECRET
        )
        ids = []
        for email in emails:
            data = {"data": {"type": "customer", "name": "Somebody", "email": email}}
            headers = {"Authorization": f"Bearer {bearer}"}
            async with self._session.post(f"{self.upstream}/v2/customers", json=data, headers=headers) as reply:
                ids.append(str((await reply.json())["data"]["id"]))
        return ids

    async def remove_customers(self, ids: list[str]) -> None:
        """Remove customers at the API itself."""
        bearer = await self.grant(
            self.upstream, grant_type="client_credentials", client_id="gateway", client_secret=SECRET
        )
        for customer_id in ids:
            url = f"{self.upstream}/v2/customers/{customer_id}"
            async with self._session.delete(url, headers={"Authorization": f"Bearer {bearer}"}) as reply:
                await reply.read()


async def logins(bench: Bench, store_url: str, samples: int) -> dict[str, Probe]:
    """Return a probe for each kind of login that is refused."""
    count = -(-(samples + WARM_UP) // BURST)
    emails = {
        kind: [f"{kind}-{number}@bench.example" for number in range(count)] for kind in ("wrong", "none", "deleted")
    }
    ids = {kind: await bench.make_customers(addresses) for kind, addresses in emails.items()}
    (throttled,) = await bench.make_customers(["throttled@bench.example"])
    await keep_passwords(store_url, [*ids["wrong"], *ids["deleted"], throttled])
    await bench.remove_customers(ids["deleted"])
    for _ in range(BURST):
        await bench.login("throttled@bench.example", "wrong-password")

    def refused(email: Callable[[int], str]) -> Probe:
        async def probe(number: int) -> float:
            return (await bench.login(email(number), "wrong-password"))[0]

        return probe

    return {
        "wrong password": refused(lambda number: emails["wrong"][number // BURST]),
        "unknown e-mail": refused(lambda number: f"unknown-{number // BURST}@bench.example"),
        "no password": refused(lambda number: emails["none"][number // BURST]),
        "deleted customer": refused(lambda number: emails["deleted"][number // BURST]),
        "throttled account": refused(lambda _: "throttled@bench.example"),
    }


async def records(bench: Bench, store_url: str) -> dict[str, dict[str, Probe]]:
    """Return, for each way to guess at a record, a probe for one that is not there and one that is not yours."""
    await keep_passwords(store_url, [RON_ID])
    reply = (await bench.login(RON.email, PASSWORD, 201))[1]
    token = reply.split(b'"token":"')[1].split(b'"')[0].decode()
    order, address = identity("order", f"{LESLIE.email}:0"), identity("address", f"{LESLIE.email}:Home")
    unknown = identity("order", "nobody")
    change = {"data": {"name": "Hut"}}

    def guess(method: str, path: str, body: object = None) -> Probe:
        async def probe(number: int) -> float:
            del number
            return (await bench.send(method, path, 404, token, body))[0]

        return probe

    def pair(method: str, template: str, foreign: str, body: object = None) -> dict[str, Probe]:
        return {
            "not there": guess(method, template.format(unknown), body),
            "not yours": guess(method, template.format(foreign), body),
        }

    return {
        "GET an order": pair("GET", "/v2/orders/{}", order),
        "GET its items": pair("GET", "/v2/orders/{}/items", order),
        "PUT an address": pair("PUT", f"/v2/customers/{RON_ID}/addresses/{{}}", address, change),
    }


async def measure(probes: Mapping[str, Probe], samples: int, concurrent: int) -> dict[str, list[float]]:
    """Take samples of all kinds, interleaved in random order, in milliseconds."""
    taken: dict[str, list[float]] = {kind: [] for kind in probes}
    # Reproducible, and no secret.
    order = random.Random(20)  # noqa: S311
    numbers = iter(range(samples + WARM_UP))

    async def work() -> None:
        for number in numbers:
            for kind in order.sample(list(probes), len(probes)):
                seconds = await probes[kind](number)
                if number >= WARM_UP:
                    taken[kind].append(seconds * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrent):
            group.create_task(work())
    return taken


def compare(taken: dict[str, list[float]], comparisons: int) -> bool:
    """Print the comparison with the first kind; say whether none differs."""
    (first, baseline), *others = taken.items()
    print(f"{first:20} n={len(baseline):5}  median {statistics.median(baseline):8.3f} ms")
    same = True
    for kind, values in others:
        u, p = mannwhitneyu(baseline, values)
        delta = 1 - 2 * u / (len(baseline) * len(values))
        difference = statistics.median(values) - statistics.median(baseline)
        differs = p < SIGNIFICANT / comparisons and (abs(delta) >= NEGLIGIBLE or abs(difference) >= MOST_MS)
        same = same and not differs
        verdict = "DIFFERENT" if differs else "same"
        print(
            f"{kind:20} n={len(values):5}  median {statistics.median(values):8.3f} ms  "
            f"difference {difference:+7.3f} ms  p {p:6.4f}  effect {delta:+6.3f}  {verdict}"
        )
    return same


async def run(what: str, samples: int, concurrent: int) -> bool:
    """Start everything, measure, compare."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-timing-")))
        gateway, upstream = free_port(), free_port()
        (folder / "key.jwk").write_text(generate(Algorithm.EDDSA))
        throttle = (
            f"{{account: {{burst: {BURST}, per_minute: 0.001}}, address: {{burst: 1000000, per_minute: 1000000}}}}"
        )
        (folder / "gateway.yaml").write_text(f"extends: {CONFIG}\ncustomers: {{throttle: {throttle}}}\n")
        store = f"sqlite:///{folder}/store.db"
        env = {
            "UPSTREAM_URL": f"http://127.0.0.1:{upstream}",
            "UPSTREAM_CLIENT_ID": "gateway",
            "UPSTREAM_CLIENT_SECRET": SECRET,
            "GATEWAY_SIGNING_KEY_FILE": str(folder / "key.jwk"),
            "GATEWAY_STORE_URL": store,
            "STOREFRONT_CLIENT_ID": "storefront",
            "TRUSTED_CLIENT_ID": "trusted",
            "TRUSTED_CLIENT_SECRET": "bench",
        }
        api = [sys.executable, "-m", "gateway.demo", "--port", str(upstream), "--client-id", "gateway"]
        secret = {"DEMO_CLIENT_SECRET": SECRET}
        stack.enter_context(process(1, *api, ready="demo commerce API", env=secret, log=folder / "upstream.log"))
        serve = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "gateway.yaml")]
        serve += ["--listen", f"127.0.0.1:{gateway}", "--admin", f"127.0.0.1:{free_port()}"]
        stack.enter_context(process(0, *serve, ready="credential_renewed", env=env, log=folder / "gateway.log"))
        async with aiohttp.ClientSession() as session:
            bench = Bench(gateway, upstream, session)
            await bench.prepare()
            print(f"{os.cpu_count()} cores, Python {platform.python_version()}; {concurrent} at a time, interleaved")
            if what == "logins":
                probes = await logins(bench, store, samples)
                return compare(await measure(probes, samples, concurrent), len(probes) - 1)
            pairs = await records(bench, store)
            verdicts = []
            for name, pair in pairs.items():
                print(name)
                verdicts.append(compare(await measure(pair, samples, concurrent), len(pairs)))
            return all(verdicts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("logins", "records"))
    parser.add_argument("--samples", type=int, default=500, help="of each kind")
    parser.add_argument("--concurrent", type=int, default=1, help="how many clients try at once")
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(run(options.what, options.samples, options.concurrent)) else 1)


if __name__ == "__main__":
    main()
