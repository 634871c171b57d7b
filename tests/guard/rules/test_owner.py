"""Guard rule `owner`: every record is the customer's, or nothing of the answer leaves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from gateway.guard.core import judge
from gateway.guard.rules.owner import Owner
from gateway.vocab.messages import Answer, Whose
from gateway.vocab.policy import Access, Route
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.links import LinkRewriter
from tests.guard.judging import FOREIGN, GUESSED, NARROWED, OWN, WHOSE, inspected, order, refused

REST = PRESETS["rest"]
ORDERS = Owner(pointer="/relationships/customer/data/id")
CUSTOMERS = Owner(pointer="/id")
ADDRESSES = Owner(pointer="/relationships/customer/data/id", required=False)


def item(ident: str = "o1-i", kind: str = "order_item", **members: Any) -> dict[str, Any]:
    """Make an included record."""
    return {"type": kind, "id": ident, **members}


def linked(to: str, kind: str, name: str = "next") -> dict[str, Any]:
    """Make the relationships of a record that refers to another one."""
    return {"relationships": {name: {"data": {"type": kind, "id": to}}}}


UNNAMED = Owner(
    pointer="/relationships/customer/data/id",
    also=("/customer_id", "/customer/id"),
    below="/v2/customers",
    required=False,
)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"id": "a1"}, id="names nobody"),
        pytest.param({"id": "a1", "customer_id": OWN}, id="names the customer"),
        pytest.param(
            {"id": "a1", "customer_id": None, "customer": {"name": "Ron"}}, id="null, and a customer without id"
        ),
        pytest.param({"id": "a1", "links": {"self": "/v2/addresses/a1"}}, id="a link that names nobody"),
        pytest.param({"id": "a1", "links": {"self": f"https://gw/v2/customers/{OWN}/addresses/a1"}}, id="an own link"),
        pytest.param({"id": "a1", "links": {"self": None}}, id="no link"),
    ],
)
def test_a_record_that_need_not_name_its_owner(record: dict[str, Any]) -> None:
    """It leaves as long as no place of it names somebody else."""
    assert inspected(UNNAMED, {"data": [record]}, WHOSE, NARROWED) == {"data": [record]}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"id": "a1", "customer_id": FOREIGN}, id="another id"),
        pytest.param({"id": "a1", "customer": {"id": FOREIGN}}, id="another customer"),
        pytest.param({"id": "a1", "customer_id": [OWN, FOREIGN]}, id="a list"),
        pytest.param({"id": "a1", "customer_id": True}, id="true"),
        pytest.param({"name": "a wrapping"}, id="something without an id"),
        pytest.param({"id": "a1", "customer_id": ""}, id="nothing"),
        pytest.param({"id": "a1", "links": {"self": f"/v2/customers/{FOREIGN}/addresses/a1"}}, id="a link to somebody"),
        pytest.param({"id": "a1", "links": {"self": f"http://x/v2/customers/{FOREIGN}"}}, id="a link that ends there"),
        pytest.param(
            {"id": "a1", "links": {"self": f"/v2/customers/{FOREIGN}?a=/v2/customers/{OWN}"}}, id="a late own"
        ),
        pytest.param({**order(), "customer_id": FOREIGN}, id="two owners"),
    ],
)
def test_a_record_that_names_somebody_else_anywhere(record: dict[str, Any]) -> None:
    """One place is enough."""
    assert refused(UNNAMED, {"data": [record]}).code is Code.GUARD_VIOLATION
    assert refused(UNNAMED, {"data": record}).code is Code.RECORD_NOT_FOUND


def test_without_a_customer_only_nobodys_records_leave() -> None:
    """A public caller sees what names no customer at all."""
    nobody = Whose(None)
    assert inspected(UNNAMED, {"data": {"id": "o1"}}, nobody, NARROWED)
    assert inspected(UNNAMED, {"data": order(None)}, nobody, NARROWED)
    assert isinstance(inspected(UNNAMED, {"data": order()}, nobody, NARROWED), Refusal)


# Lists and single records


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([], id="an empty list"),
        pytest.param([order()], id="one record"),
        pytest.param([order(), order(ident="o2")], id="several records"),
        pytest.param(order(), id="a single record"),
    ],
)
def test_own_records_leave(data: Any) -> None:
    """A document of own records leaves as it is."""
    assert inspected(ORDERS, {"data": data}, WHOSE, NARROWED) == {"data": data}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(order(FOREIGN), id="a foreign record"),
        pytest.param(order(None), id="a guest's record"),
        pytest.param({"id": "o1", "relationships": {"customer": {"data": None}}}, id="an owner of null"),
        pytest.param({"id": "o1", "relationships": {"customer": {}}}, id="a relationship without data"),
        pytest.param({"id": "o1", "relationships": {"customer": {"data": [{"id": OWN}]}}}, id="a list of owners"),
        pytest.param({"id": "o1", "relationships": {"customer": {"data": {"id": [OWN]}}}}, id="an owner in a list"),
        pytest.param({"id": "o1", "relationships": {"customer": {"data": {"id": True}}}}, id="an owner of true"),
        pytest.param({"id": "o1", "relationships": {"customer": {"data": {"id": "C1"}}}}, id="an owner in capitals"),
        pytest.param({"id": "o1", "relationships": "x"}, id="relationships of the wrong type"),
        pytest.param({"id": "o1", "relationships": []}, id="no relationships, in PHP"),
        pytest.param({"id": "o1", "relationships": {"customer": []}}, id="an empty relationship, in PHP"),
        pytest.param([], id="an empty record, in PHP"),
        pytest.param({}, id="an empty record"),
        pytest.param("o1", id="a text"),
        pytest.param(None, id="null"),
        pytest.param([order()], id="a list in the list"),
    ],
)
def test_one_record_of_anybody_else_withholds_the_list(record: Any) -> None:
    """The whole list is withheld and reported, wherever in it the record stands."""
    for data in ([record], [order(), record], [record, order()]):
        refusal = refused(ORDERS, {"data": data})
        assert (refusal.code, refusal.violation) == (Code.GUARD_VIOLATION, True)


@pytest.mark.parametrize("record", [order(FOREIGN), order(None), {}, {"relationships": []}])
def test_a_single_record_of_anybody_else_is_not_there(record: Any) -> None:
    """404, as for an unknown id; it is a violation only where the request was narrowed already."""
    for plan, violation in ((GUESSED, False), (NARROWED, True)):
        refusal = refused(ORDERS, {"data": record}, plan=plan)
        assert (refusal.code, refusal.violation) == (Code.RECORD_NOT_FOUND, violation)


@pytest.mark.parametrize("document", [{}, {"data": None}, {"data": "x"}, {"data": 1}, {"records": []}, [], [order()]])
def test_an_answer_without_records_is_not_understood(document: Any) -> None:
    """Where records are expected, anything else is refused: null is no proof of an empty list."""
    assert refused(ORDERS, document).code is Code.UPSTREAM_INVALID


def test_for_nobody_nothing_is_own() -> None:
    """A guard without a customer lets no record pass, not even one that names None."""
    for record in (order(), order(None), {"id": None}, {"id": "None"}):
        assert isinstance(inspected(ORDERS, {"data": [record]}, Whose(None), NARROWED), Refusal)
        assert isinstance(inspected(CUSTOMERS, {"data": record}, Whose(None), NARROWED), Refusal)


def test_an_owner_that_is_a_number_is_compared_as_text() -> None:
    """Many back ends count their customers; a token always holds text."""
    assert inspected(CUSTOMERS, {"data": {"id": 7}}, Whose("7"), NARROWED) == {"data": {"id": 7}}
    assert refused(CUSTOMERS, {"data": {"id": 7}}, whose=Whose("07")).code is Code.RECORD_NOT_FOUND


# Records whose path proves the owner


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"type": "address", "id": "a1"}, id="no owner at all"),
        pytest.param({"id": "a1", "relationships": {}}, id="no such relationship"),
        pytest.param({"id": "a1", "relationships": {"customer": None}}, id="a relationship of null"),
        pytest.param({"id": "a1", "relationships": []}, id="no relationships, in PHP"),
        pytest.param({"id": "a1", "relationships": {"customer": []}}, id="an empty relationship, in PHP"),
        pytest.param({"id": "a1", "relationships": {"customer": {"data": []}}}, id="an empty reference, in PHP"),
        pytest.param(order(OWN), id="the own owner"),
    ],
)
def test_without_required_a_record_may_name_no_owner(record: Any) -> None:
    """The path proves whose it is."""
    assert inspected(ADDRESSES, {"data": [record]}, WHOSE, NARROWED) == {"data": [record]}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(order(FOREIGN), id="a foreign owner"),
        pytest.param({"relationships": {"customer": {"data": {"id": ""}}}}, id="an owner that cannot be read"),
        pytest.param({"relationships": {"customer": {"links": {}}}}, id="a relationship that does not say whose"),
        pytest.param({"relationships": {"customer": []}}, id="no record at all: it has no id"),
        pytest.param({"relationships": "x"}, id="relationships of the wrong type"),
        pytest.param("a1", id="no record"),
        pytest.param(None, id="null"),
    ],
)
def test_without_required_an_owner_that_is_there_must_be_right(record: Any) -> None:
    """What can be checked is checked."""
    assert refused(ADDRESSES, {"data": [record]}).code is Code.GUARD_VIOLATION


def test_without_required_a_flat_owner_may_be_missing() -> None:
    """The same for back ends with plain fields."""
    rule = Owner(pointer="/customer_id", required=False)
    assert inspected(rule, {"data": [{"id": 1}]}, WHOSE, NARROWED) == {"data": [{"id": 1}]}
    assert refused(rule, {"data": [{"customer_id": FOREIGN}]}).code is Code.GUARD_VIOLATION


# The top level


def test_included_that_names_another_customer_is_withheld() -> None:
    """Being referred to is not enough: an included record may name no other customer, nor be one."""
    foreign = {"type": "customer", "id": FOREIGN}
    data = order()
    data["relationships"]["friend"] = {"data": foreign}
    data["relationships"]["related"] = {"data": {"type": "order", "id": "o9"}}
    for included in ({"customers": [foreign]}, [foreign], [order(FOREIGN, "o9")]):
        refusal = refused(ORDERS, {"data": data, "included": included})
        assert refusal.code is Code.GUARD_VIOLATION
        assert refusal.violation


@pytest.mark.parametrize("type_of_owners", [None, "people"], ids=["as the records say", "as the file says"])
def test_an_included_customer_is_known_by_whatever_an_api_calls_one(type_of_owners: str | None) -> None:
    """Where owners are `users`, or `people`, a record of somebody among them is a stranger's; the own one is not."""
    form = replace(PRESETS["jsonapi"], **({"owner_type": type_of_owners} if type_of_owners else {}))
    kind, rule = type_of_owners or "users", Owner(pointer="/relationships/owner/data/id")

    def shown(included: dict[str, Any], *, owners: str | None = kind) -> dict[str, Any]:
        own = {"type": owners, "id": OWN} if owners else {"id": OWN}
        related = {"owner": {"data": own}, "seen_by": {"data": {"type": included["type"], "id": included["id"]}}}
        return {"data": [{"type": "orders", "id": "o1", "relationships": related}], "included": [included]}

    for document in (
        shown({"type": kind, "id": FOREIGN}),
        shown({"type": kind.upper(), "id": FOREIGN}),
        shown({"type": "owner", "id": FOREIGN}, owners=None),
    ):
        assert refused(rule, document, form=form).violation
    assert not isinstance(inspected(rule, shown({"type": kind, "id": OWN}), WHOSE, NARROWED, form), Refusal)
    assert not isinstance(inspected(rule, shown({"type": "orders", "id": "o9"}), WHOSE, NARROWED, form), Refusal)


