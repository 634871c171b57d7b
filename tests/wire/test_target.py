"""One canonical reading of a request target: what is read, what is refused, and that spelling and reading agree."""

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.vocab.messages import Query, Target
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.target import (
    MAX_PARAMETERS,
    authority,
    encode_path,
    encode_query,
    illegible,
    origin_form,
    parse,
    serialise,
)


def read(raw: str) -> Target:
    """Parse what must be readable."""
    target = parse(raw)
    assert isinstance(target, Target), target
    return target


def code(raw: str) -> Code:
    """Parse what must be refused."""
    refusal = parse(raw)
    assert isinstance(refusal, Refusal), refusal
    return refusal.code


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        pytest.param("/", "/", id="the root"),
        pytest.param("/v2/customers", "/v2/customers", id="a plain path"),
        pytest.param("/v2/cust%6fmers", "/v2/customers", id="D.0: a hidden letter is spelled out"),
        pytest.param("/v2/%63ustomers", "/v2/customers", id="D.0: a hidden first letter is spelled out"),
        pytest.param("/v2/caf%c3%a9", "/v2/caf%C3%A9", id="escapes are spelled in upper case"),
        pytest.param("/v2/a%20b", "/v2/a%20b", id="a space stays escaped"),
        pytest.param("/v2/a+b", "/v2/a+b", id="a plus in a path is a plus"),
        pytest.param("/v2/a%2Bb", "/v2/a+b", id="an escaped plus in a path is a plus too"),
        pytest.param("/v2/customers.json", "/v2/customers.json", id="D1.15: an extension is part of the name"),
        pytest.param("/v2/.hidden", "/v2/.hidden", id="a leading dot is a name"),
        pytest.param('/v2/"<x>"', "/v2/%22%3Cx%3E%22", id="characters that are no pchar are escaped"),
        pytest.param("/v2/a:b@c,d=e", "/v2/a:b@c,d=e", id="pchars stay as they are"),
        pytest.param("/v2/orders?", "/v2/orders", id="an empty query is none"),
        pytest.param("/v2/orders?a", "/v2/orders?a=", id="a parameter without a value has an empty one"),
        pytest.param("/v2/orders?&a=1&&b=2&", "/v2/orders?a=1&b=2", id="empty parameters vanish"),
        pytest.param("/v2/orders?a=b=c", "/v2/orders?a=b%3Dc", id="the first equals sign ends the name"),
        pytest.param("/v2/orders?a=b+c", "/v2/orders?a=b%20c", id="a plus in a value is a space"),
        pytest.param("/v2/orders?a=b%2Bc", "/v2/orders?a=b%2Bc", id="an escaped plus in a value is a plus"),
        pytest.param("/v2/orders?page[limit]=5", "/v2/orders?page[limit]=5", id="brackets as real SDKs send them"),
        pytest.param("/v2/orders?page%5Blimit%5D=5", "/v2/orders?page[limit]=5", id="brackets escaped"),
        pytest.param(
            "/v2/orders?filter=eq(status,paid):like(name,*x*)",
            "/v2/orders?filter=eq(status,paid):like(name,*x*)",
            id="the filter of an SDK keeps its spelling",
        ),
        pytest.param("/v2/orders?f=a%26filter%3Db", "/v2/orders?f=a%26filter%3Db", id="an escaped ampersand is data"),
        pytest.param("/v2/orders?x=/v2/products", "/v2/orders?x=/v2/products", id="D1.5: a query is never a path"),
        pytest.param("/v2/orders?x=http://evil", "/v2/orders?x=http://evil", id="a URL as a value"),
    ],
)
def test_a_target_has_one_spelling(raw: str, canonical: str) -> None:
    """Every spelling of one target is read as the same canonical one, and that is what goes upstream."""
    target = read(raw)
    assert serialise(target.path, target.query) == canonical


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("/v2/orders/../customers", id="D.0: a dot segment"),
        pytest.param("/v2/./customers", id="D.0: a single dot"),
        pytest.param("/v2/%2e%2e/customers", id="D.0: an escaped dot segment"),
        pytest.param("/v2/%2E%2e/customers", id="D.0: an escaped dot segment in mixed case"),
        pytest.param("/v2/.%2e/customers", id="D.0: a half-escaped dot segment"),
        pytest.param("/v2/..", id="a dot segment at the end"),
        pytest.param("/v2/orders%2f..%2fcustomers", id="D.0: escaped slashes"),
        pytest.param("/v2/customers%2Fc2", id="D1.13: an escaped slash that an upstream would split at"),
        pytest.param("/%2fadmin", id="D1.9: an escaped slash at the beginning"),
        pytest.param("/v2/customers%23/x", id="D.0: an escaped number sign"),
        pytest.param("/v2/customers%3fpage=1", id="D.0: an escaped question mark"),
        pytest.param("/v2/%2561dmin", id="D.0: a second encoding"),
        pytest.param("/v2/100%25", id="a bare per cent sign, which is a second encoding to come"),
        pytest.param("//v2/customers", id="D.0: an empty first segment"),
        pytest.param("/v2//customers", id="D1.9: an empty segment"),
        pytest.param("/v2/customers//", id="D1.15: two trailing slashes"),
        pytest.param("//evil.example/x", id="D1.9: what a URL join takes for an authority"),
        pytest.param("http://evil.example/v2/customers", id="D1.16: absolute form"),
        pytest.param("evil.example:443", id="authority form"),
        pytest.param("*", id="asterisk form"),
        pytest.param("@evil", id="D.0: user information"),
        pytest.param("v2/customers", id="no slash"),
        pytest.param("/v2/c\\..\\x", id="D.0: backslashes"),
        pytest.param("/v2/c%5c..%5cx", id="D.0: escaped backslashes"),
        pytest.param("/v2/x/%00", id="D.0: an escaped NUL"),
        pytest.param("/v2/x%0d%0ay", id="an escaped line end"),
        pytest.param("/v2/x%7f", id="an escaped DEL"),
        pytest.param("/v2/x%c2%85", id="an escaped C1 control character"),
        pytest.param("/v2/customers;jsessionid=1", id="D1.15: parameters of a segment"),
        pytest.param("/v2;/customers", id="D1.15: a semicolon between segments"),
        pytest.param("/v2/customers%3bx", id="D1.15: an escaped semicolon"),
        pytest.param("/v2/admin#/public", id="D1.3: a fragment"),
        pytest.param("/v2/orders?a=1#x", id="a fragment behind the query"),
        pytest.param("/v2/%EF%BC%8E%EF%BC%8E/x", id="full-width dots that normalise to dots"),
        pytest.param("/v2/a%EF%BC%8Fb", id="a full-width slash that normalises to one"),
        pytest.param("/v2/%EF%BC%85x", id="a full-width per cent sign"),
        pytest.param("/v2/%E2%84%80", id="a sign that normalises to letters around a slash"),
        pytest.param("/v2/orders?filter=a;filter=b", id="D.0: a semicolon in the query"),
        pytest.param("/v2/orders?;", id="a lone semicolon in the query"),
        pytest.param("/v2/orders?fil%74er=2", id="D6.1: a hidden letter in a parameter name"),
        pytest.param("/v2/orders?%66ilter=2", id="D6.1: a hidden first letter in a parameter name"),
        pytest.param("/v2/orders?f%5Fx=2", id="a hidden underscore in a parameter name"),
        pytest.param("/v2/orders?a%2Eb=2", id="a hidden dot in a parameter name"),
        pytest.param("/v2/orders?fil+ter=2", id="a plus in a parameter name"),
        pytest.param("/v2/orders?filter%00=x", id="D6.1: a NUL in a parameter name"),
        pytest.param("/v2/orders?filter=x%00", id="a NUL in a value"),
        pytest.param("/v2/orders?filter=x%0a", id="a line end in a value"),
        pytest.param("/v2/orders?=x", id="a parameter without a name"),
    ],
)
def test_a_target_with_two_readings_is_refused(raw: str) -> None:
    """What two servers could read differently is refused, never repaired."""
    assert code(raw) is Code.TARGET_AMBIGUOUS


