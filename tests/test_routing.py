"""The one route of a request: specific before general, one route for each method of a path, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Match, Part, RouteTable, parse_template, shape
from gateway.vocab.messages import CallerKind, Target
from gateway.vocab.policy import Access, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.target import parse

OPEN = dict.fromkeys(CallerKind, Access())


def route(path: str, *methods: str, name: str = "") -> Route:
    """Make a route that is named like its path unless told otherwise."""
    return Route(name or path, path, frozenset(methods or ("GET",)), OPEN)


TABLE = RouteTable(
    [
        route("/v2/customers", "GET", name="list"),
        route("/v2/customers", "POST", name="register"),
        route("/v2/customers/tokens", "POST", name="login"),
        route("/v2/customers/{id}", "GET", "PUT", name="customer"),
        route("/v2/customers/{cid}", "DELETE", name="removal"),
        route("/v2/customers/{id}/addresses/{aid}", name="address"),
        route("/catalog/{rest...}", name="catalog"),
        route("/catalog/special", name="special"),
        route("/catalog/{kind}/top", name="top"),
        route("/only-post", "POST", name="only-post"),
    ]
)


def match(method: str, path: str) -> Match | Refusal:
    """Match a path that needs no decoding."""
    return TABLE.match(method, tuple(path.split("/")[1:]) if path != "/" else ())


@pytest.mark.parametrize(
    ("method", "path", "name", "parameters"),
    [
        pytest.param("GET", "/v2/customers", "list", {}, id="a literal path"),
        pytest.param("POST", "/v2/customers", "register", {}, id="another method of the same path"),
        pytest.param("GET", "/v2/customers/c1", "customer", {"id": "c1"}, id="a parameter"),
        pytest.param("DELETE", "/v2/customers/c1", "removal", {"cid": "c1"}, id="a route has its own parameter names"),
        pytest.param("POST", "/v2/customers/tokens", "login", {}, id="a literal wins over a parameter"),
        pytest.param("GET", "/v2/customers/c1/addresses/a1", "address", {"id": "c1", "aid": "a1"}, id="two parameters"),
        pytest.param(
            "GET",
            "/v2/customers/tokens/addresses/a1",
            "address",
            {"id": "tokens", "aid": "a1"},
            id="a literal that ends",
        ),
        pytest.param("GET", "/catalog/special", "special", {}, id="a literal wins over the tail"),
        pytest.param("GET", "/catalog/x/top", "top", {"kind": "x"}, id="a parameter wins over the tail"),
        pytest.param(
            "GET", "/catalog/special/top", "top", {"kind": "special"}, id="back from a literal to a parameter"
        ),
        pytest.param("GET", "/catalog/a", "catalog", {"rest": "a"}, id="a tail of one"),
        pytest.param("GET", "/catalog/a/b/c", "catalog", {"rest": "a/b/c"}, id="a tail of three"),
        pytest.param(
            "GET", "/catalog/special/x", "catalog", {"rest": "special/x"}, id="back from a literal to the tail"
        ),
        pytest.param("HEAD", "/v2/customers", "list", {}, id="HEAD follows GET"),
    ],
)
def test_a_path_belongs_to_its_most_specific_template(
    method: str, path: str, name: str, parameters: dict[str, str]
) -> None:
    """At each segment a literal wins over a parameter, and a parameter over the tail."""
    found = match(method, path)
    assert isinstance(found, Match)
    assert (found.route.name, found.parameters) == (name, parameters)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2",
        "/v2/customers/c1/orders",
        "/v2/Customers",
        "/v2/customers/c1/addresses",
        "/catalog",
        "/v2/{id}",
        "/x",
    ],
)
def test_a_path_that_is_not_in_the_table_does_not_exist(path: str) -> None:
    """No prefix, no other case and no longer path is a route."""
    assert match("GET", path) == Refusal(Code.ROUTE_UNKNOWN)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        pytest.param("PATCH", "/v2/customers", ("GET", "HEAD", "POST"), id="routes of one path together"),
        pytest.param("POST", "/v2/customers/c1", ("DELETE", "GET", "HEAD", "PUT"), id="templates that differ in names"),
        pytest.param("GET", "/v2/customers/tokens", ("POST",), id="no fall back from a literal to a parameter"),
        pytest.param("HEAD", "/only-post", ("POST",), id="HEAD without GET"),
        pytest.param("OPTIONS", "/catalog/x", ("GET", "HEAD"), id="OPTIONS"),
        pytest.param("get", "/v2/customers", ("GET", "HEAD", "POST"), id="a method in lower case is another method"),
    ],
)
def test_another_method_is_told_which_there_are(method: str, path: str, allow: tuple[str, ...]) -> None:
    """405 carries what the path answers; a more general template does not step in."""
    assert match(method, path) == Refusal(Code.METHOD_NOT_ALLOWED, allow=allow)


def test_an_own_head_route_wins_over_get() -> None:
    """HEAD follows GET unless the table says otherwise."""
    table = RouteTable([route("/x", "GET", name="get"), route("/x", "HEAD", name="head")])
    found = table.match("HEAD", ("x",))
    assert isinstance(found, Match)
    assert found.route.name == "head"
    assert table.match("PUT", ("x",)) == Refusal(Code.METHOD_NOT_ALLOWED, allow=("GET", "HEAD"))


def test_a_method_of_a_path_has_one_route() -> None:
    """A table with two answers to one question is not made."""
    with pytest.raises(ValueError, match=r"GET /x/\{b\} belongs to /x/\{a\} already"):
        RouteTable([route("/x/{a}"), route("/x/{b}")])


def test_a_template_is_read_into_parts() -> None:
    """Literals, parameters and the tail."""
    assert parse_template("/v2/{id}/x.y/{rest...}") == (
        Part("v2"),
        Part("id", is_parameter=True),
        Part("x.y"),
        Part("rest", is_parameter=True, is_tail=True),
    )


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "begins with one slash"),
        ("/", "begins with one slash"),
        ("v2", "begins with one slash"),
        ("/v2/..", "a segment is plain text"),
        ("/v2/.", "a segment is plain text"),
        ("/v2/%41", "a segment is plain text"),
        ("/v2/a b", "a segment is plain text"),
        ("/v2/a;b", "a segment is plain text"),
        ("/v2/é", "a segment is plain text"),
        ("/v2/{id", "a segment is plain text"),
        ("/v2/{Id}", "a segment is plain text"),
        ("/v2/{}", "a segment is plain text"),
        ("/v2/{1d}", "a segment is plain text"),
        ("/v2/x{id}", "a segment is plain text"),
        ("/v2/{id}.json", "a segment is plain text"),
        ("/v2/{id..}", "a segment is plain text"),
        ("/v2/{id}/x/{id}", "only once"),
        ("/v2/{rest...}/x", "only at the end"),
    ],
)
def test_a_template_that_cannot_be_read_says_what_to_write(path: str, sentence: str) -> None:
    """The grammar of templates is closed; an operator reads the rule that was broken."""
    with pytest.raises(ValueError, match=sentence):
        parse_template(path)


def test_equal_shapes_are_the_same_path() -> None:
    """Names of parameters do not tell paths apart; literals and tails do."""
    assert shape("/a/{x}/{y...}") == shape("/a/{p}/{q...}") == "a/{}/{...}"
    assert len({shape("/a/{x}"), shape("/a/{x...}"), shape("/a/x")}) == 3


templates = st.lists(st.sampled_from(["a", "b", "{x}", "{y}"]), min_size=1, max_size=4).filter(
    lambda parts: len(set(parts) & {"{x}", "{y}"}) == sum(part[0] == "{" for part in parts)
)
paths = st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(tuple)


def fits(template: str, segments: tuple[str, ...]) -> bool:
    """Say whether a template without tail matches, the slow and simple way."""
    parts = template[1:].split("/")
    return len(parts) == len(segments) and all(p[0] == "{" or p == s for p, s in zip(parts, segments, strict=True))


@given(st.lists(templates.map(lambda parts: "/" + "/".join(parts)), max_size=6, unique_by=shape), paths)
def test_the_tree_agrees_with_trying_every_template(written: list[str], segments: tuple[str, ...]) -> None:
    """A path has a route exactly if some template fits, and the route's template fits with the matched values."""
    found = RouteTable(map(route, written)).match("GET", segments)
    candidates = [path for path in written if fits(path, segments)]
    if isinstance(found, Refusal):
        assert not candidates
        return
    assert found.route.path in candidates
    filled = tuple(found.parameters.get(part.strip("{}"), part) for part in found.route.path[1:].split("/"))
    assert filled == segments
    firsts = [path[1:].split("/")[0] for path in candidates]
    assert segments[0] not in firsts or found.route.path[1:].split("/")[0] == segments[0]


