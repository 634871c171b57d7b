"""What the gateway itself asks first: the record above the one that is asked for, and who logs in."""

import json
from dataclasses import replace

from gateway.demo.data import DEMO_PASSWORDS, RON
from tests.carrying.answer import OWN_ORDER
from tests.carrying.case import Ask, Case, Group, Said, case
from tests.carrying.groups.writes import LOST, ODD

ITEMS = Ask("GET", f"{OWN_ORDER}/items", "ron")
_LOGIN = json.dumps(
    {"data": {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}}, separators=(",", ":")
).encode()
LOGIN = Ask(
    "POST",
    "/v2/customers/tokens",
    "public",
    ("Content-Type: application/json", f"Content-Length: {len(_LOGIN)}"),
    _LOGIN,
)
ASKING = {"a parent": (ITEMS, OWN_ORDER), "a login": (LOGIN, "/v2/customers")}
# Some answers end there with a connection that was told so.
SPELLED = (
    "a length",
    "chunks",
    "trailers",
    "bare line feeds",
    "spaces behind chunk sizes",
    "100 first",
    "gzip",
    "HTTP/1.0",
    "no length",
    "an answer and another",
    "204",
    "an empty body",
)


def looked_up(name: str, kind: str, *says: Said) -> Case:
    """Answer the look-up; behind it comes the truth."""
    ask, about = ASKING[kind]
    return case(f"{name}, {kind}", ask, *(replace(said, about=about) for said in says))


GROUP = Group(
    "lookups",
    tuple(
        made
        for kind in ASKING
        for made in (
            *(looked_up(name, kind, Said(*ODD[name], times=1)) for name in SPELLED),
            # Twice, because it is asked twice where nothing came.
            *(looked_up(name, kind, said if said.times else replace(said, times=2)) for name, said in LOST.items()),
        )
    ),
)
