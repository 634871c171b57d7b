"""One YAML text to a tree with places, in a narrow YAML: plain data, text keys, no tags, no merge keys.

It opens no files and leaves `${...}` and `extends` as they are written (source.py does those). PyYAML composes its
nodes and constructs nothing of them, so nothing in a file can ever become a Python object; libyaml is not used, whose
error texts differ, so a fault reads the same on every machine.
"""

import re
from collections.abc import Callable

from yaml import BaseLoader
from yaml.error import Mark, MarkedYAMLError
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.nodes import Node as YamlNode
from yaml.reader import ReaderError

from gateway.config.faults import Fault
from gateway.config.tree import Branch, Entry, Node, Place, Row, Scalar

# A routing file nests about ten levels; the limit keeps recursion far from Python's own (1,000 frames).
DEPTH_LIMIT = 64
# The largest routing file we think of has some thousand values; an alias bomb has billions.
NODE_LIMIT = 100_000
# No number of ours is longer; Python refuses int() above 4,300 digits, and float() turns long ones into infinity.
NUMBER_LIMIT = 32
SHOWN_KEY = 40

_PLAIN = "plain"
_STANDARD = "tag:yaml.org,2002:"
_KINDS = {ScalarEvent: "str", SequenceStartEvent: "seq", MappingStartEvent: "map"}
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
# No exponent: `1e5` is text to YAML 1.1 writers (yaml.safe_dump leaves it bare), so it must be text here.
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TOO_DEEP = (f"nested deeper than {DEPTH_LIMIT} levels", "write it flatter")
_TAG = ("YAML tags (!...) are not supported", "remove the tag, or put the value in quotes")
_QUOTED = re.compile(r"'([^']*)'")
_SYNTAX_HINTS = (
    (r"'\t' that cannot start", "indent with spaces, not tabs"),
    ("that cannot start any token", "put the value in quotes"),
    ("mapping values are not allowed", "put a value that contains ': ' in quotes, and check the indentation"),
    ("could not find expected ':'", "write `key: value`"),
    ("but got '{'", "inside [ ] and { } put ${...} in quotes"),
    ("expected <block end>", "check the indentation"),
    ("unknown escape character", "use single quotes, or write the backslash twice"),
    ("tag", "put a value that starts with ! in quotes"),
)


class _Refused(Exception):  # noqa: N818 - carries a mark, a fault and a hint to `parse`, is never seen outside
    pass


# Mark, what, and what to write instead.
_Note = Callable[[Mark | None, str, str], None]


