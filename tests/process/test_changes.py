"""Changes to one e-mail at once over several worker processes: one customer has it, whatever the upstream takes."""

import asyncio
import json

import pytest

from gateway.demo.answers import ShopAnswer
from tests.fakes.commerce import Commerce, Recorded, at
from tests.fakes.wire import answer_bytes
from tests.gateways import Answer
from tests.process.processes import Served, serving

WANTED = "april@pawnee.example"
NEWCOMERS = 4


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    return answer_bytes(ShopAnswer(status, [("content-type", "application/json")], json.dumps(document).encode()))


def takes_any_email(commerce: Commerce, customer_id: str) -> None:
    """Let the upstream change a customer's e-mail without asking whether it is free."""

    def change(request: Recorded) -> bytes:
        commerce.shop.customers[customer_id] |= request.json()["data"]
        return written({"data": commerce.shop.customers[customer_id]})

    commerce.script(at(f"/v2/customers/{customer_id}", "PUT"), change)


async def change(served: Served, customer_id: str, token: str) -> Answer:
    """Ask for the wanted e-mail."""
    headers = {"Authorization": f"Bearer {await served.bearer()}", "X-Moltin-Customer-Token": token}
    data = {"type": "customer", "email": WANTED}
    return await served.call("PUT", f"/v2/customers/{customer_id}", headers=headers, json={"data": data})


@pytest.mark.parametrize("lists_lag", [False, True])
async def test_one_customer_gets_the_email(upstream: Commerce, environ: dict[str, str], *, lists_lag: bool) -> None:
    """One change is 200, the others 409, and whoever has the e-mail logs in with it."""
    async with serving(environ, workers=2) as served:
        people: dict[str, tuple[str, str]] = {}
        for number in range(NEWCOMERS):
            email, password = f"newcomer{number}@pawnee.example", f"canary-password-{number}"
            assert (await served.register(email, password, f"Newcomer {number}")) is not None
            data = (await served.login(email, password)).json()["data"]
            people[data["customer_id"]] = (data["token"], password)
            takes_any_email(upstream, data["customer_id"])
        if lists_lag:
            upstream.script(at("/v2/customers", "GET"), written({"data": []}))
        answers = await asyncio.gather(*(change(served, ident, token) for ident, (token, _) in people.items()))
        assert sorted(answer.status for answer in answers) == [200] + [409] * (NEWCOMERS - 1)
        assert {answer.code for answer in answers if answer.status == 409} == {"EMAIL_TAKEN"}
        (winner,) = [answer.json()["data"]["id"] for answer in answers if answer.status == 200]
        login = await served.login(WANTED, people[winner][1])
        assert (login.status, login.json()["data"]["customer_id"]) == (201, winner)
