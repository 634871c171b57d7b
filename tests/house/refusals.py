"""docs/refusals.md and docs/refusals.svg, written from the catalogue: `python -m tests.house.refusals` renews them."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from gateway.vocab.refusals import Code

DOCS = Path(__file__).parent.parent.parent / "docs"

_HEAD = """<!-- Written from gateway/vocab/refusals.py; renew it with `python -m tests.house.refusals`. -->
# Refusals

Every "no" of the gateway is `{"errors": [{"status", "title", "detail", "code"}]}` with one of these codes; some name
the field at fault in `source`. The text of a code never changes with the request, and no code is used again
for something else. `UPSTREAM_REFUSED` stands beside messages that the commerce API gave for a request of the client.

![Where a request can be refused](refusals.svg)

| status | code | detail |
|---|---|---|
"""


class Stage(NamedTuple):
    """A place on the way of a request where it can be refused. `asks_upstream`: something has gone there by then."""

    name: str
    what: str
    codes: tuple[Code, ...]
    asks_upstream: bool = False


STAGES = (
    Stage(
        "edge",
        "is it HTTP/1.x, whole, in time?",
        (Code.REQUEST_MALFORMED, Code.HEADERS_TOO_LARGE, Code.WEBSOCKET_UNSUPPORTED),
    ),
    Stage("1 normalise", "one spelling of path and query", (Code.TARGET_INVALID, Code.TARGET_AMBIGUOUS)),
    Stage("2 match", "exactly one route", (Code.ROUTE_UNKNOWN, Code.METHOD_NOT_ALLOWED)),
    Stage(
        "3 authenticate",
        "who asks, and may they?",
        (
            Code.BEARER_MISSING,
            Code.BEARER_INVALID,
            Code.CUSTOMER_TOKEN_INVALID,
            Code.REVOCATION_STALE,
            Code.ACCESS_DENIED,
            Code.ROUTE_CLOSED,
        ),
    ),
    Stage(
        "body",
        "read only now, if a rule needs it",
        (Code.BODY_UNEXPECTED, Code.BODY_TYPE, Code.BODY_TOO_LARGE, Code.BODY_TIMEOUT, Code.BODY_MALFORMED),
    ),
    Stage(
        "4 scope",
        "narrowed to the customer's records",
        (
            Code.QUERY_NOT_ALLOWED,
            Code.QUERY_REPEATED,
            Code.FILTER_INVALID,
            Code.FILTER_FIELD_RESERVED,
            Code.BODY_FIELD_FORBIDDEN,
            Code.BODY_FIELD_UNKNOWN,
            Code.BODY_FIELD_INVALID,
            Code.IDEMPOTENCY_KEY_MISSING,
            Code.CONDITION_FORBIDDEN,
            Code.RECORD_NOT_FOUND,
        ),
    ),
    Stage("5 credential", "the server's own bearer", (Code.CREDENTIAL_UNAVAILABLE,)),
    Stage(
        "look-up",
        "is the record, or its parent, the caller's?",
        (
            Code.RECORD_NOT_FOUND,
            Code.OVERLOADED,
            Code.UPSTREAM_UNREACHABLE,
            Code.UPSTREAM_TIMEOUT,
            Code.UPSTREAM_INVALID,
            Code.UPSTREAM_FAILED,
            Code.THROTTLED,
            Code.UPSTREAM_UNAVAILABLE,
        ),
        asks_upstream=True,
    ),
    Stage(
        "6 forward",
        "the plan, and nothing of the client's",
        (Code.OVERLOADED, Code.UPSTREAM_UNREACHABLE, Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_INVALID),
        asks_upstream=True,
    ),
    Stage(
        "7 guard",
        "every record is the customer's",
        (
            Code.GUARD_VIOLATION,
            Code.RECORD_NOT_FOUND,
            Code.UPSTREAM_INVALID,
            Code.UPSTREAM_FAILED,
            Code.WRITE_UNCONFIRMED,
            Code.THROTTLED,
            Code.UPSTREAM_UNAVAILABLE,
            Code.CONDITION_FAILED,
        ),
        asks_upstream=True,
    ),
)
BESIDE = (
    Stage("bearers", "POST /oauth/access_token", (Code.FORM_INVALID, Code.CLIENT_UNKNOWN)),
    Stage(
        "logins",
        "POST /v2/customers/tokens",
        (Code.LOGIN_FAILED, Code.THROTTLED, Code.OVERLOADED, Code.STORE_UNAVAILABLE),
        asks_upstream=True,
    ),
    Stage(
        "registrations",
        "POST /v2/customers",
        (Code.EMAIL_TAKEN, Code.REGISTRATION_PENDING, Code.THROTTLED, Code.OVERLOADED, Code.STORE_UNAVAILABLE),
        asks_upstream=True,
    ),
    Stage(
        "new passwords",
        "by the old one, or by a reset's token",
        (Code.PASSWORD_REQUIRED, Code.RESET_INVALID, Code.THROTTLED, Code.OVERLOADED, Code.STORE_UNAVAILABLE),
        asks_upstream=True,
    ),
    Stage("anywhere", "at any moment", (Code.DRAINING, Code.INTERNAL, Code.FORWARDING_LOOP)),
)

# Pixels.
_WIDTH = 980
_LINE = 18
_TOP = 64
_BOX_LEFT, _BOX_WIDTH = 20, 300
_CODES_LEFT = 370
_PER_LINE = 3
_COLUMN = 200


def page() -> str:
    """Return docs/refusals.md."""
    codes = sorted(Code, key=lambda code: (code.status, code.name))
    return _HEAD + "".join(f"| {code.status} | `{code.name}` | {code.value.text} |\n" for code in codes)


def picture() -> str:
    """Return docs/refusals.svg: the stages from top to bottom, and beside each what it can say."""
    parts: list[str] = []
    top = _TOP
    for stage in STAGES:
        parts.extend(_row(stage, top))
        bottom = top + _height(stage)
        middle = _BOX_LEFT + _BOX_WIDTH // 2
        parts.append(f'<path d="M{middle} {bottom}v14" class="way" marker-end="url(#arrow)"/>')
        top = bottom + 18
    parts.append(f'<rect x="{_BOX_LEFT}" y="{top}" width="{_BOX_WIDTH}" height="28" rx="6" class="end"/>')
    parts.append(f'<text x="{_BOX_LEFT + 12}" y="{top + 19}" class="name">8 reply</text>')
    parts.append(
        f'<text x="{_CODES_LEFT}" y="{top + 19}" class="what">JSON always; scoped answers are private, no-store</text>'
    )
    top += 76
    parts.append(f'<text x="{_BOX_LEFT}" y="{top - 12}" class="title">Paths that the gateway answers itself</text>')
    for stage in BESIDE:
        parts.extend(_row(stage, top))
        top += _height(stage) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 10}" width="{_WIDTH}" role="img">\n'
        "<!-- Written from gateway/vocab/refusals.py; renew it with `python -m tests.house.refusals`. -->\n"
        "<title>Where a request can be refused</title>\n"
        "<style>text{font:13px system-ui,sans-serif;fill:#1d2733}.title{font-size:16px;font-weight:600}"
        ".name{font-weight:600}.what{fill:#51606f}.code{font:12px ui-monospace,monospace}.status{fill:#a33b1f}"
        ".pure{fill:#eaf3ec;stroke:#7fa98a}.asks{fill:#fdf1e3;stroke:#cf9a55}.end{fill:#e8eef8;stroke:#7f9cc9}"
        ".way{stroke:#51606f;fill:none}</style>\n"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0l8 4-8 4z" fill="#51606f"/></marker></defs>\n'
        f'<rect width="{_WIDTH}" height="{top + 10}" fill="#ffffff"/>\n'
        f'<text x="{_BOX_LEFT}" y="28" class="title">Where a request can be refused</text>\n'
        f'<text x="{_BOX_LEFT}" y="48" class="what">green: nothing has gone upstream yet; orange: the upstream has '
        "been asked, and nothing of its answer has left</text>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _height(stage: Stage) -> int:
    return max(2, -(-len(stage.codes) // _PER_LINE)) * _LINE + 10


def _row(stage: Stage, top: int) -> Iterator[str]:
    kind = "asks" if stage.asks_upstream else "pure"
    yield (
        f'<rect x="{_BOX_LEFT}" y="{top}" width="{_BOX_WIDTH}" height="{_height(stage)}" rx="6" class="{kind}"/>'
        f'<text x="{_BOX_LEFT + 12}" y="{top + 19}" class="name">{escape(stage.name)}</text>'
        f'<text x="{_BOX_LEFT + 12}" y="{top + 37}" class="what">{escape(stage.what)}</text>'
    )
    for index, code in enumerate(stage.codes):
        left = _CODES_LEFT + index % _PER_LINE * _COLUMN
        line = top + 19 + index // _PER_LINE * _LINE
        yield (
            f'<text x="{left}" y="{line}" class="code"><tspan class="status">{code.status}</tspan> {code.name}</text>'
        )


if __name__ == "__main__":
    (DOCS / "refusals.md").write_text(page(), encoding="utf-8")
    (DOCS / "refusals.svg").write_text(picture(), encoding="utf-8")
