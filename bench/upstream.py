"""The commerce API of the benchmarks: an nginx with fixed answers, which costs next to nothing."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.machine import LOAD_CORE, need, process

PEERS = Path(__file__).parent / "peers"
CUSTOMER = "79cc0486-bbdf-491b-a0a2-722383b6288b"
ORDER_ID = "00000000-0000-4000-8000-0000000000{}"
"""An order of the customer, by two digits."""
LARGE = 2**30
"""Bytes of the large file."""
_CATALOGUE = 66 * 1024


def filled(name: str, **values: object) -> str:
    """Return a file of bench/peers/ with its @WORDS@ filled in."""
    return re.sub(r"@([A-Z]+)@", lambda word: str(values[word[1].lower()]), (PEERS / name).read_text())


@contextmanager
def upstream(folder: Path, port: int, *, core: int | str = LOAD_CORE, workers: int = 1) -> Iterator[None]:
    """Run it until the block ends."""
    need("taskset", "nginx")
    (folder / "products.json").write_text(_text({"data": _products()}))
    with (folder / "large").open("wb") as large:
        large.truncate(LARGE)
    grant = {"access_token": "upstream-bearer", "token_type": "Bearer", "expires_in": 86400}
    orders = {"data": [order(number) for number in range(3)], "meta": {"results": {"total": 3}}, "links": {}}
    items = [_item(number) for number in range(4)]
    references = [{"type": "item", "id": item["id"]} for item in items]
    owner = {"data": {"type": "customer", "id": CUSTOMER}}
    # nginx puts in the id that it is asked for.
    one = order(0) | {"id": "$order", "relationships": {"items": {"data": references}, "customer": owner}}
    file = folder / "upstream.conf"
    file.write_text(
        filled(
            "upstream.conf",
            folder=folder,
            port=port,
            workers=workers,
            reuse="reuseport" if workers > 1 else "",
            grant=_text(grant),
            orders=_text(orders),
            order=_text({"data": one}),
            items=_text({"data": items}),
            address=_text({"data": {"id": "00000000-0000-4000-b000-000000000000", **address()}}),
        )
    )
    with process(core, "nginx", "-c", str(file), port=port, log=folder / "upstream.log"):
        yield


def order(number: int) -> dict[str, object]:
    """Return one order of about 650 bytes."""
    return {
        "type": "order",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "status": "complete",
        "payment": "paid",
        "shipping": "fulfilled",
        "customer": {"name": "Ron Swanson", "email": "ron@swanson.example"},
        "shipping_address": {"line_1": "1 Main Street", "city": "Pawnee", "postcode": "46001", "country": "US"},
        "meta": {
            "display_price": {"with_tax": {"amount": 4900, "currency": "USD", "formatted": "49.00 USD"}},
            "timestamps": {"created_at": "2026-04-02T09:30:00Z", "updated_at": "2026-04-02T09:30:00Z"},
        },
        "relationships": {
            "items": {"data": [{"type": "item", "id": f"00000000-0000-4000-9000-{number:012d}"}]},
            "customer": {"data": {"type": "customer", "id": CUSTOMER}},
        },
    }


def address() -> dict[str, object]:
    """Return an address of about a kilobyte, as a customer gives it."""
    return {
        "type": "address",
        "first_name": "Ron",
        "last_name": "Swanson",
        "name": "Cabin",
        "company_name": "",
        "phone_number": "+1 555 0100",
        "line_1": "1 Main Street",
        "line_2": "",
        "city": "Pawnee",
        "county": "Wamapoke",
        "postcode": "46001",
        "country": "US",
        "instructions": "Behind the diner, up the gravel road, past the second gate; leave it with the dog. " * 9,
    }


def _item(number: int) -> dict[str, object]:
    """Return an item of an order, of about 500 bytes; it names neither its order nor an owner."""
    price = {"amount": 4900, "currency": "USD", "includes_tax": True}
    shown = {"amount": 4900, "currency": "USD", "formatted": "49.00 USD"}
    return {
        "type": "order_item",
        "id": f"00000000-0000-4000-9000-{number:012d}",
        "quantity": 1,
        "product_id": f"00000000-0000-4000-a000-{number:012d}",
        "name": f"Canoe number {number}",
        "sku": f"canoe-{number}",
        "unit_price": price,
        "value": price,
        "meta": {
            "display_price": {"with_tax": {"unit": shown, "value": shown}},
            "timestamps": {"created_at": "2026-04-02T09:30:00Z", "updated_at": "2026-04-02T09:30:00Z"},
        },
    }


def _products() -> list[dict[str, object]]:
    """Return products of about 66 KB together."""
    products: list[dict[str, object]] = []
    size = 0
    while size < _CATALOGUE:
        product: dict[str, object] = {
            "type": "product",
            "id": f"00000000-0000-4000-a000-{len(products):012d}",
            "name": f"Canoe number {len(products)}",
            "slug": f"canoe-{len(products)}",
            "description": "Seventeen feet of cedar, steamed, bent and varnished by hand. " * 8,
            "price": [{"amount": 4900, "currency": "USD", "includes_tax": True}],
            "links": {"self": f"https://api.example/v2/products/{len(products)}"},
        }
        products.append(product)
        size += len(_text(product)) + 1
    return products


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
