"""What `gateway check` prints: every route, what each caller may do on it, and what is proven of it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table

from gateway.config.check import second_secrets
from gateway.config.model import Config, Route
from gateway.config.proof import Proof, Verdict
from gateway.config.routes import route as compile_route
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.vocab.messages import CallerKind, Json
from gateway.vocab.policy import Access
from gateway.wire.body import encode

# Wider than any table of ours: rich takes 80 columns for a pipe, and would break words that somebody greps for.
PIPE_WIDTH = 10_000
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def print_tables(tables: RenderableType) -> None:
    """Print to the terminal in its width, to a pipe in one line for each row."""
    # Names of parameters stand in brackets, and what a client sends may be anything: no text of ours is markup.
    out = Console(markup=False, emoji=False, highlight=False)
    if not out.is_terminal:
        out.width = PIPE_WIDTH
    out.print(tables)


def print_coverage(config: Config, proof: Proof) -> None:
    """Print what `gateway check` shows of a file without a fault."""
    print_tables(Group(coverage_table(config, proof), *coverage_lines(config, proof)))


def whole(*headers: str, title: str | None = None) -> Table:
    """Return a table that folds what is too long for a narrow terminal, and leaves nothing out."""
    return Table(*(Column(header, overflow="fold") for header in headers), title=title)


def coverage_table(config: Config, proof: Proof) -> Table:
    """Return routes x callers, and what is proven of each; what is not there answers 404 or 405."""
    table = whole(
        "route", "methods", "path", *CallerKind, "proof", title=f"{len(config.routes)} routes, no fault found"
    )
    for model in config.routes:
        route = compile_route(config, model)
        cells = (describe(route.access.get(kind)) for kind in CallerKind)
        table.add_row(route.name, " ".join(model.methods), route.path, *cells, _proven(model, proof))
    return table


def _proven(model: Route, proof: Proof) -> str:
    """Say what is proven of those who are not trusted; where they may do nothing, of the others."""
    verdicts = {decision.verdict: None for decision in proof.decisions if decision.route == model.name}
    told = [verdict for verdict in verdicts if verdict not in {Verdict.DENIED, Verdict.TRUSTED}] or [*verdicts][-1:]
    reason = f": {model.insecure_unproven}" if Verdict.UNPROVEN in verdicts else ""
    return ", ".join(told) + reason


def coverage_lines(config: Config, proof: Proof) -> Iterator[str]:
    """Yield the sums of the proof and its notes, a line each."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in proof.counts.items())
    methods = sum(len(set(route.methods)) for route in config.routes)
    yield f"{len(config.routes)} routes, {methods} method x path, {len(proof.decisions)} decisions: {counts}"
    here = ", ".join(f"{method} {path}" for method, path in proof.answered_here)
    yield f"answered here: {here}; anything else is 404 or 405"
    for decision in proof.decisions:
        for missing in decision.missing:
            yield f"unproven: {decision.route}: {decision.caller}: {decision.method}: {missing}"
    for note in proof.notes:
        yield f"note: {', '.join(note.routes)}: {note.what}"
    for what in second_secrets(config):
        yield f"note: {what}"


def coverage_json(config: Config, proof: Proof) -> Json:
    """Return the proof as one JSON document."""
    return {
        "routes": len(config.routes),
        "methods": sum(len(set(route.methods)) for route in config.routes),
        "counts": {str(verdict): count for verdict, count in proof.counts.items()},
        "decisions": [
            {
                "route": decision.route,
                "method": decision.method,
                "path": decision.path,
                "caller": str(decision.caller),
                "verdict": str(decision.verdict),
                "scope": [name_of(rule) for rule in decision.scope],
                "guard": [name_of(rule) for rule in decision.guards],
                "missing": list(decision.missing),
                "reason": decision.reason,
            }
            for decision in proof.decisions
        ],
        "answered_here": [{"method": method, "path": path} for method, path in proof.answered_here],
        "notes": [
            *({"routes": list(note.routes), "what": note.what} for note in proof.notes),
            *({"routes": [], "what": what} for what in second_secrets(config)),
        ],
    }


def describe(access: Access | None) -> str:
    """Say in a few words what a caller may do."""
    if access is None:
        return "403"
    if access.is_open:
        return "open"
    return " ".join(rule_names(access))


def rule_names(access: Access) -> list[str]:
    """Return the rules of an access by their names in the routing file, in order."""
    return [name_of(rule) for rule in (*access.scope, *access.guards)]


def name_of(rule: object) -> str:
    """Return a rule's name in the routing file."""
    return next(name for name, kind in (*SCOPE_RULES.items(), *GUARD_RULES.items()) if isinstance(rule, kind))


def written(document: Any, indent: int = 0) -> str:
    """Return a document as JSON in ASCII, its numbers spelled as they came."""
    try:
        text = msgspec.json.format(encode(document), indent=indent).decode()
    except UnicodeEncodeError:
        # An argument that is not UTF-8: it is shown, and no request is made of it.
        return json.dumps(document, indent=indent or None, default=lambda raw: bytes(raw).decode())
    return _NOT_ASCII.sub(lambda one: json.dumps(one[0])[1:-1], text)
