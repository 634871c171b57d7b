"""Orders of the demo shop, and lists in general."""

from urllib.parse import quote

import pytest

from gateway.demo.data import (
    GUEST_ORDER_ID,
    LESLIE_ID,
    RON_ID,
)
from tests.demo.asking import BASE, Client
from tests.fakes.shop import add_order


def test_pages_cover_the_list_once(client: Client) -> None:
    """Following `next` visits each record once, by absolute links of this API."""
    seen: list[str] = []
    link: str | None = f"{BASE}/v2/orders?filter=eq(customer_id,{RON_ID})&sort=created_at&page[limit]=5"
    while link:
        assert link.startswith(f"{BASE}/v2/orders?")
        page = client.get(link.removeprefix(BASE))
        assert page["meta"]["results"]["total"] == 12
        assert page["meta"]["page"]["total"] == 3
        seen += [one["id"] for one in page["data"]]
        link = page["links"]["next"]
    assert len(seen) == len(set(seen)) == 12
    stamps = [client.shop.orders[one]["meta"]["timestamps"]["created_at"] for one in seen]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize(
    "query",
    ["page[limit]=0", "page[limit]=x", "page[offset]=-1", "page[offset]=10001", "sort=nope", "filter=eq(nope,1)"],
)
def test_bad_list_parameters(client: Client, query: str) -> None:
    """A page, sort or filter that makes no sense is 400."""
    assert client.ask("GET", f"/v2/orders?{query}").status == 400


def test_guest_order(client: Client) -> None:
    """A guest's order names no customer."""
    assert "customer" not in client.get(f"/v2/orders/{GUEST_ORDER_ID}")["data"]["relationships"]


def test_included_items_are_the_page_s(client: Client) -> None:
    """Every included item is referred to by an order of the page; unknown includes are ignored."""
    page = client.get("/v2/orders?include=nope,items&page[limit]=3")
    named = {one["id"] for order in page["data"] for one in order["relationships"]["items"]["data"]}
    assert {one["id"] for one in page["included"]["items"]} == named


def test_payment(client: Client) -> None:
    """A payment marks the order paid, adds a transaction, and is not taken twice."""
    order = add_order(client.shop, LESLIE_ID)
    payment = {"gateway": "manual", "method": "purchase"}
    answer = client.ask("POST", f"/v2/orders/{order['id']}/payments", payment)
    assert answer.status == 200
    transaction = answer.json()["data"]["id"]
    assert client.get(f"/v2/orders/{order['id']}")["data"]["payment"] == "paid"
    assert client.get(f"/v2/orders/{order['id']}/transactions/{transaction}")["data"]["amount"] == 1000
    assert client.ask("POST", f"/v2/orders/{order['id']}/payments", payment).status == 400


def test_last_of_a_repeated_filter_wins(client: Client) -> None:
    """A repeated filter is answered by its last, so that a gateway that forwards two of them leaks visibly."""
    ours, theirs = (quote(f"eq(customer_id,{one})") for one in (RON_ID, LESLIE_ID))
    page = client.get(f"/v2/orders?filter={ours}&filter={theirs}")
    assert page["meta"]["results"]["total"] == 3


def test_below_an_order(client: Client) -> None:
    """Items and transactions are found below their order only; an order includes its items when asked to."""
    order = add_order(client.shop, RON_ID)["id"]
    (item,) = client.get(f"/v2/orders/{order}/items")["data"]
    assert client.get(f"/v2/orders/{order}?include=items")["included"] == {"items": [item]}
    for path in (f"{order}/transactions/none", "none", "none/items", "none/transactions"):
        assert client.ask("GET", f"/v2/orders/{path}").status == 404
    assert client.ask("POST", f"/v2/orders/{order}/payments", {"method": "steal"}).status == 422