def test_other_places_hold_owners_as_the_api_calls_ids() -> None:
    """MongoDB's are `_id`: an object that stands where an owner may, and has another one, is somebody else."""
    form = replace(REST, id_at=("_id",))
    rule = Owner(pointer="/customer_id", also=("/customer",))
    own = {"_id": "o1", "customer_id": OWN}
    for customer in ({"_id": FOREIGN}, {"_id": FOREIGN, "name": "Leslie"}, FOREIGN):
        assert refused(rule, [{**own, "customer": customer}], form=form).violation
    for harmless in (None, OWN, {"_id": OWN, "name": "Ron"}, {"name": "Ron"}):
        records = [{**own, "customer": harmless}]
        assert inspected(rule, records, WHOSE, NARROWED, form) == records


@pytest.mark.parametrize("pointer", ["/customer_id", "/attributes/customer_id"])
def test_an_included_record_that_says_its_owner_where_records_do(pointer: str) -> None:
    """What is referred to may be somebody else's: it is so where it says so, however short the way to the owner is."""
    rule = Owner(pointer=pointer)

    def record(kind: str, ident: str, owner: str, **members: Any) -> dict[str, Any]:
        place = {"customer_id": owner}
        return {"type": kind, "id": ident, **(place if pointer == "/customer_id" else {"attributes": place}), **members}

    data = record("order", "o1", OWN, **linked("n1", "note"))
    assert refused(rule, {"data": [data], "included": [record("note", "n1", FOREIGN)]}).violation
    for included in (record("note", "n1", OWN), {"type": "note", "id": "n1"}):
        document = {"data": [data], "included": [included]}
        assert inspected(rule, document, WHOSE, NARROWED) == document


