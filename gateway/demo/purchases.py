"""Orders in the demo API: lists, single orders, items, transactions and payments."""

from uuid import uuid4

from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, json_answer
from gateway.demo.listing import listed
from gateway.demo.state import State
from gateway.vocab.messages import Json

PAYMENTS = {"purchase": "paid", "authorize": "authorized"}


def list_orders(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/orders, with the items where the call includes them."""
    included = (lambda page: _included(state, page)) if _wants_items(call) else None
    return listed(state, call, "order", state.orders.values(), included)


def show_order(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/orders/{id}."""
    order = _order(state, call)
    document: Json = {"data": order}
    if _wants_items(call):
        document["included"] = _included(state, [order])
    return json_answer(document)


def list_items(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/orders/{id}/items."""
    return json_answer({"data": state.order_items[_order(state, call)["id"]]})


def list_transactions(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/orders/{id}/transactions."""
    return json_answer({"data": state.transactions[_order(state, call)["id"]]})


def show_transaction(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/orders/{id}/transactions/{id}, and POST .../confirm: payments of the demo need no second step."""
    for record in state.transactions[_order(state, call)["id"]]:
        if record["id"] == call.parameters[1]:
            return json_answer({"data": record})
    raise ShopError(404, "Transaction not found")


def pay(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/orders/{id}/payments: marks the order paid or authorized and gives the transaction."""
    order, body = _order(state, call), call.data()
    method = str(body.get("method"))
    if method not in PAYMENTS:
        raise ShopError(422, "The field `method` must be `purchase` or `authorize`")
    if order["payment"] != "unpaid":
        raise ShopError(400, "The order is already paid")
    price = order["meta"]["display_price"]["with_tax"]
    record = {
        "type": "transaction",
        "id": str(uuid4()),
        "reference": "manual",
        "gateway": body.get("gateway", "manual"),
        "transaction-type": method,
        "status": "complete",
        "amount": price["amount"],
        "currency": price["currency"],
        "relationships": {"order": {"data": {"type": "order", "id": order["id"]}}},
        "meta": {"timestamps": state.times()},
    }
    state.transactions[order["id"]].append(record)
    status = "complete" if method == "purchase" else "processing"
    state.orders[order["id"]] = state.touched(order, {"payment": PAYMENTS[method], "status": status})
    return json_answer({"data": record})


def _order(state: State, call: Call) -> Json:
    order = state.orders.get(call.parameters[0])
    if order is None:
        raise ShopError(404, "Order not found")
    return order


def _wants_items(call: Call) -> bool:
    """Unknown includes are silently ignored, as upstream does."""
    return "items" in (call.parameter("include") or "").split(",")


def _included(state: State, orders: list[Json]) -> Json:
    return {"items": [item for order in orders for item in state.order_items[order["id"]]]}


ROUTES = (
    Route("GET", "/v2/orders", list_orders),
    Route("GET", "/v2/orders/{}", show_order),
    Route("GET", "/v2/orders/{}/items", list_items),
    Route("GET", "/v2/orders/{}/transactions", list_transactions),
    Route("GET", "/v2/orders/{}/transactions/{}", show_transaction),
    Route("POST", "/v2/orders/{}/transactions/{}/confirm", show_transaction, trusted=False),
    Route("POST", "/v2/orders/{}/payments", pay, trusted=False),
)
