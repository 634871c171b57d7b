"""What was meant by a path or a pointer that is spelled as other tools spell theirs: the text of "did you mean". Pure.

It decides nothing: whoever reads a template or a pointer refuses it first, and asks here for a better spelling.
"""

import re
from typing import Final

# `{oid:int}` and `{oid:[^/]{8}}`: a name and what it must look like, with perhaps a slash or braces in it.
_CONVERTER = re.compile(r"\{([\w-]+):((?:[^{}]|\{[^{}]*\})*)\}", re.ASCII)
_TAIL_CONVERTERS: Final = frozenset({"path", ".*", ".+", "*"})
# Signs by which routers mark a parameter. A dollar alone is none: OData has `$count`, FHIR has `$everything`.
_MARK = re.compile(r"[*<>{}\[\]]|^:|^\$\w*id$", re.IGNORECASE)
_TAIL = re.compile(r"^\{?\*|\*\}?$|\.\.\.|^<path:")
_BRACKETED = re.compile(r"[<{\[](?:[a-z]+:)?\W*([A-Za-z][\w-]*)", re.ASCII)
_WORD = re.compile(r"([A-Za-z][\w-]*)", re.ASCII)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_INDEX = re.compile(r"\[\d*\]")
_DOTTED = re.compile(r"[^.\[\]'\"\s]+")
_BARE_TILDE = re.compile(r"~(?![01])")
# A segment of ours; dots alone would be resolved by whoever joins paths (RFC 3986, 5.2.4).
_OURS = re.compile(r"\{.*\}|(?!\.{1,2}$)[A-Za-z0-9._~!$'()+,=:@-]+")


def is_parameter(segment: str) -> bool:
    """Tell whether a segment of a template, or a part of it, is what some router would take for a parameter."""
    return _MARK.search(segment) is not None


def template(path: str) -> str:
    """Return `; did you mean ...?` with the whole path in our spelling, or nothing where no parameter seems meant.

    Known are `:oid`, `*`, `<oid>`, `<int:oid>`, `{oid:int}`, `{orderId}`, `{oid}.json`, `$oid`, `[oid]` and the like.
    """
    plain = _CONVERTER.sub(lambda found: f"{{{'*' * (found[2] in _TAIL_CONVERTERS)}{found[1]}}}", path)
    segments = plain.strip("/").split("/")
    names: set[str] = set()
    for position, segment in enumerate(segments):
        if not is_parameter(segment):
            continue
        is_tail = position == len(segments) - 1 and segment != "*" and _TAIL.search(segment)
        found = _BRACKETED.search(segment) or _WORD.search(segment)
        name = _HUMP.sub("_", found[1]).replace("-", "_").lower() if found else "rest" if is_tail else "id"
        while name in names:
            name += "2"
        names.add(name)
        segments[position] = f"{{{name}...}}" if is_tail else f"{{{name}}}"
    if not names or not all(map(_OURS.fullmatch, segments)):
        return ""
    meant = "/" + "/".join(segments)
    below = f", or {meant[:-1]}...}} for all that lies below" if path.endswith("/*") else ""
    return f"; did you mean {meant}{below}?"


def pointer(text: str) -> str:
    """Return `; did you mean ...?` with a JSON pointer, or nothing where the text names nothing.

    Known are `customer.id`, `customer/id`, `$.customer.id`, `#/customer/id`, `/customer/id/` and the like.
    """
    bare = _INDEX.sub("", text.strip().lstrip("$#"))
    names = [name for name in bare.split("/") if name] if "/" in bare else _DOTTED.findall(bare)
    return f"; did you mean /{'/'.join(_BARE_TILDE.sub('~0', name) for name in names)}?" if names else ""
