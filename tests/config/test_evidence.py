"""What the rules of one access prove, rule by rule; what an operator reads of the rest is in the golden cases."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.evidence import Evidence, knows_the_customer
from gateway.config.model import Route, Rules
from gateway.vocab.messages import CallerKind
from gateway.vocab.record_form import PRESETS
from tests.config.writing import route

LIST, ORDER, ITEMS, ITEM = "/v2/orders", "/v2/orders/{oid}", "/v2/orders/{oid}/items", "/v2/orders/{oid}/items/{iid}"
ADDRESSES, ADDRESS = "/v2/customers/{id}/addresses", "/v2/customers/{id}/addresses/{aid}"
# The parameters above that name records with an owner.
OWNED = frozenset({2, 4})

FILTER = {"filter": {"field": "customer_id"}}
PATH_OWNER = {"path_owner": {"parameter": "id"}}
PARENT = {"parent_owner": {"path": ORDER, "pointer": "/customer_id"}}
GUESTS_PARENT = {"parent_owner": {"path": ORDER, "pointer": "/customer_id", "accepts": "guest"}}
ITSELF = {"parent_owner": {"pointer": "/customer_id"}}
ITSELF_OR_GUEST = {"parent_owner": {"pointer": "/customer_id", "accepts": "own_or_guest"}}
FIELDS = {"body_fields": {"allow": ["name"]}}
STAMP = {"body_stamp": {"pointer": "/data/customer"}}
OWNER = {"owner": {"pointer": "/customer_id"}}
OWN_OR_UNNAMED = {"owner": {"pointer": "/customer_id", "required": False}}
PART = {"belongs_to": {"parameter": "oid", "pointer": "/order_id"}}
PART_OR_UNNAMED = {"belongs_to": {"parameter": "oid", "pointer": "/order_id", "required": False}}
FORBID = {"body_fields": {"forbid": ["id"]}}
REDACT = {"redact": {"pointers": ["/note"]}}


def identity(parameter: str) -> dict[str, Any]:
    """Write the guard."""
    return {"identity": {"parameter": parameter}}


def evidence(
    path: str, scope: list[Any], guard: list[Any], caller: str = "customer", claim: str = "", **keys: Any
) -> Evidence:
    """Make the evidence of one access."""
    rules = Rules.model_validate({"scope": scope, "guard": guard})
    model = Route.model_validate(route(path=path, access={"trusted": "open", caller: rules}, **keys))
    parts = path[1:].split("/")
    owned = frozenset(at for at, part in enumerate(parts) if part.startswith("{")) & OWNED
    return Evidence(model, CallerKind(caller), rules, owned, claim)


@pytest.mark.parametrize(
    ("path", "scope", "guard", "proven"),
    [
        pytest.param(LIST, [FILTER], [OWNER], True, id="a list, narrowed and judged"),
        pytest.param(LIST, [], [OWNER], True, id="a list, judged"),
        pytest.param(LIST, [FILTER], [REDACT], False, id="a list, narrowed"),
        pytest.param(LIST, [FILTER], [OWN_OR_UNNAMED], False, id="a filter does not prove records that name nobody"),
        pytest.param(LIST, [STAMP], [OWN_OR_UNNAMED], False, id="nor does a stamp in the body of a look"),
        pytest.param(ORDER, [], [OWNER], True, id="a record, judged"),
        pytest.param(ORDER, [ITSELF], [], False, id="a record looked up and not judged"),
        pytest.param(ORDER, [ITSELF], [identity("oid")], False, id="looked up and only compared with the path"),
        pytest.param(ORDER, [ITSELF], [OWN_OR_UNNAMED, identity("oid")], True, id="looked up and judged"),
        pytest.param(ITEMS, [PARENT], [PART], True, id="parts of a record that was looked up"),
        pytest.param(ITEMS, [GUESTS_PARENT], [PART], True, id="parts of a guest's record"),
        pytest.param(ITEMS, [], [PART], False, id="parts of any record"),
        pytest.param(ITEMS, [PARENT], [PART_OR_UNNAMED], False, id="parts that need not be parts"),
        pytest.param(ITEMS, [PARENT], [PART_OR_UNNAMED, OWN_OR_UNNAMED], True, id="unnamed parts, by the parent alone"),
        pytest.param(ITEM, [PARENT], [OWN_OR_UNNAMED], False, id="an unnamed part that need not be the asked one"),
        pytest.param(ITEM, [PARENT], [OWN_OR_UNNAMED, identity("oid")], False, id="identity of another parameter"),
        pytest.param(ITEM, [PARENT], [OWN_OR_UNNAMED, identity("iid")], True, id="the unnamed part that was asked for"),
        pytest.param(ADDRESSES, [PATH_OWNER], [OWN_OR_UNNAMED], True, id="a list below the customer"),
        pytest.param(ADDRESSES, [], [OWN_OR_UNNAMED], False, id="a list below any customer"),
        pytest.param(ADDRESS, [ITSELF_OR_GUEST], [OWN_OR_UNNAMED, identity("aid")], False, id="below any customer"),
        pytest.param(
            ADDRESS,
            [PATH_OWNER, ITSELF_OR_GUEST],
            [OWN_OR_UNNAMED, identity("aid")],
            True,
            id="below the customer",
        ),
        pytest.param("/v2/files/{rest...}", [], [OWNER], True, id="whatever a tail names, judged"),
        pytest.param("/v2/files/{rest...}", [FILTER], [REDACT], False, id="whatever a tail names, narrowed"),
    ],
)
def test_what_proves_a_read(path: str, scope: list[Any], guard: list[Any], *, proven: bool) -> None:
    """Every record must be compared with the customer, or be part of a path that is."""
    assert (list(evidence(path, scope, guard).gaps("GET")) == []) is proven


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "scope", "proven"),
    [
        pytest.param(ORDER, [], False, id="a record, not looked at before"),
        pytest.param(ORDER, [FILTER], False, id="a filter narrows no write"),
        pytest.param(ORDER, [STAMP], False, id="a stamp would take the record over"),
        pytest.param(ORDER, [ITSELF], True, id="a record, looked up"),
        pytest.param(ORDER, [PARENT], True, id="the same, with its path written out"),
        pytest.param(ADDRESS, [PATH_OWNER], True, id="below the customer"),
        pytest.param(ADDRESS, [ITSELF_OR_GUEST], False, id="an unnamed record below any customer"),
        pytest.param(ADDRESS, [ITSELF], True, id="a record that must name the customer"),
        pytest.param(ITEMS, [STAMP], False, id="a stamp below any record"),
        pytest.param(ITEMS, [PARENT], True, id="below a record that was looked up"),
        pytest.param(LIST, [], False, id="a creation without a stamp"),
        pytest.param(LIST, [FIELDS], False, id="a creation that may name anybody"),
        pytest.param(LIST, [STAMP], True, id="a creation with a stamp"),
        pytest.param("/v2/carts/{ref}", [STAMP], False, id="a stamp does not say whose a record is"),
        pytest.param("/v2/carts/checkout", [STAMP], True, id="an action with a stamp"),
        pytest.param("/v2/returns/{oid}", [PARENT], False, id="a look-up of a record of another collection"),
    ],
)
def test_what_proves_a_write(path: str, scope: list[Any], method: str, *, proven: bool) -> None:
    """Before it is sent it must be known whose record it changes, and its answer is judged like any other."""
    assert (list(evidence(path, scope, [OWNER]).gaps(method)) == []) is proven
    assert list(evidence(path, [*scope, ITSELF], [REDACT]).gaps(method)) != []


def test_a_public_caller_creates_for_nobody() -> None:
    """There is no id for a stamp: the body's fields are listed, and cannot name whom a customer's body names."""
    path = "/v2/carts/{ref}/checkout"
    customer = {"scope": [STAMP], "guard": [OWN_OR_UNNAMED]}
    for fields, proven in (
        ({"allow": ["name", "customer/name"]}, True),
        ({"forbid": ["customer"]}, True),
        ({"allow": ["customer"], "forbid": ["customer/id"]}, True),
        ({"allow": [], "match": {"customer": "ref"}}, True),
        ({"allow": ["customer"]}, False),
        ({"forbid": ["account"]}, False),
    ):
        rules = Rules.model_validate({"scope": [{"body_fields": fields}], "guard": [OWN_OR_UNNAMED]})
        model = Route.model_validate(route(path=path, access={"public": rules, "customer": customer}))
        assert (list(Evidence(model, CallerKind.PUBLIC, rules).gaps("POST")) == []) is proven


@pytest.mark.parametrize(
    ("parameter", "open_include"),
    [
        ("include", False), ("Include", False), ("include[items]", False), ("fields[orders]", False), ("sort", False),
        ("expand", True), ("$expand", True), ("expand[]", True), ("_embed", True), ("populate", True), ("select", True),
    ],
)  # fmt: skip
def test_what_adds_records_must_be_judged(parameter: str, *, open_include: bool) -> None:
    """An owner guard judges what stands beside the records, and nothing what stands inside."""
    judged = evidence(LIST, [FILTER], [OWNER], query=[parameter])
    assert [where for where, _, _ in judged.gaps("GET")] == ([("query", 0)] if open_include else [])
    for unjudged in (
        evidence(ITEMS, [PARENT], [PART], query=[parameter]),
        replace(evidence(LIST, [], [OWNER], query=[parameter]), form=PRESETS["rest"]),
    ):
        expected = open_include or parameter.casefold().startswith("include")
        assert [where for where, _, _ in unjudged.gaps("GET")] == ([("query", 0)] if expected else [])


@pytest.mark.parametrize("form", ["rest", "drf"])
def test_where_nothing_is_around_a_record_it_must_name_its_owner(form: str) -> None:
    """A nameless answer could be anything there."""
    for guard, places in (
        ([OWNER, REDACT], []),
        ([{"owner": {"pointer": "/customer_id", "required": False}}], [("access", "customer", "guard", 0)]),
    ):
        found = replace(evidence(ADDRESSES, [PATH_OWNER], guard), form=PRESETS[form]).gaps("GET")
        assert [where for where, _, _ in found] == places


def test_records_that_have_owners_elsewhere_are_nobodys_to_give() -> None:
    """`open` is for what is everybody's: not for what another route knows an owner of, nor for customers alone."""
    assert list(evidence(LIST, [], [REDACT], "public").gaps("GET")) == []
    assert list(evidence(LIST, [], [REDACT], "public", claim="route orders").gaps("GET")) != []
    assert list(evidence(LIST, [], [REDACT]).gaps("GET")) != []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert list(evidence(ORDER, [FIELDS], [], "public", claim="route orders").gaps(method)) != []


