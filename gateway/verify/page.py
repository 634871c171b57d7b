"""The report as one HTML page for an auditor: no scripts, nothing loaded from elsewhere, every text escaped. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from gateway.verify.mask import masked
from gateway.verify.model import Caller
from gateway.verify.report import Document

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6;
  --good: #0b6b3a; --bad: #b3161b; --odd: #8a5a00 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.5rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 .3rem }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-bottom: 2px solid var(--line) }
p.promise { color: var(--soft); margin: 0 0 1.4rem; max-width: 60rem }
.result { padding: .8rem 1.1rem; border-left: 6px solid var(--good); background: #eef8f2; font-size: 1.1rem }
.result.leak { border-color: var(--bad); background: #fdf0f0 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .88rem }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 600; color: var(--soft); white-space: nowrap }
td { font-variant-numeric: tabular-nums }
code, pre { font: .85em/1.45 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere }
pre { white-space: pre-wrap; background: #f5f7fa; padding: .6rem .8rem; margin: .3rem 0 }
.held { color: var(--good) } .leak b, b.leak { color: var(--bad) } .odd { color: var(--odd) } .none { color: #a8b1bd }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
@media print {
  body { padding: 0; max-width: none; font-size: 11px } h2 { break-after: avoid } tr, pre { break-inside: avoid }
}
"""


def as_html(report: Document, secrets: Iterable[str]) -> str:
    """Write the report as a page."""
    totals = report["totals"]
    leaks = totals["leaks"]
    verdict = f"{leaks} leak{'' if leaks == 1 else 's'} found" if leaks else "No leak found"
    if totals["inconclusive"]:
        verdict += f"; {totals['inconclusive']} requests were inconclusive"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Isolation report: {escape(verdict)}</title><style>{_STYLE}</style></head><body>",
        "<h1>Isolation between customers</h1>",
        f'<p class="promise">To be proven: {escape(report["promise"])}</p>',
        _result(report, verdict),
        _facts(report),
        _leaks(report),
        "<h2>Verdicts</h2><p>Kinds of attack that held, by route and caller.</p>",
        _matrix(report),
        "<h2>Callers</h2>",
        _callers(report),
        "<h2>Routes</h2><p>Who may use them, and how many records of B stood behind each.</p>",
        _routes(report),
        "<h2>Attacks</h2><p>Counted over routes, methods and callers.</p>",
        _vectors(report),
        "<h2>Not covered</h2>",
        _list(report["not_covered"]),
        "</body></html>",
    ]  # fmt: skip
    return masked("\n".join(parts), secrets) + "\n"


def _callers(report: Document) -> str:
    rows = [
        (_text(one["id"]), _text(one["sentence"]), "yes" if one["tried"] else '<span class="odd">no</span>')
        for one in report["callers"]
    ]
    return _table(("caller", "who that is", "tried"), rows)


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _result(report: Document, verdict: str) -> str:
    tried = f"{report['totals']['judged']} attacks of {len(report['vectors'])} kinds on {len(report['routes'])} routes"
    style = "result leak" if report["totals"]["leaks"] else "result"
    return f'<p class="{style}"><b>{escape(verdict)}</b> in {tried}.</p>'


def _facts(report: Document) -> str:
    totals = report["totals"]
    statuses = ", ".join(
        f"{count} x {status if status != '0' else 'no reply'}" for status, count in report["statuses"].items()
    )
    customers = "; ".join(
        f"{one['letter']} = {one['id']} ({'made for this' if one['made'] else 'existing'})"
        for one in report["customers"]
    )
    facts = (
        ("Gateway", report["gateway"]["url"]),
        ("Routing file", f"{report['config']['name']}, SHA-256 {report['config']['sha256']}"),
        ("Version", report["gateway"]["version"]),
        ("Time (UTC)", f"{report['started']} to {report['ended']}, {report['seconds']} s"),
        ("Customers", customers),
        ("Looked for", f"{totals['secrets']} canaries, ids and texts of B"),
        ("Requests", f"{totals['requests']} sent, {totals['judged']} of them attacks"),
        ("Replies", statuses),
    )
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts) + "</dl>"


def _leaks(report: Document) -> str:
    if not report["leaks"]:
        return ""
    shown = []
    for number, leak in enumerate(report["leaks"], 1):
        status = f"status {leak['status']}" if leak["status"] else "seen afterwards"
        shown.append(
            f'<p><b class="leak">{number}. {escape(leak["method"])} on {escape(leak["route"])}</b>, '
            f"{escape(leak['caller'])}, {escape(leak['vector'])}, {status}: {escape('; '.join(leak['evidence']))}</p>"
            f"<pre>{escape(leak['request'])}</pre>"
        )
    return "<h2>Leaks</h2>" + "".join(shown)


def _matrix(report: Document) -> str:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in report["verdicts"]:
        rows.setdefault((one["route"], one["method"]), {})[one["caller"]] = _verdict(one)
    return _table(
        ("route", "method", *Caller),
        [(_text(route), _text(method), *(row[caller] for caller in Caller)) for (route, method), row in rows.items()],
    )


def _verdict(row: Document) -> str:
    held, leak, odd = (len(row[name]) for name in ("held", "leak", "inconclusive"))
    if leak:
        return f'<span class="leak"><b>LEAK</b> {escape(", ".join(row["leak"]))}; {held} held</span>'
    if odd:
        return f'<span class="odd">{held} held, {odd} inconclusive</span>'
    return f'<span class="held">{held} held</span>' if held else '<span class="none">-</span>'


def _routes(report: Document) -> str:
    rows = [
        (
            _text(one["name"]),
            f"<code>{escape(' '.join(one['methods']))} {escape(one['path'])}</code>",
            *(_text(access) for access in one["callers"].values()),
            f'<span class="{"held" if one["records"] else "none"}">{one["records"]}</span>',
        )
        for one in report["routes"]
    ]
    return _table(("route", "path", *report["routes"][0]["callers"], "records of B"), rows)


def _vectors(report: Document) -> str:
    rows = [
        (
            _text(one["id"]),
            _text(one["class"]),
            _text(one["sentence"]),
            f'<span class="held">{one["held"]}</span>',
            f'<b class="leak">{one["leak"]}</b>' if one["leak"] else "0",
            f'<span class="odd">{one["inconclusive"]}</span>' if one["inconclusive"] else "0",
        )
        for one in report["vectors"]
    ]
    return _table(("attack", "class", "what it does", "held", "leak", "inconclusive"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells are HTML already."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def _text(text: str) -> str:
    return escape(text)
