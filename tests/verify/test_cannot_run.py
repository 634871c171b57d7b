"""Where nothing can be proven the prover says so, and never that all is well."""

import asyncio
from pathlib import Path

import pytest

from gateway.verify import recipes
from gateway.verify.gate import Access
from gateway.verify.model import CannotRunError
from gateway.verify.run import Options, prove
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, STOREFRONT, Site
from tests.gateways import site as run_site
from tests.verify.proving import proven
from tests.verify.test_planted import broken

NO_SEEDS = recipes.Seeds()


async def test_nobody_listens(upstream: Commerce, tmp_path: Path) -> None:
    """An unreachable gateway."""
    async with run_site(upstream, tmp_path, passwords=False) as site:
        pass
    with pytest.raises(CannotRunError, match="cannot be reached"):
        await proven(site)


async def test_unknown_clients(site: Site) -> None:
    """A storefront or a trusted client that the gateway does not know."""
    with pytest.raises(CannotRunError, match="no bearer for the implicit grant: the gateway answered 401"):
        await proven(site, Access("nobody"))
    with pytest.raises(CannotRunError, match="no bearer for the client_credentials grant"):
        await proven(site, Access(STOREFRONT, client_id="x", client_secret="y"))
    with pytest.raises(CannotRunError, match="give --storefront-client"):
        await proven(site, Access(None))


async def test_customers_that_cannot_log_in(site: Site) -> None:
    """Existing customers with a wrong password."""
    with pytest.raises(CannotRunError, match="customer A cannot log in: the gateway answered 404"):
        await proven(site, options=Options((("ron@swanson.example", "wrong"), ("leslie@knope.example", "wrong"))))


async def test_one_customer_twice(site: Site) -> None:
    """The same customer in both places."""
    pair = ("ron@swanson.example", "ron-demo-password")
    with pytest.raises(CannotRunError, match="both customers are the same one"):
        await proven(site, options=Options((pair, pair)))


async def test_nothing_to_protect(upstream: Commerce, tmp_path: Path) -> None:
    """Without a record that a customer can read there is nothing that could leak."""
    config = """
extends: moltin.yaml
routes:
  - name: register
    path: /v2/customers
    methods: [POST]
    passwords: register
    access: {public: {scope: [{body_fields: {allow: [type, name, email, password]}}]}}
  - name: orders-list
    path: /v2/orders
    methods: [GET]
    access:
      customer:
        scope: [{filter: {field: customer_id}}]
        guard: [{owner: {pointer: /relationships/customer/data/id}}]
"""
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        with pytest.raises(CannotRunError, match="nothing would be proven"):
            await proven(site, Access(STOREFRONT), NO_SEEDS)


async def test_customers_are_deleted_even_so(upstream: Commerce, site: Site) -> None:
    """Whatever goes wrong after the registration, the two customers do not stay."""
    before = set(upstream.shop.customers)
    upstream.fault(Fault.SERVER_ERROR, when=lambda request: request.method == "GET")
    with pytest.raises(CannotRunError):
        await proven(site)
    assert set(upstream.shop.customers) == before


async def test_a_gateway_without_an_upstream_proves_nothing(upstream: Commerce, tmp_path: Path) -> None:
    """When the upstream fails at the attack, most replies say nothing, and that is the result."""
    async with run_site(upstream, tmp_path, config=broken(), passwords=False) as site:
        attacks = asyncio.Event()

        def step(text: str, _count: int) -> None:
            if text == "attacking":
                attacks.set()

        upstream.fault(Fault.SERVER_ERROR, when=lambda request: attacks.is_set() and at("/v2/orders")(request))
        access = Access(STOREFRONT)
        proof = await prove(site.url, site.config, recipes.built_in(), access, Options(concurrency=4), step)
    assert proof.leaks == []
    assert proof.outcome.inconclusive > 0
    assert any("got no usable reply" in note for note in proof.notes)


def test_the_production_file_is_read() -> None:
    """The built-in seeds fit the production file."""
    assert MOLTIN.exists()
    assert recipes.built_in().keys == ("/v2/carts/{ref}",)
