"""Numbers and odd texts from socket to socket, on routes with rules: what is judged leaves as it came."""

import json

import pytest

from gateway.demo.data import RON, RON_ID
from tests.fakes.commerce import at
from tests.gateways import Site

NUMBERS = (
    '"amount":10000000000000000.01,"rate":1.0,"e":1e2,"zero":-0,"big":123456789012345678901234567890,"n":[-0.0,1E-7]'
)


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """Write a whole answer of the upstream."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        len(body),
        body,
    )


@pytest.mark.parametrize(
    ("before", "odd"),
    [("", ""), ("\ufeff", ""), ("", r',"name":"a\ud83d"'), ("\ufeff", r',"name":"\udc00\ud800"')],
    ids=["plain", "a byte order mark", "a lone surrogate", "both"],
)
async def test_a_judged_answer_leaves_as_it_came(site: Site, before: str, odd: str) -> None:
    """No number is rounded or respelled, and one odd text withholds nothing."""
    body = f'{{"data":{{"type":"customer","id":"{RON_ID}","password":true,{NUMBERS}{odd}}}}}'
    site.commerce.script(at(f"/v2/customers/{RON_ID}"), answer((before + body).encode()))
    reply = await site.customer(RON.email, "GET", f"/v2/customers/{RON_ID}")
    assert (reply.status, reply.body.decode()) == (200, body)


async def test_an_odd_text_hides_nobody(site: Site) -> None:
    """A foreign record is withheld whatever stands beside it, and an odd id is nobody's."""
    for record in (r'"id":"somebody","name":"\ud800"', rf'"id":"{RON_ID}\ud800"', '"id":-0', '"id":1e1'):
        site.commerce.script(
            at(f"/v2/customers/{RON_ID}"), answer(f'{{"data":{{"type":"customer",{record}}}}}'.encode())
        )
        reply = await site.customer(RON.email, "GET", f"/v2/customers/{RON_ID}")
        assert (reply.status, reply.code) == (404, "RECORD_NOT_FOUND")


async def test_a_body_that_rules_read_goes_upstream_as_it_came(site: Site) -> None:
    """The stamp is all that changes of it."""
    cart = "/v2/carts/numbers"
    body = f'{{"data":{{"customer":{{"name":"Ron"}},"billing_address":{{{NUMBERS}}},"shipping_address":{{}}}}}}'
    await site.token(RON.email)
    site.commerce.forget()
    await site.customer(RON.email, "POST", f"{cart}/checkout", data=body, headers={"Content-Type": "application/json"})
    (request,) = [one for one in site.commerce.requests if one.method == "POST"]
    assert NUMBERS in request.body.decode()
    assert json.loads(request.body)["data"]["customer"] == {"id": RON_ID}
