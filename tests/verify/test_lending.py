"""The prover finds what is shown to everybody though the API gives it to the server's credential alone."""

import json
from pathlib import Path
from typing import Any

import yaml

from gateway.config.model import Config, Route
from gateway.verify import recipes
from gateway.verify.client import Client
from gateway.verify.facts import read
from gateway.verify.gate import Gate
from gateway.verify.lending import Lending, apis
from gateway.verify.model import Person
from gateway.verify.run import Run
from tests.fakes.commerce import Commerce, Recorded
from tests.gateways import MOLTIN
from tests.gateways import site as run_site
from tests.verify.proving import PUBLIC_ACCESS, found, leaky_routes, proven

VECTOR = "server-credential"
KEPT = {"customers-register", "customer-read", "address-create", "addresses-list", "products", "product"}
OPEN = {"public": "open", "customer": "open"}


def written(**changes: Any) -> str:
    """Return the production file, fewer routes of it, with keys of some routes changed."""
    document = yaml.safe_load(MOLTIN.read_text())
    document["routes"] = [route for route in document["routes"] if route["name"] in KEPT | changes.keys()]
    document["routes"] = [route | changes.get(route["name"], {}) for route in document["routes"]]
    return yaml.safe_dump(document)


async def attacked(upstream: Commerce, folder: Path, config: str) -> Run:
    """Run a gateway on the file and attack it."""
    async with run_site(upstream, folder, config=config, passwords=False) as site:
        return await proven(site, PUBLIC_ACCESS)


async def test_nothing_planted_nothing_found(upstream: Commerce, tmp_path: Path) -> None:
    """What the weaker credential carries is what the API gives to everybody, drafts and all tried."""
    proof = await attacked(upstream, tmp_path, written())
    assert proof.leaks == []
    tried = {(cell.route, cell.caller) for cell in proof.cells if cell.vector == VECTOR}
    assert tried == {(name, caller) for name in ("products", "product") for caller in ("public", "customer")}
    assert all(proof.outcome.tallies[cell].sent for cell in proof.cells if cell.vector == VECTOR)


async def test_drafts_that_the_servers_credential_reads_for_everybody(upstream: Commerce, tmp_path: Path) -> None:
    """In a list, and behind an id that no list shows."""
    config = written(products={"credential": "server"}, product={"credential": "server"})
    proof = await attacked(upstream, tmp_path, config)
    assert found(proof) == {("products", VECTOR), ("product", VECTOR)}
    assert {leak.cell.caller for leak in proof.leaks} == {"public", "customer"}
    assert any("that the API gives to the server's credential alone" in leak.evidence[0] for leak in proof.leaks)


def of_the_file(config: Config) -> tuple[Route, ...]:
    """Return the routes as the file has them that another one was made of."""
    return tuple(route.model_copy(update={"credential": None}) for route in config.routes)


async def test_a_gateway_that_does_otherwise_than_its_file_says(upstream: Commerce, tmp_path: Path) -> None:
    """What is proven is the gateway that runs, not the file."""
    async with run_site(upstream, tmp_path, config=written(products={"credential": "server"}), passwords=False) as site:
        site.config = site.config.model_copy(update={"routes": of_the_file(site.config)})
        assert leaky_routes(await proven(site, PUBLIC_ACCESS)) == {"products"}


async def test_what_the_api_refuses_to_everybody(upstream: Commerce, tmp_path: Path) -> None:
    """A list that a storefront's bearer cannot read at all."""
    access = {"access": OPEN, "credential": "server", "insecure_unproven": "broken on purpose", "passwords": None}
    proof = await attacked(upstream, tmp_path, written(**{"customers-list": access}))
    assert ("customers-list", VECTOR) in found(proof)
    assert any("the API refuses this" in text for leak in proof.leaks for text in leak.evidence)


async def test_with_one_credential_nobody_can_tell(upstream: Commerce, tmp_path: Path) -> None:
    """Where the API says nothing without one; then it is said, and who says more."""
    document = yaml.safe_load(written())
    del document["upstream"]["public_credential"]
    proof = await attacked(upstream, tmp_path, yaml.safe_dump(document))
    assert not {cell for cell in proof.cells if cell.vector == VECTOR}
    assert any("products" in note and "gateway check" in note for note in proof.notes)


