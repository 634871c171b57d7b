"""One YAML text to a tree: what a scalar is, what an alias may do, and which documents are refused."""

from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.document import DEPTH_LIMIT, NODE_LIMIT, parse
from gateway.config.tree import plain

if TYPE_CHECKING:
    from gateway.config.faults import Fault


def data(text: str) -> Any:
    """Return what `text` says, which must be without fault."""
    found: list[Fault] = []
    tree = parse(text, "f", found)
    assert tree is not None
    assert not found
    return plain(tree)


def faults(text: str) -> list[str]:
    """Return the faults of `text`."""
    found: list[Fault] = []
    parse(text, "f", found)
    return [str(fault) for fault in found]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("404", 404),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        *[
            (text, text)
            for text in ["yes", "no", "on", "off", "True", "Null", "007", "0o17", "0x1F", "1:30", "1_000", "+1", "1e5"]
        ],
        *[(text, text) for text in [".5", "1.", ".inf", ".nan", "=", "2026-01-31", "a$b", "$", "GET", "/v2/{id}"]],
        ("'404'", "404"),
        ('"true"', "true"),
        ("'~'", "~"),
        ("''", ""),
        ("!!str 404", "404"),
    ],
)
def test_a_bare_scalar_has_the_type_it_looks_like_and_a_quoted_one_is_text(written: str, value: object) -> None:
    """Only true, false, null and plain decimal numbers are not text."""
    found = data(f"a: {written}\n")["a"]
    assert (found, type(found)) == (value, type(value))


def test_collections_and_aliases_become_plain_data() -> None:
    """An alias is the value it names."""
    text = "a: &x {b: [1, two]}\nc: *x\n'<<': quoted\n"
    assert data(text) == {"a": {"b": [1, "two"]}, "c": {"b": [1, "two"]}, "<<": "quoted"}


@pytest.mark.parametrize("text", ["a: *x\n", "a: &x [*x]\n", "a: &x {b: [{c: *x}]}\n"])
def test_an_alias_names_a_finished_value_above_it(text: str) -> None:
    """Unknown and recursive aliases are faults."""
    assert len(faults(text)) == 1


def test_an_alias_bomb_is_refused() -> None:
    """A few lines may not expand to billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"more than {NODE_LIMIT} values" in faults("\n".join(lines))[0]


def test_deep_nesting_is_refused_also_through_aliases() -> None:
    """No file may exhaust the stack."""
    brackets = "a: " + "[" * 20_000
    chain = "\n".join(["a0: &a0 x", *[f"a{n}: &a{n} [[*a{n - 1}]]" for n in range(1, 1000)]])
    for text in (brackets, chain):
        assert f"nested deeper than {DEPTH_LIMIT} levels" in faults(text)[0]


@pytest.mark.parametrize(
    "tag", ["!", "!secret", "!!int", "!!python/name:os.system", "!<plain>", "!<tag:yaml.org,2002:int>", "!!map"]
)
def test_a_tag_is_refused_whatever_it_names(tag: str) -> None:
    """Only `!!str` may say what the quotes would have said."""
    assert [fault.split(";")[0] for fault in faults(f"a: {tag} 7\n")] == ["f:1:4: YAML tags (!...) are not supported"]


def test_a_tag_is_told_even_if_the_rest_is_no_yaml() -> None:
    """Composing has seen it before the fault that ends it."""
    assert [fault[:9] for fault in faults("a: !x y\nb: [\n")] == ["f:1:4: YA", "f:3:1: no"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('a: "\\ud800"', "1:4: half a surrogate pair"),
        ('a: "\\UFFFFFFFF"', "1:7: not valid YAML: a number is out of range"),
        ("a: ! true", "1:4: YAML tags (!...) are not supported"),
        ("~: a", "1:1: a key must be text, this one is empty"),
        ("1.5: a", "1:1: a key must be text, this one is a number"),
        ("a: 1." + "0" * 400, "1:4: a number longer than 32 digits"),
        ("%YAML 3.0\n---\na: b\n", "1:1: not valid YAML: found incompatible YAML document"),
        ("k" * 100 + ": 1\n" + "k" * 100 + ": 2\n", f"2:1: the key '{'k' * 40}...' is written twice"),
    ],
)
def test_odd_documents_are_refused_in_place(text: str, what: str) -> None:
    """What cannot be read exactly is not read at all."""
    (fault,) = faults(text)
    assert fault.startswith(f"f:{what}")