def test_a_registration_makes_its_own_customer() -> None:
    """What it answers is judged where passwords are kept."""
    assert list(evidence("/v2/customers", [FIELDS], [], "public", "x", passwords="register").gaps("POST")) == []


@pytest.mark.parametrize("mode", ["change", "forget"])
def test_a_password_is_the_callers_own(mode: str) -> None:
    """The last parameter says whose it is."""
    method = "PUT" if mode == "change" else "DELETE"
    own = evidence("/v2/customers/{id}", [PATH_OWNER], [OWNER], passwords=mode)
    assert list(own.gaps(method)) == []
    other = evidence("/v2/{id}/{other}", [PATH_OWNER], [OWNER], passwords=mode)
    assert any("password" in what for _, what, _ in other.gaps(method))
    assert any("password" in what for _, what, _ in evidence(ORDER, [], [], "public", passwords=mode).gaps(method))


@pytest.mark.parametrize(
    ("method", "path", "scope", "told"),
    [
        ("GET", LIST, [], "nothing narrows this list"),
        ("GET", LIST, [FILTER], None),
        ("GET", ORDER, [], None),
        ("PUT", ITEM, [PARENT, FIELDS], "the API is trusted that {iid}"),
        ("DELETE", ITEM, [PARENT, ITSELF], None),
        ("POST", ITEMS, [PARENT], "the body may name another owner"),
        ("POST", ITEMS, [PARENT, FIELDS], None),
        ("DELETE", ORDER, [ITSELF], None),
        (
            "DELETE",
            ORDER,
            [ITSELF, FIELDS],
            "body_fields is about a body, which such a request mostly lacks (422 then)",
        ),
        ("DELETE", ORDER, [ITSELF, FORBID], "body_fields is about a body, which such a request mostly lacks: give it"),
        ("DELETE", ORDER, [ITSELF, STAMP], None),
        ("GET", ORDER, [FIELDS], "body_fields is about a body, which such a request mostly lacks (422 then)"),
        ("PUT", ORDER, [ITSELF, FIELDS], None),
    ],
)
def test_what_is_told_of_a_proven_route(method: str, path: str, scope: list[Any], told: str | None) -> None:
    """Things that isolate and yet are worth a look."""
    proven = evidence(path, scope, [OWNER])
    assert list(proven.gaps(method)) == []
    notes = list(proven.notes(method))
    assert len(notes) == (told is not None)
    assert told is None or notes[0].startswith(told)


