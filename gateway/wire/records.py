"""Finds the records of a document where an API's form says they stand. Pure.

Nothing is guessed: what stands elsewhere is no record, and says so.
"""

from typing import Any

from msgspec import UNSET

from gateway.vocab.record_form import Ids, RecordForm, Shown, Tokens
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import id_text, placed, resolve


def shown(document: Any, form: RecordForm, *, expects_one: bool = False) -> Shown | Refusal:
    """Find the records of an answer; where its form leaves both open, `expects_one` says which is looked for first."""
    data = resolve(document, form.list_at)
    if form.list_at == form.record_at:
        is_list = isinstance(data, list)
        if not is_list and not isinstance(data, dict):
            return unfit(form, expects_one=expects_one)
        included = document.get("included", UNSET) if form.has_included else UNSET
        return Shown(data if is_list else [data], is_list, form, included)
    one = _single(document, data, form)
    if isinstance(data, list) and not (expects_one and one is not None):
        return Shown(data, is_list=True, form=form)
    return unfit(form, expects_one=expects_one) if one is None else Shown([one], is_list=False, form=form)


def _single(document: Any, data: Any, form: RecordForm) -> dict[str, Any] | None:
    """Return the single record of a form in which lists stand elsewhere: it has an id, or it is anything."""
    if form.is_only_of_list:
        record = data[0] if isinstance(data, list) and len(data) == 1 else None
    else:
        record = resolve(document, form.record_at)
        if id_text(resolve(record, form.id_at), form.ids) is None:
            return None
    return record if isinstance(record, dict) else None


def alone(record: Any, form: RecordForm) -> Any:
    """Return a document that shows one record and nothing else."""
    return placed(None, form.list_at, [record]) if form.is_only_of_list else placed(None, form.record_at, record)


def ids_in(document: Any, form: RecordForm) -> frozenset[str]:
    """Return the ids of the records that an answer shows."""
    found = shown(document, form, expects_one=True)
    records = [] if isinstance(found, Refusal) else found.records
    named = (id_text(resolve(record, form.id_at), form.ids) for record in records)
    return frozenset(text for text in named if text is not None)


def unfit(form: RecordForm, *, expects_one: bool) -> Refusal:
    """Say that an answer has no records where its form says they stand."""
    if expects_one:
        kind = "id" if form.ids is Ids.EITHER else f"{form.ids} as its id"
        needs_id = form.list_at != form.record_at and not form.is_only_of_list
        known_by = f" with a {kind} at {spelled(form.id_at)}" if needs_id else ""
        return Refusal(Code.UPSTREAM_INVALID, f"no single record{known_by} at {spelled(form.record_at)}", unfit=True)
    return Refusal(Code.UPSTREAM_INVALID, f"no array of records at {spelled(form.list_at)}", unfit=True)


def spelled(place: Tokens) -> str:
    """Write a place as a JSON pointer."""
    if not place:
        return "the answer itself"
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in place)