@pytest.mark.parametrize("raw", ["/v2/orders/", "/v2/orders/?a=b", "/v2/o%72ders/"])
def test_a_slash_at_the_end_is_noted(raw: str) -> None:
    """Whether there may be one is the route's to say; the path is the same."""
    target = parse(raw)
    assert isinstance(target, Target)
    assert (target.path, target.segments, target.has_slash) == ("/v2/orders", ("v2", "orders"), True)


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        pytest.param("/v2/%E2%84%AA", ("v2", "K"), id="the Kelvin sign, which normalises to a letter"),
        pytest.param("/v2/m%C2%B2", ("v2", "m2"), id="a superscript"),
        pytest.param("/v2/e%CC%81", ("v2", "\u00e9"), id="a letter in two parts"),
        pytest.param("/%EF%BD%9621/x", ("v21", "x"), id="a full-width letter"),
    ],
)
def test_letters_that_normalisation_changes_are_told(raw: str, folded: tuple[str, ...]) -> None:
    """No rule may meet them, whose readers behind us could compare another text."""
    target = read(raw)
    assert target.folded == folded
    refusal = illegible(target)
    assert refusal is not None
    assert refusal.code is Code.TARGET_AMBIGUOUS


@pytest.mark.parametrize("raw", ["/v2/x?a=%E9", "/v2/caf%C3%A9?a=%80&b=%FF", "/v2/x?a=%C3"])
def test_a_value_that_is_not_utf_8_is_told(raw: str) -> None:
    """It has no canonical spelling, and no rule may meet it."""
    target = read(raw)
    assert target.is_illegible
    refusal = illegible(target)
    assert refusal is not None
    assert refusal.code is Code.TARGET_INVALID
    assert illegible(read("/v2/caf%C3%A9?a=%C3%A9")) is None


