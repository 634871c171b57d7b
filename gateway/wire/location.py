"""Where a Location leads: to the upstream, hence to us, or elsewhere. Pure.

What a browser would read in another way than we do is not read at all: the WHATWG URL standard knows backslashes, tabs,
and schemes without slashes.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Struct

from gateway.wire.public_paths import PublicPaths

# No blank, no control, no backslash; letters beyond ASCII stand in paths at the most, and do not begin one.
_READABLE = re.compile(r"[!-\[\]-~][!-\[\]-~\u0080-\u00ff]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}


class Side(Enum):
    """Whose a place is."""

    OURS = auto()
    """The upstream's, or one that it links itself by, or this gateway's: clients reach it here."""
    LISTED = auto()
    """Somebody else's, and the routing file says that redirects may lead there."""
    ELSEWHERE = auto()
    UNREADABLE = auto()


class Place(Struct, frozen=True):
    """Where a Location leads. Of one that is `OURS`, `path` is the gateway's own, and `link` what a client follows."""

    side: Side
    link: str = ""
    path: str = ""


class Places:
    """Reads Locations of the upstream at `url`, which links itself by `origins` as well (URLs without trailing slash).

    `public_url` is the gateway's own URL, or empty; `listed` are URLs to whose origins redirects may lead. `paths` are
    the upstream's paths that clients know by other ones, `others` addresses of other upstreams with all such paths.
    """

    def __init__(
        self,
        url: str,
        origins: Sequence[str],
        public_url: str,
        listed: Sequence[str],
        paths: PublicPaths = PublicPaths(),  # noqa: B008 - no value of it ever changes
        others: Sequence[tuple[str, PublicPaths]] = (),
    ) -> None:
        self._url = url
        self._public_url = public_url
        known = [(base, paths, True) for base in (url, *origins)] + [(base, its, False) for base, its in others]
        known += [(public_url, PublicPaths(), True)] if public_url else []
        # The longest base first: of two on one host the closer one is meant.
        self._known = sorted(
            ((_origin(base), base.path, its, is_own) for text, its, is_own in known for base in [urlsplit(text)]),
            key=lambda base: -len(base[1]),
        )
        self._listed = frozenset(_origin(urlsplit(base)) for base in listed)

    def read(self, value: str, target: str) -> Place:
        """Say where a Location leads that answers a request for `target` (the upstream's path and query)."""
        scheme = _SCHEME.match(value)
        rest = value[scheme.end() :] if scheme else value
        if not _READABLE.fullmatch(value) or rest.startswith("///") or (scheme and not rest.startswith("//")):
            return Place(Side.UNREADABLE)
        try:
            parts = urlsplit(urljoin(f"{self._url}{target}", value))
            if not _AUTHORITY.fullmatch(parts.netloc) or parts.path.startswith("//"):
                return Place(Side.UNREADABLE)
            origin = _origin(parts)
        except ValueError:
            return Place(Side.UNREADABLE)
        for known, base, paths, is_own in self._known:
            if known == origin and (parts.path == base or parts.path.startswith(f"{base}/")):
                path = parts.path[len(base) :] or "/"
                if path.startswith("//"):
                    # Without a public URL that would be somebody else's (RFC 3986 section 4.2).
                    return Place(Side.UNREADABLE)
                link = parts._replace(scheme="", netloc="", path=path).geturl()
                public = paths.public(link)
                if public is not None:
                    return Place(Side.OURS, self._public_url + public, urlsplit(public).path)
                if is_own:
                    return Place(Side.OURS, self._public_url + link, path)
        if any(known == origin for known, _, _, is_own in self._known if is_own):
            # On the upstream's own host, beside what it serves to us: nobody can go there.
            return Place(Side.UNREADABLE)
        return Place(Side.LISTED if origin in self._listed else Side.ELSEWHERE, parts.geturl())


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
