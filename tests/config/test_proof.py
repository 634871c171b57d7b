"""The proof of a whole file: verdicts, coverage, and what one route says of another one's records."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.effective import insecure_settings
from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.proof import Decision, Proof, Verdict, prove, unproven_owners, unreachable
from gateway.config.reach import is_taken, meet, rank, reaches, spelled
from gateway.routing import parse_template, shape
from gateway.vocab.messages import CallerKind, Plan, Target, Whose
from gateway.vocab.policy import JWKS_PATH, Draft
from gateway.vocab.refusals import Refusal
from tests.config.writing import methods, minimal, route, templates
from tests.gateways import MOLTIN, ROOT, environment
from tests.guard.judging import inspected

ISOLATED, GUESTS, PUBLIC, TRUSTED, DENIED, UNPROVEN = Verdict
OWN: dict[str, Any] = {"guard": [{"owner": {"pointer": "/customer_id"}}]}
LOOKED_UP: dict[str, Any] = {"scope": [{"parent_owner": {"pointer": "/customer_id"}}], **OWN}
EVERYBODY = dict.fromkeys(CallerKind, "open")


def written(*routes: dict[str, Any], **sections: Any) -> Config:
    """Read a file of these routes, which are named r0, r1, ... unless they say otherwise."""
    named = [{"name": f"r{index}", **one} for index, one in enumerate(routes)]
    return Config.model_validate(minimal(routes=[route(**one) for one in named], **sections))


def proven(*routes: dict[str, Any], **sections: Any) -> Proof:
    """Prove a file of these routes."""
    upstream = {"url": "http://up.example", "credential": {"kind": "none"}}
    return prove(written(*routes, **{"upstream": upstream, **sections}))


def verdicts(proof: Proof, name: str = "r0") -> list[Verdict]:
    """Return what public callers, customers and trusted callers get on a route, the first method of it."""
    found = {decision.caller: decision.verdict for decision in reversed(proof.decisions) if decision.route == name}
    return [found[caller] for caller in CallerKind]


def faulty(proof: Proof) -> list[str]:
    """Return where the faults stand."""
    return [".".join(map(str, where)) for where, _, _ in proof.faults]


@pytest.mark.parametrize("name", ["moltin.yaml", "demo.yaml"])
def test_the_shipped_files_are_proven(tmp_path: Path, name: str) -> None:
    """Nothing is unproven in the production file and the demonstration; these are its numbers."""
    config = load(ROOT / "config" / name, environment(tmp_path, "http://up.example"))
    proof = prove(config)
    assert proof.faults == ()
    assert (len(config.routes), len(proof.decisions)) == (40, 3 * 50)
    assert proof.counts == {ISOLATED: 18, GUESTS: 3, PUBLIC: 96, TRUSTED: 18, DENIED: 15, UNPROVEN: 0}
    assert insecure_settings(config) == [] or name == "demo.yaml"


def test_every_decision_of_the_shipped_file(tmp_path: Path) -> None:
    """Each method of each route has one verdict for each kind of caller; these are the ones that are not for all."""
    config = load(MOLTIN, environment(tmp_path, "http://up.example"))
    decisions = prove(config).decisions
    expected = Counter(
        (one.name, method, caller) for one in config.routes for method in one.methods for caller in CallerKind
    )
    assert Counter((one.route, one.method, one.caller) for one in decisions) == expected
    assert set(expected.values()) == {1}
    guests = {one.route for one in decisions if one.verdict is GUESTS}
    assert guests == {"order-payments", "order-confirm", "cart-checkout"}
    shared = {
        one.route for one in decisions if one.verdict is PUBLIC and one.path.startswith(("/v2/customers", "/v2/orders"))
    }
    assert shared == {"customers-register"}
    for one in decisions:
        assert one.verdict is not ISOLATED or (one.caller is CallerKind.CUSTOMER and one.guards)
        assert (one.verdict is TRUSTED) <= (one.caller is CallerKind.TRUSTED)


def test_no_rule_of_the_shipped_file_can_be_lost_unnoticed(tmp_path: Path) -> None:
    """Opening any isolated access is a fault there, and so is losing its guards or what narrows its writes."""
    config = load(MOLTIN, environment(tmp_path, "http://up.example"))
    narrowed = {(one.route, one.caller) for one in prove(config).decisions if one.verdict in {ISOLATED, GUESTS}}
    writes = {one.route for one in prove(config).decisions if one.method != "GET"}
    assert len(narrowed) > 15
    for index, one in enumerate(config.routes):
        for caller in (caller for caller in CallerKind if (one.name, caller) in narrowed):
            rules = getattr(one.access, caller)
            worse: list[Any] = ["open", rules.model_copy(update={"guard": ()})]
            if one.name in writes:
                worse.append(rules.model_copy(update={"scope": ()}))
            for access in worse:
                changed = one.model_copy(update={"access": one.access.model_copy(update={caller: access})})
                routes = (*config.routes[:index], changed, *config.routes[index + 1 :])
                faults = faulty(prove(config.model_copy(update={"routes": routes})))
                assert any(where.startswith(f"routes.{index}.access.{caller}") for where in faults), (one.name, access)


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        pytest.param(EVERYBODY, [PUBLIC, PUBLIC, PUBLIC], id="everybody"),
        pytest.param({"trusted": "open"}, [DENIED, DENIED, TRUSTED], id="trusted callers"),
        pytest.param({"customer": OWN, "trusted": "open"}, [DENIED, ISOLATED, TRUSTED], id="customers, their own"),
        pytest.param({"customer": OWN}, [DENIED, ISOLATED, DENIED], id="customers and nobody else"),
        pytest.param(
            {"public": "open", "customer": OWN}, [UNPROVEN, ISOLATED, DENIED], id="others, where a rule knows"
        ),
        pytest.param({"customer": "open"}, [DENIED, UNPROVEN, DENIED], id="customers, everybody's"),
        pytest.param({"public": "open"}, [PUBLIC, DENIED, DENIED], id="those without a token"),
    ],
)
def test_verdicts(access: dict[str, Any], expected: list[Verdict]) -> None:
    """Who gets what of a collection that no other route speaks of."""
    assert verdicts(proven({"path": "/v2/wishes", "access": access})) == expected


def test_guests_records() -> None:
    """A public caller whose rules let only nobody's records pass."""
    parent = {"parent_owner": {"path": "/v2/orders/{id}", "pointer": "/customer_id", "accepts": "guest"}}
    rules = {"scope": [parent], "guard": [{"belongs_to": {"parameter": "id", "pointer": "/order_id"}}]}
    assert verdicts(proven({"path": "/v2/orders/{id}/items", "access": {"public": rules}})) == [GUESTS, DENIED, DENIED]


