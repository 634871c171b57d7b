"""Settings for tests of single vectors: two customers, one route of the production file."""

import itertools
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gateway.config.load import load
from gateway.verify import facts
from gateway.verify.model import Person
from gateway.verify.vectors import Setting
from tests.gateways import MOLTIN, environment

A_ID, B_ID = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
ORDER_A, ORDER_B = "11111111-0000-4000-8000-00000000000a", "22222222-0000-4000-8000-00000000000b"
# The header and payload are {"alg":"EdDSA","typ":"customer+jwt","kid":"k"} and {"sub":A_ID,"exp":1}; signature made up.
TOKEN = (
    "eyJhbGciOiJFZERTQSIsInR5cCI6ImN1c3RvbWVyK2p3dCIsImtpZCI6ImsifQ."
    "eyJzdWIiOiJhYWFhYWFhYS0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJleHAiOjF9.c2lnbmF0dXJl"
)


@cache
def routes() -> Mapping[str, facts.RouteFacts]:
    """Return the facts of the production file's routes by name."""
    with tempfile.TemporaryDirectory() as folder:
        config = load(MOLTIN, environment(Path(folder), "http://127.0.0.1:9"))
    return {route.name: route for route in facts.read(config, ["/v2/carts/{ref}"])}


def setting(route: facts.RouteFacts, method: str = "GET", **changes: Any) -> Setting:
    """Return a setting in which A and B have one order each."""
    own = "/" + "/".join(_value(part.text, A_ID, ORDER_A) if part.is_parameter else part.text for part in route.parts)
    foreign = "/" + "/".join(
        _value(part.text, B_ID, ORDER_B) if part.is_parameter else part.text for part in route.parts
    )
    attacker = Person("A", "a@example.com", "password-a", "canary-a-1", A_ID, TOKEN, records={"/v2/orders": [ORDER_A]})
    victim = Person("B", "b@example.com", "password-b", "canary-b-1", B_ID, "", records={"/v2/orders": [ORDER_B]})
    counter = itertools.count()
    given: dict[str, Any] = {
        "route": route,
        "method": method,
        "start": own,
        "own": own,
        "foreign": () if own == foreign else (foreign,),
        "unknown": () if own == foreign else (own.replace(A_ID, "nobody").replace(ORDER_A, "nobody"),),
        "goals": (f"/v2/customers/{B_ID}",),
        "attacker": attacker,
        "victim": victim,
        "origin": "http://gateway.example",
        "documents": lambda: {"data": {"type": "x", "name": f"mark-{next(counter)}"}} if method != "GET" else None,
        "marks": lambda: f"mark-{next(counter)}",
        "public_key": '{"kty":"OKP","crv":"Ed25519","x":"AAAA"}',
    }
    return Setting(**(given | changes))


def _value(parameter: str, customer: str, order: str) -> str:
    return customer if parameter == "id" else order
