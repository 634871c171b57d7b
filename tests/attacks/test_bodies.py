"""Bodies (D6.4, D6.5): one reading, known fields only, and no owner but the customer."""

import gzip
import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable

import pytest

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from gateway.vocab.messages import Json
from tests.attacks.field import (
    ADDRESS,
    ON_ONE_LOOP,
    Field,
    Outcome,
    address_of,
    assert_clean,
    assert_nothing_sent,
    assert_refused,
    every,
    order_of,
)

pytestmark = ON_ONE_LOOP

BILLING = {key: value for key, value in ADDRESS.items() if key != "type"}
CART = "/v2/carts/attacked"
# Method, path, and a body that is good there.
ROUTES: dict[str, tuple[str, str, Json]] = {
    "new address": ("POST", f"/v2/customers/{RON_ID}/addresses", {"data": {**ADDRESS, "name": "new"}}),
    "own address": (
        "PUT",
        f"/v2/customers/{RON_ID}/addresses/{address_of(RON)}",
        {"data": {**ADDRESS, "name": "Home"}},
    ),
    "own profile": ("PUT", f"/v2/customers/{RON_ID}", {"data": {"type": "customer", "name": RON.name}}),
    "registration": (
        "POST",
        "/v2/customers",
        {"data": {"type": "customer", "name": "X", "email": "x@x.example", "password": "x" * 9}},
    ),
    "checkout": ("POST", f"{CART}/checkout", {"data": {"customer": {"id": RON_ID}, "billing_address": BILLING}}),
    "cart's customer": ("POST", f"{CART}/relationships/customers", {"data": [{"type": "customer", "id": RON_ID}]}),
    "login": (
        "POST",
        "/v2/customers/tokens",
        {"data": {"type": "token", "email": "nobody@x.example", "password": "x"}},
    ),
}
SCOPED = {name: route for name, route in ROUTES.items() if name != "login"}


# What a reader may take for the owner: the names that config/moltin.yaml forbids, as careless readers compare them.
_OWNERS = {"customer", "customerid", "customers", "relationships"}


def fold(name: str) -> str:
    """Return a name as careless readers compare it: Go's encoding/json ignores case, also that of long s and Kelvin."""
    head = re.split(r"[.\[]", name)[0]
    return re.sub(r"[^a-z]", "", unicodedata.normalize("NFKC", head).casefold())


def owners_named(document: Json) -> list[str]:
    """Return the members of a document or its data that say who owns it and speak of the victim."""
    data = document.get("data")
    places = [document, data] if isinstance(data, dict) else [document]
    return [
        name
        for place in places
        for name, value in place.items()
        if fold(name) in _OWNERS and LESLIE_ID in json.dumps(value)
    ]


def assert_names_nobody_else(outcome: Outcome) -> None:
    """Check that nothing goes upstream in which a careless reader finds the victim as owner."""
    assert_clean(outcome)
    for request in outcome.requests:
        assert LESLIE_ID not in request.target
        if request.body:
            assert_one_reading(request.body)
            assert owners_named(request.json()) == []


def assert_one_reading(body: bytes) -> None:
    """Check that a body upstream is UTF-8 JSON in which no object names a member twice."""

    def once(pairs: list[tuple[str, object]]) -> Json:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    json.loads(body.decode("utf-8", "strict"), object_pairs_hook=once)


@every(route=ROUTES)
async def test_the_plain_bodies_are_taken(field: Field, route: tuple[str, str, Json]) -> None:
    """Each route takes its plain body: what is refused below is refused for its trick."""
    method, target, document = route
    outcome = await field.attack(field.request(method, target, body=document))
    assert_clean(outcome)
    assert outcome.requests
    assert outcome.status in {200, 201, 204, 400, 404}
    if outcome.status == 400:
        assert outcome.first.code == "UPSTREAM_REFUSED"
    if route is ROUTES["registration"]:
        shop = field.site.commerce.shop
        shop.customers = {key: value for key, value in shop.customers.items() if value["email"] != "x@x.example"}


