"""The canonical spelling of e-mail addresses."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens.email import canonical, canonical_record, readable, trimmed

ATOM = st.text(string.ascii_letters + string.digits + "!#$%&*+-/=?^_`{|}~", min_size=1, max_size=12)
DOTTED = st.lists(ATOM, min_size=1, max_size=4).map(".".join)
ADDRESS = st.builds("{}@{}".format, DOTTED, DOTTED)
ODD_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("@.aIiKkßΣς\u017f\u0131\u0307\u0130\u212a\u03f4"),
    max_size=20,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@shop.test", "ann@shop.test"),
        ("  Ann.Lee+Tag@Shop.TEST ", "ann.lee+tag@shop.test"),
        ("u\u0308ber@shop.test", "über@shop.test"),
        ("ÜBER@shop.test", "über@shop.test"),
        ("straße@shop.test", "straße@shop.test"),
        ("用户@例子.test", "用户@xn--fsqu00a.test"),
        ("ann@MÜNCHEN.example", "ann@xn--mnchen-3ya.example"),
        ("ann@mu\u0308nchen.example", "ann@xn--mnchen-3ya.example"),
        ("ann@XN--MNCHEN-3YA.example", "ann@xn--mnchen-3ya.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "ann@xn--mgba3gch31f060k.example"),
        ("ann@xn--i-7iq.example", "ann@xn--i-7iq.example"),
        ("ann@a_b.example", "ann@a_b.example"),
        ("a..x@docomo.ne.jp", "a..x@docomo.ne.jp"),
        ("a.@docomo.ne.jp", "a.@docomo.ne.jp"),
        (".a@docomo.ne.jp", ".a@docomo.ne.jp"),
        ('"Ann Lee"@shop.test', '"ann lee"@shop.test'),
        ('"a..b"@docomo.ne.jp', "a..b@docomo.ne.jp"),
        ('"a@b"@shop.test', '"a@b"@shop.test'),
        ('"a\\"b\\c"@shop.test', '"a\\"bc"@shop.test'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:db8::1]", "ann@[ipv6:2001:db8::1]"),
        ("o'neil@shop.test", "o'neil@shop.test"),
        ("a@b", "a@b"),
        ("a" * 242 + "@shop.test.x", "a" * 242 + "@shop.test.x"),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    """Spaces around, case, the way of composing a letter, the domain's alphabet and quotes make no difference."""
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "value",
    [None, 1, True, b"ann@shop.test", ["ann@shop.test"], {"email": "ann@shop.test"}],
)
def test_only_text_is_an_address(value: object) -> None:
    """A value of another JSON type is no address, whatever it contains."""
    assert canonical(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "ann",
        "ann@",
        "@shop.test",
        '""@shop.test',
        '"ann"@shop.test',
        "a@b@c",
        "a@@b",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@[b",
    ],
)
def test_shape(text: str) -> None:
    """There is one "@" between two parts, neither of them empty, and the domain's labels are not empty."""
    assert canonical(text) is None


@pytest.mark.parametrize("character", [*'"\\,:;()<>[] \t\r\n\0\x7f', "\x85", "\xa0", "\u2028", "\u3000"])
def test_characters_with_a_meaning_elsewhere(character: str) -> None:
    """Double quotes, brackets, separators, controls and spaces are refused anywhere within."""
    assert canonical(f"a{character}b@shop.test") is None
    assert canonical(f"ab@sh{character}op.test") is None


@pytest.mark.parametrize(
    "blank", ["\t", "\r\n", "\x85", "\xa0", "\u2003", "\u2028", "\u3000", "\u200b", "\u202a", "\ufeff"]
)
def test_white_space_of_every_kind_is_stripped(blank: str) -> None:
    """What stands around an address and is not seen was not meant, whatever it is."""
    assert canonical(f"{blank} ann@shop.test{blank}") == "ann@shop.test"
    assert trimmed(f"{blank}Ann@shop.test {blank}") == "Ann@shop.test"
    assert canonical(blank * 300) is None


@pytest.mark.parametrize("blank", ["\n", "\t", "\xa0", "\u200b", "\0"])
def test_records_are_read_as_they_are(blank: str) -> None:
    """A record whose address has more around it than plain spaces has another address: it was not typed just now."""
    assert canonical_record(f"ann@shop.test{blank}") is None
    assert canonical_record(" Ann@shop.test ") == "ann@shop.test"


