"""Cross-origin rules of the Fetch standard, decided by the gateway alone: the callers are browsers.

No cookie ever carries authority here, so credentials mode is never granted.
"""

from dataclasses import dataclass, field

from gateway.vocab.messages import Headers
from gateway.wire.headers import first

# What SDKs and browsers send (docs/upstream.md section 5), besides what fetch calls safelisted.
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, X-Moltin-Customer-Token, X-Moltin-Currency, X-Moltin-Currencies, "
    "X-Moltin-Language, X-Moltin-Locale, X-Moltin-SDK-Language, X-Moltin-SDK-Version, "
    "X-Moltin-Application, EP-Channel, EP-Context-Tag, EP-Beta-Features, EP-Disable-Beta-Filtering, "
    "EP-Account-Management-Authentication-Token, EP-Inventories-Multi-Location, If-Match, If-None-Match, "
    "If-Modified-Since, If-Unmodified-Since, If-Range, Idempotency-Key, Range, Traceparent, Tracestate, X-Request-Id"
)
# What answers are about, besides what fetch lets pages read anyway: where a record is, its validator, the next page,
# how many there are, when to ask again.
_EXPOSED_HEADERS = (
    "X-Request-Id, Retry-After, ETag, Content-Range, Location, Content-Location, Link, X-Total-Count, "
    "Preference-Applied, Accept-Ranges, Allow"
)
# All that a route may have, whatever the path has: a page that may not ask cannot read the 405 either.
_ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"


def scoped_vary(token_header: str) -> str:
    """Return what an answer to a customer varies with."""
    names = dict.fromkeys(("authorization", token_header))
    return ", ".join("-".join(part.capitalize() for part in name.split("-")) for name in names)


@dataclass(frozen=True, slots=True)
class Cors:
    """Allowed origins, or `*` for any; without origins no reply carries a CORS header. `max_age` is in seconds.

    `extra_headers` may be sent besides those of the API's SDKs, and what `expose` names may be read besides what
    answers are about.
    """

    origins: frozenset[str] = frozenset()
    max_age: int = 600
    extra_headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    _exposed: tuple[str, str] = field(init=False, repr=False, compare=False)
    _any_origin: Headers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exposed = ("access-control-expose-headers", ", ".join((_EXPOSED_HEADERS, *self.expose)))
        object.__setattr__(self, "_exposed", exposed)
        object.__setattr__(self, "_any_origin", (("access-control-allow-origin", "*"), exposed))

    def headers(self, request: Headers) -> Headers:
        """Return the header lines for a reply to `request`."""
        if not self.origins:
            return ()
        if "*" in self.origins:
            return self._any_origin
        origin = first(request, "origin")
        if origin is None or origin not in self.origins:
            return (("vary", "Origin"),)
        return (
            ("access-control-allow-origin", origin),
            self._exposed,
            ("vary", "Origin"),
        )

    def preflight(self, request: Headers) -> Headers:
        """Return the header lines that answer a preflight."""
        lines = self.headers(request)
        if not any(name == "access-control-allow-origin" for name, _ in lines):
            return lines
        return (
            *(line for line in lines if line[0] != "access-control-expose-headers"),
            ("access-control-allow-methods", _ALLOWED_METHODS),
            ("access-control-allow-headers", ", ".join((_ALLOWED_HEADERS, *self.extra_headers))),
            ("access-control-max-age", str(self.max_age)),
        )


def is_preflight(request: Headers) -> bool:
    """Tell whether an OPTIONS request with these lines is a CORS preflight (Fetch standard, section 3.2.2)."""
    return first(request, "origin") is not None and first(request, "access-control-request-method") is not None
