"""Web origins as an operator writes them, spelled as browsers send them (RFC 6454 sections 4 and 6.2).

The scheme may be any: apps in a shell (Capacitor, Ionic) and extensions of browsers have their own.
"""

import re
from ipaddress import IPv6Address
from typing import Annotated, Final

import yarl
from pydantic import AfterValidator, Field

_PATTERN: Final = r"^(\*|[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s*]+)$"
_FORM: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_PLACE: Final = re.compile(r"(?:.*@)?(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(?::([0-9]*))?")
_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535
_WRITE: Final = "not an origin; write scheme://host or scheme://host:port, such as https://shop.example, or * for any"


def read_origin(text: str) -> str:
    """Return an origin as browsers send it, or `*`.

    Raises ValueError with a sentence that says what to write, for what no browser ever sends.
    """
    if text == "*":
        return text
    if text == "null":
        raise ValueError("null is what every page without an origin sends, whoever made it: " + _WRITE)
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(_WRITE)
    scheme, place, rest = found[1].lower(), found[2], found[3]
    if "*" in place:
        raise ValueError(f"a * stands alone, list each origin: {_WRITE}")
    parts = _PLACE.fullmatch(place)
    host = None if parts is None else _host(parts[1])
    port = None if parts is None else _port(parts[2])
    if host is None or port is None:
        raise ValueError(_WRITE)
    origin = f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else "")
    if rest or "@" in place:
        raise ValueError(f"an origin ends with its host or port, and browsers send no more; did you mean {origin}?")
    return origin


def _host(text: str) -> str | None:
    try:
        if text.startswith("["):
            return f"[{IPv6Address(text[1:-1]).compressed}]"
        # As a browser spells a name beyond ASCII (UTS 46).
        host = text.lower() if text.isascii() else yarl.URL.build(scheme="http", host=text).raw_host
    except ValueError:
        return None
    return host if host and _NAME.fullmatch(host) else None


def _port(text: str | None) -> int | None:
    """Return a port, 0 where none is said; None for what is no port."""
    if not text:
        return 0
    port = int(text) if len(text) <= len(str(_LAST_PORT)) else 0
    return port if 0 < port <= _LAST_PORT else None


Origin = Annotated[str, AfterValidator(read_origin), Field(json_schema_extra={"pattern": _PATTERN})]
"""The option type: an origin that may call, or * for any."""
