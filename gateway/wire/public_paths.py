"""The way back from an upstream's paths to those that clients know, for links that it writes. Pure."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

_PARAMETER: Final = re.compile(r"\{([a-z][a-z0-9_]*)(\.\.\.)?\}")
_REFERENCE: Final = re.compile(r"(?P<path>/[^?#]*)(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?")


class _Way(NamedTuple):
    """One path of the upstream's: how it is recognised, the filters in its query, and what it is for clients."""

    path: re.Pattern[str]
    filters: tuple[re.Pattern[str], ...]
    public: str


class PublicPaths:
    """Knows pairs of an upstream's path and the public one, as templates (`/api/orders/{oid}/`, `/orders?id={oid}`)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Final = tuple(dict.fromkeys(pairs))
        # A literal before a parameter before a tail, as routes are matched; with a filter before without.
        self._ways: Final = tuple(_way(*pair) for pair in sorted(self.pairs, key=_rank))

    def __bool__(self) -> bool:
        return bool(self._ways)

    def public(self, reference: str) -> str | None:
        """Return what a path of the upstream, with query and fragment, is for clients; None where it is no route's."""
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            return None
        pairs = found["query"].split("&") if found["query"] else []
        for way in self._ways:
            values = way.path.fullmatch(found["path"])
            if values is None:
                continue
            named = values.groupdict()
            left = [pair for pair in pairs if not _is_filter(pair, way.filters, named)]
            if len(pairs) - len(left) != len(way.filters):
                continue
            path = _PARAMETER.sub(lambda name, named=named: named[name[1]], way.public)  # type: ignore[misc]
            return path + ("?" + "&".join(left) if left else "") + (found["fragment"] or "")
        return None


def _is_filter(pair: str, filters: tuple[re.Pattern[str], ...], named: dict[str, str]) -> bool:
    """Tell whether a parameter of a query is one by which the upstream knows the record; its value is then `named`."""
    for one in filters:
        if found := one.fullmatch(unquote(pair)):
            named |= {name: quote(value, safe="") for name, value in found.groupdict().items()}
            return True
    return False


def _way(there: str, public: str) -> _Way:
    path, _, query = there.partition("?")
    # Who writes a link may leave the slash at the end out, or put one there.
    pattern = _pattern(path.rstrip("/"), "[^/?#]+", "[^?#]+") + "/?"
    filters = tuple(re.compile(_pattern(pair, ".+", ".+")) for pair in query.split("&") if pair)
    return _Way(re.compile(pattern), filters, public)


def _pattern(template: str, one: str, rest: str) -> str:
    text, at = "", 0
    for found in _PARAMETER.finditer(template):
        text += f"{re.escape(template[at : found.start()])}(?P<{found[1]}>{rest if found[2] else one})"
        at = found.end()
    return text + re.escape(template[at:])


def _rank(pair: tuple[str, str]) -> tuple[bool, list[int]]:
    path, mark, _ = pair[0].partition("?")
    segments = path.strip("/").split("/")
    return not mark, [2 if "..." in one else 1 if one.startswith("{") else 0 for one in segments]