@pytest.mark.parametrize(
    "owning",
    [
        pytest.param({"path": "/v2/orders", "access": {"customer": OWN}}, id="a list with an owner guard"),
        pytest.param({"path": "/v2/orders/{id}", "access": {"customer": OWN}}, id="a record with an owner guard"),
        pytest.param(
            {"path": "/v2/orders/{id}", "methods": ["DELETE"], "access": {"customer": LOOKED_UP}}, id="a removal"
        ),
        pytest.param(
            {"path": "/v2/orders/{id}/items", "access": {"customer": {"scope": [{"path_owner": {}}], **OWN}}},
            id="a customer's id in the path",
        ),
        pytest.param(
            {
                "path": "/v2/orders/{id}/items",
                "access": {
                    "customer": {"scope": [{"parent_owner": {"path": "/v2/orders/{id}", "pointer": "/o"}}], **OWN}
                },
            },
            id="a parent",
        ),
        pytest.param(
            {
                "path": "/v2/items/{id}",
                "access": {
                    "customer": {"scope": [{"parent_owner": {"path": "/v2/orders/{id}", "pointer": "/o"}}], **OWN}
                },
            },
            id="a parent elsewhere",
        ),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v2/orders", "/v2/orders/{x}", "/v2/orders/{x}/notes", "/v2/{kind}/{x}", "/{rest...}"]
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_collection_is_owned_wherever_a_rule_reads_its_owners(owning: dict[str, Any], path: str, method: str) -> None:
    """Then no other route may give its records away, in either order of the file."""
    given_away = {"path": path, "methods": [method], "access": EVERYBODY}
    for routes in ((given_away, owning), (owning, given_away)):
        proof = proven(*routes)
        index = routes.index(given_away)
        assert faulty(proof) == [f"routes.{index}.access.public", f"routes.{index}.access.customer"]
        assert verdicts(proof, f"r{index}") == [UNPROVEN, UNPROVEN, TRUSTED]
    assert proven(owning, {**given_away, "access": {"trusted": "open"}}).faults == ()


def test_a_stamp_below_a_record_does_not_own_the_record() -> None:
    """Who knows a cart's reference may use the cart, and its checkout is stamped nevertheless."""
    stamped = {"scope": [{"body_stamp": {"pointer": "/data/customer"}}], **OWN}
    checkout = {"path": "/v2/carts/{ref}/checkout", "methods": ["POST"], "access": {"customer": stamped}}
    cart = {"path": "/v2/carts/{ref}", "methods": ["GET", "PUT", "DELETE"], "access": EVERYBODY}
    assert proven(checkout, cart).faults == ()


def test_customers_have_owners_without_any_rule() -> None:
    """`customers.path` says where they are."""
    leak = {"path": "/people/{id}", "access": EVERYBODY}
    assert proven(leak).faults == ()
    assert faulty(proven(leak, customers={"path": "/people"})) == ["routes.0.access.public", "routes.0.access.customer"]
    registers = {"path": "/people", "methods": ["POST"], "passwords": "register", "access": EVERYBODY}
    assert proven(registers, customers={"path": "/people"}).faults == ()


def test_a_write_below_a_record_with_an_owner() -> None:
    """What stands in the collection is a record of it; what stands deeper, below a word of the API, is not."""
    stamped = {"scope": [{"body_stamp": {"pointer": "/data/customer"}}], **OWN}
    below = {"methods": ["POST"], "access": {"customer": stamped}}
    assert proven({"path": "/v2/customers/groups/{gid}/entries", **below}).faults == ()
    assert faulty(proven({"path": "/v2/customers/{id}/entries", **below})) == ["routes.0.access.customer"]


def test_a_tail_beside_owned_paths() -> None:
    """It gives away exactly what no other route takes from it."""
    tail = {"path": "/v2/{rest...}", "access": EVERYBODY}
    closed = [
        {"path": path, "access": {"trusted": "open"}}
        for path in ("/v2/customers", "/v2/customers/{id}", "/v2/customers/{id}/{rest...}")
    ]
    assert proven(tail, *closed).faults == ()
    for missing in range(len(closed)):
        assert faulty(proven(tail, *(one for index, one in enumerate(closed) if index != missing)))


def test_routes_without_a_path() -> None:
    """More specific ones, the gateway's own included, can take all that a route has."""
    one, more = {"path": "/a/{x}"}, {"path": "/a/{x}/{rest...}", "methods": ["POST"]}
    assert [*unreachable(written({"path": "/a/{rest...}"}, one, more))] == [0]
    assert [*unreachable(written({"path": "/a/{rest...}"}, one))] == []


def test_shadows_are_told() -> None:
    """Where a more specific path does not answer a method, the other route's is 405 there."""
    notes = proven({"path": "/p/{id}", "methods": ["GET", "PUT"]}, {"path": "/p/top", "methods": ["PUT"]}).notes
    assert [(note.routes, note.what) for note in notes] == [(("r0",), "GET: /p/top answers 405, for it belongs to r1")]
    assert proven({"path": "/p/{id}"}, {"path": "/p/top", "methods": ["GET", "PUT"]}).notes == ()
    (own,) = proven({"path": "/oauth/{id}", "access": {"trusted": "open"}}).notes
    assert own.what == "GET: /oauth/access_token answers 405, for it belongs to the gateway itself"


def test_a_shadow_of_a_shadow_is_told_once() -> None:
    """Of the route that really gets the path."""
    routes = (
        {"path": "/p/{rest...}"},
        {"path": "/p/{x}", "methods": ["PUT"]},
        {"path": "/p/top", "methods": ["DELETE"]},
    )
    told = {note.what for note in proven(*routes).notes}
    assert told == {
        "GET: /p/{x} answers 405, for it belongs to r1",
        "GET: /p/top answers 405, for it belongs to r2",
        "PUT: /p/top answers 405, for it belongs to r2",
    }


def test_what_the_gateway_answers_itself_goes_to_nobody() -> None:
    """Paths that can be moved, and those below customers; no new passwords where the upstream keeps them."""
    moved = minimal()["clients"] | {"path": "/grants"}
    customers = {"login_path": "/logins", "path": "/people"}
    ends = (
        *(("POST", "/grants"), ("POST", "/logins"), ("DELETE", "/logins"), ("DELETE", "/people/{id}/tokens")),
        *(("PUT", "/people/{id}/block"), ("DELETE", "/people/{id}/block")),
    )
    kept = (("POST", "/people/password-resets"), ("POST", "/people/passwords"))
    keys = ("GET", JWKS_PATH)
    assert proven({}, clients=moved, customers=customers).answered_here == (*ends, *kept, keys)
    assert proven({}, clients=moved, customers={**customers, "verify": "upstream"}).answered_here == (*ends, keys)


def test_an_excuse_stands_for_one_route_and_is_listed_at_start() -> None:
    """It hides no other route's faults, turns no verdict, and none may stand where it is not needed."""
    leak = {"path": "/v2/wishes", "methods": ["GET", "POST"], "access": {"customer": "open"}}
    excused = {**leak, "insecure_unproven": " all\n of one  family "}
    config = written(excused, {**leak, "path": "/v2/orders"})
    proof = prove(config)
    assert faulty(proof) == ["routes.1.access.customer"]
    reasons: list[Decision] = [one for one in proof.decisions if one.reason is not None]
    assert [(one.route, one.verdict, one.reason) for one in reasons] == [("r0", UNPROVEN, "all of one family")] * 2
    assert insecure_settings(config) == ["routes[0].insecure_unproven (r0): all of one family"]
    assert faulty(proven({"insecure_unproven": "because"})) == ["routes.0.insecure_unproven"]


def test_a_fault_names_all_methods_it_holds_for() -> None:
    """One line for a route, not one for each method."""
    (fault,) = proven({"path": "/w", "methods": ["GET", "POST"], "access": {"customer": "open"}}).faults
    assert fault[1].startswith("GET, POST: ")


# Properties

scopes = st.lists(
    st.sampled_from(
        [
            {"filter": {"field": "customer_id"}},
            {"path_owner": {"parameter": "id"}},
            {"parent_owner": {"path": "/c/{id}", "pointer": "/customer_id"}},
            {"parent_owner": {"pointer": "/customer_id", "accepts": "own_or_guest"}},
        ]
    ),
    max_size=3,
    unique_by=str,
)
guards = st.lists(
    st.sampled_from(
        [
            {"owner": {"pointer": "/customer_id"}},
            {"owner": {"pointer": "/customer_id", "required": False}},
            {"belongs_to": {"parameter": "id", "pointer": "/parent_id"}},
            {"belongs_to": {"parameter": "id", "pointer": "/parent_id", "required": False}},
            {"identity": {"parameter": "rid"}},
            {"identity": {"parameter": "id"}},
            {"redact": {"pointers": ["/note"]}},
        ]
    ),
    max_size=3,
    unique_by=str,
)


@settings(deadline=None)
@given(st.sampled_from(["/c/{id}/{rid}", "/c/{id}/r", "/c/{id}/r/{rid}"]), scopes, guards, st.booleans())
def test_what_is_isolated_withholds_foreign_records(
    path: str,
    scope: list[Any],
    guard: list[Any],
    single: bool,  # noqa: FBT001 - hypothesis gives it by position
) -> None:
    """The rules themselves refuse an answer that names somebody else, wherever the proof says `isolated`."""
    names = {"id": "mine", "rid": "r1"}
    parts = tuple(names.get(part.strip("{}"), part) for part in path[1:].split("/"))
    used = [one for one in guard if "{rid}" in path or one != {"identity": {"parameter": "rid"}}]
    proof = proven({"path": path, "access": {"customer": {"scope": scope, "guard": used}}})
    (decision,) = (one for one in proof.decisions if one.caller is CallerKind.CUSTOMER)
    if decision.verdict is not ISOLATED:
        return
    whose = Whose("mine", names)
    draft: Draft | Refusal = Draft(Target("/" + "/".join(parts), parts), ())
    for rule in decision.scope:
        assert not isinstance(draft, Refusal)
        draft = rule.apply(draft, whose)
    assert not isinstance(draft, Refusal)
    record = {"id": "r1", "customer_id": "somebody", "parent_id": "somebody", "note": "private"}
    document: Any = {"data": record if single else [record]}
    for judge in decision.guards:
        if not isinstance(document, Refusal):
            document = inspected(judge, document, whose, Plan("GET", draft.target.path, parents=draft.parents))
    assert isinstance(document, Refusal)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["open", OWN, {"guard": [{"redact": {"pointers": ["/n"]}}]}, None]), min_size=3, max_size=3
    )
)
def test_every_decision_has_a_verdict_that_fits(access: list[Any]) -> None:
    """Denied is exactly what is not named, and nothing is public that only some rules know the owner of."""
    named = dict(zip(CallerKind, access, strict=True))
    proof = proven({"path": "/v2/w", "access": {caller: one for caller, one in named.items() if one is not None}})
    for decision in proof.decisions:
        assert (decision.verdict is DENIED) == (named[decision.caller] is None)
        assert (decision.verdict is UNPROVEN) == bool(decision.missing)
        if decision.verdict is PUBLIC and decision.caller is not CallerKind.TRUSTED:
            assert OWN not in (named[CallerKind.PUBLIC], named[CallerKind.CUSTOMER])
    assert sum(proof.counts.values()) == 3


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(templates(), methods(), st.booleans()), min_size=1, max_size=10, unique_by=lambda one: shape(one[0])
    )
)
def test_what_routes_say_of_each_other(table: list[tuple[str, list[str], bool]]) -> None:
    """A look at each pair of routes finds the same owners of records and the same shadows, in the same order."""
    proof = proven(
        *(
            {"path": path, "methods": served, "access": {"customer": OWN} if owned else {"public": "open"}}
            for path, served, owned in table
        )
    )
    ours: dict[str, list[str]] = {}
    for method, path in proof.answered_here:
        ours.setdefault(path, []).append(method)
    nodes = [(parse_template(path), served, "the gateway itself") for path, served in ours.items()]
    nodes += [(parse_template(path), served, f"r{index}") for index, (path, served, _) in enumerate(table)]
    everything = [template for template, _, _ in nodes]

    claims = [("/v2/customers", "customers.path")]
    for index, (path, served, owned) in enumerate(table):
        is_by_id = path.endswith("}")
        if owned and (is_by_id or "GET" in served):
            claims.append((path.rpartition("/")[0] if is_by_id else path, f"route r{index}"))
    for index, (path, _, owned) in enumerate(table):
        reached = (
            f"({says})"
            for collection, says in claims
            if collection and reaches(parse_template(path), parse_template(collection), everything)
        )
        told = [what for where, what, _ in proof.faults if where[:4] == ("routes", index, "access", "public")]
        claim = next(reached, "")
        if not owned:
            assert bool(told) == bool(claim)
            assert all(claim in what for what in told)

    shadows = [
        f"{', '.join(lost)}: {spelled(paths)} answers 405, for it belongs to {owner}"
        for template, served, _ in nodes
        for other, answered, owner in nodes
        if rank(other) < rank(template)
        and (lost := [method for method in served if method not in answered])
        and (paths := meet(template, other))
        and not is_taken(paths, other, everything)
    ]
    assert [note.what for note in proof.notes if "answers 405" in note.what] == shadows


