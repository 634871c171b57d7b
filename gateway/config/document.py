"""One YAML text to a tree with places, in a narrow YAML: plain data, text keys, no tags, no merge keys.

It opens no files and leaves `${...}` and `extends` as they are written (source.py does those). PyYAML's scanner, parser
and composer are used without its resolver and constructor, so nothing in a file can ever become a Python object;
and without libyaml, whose error texts differ, so a fault reads the same on every machine.
"""

import re

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.nodes import Node as YamlNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from gateway.config.faults import Fault
from gateway.config.tree import Branch, Entry, Node, Place, Row, Scalar

# A routing file nests about ten levels; the limit keeps recursion far from Python's own (1,000 frames).
DEPTH_LIMIT = 64
# The largest routing file we think of has some thousand values; an alias bomb has billions.
NODE_LIMIT = 100_000
# No number of ours is longer; Python refuses int() above 4,300 digits, and float() turns long ones into infinity.
NUMBER_LIMIT = 32
SHOWN_KEY = 40

_PLAIN, _TEXT = "plain", "text"
_STANDARD = "tag:yaml.org,2002:"
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
# No exponent: `1e5` is text to YAML 1.1 writers (yaml.safe_dump leaves it bare), so it must be text here.
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
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


class _Refused(Exception):  # noqa: N818 - carries a fault to `parse`, is never seen outside
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Composer(Reader, Scanner, Parser, Composer):
    """PyYAML's node graph, acyclic and of bounded depth; a node's tag is `_PLAIN`, `_TEXT` or the tag as written."""

    def __init__(self, text: str, file: str, faults: list[Fault]) -> None:
        self._file = file
        self._faults = faults
        self._open: list[str | None] = []
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def compose_node(self, parent: YamlNode | None, index: int) -> YamlNode | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        place = _place(self._file, event.start_mark)
        if isinstance(event, AliasEvent) and (event.anchor in self._open or event.anchor not in self.anchors):
            # The name is not shown: an unquoted secret may begin with an asterisk.
            what = "the alias stands inside the value it names" if event.anchor in self._open else "unknown alias"
            self._faults.append(Fault(*place, what, "write the value out, or put it in quotes if it begins with *"))
            self.get_event()  # type: ignore[no-untyped-call]
            placeholder = ScalarNode(_TEXT, "")
            placeholder.start_mark = event.start_mark
            return placeholder
        if getattr(event, "tag", None) == "!":
            # PyYAML forgets this one: `! true` would become a boolean, and a password `! x` would lose its start.
            self._faults.append(Fault(*place, *_TAG))
        if not isinstance(event, AliasEvent) and event.anchor in self.anchors:
            self._faults.append(Fault(*place, "an anchor of this name stands above", "give each anchor its own name"))
            del self.anchors[event.anchor]
        if len(self._open) >= DEPTH_LIMIT:
            raise _Refused(_too_deep(place))
        self._open.append(event.anchor)
        node: YamlNode | None = super().compose_node(parent, index)
        self._open.pop()
        return node

    # What Composer asks of a resolver. Only "was it written bare?" matters here.

    def descend_resolver(self, parent: YamlNode | None, index: object) -> None: ...

    def ascend_resolver(self) -> None: ...

    def resolve(self, _kind: type[YamlNode], _value: object, implicit: object) -> str:
        return _PLAIN if isinstance(implicit, tuple) and implicit[0] else _TEXT


