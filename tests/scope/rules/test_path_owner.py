"""Scoping rule `path_owner`."""

import pytest

from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import Whose
from gateway.vocab.refusals import Code
from tests.scope.deciding import FOREIGN, NOBODY, OWN, customer, draft, narrowed, refused


def test_the_own_path_passes_and_counts_as_narrowed() -> None:
    """A path with the own id goes on unchanged."""
    result = narrowed(PathOwner(), draft(), customer(id=OWN))
    assert (result.target, result.query, result.narrowed) == (draft().target, (), True)


@pytest.mark.parametrize("named", [FOREIGN, "", "C1", "c1 ", "c11", "1", "*"])
def test_every_other_path_is_not_there(named: str) -> None:
    """A foreign id, another spelling and an unknown id answer alike."""
    assert refused(PathOwner(), draft(), customer(id=named)) is Code.RECORD_NOT_FOUND


def test_nobody_owns_no_path() -> None:
    """Without a customer even a path named None is refused."""
    assert refused(PathOwner(), draft(), Whose(None, {"id": "None"})) is Code.RECORD_NOT_FOUND
    assert refused(PathOwner(), draft(), NOBODY) is Code.RECORD_NOT_FOUND


def test_another_parameter_can_be_named() -> None:
    """Only the configured parameter counts."""
    rule = PathOwner(parameter="cid")
    assert narrowed(rule, draft(), customer(cid=OWN, id=FOREIGN)).narrowed
    assert refused(rule, draft(), customer(cid=FOREIGN, id=OWN)) is Code.RECORD_NOT_FOUND
    assert not rule.needs_body
