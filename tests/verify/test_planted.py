"""The prover finds leaks that are there: gateways broken on purpose, one fault each, and the route must be named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.verify.run import Run
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN
from tests.gateways import site as run_site
from tests.verify.proving import PUBLIC_ACCESS, TRUSTED_ACCESS, found, leaky_routes, proven

# What gives the customers records and shows them; each test adds the route that it breaks.
KEPT = {"customers-register", "customer-read", "address-create", "addresses-list", "orders-list"}
SEEDING = {"cart-items", "cart-checkout"}


def broken(**access: Any) -> str:
    """Return the production file, fewer routes of it, with the customers' access of some routes replaced."""
    document = yaml.safe_load(MOLTIN.read_text())
    # An upstream that would refuse a storefront what is planted here keeps it from being seen.
    del document["upstream"]["public_credential"]
    kept = KEPT | SEEDING | {name.replace("_", "-") for name in access}
    document["routes"] = [route for route in document["routes"] if route["name"] in kept]
    for route in document["routes"]:
        if route["name"] in SEEDING:
            route["methods"] = ["POST"]
        name = route["name"].replace("-", "_")
        if name in access:
            route["access"]["customer"] = access.pop(name)
            route["insecure_unproven"] = "broken on purpose"
    assert not access, f"no such route: {access}"
    return yaml.safe_dump(document)


async def attacked(upstream: Commerce, folder: Path, config: str, *, trusted: bool = True) -> Run:
    """Run a gateway on the file and attack it."""
    async with run_site(upstream, folder, config=config, passwords=False) as site:
        return await proven(site, TRUSTED_ACCESS if trusted else PUBLIC_ACCESS)


async def test_nothing_planted_nothing_found(upstream: Commerce, tmp_path: Path) -> None:
    """The same file without a fault holds: what the other tests find is the fault."""
    proof = await attacked(upstream, tmp_path, broken())
    assert proof.leaks == []
    assert proof.outcome.sent > 1000


async def test_open_single_order(upstream: Commerce, tmp_path: Path) -> None:
    """An order that is relayed to any customer is found by its id, on that route alone."""
    proof = await attacked(upstream, tmp_path, broken(order="open"))
    assert ("order", "foreign-id") in found(proof)
    assert leaky_routes(proof) == {"order"}
    assert any("B's canary" in leak.evidence for leak in proof.leaks)


async def test_open_single_order_without_a_trusted_client(upstream: Commerce, tmp_path: Path) -> None:
    """No trusted client is needed to find it."""
    proof = await attacked(upstream, tmp_path, broken(order="open"), trusted=False)
    assert leaky_routes(proof) == {"order"}


async def test_open_addresses(upstream: Commerce, tmp_path: Path) -> None:
    """Addresses name no owner: what gives them away is the canary in them."""
    proof = await attacked(upstream, tmp_path, broken(addresses_list="open"))
    assert ("addresses-list", "foreign-id") in found(proof)
    assert leaky_routes(proof) == {"addresses-list"}


async def test_open_list_of_orders(upstream: Commerce, tmp_path: Path) -> None:
    """A list of everybody's orders is a leak at the first honest request."""
    proof = await attacked(upstream, tmp_path, broken(orders_list="open"))
    assert ("orders-list", "honest") in found(proof)
    assert "orders-list" in leaky_routes(proof)
    assert leaky_routes(proof) == {"orders-list"}


async def test_guard_at_the_wrong_place(upstream: Commerce, tmp_path: Path) -> None:
    """A guard that reads the owner where none stands, before an upstream that ignores filters."""
    access = {
        "scope": [{"filter": {"field": "customer_id"}}],
        "guard": [{"owner": {"pointer": "/relationships/account/data/id", "required": False}}],
    }
    upstream.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"))
    proof = await attacked(upstream, tmp_path, broken(orders_list=access))
    assert ("orders-list", "honest") in found(proof)


async def test_items_without_their_order(upstream: Commerce, tmp_path: Path) -> None:
    """Items of an order that nobody looks up first."""
    proof = await attacked(upstream, tmp_path, broken(order_items="open"))
    assert leaky_routes(proof) == {"order-items"}


@pytest.mark.parametrize(
    ("route", "what"),
    [
        ("address_change", "was changed"),
        ("address_create", "was put among B's records"),
        ("order_payments", "was changed"),
        ("customer_change", "was changed"),
        ("customer_delete", "went away"),
    ],
)
async def test_writes_that_reach_the_other(upstream: Commerce, tmp_path: Path, route: str, what: str) -> None:
    """A write to B's records is a leak in the other direction, and its route is named."""
    proof = await attacked(upstream, tmp_path, broken(**{route: "open"}))
    assert leaky_routes(proof) == {route.replace("_", "-")}
    assert any(what in text for leak in proof.leaks for text in leak.evidence)


async def test_checkout_for_another(upstream: Commerce, tmp_path: Path) -> None:
    """A checkout that lets A name B as the buyer puts an order among B's."""
    proof = await attacked(upstream, tmp_path, broken(cart_checkout="open"))
    assert leaky_routes(proof) == {"cart-checkout"}
    assert ("cart-checkout", "body-owner") in found(proof)


async def test_guest_checkout_in_the_name_of_another(upstream: Commerce, tmp_path: Path) -> None:
    """A checkout without any customer token that may name B as the buyer."""
    document = yaml.safe_load(broken())
    (route,) = (one for one in document["routes"] if one["name"] == "cart-checkout")
    route["access"]["public"] = "open"
    route["insecure_unproven"] = "broken on purpose"
    proof = await attacked(upstream, tmp_path, yaml.safe_dump(document))
    assert leaky_routes(proof) == {"cart-checkout"}
    assert "public" in {leak.cell.caller for leak in proof.leaks}


async def test_records_that_can_be_told_from_none(upstream: Commerce, tmp_path: Path) -> None:
    """A single record that is withheld otherwise than one that nobody has tells which records exist."""
    access = {
        "guard": [{"redact": {"pointers": ["/customer", "/relationships", "/billing_address", "/shipping_address"]}}]
    }
    proof = await attacked(upstream, tmp_path, broken(order=access))
    assert {("order", "existence"), ("order", "foreign-id")} <= found(proof)


async def test_the_request_is_shown_without_secrets(upstream: Commerce, tmp_path: Path) -> None:
    """A leak comes with a line that repeats it; bearers, tokens and passwords are not in it."""
    async with run_site(upstream, tmp_path, config=broken(order="open"), passwords=False) as site:
        proof = await proven(site)
    assert proof.leaks
    for leak in proof.leaks:
        assert leak.request.startswith("curl --path-as-is -X ")
        assert not any(secret in leak.request for secret in proof.masks)
    honest = next(leak for leak in proof.leaks if leak.cell.vector == "foreign-id" and leak.cell.caller == "customer")
    assert '"Authorization: Bearer $BEARER"' in honest.request
    assert '"x-moltin-customer-token: $CUSTOMER_TOKEN"' in honest.request
