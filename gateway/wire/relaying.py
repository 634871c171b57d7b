"""The header lines of an answer on an open route, made true for the body that clients get. Pure.

Which lines pass is for wire/headers.py to say.
"""

from operator import itemgetter

from gateway.vocab.messages import Headers
from gateway.wire.headers import OF_BYTES, first
from gateway.wire.links import LinkRewriter

_UNCHANGED = 304
_NAME = itemgetter(0)
_TOUCHED = OF_BYTES | {"content-encoding", "content-location", "etag", "link", "location"}


def true_lines(lines: Headers, links: LinkRewriter, status: int, conditions: Headers, *, rewrites: bool) -> Headers:
    """Return `lines` with links that are ours, and of a rewritten body with a tag of its own and no word of its bytes.

    `conditions` are the client's: they tell what an answer 304 is about, which need not say so itself.
    """
    if _TOUCHED.isdisjoint(map(_NAME, lines)):
        return lines
    is_unknown = status == _UNCHANGED and not rewrites and first(lines, "content-type") is None
    made: list[tuple[str, str]] = []
    for name, value in lines:
        match name:
            case "location" | "content-location":
                made.append((name, links.reference(value)))
            case "link":
                made.append((name, links.links(value)))
            case "etag" if is_unknown:
                made.append((name, links.tags.unchanged(value, conditions)))
            case "etag":
                made.append((name, links.tags.marked(value) if rewrites else links.tags.relayed(value)))
            case "content-encoding" if rewrites:
                pass
            case _ if rewrites and name in OF_BYTES:
                pass
            case _:
                made.append((name, value))
    return tuple(made)