def test_a_long_chain_of_included_records_is_read_once() -> None:
    """However included records refer to each other, each is looked at once: ten thousand take no noticeable time."""
    chain = [
        {"type": "x", "id": str(n), "relationships": {"next": {"data": {"type": "x", "id": str(n - 1)}}}}
        for n in range(10_000)
    ]
    data = order()
    data["relationships"]["first"] = {"data": {"type": "x", "id": "9999"}}
    assert not isinstance(inspected(ORDERS, {"data": data, "included": chain}, WHOSE, NARROWED), Refusal)


def test_bare_answers_are_records_themselves() -> None:
    """Back ends without an envelope: the answer is the record or the array."""
    rule = Owner(pointer="/customer_id")
    own, foreign = {"customer_id": OWN}, {"customer_id": FOREIGN}
    for document in ([], [own], own):
        assert inspected(rule, document, WHOSE, NARROWED, REST) == document
    assert refused(rule, [own, foreign], form=REST).code is Code.GUARD_VIOLATION
    assert refused(rule, foreign, form=REST).code is Code.RECORD_NOT_FOUND
    assert refused(rule, {"data": [own]}, form=REST).code is Code.RECORD_NOT_FOUND


# Included records

ITEM_TO_Y = item(kind="item", **linked("2", "y"))


