"""What no trick needs: requests that carry more than the API gives to everybody. verify/lending.py sends them."""

from collections.abc import Iterator

from gateway.verify.model import Caller, Group, Shot
from gateway.verify.vectors.base import Setting, vector


@vector(
    "server-credential",
    Group.LENDING,
    "Honest requests, whose replies are held against what the API itself gives to everybody, not to the server alone.",
    frozenset({Caller.PUBLIC, Caller.CUSTOMER}),
)
def server_credential(_: Setting) -> Iterator[Shot]:
    """Nothing is sent by the plan: what to ask for is known only when the API has been asked."""
    return iter(())


VECTORS = (server_credential,)
