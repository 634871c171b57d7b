"""Carts in the demo API: contents, checkout and the link to a customer."""

from uuid import uuid4

from gateway.demo import data
from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, json_answer, no_content
from gateway.demo.goods import is_shown
from gateway.demo.listing import listed
from gateway.demo.state import State
from gateway.vocab.messages import Json

NO_PERMISSION = "Customer does not have the required permissions to fulfill this request"
# A cart holds no more of one thing than this; the number is the demo's own.
MOST_OF_ONE = 10_000
MOST_MINOR_UNITS = 10**9


def list_carts(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/carts."""
    return listed(state, call, "cart", [_shown(state, cart) for cart in state.carts.values()])


def create_cart(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/carts; a body is optional."""
    body = call.data() if call.body else {}
    cart = _new(state, str(uuid4()))
    cart |= {key: body[key] for key in ("name", "description") if isinstance(body.get(key), str)}
    return json_answer({"data": _shown(state, cart)}, 201)


def show_cart(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/carts/{ref}: an unknown reference makes the cart."""
    return json_answer({"data": _shown(state, _cart(state, call))})


def update_cart(state: State, call: Call) -> ShopAnswer:
    """Answer PUT /v2/carts/{ref}: a partial update."""
    cart = state.touched(_cart(state, call), call.data())
    state.carts[cart["id"]] = cart
    return json_answer({"data": _shown(state, cart)})


def delete_cart(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/carts/{ref}."""
    state.carts.pop(call.parameters[0], None)
    state.cart_items.pop(call.parameters[0], None)
    return no_content()


def list_items(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/carts/{ref}/items."""
    return _items(state, _cart(state, call)["id"])


def add_item(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/carts/{ref}/items: a product of the catalogue or a custom item; gives all items."""
    ref, body = _cart(state, call)["id"], call.data()
    quantity = _quantity(body)
    if "tax" in body and call.grant != "client_credentials":
        # What is owed in taxes is a server's to say.
        raise ShopError(403, "An implicit token may not set taxes")
    if body.get("type") == "cart_item":
        product = state.catalogue["/v2/products"].get(str(body.get("id")))
        if product is None or not is_shown(product, call):
            raise ShopError(404, "The product could not be found")
        amount = product["price"][0]["amount"]
        named = {"product_id": product["id"], "sku": product["sku"], "name": product["name"]}
        for item in state.cart_items[ref]:
            if item.get("product_id") == product["id"]:
                _count(item, item["quantity"] + quantity)
                return _items(state, ref, 201)
    elif body.get("type") == "custom_item":
        price = body.get("price")
        amount = price.get("amount") if isinstance(price, dict) else None
        if not isinstance(body.get("name"), str) or type(amount) is not int or not 0 <= amount <= MOST_MINOR_UNITS:
            raise ShopError(422, "A custom item needs a name and a price")
        named = {"sku": body.get("sku"), "name": body["name"]}
    else:
        raise ShopError(422, "The data must have the type `cart_item` or `custom_item`")
    item = {"type": body["type"], "id": str(uuid4()), **named, "unit_price": data.money(amount)}
    _count(item, quantity)
    state.cart_items[ref].append(item)
    return _items(state, ref, 201)


def clear_items(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/carts/{ref}/items."""
    ref = _cart(state, call)["id"]
    state.cart_items[ref].clear()
    return _items(state, ref)


def update_item(state: State, call: Call) -> ShopAnswer:
    """Answer PUT /v2/carts/{ref}/items/{id}: sets the quantity; gives all items."""
    item = _item(state, call)
    _count(item, _quantity(call.data()))
    return _items(state, call.parameters[0])


def remove_item(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/carts/{ref}/items/{id}; gives what is left."""
    state.cart_items[call.parameters[0]].remove(_item(state, call))
    return _items(state, call.parameters[0])


def remove_discount(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/carts/{ref}/discounts/{code}: there are no promotions, so that the items stay."""
    return _items(state, _cart(state, call)["id"])


def check_out(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/carts/{ref}/checkout: the order is the customer's when an id was given, a guest's otherwise."""
    ref, body = _cart(state, call)["id"], call.data()
    customer, billing = body.get("customer"), body.get("billing_address")
    if not isinstance(customer, dict):
        raise ShopError(422, "The field `customer` is required")
    if not isinstance(billing, dict) or not billing:
        raise ShopError(422, "The field `billing_address` is required")
    if not state.cart_items[ref]:
        raise ShopError(400, "The cart is empty")
    fields: Json = {"billing_address": billing, "shipping_address": body.get("shipping_address") or billing}
    owner = None if customer.get("id") is None else str(customer["id"])
    if owner is not None:
        if owner not in state.customers:
            raise ShopError(404, "customer not found")
    elif isinstance(customer.get("name"), str) and isinstance(customer.get("email"), str):
        fields["customer"] = {"name": customer["name"], "email": customer["email"]}
    else:
        raise ShopError(422, "The customer needs an id, or a name and an email")
    items = [{**item, "type": "order_item", "id": str(uuid4())} for item in state.cart_items[ref]]
    return json_answer({"data": state.place_order(owner, items, _total(state, ref), fields)}, 201)


def associate(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/carts/{ref}/relationships/customers: 200 with an echo, 204 when it was so already."""
    cart, owner = _cart(state, call), _named_customer(state, call)
    linked = cart["relationships"]["customers"]["data"]
    wanted = {"type": "customer", "id": owner}
    if wanted in linked:
        return no_content()
    if linked:
        raise ShopError(403, "Cannot associate more than one customer")
    linked.append(wanted)
    return json_answer({"data": [wanted]})


def dissociate(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/carts/{ref}/relationships/customers."""
    cart, owner = _cart(state, call), _named_customer(state, call)
    linked = cart["relationships"]["customers"]["data"]
    linked[:] = [one for one in linked if one["id"] != owner]
    return no_content()


def _named_customer(state: State, call: Call) -> str:
    """Read the one customer of the body's array; the errors are the documented ones."""
    try:
        document = call.document()
    except ShopError:
        raise ShopError(403, "Invalid json payload") from None
    named = document.get("data") if isinstance(document, dict) else None
    if not isinstance(named, list) or not named or not all(isinstance(one, dict) for one in named):
        raise ShopError(403, "Invalid json payload")
    if any(one.get("type") != "customer" for one in named):
        raise ShopError(400, "The type does not exist or is not listed as customer")
    if len(named) > 1:
        raise ShopError(403, "Cannot associate more than one customer")
    if call.grant == "implicit" or str(named[0].get("id")) not in state.customers:
        raise ShopError(403, NO_PERMISSION)
    return str(named[0]["id"])


def _new(state: State, ref: str) -> Json:
    cart: Json = {"type": "cart", "id": ref, "name": "Cart", "description": "", "meta": {"timestamps": state.times()}}
    cart["relationships"] = {"customers": {"data": []}}
    state.carts[ref] = cart
    state.cart_items[ref] = []
    return cart


def _cart(state: State, call: Call) -> Json:
    ref = call.parameters[0]
    return state.carts[ref] if ref in state.carts else _new(state, ref)


def _item(state: State, call: Call) -> Json:
    for item in state.cart_items[_cart(state, call)["id"]]:
        if item["id"] == call.parameters[1]:
            return item
    raise ShopError(404, "The cart item could not be found")


def _quantity(body: Json) -> int:
    quantity = body.get("quantity", 1)
    if type(quantity) is not int or not 0 < quantity <= MOST_OF_ONE:
        raise ShopError(422, f"The field `quantity` must be 1 to {MOST_OF_ONE}")
    return quantity


def _count(item: Json, quantity: int) -> None:
    item |= {"quantity": quantity, "value": data.money(item["unit_price"]["amount"] * quantity)}


def _total(state: State, ref: str) -> int:
    return sum(item["value"]["amount"] for item in state.cart_items[ref])


def _items(state: State, ref: str, status: int = 200) -> ShopAnswer:
    meta = {"display_price": data.prices(_total(state, ref))}
    return json_answer({"data": state.cart_items[ref], "meta": meta}, status)


def _shown(state: State, cart: Json) -> Json:
    ref = cart["id"]
    held = [{"type": item["type"], "id": item["id"]} for item in state.cart_items[ref]]
    return {
        **cart,
        "links": {"self": f"{state.base_url}/v2/carts/{ref}"},
        "meta": {**cart["meta"], "display_price": data.prices(_total(state, ref))},
        "relationships": {"items": {"data": held}, **cart["relationships"]},
    }


ROUTES = (
    Route("GET", "/v2/carts", list_carts),
    Route("POST", "/v2/carts", create_cart, trusted=False),
    Route("GET", "/v2/carts/{}", show_cart, trusted=False),
    Route("PUT", "/v2/carts/{}", update_cart, trusted=False),
    Route("DELETE", "/v2/carts/{}", delete_cart, trusted=False),
    Route("GET", "/v2/carts/{}/items", list_items, trusted=False),
    Route("POST", "/v2/carts/{}/items", add_item, trusted=False),
    Route("DELETE", "/v2/carts/{}/items", clear_items, trusted=False),
    Route("PUT", "/v2/carts/{}/items/{}", update_item, trusted=False),
    Route("DELETE", "/v2/carts/{}/items/{}", remove_item, trusted=False),
    Route("DELETE", "/v2/carts/{}/discounts/{}", remove_discount, trusted=False),
    Route("POST", "/v2/carts/{}/checkout", check_out, trusted=False),
    Route("POST", "/v2/carts/{}/relationships/customers", associate, trusted=False),
    Route("DELETE", "/v2/carts/{}/relationships/customers", dissociate, trusted=False),
)