NO_OBJECTS: dict[str, bytes] = {
    "nothing but spaces": b"   ",
    "an array": b"[]",
    "an array of the object": b'[{"data": {}}]',
    "text": b'"data"',
    "a number": b"1",
    "true": b"true",
    "null": b"null",
    "cut": b'{"data": {',
    "two documents": b'{"data": {}}{"data": {}}',
    "two lines": b'{"data": {}}\n{"data": {}}',
    "junk behind": b'{"data": {}} x',
    "NUL behind": b'{"data": {}}\0',
    "a comment": b'{"data": {}/* x */}',
    "a line comment": b'{"data": {} // x\n}',
    "a trailing comma": b'{"data": {"a": 1,}}',
    "single quotes": b"{'data': {}}",
    "names without quotes": b"{data: {}}",
    "a form": b"data[type]=token&data[email]=a@b.c&data[password]=x",
    "XML": b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>',
    "YAML": b"data:\n  type: token\n",
    "a byte order mark": b'\xef\xbb\xbf{"data": {}}',
    "UTF-16": '{"data": {}}'.encode("utf-16"),
    "UTF-16 LE": '{"data": {}}'.encode("utf-16-le"),
    "UTF-16 BE": '{"data": {}}'.encode("utf-16-be"),
    "UTF-32": '{"data": {}}'.encode("utf-32"),
    "UTF-7": b"+AHsAIg-data+ACI: +AHsAfQB9-",
    "latin-1": '{"data": {"name": "ü"}}'.encode("latin-1"),
    "overlong UTF-8": b'{"data": {"name": "\xc0\xaf"}}',
    "an encoded surrogate": b'{"data": {"name": "\xed\xa0\x80"}}',
    "a raw control character": b'{"data": {"name": "a\x01"}}',
    "a raw end of line": b'{"data": {"name": "a\n"}}',
    "a raw NUL": b'{"data": {"name": "a\0"}}',
    "an unknown escape": b'{"data": {"name": "\\x41"}}',
    "gzip": gzip.compress(b'{"data": {}}'),
    "deflate": zlib.compress(b'{"data": {}}'),
    "NaN": b'{"data": {"name": NaN}}',
    "Infinity": b'{"data": {"name": Infinity}}',
    "minus Infinity": b'{"data": {"name": -Infinity}}',
    "1e999": b'{"data": {"name": 1e999}}',
    "a number of 10,000 digits": b'{"data": {"name": ' + b"9" * 10_000 + b"}}",
    "a leading zero": b'{"data": {"name": 01}}',
    "hexadecimal": b'{"data": {"name": 0x1}}',
    "a plus": b'{"data": {"name": +1}}',
    "a lone surrogate": b'{"data": {"name": "\\ud800"}}',
    "a reversed pair": b'{"data": {"name": "\\udc00\\ud800"}}',
    "a lone surrogate in a name": b'{"data": {"\\udfff": 1}}',
    "33 deep": b'{"data": ' + b'{"a":' * 33 + b"1" + b"}" * 34,
    "33 lists deep": b'{"data": ' + b"[" * 33 + b"]" * 33 + b"}",
    "10,000 deep": b'{"data": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "10,000 deep, open": b"[" * 10_000,
    "the member twice": b'{"data": {"name": "a", "name": "b"}}',
    "the member twice, escaped": b'{"data": {"name": "a", "n\\u0061me": "b"}}',
    "data twice": b'{"data": {}, "data": {}}',
    "data twice, escaped": b'{"data": {}, "\\u0064ata": {}}',
    "twice, deeper": b'{"data": {"customer": {"id": "a", "id": "b"}}}',
    "twice in a list": b'{"data": [{"id": "a", "id": "b"}]}',
    "twice with another value between": b'{"data": {"name": "a", "email": "x", "name": "a"}}',
}


