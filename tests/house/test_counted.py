"""Whose shares and counts a request takes from: its client's address, unless a trusted client sent it."""

import pytest

from gateway.demo.data import RON
from gateway.vocab.messages import Headers, Request, Trace
from gateway.vocab.refusals import Refusal
from gateway.wire.headers import CUSTOMER_TOKEN
from gateway.wiring import now
from tests.gateways import Site


class Nothing:
    """A request without a body."""

    expected = False
    length = 0
    consumed = False

    def taken(self, limit: int) -> bytes | Refusal | None:
        """Give nothing."""
        del limit
        return b""

    async def read(self, limit: int) -> bytes | Refusal:
        """Give nothing."""
        del limit
        return b""

    async def piece(self, within: float = 1.0) -> bytes | Refusal:
        """Give nothing."""
        del within
        return b""


def counted(site: Site, headers: Headers, peer: str, target: str) -> str:
    """Decide a request; return whose shares it takes from."""
    trace = Trace()
    edge = site.gateway.edge
    edge.serving.flow.decide(edge.serving.snapshot, Request("r", "GET", target, headers, peer, now()), Nothing(), trace)
    return trace.counts_for


@pytest.mark.parametrize("logged_in", [True, False])
async def test_whose_shares_a_request_takes(site: Site, *, logged_in: bool) -> None:
    """Its client's address, wherever it is logged in; none behind a proxy, and none of a trusted client's."""
    token = ((CUSTOMER_TOKEN, await site.token(RON.email)),) if logged_in else ()
    public = (("authorization", f"Bearer {await site.bearer()}"), *token)
    trusted = (("authorization", f"Bearer {await site.bearer('trusted')}"), *token)
    for target in ("/v2/brands", "/v2/products"):
        assert counted(site, public, "198.51.100.7", target) == "198.51.100.7"
        assert counted(site, public, "2001:db8::7", target) == "2001:db8::/64"
        assert counted(site, public, "10.0.0.7", target) == ""
        assert counted(site, trusted, "198.51.100.7", target) == ""