@pytest.mark.parametrize(
    "included",
    [
        pytest.param({}, id="EPCC: nothing"),
        pytest.param([], id="JSON:API: nothing"),
        pytest.param({"items": []}, id="EPCC: an empty group"),
        pytest.param({"items": [item()]}, id="EPCC: items by the relationship's name"),
        pytest.param({"anything": [item(kind="item")]}, id="EPCC: by the reference's type"),
        pytest.param({"customers": [{"type": "customer", "id": OWN}]}, id="EPCC: the own profile"),
        pytest.param([item(kind="item")], id="JSON:API: by type and id"),
        pytest.param([{"type": "customer", "id": OWN}], id="JSON:API: the own profile"),
        pytest.param(
            {"items": [item(**linked("p1", "product"))], "products": [{"type": "product", "id": "p1"}]},
            id="EPCC: through another included record",
        ),
        pytest.param(
            [{"type": "y", "id": "2", **linked("3", "z")}, {"type": "z", "id": "3"}, ITEM_TO_Y],
            id="JSON:API: through two others, in any order",
        ),
        pytest.param(
            [ITEM_TO_Y, {"type": "y", "id": "2", **linked("o1-i", "item")}], id="in a circle"
        ),
    ],
)  # fmt: skip
def test_what_a_checked_record_refers_to_may_be_included(included: Any) -> None:
    """In EPCC's groups and in JSON:API's flat list, directly or through others."""
    document = {"data": [order()], "included": included}
    assert inspected(ORDERS, document, WHOSE, NARROWED) == document
    assert inspected(ORDERS, {**document, "data": order()}, WHOSE, GUESSED) == {**document, "data": order()}