def sent(target: str) -> str | Refusal:
    """Say what an open route passes on of a target."""
    read = parse(target)
    assert isinstance(read, Target)
    match = TABLE.match("GET", read.segments)
    assert isinstance(match, Match)
    return TABLE.as_sent("GET", target, read, match.route)


@pytest.mark.parametrize(
    "target", ["/catalog/a", "/catalog/a%2Bb?x", "/catalog/%61?q=a+b", "/catalog/m%C2%B2", "/catalog/e%CC%81?q=%E9"]
)
def test_a_target_with_one_route_in_every_reading_leaves_as_it_came(target: str) -> None:
    """Undecoded and normalised it is the same route's."""
    assert sent(target) == target


def test_escapes_without_which_a_path_is_a_routes_are_undone() -> None:
    """Who does not decode would find no route; the query stays as it came."""
    assert sent("/c%61talog/%61?q=a+b&c") == "/catalog/a?q=a+b&c"


@pytest.mark.parametrize("target", ["/catalog/speci%61l", "/catalog/%EF%BD%93pecial", "/v2/customers/%74okens"])
def test_a_target_of_two_routes_is_refused(target: str) -> None:
    """Decoded, undecoded or normalised: one route for all, or none."""
    read = parse(target)
    assert isinstance(read, Target)
    match = TABLE.match("GET", read.segments)
    if isinstance(match, Match):
        refusal = TABLE.as_sent("GET", target, read, match.route)
        assert isinstance(refusal, Refusal)
        assert refusal.code is Code.TARGET_AMBIGUOUS
    else:
        assert match.code is Code.METHOD_NOT_ALLOWED
