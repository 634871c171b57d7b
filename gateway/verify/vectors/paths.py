"""Vectors in the path: B's ids where A's belong, and other spellings of a path that leads to B."""

from collections.abc import Iterator
from urllib.parse import quote

from gateway.verify.model import Group, Shot
from gateway.verify.vectors.base import Setting, vector

_PLACEHOLDERS = ("*", "%25", "null", "undefined", "0", "-1", "me", "all", "%27%20OR%201=1--", "$ne")


@vector("honest", Group.HONEST, "The ordinary request for A's own records; what it holds must be A's.")
def honest(s: Setting) -> Iterator[Shot]:
    """Ask as an honest front end does."""
    yield from s.at_own()


@vector("foreign-id", Group.PATH, "An id of B in the path: each parameter in turn, then all of them.")
def foreign_id(s: Setting) -> Iterator[Shot]:
    """Name B's records."""
    for path in reversed(s.foreign):
        yield s.shot(path)


@vector(
    "existence", Group.PATH, "B's id and an id that nobody has must get the same reply, or records could be guessed."
)
def existence(s: Setting) -> Iterator[Shot]:
    """Compare B's records with none."""
    if s.is_judged and not s.route.is_key:
        for path, unknown in zip(s.foreign, s.unknown, strict=True):
            yield s.shot(path, twin=unknown)
            if s.reads:
                yield s.shot(path, method="HEAD", twin=unknown)


@vector("other-ids", Group.PATH, "Ids of B's other records (orders, addresses, ...) where another kind of id belongs.")
def other_ids(s: Setting) -> Iterator[Shot]:
    """Put every id of B into every parameter."""
    for part in (part for part in s.route.parts if part.is_parameter):
        for ident in (s.victim.id, *s.victim.ids()[:4]):
            yield s.shot(_with(s, part.text, ident))


@vector(
    "placeholder-id",
    Group.PATH,
    "A wildcard, a null or an injection where an id belongs, which some servers read as everybody.",
)
def placeholder_id(s: Setting) -> Iterator[Shot]:
    """Ask for everything in the disguise of an id."""
    for part in (part for part in s.route.parts if part.is_parameter):
        for text in _PLACEHOLDERS:
            if s.reads:
                yield s.shot(_with(s, part.text, text))


@vector(
    "joined-ids", Group.PATH, "A's id and B's id joined in one segment: with a comma, a bar, a plus, an encoded comma."
)
def joined_ids(s: Setting) -> Iterator[Shot]:
    """Name both at once."""
    if s.own is None or not s.foreign:
        return
    own, foreign = s.own.split("/"), s.foreign[-1].split("/")
    for joint in (",", "%2C", "|", "+", "%20"):
        both = [mine if mine == theirs else f"{mine}{joint}{theirs}" for mine, theirs in zip(own, foreign, strict=True)]
        yield s.shot("/".join(both))


@vector("percent-letters", Group.SPELLING, "B's path with letters percent-encoded, in the id and in the fixed words.")
def percent_letters(s: Setting) -> Iterator[Shot]:
    """Hide letters."""
    for path in s.targets:
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}/%{ord(last[0]):02x}{last[1:]}")
        yield s.shot(f"{head}/" + "".join(f"%{ord(char):02X}" for char in last))
        yield s.shot("/" + "/".join(f"%{ord(part[0]):02x}{part[1:]}" for part in path[1:].split("/")))


@vector(
    "encoded-slash",
    Group.SPELLING,
    "B's path with %2F for slashes, so that a matcher sees another path than the server behind it.",
)
def encoded_slash(s: Setting) -> Iterator[Shot]:
    """Hide slashes."""
    for path in s.targets:
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}%2F{last}")
        yield s.shot("/" + path[1:].replace("/", "%2f"))


def _climbing(s: Setting, up: str, slash: str = "/") -> Iterator[Shot]:
    """Go from a path that is open to B's, by steps upward."""
    for goal in s.targets:
        steps = slash.join([up] * s.start.count("/"))
        yield s.shot(f"{s.start}{slash}{steps}{slash}{goal[1:]}")


@vector("dot-segments", Group.SPELLING, "From this route to B's path by /../, written plainly.")
def dot_segments(s: Setting) -> Iterator[Shot]:
    """Climb plainly."""
    yield from _climbing(s, "..")
    for goal in s.targets:
        head, _, last = goal.rpartition("/")
        yield s.shot(f"{head}/./{last}")


