"""Passwords stay in the gateway: the upstream never sees one, in no request and in no form."""

import base64
import json
from urllib.parse import quote

import pytest

from gateway.demo.data import APRIL_ID, DEMO_PASSWORDS, RON, RON_ID
from tests.fakes.commerce import Fault, at
from tests.gateways import Site
from tests.tokens.accounts import ANN, change, customer, register, token_of

CANARY = 'canary-"pass\\word"-é'
SECOND = "canary-second-password"


def spellings(secret: str) -> list[bytes]:
    """Return the ways in which a secret could stand in the bytes of a request."""
    plain = secret.encode()
    return [
        plain,
        json.dumps(secret).encode()[1:-1],
        json.dumps(secret, ensure_ascii=False).encode()[1:-1],
        quote(secret).encode(),
        base64.b64encode(plain),
        plain.hex().encode(),
        b'"password"',
        b"argon2",
    ]


def assert_unseen(site: Site, *secrets: str) -> None:
    """Check every byte that the upstream got."""
    requests = [*site.commerce.all_requests, *site.commerce.unfinished]
    assert requests
    for request in requests:
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in request.raw, (request.method, request.target)
    assert not site.commerce.shop.passwords_seen
    assert not site.commerce.malformed


async def test_no_request_carries_a_password(site: Site) -> None:
    """Registration, login, change and repeat, by storefront, customer and server: no byte of a password goes on."""
    ident = (await register(site, password=CANARY)).json()["data"]["id"]
    token = await token_of(site, ANN, CANARY)
    await register(site, password=SECOND)
    await site.login(ANN, SECOND)
    await change(site, token, ident, name="Ann", password=SECOND)
    await change(site, token, ident, password=CANARY)
    await change(site, token, ident, email="new@x.example", password=SECOND)
    target = f"/v2/customers/{APRIL_ID}"
    await site.trusted("PUT", target, json={"data": {"type": "customer", "password": CANARY}})
    await site.trusted("PUT", target, json={"data": {"password": CANARY, "external_ref": "x"}})
    await site.trusted("POST", "/v2/customers", json=customer("ben@x.example", CANARY, external_ref="x"))
    await site.public("DELETE", f"/v2/customers/{ident}", headers={"X-Moltin-Customer-Token": token})
    assert_unseen(site, CANARY, SECOND)


@pytest.mark.parametrize("kind", [Fault.SERVER_ERROR, Fault.CUT_BODY, Fault.CLOSE, Fault.UNAUTHORIZED])
async def test_no_request_carries_a_password_when_the_upstream_fails(site: Site, kind: Fault) -> None:
    """What is sent again, or finished later, carries none either."""
    site.commerce.fault(kind, when=at("/v2/customers", "POST"), times=1)
    site.commerce.fault(kind, when=at(f"/v2/customers/{RON_ID}"), times=1)
    await register(site, password=CANARY)
    await register(site, password=CANARY)
    await site.login(ANN, CANARY)
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    await change(site, token, RON_ID, password=CANARY, name="Ron")
    await change(site, token, RON_ID, password=SECOND)
    assert_unseen(site, CANARY, SECOND, DEMO_PASSWORDS[RON.email])


async def test_refused_requests_carry_none(site: Site) -> None:
    """A password in the wrong place is refused before anything is sent, or stays behind with the rest."""
    for body in (
        customer(password=CANARY, Password=CANARY),
        {**customer(), "password": CANARY},
        {"data": [customer(password=CANARY)["data"]]},
    ):
        assert (await site.public("POST", "/v2/customers", json=body)).status == 422
    assert (await site.trusted("POST", "/v2/customers", json={**customer(), "password": CANARY})).status == 201
    target = f"/v2/customers/{APRIL_ID}"
    body = {"password": CANARY, "data": {"type": "customer", "name": "April"}}
    assert (await site.trusted("PUT", target, json=body)).status == 200
    assert_unseen(site, CANARY)


async def test_replies_and_log_carry_none(site: Site) -> None:
    """No reply and no line of the log shows a password or a hash."""
    bodies = [
        (await register(site, password=CANARY)).body,
        (await site.login(ANN, CANARY)).body,
        (await site.login(ANN, SECOND)).body,
        (await register(site, password=SECOND)).body,
        (await site.public("POST", "/v2/customers", data=f'{{"data":{{"password":"{SECOND}"'.encode())).body,
        site.log.getvalue().encode(),
        (await site.metrics()).encode(),
    ]
    for body in bodies:
        for secret in (CANARY, SECOND):
            for spelling in spellings(secret):
                assert spelling not in body or spelling == b'"password"'