@pytest.mark.parametrize(
    "domain",
    [
        "\u2603.test",  # a snowman: IDNA 2003 had it
        "\u0300a.test",  # begins with an accent
        "a\u3002test",  # an ideographic full stop, which other mappings make a dot
        "a\u200cb.test",  # a joiner where IDNA knows none
        "\u05d0a.test",  # both directions
        "\u00fc" * 60 + ".test",  # more than 63 octets
        "xn\u2010-a.test",
    ],
)
def test_domain_that_idna_does_not_know(domain: str) -> None:
    """A name in other letters must be one by IDNA 2008, and no other mapping makes it one."""
    assert canonical(f"ann@{domain}") is None


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("ann@xn--mnchen-3ya.example", "ann@münchen.example"),
        ("ann@xn--i-7iq.example", "ann@xn--i-7iq.example"),
        ("ann@shop.test", "ann@shop.test"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ],
)
def test_domain_is_readable(email: str, expected: str) -> None:
    """A-labels have their letters again, where IDNA says which."""
    assert readable(email) == expected
    assert canonical(expected) == email


@pytest.mark.parametrize(
    "character",
    [
        "\u212a",  # Kelvin sign: NFC and lower() make it "k"
        "\u0130",  # I with a dot above: lower() makes it "i" and a combining dot
        "I\u0307",  # the same, composed by NFC
        "\u017f",  # long s
        "\uff41",  # full-width a
        "\u24d0",  # circled a
        "\ufb01",  # fi ligature
        "\u03f4",  # capital theta symbol: lower() makes it a theta
        "\u1fef",  # Greek varia: NFC makes it a grave accent
        "\u037e",  # Greek question mark: NFC makes it a semicolon
        "\uff20",  # full-width at
        "\u200b",  # zero width space
        "\u202e",  # right-to-left override
        "\ue000",  # private use
        "\ud800",  # lone surrogate
        "\u0378",  # unassigned
    ],
)
def test_look_alikes(character: str) -> None:
    """A character that could be taken for another, or not be seen at all, is refused."""
    assert canonical(f"a{character}b@shop.test") is None
    assert canonical(f"ab@shop{character}.test") is None


def test_sharp_s_stays_apart_from_ss() -> None:
    """Two mailboxes whose names differ by "ß" and "ss" stay two."""
    assert canonical("strasse@shop.test") != canonical("straße@shop.test")


def test_length_is_in_bytes() -> None:
    """The limit of 254 counts bytes, before and after lower case."""
    assert canonical("a" * 243 + "@shop.test.x") is None
    assert canonical("ü" * 122 + "@shop.test") is not None
    assert canonical("ü" * 123 + "@shop.test") is None
    # U+023A has two bytes, its small letter three.
    assert canonical("\u023a" * 82 + "@shop.tes") is None


@given(ADDRESS)
def test_ascii_case_makes_no_difference(text: str) -> None:
    """An ASCII address and its capitals are the same address, in lower case."""
    assert canonical(text) == text.lower()
    assert canonical(text.upper()) == canonical(text.lower()) == canonical(text)


@given(ODD_TEXT | st.builds("{}@{}".format, ODD_TEXT, ODD_TEXT) | ADDRESS)
def test_canonical_is_idempotent(text: str) -> None:
    """What is canonical is its own canonical spelling, composed, in lower case and within the limit."""
    result = canonical(text)
    if result is not None:
        assert canonical(result) == result
        assert unicodedata.normalize("NFKC", result) == result == result.lower()
        assert len(result.encode()) <= 254


@given(st.builds("{}@{}".format, ODD_TEXT, ODD_TEXT))
def test_no_other_script_becomes_ascii(text: str) -> None:
    """Only an ASCII spelling has an ASCII canonical spelling, but for A-labels, which say what they stand for."""
    result = canonical(text)
    if result is not None and readable(result).isascii():
        assert trimmed(text).isascii()


@given(ODD_TEXT | st.builds("{}@{}".format, ODD_TEXT, ODD_TEXT) | ADDRESS)
def test_readable_spelling_is_the_same_address(text: str) -> None:
    """Whoever holds an address in letters and whoever holds it in A-labels hold one address."""
    result = canonical(text)
    if result is not None:
        assert canonical(readable(result)) == result
