"""Rewrites the upstream's URLs in JSON replies and header fields to the gateway's own address.

Works on the bytes of bodies, so that a large open answer can be streamed: every JSON string that begins with the
upstream's URL is given the gateway's URL, or becomes path-only where none is configured; one that begins with the path
of that URL loses it. It does not look inside strings. Header fields are read as URI references, in any spelling.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yarl

from gateway.vocab.messages import Query
from gateway.wire.etags import EntityTags
from gateway.wire.public_paths import PublicPaths

_PORTS = {"http": "80", "https": "443"}
# What browsers take for a URL with a host, more than RFC 3986 section 4.2 does: tabs and line ends count for nothing,
# a backslash is a slash, and any number of them begins the host (URL standard, "special authority slashes state").
_WITH_HOST = re.compile(
    r"(?:(?P<scheme>https?):[/\\]*|[/\\]{2,})(?:[^/\\?#]*@)?"
    r"(?P<host>\[[^\]/\\?#]*\]|[^:/\\?#]*)(?::(?P<port>[0-9]*))?(?P<rest>[/\\?#].*)?",
    re.IGNORECASE,
)
# Of a longer one the address is rewritten, and the path is not.
_LONGEST_LINK = 8 * 1024
_IGNORED = dict.fromkeys(map(ord, "\t\r\n"))
_AROUND = "".join(map(chr, range(0x21)))
# A quoted string, or the target of a link (RFC 8288 section 3). What is begun and not ended is read once, not from each
# of its letters anew: an upstream may write as many as it likes.
_TARGET = re.compile(r'"((?:[^"\\]|\\.?)*+)(?P<end>"?)|<([^<>]*)>')


class _Base(NamedTuple):
    """What a link may begin with: an address, or the path of one on the upstream's own host; no slash ends it.

    `own` is what clients have in its place. `is_whole`: whatever lies below becomes theirs; else what `paths` know.
    """

    text: str
    paths: PublicPaths
    own: str
    is_whole: bool


class LinkRewriter:
    """Replaces `origins` (upstream URLs without trailing slash) by `public_url` (the same, or empty).

    The first of `origins` is the upstream itself: links may also leave out its host and begin with its path. `tags`
    are the entity tags of what was rewritten. `paths` are the upstream's paths that clients know by other ones.
    `others` are addresses of other upstreams, each with all of its paths that clients know.
    """

    def __init__(
        self,
        origins: Sequence[str],
        public_url: str,
        paths: PublicPaths = PublicPaths(),  # noqa: B008 - no value of it ever changes
        others: Sequence[tuple[str, PublicPaths]] = (),
    ) -> None:
        # A Host line has no port that goes without saying, and so have most links; who writes it may mean either.
        spelled = [(one, paths, True) for origin in origins for one in dict.fromkeys((origin, str(yarl.URL(origin))))]
        spelled += [(one, its, False) for other, its in others for one in dict.fromkeys((other, str(yarl.URL(other))))]
        place, self._base_path = _split(origins[0]) if origins else (("", "", ""), "")
        public_path = _split(public_url)[1]
        whole = [_Base(one, its, public_url, is_own) for one, its, is_own in spelled]
        # Where the upstream's own path is none, what begins with a slash may be one of its paths.
        local = [_Base(self._base_path, paths, public_path, bool(self._base_path))]
        local += [
            _Base(_split(one)[1], its, public_path, is_whole=False) for one, its in others if _split(one)[0] == place
        ]
        # The longest first: of two that a link begins with the closer one is meant.
        self._known = sorted((*whole, *local), key=lambda base: -len(base.text))
        self._bases = sorted(((*_split(base.text), base) for base in whole), key=lambda known: -len(known[1]))
        said = [one for one, _, is_own in spelled if is_own][1:] + [there for there, _ in paths.pairs]
        said += [f"{one} {there}" for one, its in others for there, _ in its.pairs]
        self.tags = EntityTags((public_url, self._base_path, *said))
        self._is_plain = not paths and not others
        self._links = {
            needle: link for base in self._known if base.is_whole for needle, link in _needles(base.text, base.own)
        }
        # One pass, the longest origin first: what became a link of ours is never taken for one of the upstream's.
        self._needles = tuple(sorted(self._links, key=len, reverse=True))
        self._unescaped = tuple(needle for needle in self._needles if b"\\" not in needle)
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles)))
        self._longest = max(map(len, self._needles), default=0)
        self.public_url = public_url
        known = "|".join(re.escape(base.text).replace("/", r"\\?/") for base in self._known)
        self._written = re.compile(rf'"({known})((?:\\?/[^"\\/?#]*)+(?:\?[^"\\#]*)?)'.encode())
        self._begun = tuple(needle for base in self._known for needle, _ in _needles(base.text, ""))

    def rewrite(self, body: bytes) -> bytes:
        """Rewrite a complete body."""
        if not self._is_plain:
            return self._written.sub(self._link, body)
        # Looking for one byte is ten times faster than for fixed bytes, and that many times faster than for a pattern:
        # no URL begins long before the first slash, and most answers have no backslash.
        slash = body.find(b"/")
        if slash < 0:
            return body
        start = max(0, slash - self._longest)
        needles = self._needles if b"\\" in body else self._unescaped
        found = [(needle, at) for needle in needles if (at := body.find(needle, start)) >= 0]
        if not found:
            return body
        if len(found) == 1:
            needle, at = found[0]
            return b"".join((memoryview(body)[:at], body[at:].replace(needle, self._links[needle])))
        return self._pattern.sub(lambda found: self._links[found[0]], body)

    def _link(self, found: re.Match[bytes]) -> bytes:
        """Return a link of ours for one that begins with an upstream's address, or is one of its paths."""
        made = self._public((found[1] + found[2]).replace(b"\\/", b"/").decode("utf-8", "surrogateescape"))
        return found[0] if made is None else b'"' + made.encode("utf-8", "surrogateescape")

    def _public(self, link: str) -> str | None:
        """Return what clients have in place of a link; None where it is none into an upstream."""
        for base in () if link.startswith("//") else self._known:
            below = _below(base.text, link)
            public = None if below is None else base.paths.public(below)
            if public is not None or (base.is_whole and below is not None):
                return f"{base.own}{public or below}"
        return None

    def reference(self, value: str) -> str:
        """Rewrite a URI reference, such as a Location; one that leads elsewhere stays as it is.

        A reference that is relative to the path stays too: below the same path it leads to the same place.
        """
        plain = value.translate(_IGNORED).strip(_AROUND)
        found = _WITH_HOST.fullmatch(plain)
        if found is None:
            return (self._public(plain) if plain.startswith("/") else None) or value
        scheme, host = (found["scheme"] or "").lower(), found["host"].lower().rstrip(".")
        rest = (found["rest"] or "").replace("\\", "/")
        for (name, port, default), path, base in self._bases:
            if host == name and (found["port"] or _PORTS.get(scheme, default)) == port:
                below = _below(path, rest)
                public = None if below is None else base.paths.public(below)
                if public is not None or (base.is_whole and below is not None):
                    return f"{self.public_url}{public or below}"
        return value

    def links(self, value: str) -> str:
        """Rewrite the targets, and whatever else is a URL, in a Link field (RFC 8288 section 3)."""

        def rewritten(found: re.Match[str]) -> str:
            quoted, target = found[1], found[3]
            return f'"{self.reference(quoted)}{found["end"]}' if target is None else f"<{self.reference(target)}>"

        return _TARGET.sub(rewritten, value)

    def unfinished(self, body: bytes) -> int:
        """Return how many bytes at the end could be the beginning of a URL, or of a path that is to be another one."""
        if not self._is_plain:
            at = body.rfind(b'"')
            tail = body[at:] if at >= 0 else b""
            is_begun = any(needle.startswith(tail) or tail.startswith(needle) for needle in self._begun)
            return len(tail) if is_begun and len(tail) <= _LONGEST_LINK else 0
        tail = body[-(self._longest - 1) :] if self._longest > 1 else b""
        start = tail.find(b'"')
        while start >= 0:
            if any(needle.startswith(tail[start:]) for needle in self._needles):
                return len(tail) - start
            start = tail.find(b'"', start + 1)
        return 0