class _Loader(BaseLoader):
    """PyYAML's node graph, acyclic and of bounded depth; only what was written bare and without a tag is `_PLAIN`.

    Its `get_single_node`, which `yaml.compose` calls, would tell of a second document and of no other fault.
    """

    def __init__(self, text: str, note: _Note) -> None:
        super().__init__(text)
        self._note = note
        self._open: list[str | None] = []

    def compose_node(self, parent: YamlNode | None, index: int) -> YamlNode | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Mark = event.start_mark
        if isinstance(event, AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self._open:
                return super().compose_node(parent, index)
            # The name is not shown: an unquoted secret may begin with an asterisk.
            what = "the alias stands inside the value it names" if event.anchor in self._open else "unknown alias"
            self._note(mark, what, "write the value out, or put it in quotes if it begins with *")
            self.get_event()  # type: ignore[no-untyped-call]
            return ScalarNode(_STANDARD, "", mark)
        if event.tag not in {None, _STANDARD + _KINDS[type(event)]}:
            # The tag is not shown: an unquoted secret may begin with an exclamation mark.
            self._note(mark, *_TAG)
        if event.anchor in self.anchors:
            self._note(mark, "an anchor of this name stands above", "give each anchor its own name")
            del self.anchors[event.anchor]
        if len(self._open) >= DEPTH_LIMIT:
            raise _Refused(mark, *_TOO_DEEP)
        self._open.append(event.anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        return node


# PyYAML asks this of bare scalars only; it matches each of them.
_Loader.add_implicit_resolver(_PLAIN, re.compile(""), None)


class _Builder:
    """Turns PyYAML's nodes into ours, noting every fault on the way."""

    def __init__(self, file: str, note: _Note) -> None:
        self._file = file
        self._note = note
        self._count = 0

    def build(self, node: YamlNode, depth: int = 0) -> Node:
        self._count += 1
        if self._count > NODE_LIMIT:
            what = f"more than {NODE_LIMIT} values, every use of an alias counted"
            raise _Refused(node.start_mark, what, "use fewer aliases")
        if depth >= DEPTH_LIMIT:
            raise _Refused(node.start_mark, *_TOO_DEEP)
        place = _place(self._file, node.start_mark)
        if isinstance(node, MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, SequenceNode):
            return Row(place, tuple(self.build(item, depth + 1) for item in node.value))
        return Scalar(place, self._scalar(node))

    def _mapping(self, node: MappingNode, place: Place, depth: int) -> Branch:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            value = self.build(value_node, depth + 1)
            if key is None:
                continue
            if key in entries:
                what = f"the key {_shown(key)} is written twice, first on line {entries[key].key_place.line}"
                self._note(key_node.start_mark, what, "keep one")
            else:
                entries[key] = Entry(_place(self._file, key_node.start_mark), value)
        return Branch(place, entries)

    def _key(self, node: YamlNode) -> str | None:
        if not isinstance(node, ScalarNode):
            self._note(node.start_mark, "a key must be text, not a list or a mapping", "write `key: value`")
            return None
        if node.tag == _PLAIN and node.value == "<<":
            self._note(node.start_mark, "merge keys (<<) are not supported", "write the keys out")
            return None
        key = self._scalar(node)
        if not isinstance(key, str):
            kind = {int: "a number", float: "a number", bool: "true or false"}.get(type(key), "empty")
            self._note(node.start_mark, f"a key must be text, this one is {kind}", "put the key in quotes")
            return None
        if "${" in key:
            self._note(node.start_mark, "keys are not interpolated", "write the key out")
        return key

    def _scalar(self, node: YamlNode) -> str | int | float | bool | None:
        text: str = node.value
        if node.tag == _PLAIN:
            if text in _WORDS:
                return _WORDS[text]
            convert = int if _INT.fullmatch(text) else float if _FLOAT.fullmatch(text) else None
            if convert is not None:
                if len(text) <= NUMBER_LIMIT:
                    return convert(text)
                what = f"a number longer than {NUMBER_LIMIT} digits"
                self._note(node.start_mark, what, "put it in quotes if it is text")
        if not is_encodable(text):
            hint = r"write the character, or \U and 8 digits"
            self._note(node.start_mark, r"half a surrogate pair (\uD800 to \uDFFF)", hint)
        return text


def parse(text: str, file: str, faults: list[Fault]) -> Branch | None:
    """Parse one document whose top level is a mapping; append every fault found.

    Returns the tree as far as it could be built (None when there is none), also when there are faults.
    """

    def note(mark: Mark | None, what: str, hint: str) -> None:
        faults.append(Fault(*_place(file, mark), what, hint))

    try:
        loader = _Loader(text, note)
    except ReaderError as error:
        place = offset_place(file, text, error.position)
        what = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        faults.append(Fault(*place, what, "remove it, or escape it in double quotes"))
        return None
    try:
        return _single(loader, file, note)
    except _Refused as refused:
        note(*refused.args)
    except MarkedYAMLError as error:
        note(error.problem_mark or error.context_mark, *_syntax(error))
    except (ValueError, OverflowError):
        # PyYAML hands escapes such as "\UFFFFFFFF" to chr() and endless %YAML versions to int() unchecked.
        note(loader.get_mark(), "not valid YAML: a number is out of range", r"check the escapes (\U...) here")
    return None


def _single(loader: _Loader, file: str, note: _Note) -> Branch | None:
    node = loader.get_node() if loader.check_node() else None
    if node is None or (node.tag == _PLAIN and node.value == ""):
        note(None, "the file is empty", "write at least one `key: value`")
        return None
    tree = _Builder(file, note).build(node)
    if loader.check_node():
        mark = loader.peek_event().start_mark  # type: ignore[no-untyped-call]
        note(mark, "a second document begins here", "keep one document per file, use `extends`")
    if not isinstance(tree, Branch):
        note(node.start_mark, "the top level is not a mapping", "write `key: value` lines")
        return None
    return tree


def is_encodable(text: str) -> bool:
    """Tell whether the text has no half surrogate pair, so that it can be written out as UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def offset_place(file: str, text: str, offset: int) -> Place:
    """Return the place of the character at `offset`."""
    before = text[:offset]
    return Place(file, before.count("\n") + 1, offset - before.rfind("\n"))


def _syntax(error: MarkedYAMLError) -> tuple[str, str]:
    problem = str(error.problem)
    if error.context and error.context_mark:
        problem += f" ({error.context} that begins on line {error.context_mark.line + 1})"
    # Tag handles are cut out, they may be the beginning of an unquoted secret; single characters and token names help.
    problem = _QUOTED.sub(lambda m: m[0] if len(m[1]) == 1 or m[1][:1] in {"<", "\\"} else "'...'", problem)
    return f"not valid YAML: {problem}", next((hint for part, hint in _SYNTAX_HINTS if part in problem), "")


def _place(file: str, mark: Mark | None) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)


def _shown(key: str) -> str:
    return repr(key if len(key) <= SHOWN_KEY else key[:SHOWN_KEY] + "...")
