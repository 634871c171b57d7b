"""Drafts are checked before they are written: what is not proven is closed, what cannot be is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.proof import Verdict, prove
from gateway.drafting.document import UnfitDocumentError
from gateway.drafting.trial import tried
from gateway.vocab.messages import CallerKind
from tests.drafting.drafts import answers, drafted, of

TEXT = {"type": "string"}
RECORD = {"type": "object", "properties": {"id": TEXT, "customer_id": TEXT}}
DOCUMENTS = [
    *("wrapped.yaml", "actions.yaml", "pets.json", "pages.yaml", "bare.yaml", "resources.json"),
    *("storefront.yaml", "office.yaml", "mutations.yaml", "handwritten.yaml"),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_is_proven(name: str, tmp_path: Path) -> None:
    """Each file loads; customers are isolated on what is theirs, and the public may do nothing."""
    _, config, made = tried(drafted(name), name, tmp_path)
    proof = prove(config)
    assert {decision.verdict for decision in proof.decisions} <= {Verdict.ISOLATED, Verdict.TRUSTED, Verdict.DENIED}
    isolated = {decision.route for decision in proof.decisions if decision.verdict is Verdict.ISOLATED}
    assert isolated == {route.name for route in made.bound}
    denied = {one.verdict for one in proof.decisions if one.caller is CallerKind.PUBLIC}
    assert denied == {Verdict.DENIED}


def test_nothing_that_was_bound_is_lost(tmp_path: Path) -> None:
    """What `check` proves of these documents is all that was planned."""
    for name in DOCUMENTS:
        folder = tmp_path / name
        folder.mkdir()
        assert len(tried(drafted(name), name, folder)[2].bound) == len(drafted(name).bound)


def test_what_check_does_not_prove_is_closed(tmp_path: Path) -> None:
    """A write without a look before it is no proof; `check` says so, and it is closed."""
    made = of({"/orders/{id}": {"get": answers(RECORD), "delete": answers(RECORD)}})
    # As if the binder had forgotten to look before the write.
    forgetful = replace(made, routes=tuple(replace(route, scope=()) for route in made.routes))
    _, config, less = tried(forgetful, "x", tmp_path)
    assert [bool(route.closed) for route in less.routes] == [False, True]
    assert "check says: DELETE: a write without a check of the owner before it" in less.routes[1].closed
    assert config.routes[1].access.customer is None


def test_what_overlaps_is_left_out(tmp_path: Path) -> None:
    """Of two paths of which neither is more specific the second is left out, with what `check` says."""
    _, config, made = tried(of({"/a/{x}/b": {"get": {}}, "/a/c/{y}": {"get": {}}}), "x", tmp_path)
    assert [route.path for route in config.routes] == ["/a/{x}/b"]
    assert made.left_out[0].path == "/a/c/{y}"
    assert "neither is more specific" in made.left_out[0].reason


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """More routes than a routing file may hold are no file."""
    paths = {f"/{'x' * 900}{n}": {"get": {"summary": "y" * 80}} for n in range(900)}
    with pytest.raises(UnfitDocumentError, match=r"^no file comes of it: gateway\.yaml:1:1: "):
        tried(of(paths), "x", tmp_path)


def test_no_route_is_called_as_a_path_of_the_gateway_is(tmp_path: Path) -> None:
    """An operation called `login` gets another name, and stays in the file."""
    document = {"/sessions/{id}": {"get": {**answers(RECORD), "operationId": "login"}}}
    _, config, made = tried(of(document), "x", tmp_path)
    assert ([route.name for route in config.routes], made.left_out) == (["login-2"], ())
