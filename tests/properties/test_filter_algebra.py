"""Whatever filter a client sends, what goes upstream selects records of the customer only, and exactly those it means.

The oracle is the demo's evaluator, which shares no code with ours; a second reader, in this file, takes the composed
text for a language in which OR binds tighter than AND: isolation must not hang on the upstream's precedence.
"""

import re
from collections.abc import Callable, Iterator

from hypothesis import event, example, given
from hypothesis import strategies as st

from gateway.demo.filters import FilterError, matches
from gateway.scope.filters.epcc import All, Any, Condition, Epcc, Node, emit
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Json
from gateway.vocab.refusals import Refusal

RESERVED = reserved_names("customer_id", [])
MINE = "c1"
VALUES = ("paid", "unpaid", "a b", 'o"k', "o'k", "x:y", "(|)", "*", "ünö", ",")
PATTERNS = ("*a*", "pa*", "*id", "*", "a b*", "*(*")


def owner(record: Json) -> str:
    """Return whose record it is."""
    found = record["relationships"]["customer"]["data"]["id"]
    assert isinstance(found, str)
    return found


def means(node: Node, record: Json) -> bool:
    """Say what the client's tree means for a record, straight from the definition."""
    match node:
        case All(children):
            return all(means(child, record) for child in children)
        case Any(children):
            return any(means(child, record) for child in children)
        case Condition("is_null", field):
            return record.get(field) is None
        case Condition("like", field, (pattern,)):
            shape = ".*".join(map(re.escape, pattern.split("*")))
            return field in record and re.fullmatch(shape, record[field], re.DOTALL) is not None
        case Condition("contains", field, (part,)):
            return part in record.get(field, "")
        case Condition(_, field, operands):
            return record.get(field) in operands


# Our own text needs no escapes, so that a quote ends at the next one of its kind for whoever reads it.
TOKEN = re.compile(r"""[a-z_]+\((?:[^"'()]|"[^"]*"|'[^']*')*\)|[():|]""")


def or_first(text: str, record: Json) -> bool:
    """Evaluate a canonical filter as if OR bound tighter than AND."""
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == text
    stream: Iterator[str] = iter([*tokens, ""])
    value, rest = _level((":", "|"), 0, next(stream), lambda: next(stream), record)
    assert rest == ""
    return value


def _level(
    marks: tuple[str, ...], depth: int, token: str, advance: Callable[[], str], record: Json
) -> tuple[bool, str]:
    """Evaluate one level of precedence; give its value and the token behind it."""
    if depth == len(marks):
        if token != "(":
            return matches(token, record), advance()
        value, closing = _level(marks, 0, advance(), advance, record)
        assert closing == ")"
        return value, advance()
    value, token = _level(marks, depth + 1, token, advance, record)
    while token == marks[depth]:
        right, token = _level(marks, depth + 1, advance(), advance, record)
        value = value and right if marks[depth] == ":" else value or right
    return value, token


def compose(text: str) -> str | Refusal:
    """Return the filter that goes upstream for a client's filter."""
    scoped = Epcc().scope((("filter", text),), "customer_id", MINE, RESERVED, "filter")
    return scoped if isinstance(scoped, Refusal) else scoped[0][1]


@st.composite
def _records(draw: st.DrawFn) -> list[Json]:
    wanted = st.fixed_dictionaries({}, optional={name: st.sampled_from(VALUES) for name in ("status", "name", "note")})
    owners = draw(st.lists(st.sampled_from([MINE, "c2"]), min_size=1, max_size=8))
    return [{**draw(wanted), "relationships": {"customer": {"data": {"id": who}}}} for who in owners]


FIELDS = st.sampled_from(["status", "name", "note"])
ONE = st.sampled_from(VALUES).map(lambda value: (value,))
CONDITIONS: st.SearchStrategy[Node] = st.one_of(
    st.builds(Condition, st.just("eq"), FIELDS, ONE),
    st.builds(Condition, st.just("in"), FIELDS, st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(tuple)),
    st.builds(Condition, st.just("like"), FIELDS, st.sampled_from(PATTERNS).map(lambda value: (value,))),
    st.builds(Condition, st.just("contains"), FIELDS, ONE),
    st.builds(Condition, st.just("is_null"), FIELDS),
)


def _groups(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    many = st.lists(children, min_size=1, max_size=3).map(tuple)
    return many.map(All) | many.map(Any)


NODES: st.SearchStrategy[Node] = st.recursive(CONDITIONS, _groups, max_leaves=5)
PIECES = st.sampled_from(
    [
        *"():|,\"'\\*%& ",
        "eq(customer_id,c2)",
        "|eq(customer_id,c2)",
        ")|(",
        "eq(note,",
        "like(name,*)",
        '\\"',
        "%22",
        "\x00",
    ]
)


@st.composite
def _attacks(draw: st.DrawFn) -> str:
    """Take a good filter and cut, double or insert pieces of syntax."""
    text = emit(draw(NODES))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 4)))
        text = text[:start] + draw(PIECES | st.just(text[start:end] * 2)) + text[end:]
    return text


@given(NODES, _records())
def test_the_composed_filter_selects_what_the_client_means_among_its_own(node: Node, records: list[Json]) -> None:
    """Ours AND theirs: nothing of the other customer, and nothing of the customer's own is lost."""
    composed = compose(emit(node))
    event("refused" if isinstance(composed, Refusal) else "composed")
    if isinstance(composed, Refusal):
        assert composed.detail in {"nested too deeply", "too many alternatives"} or "nested" in composed.detail
        return
    found = [record for record in records if matches(composed, record)]
    assert found == [record for record in records if owner(record) == MINE and means(node, record)]


@given(_attacks(), _records())
@example(
    "eq(status,paid)|eq(status,unpaid)", [{"relationships": {"customer": {"data": {"id": "c2"}}}, "status": "paid"}]
)
@example("is_null(note)|is_null(name)", [{"relationships": {"customer": {"data": {"id": "c2"}}}}])
def test_no_text_of_the_client_reaches_another_customer(text: str, records: list[Json]) -> None:
    """Whatever passes selects a subset of the customer's records, in whatever order the upstream joins AND and OR."""
    composed = compose(text)
    event("refused" if isinstance(composed, Refusal) else "composed")
    if isinstance(composed, Refusal):
        return
    for record in records:
        if matches(composed, record) or or_first(composed, record):
            assert owner(record) == MINE


@given(_attacks(), _records())
def test_a_text_that_passes_keeps_its_meaning(text: str, records: list[Json]) -> None:
    """The upstream would have selected the same records of the customer for the client's own text."""
    composed = compose(text)
    # An empty filter means none; the demo keeps leading spaces of an operand, which the upstream documents as dropped.
    if isinstance(composed, Refusal) or not text or re.search(r",\s", text):
        return
    for record in records:
        try:
            wanted = matches(text, record)
        except FilterError:
            # The demo knows fewer operators and no escapes of its own; what it cannot read it cannot judge.
            return
        assert matches(composed, record) == (wanted and owner(record) == MINE)