@vector("encoded-dots", Group.SPELLING, "From this route to B's path by %2e%2e, and by ..%2f.")
def encoded_dots(s: Setting) -> Iterator[Shot]:
    """Climb in disguise."""
    yield from _climbing(s, "%2e%2e")
    yield from _climbing(s, "..", "%2f")
    yield from _climbing(s, ".%2E")


@vector("double-encoding", Group.SPELLING, "From this route to B's path by %252e%252e%252f, and B's id encoded twice.")
def double_encoding(s: Setting) -> Iterator[Shot]:
    """Hide from whoever decodes once."""
    yield from _climbing(s, "%252e%252e", "%252f")
    for path in s.targets:
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}/%25{ord(last[0]):02x}{last[1:]}")


@vector("empty-segments", Group.SPELLING, "B's path with doubled slashes, which some servers merge.")
def empty_segments(s: Setting) -> Iterator[Shot]:
    """Double slashes."""
    for path in s.targets:
        yield s.shot("/" + path)
        yield s.shot(path.replace("/", "//"))
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}//{last}")


@vector("path-parameters", Group.SPELLING, "B's path with ;parameters, which some servers cut off.")
def path_parameters(s: Setting) -> Iterator[Shot]:
    """Append what is cut off."""
    for path in s.targets:
        head, _, last = path.rpartition("/")
        yield s.shot(f"{path};jsessionid=1")
        yield s.shot(f"{head};x=1/{last}")
        yield s.shot(f"{head}/;/{last}")


@vector("path-endings", Group.SPELLING, "B's path with a slash, an ending, a space or a NUL behind it.")
def path_endings(s: Setting) -> Iterator[Shot]:
    """Append what is ignored."""
    for path in s.targets[-1:]:
        for ending in ("/", ".json", "%20", "%00", "%09", ".", "/.", "%2e", "~"):
            yield s.shot(path + ending)


@vector("letter-case", Group.SPELLING, "B's path in capitals, fixed words and ids.")
def letter_case(s: Setting) -> Iterator[Shot]:
    """Change the case of letters."""
    for path in s.targets:
        yield s.shot(path.upper())
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}/{last.upper()}")
        yield s.shot(f"{head.upper()}/{last}")


@vector("backslash", Group.SPELLING, "B's path with backslashes, plain and encoded.")
def backslash(s: Setting) -> Iterator[Shot]:
    """Write slashes the other way."""
    for path in s.targets:
        head, _, last = path.rpartition("/")
        yield s.shot(f"{head}%5c{last}")
        yield s.shot(f"{head}\\{last}", raw=True)
    yield from _climbing(s, "..", "%5c")


@vector(
    "cut-path",
    Group.SPELLING,
    "A's path and B's behind an encoded ? or #, or a real fragment, at which readers stop differently.",
)
def cut_path(s: Setting) -> Iterator[Shot]:
    """End the path for one reader only."""
    for path in s.targets:
        yield s.shot(f"{path}%3f")
        yield s.shot(f"{path}%23{quote(s.attacker.id)}")
        if s.own is not None:
            yield s.shot(f"{path}#{s.own}", raw=True)
            yield s.shot(f"{path}?{s.own}")


@vector(
    "unicode",
    Group.SPELLING,
    "B's id in full-width letters and in overlong UTF-8, which normalisation turns into B's id.",
)
def unicode(s: Setting) -> Iterator[Shot]:
    """Rely on normalisation."""
    for path in s.targets:
        head, _, last = path.rpartition("/")
        wide = "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in last)
        yield s.shot(f"{head}/{quote(wide)}", says=last)
        yield s.shot(f"{head}%c0%af{last}")


@vector(
    "absolute-form", Group.SPELLING, "B's path as an absolute URL in the request line, of this host and of another."
)
def absolute_form(s: Setting) -> Iterator[Shot]:
    """Write the whole URL; it is what the path is, so that those of other routes are theirs to be tried."""
    for path in dict.fromkeys((*s.foreign[:1], *s.foreign[-1:])):
        yield s.shot(s.origin + path, raw=True)
        yield s.shot("http://127.0.0.1:1" + path, raw=True)


def _with(s: Setting, parameter: str, value: str) -> str:
    """Return A's path with another value for one parameter."""
    pairs = zip(s.route.parts, s.start[1:].split("/"), strict=False)
    return "/" + "/".join(value if part.is_parameter and part.text == parameter else own for part, own in pairs)


VECTORS = (
    honest, foreign_id, existence, other_ids, placeholder_id, joined_ids, percent_letters, encoded_slash, dot_segments,
    encoded_dots, double_encoding, empty_segments, path_parameters, path_endings, letter_case, backslash, cut_path,
    unicode, absolute_form,
)  # fmt: skip
