"""Rules about names: when two spellings are the same word, and what no name or value may be."""

import pytest

from gateway.scope.filters import DIALECTS
from gateway.scope.filters.dialect import (
    MAX_NAME,
    fold,
    invalid,
    is_alias,
    is_reserved,
    refuse_name,
    refuse_value,
    repeated,
    reserved_field,
    reserved_names,
)
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner", "customer.uuid"])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("customer_id", id="the field itself"),
        pytest.param("customer.id", id="a dot instead of the underscore"),
        pytest.param("customerId", id="camel case"),
        pytest.param("CUSTOMER-ID", id="capitals and a dash"),
        pytest.param("customer[id]", id="a bracket"),
        pytest.param(" customer_id ", id="spaces around it"),
        pytest.param("customer\u200b_id", id="a zero-width space inside"),
        pytest.param("\u202ecustomer_id", id="a right-to-left mark before it"),
        pytest.param("customer_id\x00", id="a NUL behind it"),
        pytest.param("\uff43ustomer\uff3f\uff49d", id="full-width letters"),
        pytest.param('"customer_id"', id="quotes around it"),
        pytest.param("customer_id[]", id="an empty bracket behind it"),
        pytest.param("customer_id[0]", id="an index behind it"),
        pytest.param("customer_id\uff3b0\uff3d", id="a full-width index behind it"),
        pytest.param("customer[id][ne]", id="an operator behind the nested name"),
        pytest.param("customer_id.0", id="a dotted index behind it"),
        pytest.param("customer_id__in", id="a Django operator behind it"),
        pytest.param("customer_id->>x", id="a JSON path behind it"),
        pytest.param("customer_id::text", id="a cast behind it"),
        pytest.param("OWNER", id="an alias in capitals"),
        pytest.param("owner.name", id="a member of an alias"),
        pytest.param("customer_uuid", id="another spelling of an alias"),
        pytest.param("x" * (MAX_NAME + 1), id="a name too long to be judged"),
    ],
)
def test_a_reserved_name_is_recognised_in_every_spelling(name: str) -> None:
    """Case, punctuation, Unicode dress and structure behind a name do not hide it."""
    assert is_reserved(name, RESERVED)


@pytest.mark.parametrize(
    "name", ["customer", "id", "customer_ids", "customer_identity", "status", "owners", "page[id]"]
)
def test_other_names_are_not_reserved(name: str) -> None:
    """A name that merely shares letters with a reserved one stays free."""
    assert not is_reserved(name, RESERVED)


def test_reserved_names_are_folded_once() -> None:
    """Field and aliases end up as one set of words."""
    assert reserved_names("customer_id", ["customer.id", "Owner"]) == {"customerid", "owner"}
    assert fold("Straße_Nr.1") == "strassenr1"


def test_a_reserved_name_without_letters_is_a_fault_of_the_configuration() -> None:
    """Nothing could be compared with it."""
    with pytest.raises(ValueError, match="at least one letter"):
        reserved_names("customer_id", ["._-"])


@pytest.mark.parametrize(
    "name",
    [
        "FILTER",
        "Filter",
        "filter[]",
        "filter[x]",
        "filter.x",
        "f-i-l-t-e-r",
        "\uff46ilter",
        " filter",
        "filter\x00",
        "filter[",
    ],
)
def test_an_alias_of_the_parameter_is_recognised(name: str) -> None:
    """What somebody behind us might read as the controlled parameter counts as it."""
    assert is_alias(name, "filter")


@pytest.mark.parametrize("name", ["filter", "filters", "page[filter]", "sort", "x" * 200])
def test_other_parameters_are_no_alias(name: str) -> None:
    """The parameter itself and unrelated ones are no aliases."""
    assert not is_alias(name, "filter")


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
