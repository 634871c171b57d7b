"""What all dialects refuse: names and values that hide something, and the words of their refusals."""

import pytest

from gateway.scope.filters import DIALECTS
from gateway.scope.filters.dialect import invalid, refuse_name, refuse_value, repeated, reserved_field
from gateway.scope.names import reserved_names
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner", "customer.uuid"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a;b",
        "a&b",
        "a=b",
        "a%62",
        "a#b",
        "a\\b",
        "a\x00",
        "a\r\nb",
        "\u0441\u0442\u0430\u0442\u0443\u0441",
        "a\u202e",
        "x" * 129,
    ],
)
def test_a_parameter_name_with_hidden_structure_is_refused(name: str) -> None:
    """A second decoding behind us must find nothing to decode or split."""
    assert refuse_name(name) == Refusal(
        Code.QUERY_NOT_ALLOWED, "a parameter name is too long or has unexpected characters", "query"
    )


@pytest.mark.parametrize("name", ["sort", "page[limit]", 'data->>"a b"', "fields[order]", "x" * 128])
def test_an_ordinary_parameter_name_passes(name: str) -> None:
    """Brackets, JSON paths and quotes are structure that dialects use."""
    assert refuse_name(name) is None


def test_an_owner_value_that_restricts_nothing_is_refused() -> None:
    """Backends read an empty value as "no filter"; control characters may end it early."""
    assert [refuse_value(value) is None for value in ("79cc0486-bbdf", "", "a\x00", "a\nb", "a\u202eb")] == [
        True,
        *[False] * 4,
    ]


def test_refusals_have_the_codes_of_the_catalogue() -> None:
    """One code for each kind of "no", and the client is told which field."""
    found = [(refusal.code, refusal.source) for refusal in (invalid("x"), reserved_field(), repeated())]
    assert found == [
        (Code.FILTER_INVALID, "query.filter"),
        (Code.FILTER_FIELD_RESERVED, "query.filter"),
        (Code.QUERY_REPEATED, "query.filter"),
    ]


def test_the_list_names_every_dialect() -> None:
    """The four dialects of the design, the default first."""
    assert list(DIALECTS) == ["epcc", "query", "jsonapi", "postgrest"]


@pytest.mark.parametrize("name", list(DIALECTS))
def test_every_dialect_puts_our_clause_first_and_keeps_the_rest(name: str) -> None:
    """What the client asked besides the filter arrives unchanged and in order, behind our clause."""
    rest = (("page[limit]", "10"), ("sort", "-created_at"), ("sort", "id"))
    scoped = DIALECTS[name].scope(rest, "customer_id", "c1", RESERVED, "filter")
    assert scoped == (*DIALECTS[name].equals("customer_id", "c1", "filter"), *rest)


@pytest.mark.parametrize("name", list(DIALECTS))
@pytest.mark.parametrize("value", ["", "c1\x00", "c1\r\nx"])
def test_no_dialect_scopes_to_a_value_that_restricts_nothing(name: str, value: str) -> None:
    """An empty or broken owner closes the route instead of opening it."""
    scoped = DIALECTS[name].scope((), "customer_id", value, RESERVED, "filter")
    assert isinstance(scoped, Refusal)
    assert scoped.code is Code.FILTER_INVALID


@pytest.mark.parametrize("name", list(DIALECTS))
def test_no_dialect_passes_a_parameter_name_with_hidden_structure(name: str) -> None:
    """`x&customer_id` decoded once would be two parameters for whoever decodes twice."""
    scoped = DIALECTS[name].scope((("x&y", "1"),), "customer_id", "c1", RESERVED, "filter")
    assert isinstance(scoped, Refusal)
    assert scoped.code is Code.QUERY_NOT_ALLOWED
