"""The catalogue of the demo API: lists and single records with ETag, conditional requests and byte ranges.

Drafts are shown to bearers of client credentials alone.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

from gateway.demo import data
from gateway.demo.answers import Call, Route, ShopAnswer, ShopError, json_answer
from gateway.demo.listing import listed
from gateway.demo.state import State
from gateway.vocab.messages import Json


def _list(collection: str) -> Callable[[State, Call], ShopAnswer]:
    def list_records(state: State, call: Call) -> ShopAnswer:
        records = [record for record in state.catalogue[collection].values() if is_shown(record, call)]
        return _cached(call, listed(state, call, records[0]["type"], records))

    return list_records


def _show(collection: str) -> Callable[[State, Call], ShopAnswer]:
    def show_record(state: State, call: Call) -> ShopAnswer:
        record = state.catalogue[collection].get(call.parameters[0])
        if record is None or not is_shown(record, call):
            raise ShopError(404, "The requested resource could not be found")
        link = f"{state.base_url}{collection}/{record['id']}"
        return _cached(call, json_answer({"data": {**record, "links": {"self": link}}}))

    return show_record


def is_shown(record: Json, call: Call) -> bool:
    """Tell whether a call may see a record of the catalogue."""
    return record.get("status", "live") == "live" or call.grant == "client_credentials"


def _cached(call: Call, answer: ShopAnswer) -> ShopAnswer:
    """Add the ETag, then answer 304 or a part of the body where the call asks for it."""
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    known = [one.strip().removeprefix("W/") for one in call.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        return ShopAnswer(304, [("etag", tag)], b"")
    answer.headers.extend([("etag", tag), ("accept-ranges", "bytes")])
    return _part(call, answer, tag)


def _part(call: Call, answer: ShopAnswer, tag: str) -> ShopAnswer:
    """Cut the body to the range asked for; more than one range is answered with the whole, as RFC 9110 allows."""
    size = len(answer.body)
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", call.headers.get("range", ""))
    if found is None or found.groups() == ("", "") or call.headers.get("if-range", tag) != tag:
        return answer
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise ShopError(416, f"The body has {size} bytes")
    headers = [*answer.headers, ("content-range", f"bytes {start}-{end}/{size}")]
    return replace(answer, status=206, headers=headers, body=answer.body[start : end + 1])


ROUTES = tuple(
    Route("GET", path, function, trusted=False)
    for collection in data.catalogue()
    for path, function in ((collection, _list(collection)), (f"{collection}/{{}}", _show(collection)))
)
