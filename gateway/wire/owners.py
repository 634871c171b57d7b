"""Where a record may name its owner besides the one place that must: one that names somebody else is enough. Pure."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gateway.wire.pointer import MISSING, resolve

_SLASHES = re.compile(r"/{2,}")


def names_another(record: Any, own: str | None, places: tuple[tuple[str, ...], ...], below: str | None) -> bool:
    """Tell whether any of `places` (tokens of JSON pointers), or links.self below the path `below`, names not `own`.

    A place may hold the id itself, an object with `id`, a JSON:API relationship, or a list of those; null and nothing
    name nobody. Without `own`, whoever is named is another.
    """
    for tokens in places:
        value = resolve(record, tokens)
        if value is not MISSING and any(name != own for name in _named(value)):
            return True
    if below is None:
        return False
    link = resolve(record, ("links", "self"))
    link = link.get("href") if isinstance(link, dict) else link
    if not isinstance(link, str):
        return False
    # Some servers ignore case and doubled slashes; a link that only looks like the own one is another's.
    spelled = _SLASHES.sub("/", link.casefold())
    return any(own is None or found[1] != own.casefold() for found in _segment_below(below).finditer(spelled))


@lru_cache(maxsize=64)
def _segment_below(path: str) -> re.Pattern[str]:
    """Return what finds each segment that follows a path; a routing file has a few such paths."""
    return re.compile(re.escape(path.casefold()) + r"/([^/?#]*)")


def _named(value: Any) -> Iterator[str | None]:
    unread = [value]
    while unread:
        node = unread.pop()
        if isinstance(node, dict):
            unread.extend(node[key] for key in ("id", "data") if key in node)
        elif isinstance(node, list):
            unread.extend(node)
        elif isinstance(node, bool) or (node is not None and not isinstance(node, (str, int))):
            # An id of no kind that ids have: nobody's own.
            yield None
        elif node is not None:
            yield str(node)
