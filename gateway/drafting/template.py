"""Paths of documents as templates of ours: parameters in small letters, what cannot be one said. Pure."""

import re
from collections import Counter
from collections.abc import Iterable

from gateway.routing import Part, parse_template

# Documents that are written by hand have parameters as their server spells them, too.
_PARAMETER = re.compile(r"\{([^{}/]+)\}|:([A-Za-z_][A-Za-z0-9_]*)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ODD = re.compile(r"[^a-z0-9]+")


def template(path: str) -> str:
    """Return a path as the routing file spells it, with its slash at the end. Raises ValueError where it cannot."""
    names: set[str] = set()
    segments = []
    for segment in path.split("/"):
        found = _PARAMETER.fullmatch(segment)
        if found is None:
            segments.append(segment)
            continue
        name = snake(found[1] or found[2]) or "id"
        if not name[0].isalpha():
            name = f"p_{name}"
        while name in names:
            name += "2"
        names.add(name)
        segments.append(f"{{{name}}}")
    made = "/".join(segments)
    parse_template(made)
    return made


def snake(name: str) -> str:
    """Return a name in small letters, its words joined by underscores."""
    return _ODD.sub("_", _HUMP.sub("_", name).lower()).strip("_")


def parts(path: str) -> tuple[Part, ...]:
    """Return the segments of a template of ours."""
    return parse_template(path)


def common_parameter(paths: Iterable[str]) -> str:
    """Return the parameter that most paths begin with, with its slash: `/{projectKey}`; empty where there is none.

    Such a one names the shop, not a record: it belongs to the address of the API.
    """
    firsts = ["/" + path.split("/")[1] for path in paths if path.startswith("/")]
    first, count = Counter(firsts).most_common(1)[0] if firsts else ("", 0)
    return first if _PARAMETER.fullmatch(first[1:]) and count > 0.9 * len(firsts) and count > 1 else ""