OURS = {"shop.example", "gateway:8080", "[::1]:8080"}


@pytest.mark.parametrize(
    ("raw", "origin"),
    [
        ("http://shop.example/v2/x?y", "/v2/x?y"),
        ("HTTPS://Shop.Example:443/v2/x", "/v2/x"),
        ("http://shop.example:80", "/"),
        ("http://shop.example?a=b", "/?a=b"),
        ("http://gateway:8080//x", "//x"),
        ("https://[::1]:8080/x", "/x"),
        ("*", "*"),
        ("shop.example:443", "shop.example:443"),
        ("ftp://shop.example/", "ftp://shop.example/"),
    ],
)
def test_the_authority_of_an_absolute_form_is_taken_off(raw: str, origin: str) -> None:
    """RFC 9112 section 3.2.2; what is no absolute form stays, and `parse` refuses it."""
    assert origin_form(raw, OURS) == origin


@pytest.mark.parametrize(
    "raw", ["http://evil.example/", "http://shop.example:443/", "http://shop.example.evil/", "http://shop/"]
)
def test_the_authority_must_be_one_of_ours(raw: str) -> None:
    """Whole, in any case, with the port that its scheme implies or none."""
    assert isinstance(origin_form(raw, OURS), Refusal)
    assert not isinstance(origin_form(raw, {*OURS, authority(*raw.rstrip("/").split("://"))}), Refusal)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("/v2/a b", id="a space"),
        pytest.param("/v2/a\tb", id="a tab"),
        pytest.param("/v2/a\r\nX: y", id="a line end"),
        pytest.param("/v2/caf\xe9", id="raw Latin-1"),
        pytest.param("/v2/caf\u0119", id="raw Unicode"),
        pytest.param("/v2/\ud800", id="a lone surrogate"),
        pytest.param("/v2/x\n", id="a line end at the end"),
        pytest.param("/v2/%zz", id="D.0: an escape that is none"),
        pytest.param("/v2/%", id="half an escape"),
        pytest.param("/v2/%4", id="another half of an escape"),
        pytest.param("/v2/%ff", id="escapes that are not UTF-8"),
        pytest.param("/v2/%c0%af", id="an overlong slash"),
        pytest.param("/v2/%ed%a0%80", id="an escaped surrogate"),
        pytest.param("/v2/orders?a=%zz", id="an escape that is none, in a value"),
        pytest.param("/v2/orders?%zz=a", id="an escape that is none, in a name"),
        pytest.param("/?" + "&".join(["a=1"] * (MAX_PARAMETERS + 1)), id="more parameters than any API has"),
    ],
)
def test_what_is_no_target_is_refused(raw: str) -> None:
    """What is not visible ASCII in origin form with whole UTF-8 escapes is no target."""
    assert code(raw) is Code.TARGET_INVALID


def test_limits_are_inclusive() -> None:
    """The largest number of parameters is still read, and a target of any length that a head may have."""
    assert read("/" + "x" * 1024 * 1024).segments == ("x" * 1024 * 1024,)
    assert len(read("/?" + "&".join(["a=1"] * MAX_PARAMETERS)).query) == MAX_PARAMETERS


def test_repeated_parameters_are_all_kept_in_order() -> None:
    """Nobody downstream finds one of two parameters dropped (docs/threats.md D.0)."""
    assert read("/?filter=A&filter=B&a=").query == (("filter", "A"), ("filter", "B"), ("a", ""))


def test_segments_are_decoded_once() -> None:
    """Routes match what the path says, not how it is spelled."""
    assert read("/v2/%61%20b").segments == ("v2", "a b")


def test_detail_never_quotes_the_client() -> None:
    """What a client sent stays out of refusals, which end up in the log."""
    for raw in ("/v2/s3cr3t/..", "/v2/s3cr3t%zz", "/?s3cr3t;=1", "/s3cr3t#x"):
        refusal = parse(raw)
        assert isinstance(refusal, Refusal)
        assert "s3cr3t" not in repr(refusal)


