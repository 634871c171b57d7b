"""What goes up of an Idempotency-Key: the same for a repeat, and for nothing else."""

import itertools

import pytest

from gateway.vocab.messages import Caller, CallerKind, Headers, Target
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.idempotency import passing

TARGET = Target("/v2/carts/c/items", ("v2", "carts", "c", "items"))
ANN = Caller(CallerKind.CUSTOMER, "shop", "ann")


def digest(
    key: str = "k",
    caller: Caller = ANN,
    method: str = "POST",
    target: Target = TARGET,
    bearer: str = "Bearer canary-a",
) -> str:
    """Return what goes up."""
    headers = (("authorization", bearer), ("idempotency-key", key))
    passed = passing(headers, caller, method, target, is_required=False)
    assert not isinstance(passed, Refusal)
    ((name, value),) = passed
    assert name == "idempotency-key"
    return value


def test_no_two_that_differ_in_anything_are_one() -> None:
    """Another caller, kind of caller, method, target or key is another key; no part runs into the next."""
    server, public = Caller(CallerKind.TRUSTED, "ann"), Caller(CallerKind.PUBLIC, "shop")
    said = [
        digest(),
        digest("k2"),
        digest('"k"'),
        digest(caller=Caller(CallerKind.CUSTOMER, "shop", "annk")),
        digest(caller=server),
        digest(caller=public),
        digest(caller=public, bearer="Bearer canary-b"),
        digest(method="PUT"),
        digest(target=Target("/v2/carts/c/item", ())),
        digest(target=Target(TARGET.path, TARGET.segments, (("a", "b"),))),
    ]
    assert all(one != other for one, other in itertools.combinations(said, 2))
    assert digest("kPOST", method="P") != digest("k", method="POSTP")


def test_a_repeat_is_known_by_any_replica() -> None:
    """A customer's with a fresh bearer, through another shop; a server's with another bearer."""
    assert digest() == digest(bearer="Bearer canary-b", caller=Caller(CallerKind.CUSTOMER, "app", "ann"))
    server = Caller(CallerKind.TRUSTED, "server")
    assert digest(caller=server) == digest(caller=server, bearer="Bearer canary-b")
    public = Caller(CallerKind.PUBLIC, "shop")
    assert digest(caller=public) == digest(caller=public, bearer="bearer  canary-a")


def test_it_keeps_its_form_and_shows_nothing() -> None:
    """In quotation marks, as the draft has it, where it came so; else bare, as most APIs take it."""
    assert digest('"k"').strip('"').isalnum()
    assert digest('"k"').startswith('"')
    assert len(digest()) == 64


@pytest.mark.parametrize(
    "headers",
    [
        (("idempotency-key", ""),),
        (("idempotency-key", '""'),),
        (("idempotency-key", "k" * 256),),
        (("idempotency-key", "k\u00e4"),),
        (("idempotency-key", "a"), ("idempotency-key", "a")),
    ],
)
def test_what_is_no_key_is_refused(headers: Headers) -> None:
    """A client must not believe that its repeat is safe."""
    refusal = passing(headers, ANN, "POST", TARGET, is_required=False)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.REQUEST_MALFORMED


def test_whoever_has_no_name_has_no_key() -> None:
    """Without bearers all are one, and would meet each other's answers."""
    nobody = Caller(CallerKind.PUBLIC)
    assert passing((("idempotency-key", "k"),), nobody, "POST", TARGET, is_required=True) == ()
    assert passing((), ANN, "POST", TARGET, is_required=False) == ()
    refusal = passing((), ANN, "POST", TARGET, is_required=True)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.IDEMPOTENCY_KEY_MISSING
