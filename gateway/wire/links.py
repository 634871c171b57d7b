"""Rewrites the upstream's absolute URLs in JSON replies to the gateway's own address.

Works on bytes, so that a large open answer can be streamed: every JSON string that begins with the upstream's URL is
given the gateway's URL, or becomes path-only where none is configured. It does not look inside strings.
"""

from collections.abc import AsyncIterator, Sequence


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
        self._pairs = tuple(pairs)
        self._longest = max((len(needle) for needle, _ in pairs), default=0)
        self._origins = tuple(origins)
        self._public_url = public_url

    def rewrite(self, body: bytes) -> bytes:
        """Rewrite a complete body."""
        for needle, link in self._pairs:
            body = body.replace(needle, link)
        return body

    def location(self, value: str) -> str:
        """Rewrite a Location value."""
        for origin in self._origins:
            if value == origin or value.startswith(f"{origin}/"):
                return self._public_url + (value[len(origin) :] or "/")
        return value

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Rewrite a body piece by piece, holding back fewer bytes than one URL is long."""
        held = b""
        async for chunk in chunks:
            held = self.rewrite(held + chunk)
            keep = self._unfinished(held)
            if len(held) > keep:
                yield held[: len(held) - keep]
                held = held[len(held) - keep :]
        if held:
            yield held

    def _unfinished(self, body: bytes) -> int:
        """Return how many bytes at the end could be the beginning of a URL."""
        tail = body[-(self._longest - 1) :] if self._longest > 1 else b""
        start = tail.find(b'"')
        while start >= 0:
            if any(needle.startswith(tail[start:]) for needle, _ in self._pairs):
                return len(tail) - start
            start = tail.find(b'"', start + 1)
        return 0
