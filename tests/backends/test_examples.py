"""Each example of a routing file in front of a real API of its kind: a customer's whole business, and the prover."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.config.load import load
from gateway.config.model import Config
from gateway.verify import recipes
from gateway.verify.gate import Access
from gateway.verify.run import Options, prove
from gateway.vocab.messages import Json
from gateway.wiring import Address, running
from tests.backends.apis import APIS, TOKEN, Api, serving
from tests.canary_sweep import SWEEP
from tests.gateways import CHEAP, ROOT, environment
from tests.verify.proving import silent

pytest.importorskip("gateway.config.credential")

PASSWORD = "canary-password-of-ann"
OTHER = "canary-other-password-of-ann"


class Client:
    """Speaks with a gateway as a shop's page does."""

    def __init__(self, api: Api, url: str, session: aiohttp.ClientSession) -> None:
        self.api = api
        self._url = url
        self._session = session
        self.token = ""

    async def send(self, method: str, path: str, document: Json | None = None) -> tuple[int, Any, Any]:
        """Send a request; return status, document and headers."""
        headers = {"Content-Type": self.api.kind} if document is not None else {}
        if self.token:
            headers["X-Moltin-Customer-Token"] = self.token
        async with self._session.request(method, self._url + path, json=document, headers=headers) as reply:
            body = await reply.read()
            return reply.status, await reply.json(content_type=None) if body else None, reply.headers

    async def register(self, name: str, email: str, password: str) -> str:
        """Register a customer; return the id."""
        fields = {"name": name, "email": email, "password": password}
        status, document, _ = await self.send("POST", self.api.path("customers"), self.api.body("customers", fields))
        assert status == 201, document
        made = self.api.record(document)
        assert (made["name"], made["email"], made["password"]) == (name, email, True)
        return str(made["id"])

    async def login(self, email: str, password: str) -> int:
        """Log in at the path of the gateway; the token is kept."""
        data = {"type": "token", "email": email, "password": password}
        headers = {"Content-Type": "application/json"}
        async with self._session.post(
            f"{self._url}/v2/customers/tokens", json={"data": data}, headers=headers
        ) as reply:
            document = await reply.json()
            self.token = document["data"]["token"] if reply.status == 201 else self.token
            return reply.status


@pytest.fixture(params=APIS, ids=[api.example for api in APIS])
def api(request: pytest.FixtureRequest) -> Api:
    """Give each API that can be started here."""
    one: Api = request.param
    if reason := one.obstacle():
        pytest.skip(reason)
    return one


def configured(api: Api, folder: Path, url: str) -> Config:
    """Read an example with the variables that it names, and no other."""
    SWEEP.name("the token of an API", TOKEN)
    all_known = environment(folder, url)
    names = ("UPSTREAM_URL", "GATEWAY_SIGNING_KEY_FILE", "GATEWAY_STORE_URL")
    environ = {name: all_known[name] for name in names} | {"UPSTREAM_TOKEN": TOKEN}
    config = load(ROOT / "config" / "examples" / f"{api.example}.yaml", environ)
    return config.model_copy(update={"customers": config.customers.model_copy(update={"hashing": CHEAP})})


@asynccontextmanager
async def gateway(api: Api, folder: Path) -> AsyncIterator[tuple[str, Config]]:
    """Run an API, and the gateway with its example in front."""
    async with serving(api, folder) as url:
        config = configured(api, folder, url)
        log = io.StringIO()
        async with running(config, Address("127.0.0.1", 0), Address("127.0.0.1", 0), log=log) as one:
            yield f"http://{one.listen}", config
        SWEEP.search("example", {"log": log.getvalue()})


