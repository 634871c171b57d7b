"""The report: one clean page and one JSON document, whatever stands in routes and records, and no secret in either."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from gateway.verify.attack import Outcome
from gateway.verify.mask import curl, masked
from gateway.verify.model import Caller, Cell, Leak, Message, Tally
from gateway.verify.page import as_html
from gateway.verify.report import Document, as_json, document
from gateway.verify.run import Run
from gateway.verify.vectors import VECTORS
from tests.verify.settings import TOKEN, routes

HOSTILE = "</td><script>alert('x')</script>\"&<img src=x onerror=y>"
SECRET = "a-secret-of-the-operator"


@pytest.fixture
def proof() -> Run:
    """Give a proof with one verdict of each kind and hostile text wherever text comes from outside."""
    order = routes()["order"]
    cells = tuple(Cell("order", "GET", caller, vector.id) for caller in Caller for vector in VECTORS)
    leaking = Cell("order", "GET", Caller.CUSTOMER, "foreign-id")
    outcome = Outcome(
        tallies={
            leaking: Tally(sent=3, leaks=1),
            Cell("order", "GET", Caller.PUBLIC, "foreign-id"): Tally(sent=2),
            Cell("order", "GET", Caller.TRUSTED, "foreign-id"): Tally(sent=2, inconclusive=2),
        },
        leaks=[Leak(leaking, f"curl {HOSTILE} {SECRET} {TOKEN}", 200, (f"B's canary {HOSTILE}",))],
        statuses={200: 1, 0: 2, 404: 4},
    )
    moment = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    return Run(
        url="http://gateway.example",
        started=moment,
        ended=moment.replace(second=9),
        routes=(replace(order, path=f"/v2/{HOSTILE}"),),
        cells=cells,
        outcome=outcome,
        customers=(("A", HOSTILE, True), ("B", "b", False)),
        protected=(("order", 2),),
        callers=frozenset(Caller) - {Caller.TRUSTED},
        secrets=12,
        requests=20,
        notes=(f"seed {HOSTILE}",),
        masks=frozenset({SECRET}),
    )


class Reader(HTMLParser):
    """Reads a page: its tags, their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that tags are closed in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words += data


def test_page_escapes_everything(proof: Run) -> None:
    """Hostile text stays text: no tag or attribute comes from it, and all of it is readable."""
    page = as_html(document(proof, f"{HOSTILE}.yaml", "0" * 64), proof.masks)
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert not {"script", "img", "link", "iframe"} & set(reader.tags)
    assert reader.attributes == {"class", "lang", "charset", "name", "content"}
    assert reader.words.count(HOSTILE) >= 5
    assert page.startswith("<!doctype html>")


def test_page_loads_nothing(proof: Run) -> None:
    """It is one file: no address in it is fetched by a browser."""
    page = as_html(document(proof, "x.yaml", "0" * 64), proof.masks)
    assert not re.search(r"\b(src|href|url\(|@import)", page.replace(HOSTILE, "").split("</style>")[0])
    assert "@media print" in page


def test_page_says_what_an_auditor_asks(proof: Run) -> None:
    """Promise, result, file and hash, times, customers, what was tried and what was not."""
    page = as_html(document(proof, "moltin.yaml", "ab" * 32), proof.masks)
    for text in (
        "1 leak found",
        "moltin.yaml",
        "ab" * 32,
        "2026-01-05T09:30:00+00:00",
        "http://gateway.example",
        "Not covered",
    ):
        assert text in page
    for vector in VECTORS:
        assert f"<td>{vector.id}</td>" in page


def test_json_has_the_documented_keys(proof: Run) -> None:
    """The keys are those of the module's docstring, and the verdicts add up."""
    report = json.loads(as_json(document(proof, "moltin.yaml", "0" * 64), proof.masks))
    assert set(report) == {
        "format", "result", "promise", "gateway", "config", "started", "ended", "seconds", "customers", "totals",
        "statuses", "callers", "vectors", "routes", "verdicts", "leaks", "not_covered",
    }  # fmt: skip
    assert (report["format"], report["result"], report["seconds"]) == (1, "leak", 9.0)
    assert report["totals"] == {"requests": 20, "judged": 7, "leaks": 1, "inconclusive": 2, "secrets": 12}
    rows = {row["caller"]: row for row in report["verdicts"]}
    assert rows["customer"]["leak"] == ["foreign-id"]
    assert rows["public"]["held"] == ["foreign-id"]
    assert rows["trusted"]["inconclusive"] == ["foreign-id"]
    assert len(rows["anonymous"]["not_applicable"]) == len(VECTORS)


def test_without_a_leak_it_says_so(proof: Run) -> None:
    """The same report without leaks."""
    clean = replace(proof, outcome=Outcome(statuses={404: 3}))
    report = document(clean, "x.yaml", "0" * 64)
    assert report["result"] == "no leak"
    assert "No leak found" in as_html(report, ())


@pytest.mark.parametrize("render", [as_html, as_json], ids=lambda render: render.__name__)
def test_no_secret_is_shown(proof: Run, render: Callable[[Document, Iterable[str]], str]) -> None:
    """Neither a known secret nor anything that looks like a token."""
    text = render(document(proof, "x.yaml", "0" * 64), proof.masks)
    assert SECRET not in text
    assert TOKEN not in text
    assert TOKEN.split(".")[1] not in text


def test_requests_are_written_without_secrets() -> None:
    """Credentials become shell variables, passwords and tokens in bodies become stars."""
    body = b'{"data":{"password":"p4ss","token":"' + TOKEN.encode() + b'"}}'
    headers = (
        ("Authorization", "Bearer known"),
        ("Authorization", f"Bearer {TOKEN}"),
        ("x-moltin-customer-token", "known"),
        ("x-moltin-customer-token", TOKEN),
        ("X-Note", "it's $HOME"),
    )
    line = curl("http://g.example", Message("PUT", "/v2/a b", headers, body), {"known"})
    assert line == (
        "curl --path-as-is -X PUT 'http://g.example/v2/a b' -H \"Authorization: Bearer $BEARER\""
        ' -H "Authorization: Bearer $FORGED" -H "x-moltin-customer-token: $CUSTOMER_TOKEN"'
        " -H \"x-moltin-customer-token: $FORGED\" -H 'X-Note: it'\"'\"'s $HOME'"
        """ --data-binary '{"data":{"password":"***","token":"***"}}'"""
    )
    assert masked("abc known", {"known"}) == "abc ***"
