"""When two spellings of a name are the same word for somebody behind us."""

import pytest

from gateway.scope.names import MAX_NAME, fold, is_alias, is_reserved, reserved_names

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