# Properties

scopes = st.lists(
    st.sampled_from([FILTER, PATH_OWNER, PARENT, GUESTS_PARENT, ITSELF, ITSELF_OR_GUEST, FIELDS, STAMP]), max_size=3
)
guards = st.lists(
    st.sampled_from([OWNER, OWN_OR_UNNAMED, PART, PART_OR_UNNAMED, REDACT, identity("oid"), identity("aid")]),
    max_size=3,
)
paths = st.sampled_from([LIST, ORDER, ITEMS, ITEM, ADDRESSES, ADDRESS, "/v2/carts/{ref}", "/v2/files/{rest...}"])


@settings(deadline=None)
@given(paths, scopes, guards, st.sampled_from(["public", "customer"]))
def test_no_read_is_proven_without_a_guard_that_knows_an_owner(
    path: str, scope: list[Any], guard: list[Any], caller: str
) -> None:
    """Whatever else stands beside it."""
    found = evidence(path, scope, guard, caller, claim="route x")
    if not list(found.gaps("GET")):
        assert any(name in one for one, name in product(guard, ("owner", "belongs_to")))
        assert OWNER in guard or any("parent_owner" in one or "path_owner" in one for one in scope)


@settings(deadline=None)
@given(paths, scopes, guards, st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]))
def test_no_write_is_proven_without_a_check_before_and_after(
    path: str, scope: list[Any], guard: list[Any], method: str
) -> None:
    """Before it the path or the body, after it the answer."""
    found = evidence(path, scope, guard, claim="route x")
    if not list(found.gaps(method)):
        assert any(name in one for one, name in product(scope, ("path_owner", "parent_owner", "body_stamp")))
        assert any(name in one for one, name in product(guard, ("owner", "belongs_to", "identity")))
        assert not path.endswith("}") or any("path_owner" in one or "parent_owner" in one for one in scope)


@settings(deadline=None)
@given(paths, scopes, guards, st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_a_proof_stays_one_when_a_check_is_added(path: str, scope: list[Any], guard: list[Any], method: str) -> None:
    """More rules never make a gap: nobody is led to remove one."""
    found = evidence(path, scope, guard, claim="route x")
    if found.knows and not list(found.gaps(method)):
        assert not list(evidence(path, [*scope, ITSELF], [*guard, OWNER], claim="route x").gaps(method))


def test_which_rules_know_the_customer() -> None:
    """Those that only compare names, or the path with the answer, do not."""
    knowing = [FILTER, PATH_OWNER, PARENT, STAMP]
    assert all(knows_the_customer(Rules.model_validate({"scope": [rule]})) for rule in knowing)
    assert all(knows_the_customer(Rules.model_validate({"guard": [rule]})) for rule in (OWNER, PART))
    assert not knows_the_customer(Rules.model_validate({"scope": [FIELDS], "guard": [REDACT, identity("oid")]}))
    assert not knows_the_customer("open")
    assert not knows_the_customer(None)
