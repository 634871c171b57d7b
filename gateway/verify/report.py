"""The report as data, and as JSON. Pure; no secret is in it.

Keys of the JSON document, which stay as they are (`format` is raised when one changes its meaning):

    format          1
    result          "no leak" or "leak"
    promise         what was to be proven, one sentence
    gateway         {url, version}: version is the prover's, which comes with the gateway
    config          {name, sha256} of the routing file
    started, ended  UTC, ISO 8601; seconds: their difference
    customers       [{letter, id, made}]: made says that the prover registered them itself
    totals          {requests, judged, leaks, inconclusive, secrets}: all requests sent; those with a verdict; secrets
                    are the things of B that were looked for
    statuses        {status: count} of the judged replies; 0 is no reply
    callers         [{id, sentence, tried}]
    vectors         [{id, class, sentence, held, leak, inconclusive}]: counted in places of the matrix
    routes          [{name, path, methods, callers, records}]: who may use it, and how many records of B stood behind it
    verdicts        [{route, method, caller, held, leak, inconclusive, not_applicable}]: lists of vector ids
    leaks           [{route, method, caller, vector, request, status, evidence}]: status 0 where no reply showed it
    not_covered     sentences
"""

import json
from collections.abc import Iterable
from typing import Any

from gateway import __version__
from gateway.verify.mask import masked
from gateway.verify.model import CALLERS, Caller, Cell, Verdict
from gateway.verify.run import Run
from gateway.verify.vectors import VECTORS
from gateway.vocab.messages import CallerKind

FORMAT = 1
PROMISE = (
    "Customer A, whatever A sends and by whichever way, gets no byte of customer B's records and changes none of them."
)
_BOUNDS = (
    "An attack that was tried and held proves that this attack fails, not that none succeeds.",
    "An upstream that misbehaves (ignores filters, answers other records) is left to the gateway's own tests.",
    "Request smuggling, floods and slow clients are left out: they would harm others on a shared gateway.",
    "How long replies take is not compared.",
)

Document = dict[str, Any]


def document(run: Run, config_name: str, config_sha256: str) -> Document:
    """Return the whole report as plain data."""
    verdicts = {cell: _verdict(run, cell) for cell in run.cells}
    outcome = run.outcome
    return {
        "format": FORMAT,
        "result": "leak" if run.leaks else "no leak",
        "promise": PROMISE,
        "gateway": {"url": run.url, "version": __version__},
        "config": {"name": config_name, "sha256": config_sha256},
        "started": run.started.isoformat(timespec="seconds"),
        "ended": run.ended.isoformat(timespec="seconds"),
        "seconds": round((run.ended - run.started).total_seconds(), 1),
        "customers": [{"letter": letter, "id": ident, "made": made} for letter, ident, made in run.customers],
        "totals": {
            "requests": run.requests,
            "judged": outcome.sent,
            "leaks": len(run.leaks),
            "inconclusive": outcome.inconclusive,
            "secrets": run.secrets,
        },
        "statuses": {str(status): count for status, count in sorted(outcome.statuses.items())},
        "callers": [{"id": caller, "sentence": CALLERS[caller], "tried": caller in run.callers} for caller in Caller],
        "vectors": _vectors(verdicts),
        "routes": _routes(run),
        "verdicts": _matrix(verdicts),
        "leaks": [
            {
                "route": leak.cell.route,
                "method": leak.cell.method,
                "caller": leak.cell.caller,
                "vector": leak.cell.vector,
                "request": leak.request,
                "status": leak.status,
                "evidence": list(leak.evidence),
            }
            for leak in run.leaks
        ],
        "not_covered": [*run.notes, *_BOUNDS],
    }


def as_json(report: Document, secrets: Iterable[str]) -> str:
    """Write the report as JSON; nothing in it is a secret, and this makes sure of it."""
    return masked(json.dumps(report, indent=2, ensure_ascii=False), secrets) + "\n"


def _verdict(run: Run, cell: Cell) -> Verdict:
    tally = run.outcome.tallies.get(cell)
    return Verdict.NOT_APPLICABLE if tally is None else tally.verdict


def _vectors(verdicts: dict[Cell, Verdict]) -> list[Document]:
    counts = {vector.id: dict.fromkeys(Verdict, 0) for vector in VECTORS}
    for cell, verdict in verdicts.items():
        counts[cell.vector][verdict] += 1
    return [
        {
            "id": vector.id,
            "class": vector.group,
            "sentence": vector.sentence,
            **{name: counts[vector.id][name] for name in (Verdict.HELD, Verdict.LEAK, Verdict.INCONCLUSIVE)},
        }
        for vector in VECTORS
    ]


def _routes(run: Run) -> list[Document]:
    protected = dict(run.protected)
    return [
        {
            "name": route.name,
            "path": route.path,
            "methods": list(route.methods),
            "callers": {
                kind: "open" if route.is_relayed(kind) else "rules" if kind in route.access else "403"
                for kind in CallerKind
            },
            "records": protected.get(route.name, 0),
        }
        for route in run.routes
    ]


def _matrix(verdicts: dict[Cell, Verdict]) -> list[Document]:
    rows: dict[tuple[str, str, Caller], Document] = {}
    for cell, verdict in verdicts.items():
        place = (cell.route, cell.method, cell.caller)
        row = rows.setdefault(
            place,
            {
                "route": cell.route, "method": cell.method, "caller": cell.caller,
                "held": [], "leak": [], "inconclusive": [], "not_applicable": [],
            },
        )  # fmt: skip
        row[verdict.replace(" ", "_")].append(cell.vector)
    return list(rows.values())