class _Builder:
    """Turns PyYAML's nodes into ours, noting every fault on the way."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self._file = file
        self._faults = faults
        self._count = 0

    def build(self, node: YamlNode, depth: int = 0) -> Node:
        place = _place(self._file, node.start_mark)
        self._count += 1
        if self._count > NODE_LIMIT:
            what = f"more than {NODE_LIMIT} values, every use of an alias counted"
            raise _Refused(Fault(*place, what, "use fewer aliases"))
        if depth >= DEPTH_LIMIT:
            raise _Refused(_too_deep(place))
        self._check_tag(node, place)
        if isinstance(node, MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, SequenceNode):
            return Row(place, tuple(self.build(item, depth + 1) for item in node.value))
        return Scalar(place, self._scalar(node, place))

    def _mapping(self, node: MappingNode, place: Place, depth: int) -> Branch:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key_place = _place(self._file, key_node.start_mark)
            key = self._key(key_node, key_place)
            value = self.build(value_node, depth + 1)
            if key is None:
                continue
            if key in entries:
                first = entries[key].key_place.line
                self._fault(key_place, f"the key {_shown(key)} is written twice, first on line {first}", "keep one")
            else:
                entries[key] = Entry(key_place, value)
        return Branch(place, entries)

    def _key(self, node: YamlNode, place: Place) -> str | None:
        if not isinstance(node, ScalarNode):
            self._fault(place, "a key must be text, not a list or a mapping", "write `key: value`")
            return None
        self._check_tag(node, place)
        if node.tag == _PLAIN and node.value == "<<":
            self._fault(place, "merge keys (<<) are not supported", "write the keys out")
            return None
        key = self._scalar(node, place)
        if not isinstance(key, str):
            kind = {int: "a number", float: "a number", bool: "true or false"}.get(type(key), "empty")
            self._fault(place, f"a key must be text, this one is {kind}", "put the key in quotes")
            return None
        if "${" in key:
            self._fault(place, "keys are not interpolated", "write the key out")
        return key

    def _check_tag(self, node: YamlNode, place: Place) -> None:
        kind = {ScalarNode: "str", SequenceNode: "seq", MappingNode: "map"}[type(node)]
        if node.tag not in {_PLAIN, _TEXT, _STANDARD + kind}:
            # The tag is not shown: an unquoted secret may begin with an exclamation mark.
            self._fault(place, *_TAG)

    def _scalar(self, node: YamlNode, place: Place) -> str | int | float | bool | None:
        text: str = node.value
        if node.tag == _PLAIN:
            if text in _WORDS:
                return _WORDS[text]
            convert = int if _INT.fullmatch(text) else float if _FLOAT.fullmatch(text) else None
            if convert is not None:
                if len(text) <= NUMBER_LIMIT:
                    return convert(text)
                self._fault(place, f"a number longer than {NUMBER_LIMIT} digits", "put it in quotes if it is text")
        if not is_encodable(text):
            self._fault(place, r"half a surrogate pair (\uD800 to \uDFFF)", r"write the character, or \U and 8 digits")
        return text

    def _fault(self, place: Place, what: str, hint: str) -> None:
        self._faults.append(Fault(*place, what, hint))


def parse(text: str, file: str, faults: list[Fault]) -> Branch | None:
    """Parse one document whose top level is a mapping; append every fault found.

    Returns the tree as far as it could be built (None when there is none), also when there are faults.
    """
    try:
        composer = _Composer(text, file, faults)
    except ReaderError as error:
        place = offset_place(file, text, error.position)
        what = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        faults.append(Fault(*place, what, "remove it, or escape it in double quotes"))
        return None
    try:
        return _single(composer, _Builder(file, faults), file, faults)
    except _Refused as refused:
        faults.append(refused.fault)
    except MarkedYAMLError as error:
        faults.append(_syntax(error, file))
    except (ValueError, OverflowError):
        # PyYAML hands escapes such as "\UFFFFFFFF" to chr() and endless %YAML versions to int() unchecked.
        place = _place(file, composer.get_mark())
        faults.append(Fault(*place, "not valid YAML: a number is out of range", r"check the escapes (\U...) here"))
    return None


def _single(composer: _Composer, builder: _Builder, file: str, faults: list[Fault]) -> Branch | None:
    node = composer.get_node() if composer.check_node() else None
    if node is None or (node.tag == _PLAIN and node.value == ""):
        faults.append(Fault(file, 1, 1, "the file is empty", "write at least one `key: value`"))
        return None
    tree = builder.build(node)
    if composer.check_node():
        mark = composer.peek_event().start_mark  # type: ignore[no-untyped-call]
        place = _place(file, mark)
        faults.append(Fault(*place, "a second document begins here", "keep one document per file, use `extends`"))
    if not isinstance(tree, Branch):
        faults.append(Fault(*tree.place, "the top level is not a mapping", "write `key: value` lines"))
        return None
    return tree


def is_encodable(text: str) -> bool:
    """Tell whether the text has no half surrogate pair, so that it can be written out as UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def offset_place(file: str, text: str, offset: int) -> Place:
    """Return the place of the character at `offset`."""
    before = text[:offset]
    return Place(file, before.count("\n") + 1, offset - before.rfind("\n"))


def _syntax(error: MarkedYAMLError, file: str) -> Fault:
    problem = str(error.problem)
    if error.context and error.context_mark:
        problem += f" ({error.context} that begins on line {error.context_mark.line + 1})"
    # Tag handles are cut out, they may be the beginning of an unquoted secret; single characters and token names help.
    problem = _QUOTED.sub(lambda m: m[0] if len(m[1]) == 1 or m[1][:1] in {"<", "\\"} else "'...'", problem)
    hint = next((hint for part, hint in _SYNTAX_HINTS if part in problem), "")
    mark = error.problem_mark or error.context_mark
    return Fault(*_place(file, mark), f"not valid YAML: {problem}", hint)


def _too_deep(place: Place) -> Fault:
    return Fault(*place, f"nested deeper than {DEPTH_LIMIT} levels", "write it flatter")


def _place(file: str, mark: Mark | None) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)


def _shown(key: str) -> str:
    return repr(key if len(key) <= SHOWN_KEY else key[:SHOWN_KEY] + "...")