@every(route=ROUTES, raw=NO_OBJECTS)
async def test_d6_4_bodies_with_no_or_two_readings(field: Field, route: tuple[str, str, Json], raw: bytes) -> None:
    """A body is one JSON object with one reading, or it is refused unread by anybody behind us (D6.4)."""
    method, target, _ = route
    assert_refused(await field.attack(field.request(method, target, body=raw)), 400)


TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
    "application/xml",
    "application/json; charset=utf-16", "application/json; charset=latin-1", 'application/json; charset="utf-7"',
    "application/json, text/plain", "application/jsonp", "application/javascript", "application/x-json", "json", "*/*",
    "",
    "application/ json", "application/json\x0b", "image/png", "application/vnd.api+xml",
    "application/json;charset=ibm500",
)  # fmt: skip


@every(route=ROUTES, kind=TYPES)
async def test_d6_4_content_types(field: Field, route: tuple[str, str, Json], kind: str) -> None:
    """JSON that is not called JSON in UTF-8 is refused (D6.4, D7.10)."""
    method, target, document = route
    raw = field.request(method, target, f"Content-Type: {kind}", body=document)
    outcome = await field.attack(raw)
    assert_clean(outcome)
    assert_refused(outcome, 400, 415)


@every(route=ROUTES, lines={
    "none": [], "two": ["Content-Type: application/json", "Content-Type: text/plain"],
    "the same twice": ["Content-Type: application/json", "Content-Type: application/json"],
})  # fmt: skip
async def test_d6_4_not_one_content_type(field: Field, route: tuple[str, str, Json], lines: list[str]) -> None:
    """A body has exactly one content type."""
    method, target, document = route
    content = json.dumps(document).encode()
    raw = field.request(method, target, *lines, f"Content-Length: {len(content)}") + content
    assert_refused(await field.attack(raw), 400, 415)


