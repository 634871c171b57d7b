"""`gateway explain --answer FILE`: what the guard says of a saved answer, and what of it would leave."""

import re
from pathlib import Path
from typing import Any

from gateway.decision import Admission, Snapshot
from gateway.guard.core import judge
from gateway.scope.core import is_buffered
from gateway.vocab.messages import Answer, Headers, Json, Plan
from gateway.vocab.refusals import Refusal

_HEAD = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})[^\n]*\n((?:[^\r\n][^\n]*\n)*)\r?\n")
_JSON = (("content-type", "application/json"),)
_SECRET_FIELDS = frozenset({"password", "current_password", "secret", "token", "client_secret", "access_token"})
_MASK = "***"


def saved_answer(path: Path) -> Answer:
    """Read an answer: a JSON document, or all of it as `curl -i` prints it; without a head it is a 200.

    Raises ValueError where the file cannot be read.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    status = 200
    headers: Headers = _JSON
    # Interim answers, and redirects that were followed, stand before the one that counts.
    while (found := _HEAD.match(body)) is not None:
        lines = (line.partition(":") for line in found[2].decode("latin-1").splitlines())
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in lines)
        status, body = int(found[1]), body[found.end() :]
    return Answer(status, headers, body)


def judged(compiled: Snapshot, admission: Admission, plan: Plan, answer: Answer) -> Json:
    """Say what would become of an answer to a plan. What was to be looked up first is taken to be the caller's."""
    route, access = admission.route, admission.access
    if not is_buffered(route, access):
        return {"verdict": "relayed", "why": "no rule judges answers here", "counted_as": None}
    checked = judge(route, access, plan, admission.whose, answer, compiled.api(route).links)
    if isinstance(checked, Refusal):
        counted = "violation" if checked.violation else "unfit" if checked.unfit else None
        why = f"{checked.code.status} {checked.code.name}: {checked.detail}"
        return {"verdict": "withheld", "why": why, "counted_as": counted}
    return {
        "verdict": "leaves",
        "why": f"{checked.status}",
        "counted_as": None,
        "headers": dict(checked.headers),
        "body": masked(checked.document),
    }


def masked(document: Any) -> Any:
    """Return a document without the values of members that may hold a secret."""
    if isinstance(document, dict):
        return {name: _MASK if name in _SECRET_FIELDS else masked(value) for name, value in document.items()}
    if isinstance(document, list):
        return [masked(item) for item in document]
    return document
