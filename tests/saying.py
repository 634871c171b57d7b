"""What an upstream says, written out, and customers who ask for something it is about."""

import json
from collections.abc import Callable
from typing import Any

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import LESLIE, RON, identity
from gateway.vocab.messages import Json
from tests.fakes.commerce import Recorded
from tests.fakes.wire import answer_bytes
from tests.gateways import Answer, Site

OWN = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
FOREIGN = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
ME = f"/v2/customers/{RON.id}"
PRODUCT = "/v2/products/p1"
CART = "/v2/carts/c1"
JSON_TYPE = ("content-type", "application/json")
DATE = "Wed, 21 Oct 2099 07:28:00 GMT"
HOME = {"data": {"type": "address", "name": "Home"}}


def said(status: int, body: bytes | Json = b"", *headers: tuple[str, str]) -> bytes:
    """Write an answer of the upstream."""
    lines = [*headers]
    if isinstance(body, dict):
        lines, body = [*lines, JSON_TYPE], json.dumps(body).encode()
    return answer_bytes(ShopAnswer(status, lines, body))


def saying(status: int, body: bytes | Json, *headers: tuple[str, str]) -> Callable[[Recorded], bytes]:
    """Write an answer that ends with its head where that is all that was asked for."""

    def answer(request: Recorded) -> bytes:
        raw = said(status, body, *headers)
        return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else raw

    return answer


def error_of(answer: Answer) -> Json:
    """Return the one error of a reply, in the one shape of errors."""
    (error,) = answer.json()["errors"]
    assert error["status"] == answer.status
    assert answer.headers["content-type"] == "application/json"
    assert "www-authenticate" not in {name.lower() for name in answer.headers}
    return dict(error)


async def own(site: Site, method: str, target: str, **options: Any) -> Answer:
    """Ask as the customer."""
    return await site.customer(RON.email, method, target, **options)