@every(route=ROUTES, coding=["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "aws-chunked", "gzip, gzip", "x"])
async def test_d6_4_encoded_bodies(field: Field, route: tuple[str, str, Json], coding: str) -> None:
    """A body in an encoding is refused, whether or not it is in it (D6.4): nothing is unpacked for strangers."""
    method, target, document = route
    for content in (json.dumps(document).encode(), gzip.compress(json.dumps(document).encode())):
        raw = field.request(method, target, f"Content-Encoding: {coding}", body=content)
        assert_refused(await field.attack(raw), 400, 415)


@every(route=ROUTES, size=["300000", "2000000"])
async def test_cve_2026_50197_large_bodies(field: Field, route: tuple[str, str, Json], size: str) -> None:
    """A body above the limit is 413, never an unchecked pass (D5.6, Skipper); what is left of it is no request."""
    method, target, _ = route
    content = b'{"data": {"name": "' + b"a" * int(size) + b'"}}'
    outcome = await field.attack(field.request(method, target, body=content))
    assert_refused(outcome, 413)
    assert len(outcome.replies) == 1


# --- Owners ---------------------------------------------------------------------------------------------------------

EXACT = ("customer", "customer_id", "relationships")
ALIASES = (
    "Customer", "CUSTOMER", "customer ", " customer", "customer\0", "cu\u017ftomer", "\uff43ustomer", "Customer_Id",
    "CUSTOMER_ID", "customerId", "CustomerID", "customer-id", "customer.id", "customer[id]", "_customer",
    "Relationships",
    "RELATIONSHIPS", "relation\u017fhips", "relationships ", "relationships.customer", "customers",
)  # fmt: skip
STRANGE = (
    "owner", "owner_id", "data.relationships", "/data/relationships", "__proto__", "constructor", "prototype", "$set",
    "meta", "id", "external_ref", "account", "account_member", "links", "",
)  # fmt: skip
OWNER_VALUES: dict[str, object] = {
    "id": LESLIE_ID,
    "object": {"id": LESLIE_ID},
    "reference": {"data": {"type": "customer", "id": LESLIE_ID}},
    "relationship": {"customer": {"data": {"type": "customer", "id": LESLIE_ID}}},
    "list": [{"type": "customer", "id": LESLIE_ID}],
}


ALIAS_VALUES = {name: OWNER_VALUES[name] for name in ("id", "relationship")}
LISTING = {name: SCOPED[name] for name in ("own profile", "checkout")}
FORBIDDING = {name: SCOPED[name] for name in ("new address", "own address")}


def named(names: Iterable[str]) -> dict[str, str]:
    """Name vectors after what is sent."""
    return {repr(name): name for name in names}


@every(route=LISTING, name=named([*EXACT, *ALIASES, *STRANGE]), value=OWNER_VALUES)
async def test_d6_5_owners_where_fields_are_listed(
    field: Field, route: tuple[str, str, Json], name: str, value: object
) -> None:
    """Where fields are listed no other owner gets past, in whatever spelling (D6.4, D6.5)."""
    method, target, document = route
    outcome = await field.attack(field.request(method, target, body={"data": {**document["data"], name: value}}))
    assert_names_nobody_else(outcome)
    if target != ROUTES["checkout"][1] or name not in {"customer", "external_ref"}:
        # There the one is written over, and the other is the shop's own reference, which is no owner's. What all
        # objects of JavaScript have in common is no well-formed body at all.
        assert_refused(outcome, *((400,) if name == "__proto__" else (403, 422)))


@every(route=FORBIDDING, name=named([*EXACT, *STRANGE]), value=OWNER_VALUES)
async def test_d6_5_owners_where_fields_are_forbidden(
    field: Field, route: tuple[str, str, Json], name: str, value: object
) -> None:
    """An address names no owner: its path says whose it is (D6.4, D6.5)."""
    method, target, document = route
    outcome = await field.attack(field.request(method, target, body={"data": {**document["data"], name: value}}))
    assert_names_nobody_else(outcome)
    if name in EXACT:
        assert_refused(outcome, 403)


@every(route=FORBIDDING, name=named(ALIASES), value=ALIAS_VALUES)
async def test_d6_4_aliases_of_forbidden_owners(
    field: Field, route: tuple[str, str, Json], name: str, value: object
) -> None:
    """A forbidden name is forbidden in every spelling that a reader behind us takes for it (D6.4)."""
    method, target, document = route
    outcome = await field.attack(field.request(method, target, body={"data": {**document["data"], name: value}}))
    assert_names_nobody_else(outcome)


BESIDE = ("Data", "DATA", "data ", " data", "d\u0430ta", "data\0", "\uff44ata", "included", "meta", *EXACT, *ALIASES)
BESIDE_VALUES: dict[str, object] = {
    "object": {"id": LESLIE_ID, "type": "customer", "customer": {"id": LESLIE_ID}},
    "list": [{"type": "customer", "id": LESLIE_ID}],
}


@every(route={**LISTING, **FORBIDDING}, name=named(BESIDE), value=BESIDE_VALUES)
async def test_d6_4_members_beside_the_data(
    field: Field, route: tuple[str, str, Json], name: str, value: object
) -> None:
    """Nothing stands beside the data: a reader that ignores case takes the last of `data` and `DATA` (D6.4)."""
    method, target, document = route
    assert_refused(await field.attack(field.request(method, target, body={**document, name: value})), 403, 422)


@every(method=["POST", "DELETE"], name=named(BESIDE), value={"list": BESIDE_VALUES["list"]})
async def test_d6_4_members_beside_the_stamp(field: Field, method: str, name: str, value: object) -> None:
    """Beside the stamped data nothing goes upstream either: `DATA` is the data to a Go server (D6.4)."""
    _, target, document = SCOPED["cart's customer"]
    outcome = await field.attack(field.request(method, target, body={**document, name: value}))
    assert_clean(outcome)
    for request in outcome.requests:
        assert request.json() == {"data": [{"type": "customer", "id": RON_ID}]}


CUSTOMERS: dict[str, object] = {
    "other's id": {"id": LESLIE_ID},
    "other's id and own name": {"id": LESLIE_ID, "name": RON.name, "email": RON.email},
    "id in capitals": {"ID": LESLIE_ID},
    "both spellings": {"id": RON_ID, "ID": LESLIE_ID},
    "id with a space": {"id ": LESLIE_ID},
    "own id with a space": {"id": f"{RON_ID} "},
    "list": [{"id": LESLIE_ID}],
    "list of ids": [LESLIE_ID],
    "text": LESLIE_ID,
    "nested": {"data": {"id": LESLIE_ID}},
    "nested beside": {"id": RON_ID, "data": {"id": LESLIE_ID}},
    "list of both": [{"id": RON_ID}, {"id": LESLIE_ID}],
    "id as a list": {"id": [LESLIE_ID]},
    "id as an object": {"id": {"$ne": None}},
    "null": None,
    "id null": {"id": None},
    "id empty": {"id": ""},
    "id false": {"id": False},
    "id zero": {"id": 0},
    "name and e-mail of the other": {"name": LESLIE.name, "email": LESLIE.email},
    "prototype": {"__proto__": {"id": LESLIE_ID}},
}


@every(customer=CUSTOMERS, caller=["customer", "public"])
async def test_d6_4_a_checkout_is_for_the_customer(field: Field, customer: object, caller: str) -> None:
    """A customer's checkout names exactly the customer; without a token it names no id at all (D6.4)."""
    is_customer = caller == "customer"
    body = {"data": {"customer": customer, "billing_address": BILLING}}
    outcome = await field.attack(field.request("POST", f"{CART}/checkout", body=body, customer=is_customer))
    assert_clean(outcome)
    for request in outcome.requests:
        sent = request.json()["data"]["customer"]
        if is_customer:
            assert sent == {"id": RON_ID}
        else:
            assert sent is None or (set(sent) <= {"name", "email"})
    if not outcome.requests:
        assert_refused(outcome, *((400,) if customer is CUSTOMERS["prototype"] else (403, 422)))


REFERENCES: dict[str, object] = {
    "the other": [{"type": "customer", "id": LESLIE_ID}],
    "own and other": [{"type": "customer", "id": RON_ID}, {"type": "customer", "id": LESLIE_ID}],
    "other and own": [{"type": "customer", "id": LESLIE_ID}, {"type": "customer", "id": RON_ID}],
    "an object": {"type": "customer", "id": LESLIE_ID},
    "a text": LESLIE_ID,
    "texts": [LESLIE_ID],
    "another type": [{"type": "account", "id": LESLIE_ID}],
    "own id, another type": [{"type": "account", "id": RON_ID}],
    "id in capitals": [{"type": "customer", "ID": LESLIE_ID}],
    "both spellings": [{"type": "customer", "id": RON_ID, "Id": LESLIE_ID}],
    "nested": [[{"type": "customer", "id": LESLIE_ID}]],
    "empty": [],
    "null": None,
    "an empty object": [{}],
    "number": 1,
    "id as a list": [{"type": "customer", "id": [LESLIE_ID]}],
}


@every(references=REFERENCES, method=["POST", "DELETE"])
async def test_d6_4_a_cart_is_joined_to_the_customer(field: Field, references: object, method: str) -> None:
    """Of a cart's customers a customer adds and takes away exactly the own reference (D6.4)."""
    target = f"{CART}/relationships/customers"
    outcome = await field.attack(field.request(method, target, body={"data": references}))
    assert_clean(outcome)
    for request in outcome.requests:
        assert request.json() == {"data": [{"type": "customer", "id": RON_ID}]}
    if not outcome.requests:
        assert_refused(outcome, 403, 422)
    public = await field.attack(field.request(method, target, body={"data": references}, customer=False), me=None)
    assert_refused(public, 403)


CARTS = {"new": ("POST", "/v2/carts"), "change": ("PUT", CART), "by POST": ("POST", CART)}


@every(name=[*EXACT, "customers"], value=OWNER_VALUES, route=CARTS, caller=["public", "customer"])
async def test_d6_5_owners_of_carts(
    field: Field, name: str, value: object, route: tuple[str, str], caller: str
) -> None:
    """A cart's body names no customer: who owns a cart is said by the token, through its own route (D6.5)."""
    outcome = await of_cart(field, name, value, route, caller)
    assert_names_nobody_else(outcome)
    assert_refused(outcome, 403)


@every(
    name=named(name for name in ALIASES if name != "customers"),
    value=ALIAS_VALUES,
    route=CARTS,
    caller=["customer"],
)
async def test_d6_4_aliases_of_the_owners_of_carts(
    field: Field, name: str, value: object, route: tuple[str, str], caller: str
) -> None:
    """The same in every spelling that a reader behind us takes for it (D6.4)."""
    assert_names_nobody_else(await of_cart(field, name, value, route, caller))


async def of_cart(field: Field, name: str, value: object, route: tuple[str, str], caller: str) -> Outcome:
    """Send a cart whose body has one more member."""
    is_customer = caller == "customer"
    raw = field.request(*route, body={"data": {"name": "x", name: value}}, customer=is_customer)
    return await field.attack(raw, me=RON if is_customer else None)


PROFILE: dict[str, object] = {
    "id": LESLIE_ID, "external_ref": "x", "meta": {"x": 1}, "links": {}, "relationships": {}, "addresses": [],
    "password_hash": "x",
    "is_admin": True, "role": "admin", "customer_id": LESLIE_ID, "Email": LESLIE.email, "EMAIL": LESLIE.email,
    "email ": LESLIE.email,
    "Password": "x", "PASSWORD": "x", "pass\u017fword": "x", "created_at": "x", "authentication_mechanism": "x",
    "verified": True,
    "token": "x", "data": {}, "attributes": {"email": LESLIE.email}, "$set": {"email": "x"}, "": 1, "Id": LESLIE_ID,
    "_id": LESLIE_ID,
}  # fmt: skip


@every(name={repr(name): name for name in PROFILE}, route={"change": "own profile", "registration": "registration"})
async def test_d6_5_mass_assignment(field: Field, name: str, route: str) -> None:
    """A profile takes type, name, e-mail and password; any other field is refused or goes no further (D6.5)."""
    method, target, document = ROUTES[route]
    body = {"data": {**document["data"], name: PROFILE[name]}}
    outcome = await field.attack(field.request(method, target, body=body))
    if (name, method) in {("meta", "PUT"), ("links", "PUT"), ("relationships", "PUT")}:
        # A record may be sent back as it was shown.
        assert_clean(outcome)
        assert not any(name in request.json()["data"] for request in outcome.requests if request.body)
    else:
        assert_refused(outcome, 403, 422)


PASSWORDS: dict[str, object] = {
    "empty": "", "null": None, "number": 12345678, "true": True, "false": False, "list": ["x"], "object": {"$ne": ""},
    "1025 bytes": "x" * 1025, "1025 bytes of two each": "\u00e4" * 513,
    "nested": {"hash": "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA"},
}  # fmt: skip


@every(password=PASSWORDS, route={"change": "own profile", "registration": "registration"})
async def test_d7_5_shapes_of_passwords(field: Field, password: object, route: str) -> None:
    """A password is 1 to 1024 bytes of text; nothing else is stored, hashed or passed on (D7.5).

    A change may send back the boolean that was shown, or an empty field: then the password stays.
    """
    method, target, document = ROUTES[route]
    body = {"data": {**document["data"], "password": password}}
    outcome = await field.attack(field.request(method, target, body=body))
    assert_clean(outcome)
    assert not field.site.commerce.shop.passwords_seen
    if (password is None or (method == "PUT" and password in ("", True, False))) and outcome.requests:
        assert all("password" not in request.json()["data"] for request in outcome.requests if request.body)
    else:
        assert_refused(outcome, 422)


DATA: dict[str, object] = {
    "a list": [],
    "text": "x",
    "number": 1,
    "null": None,
    "true": True,
    "a list of it": [{"type": "customer"}],
}


@every(route={name: SCOPED[name] for name in SCOPED if name != "cart's customer"}, data=DATA)
async def test_d6_4_data_is_an_object(field: Field, route: tuple[str, str, Json], data: object) -> None:
    """Where a rule looks into the data, the data is an object (D6.4)."""
    method, target, _ = route
    for body in ({"data": data}, {}):
        assert_refused(await field.attack(field.request(method, target, body=body)), 400, 422)


BODILESS = {
    "list": "/v2/orders", "profile": f"/v2/customers/{RON_ID}", "addresses": f"/v2/customers/{RON_ID}/addresses",
    "order": f"/v2/orders/{order_of(RON)}", "items": f"/v2/orders/{order_of(RON)}/items", "products": "/v2/products",
}  # fmt: skip


@every(target=BODILESS, body={"JSON": b'{"data": {}}', "form": b"filter=x", "request": b"GET / HTTP/1.1\r\n\r\n"})
async def test_d0_get_with_a_body(field: Field, target: str, body: bytes) -> None:
    """A GET has no body: upstreams disagree about what one means (D.0)."""
    assert_refused(await field.attack(field.request("GET", target, body=body)), 400, code="BODY_UNEXPECTED")


@every(
    target={"profile": f"/v2/customers/{RON_ID}", "address": f"/v2/customers/{RON_ID}/addresses/{address_of(RON)}"},
    body={"JSON": b'{"data": {"id": "x"}}', "nothing useful": b"x"},
)
async def test_d0_delete_with_a_body(field: Field, target: str, body: bytes) -> None:
    """A scoped DELETE has no body, and with one it deletes nothing."""
    assert_refused(await field.attack(field.request("DELETE", target, body=body)), 400, code="BODY_UNEXPECTED")


FILLERS: dict[str, Callable[[], Json]] = {
    "20,000 members": lambda: {f"k{number}": 0 for number in range(20_000)},
    "a name of 200 KB": lambda: {"k" * 200_000: 0},
}


@every(route=SCOPED, filler=FILLERS)
async def test_d7_10_many_members(field: Field, route: tuple[str, str, Json], filler: Callable[[], Json]) -> None:
    """Many members are bounded by the size of the body; they are refused or pass as they are."""
    method, target, document = route
    body = {**document, **filler()}
    outcome = await field.attack(field.request(method, target, body=body))
    assert_clean(outcome)
    if route is not SCOPED["cart's customer"]:
        assert_refused(outcome, 413, 422)


@pytest.mark.parametrize("ident", [address_of(LESLIE), LESLIE_ID, "", "..", address_of(RON) + " "])
async def test_d6_5_an_address_is_the_one_of_the_path(field: Field, ident: str) -> None:
    """An id in a body does not choose the record: the path does (D6.5)."""
    method, target, document = ROUTES["own address"]
    body = {"data": {**document["data"], "id": ident}}
    outcome = await field.attack(field.request(method, target, body=body))
    assert_clean(outcome)
    for request in outcome.requests:
        assert request.path == target
        if request.body:
            assert request.json()["data"].get("id", address_of(RON)) == address_of(RON)


async def test_the_victim_is_not_changed(field: Field) -> None:
    """After all of this the victim owns what she owned, and nothing more."""
    shop = field.site.commerce.shop
    assert shop.customers[LESLIE_ID]["email"] == LESLIE.email
    assert list(shop.addresses[LESLIE_ID]) == [address_of(LESLIE)]
    owned = [
        order["id"]
        for order in shop.orders.values()
        if order["relationships"].get("customer", {}).get("data", {}).get("id") == LESLIE_ID
    ]
    assert len(owned) == LESLIE.orders
    assert_nothing_sent(await field.attack(field.request("GET", f"/v2/customers/{LESLIE_ID}")))
