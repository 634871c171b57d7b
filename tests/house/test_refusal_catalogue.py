"""The catalogue of refusals: documented, used and tested, each code."""

import ast
import re

import pytest

from gateway.vocab.refusals import EXPLAINED_IN_LOGS, Code, Refusal
from tests.house.refusals import BESIDE, DOCS, STAGES, page, picture
from tests.house.sources import ROOT, python_files

CATALOGUE = "gateway/vocab/refusals.py"


def used(folder: str) -> set[str]:
    """Return the names that follow `Code.` in the sources of a folder."""
    return {
        node.attr
        for path in python_files(folder)
        if str(path) != CATALOGUE
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }


def written(folder: str) -> set[str]:
    """Return the codes that stand as words in the sources of a folder, as `Code.X` or as text."""
    # The page and the picture name them all, and prove nothing.
    paths = [path for path in python_files(folder) if str(path) != "tests/house/refusals.py"]
    text = "\n".join((ROOT / path).read_text() for path in paths)
    return set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", text)) & set(Code.__members__)


def test_the_page_lists_exactly_the_codes() -> None:
    """docs/refusals.md is what the code says; `python -m tests.house.refusals` renews it."""
    assert (DOCS / "refusals.md").read_text() == page()


def test_the_picture_shows_every_code() -> None:
    """docs/refusals.svg is what the code says, and no code is without its place on the way of a request."""
    assert (DOCS / "refusals.svg").read_text() == picture()
    assert {code for stage in (*STAGES, *BESIDE) for code in stage.codes} == set(Code)


def test_every_code_is_said_somewhere() -> None:
    """A code that nothing produces is deleted."""
    assert set(Code.__members__) - used("gateway") == set()


def test_every_code_has_a_case() -> None:
    """A "no" that no test provokes is a "no" that may be a "yes"."""
    assert set(Code.__members__) - written("tests") == set()


@pytest.mark.parametrize("code", Code, ids=lambda code: str(code.name))
def test_a_code_is_a_status_and_a_constant_text(code: Code) -> None:
    """The name says area and what; the text is one sentence or more and holds nothing of a request."""
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code.name)
    assert 400 <= code.status <= 508
    assert code.value.title
    assert code.value.text.endswith(".")
    assert not re.search(r"[{}%]", code.value.text)


def test_what_is_explained_in_the_log_has_a_reason() -> None:
    """Each refusal that blames the API says why, in words of ours: the log shows them without `log.details`."""
    nodes = [node for path in python_files("gateway") for node in ast.walk(ast.parse((ROOT / path).read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal"]
    explained = {code.name for code in EXPLAINED_IN_LOGS}
    reasons = 0
    for call in calls:
        if ast.unparse(call.args[0]).removeprefix("Code.") in explained:
            assert len(call.args) > 1, ast.unparse(call)
            reasons += 1
    assert reasons > 20


def test_no_two_codes_say_the_same() -> None:
    """An enumeration makes one of two members with equal values; then a code would be lost."""
    assert len({(code.status, code.value.text) for code in Code}) == len(Code.__members__)


def test_only_the_bearer_is_401() -> None:
    """SDKs answer 401 with four more tries and a fresh bearer (docs/upstream.md section 7)."""
    assert {code.name for code in Code if code.status == 401} == {"BEARER_MISSING", "BEARER_INVALID", "CLIENT_UNKNOWN"}


def test_a_refusal_is_told_apart_by_its_code_only() -> None:
    """Two refusals of one code render alike, whatever their private detail."""
    assert Refusal(Code.RECORD_NOT_FOUND, "a").code is Refusal(Code.RECORD_NOT_FOUND, "b").code
