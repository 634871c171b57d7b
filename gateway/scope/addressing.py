"""How a request says what it means in the form of its API: by a path with a slash, or by a filter. Pure."""

from gateway.scope.filters import DIALECTS
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Query
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Refusal
from gateway.wire.target import encode_path


def with_slash(path: str, form: RecordForm) -> str:
    """Return a canonical path as the API ends its own."""
    return f"{path}/" if form.has_slash else path


def collection(segments: tuple[str, ...], form: RecordForm) -> str:
    """Return the path of a collection."""
    return with_slash(encode_path(segments), form)


def known(segments: tuple[str, ...], form: RecordForm) -> tuple[str, Query]:
    """Return path and query of a record that the gateway itself asks for, named by the last segment."""
    if not form.is_found_by_filter:
        return collection(segments, form), ()
    query = DIALECTS[form.dialect].equals(form.id_at[-1], segments[-1], form.filter_parameter)
    return collection(segments[:-1], form), query


def record(segments: tuple[str, ...], query: Query, form: RecordForm) -> tuple[str, Query] | Refusal:
    """Return path and query of the record that the last segment names.

    Where the API finds it by a filter, a client may not filter by the id besides: refused as any filter of ours is.
    """
    if not form.is_found_by_filter:
        return collection(segments, form), query
    name = form.id_at[-1]
    narrowed = DIALECTS[form.dialect].scope(query, name, segments[-1], reserved_names(name), form.filter_parameter)
    return narrowed if isinstance(narrowed, Refusal) else (collection(segments[:-1], form), narrowed)
