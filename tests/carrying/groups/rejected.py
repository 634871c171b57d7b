"""A 401 from the upstream: it speaks of the gateway's own bearer. Each case has a gateway whose bearer is new."""

from dataclasses import replace

from tests.carrying.answer import BODIES, CHUNKED, JSON, OWN_ORDER, PRODUCTS, chunks, framed, head
from tests.carrying.case import Ask, Case, Group, Said, Spelling, Talk, case
from tests.carrying.groups.writes import ASKS, bare, length

GRANT = "/oauth/access_token"
REJECTED = framed(BODIES["error"], status=401)
EMPTY = head("content-length: 0", status=401)
ITEMS = Ask("GET", f"{OWN_ORDER}/items", "ron")
GUARDED, OPEN = Ask("GET", "/v2/orders", "ron"), Ask("GET", PRODUCTS, "public")


def rejected(name: str, ask: Ask, times: int | None) -> Case:
    """Answer one kind of question with 401, so often."""
    said = EMPTY if ask.method == "HEAD" else REJECTED
    return case(f"{name}, {'for ever' if times is None else 'once'}", ask, Said((said,), times=times, about=ask.target))


def upload(size: int, *lines: str) -> Ask:
    """Send a body that is not read whole before it is sent on."""
    body = b"x" * size
    framing = lines or (f"Content-Length: {size}",)
    return Ask("POST", "/v2/carts/lanes", "public", framing, chunks(body, 7000) if lines else body)


def renewed(name: str, spelling: Spelling, end: str = "open") -> Case:
    """Answer 401, and the request for another bearer in some way."""
    says = (Said((REJECTED,), times=1, about="/v2/orders"), Said(spelling, end, times=1, about=GRANT))
    return Case(f"a new bearer, {name}", (Talk((GUARDED,)),), says)


GROUP = Group(
    "rejected",
    (
        *(rejected(name, ask, times) for name, ask in ASKS.items() for times in (1, None)),
        *(
            rejected(name, ask, times)
            for name, ask in (("a list", GUARDED), ("the catalogue", OPEN))
            for times in (1, None)
        ),
        rejected("an upload", upload(100_000), 1),
        rejected("an upload in chunks", upload(100, "Transfer-Encoding: chunked"), 1),
        rejected("an empty upload", replace(upload(0), lines=("Content-Length: 0",)), 1),
        case("a parent, once", ITEMS, Said((REJECTED,), times=1, about=OWN_ORDER)),
        case("a parent, for ever", ITEMS, Said((REJECTED,), about=OWN_ORDER)),
        case("in chunks", GUARDED, Said((head(JSON, CHUNKED, status=401) + chunks(b"{}"),), times=1)),
        case("with bare line feeds", GUARDED, Said((REJECTED.replace(b"\r\n", b"\n"),), times=1)),
        case("cut short", GUARDED, Said((REJECTED[:-9],), "close", times=1)),
        renewed("bare line feeds", bare(length())),
        renewed("HTTP/1.0", length(version="HTTP/1.0"), "close"),
        renewed("refused", lambda _: (framed(BODIES["error"], status=500),)),
        renewed("closed before the answer", lambda _: (), "close"),
        renewed("cut short", lambda truth: (length()(truth)[0][:-9],), "close"),
    ),
    is_fresh=True,
    tells_grants=True,
)
