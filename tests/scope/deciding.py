"""Drafts and callers for tests of scoping rules."""

from gateway.vocab.messages import Json, Query, Target, Whose
from gateway.vocab.policy import Draft, ScopeRule
from gateway.vocab.refusals import Code, Refusal

OWN = "c1"
FOREIGN = "c2"
NOBODY = Whose(None)


def customer(**parameters: str) -> Whose:
    """Decide for the customer c1, with these path parameters."""
    return Whose(OWN, parameters)


def draft(document: Json | None = None, query: Query = ()) -> Draft:
    """Make a draft as the first rule gets it."""
    return Draft(Target("/v2/x", ("v2", "x"), query), query, document)


def narrowed(rule: ScopeRule, given: Draft, whose: Whose) -> Draft:
    """Apply a rule that must say yes."""
    result = rule.apply(given, whose)
    assert isinstance(result, Draft), result
    return result


def refused(rule: ScopeRule, given: Draft, whose: Whose) -> Code:
    """Apply a rule that must say no."""
    result = rule.apply(given, whose)
    assert isinstance(result, Refusal), result
    return result.code
