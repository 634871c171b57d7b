"""Documents to plain data: what is read, and what is refused in one line."""

import pytest
import yaml

from gateway.drafting.document import DEPTH_LIMIT, LIMIT, UnfitDocumentError, parse, plain_text


def test_yaml_is_text_and_nothing_else() -> None:
    """Scalars of YAML stay text: no date, no number, no object is made of them; tags make nothing either."""
    raw = b"openapi: 3.0\nwhen: 2024-01-01\non: yes\nlist: [1, ~]\ntagged: !!python/object/apply:os.system [x]\n"
    assert parse(raw) == {
        "openapi": "3.0",
        "when": "2024-01-01",
        "on": "yes",
        "list": ["1", "~"],
        "tagged": ["x"],
    }


def test_json_and_aliases() -> None:
    """JSON is read as JSON, a byte order mark is no part of it; an alias is what it names."""
    assert parse(b'\xef\xbb\xbf {"openapi": "3.1.0", "n": 1}') == {"openapi": "3.1.0", "n": 1}
    assert parse(b"a: &x {b: c}\nd: *x\ne: &y f\ng: *y") == {"a": {"b": "c"}, "d": {"b": "c"}, "e": "f", "g": "f"}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "there are no keys in it"),
        (b"- a\n", "there are no keys in it"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b'{"a": ', "it is broken JSON"),
        (b"[" * 100_000, "it nests too deep"),
        (b'{"a":' * 100_000, "it nests too deep"),
        (b"a: [b\n", "it is broken YAML at line 2"),
        (b"a: b\n\x00", "a character that YAML does not have"),
        (b"a: &x [*x]\n", "it is circular, or broken, at line 1"),
        (b"a: *nothing\n", "an unknown alias"),
        (b"{a: 1}: b\nc: d", "it is broken JSON"),
        (b"? [a]\n: b\n", "a key that is no text"),
        (b"a: 1\n---\nb: 2\n", "more than one YAML document"),
        (b"a: {$ref: 'https://elsewhere.example/x.yaml#/A'}\n", "$ref: https://elsewhere.example/x.yaml#/A"),
        (b'{"a": [{"$ref": "other.json"}]}', "bundle them into one file first"),
        (b'{"a": {"$ref": "file:///etc/passwd\\n\\u001b[31m"}}', "$ref: file:///etc/passwd [31m"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_what_is_refused(raw: bytes, says: str) -> None:
    """Each broken, deep, circular or scattered document is refused in one line that says what it is."""
    with pytest.raises(UnfitDocumentError) as refused:
        parse(raw)
    assert says in str(refused.value)
    assert str(refused.value).isprintable()


def test_the_limits() -> None:
    """What is too large is refused before it is parsed; what is exactly as deep as may be is not."""
    with pytest.raises(UnfitDocumentError, match="larger than 16 MiB"):
        parse(b" " * (LIMIT + 1))
    deepest = DEPTH_LIMIT - 1
    assert parse(b'{"a":' + b"[" * deepest + b"]" * deepest + b"}")
    with pytest.raises(UnfitDocumentError, match="it nests too deep"):
        parse(b'{"a":' + b"[" * (deepest + 2) + b"]" * (deepest + 2) + b"}")


def test_a_bomb_of_aliases() -> None:
    """Aliases of aliases share what they name, and are counted as often as they are used."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(UnfitDocumentError, match="values"):
        parse("\n".join(lines).encode())


def test_the_same_without_libyaml() -> None:
    """Where PyYAML has no libyaml, the same is read and the same is refused."""
    assert parse(b"a: &x [1]\nb: *x", yaml.BaseLoader) == {"a": ["1"], "b": ["1"]}
    with pytest.raises(UnfitDocumentError, match="it nests too deep"):
        parse(b"[" * 1000, yaml.BaseLoader)


def test_references_that_are_data() -> None:
    """A reference within an example, a default or an extension is data, and leads nowhere."""
    assert parse(b"a: {example: {$ref: x.yaml}, x-more: {$ref: y.yaml}, default: {$ref: z}}")


def test_plain_text() -> None:
    """A stranger's text becomes one printable line of a bounded length."""
    assert plain_text("a\n- b:\t\x1b[31m\u2028c", 80) == "a - b: [31m c"
    assert plain_text("x" * 100, 10) == "xxxxxxx..."
