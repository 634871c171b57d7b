"""Customer tokens in another header: what proves a customer there, and that it proves nothing elsewhere."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.demo.data import LESLIE_ID, RON, RON_ID
from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, environment
from tests.gateways import site as run_site

OWN, FOREIGN = f"/v2/customers/{RON_ID}", f"/v2/customers/{LESLIE_ID}"
OTHER = "extends: moltin.yaml\ntokens: {header: X-Shop-Customer}\n"
AUTHORIZATION = "extends: moltin.yaml\ntokens: {header: Authorization}\nclients: {require: false}\n"


async def test_another_header_carries_the_token(upstream: Commerce, tmp_path: Path) -> None:
    """Only that one does, it never goes upstream, and answers vary with it."""
    async with run_site(upstream, tmp_path, config=OTHER) as site:
        token = await site.token(RON.email)
        own = await site.public("GET", OWN, {"X-Shop-Customer": token})
        assert own.status == 200
        assert own.headers["Vary"] == "Authorization, X-Shop-Customer"
        assert (await site.public("GET", FOREIGN, {"X-Shop-Customer": token})).status == 404
        assert (await site.public("GET", OWN, {"X-Moltin-Customer-Token": token})).status == 403
        asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
        allowed = (await site.call("OPTIONS", OWN, headers=asks)).headers["Access-Control-Allow-Headers"]
        assert "x-shop-customer" in allowed.lower()
        assert all(token.encode() not in request.raw for request in upstream.all_requests)


async def test_authorization_carries_the_token(upstream: Commerce, tmp_path: Path) -> None:
    """A customer, a server and nobody are told apart by what the one line holds."""
    async with run_site(upstream, tmp_path, config=AUTHORIZATION) as site:
        token = await site.token(RON.email)

        async def status(target: str, headers: Mapping[str, str]) -> int:
            return (await site.call("GET", target, headers=headers)).status

        mine = {"Authorization": f"Bearer {token}"}
        assert await status(OWN, mine) == 200
        assert await status(FOREIGN, mine) == 404
        assert await status("/v2/products", mine) == 200
        assert await status(OWN, {}) == 403
        assert await status("/v2/products", {}) == 200
        assert await status(OWN, {"X-Moltin-Customer-Token": token}) == 403
        assert await status(FOREIGN, {"Authorization": f"Bearer {await site.bearer('trusted')}"}) == 200
        assert await status(OWN, {"Authorization": f"Bearer {token[:-4]}AAAA"}) == 403
        assert await status(OWN, {"Authorization": "Bearer undefined"}) == 403
        assert all(token.encode() not in request.raw for request in upstream.all_requests)


async def test_two_authorization_lines_are_none(upstream: Commerce, tmp_path: Path) -> None:
    """Nobody can tell which one is meant, in whichever order they stand."""
    async with run_site(upstream, tmp_path, config=AUTHORIZATION) as site:
        lines = [f"Bearer {await site.token(RON.email)}", f"Bearer {await site.bearer('trusted')}"]
        for both in (lines, lines[::-1]):
            pairs = [("Authorization", line) for line in both]
            assert (await site.call("GET", OWN, headers=pairs)).status == 401


async def test_a_dead_token_in_authorization_does_not_stop_a_login(upstream: Commerce, tmp_path: Path) -> None:
    """It is about to be replaced."""
    async with run_site(upstream, tmp_path, config=AUTHORIZATION) as site:
        token = await site.token(RON.email)
        for authorization in (f"Bearer {token}", f"Bearer {token[:-4]}AAAA"):
            data = {"type": "token", "email": RON.email, "password": "wrong"}
            headers = {"Authorization": authorization}
            answer = await site.call("POST", "/v2/customers/tokens", headers=headers, json={"data": data})
            assert answer.status == 404


FAULTS = [
    pytest.param("tokens: {header: Authorization}", "clients: {require: false}", id="bearers stand there"),
    pytest.param("tokens: {header: Accept}", "says something else", id="a header of HTTP"),
    pytest.param("tokens: {header: Cookie}", "says something else", id="cookies hold no authority"),
    pytest.param(
        "tokens: {header: X-Shop}\nupstream: {forward_headers: [X-Shop]}",
        "never go upstream",
        id="it would be passed on",
    ),
]


@pytest.mark.parametrize(("written", "told"), FAULTS)
def test_a_header_that_cannot_carry_it_is_a_fault(tmp_path: Path, written: str, told: str) -> None:
    """With its place and what to write instead."""
    file = tmp_path / "gateway.yaml"
    file.write_text(f"extends: {MOLTIN}\n{written}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, environment(tmp_path, "http://up.example"))
    assert f"{file}:" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("config", "line"), [(OTHER, "X-Shop-Customer: {}"), (AUTHORIZATION, "Authorization: Bearer {}")]
)
async def test_a_log_out_takes_the_token_from_there(upstream: Commerce, tmp_path: Path, config: str, line: str) -> None:
    """What was presented is worth nothing afterwards."""
    async with run_site(upstream, tmp_path, config=config) as site:
        name, _, value = line.format(await site.token(RON.email)).partition(": ")
        headers = {name: value}
        ask = site.call if name == "Authorization" else site.public
        assert (await ask("GET", OWN, headers=headers)).status == 200
        assert (await ask("DELETE", "/v2/customers/tokens", headers=headers)).status == 204
        assert (await ask("GET", OWN, headers=headers)).status == 403