# Properties

raw_targets = st.one_of(
    st.text(max_size=60).map("/".__add__),
    st.text("/ab.%2eEfF;?&=+#\\[]()\u00e9", max_size=60).map("/".__add__),
    st.text(max_size=60),
)
spellings = st.sampled_from(
    ["a", "Z", "0", "-", "~", "_", "a.b", "%41", "%c3%a9", "%20", "%2B", "+", "=", ":", "@", "<", "%22"]
)
readable_targets = st.builds(
    lambda path, query: f"/{'/'.join(path)}?{'&'.join(query)}",
    st.lists(
        st.lists(spellings, min_size=1, max_size=4)
        .map("".join)
        .filter(lambda part: part.replace("%20", "").strip(".")),
        min_size=1,
        max_size=4,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["filter", "page[limit]", "page%5Blimit%5D", "a%2Bb", "caf%C3%A9"]),
            st.lists(spellings | st.sampled_from(["/", "?", "%26", "%3D", "%25", "%3B", "%23"]), max_size=4).map(
                "".join
            ),
        ).map("=".join),
        max_size=4,
    ),
)
segment_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
queries = st.lists(st.tuples(names, values), max_size=5).map(tuple)


@given(raw_targets)
def test_any_text_is_a_target_or_a_refusal(raw: str) -> None:
    """No text makes the reader raise."""
    assert isinstance(parse(raw), Target | Refusal)


@given(raw_targets | readable_targets)
@example("/0/")
def test_canonical_spelling_is_a_fixed_point(raw: str) -> None:
    """Whoever reads what we forward, as we read, finds exactly what we matched (docs/threats.md D1.14)."""
    target = parse(raw)
    # A slash at the end is not part of the path, and goes on where the route says so.
    assert isinstance(target, Refusal) or parse(serialise(target.path + "/" * target.has_slash, target.query)) == target


@pytest.mark.parametrize("segment", ["...", "%20", ".%20", "..%20", "%20..", "%2e%2e%20"])
def test_segments_of_dots_and_spaces_are_refused(segment: str) -> None:
    """What becomes a dot segment, or nothing, once somebody trims it, has more than one reading."""
    refusal = parse(f"/catalog/{segment}/x")
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.TARGET_AMBIGUOUS


@given(readable_targets)
def test_honest_spellings_are_read(raw: str) -> None:
    """Escapes and brackets as SDKs and browsers write them are no reason to refuse."""
    assert isinstance(parse(raw), Target)


@given(raw_targets | readable_targets)
def test_a_canonical_path_has_no_structure_but_ours(raw: str) -> None:
    """No canonical path holds dot segments, empty segments, escaped slashes, or anything but visible ASCII."""
    target = parse(raw)
    if isinstance(target, Refusal):
        return
    parts = target.path[1:].split("/") if target.path != "/" else []
    assert len(parts) == len(target.segments)
    assert not {"", ".", ".."} & set(parts)
    assert not any(escape in target.path.upper() for escape in ("%2F", "%5C", "%25", "%3B", "%00", "%2E"))
    assert target.path.isascii()
    assert target.path.isprintable()


@given(queries)
def test_any_decoded_query_survives_spelling_and_reading(query: Query) -> None:
    """What a rule put into a query arrives as exactly that."""
    assert read(serialise("/v2/orders", query)).query == query


@given(st.lists(segment_texts, min_size=1, max_size=4).map(tuple))
def test_segments_survive_spelling_or_are_refused(segments: tuple[str, ...]) -> None:
    """A path made of segments is read back as these segments; what could be misread is refused instead."""
    target = parse(encode_path(segments))
    assert target.code is Code.TARGET_AMBIGUOUS if isinstance(target, Refusal) else target.segments == segments


@given(st.text("abcz09._~-", min_size=1, max_size=20))
def test_escaping_what_needs_no_escape_changes_nothing(name: str) -> None:
    """`%63ustomers` and `customers` are one path, so that no rule is passed by another spelling of its path."""
    assume(name not in {".", ".."})
    escaped = "".join(f"%{ord(char):02x}" for char in name)
    assert parse(f"/{escaped}") == parse(f"/{name}") == parse(f"/{quote(name)}")


@given(names, values)
def test_a_value_never_becomes_a_parameter(name: str, value: str) -> None:
    """Spelling a pair gives exactly one ampersand-free piece with one equals sign."""
    spelled = encode_query(((name, value),))
    assert spelled.count("=") == 1
    assert not set("&;+# ") & set(spelled)
