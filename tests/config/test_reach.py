"""Which paths a template reaches: the same as the router says, for sets of paths instead of one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.reach import Template, Tree, covers, is_taken, meet, reaches, spelled
from gateway.routing import Match, RouteTable, parse_template, shape
from gateway.vocab.policy import Route
from tests.config.writing import templates


def parsed(*paths: str) -> list[Template]:
    """Read templates."""
    return [parse_template(path) for path in paths]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("/a/{x}", "/a/b", "/a/b"),
        ("/a/{x}", "/a/{y}", "/a/{y}"),
        ("/a/{x}", "/{y}/b", "/a/b"),
        ("/a/b", "/a/c", None),
        ("/a/b", "/a/b/c", None),
        ("/a/{x}", "/a/b/c", None),
        ("/a/{rest...}", "/a/b/{x}", "/a/b/{x}"),
        ("/a/{rest...}", "/{x}/{rest...}", "/a/{rest...}"),
        ("/a/{rest...}", "/a", None),
        ("/a/{x}/{rest...}", "/a/{rest...}", "/a/{x}/{rest...}"),
    ],
)
def test_what_two_templates_share(first: str, second: str, shared: str | None) -> None:
    """One template, or nothing; in either order."""
    for one, other in ((first, second), (second, first)):
        met = meet(*parsed(one, other))
        assert (None if met is None else shape(spelled(met))) == (None if shared is None else shape(shared))


@pytest.mark.parametrize(
    ("template", "others", "taken"),
    [
        pytest.param("/a/{x}", ["/a/b"], False, id="one path of many"),
        pytest.param("/a/{rest...}", ["/a/{x}"], False, id="two segments are left"),
        pytest.param("/a/{rest...}", ["/a/{x}", "/a/{x}/{rest...}"], True, id="one segment, and two or more"),
        pytest.param("/a/{rest...}", ["/a/{x}", "/a/{x}/{y}", "/a/{x}/{y}/{rest...}"], True, id="one, two, more"),
        pytest.param("/a/{rest...}", ["/a/{x}", "/a/{x}/{y}/{rest...}"], False, id="two are left"),
        pytest.param("/a/{rest...}", ["/a/{x}", "/a/b/{rest...}"], False, id="others than b are left"),
        pytest.param("/a/{x}", ["/{y}/{x}", "/{rest...}"], False, id="less specific ones take nothing"),
    ],
)
def test_a_route_whose_paths_all_belong_to_others(template: str, others: list[str], *, taken: bool) -> None:
    """Only then it never matches."""
    paths_of = parse_template(template)
    assert is_taken(paths_of, paths_of, parsed(template, *others)) is taken


@pytest.mark.parametrize(
    ("template", "reached"),
    [
        ("/v2/orders", True),
        ("/v2/orders/{id}", True),
        ("/v2/orders/{id}/items/{iid}", True),
        ("/v2/orders/export", True),
        ("/v2/{kind}", True),
        ("/v2/{kind}/{id}", True),
        ("/v2/{rest...}", True),
        ("/{rest...}", True),
        ("/v2", False),
        ("/v2/orderss", False),
        ("/v2/products/{rest...}", False),
        ("/v3/{rest...}", False),
    ],
)
def test_templates_that_reach_into_a_collection(template: str, *, reached: bool) -> None:
    """The collection, its records, and whatever lies below them."""
    assert reaches(parse_template(template), parse_template("/v2/orders"), parsed(template)) is reached


def test_what_belongs_to_others_is_not_reached() -> None:
    """A tail beside routes for the collection and all below it leads elsewhere only."""
    owned = parsed("/v2/orders", "/v2/orders/{id}", "/v2/orders/{id}/{rest...}")
    (tail,) = parsed("/v2/{rest...}")
    assert not reaches(tail, owned[0], [tail, *owned])
    for left_out in owned:
        assert reaches(tail, owned[0], [tail, *(template for template in owned if template is not left_out)])


# Properties

paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(tuple)


def owner(written: list[str], path: tuple[str, ...]) -> str | None:
    """Return the template to which the router gives a path."""
    match = RouteTable(Route(one, one, frozenset({"GET"}), {}) for one in written).match("GET", path)
    return match.route.path if isinstance(match, Match) else None


@settings(deadline=None)
@given(templates(), templates(), paths)
def test_a_meeting_holds_the_paths_of_both(first: str, second: str, path: tuple[str, ...]) -> None:
    """No more and no fewer."""
    shared = meet(*parsed(first, second))
    both = owner([first], path) is not None and owner([second], path) is not None
    assert both == (shared is not None and owner([spelled(shared)], path) is not None)
    if covers(*parsed(first, second)):
        assert owner([second], path) is None or owner([first], path) is not None


@settings(deadline=None)
@given(st.lists(templates(), min_size=1, max_size=5, unique_by=shape), paths)
def test_a_template_without_paths_never_matches(written: list[str], path: tuple[str, ...]) -> None:
    """What is taken according to the algebra, the router gives to others."""
    template, *others = written
    if is_taken(parse_template(template), parse_template(template), parsed(*written)):
        assert owner(written, path) != template
    if owner(written, path) == template:
        assert not is_taken(parse_template("/" + "/".join(path)), parse_template(template), parsed(*others))


@settings(deadline=None)
@given(st.lists(templates(), max_size=12), templates(), templates())
def test_a_tree_finds_what_a_look_at_each_template_finds(written: list[str], first: str, second: str) -> None:
    """In the same order, a template that stands there twice included; what is taken and reached is the same."""
    template, paths = parsed(first, second)
    several = parsed(*written)
    tree = Tree((one, index) for index, one in enumerate(several))
    assert tree.meeting(template) == [(one, i) for i, one in enumerate(several) if meet(one, template) is not None]
    assert is_taken(paths, template, tree) == is_taken(paths, template, several)
    assert reaches(template, paths, tree) == reaches(template, paths, several)
