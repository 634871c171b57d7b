"""Equal registrations at once over several worker processes: one customer, whatever the upstream takes."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.demo.answers import ShopAnswer
from tests.fakes.commerce import Commerce, Recorded, at
from tests.fakes.wire import answer_bytes
from tests.process.processes import Served, rows, serving

EMAIL, PASSWORD, NAME = "april@pawnee.example", "canary-password-april", "April Ludgate"
TIMES = 8
CREATION = at("/v2/customers", "POST")


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    return answer_bytes(ShopAnswer(status, [("content-type", "application/json")], json.dumps(document).encode()))


def takes_duplicates(commerce: Commerce) -> None:
    """Let the upstream create customers without asking whether the e-mail is free, each with a new id."""

    def create(request: Recorded) -> bytes:
        ident = f"made-{len(commerce.shop.customers)}"
        commerce.shop.customers[ident] = {"type": "customer", "id": ident, **request.json()["data"]}
        return written({"data": commerce.shop.customers[ident]}, 201)

    commerce.script(CREATION, create)


async def at_once(served: Served) -> list[int]:
    """Register the same customer many times at once, each on a connection of its own; return the statuses."""
    await served.bearer()
    answers = await asyncio.gather(*(served.register(EMAIL, PASSWORD, NAME) for _ in range(TIMES)))
    return sorted(0 if answer is None else answer.status for answer in answers)


@pytest.mark.parametrize("lists_lag", [False, True])
async def test_one_customer_over_all_workers(
    upstream: Commerce, environ: dict[str, str], tmp_path: Path, *, lists_lag: bool
) -> None:
    """One registration is 201, the others 409, and the customer logs in, also while lists do not show it yet."""
    takes_duplicates(upstream)
    if lists_lag:
        upstream.script(at("/v2/customers", "GET"), written({"data": []}))
    async with serving(environ, workers=2) as served:
        assert await at_once(served) == [201] + [409] * (TIMES - 1)
        again = await served.register(EMAIL, PASSWORD, NAME)
        assert again is not None
        assert again.code == "EMAIL_TAKEN"
        login = await served.login(EMAIL, PASSWORD)
        made = [ident for ident, record in upstream.shop.customers.items() if record["email"] == EMAIL]
        assert (login.status, [login.json()["data"]["customer_id"]]) == (201, made)
    assert rows(tmp_path / "store.db", "registrations") == 0
