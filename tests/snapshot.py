"""One configuration as it is compiled, for tests of what is decided by it, and requests to it."""

import re

from gateway.authentication import Callers
from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.key import Algorithm, generate, load_key
from gateway.authn.keyring import KeyRing
from gateway.decision import Snapshot
from gateway.guard.rules.owner import Owner
from gateway.routing import RouteTable
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.filter import Filter
from gateway.vocab.messages import (
    CallerKind,
    Request,
)
from gateway.vocab.policy import Access, Endpoint, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.api import Api
from gateway.wire.cors import Cors
from gateway.wire.links import LinkRewriter
from gateway.wire.location import Places
from gateway.wiring import now
from tests.sessions import session

# PyJWT has a clock of its own.
NOW = now()
DAY = 86400.0
OPEN = Access()
SCOPED = Access((Filter(field="customer_id"),), (Owner(pointer="/customer_id"),))
STAMPED = Access((BodyFields(allow=("type", "name")),), (Owner(pointer="/id"),))
EVERYBODY = dict.fromkeys(CallerKind, OPEN)
ORDERS = Route(
    "orders",
    "/v2/orders",
    frozenset({"GET"}),
    {CallerKind.CUSTOMER: SCOPED, CallerKind.TRUSTED: OPEN},
    query=frozenset({"filter"}),
)
PRODUCT = Route("product", "/v2/products/{id}", frozenset({"GET", "PUT", "DELETE"}), EVERYBODY)
LOGIN = Route("login", "/v2/tokens", frozenset({"POST"}), EVERYBODY, endpoint=Endpoint.LOGIN)
BEARER = Route("bearer", "/oauth/access_token", frozenset({"POST"}), EVERYBODY, endpoint=Endpoint.BEARER)
CART = Route("cart", "/v2/carts/{ref}", frozenset({"GET"}), EVERYBODY, is_alike=True)
NOBODY = ("x-moltin-customer-token", "")
RING = KeyRing([load_key(generate(Algorithm.EDDSA))])
PUBLIC = (("x-forwarded-proto", "https"), ("x-forwarded-host", "gw.example"))
SNAPSHOT = Snapshot(
    routes=RouteTable([ORDERS, PRODUCT, CART, LOGIN, BEARER]),
    callers=Callers(
        BearerVerifier(RING, "us", "shop", DAY),
        CustomerVerifier(RING, "us", "shop", DAY, re.compile(r"c\d+")),
        frozenset({(CallerKind.PUBLIC, "front"), (CallerKind.TRUSTED, "back")}),
        requires_bearer=True,
    ),
    apis={
        "default": Api(
            forwarded=frozenset({"accept"}),
            links=LinkRewriter(("http://up.example",), "https://gw.example"),
            places=Places("http://up.example", (), "https://gw.example", ("https://sso.example",)),
        )
    },
    cors=Cors(frozenset({"https://app.example"})),
    public=PUBLIC,
)
JSON_LINE = ("content-type", "application/json")


def bearer(kind: CallerKind = CallerKind.PUBLIC, client: str = "front") -> tuple[str, str]:
    """Return the line of a bearer."""
    return "authorization", f"Bearer {SNAPSHOT.callers.bearers.mint(kind, client, NOW, DAY)[0]}"


def token(customer: str = "c1", life: float = DAY) -> tuple[str, str]:
    """Return the line of a customer token."""
    return "x-moltin-customer-token", SNAPSHOT.callers.customers.mint(session(customer), NOW - DAY + life, DAY)[0]


TRUSTED = bearer(CallerKind.TRUSTED, "back")


def request(target: str, *headers: tuple[str, str], method: str = "GET") -> Request:
    """Make a request."""
    return Request("r-1", method, target, headers, "192.0.2.1", NOW)


def code(outcome: object) -> Code:
    """Return the code of what must be refused."""
    assert isinstance(outcome, Refusal), outcome
    return outcome.code
