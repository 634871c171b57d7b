"""Any bytes as a request target, through real sockets: nothing goes upstream, or exactly the path that was matched."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.demo.data import LESLIE_ID, RON_ID
from tests.attacks.field import (
    ON_ONE_LOOP,
    Field,
    assert_clean,
    assert_matched_or_refused,
    assert_nothing_sent,
    assert_refused,
    fielded,
    target_of,
)

pytestmark = ON_ONE_LOOP


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """Give one gateway for all examples."""
    async with fielded(tmp_path_factory.mktemp("field")) as running:
        yield running


PIECES = st.sampled_from([
    b"/", b"//", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5c", b"\\", b";", b"%3b", b"%23", b"?", b"%3f", b"%00", b"%25",
    b"%252e", b"%c0%ae", b"%ef%bc%8e", b"%20", b"+", b"&", b"=", b"*", b"@", b":", b"/v2", b"/orders", b"/customers",
    b"/catalog", b"/products", f"/{RON_ID}".encode(), f"/{LESLIE_ID}".encode(), b"/addresses", b"/items", b"filter=",
    b"eq(status,paid)", b"page[limit]=1", b"sort=name", b"%6frders", b"/v2/orders", b"/v2/customers", b"/v2/products",
    b"\xc3\xbc", b"\xff", b"#", b"|", b"~", b"'", b"%7e", b"%c3%bc",
])  # fmt: skip
# A line feed ends the request line and a space its words: what is behind them is no target (tests/attacks has those).
ANY = st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte not in b"\r\n "))
ROUTED = st.sampled_from([b"/v2/orders", b"/v2/products", b"/catalog", f"/v2/customers/{LESLIE_ID}".encode()])
TARGETS = st.one_of(
    st.lists(PIECES, max_size=8).map(b"".join),
    st.tuples(ROUTED, st.lists(PIECES, max_size=4).map(b"".join)).map(b"".join),
    st.tuples(ROUTED, ANY).map(b"".join),
    ANY,
)


@given(target=TARGETS)
@settings(max_examples=300, derandomize=True, deadline=None)
@example(target=b"/v2/orders")
@example(target=b"/catalog/%7eproducts")
@example(target=b"/catalog/products/../../v2/customers")
@example(target=b"/v2/%6frders")
async def test_nothing_or_exactly_what_was_matched(field: Field, target: bytes) -> None:
    """Whatever bytes stand for a target, the house rule holds for a customer."""
    outcome = await field.attack(field.request("GET", target))
    if outcome.replies or outcome.requests:
        assert_matched_or_refused(field, outcome, "GET", target_of(target))
    else:
        assert_nothing_sent(outcome)


@given(target=TARGETS)
@settings(max_examples=100, derandomize=True, deadline=None)
async def test_nobody_gets_nothing(field: Field, target: bytes) -> None:
    """Without a bearer no bytes open anything."""
    outcome = await field.attack(field.request("GET", target, proof=[]), me=None)
    assert_clean(outcome)
    assert_refused(outcome)