class Rewriting:
    """One body on its way through a `LinkRewriter`, holding back fewer bytes than one URL is long."""

    def __init__(self, links: LinkRewriter) -> None:
        self._links = links
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what is complete with this chunk; it may be nothing."""
        body = self._held + chunk
        # A URL has one quotation mark, at its beginning: none reaches over a cut made at such a mark.
        cut = len(body) - self._links.unfinished(body)
        self._held = body[cut:]
        return self._links.rewrite(body[:cut])

    def end(self) -> bytes:
        """Return what was held back."""
        return self._links.rewrite(self._held)


def restored(query: Query, *, sent: Query, asked: Query) -> Query:
    """Return a link's parameters with what the client `asked` where they repeat what was `sent` instead.

    Parameters that the upstream added, such as the offset of the next page, stay.
    """
    ours = [pair for pair in sent if pair not in asked]
    kept = [pair for pair in query if pair not in ours]
    if len(kept) == len(query):
        return query
    names = {pair[0] for pair in kept}
    theirs = [pair for pair in asked if pair not in sent and pair[0] not in names]
    return tuple(theirs + kept)


def _needles(base: str, own: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield how links begin in JSON, and what they become: some encoders escape the slash, which is the same text."""
    yield f'"{base}/'.encode(), f'"{own}/'.encode()
    yield f'"{base}/'.replace("/", "\\/").encode(), f'"{own}/'.replace("/", "\\/").encode()


def _split(url: str) -> tuple[tuple[str, str, str], str]:
    """Return host, port and the default port of a base URL, and its path."""
    found = _WITH_HOST.fullmatch(url)
    if found is None:
        return ("", "", ""), ""
    default = _PORTS[(found["scheme"] or "http").lower()]
    return (found["host"].lower().rstrip("."), found["port"] or default, default), found["rest"] or ""


def _below(base: str, path: str) -> str | None:
    """Return what follows the path `base` in `path`, from its slash on; None where it lies elsewhere.

    Never `//host`: without a public URL that would be somebody else's (RFC 3986 section 4.2).
    """
    if not path.startswith(base) or path[len(base) : len(base) + 1] not in {"", "/", "?", "#"}:
        return None
    return "/" + path[len(base) :].lstrip("/")
