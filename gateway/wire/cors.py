"""Cross-origin rules of the Fetch standard, decided by the gateway alone: the callers are browsers.

No cookie ever carries authority here, so credentials mode is never granted.
"""

from dataclasses import dataclass

from gateway.vocab.messages import Headers
from gateway.wire.headers import CUSTOMER_TOKEN, first

# What SDKs and browsers send (docs/upstream.md section 5), besides what fetch calls safelisted.
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, X-Moltin-Customer-Token, X-Moltin-Currency, X-Moltin-Currencies, "
    "X-Moltin-Language, X-Moltin-Locale, X-Moltin-SDK-Language, X-Moltin-SDK-Version, "
    "X-Moltin-Application, EP-Channel, EP-Context-Tag, EP-Beta-Features, EP-Disable-Beta-Filtering, "
    "EP-Account-Management-Authentication-Token, EP-Inventories-Multi-Location, If-None-Match, "
    "If-Modified-Since, Range, Traceparent, Tracestate, X-Request-Id"
)
# All that a route may have, whatever the path has: a page that may not ask cannot read the 405 either.
_ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_EXPOSED_HEADERS = "X-Request-Id, Retry-After, ETag, Content-Range"
_ANY_ORIGIN: Headers = (("access-control-allow-origin", "*"), ("access-control-expose-headers", _EXPOSED_HEADERS))

SCOPED_VARY = "Authorization, " + "-".join(part.capitalize() for part in CUSTOMER_TOKEN.split("-"))


@dataclass(frozen=True, slots=True)
class Cors:
    """Allowed origins, or `*` for any; without origins no reply carries a CORS header. `max_age` is in seconds.

    `extra_headers` may be sent besides those of the API's SDKs.
    """

    origins: frozenset[str] = frozenset()
    max_age: int = 600
    extra_headers: tuple[str, ...] = ()

    def headers(self, request: Headers) -> Headers:
        """Return the header lines for a reply to `request`."""
        if not self.origins:
            return ()
        if "*" in self.origins:
            return _ANY_ORIGIN
        origin = first(request, "origin")
        if origin is None or origin not in self.origins:
            return (("vary", "Origin"),)
        return (
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", _EXPOSED_HEADERS),
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
