"""Entity tags of what the gateway rewrites: marked, so that the upstream's own can be told from them again. Pure.

A body in which links were rewritten is another one than the upstream's, and a strong tag names bytes (RFC 9110 section
8.8.1). Its tag is the upstream's own with a mark at the end, inside the quotation marks. The mark is taken off where a
client sends the tag back, because the upstream compares strongly in If-Match (RFC 9110 section 13.1.1).
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

from gateway.vocab.messages import Headers

# RFC 9110 section 8.8.3; some upstreams leave the quotation marks out.
_TAG = re.compile(r'(?:W/)?"[^"]*"|[^\s,"]+')
_NAMES_TAGS = frozenset({"if-match", "if-none-match", "if-range"})


class EntityTags:
    """Marks tags and takes marks off. The mark stands for `what` the rewriting depends on: a change makes new tags."""

    def __init__(self, what: Iterable[str]) -> None:
        self._mark = "-gw" + blake2b("\n".join(what).encode(), digest_size=4).hexdigest()
        self._ends = (f'{self._mark}"', self._mark)

    def marked(self, tag: str) -> str:
        """Return the tag of a rewritten body whose own tag is `tag`; weak stays weak."""
        if not tag:
            return tag
        return f'{tag[:-1]}{self._mark}"' if tag.endswith('"') else tag + self._mark

    def relayed(self, tag: str) -> str:
        """Return the tag of a body that is passed on as it is: the same, unless a mark would be taken off it."""
        return self.marked(tag) if tag.endswith(self._ends) else tag

    def unmarked(self, conditions: Headers) -> Headers:
        """Return the lines of a client's conditions as the upstream knows its tags."""
        return tuple(
            (name, _TAG.sub(lambda found: self._without(found[0]), value)) if name in _NAMES_TAGS else (name, value)
            for name, value in conditions
        )

    def unchanged(self, tag: str, conditions: Headers) -> str:
        """Return the tag of an answer 304, which does not say whether its body was rewritten: as the client has it.

        Where the client named no tag of it, it has the body by a date; most bodies are rewritten, and either spelling
        is understood when it comes back.
        """
        named = {found for name, value in conditions if name == "if-none-match" for found in tags(value)}
        is_own = tag.removeprefix("W/") in named and self.marked(tag).removeprefix("W/") not in named
        return self.relayed(tag) if is_own or not conditions else self.marked(tag)

    def _without(self, tag: str) -> str:
        if tag.endswith(self._ends[0]):
            return tag[: -len(self._ends[0])] + '"'
        return tag.removesuffix(self._mark)


def tags(value: str) -> list[str]:
    """Return the tags that a condition names, without what says that one is weak (RFC 9110 section 8.8.3.2)."""
    return [tag.removeprefix("W/") for tag in _TAG.findall(value)]


def made_of(body: bytes) -> str:
    """Return a strong tag of a body that is the gateway's own work."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def holds(tag: str, conditions: Headers) -> int | None:
    """Judge the conditions on tags for a body of the gateway's own: None where they hold, or the status 304 or 412.

    For GET and HEAD, in the order of RFC 9110 section 13.2.2. `tag` is strong. Conditions on dates are ignored, for
    such a body has none.
    """
    for name, status, is_wanted in (("if-match", 412, True), ("if-none-match", 304, False)):
        lines = [value for key, value in conditions if key == name]
        if not lines:
            continue
        named = [one for value in lines for one in (_TAG.findall(value) if is_wanted else tags(value))]
        if (tag in named or "*" in named) is not is_wanted:
            return status
    return None