@pytest.mark.parametrize(
    "included",
    [
        pytest.param({"items": [item("o2-i")]}, id="EPCC: an item of another order"),
        pytest.param({"items": [item(), item("o2-i")]}, id="EPCC: one too many"),
        pytest.param({"customers": [{"type": "customer", "id": FOREIGN}]}, id="EPCC: a foreign profile"),
        pytest.param({"customers": [{"type": "customer", "id": "o1-i"}]}, id="EPCC: the right id of another kind"),
        pytest.param([{"type": "customer", "id": "o1-i"}], id="JSON:API: the right id of another type"),
        pytest.param([{"type": "order", "id": "o1"}], id="JSON:API: a record that nobody refers to, though it is own"),
        pytest.param([item(kind="item"), {"type": "z", "id": "3"}], id="JSON:API: one too many"),
        pytest.param([{"type": "z", "id": "3", **linked("3", "z")}], id="JSON:API: referred to by itself only"),
        pytest.param(
            [{"type": "z", "id": "3", **linked("4", "z")}, {"type": "z", "id": "4", **linked("3", "z")}],
            id="JSON:API: two that refer to each other only",
        ),
        pytest.param({"items": [{"type": "order_item"}]}, id="a record without id"),
        pytest.param({"items": [{"id": 7}]}, id="an id that is no text"),
        pytest.param({"items": ["o1-i"]}, id="a text for a record"),
        pytest.param({"items": {"o1-i": {}}}, id="a group that is no list"),
        pytest.param("x", id="a text"),
        pytest.param([[item(kind="item")]], id="a list in the list"),
        pytest.param([{"id": "o1-i"}], id="JSON:API: no type"),
    ],
)  # fmt: skip
def test_every_other_included_record_withholds_the_answer(included: Any) -> None:
    """A record that no checked record refers to, or that cannot be read, is a violation."""
    for data in ([order()], order()):
        refusal = refused(ORDERS, {"data": data, "included": included})
        assert (refusal.code, refusal.violation) == (Code.GUARD_VIOLATION, True)


@pytest.mark.parametrize("included", [None, {"items": None}, {"items": []}, []])
def test_nothing_included_is_nothing_foreign(included: Any) -> None:
    """Go writes an empty list as null."""
    document = {"data": [order()], "included": included}
    assert inspected(ORDERS, document, WHOSE, NARROWED) == document


def test_an_empty_list_includes_nothing() -> None:
    """Without a checked record no included one has a reason."""
    assert refused(ORDERS, {"data": [], "included": {"items": [item()]}}).code is Code.GUARD_VIOLATION


@pytest.mark.parametrize(
    "relationships",
    [None, [], "x", {"customer": None}, {"customer": {"data": {"id": OWN}}, "items": {"data": [None, {"id": 1}, "x"]}}],
)
def test_broken_references_refer_to_nothing(relationships: Any) -> None:
    """Whatever stands in relationships, it only ever allows what it names."""
    rule = Owner(pointer="/customer_id")
    record = {"customer_id": OWN, "relationships": relationships}
    assert refused(rule, {"data": record, "included": [item()]}).code is Code.GUARD_VIOLATION


# The option


@pytest.mark.parametrize("pointer", ["", "id", "/"])
def test_the_pointer_leads_to_a_member(pointer: str) -> None:
    """A pointer to the whole record has no owner to read."""
    with pytest.raises(ValidationError):
        Owner(pointer=pointer)


# Properties

CANARY = "only-for-c2"
secret = {"note": CANARY}
records = st.sampled_from(
    [
        order(), order(ident="o2"), {**order(FOREIGN, "o3"), **secret}, {**order(None, "o4"), **secret},
        {"id": "o1", **secret}, item(), item("o2-i"), {**item("o3-i"), **secret},
        {"type": "customer", "id": FOREIGN, **secret}, None, "x",
    ]
)  # fmt: skip
shapes = records | st.lists(records, max_size=3)
included_shapes = st.lists(records, max_size=3) | st.dictionaries(
    st.sampled_from(["items", "customers"]), st.lists(records, max_size=3), max_size=2
)


@given(st.fixed_dictionaries({"data": shapes}, optional={"included": included_shapes, "other": shapes, "meta": shapes}))
def test_no_byte_of_anybody_else_leaves_in_records(document: dict[str, Any]) -> None:
    """Whatever the upstream mixes into records and included records, what leaves holds nothing foreign."""
    received = Answer(200, (("content-type", "application/json"),), json.dumps(document).encode())
    route = Route("orders", "/v2/orders", frozenset({"GET"}), {})
    answer = judge(route, Access(guards=(ORDERS,)), NARROWED, WHOSE, received, LinkRewriter((), ""))
    if not isinstance(answer, Refusal):
        assert CANARY not in json.dumps(answer.document)
