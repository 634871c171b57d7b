"""Customers, their addresses and their tokens in the demo API."""

import base64
import hashlib
import json
from uuid import uuid4

from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, json_answer, no_content
from gateway.demo.listing import listed
from gateway.demo.state import State
from gateway.vocab.messages import Json

# One day, as the upstream documents it.
TOKEN_SECONDS = 86_400
# Fields the upstream's address needs, and the names its messages give them.
NEEDED = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "line_1": "Line1",
    "county": "County",
    "postcode": "Postcode",
    "country": "Country",
}


def list_customers(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/customers."""
    return listed(state, call, "customer", [state.shown(record) for record in state.customers.values()])


def create_customer(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/customers; fields the API does not know are kept as custom (flow) fields."""
    body = call.data()
    if body.get("type") != "customer":
        raise ShopError(422, "The data must have the type `customer`")
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise ShopError(422, "The field `name` is required")
    state.check_email(body.get("email"))
    own = {"type", "id", "password", "meta", "links", "relationships"}
    fields = {key: value for key, value in body.items() if key not in own}
    record = state.place_customer({**fields, "id": str(uuid4())})
    return json_answer({"data": state.shown(record)}, 201)


def show_customer(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/customers/{id}."""
    return json_answer({"data": state.shown(_customer(state, call))})


def update_customer(state: State, call: Call) -> ShopAnswer:
    """Answer PUT /v2/customers/{id}: a partial update, which never stores a password."""
    record, changes = _customer(state, call), call.data()
    if "email" in changes:
        state.check_email(changes["email"], record["id"])
    state.customers[record["id"]] = state.touched(record, changes)
    return json_answer({"data": state.shown(state.customers[record["id"]])})


def delete_customer(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/customers/{id}: the addresses go too, the orders stay."""
    record = _customer(state, call)
    del state.customers[record["id"]]
    state.addresses.pop(record["id"], None)
    return no_content()


def list_addresses(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/customers/{id}/addresses; this list has no pages."""
    owner = _customer(state, call)["id"]
    return json_answer({"data": [_linked(state, one) for one in state.addresses.get(owner, {}).values()]})


def create_address(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/customers/{id}/addresses."""
    owner, body = _customer(state, call)["id"], call.data()
    for name, shown in NEEDED.items():
        if not isinstance(body.get(name), str) or not body[name]:
            raise ShopError(400, f"Validation failed: field '{shown}' on the 'required' tag.")
    own = {"type", "id", "meta", "links", "relationships"}
    record = state.place_address(owner, {key: value for key, value in body.items() if key not in own})
    return json_answer({"data": _linked(state, record)}, 201)


def show_address(state: State, call: Call) -> ShopAnswer:
    """Answer GET /v2/customers/{id}/addresses/{id}."""
    return json_answer({"data": _linked(state, _address(state, call))})


def update_address(state: State, call: Call) -> ShopAnswer:
    """Answer PUT /v2/customers/{id}/addresses/{id}: a partial update."""
    record = state.touched(_address(state, call), call.data())
    state.addresses[call.parameters[0]][record["id"]] = record
    return json_answer({"data": _linked(state, record)})


def delete_address(state: State, call: Call) -> ShopAnswer:
    """Answer DELETE /v2/customers/{id}/addresses/{id}."""
    record = _address(state, call)
    del state.addresses[call.parameters[0]][record["id"]]
    return no_content()


def create_token(state: State, call: Call) -> ShopAnswer:
    """Answer POST /v2/customers/tokens, where this shop keeps the passwords; 404 for any mismatch."""
    if state.passwords is None:
        raise ShopError(404, "The requested route could not be found")
    body = call.data()
    kept = state.passwords.get(str(body.get("email")))
    found = [record for record in state.customers.values() if record["email"] == body.get("email")]
    if not found or kept is None or body.get("password") != kept:
        raise ShopError(404, "The email or password is incorrect")
    ident, issued = str(uuid4()), int(state.clock())
    expires = issued + TOKEN_SECONDS
    claims = {"sub": found[0]["id"], "name": found[0]["name"], "exp": expires, "iat": issued, "jti": ident}
    token = {"type": "token", "id": ident, "customer_id": found[0]["id"], "token": _opaque(claims), "expires": expires}
    return json_answer({"data": token}, 201)


def _opaque(claims: Json) -> str:
    """Write a token as the real API does: padded base64 and a hexadecimal signature, which is no RFC 7515 JWT."""
    parts = [base64.b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join([*parts, hashlib.sha256(parts[1].encode()).hexdigest()])


def _customer(state: State, call: Call) -> Json:
    record = state.customers.get(call.parameters[0])
    if record is None:
        raise ShopError(404, "customer not found")
    return record


def _address(state: State, call: Call) -> Json:
    record = state.addresses.get(_customer(state, call)["id"], {}).get(call.parameters[1])
    if record is None:
        raise ShopError(404, "address not found")
    return record


def _linked(state: State, record: Json) -> Json:
    return {**record, "links": {"self": f"{state.base_url}/v2/addresses/{record['id']}"}}


ROUTES = (
    Route("POST", "/v2/customers/tokens", create_token, trusted=False),
    Route("GET", "/v2/customers", list_customers),
    Route("POST", "/v2/customers", create_customer),
    Route("GET", "/v2/customers/{}", show_customer),
    Route("PUT", "/v2/customers/{}", update_customer),
    Route("DELETE", "/v2/customers/{}", delete_customer),
    Route("GET", "/v2/customers/{}/addresses", list_addresses),
    Route("POST", "/v2/customers/{}/addresses", create_address),
    Route("GET", "/v2/customers/{}/addresses/{}", show_address),
    Route("PUT", "/v2/customers/{}/addresses/{}", update_address),
    Route("DELETE", "/v2/customers/{}/addresses/{}", delete_address),
)
