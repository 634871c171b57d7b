"""Scoping rule `parent_owner`: what is looked up, and for whom."""

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from gateway.scope.rules.parent_owner import Accepts, ParentOwner
from gateway.vocab.messages import Parent, Target, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code
from tests.scope.deciding import NOBODY, OWN, customer, draft, narrowed, refused

PATH = "/v2/orders/{oid}"
POINTER = "/relationships/customer/data/id"


def rule(accepts: str = "own", path: str = PATH, upstream: str | None = None) -> ParentOwner:
    """Make the rule."""
    return ParentOwner(path=path, pointer=POINTER, accepts=Accepts(accepts), upstream=upstream)


@pytest.mark.parametrize(
    ("accepts", "whose", "owner", "guest"),
    [
        pytest.param("own", customer(oid="o1"), OWN, False, id="a customer's own"),
        pytest.param("own_or_guest", customer(oid="o1"), OWN, True, id="a customer's own, or a guest's"),
        pytest.param("guest", Whose(None, {"oid": "o1"}), None, True, id="a guest's, for everybody"),
        pytest.param("guest", customer(oid="o1"), None, True, id="a guest's, for a customer too"),
    ],
)
def test_the_parent_is_looked_up(accepts: str, whose: Whose, owner: str | None, *, guest: bool) -> None:
    """The draft goes on with the look-up that has to be judged before it is sent."""
    result = narrowed(rule(accepts), draft(), whose)
    assert result.parents == (Parent("/v2/orders/o1", "o1", POINTER, owner, guest),)
    assert result.narrowed


@pytest.mark.parametrize("accepts", ["own", "own_or_guest"])
def test_an_owner_needs_a_customer(accepts: str) -> None:
    """A public caller is nobody's owner."""
    assert refused(rule(accepts), draft(), NOBODY) is Code.ACCESS_DENIED


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("o1", "/v2/orders/o1"),
        ("o:1", "/v2/orders/o:1"),
        ("o 1", "/v2/orders/o%201"),
        ("é", "/v2/orders/%C3%A9"),
        ("a/b", "/v2/orders/a%2Fb"),
        ("{oid}", "/v2/orders/%7Boid%7D"),
    ],
)
def test_the_look_up_is_spelled_like_every_path(named: str, path: str) -> None:
    """One canonical spelling: what is looked up is what the request is about."""
    (parent,) = narrowed(rule(), draft(), customer(oid=named)).parents
    assert (parent.path, parent.record_id) == (path, named)


def test_several_parameters_may_lead_to_the_parent() -> None:
    """The last one names the record."""
    nested = rule(path="/v2/customers/{cid}/orders/{oid}")
    (parent,) = narrowed(nested, draft(), customer(cid="c1", oid="o1")).parents
    assert (parent.path, parent.record_id) == ("/v2/customers/c1/orders/o1", "o1")
    assert nested.parameters == ("cid", "oid")


def test_a_second_parent_joins_the_first() -> None:
    """No rule undoes what another asks for."""
    once = narrowed(rule(), draft(), customer(oid="o1", xid="x1"))
    twice = narrowed(rule(path="/v2/x/{xid}"), once, customer(oid="o1", xid="x1"))
    assert [parent.path for parent in twice.parents] == ["/v2/orders/o1", "/v2/x/x1"]


@pytest.mark.parametrize(
    "path", ["", "v2/{id}", "/v2/orders", "/v2/{oid}/items", "/v2/{rest...}", "/../{id}", "/a?b={id}"]
)
def test_a_path_that_names_no_record_is_no_option(path: str) -> None:
    """The record is compared with the last parameter, so there must be one."""
    with pytest.raises(ValidationError, match="ends with the parameter that names it"):
        rule(path=path)


def test_without_a_path_the_record_of_the_request_is_looked_up() -> None:
    """For writes by id: the one spelling that goes upstream, and its last segment."""
    own = ParentOwner(pointer=POINTER)
    target = Target("/v2/customers/c1/addresses/a%201", ("v2", "customers", "c1", "addresses", "a 1"))
    (parent,) = narrowed(own, Draft(target, ()), customer(id="c1", aid="a 1")).parents
    assert (parent.path, parent.record_id, own.parameters) == (target.path, "a 1", ())


@pytest.mark.parametrize("named", ["07", "7.0", "+7", "x", "1" * 19])
def test_where_ids_are_numbers_nothing_else_is_looked_up(named: str) -> None:
    """Some servers would take it for another id, and the record for a mixed-up one."""
    order = ParentOwner(path="/orders/{oid}", pointer="/customer")
    assert refused(order, replace(draft(), form=PRESETS["drf"]), customer(oid=named)) is Code.RECORD_NOT_FOUND
    looked = narrowed(order, replace(draft(), form=PRESETS["drf"]), customer(oid="7"))
    assert (looked.parents[0].path, looked.parents[0].query) == ("/orders/7/", ())
    found = narrowed(order, replace(draft(), form=PRESETS["postgrest"]), customer(oid="7"))
    assert (found.parents[0].path, found.parents[0].query) == ("/orders", (("id", "eq.7"),))


@pytest.mark.parametrize("named", ["07", "", "x"])
def test_so_it_is_where_the_upstream_has_the_record_elsewhere(named: str) -> None:
    """What counts is the id of the record that is looked up, not what the client's path ends with."""
    own = ParentOwner(pointer="/customer")
    given = replace(draft(), form=PRESETS["drf"])
    there = replace(given, record=(f"/api/orders/{named}/", named))
    assert (
        refused(own, replace(there, target=Target("/orders/1", ("orders", "1"))), customer()) is Code.RECORD_NOT_FOUND
    )
    there = replace(given, record=("/api/orders/7/", "7"), target=Target("/orders/7/cancel", ("orders", "7", "cancel")))
    (parent,) = narrowed(own, there, customer()).parents
    assert (parent.path, parent.record_id) == ("/api/orders/7/", "7")


def test_a_record_of_another_upstream_is_asked_for_as_that_one_speaks() -> None:
    """Whatever the upstream of the route does."""
    order = rule(path="/orders/{oid}", upstream="orders")
    asked = replace(draft(), form=PRESETS["postgrest"], forms={"orders": PRESETS["drf"]})
    (parent,) = narrowed(order, asked, customer(oid="7")).parents
    assert (parent.path, parent.query, parent.form) == ("/orders/7/", (), PRESETS["drf"])
    (parent,) = narrowed(rule(path="/orders/{oid}"), asked, customer(oid="7")).parents
    assert (parent.path, parent.form) == ("/orders", PRESETS["postgrest"])
