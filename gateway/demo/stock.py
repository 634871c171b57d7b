"""What is in stock in the demo API, and what a product becomes when somebody chooses among its options.

Everybody has as much as the demonstration needs: nothing is taken from stock by an order.
"""

from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, json_answer
from gateway.demo.goods import is_shown
from gateway.demo.state import State
from gateway.vocab.messages import Json

_IN_STOCK = 100


def show_stock(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/inventories/{id}, by the id of a product."""
    return json_answer({"data": _stock(_product(state, call, call.parameters[0]))})


def list_stock(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/inventories/multiple: the stock of each product in a list of references."""
    document = call.document()
    asked = document.get("data") if isinstance(document, dict) else None
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise ShopError(400, "The request body must be an object with the array `data`")
    return json_answer({"data": [_stock(_product(state, call, str(one.get("id")))) for one in asked]})


def configure(state: State, call: Call) -> ShopAnswer:
    """Answer POST /catalog/products/{id}/configure: products of the demo have no options, and stay what they are."""
    call.data()
    product = state.catalogue["/catalog/products"].get(call.parameters[0])
    if product is None:
        raise ShopError(404, "The requested resource could not be found")
    return json_answer({"data": product})


def _product(state: State, call: Call, ident: str) -> Json:
    product = state.catalogue["/v2/products"].get(ident)
    if product is None or not is_shown(product, call):
        raise ShopError(404, "The product could not be found")
    return product


def _stock(product: Json) -> Json:
    counts = {"total": _IN_STOCK, "available": _IN_STOCK, "allocated": 0}
    return {"type": "stock", "id": product["id"], **counts, "meta": {"timestamps": product["meta"]["timestamps"]}}


ROUTES = (
    Route("GET", "/v2/inventories/{}", show_stock, trusted=False),
    Route("POST", "/v2/inventories/multiple", list_stock, trusted=False),
    Route("POST", "/catalog/products/{}/configure", configure, trusted=False),
)
