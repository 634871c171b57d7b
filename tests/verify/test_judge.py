"""The judge finds whatever of B a reply holds in any spelling, and nothing that the request said itself."""

import base64
import json

import pytest

from gateway.verify.judge import Judge, secrets_of, spoken
from gateway.verify.model import Kind, Reply, Secret

CANARY = "canary-b-0123456789abcdef01234567"
B = "6f1c9c1e-0000-4000-8000-00000000000b"
ORDER = "0d3b0d3b-0000-4000-8000-0000000000b1"
SECRETS = (
    Secret(CANARY, "B's canary", Kind.CANARY),
    Secret(B, "B's customer id", Kind.ID),
    Secret("1 main street", "a text", Kind.TEXT),
)
JUDGE = Judge(SECRETS, {B, ORDER}, [("relationships", "customer", "data", "id"), ("owner",)])


def reply(body: object, status: int = 200, head: str = "HTTP/1.1 200 OK") -> Reply:
    """Make a reply."""
    return Reply(status, head, body.encode() if isinstance(body, str) else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        CANARY,
        CANARY.upper(),
        f"<p>{CANARY}</p>",
        CANARY.replace("-", "%2D"),
        CANARY.replace("-", "%252D"),
        CANARY.replace("c", "\\u0063"),
        "".join(f"&#{ord(char)};" for char in CANARY),
        "1 Main Street",
        "1+Main%20Street",
    ],
)
@pytest.mark.parametrize("status", [200, 404, 502])
def test_every_spelling_is_a_leak(body: str, status: int) -> None:
    """Whatever the status, and however it is written."""
    assert JUDGE.judge("GET /v2/orders", reply(body, status))


def test_headers_are_judged() -> None:
    """A header line holds as much as a body does."""
    assert JUDGE.judge("GET /", Reply(204, f"HTTP/1.1 204 No Content\nlocation: /v2/orders/{B}")) == ["B's customer id"]


@pytest.mark.parametrize(
    "sent",
    [
        f"GET /v2/customers/{B}",
        f"GET /v2/customers/{B.upper()}",
        "GET /v2/customers/" + B.replace("-", "%2D"),
        f'POST /\n{{"id":"{B}"}}',
        spoken(
            "x-moltin-customer-token: e30." + base64.urlsafe_b64encode(f'{{"sub":"{B}"}}'.encode()).decode() + ".AA"
        ),
    ],
)
def test_what_was_sent_is_no_leak(sent: str) -> None:
    """An id that an error repeats proves nothing; the canary beside it does."""
    assert JUDGE.judge(sent, reply({"errors": [{"detail": f"no customer {B}"}]}, 404)) == []
    assert JUDGE.judge(sent, reply({"errors": [{"detail": f"{B} {CANARY}"}]}, 404)) == ["B's canary"]


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"id": B}},
        {"data": [{"id": "x"}, {"id": ORDER}]},
        [{"id": ORDER}],
        {"id": ORDER},
        {"data": [], "included": {"items": [{"id": ORDER}]}},
        {"data": [], "included": [{"id": ORDER}]},
        {"data": {"id": "x", "relationships": {"customer": {"data": {"id": B}}}}},
        {"data": {"id": "x", "owner": B}},
        {"data": {"customer_id": B, "token": "t"}},
    ],
)
def test_records_of_b_are_leaks_in_any_case(document: object) -> None:
    """A successful answer with B's record is a leak also where A named the record; a failed one is not."""
    sent = f"GET /v2/orders/{ORDER}?customer={B}"
    assert JUDGE.judge(sent, reply(document))
    assert JUDGE.judge(sent, reply(document, 404)) == []


def test_a_key_of_that_name_is_no_record() -> None:
    """Who makes up a key makes a thing of that name: a cart called like B is no record of B's, unless B is in it."""
    path = f"/v2/carts/{B}"
    assert JUDGE.judge(f"GET {path}", reply({"data": {"id": B}}), key=path) == []
    owned = {"data": {"id": B, "owner": ORDER}}
    assert JUDGE.judge(f"GET {path} {ORDER}", reply(owned), key=path) == ["a record that names B as its owner"]


def test_what_a_stored_itself() -> None:
    """An id that A wrote into its own record with an earlier request may come back; a canary may not."""
    body = {"data": {"note": f"{B} {CANARY}"}}
    assert JUDGE.judge("GET /", reply(body), said=frozenset({B})) == ["B's canary"]


def test_what_is_looked_for() -> None:
    """Texts of B that nobody else shows; states, short texts and what A sees as well are left out."""
    soft = [("Pawnee, Indiana", "x"), ("processing", "x"), ("short", "x"), ("Waffle iron", "x"), ("XK-1234567", "x")]
    found = secrets_of([(CANARY, "B's canary", Kind.CANARY)], soft, ["a Waffle iron, oak"])
    assert {secret.text for secret in found} == {CANARY, "pawnee, indiana", "xk-1234567"}


def test_the_judge_is_judged() -> None:
    """It sees a fabricated leak of every secret in every spelling; texts too short to be told are not looked for."""
    assert JUDGE.sees_itself()
    short = Judge([Secret("b1", "B's customer id", Kind.ID)], {"b1"}, [])
    assert short.secrets == ()
    assert short.judge("GET /", reply({"data": {"id": "b1"}})) == ["a record with an id of B's"]