async def test_a_customers_whole_business(api: Api, tmp_path: Path) -> None:
    """Register, log in, see what is one's own and nothing else, make, change, page and delete."""
    async with gateway(api, tmp_path) as (url, _), aiohttp.ClientSession() as session:
        client = Client(api, url, session)
        customer, order = api.leslies
        assert (await client.send("GET", api.path("products")))[0] == 200
        assert (await client.send("GET", api.path("orders")))[0] == 403
        ann = await client.register("Ann", "ann@perkins.example", PASSWORD)
        fields = {"name": "Ann", "email": "ann@perkins.example", "password": OTHER}
        assert (await client.send("POST", api.path("customers"), api.body("customers", fields)))[0] == 409
        assert await client.login("ann@perkins.example", OTHER) == 404
        assert await client.login("ann@perkins.example", PASSWORD) == 201

        status, document, _ = await client.send("GET", api.path("customers"))
        assert (status, [one["id"] for one in api.records(document)]) == (200, [ann])
        assert (await client.send("GET", api.path("customers", ann)))[0] == 200
        missing = await client.send("GET", api.path("customers", "999999999"))
        foreign = await client.send("GET", api.path("customers", customer))
        assert (foreign[0], foreign[1]) == (missing[0], missing[1])
        assert foreign[0] == 404

        made = []
        for _ in range(3):
            status, document, _ = await client.send("POST", api.path("orders"), api.body("orders", api.order))
            assert status == 201, document
            assert api.record(document)["owner"] == ann
            made.append(api.record(document)["id"])
        status, document, headers = await client.send("GET", api.path("orders") + f"?{api.page_one}")
        assert status == 200
        assert {one["owner"] for one in api.records(document)} == {ann}
        total = {"rest": headers.get("X-Total-Count"), "django-rest": "3", "jsonapi": "3"}[api.example]
        assert total == "3"
        if api.example == "django-rest":
            assert (document["count"], document["next"]) == (3, "/api/orders/?page=2")
            _, second, _ = await client.send("GET", document["next"])
            assert (second["count"], len(second["results"]), second["previous"]) == (3, 1, "/api/orders/")
            assert (await client.send("GET", "/api/orders"))[0] == 200

        change = api.body("orders", {"note": "changed"}, made[0])
        status, document, _ = await client.send("PATCH", api.path("orders", made[0]), change)
        assert (status, api.record(document)["note"], api.record(document)["owner"]) == (200, "changed", ann)
        for method in ("GET", "PATCH", "DELETE"):
            body = api.body("orders", {"note": "stolen"}, order) if method == "PATCH" else None
            assert (await client.send(method, api.path("orders", order), body))[0] == 404
        assert (await client.send("DELETE", api.path("orders", made[0])))[0] == 204
        assert (await client.send("GET", api.path("orders", made[0])))[0] == 404

        new = api.body("customers", {"name": "Ann P.", "password": OTHER}, ann)
        status, document, _ = await client.send("PATCH", api.path("customers", ann), new)
        assert (status, api.record(document)["name"]) == (200, "Ann P.")
        assert await client.login("ann@perkins.example", PASSWORD) == 404
        assert await client.login("ann@perkins.example", OTHER) == 201
        assert (await client.send("DELETE", api.path("customers", ann)))[0] == 204
        assert await client.login("ann@perkins.example", OTHER) == 404


async def test_nobody_makes_or_moves_a_record_for_another(api: Api, tmp_path: Path) -> None:
    """A body that names somebody else is refused, and nothing comes of it."""
    async with gateway(api, tmp_path) as (url, _), aiohttp.ClientSession() as session:
        client = Client(api, url, session)
        await client.register("Ann", "ann@perkins.example", PASSWORD)
        await client.login("ann@perkins.example", PASSWORD)
        leslie = api.leslies[0]
        if api.example == "jsonapi":
            owner: Json = {"relationships": {"customer": {"data": {"type": "customers", "id": leslie}}}}
            body = api.body("orders", api.order)
            body["data"] |= owner
        else:
            body = {**api.order, api.owner_at[0]: leslie}
        status, document, _ = await client.send("POST", api.path("orders"), body)
        assert (status, document["errors"][0]["code"]) == (403, "BODY_FIELD_FORBIDDEN")
        _, document, _ = await client.send("GET", api.path("orders"))
        assert api.records(document) == []


async def test_the_prover_walks_every_route(api: Api, tmp_path: Path) -> None:
    """It finds records of its own by what the file says of the API, attacks each route, and sees no leak."""
    async with gateway(api, tmp_path) as (url, config):
        proof = await prove(url, config, recipes.load(None), Access(None), Options(concurrency=4), silent)
        assert proof.leaks == []
        attacked = {cell.route for cell, tally in proof.outcome.tallies.items() if tally.sent}
        assert attacked >= {route.name for route in config.routes}
        assert dict(proof.protected).keys() >= {"customer", "customers", "order", "orders"}
        assert not [note for note in proof.notes if "could not be deleted" in note]