@pytest.mark.parametrize(
    ("rules", "path", "methods_of_route", "unproven"),
    [
        (OWN, "/v2/orders/{oid}", ["GET"], {"GET"}),
        (LOOKED_UP, "/v2/orders/{oid}", ["GET", "PUT"], set()),
        (OWN, "/v2/orders", ["GET"], set()),
        ({"scope": [{"path_owner": {"parameter": "id"}}], **OWN}, "/v2/customers/{id}", ["GET", "PUT"], set()),
        # A part of what is proven: a write is held to be one to it, a read would tell a stranger's from none.
        (
            {"scope": [{"path_owner": {"parameter": "id"}}], **OWN},
            "/v2/customers/{id}/notes/{nid}",
            ["GET", "PUT"],
            {"GET"},
        ),
    ],
)
def test_whose_record_is_proven_before_it_is_asked_for(
    rules: dict[str, Any], path: str, methods_of_route: list[str], unproven: set[str]
) -> None:
    """Of others nothing may be said but that they are not there."""
    excused = {"path": path, "methods": methods_of_route, "access": {"customer": rules}, "insecure_unproven": "a test"}
    config = written(excused)
    assert unproven_owners(config)["r0", CallerKind.CUSTOMER] == unproven


def test_what_lies_below_an_unproven_record_is_as_unproven() -> None:
    """The list of items of somebody's order is no list of one's own."""
    below = {"path": "/v2/orders/{oid}/items", "access": {"customer": OWN}, "insecure_unproven": "a test"}
    config = written({"path": "/v2/orders/{oid}", "access": {"customer": OWN}}, below)
    assert unproven_owners(config)["r1", CallerKind.CUSTOMER] == {"GET"}


def test_the_records_of_the_shipped_file_that_are_unproven(tmp_path: Path) -> None:
    """An order, and an address, which the API alone says to be below its customer."""
    config = load(MOLTIN, environment(tmp_path, "http://up.example"))
    found = {key: methods for key, methods in unproven_owners(config).items() if methods}
    assert found == {("order", CallerKind.CUSTOMER): {"GET"}, ("address", CallerKind.CUSTOMER): {"GET"}}
