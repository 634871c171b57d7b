"""Rewrites the upstream's absolute URLs in JSON replies to the gateway's own address.

Works on bytes, so that a large open answer can be streamed: every JSON string that begins with the upstream's URL is
given the gateway's URL, or becomes path-only where none is configured. It does not look inside strings.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.vocab.messages import Query


class LinkRewriter:
    """Replaces `origins` (upstream URLs without trailing slash) by `public_url` (the same, or empty)."""

    def __init__(self, origins: Sequence[str], public_url: str) -> None:
        pairs = []
        for origin in origins:
            # Some encoders escape the slash in JSON strings; both spellings are the same string.
            for escape in (False, True):
                needle, link = f'"{origin}/', f'"{public_url}/'
                if escape:
                    needle, link = needle.replace("/", "\\/"), link.replace("/", "\\/")
                pairs.append((needle.encode(), link.encode()))
        self._links = dict(pairs)
        # One pass, the longest origin first: what became a link of ours is never taken for one of the upstream's.
        self._needles = tuple(sorted(self._links, key=len, reverse=True))
        self._unescaped = tuple(needle for needle in self._needles if b"\\" not in needle)
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles)))
        self._longest = max(map(len, self._needles), default=0)
        self._origins = tuple(sorted(origins, key=len, reverse=True))
        self.public_url = public_url

    def rewrite(self, body: bytes) -> bytes:
        """Rewrite a complete body."""
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

    def location(self, value: str) -> str:
        """Rewrite a Location value."""
        for origin in self._origins:
            if value == origin or value.startswith(f"{origin}/"):
                # Never "//host": without a public URL that would be somebody else's (RFC 3986 section 4.2).
                return f"{self.public_url}/{value[len(origin) :].lstrip('/')}"
        return value

    async def stream(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Rewrite a body piece by piece; closes `chunks`."""
        rewriting = Rewriting(self)
        async with aclosing(chunks) as pieces:
            async for chunk in pieces:
                if piece := rewriting.feed(chunk):
                    yield piece
        if piece := rewriting.end():
            yield piece

    def unfinished(self, body: bytes) -> int:
        """Return how many bytes at the end could be the beginning of a URL."""
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
