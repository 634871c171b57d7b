"""Requests of several callers that come on one connection at once: each is answered in its turn, as its caller's."""

from gateway.demo.data import LESLIE, RON
from tests.carrying.answer import CHUNKED, JSON, PRODUCTS, chunks, framed, head
from tests.carrying.case import Ask, Group, case
from tests.carrying.groups.customers import Kind, path, planted
from tests.carrying.groups.writes import DOCUMENT, GUARDED, TYPE
from tests.carrying.upstream import BASKETS

_RON, _LESLIE = path(RON, is_open=False), path(LESLIE, is_open=False)
ON_RON, ON_LESLIE = Ask("GET", _RON, "ron"), Ask("GET", _LESLIE, "leslie")
ADDED = Ask("POST", BASKETS, "public", TYPE, DOCUMENT)
MIXED: dict[str, tuple[Ask, ...]] = {
    "four callers": (ON_RON, Ask("GET", PRODUCTS, "public"), ON_LESLIE, Ask("GET", "/v2/orders", "trusted")),
    "in turns": (ON_RON, ON_LESLIE) * 3,
    "a stranger's between": (ON_RON, Ask("GET", _LESLIE, "ron"), ON_LESLIE),
    "a body between": (ON_RON, ADDED, ON_LESLIE),
    "bodies first": (ADDED, ADDED, ON_LESLIE, ON_RON),
    "a delete between": (ON_RON, GUARDED["DELETE"], ON_LESLIE, GUARDED["GET"], GUARDED["DELETE"]),
    "no route between": (ON_RON, Ask("GET", "/nowhere"), ON_LESLIE),
    "nobody between": (ON_RON, Ask("GET", _LESLIE), ON_LESLIE),
    "the last one closes": (ON_RON, ON_LESLIE, Ask("GET", _RON, "ron", ("Connection: close",))),
    "the first one closes": (Ask("GET", _RON, "ron", ("Connection: close",)), ON_LESLIE),
    "an upgrade between": (ON_RON, Ask("GET", _RON, "ron", ("Connection: Upgrade", "Upgrade: h2c")), ON_LESLIE),
    "HTTP/1.0 between": (ON_RON, Ask("GET", _RON, "ron", version="1.0"), ON_LESLIE),
}
# In the middle of a head, and of several.
CUTS: dict[str, tuple[int, ...]] = {"": (), ", cut": (100,), ", cut in many": (40, 900, 1000, 1700, 2600)}
WRITTEN: dict[str, Kind] = {
    "chunks": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20)),
    "trailers": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20, b"0\r\nx-a: b\r\n\r\n")),
    "another behind": Kind(lambda body: framed(body) + planted(body)),
    "connections that close": Kind(lambda body: framed(body, "connection: close"), end="close"),
    "bare line feeds": Kind(lambda body: framed(body).replace(b"\r\n", b"\n")),
    "100 first": Kind(lambda _: head(status=100), later=framed),
    "large": Kind(lambda body: framed(body + b" " * 300_000)),
    "one byte short": Kind(lambda body: framed(body)[:-1], end="close"),
    "closed before the answer": Kind(lambda _: b"", end="close"),
}
# Nobody has wishes at the shop, so that each of these answers is given here.
PLAIN = tuple(Kind(framed).said(person, is_open=False) for person in (RON, LESLIE))

GROUP = Group(
    "pipelines",
    (
        *(
            case(f"{mixed}{cut}", asks, *PLAIN, cuts=cuts)
            for mixed, asks in MIXED.items()
            for cut, cuts in CUTS.items()
        ),
        *(
            case(
                f"in turns, {name}", MIXED["in turns"], *(kind.said(person, is_open=False) for person in (RON, LESLIE))
            )
            for name, kind in WRITTEN.items()
        ),
    ),
)
