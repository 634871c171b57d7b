"""What must fit together in what a routing file says of the API's form, and in the rules that go by it. Pure."""

from collections.abc import Iterator

from gateway.config.evidence import Finding, Location
from gateway.config.model import Config, Route, Rules
from gateway.config.records import form
from gateway.config.upstreams import upstream_places
from gateway.routing import parse_template
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.vocab.messages import CallerKind
from gateway.vocab.record_form import OwnerShape, RecordForm, Tokens
from gateway.wire.records import spelled

_CHANGES = frozenset({"PUT", "PATCH", "DELETE"})
_BESIDE = ("total", "page", "links")


def form_findings(config: Config) -> Iterator[Finding]:
    """Yield what cannot be as the file says it is: forms first, then what each route does with its own."""
    yield from _form(("records",), form(config.records))
    for place, upstream in upstream_places(config):
        if upstream.records is not None:
            yield from _form((*place, "records"), form(config.records, upstream.records))
    for index, route in enumerate(config.routes):
        here: Location = ("routes", index)
        made = config.form_of(route)
        if route.records is not None:
            yield from _form((*here, "records"), made)
        for where, what, hint in (*_path(route, made), *_found_by_filter(route, made), *_stamps(route, made)):
            yield (*here, *where), what, hint


def _form(here: Location, made: RecordForm) -> Iterator[Finding]:
    if made.has_included and not (made.list_at and made.record_at):
        what = "nothing can come along where a list or a record is the answer itself"
        yield (*here, "included"), what, "write included: false, or where records stand in an envelope"
    if "0" in made.record_at[-1:] and not made.is_only_of_list:
        what = "the only one of an array stands one step below the list"
        hint = f"write the pointer of list: with /0 behind it: /{'/'.join((*made.list_at, '0'))}"
        yield (*here, "record"), what, hint
    for name in _BESIDE:
        place: Tokens | None = getattr(made, f"{name}_at")
        if place is None or place[: len(made.list_at)] != made.list_at:
            continue
        what = f"{name} cannot stand within the list, which is {spelled(made.list_at)}"
        yield (*here, name), what, f"write {name}: none, or where it stands beside the list"


def _path(route: Route, made: RecordForm) -> Iterator[Finding]:
    if route.path.endswith("/") and not made.has_slash:
        what = "the path ends with a slash, and those of the API do not"
        yield ("path",), what, "remove the slash, or say records: {trailing_slash: true}"


def _found_by_filter(route: Route, made: RecordForm) -> Iterator[Finding]:
    """Find the writes that would change more than one record, or anybody's, of an API that finds them by filters."""
    if not made.is_found_by_filter or not _CHANGES & set(route.methods):
        return
    last = parse_template(route.path)[-1]
    methods = ", ".join(sorted(_CHANGES & set(route.methods)))
    if not last.is_parameter or last.is_tail:
        what = f"{methods} without an id changes the whole table"
        yield ("methods",), what, "end the path with the id of a record, as /orders/{oid}"
        return
    access = route.access.customer
    if isinstance(access, Rules) and not any(isinstance(rule, Filter) for rule in access.scope_rules):
        what = f"{methods} by id alone changes anybody's record: the owner must be in the filter as well"
        yield ("access", CallerKind.CUSTOMER), what, "add {filter: {field: ...}} to scope:"


def _stamps(route: Route, made: RecordForm) -> Iterator[Finding]:
    access = route.access.customer
    for index, rule in enumerate(access.scope_rules if isinstance(access, Rules) else ()):
        if isinstance(rule, BodyStamp) and not rule.pointer:
            shape = rule.shape_in(made)
            if shape in {OwnerShape.SCALAR, OwnerShape.REFERENCES}:
                what = f"a body is one object, and {shape} is none"
                hint = "write the pointer of a member, such as /customer_id, or shape: object or reference"
                yield ("access", CallerKind.CUSTOMER, "scope", index), what, hint