ONE_KEY = """\
extends: moltin.yaml
upstream: {credential: {kind: header, name: X-Api-Key, value: "${env:TOKEN}"}, public_credential: null}
routes:
  - {name: goods, path: /goods, methods: [GET], access: {public: open}}
  - {name: good, path: "/goods/{id}", methods: [GET], access: {public: RULES}}
"""
GOODS = [{"id": "g1", "name": "tea", "cost": 3}, {"id": "g2", "name": "next year's tea", "cost": 4}]


def goods(request: Recorded) -> bytes:
    """Answer everybody what is sold and its name; to whoever has the key all of it."""
    is_ours = request.header("x-api-key") == "static"
    seen: list[Any] = GOODS if is_ours else [{"id": "g1", "name": "tea"}]
    if request.path != "/goods":
        seen = [record for record in seen if request.path.endswith(record["id"])]
    body = json.dumps({"data": seen if request.path == "/goods" else (seen or [None])[0]}).encode()
    status = b"200 OK" if seen else b"404 Not Found"
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


async def lent(upstream: Commerce, folder: Path, config: str) -> set[tuple[str, str]]:
    """Run a gateway on the file, and return of which routes it shows more than the API gives, and what."""
    async with (
        run_site(upstream, folder, config=config, passwords=False, TOKEN="static") as site,
        Client(site.url, 5.0, 1) as client,
        apis(site.config) as asked,
    ):
        gate = Gate(client, site.config, read(site.config), recipes.built_in())
        await gate.open(PUBLIC_ACCESS)
        lending = Lending(gate, asked, Person("A", "", "", ""))
        await lending.run()
    assert not any("static" in leak.request for leak in lending.outcome.leaks)
    return {(leak.cell.route, text) for leak in lending.outcome.leaks for text in leak.evidence}


MORE = {
    ("goods", "1 records that the API gives to the server's credential alone"),
    ("goods", "members that the API gives to the server's credential alone: /cost"),
    ("good", "the API refuses this to everybody but the server's credential"),
}


async def test_one_key_that_reads_more_than_nobody_does(upstream: Commerce, tmp_path: Path) -> None:
    """Where the API answers without a credential too, that is what everybody may read: members count like records."""
    upstream.script(lambda request: request.path.startswith("/goods"), goods)
    config = ONE_KEY.replace("RULES", "{guard: [{redact: {pointers: [/cost]}}]}")
    assert await lent(upstream, tmp_path, config) == MORE


async def test_the_api_is_asked_and_read_as_the_file_says_it_speaks(upstream: Commerce, tmp_path: Path) -> None:
    """Lists under another name, ids that are numbers, and paths that end with a slash, or lead nowhere."""

    def numbered(request: Recorded) -> bytes:
        is_ours, ident = request.header("x-api-key") == "static", request.path.removeprefix("/goods/").rstrip("/")
        seen: list[Any] = [{"id": 1, "name": "tea"} | ({"cost": 3} if is_ours else {})]
        seen += [{"id": 2, "name": "next year's tea", "cost": 4}] if is_ours else []
        one = next((record for record in seen if str(record["id"]) == ident), None)
        document = {"count": len(seen), "results": seen} if not ident else one
        is_there = request.path.endswith("/") and document is not None
        status, body = (b"200 OK", json.dumps(document).encode()) if is_there else (b"404 Not Found", b"{}")
        return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            *(status, len(body), body),
        )

    upstream.script(lambda request: request.path.startswith("/goods"), numbered)
    shop = yaml.safe_load(ONE_KEY.replace("RULES", "{guard: [{redact: {pointers: [/cost]}}]}"))
    for route in shop["routes"]:
        route["records"] = {"preset": "drf"}
    assert await lent(upstream, tmp_path, yaml.safe_dump(shop)) == MORE


async def test_where_everybody_may_read_everything_nothing_is_tried(upstream: Commerce, tmp_path: Path) -> None:
    """Without a credential nobody gets more than anybody."""
    config = "extends: moltin.yaml\nupstream: {credential: {kind: none}, public_credential: null}\n"
    async with run_site(upstream, tmp_path, config=config) as site, apis(site.config) as asked:
        assert asked == {}
