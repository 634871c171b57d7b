"""What all connections share: what each reply and each line of the log carries, and what is held back for a while."""

import random
import re
from pathlib import Path

import pytest
from multidict import CIMultiDict

from gateway.demo.data import RON, RON_ID
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.stage import done

# --- What is not there ------------------------------------------------------------------------------------------------


async def test_what_is_not_there_is_said_after_a_random_while(bare: Site) -> None:
    """Only "there is no such record" is held back, by no more than was said, and never by the same twice."""
    edge = bare.gateway.edge
    for code in set(Code) - {Code.RECORD_NOT_FOUND}:
        assert edge.hesitation(Refusal(code)) == 0.0
    pauses = [edge.hesitation(Refusal(Code.RECORD_NOT_FOUND)) for _ in range(1000)]
    assert 0.0 <= min(pauses) < 0.1 * edge.timeouts.not_found
    assert 0.9 * edge.timeouts.not_found < max(pauses) <= edge.timeouts.not_found
    assert len(set(pauses)) == 1000
    # Nor by one that can be foreseen: request ids show all that Python's own generator will say next.
    foreseen = []
    for _ in range(2):
        random.seed(20)
        foreseen.append(edge.hesitation(Refusal(Code.RECORD_NOT_FOUND)))
    assert foreseen[0] != foreseen[1]


# --- What every reply and every line carries ------------------------------------------------------------------------

FIELDS = {
    "ts", "event", "id", "method", "route", "caller", "customer", "status", "code", "ms", "upstream_ms",
    "upstream_calls", "bytes", "peer", "aborted",
}  # fmt: skip


async def test_one_line_for_each_request(site: Site) -> None:
    """The access log names route, caller, status, times and a hash of the customer, under the id the client got."""
    await site.token(RON.email)
    before = len(await done(site, 2))
    mine = [await site.customer(RON.email, "GET", "/v2/orders") for _ in range(2)]
    other = await site.public("GET", "/v2/orders")
    lines = (await done(site, before + 3))[before:]
    assert len(lines) == 3
    assert [line["id"] for line in lines] == [answer.headers["x-request-id"] for answer in (*mine, other)]
    assert all(set(line) == FIELDS for line in lines)
    assert [line["status"] for line in lines] == [200, 200, 403]
    assert [line["caller"] for line in lines] == ["customer", "customer", "public"]
    assert [line["route"] for line in lines] == ["orders-list"] * 3
    assert lines[0]["customer"] == lines[1]["customer"]
    assert lines[0]["customer"] not in {None, RON_ID}
    assert lines[2]["code"] == "ACCESS_DENIED"
    assert (lines[0]["bytes"], lines[0]["upstream_calls"]) == (len(mine[0].body), 1)
    assert lines[0]["ms"] >= lines[0]["upstream_ms"] > 0
    assert RON_ID not in site.log.getvalue()


UNSAFE_IDS = [
    "",
    "a b",
    "x" * 65,
    'a"b',
    "a\\n",
    "<script>",
    "a;b",
    "a,b",
    "$(id)",
    "a'b",
    "Zo\u00eb",
    "a/b",
    "\t",
    "{a}",
]


@pytest.mark.parametrize("sent", ["page-1", "0", "a.b_c~d+e", "x" * 64, "550e8400-e29b-41d4-a716-446655440000"])
async def test_a_clients_request_id_is_kept(bare: Site, sent: str) -> None:
    """A page, its ingress, the gateway and the API call one request by one name; nothing is decided by it."""
    answer = await bare.public("GET", "/v2/products", {"X-Request-Id": sent})
    (request,) = bare.commerce.requests
    (line,) = await done(bare, 1, "products")
    assert request.values("x-request-id") == [answer.headers["x-request-id"]] == [sent]
    assert line["id"] == sent
    assert "client_id" not in line


@pytest.mark.parametrize("sent", UNSAFE_IDS)
async def test_an_unsafe_request_id_is_replaced(bare: Site, sent: str) -> None:
    """What could be more than a name in a line, a shell or a page stands nowhere."""
    answer = await bare.public("GET", "/v2/products", {"X-Request-Id": sent})
    (request,) = bare.commerce.requests
    assert request.values("x-request-id") == [answer.headers["x-request-id"]]
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert not sent.strip() or sent not in bare.log.getvalue()


async def test_two_request_ids_are_none(bare: Site) -> None:
    """Nobody could say which of them the API would take."""
    lines = CIMultiDict([("X-Request-Id", "a"), ("X-Request-Id", "b")])
    answer = await bare.call("GET", "/v2/products", headers=lines)
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_replaced_request_ids_are_logged_beside_ours(upstream: Commerce, tmp_path: Path) -> None:
    """`server.request_id: replace`: ours alone goes on and back, and the log says which of the client's it was."""
    config = "extends: moltin.yaml\nserver: {request_id: replace}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        answer = await site.public("GET", "/v2/products", {"X-Request-Id": "page-1"})
        (request,) = site.commerce.requests
        (line,) = await done(site, 1, "products")
    assert request.values("x-request-id") == [answer.headers["x-request-id"]] == [line["id"]]
    assert re.fullmatch(r"[0-9a-f]{16}", line["id"])
    assert line["client_id"] == "page-1"


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True, id="well-formed"),
        pytest.param("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False, id="upper case"),
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", False, id="too short"),
        pytest.param("hello", False, id="nonsense"),
    ],
)
async def test_traceparent(bare: Site, sent: str, *, passes: bool) -> None:
    """A well-formed traceparent is passed on, anything else dropped."""
    await bare.public("GET", "/v2/products", {"traceparent": sent})
    assert bare.commerce.requests[0].values("traceparent") == ([sent] if passes else [])
