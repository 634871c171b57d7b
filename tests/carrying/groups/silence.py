"""An upstream that falls silent. Each case takes as long as the gateway waits, so that there are few."""

from gateway.demo.data import RON
from tests.carrying.answer import BODIES, CHUNKED, JSON, OWN, PRODUCTS, framed, head
from tests.carrying.case import HASTY, Ask, Group, Said, case
from tests.carrying.upstream import BASKETS, NOTES

_GUARDED, _OPEN = Ask("GET", "/v2/orders", "ron"), Ask("GET", PRODUCTS, "public")
_DOCUMENT = b'{"data":{"text":"second"}}'
_TYPE = ("Content-Type: application/json", f"Content-Length: {len(_DOCUMENT)}")

GROUP = Group(
    "silence",
    (
        case("silence", _OPEN, Said((b"",))),
        case("within the head", _GUARDED, Said((framed(OWN)[:30],))),
        case("within a body", _GUARDED, Said((framed(OWN)[:-10],))),
        case("within a relayed body", _OPEN, Said((framed(BODIES["large"])[:-10],))),
        case("no chunk size", _GUARDED, Said((head(JSON, CHUNKED) + b"zz\r\n" + OWN,), "close")),
        case("no late chunk size", _GUARDED, Said((head(JSON, CHUNKED), b"zz\r\n" + OWN), "close")),
        case("behind the head", _OPEN, Said((framed(OWN)[: -len(OWN)],))),
        case("to a DELETE", Ask("DELETE", f"{NOTES[RON]}/note1", "ron"), Said((b"",))),
        case("to a POST", Ask("POST", NOTES[RON], "ron", _TYPE, _DOCUMENT), Said((b"",))),
        case(
            "to a PUT, within a body",
            Ask("PUT", f"{BASKETS}/basket3", "public", _TYPE, _DOCUMENT),
            Said((framed(OWN)[:-10],)),
        ),
    ),
    timeouts=HASTY,
)
