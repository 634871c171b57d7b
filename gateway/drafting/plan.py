"""Makes a plan of a routing file of an API: its form, its customers, one route for each operation. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.config.check import ENDPOINT_NAMES
from gateway.drafting import places
from gateway.drafting.binding import Binder
from gateway.drafting.credential import Credential, credential
from gateway.drafting.form import Seen, form_of, section
from gateway.drafting.known import Known
from gateway.drafting.operation import Api, Operation
from gateway.drafting.owner import Customers, people
from gateway.drafting.route import Drafted, LeftOut
from gateway.drafting.schema import Document
from gateway.drafting.template import common_parameter, parts, snake, template
from gateway.routing import shape
from gateway.vocab.policy import JWKS_PATH

TOKENS_PATH = "/oauth/access_token"
LOGIN_PATH = "/v2/customers/tokens"
_ANSWERED_HERE = {shape(path): path for path in (TOKENS_PATH, LOGIN_PATH, JWKS_PATH)}
_NAME_LIMIT = 60
_LOGIN_WORDS = frozenset(
    {"login", "signin", "sign-in", "token", "tokens", "auth", "authenticate", "sessions", "session"}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a routing file will say. `prefix` is the parameter that every path began with, which names the shop.

    `headers` are those that requests must have, each with how many operations ask for it. `customer_records` are what
    customers have elsewhere than other records.
    """

    title: str
    url: str
    prefix: str
    records: Mapping[str, Any]
    customers: Customers
    login: str
    routes: tuple[Drafted, ...]
    left_out: tuple[LeftOut, ...]
    credential: Credential = Credential()  # noqa: RUF009 - no value of it ever changes
    headers: Mapping[str, int] = field(default_factory=dict)
    customer_records: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bound(self) -> tuple[Drafted, ...]:
        """The routes that customers may use, each bound to its owner."""
        return tuple(route for route in self.routes if not route.closed)

    @property
    def closed(self) -> tuple[Drafted, ...]:
        """The routes for trusted callers only."""
        return tuple(route for route in self.routes if route.closed)


def plan(api: Api, preset: str | None = None) -> Plan:
    """Plan the file; a `preset` that was asked for stands in place of the one that the document speaks like."""
    prefix = common_parameter(operation.path for operation in api.operations)
    left_out: list[LeftOut] = []
    kept = [*_routable(api.operations, prefix, left_out)]
    operations = [operation for operation, _ in kept]
    customers = _customers(api.document, kept)
    has_slash = sum(operation.path.endswith("/") for operation in operations) * 2 > len(operations)
    records = _records(api.document, kept, has_slash=has_slash)
    if preset is not None:
        records = {"preset": preset}
    looks = {shape(path): operation for operation, path in kept if operation.method == "GET" and _is_by_id(path)}
    known = Known(api.document, customers, form_of(records), looks)
    own_records = _customer_records(known, kept)
    binder = Binder(known)
    names: Counter[str] = Counter(ENDPOINT_NAMES)
    routes = []
    for operation, path in kept:
        drafted = Drafted(_name(operation, path, names), path, operation.method, operation.summary)
        made = binder.bind(operation, drafted)
        if made.passwords not in {None, "show"}:
            # Whoever keeps a password reads bodies and answers as customers are described.
            made = replace(made, records=own_records)
        if path.endswith("/") != form_of(records).has_slash:
            made = replace(made, records={**made.records, "trailing_slash": path.endswith("/")})
        routes.append(made)
    login = next((f"POST {path}" for operation, path in kept if _is_login(operation, path)), "")
    who = credential(api.document, api.url)
    own = {setting.text.lower() for setting in who.settings if setting.key == "name"}
    headers = Counter(name for operation in operations for name in operation.headers if name not in own)
    found = (records, customers, login, tuple(routes), tuple(left_out), who, headers, own_records)
    return Plan(api.title, api.url, prefix, *found)


def _routable(
    operations: tuple[Operation, ...], prefix: str, left_out: list[LeftOut]
) -> Iterator[tuple[Operation, str]]:
    """Yield the operations that a route can be made of, with its path; the others are left out, each for a reason."""
    taken: dict[tuple[str, str], str] = {}
    for operation in operations:
        if prefix and not operation.path.startswith(f"{prefix}/"):
            left_out.append(LeftOut(operation.method, operation.path, f"its path does not begin with {prefix}"))
            continue
        try:
            path = template(operation.path.removeprefix(prefix))
        except ValueError as error:
            reason = f"no path of a routing file: {str(error).partition(';')[0]}"
            left_out.append(LeftOut(operation.method, operation.path, reason))
            continue
        key = (operation.method, shape(path))
        answered = _ANSWERED_HERE.get(key[1])
        if answered is not None or key in taken:
            reason = "the gateway answers this path itself" if answered else f"it is the same path as {taken[key]}"
            left_out.append(LeftOut(operation.method, operation.path, reason))
            continue
        taken[key] = operation.path
        yield operation, path


def _is_by_id(path: str) -> bool:
    return parts(path)[-1].is_parameter


def _customers(document: Document, kept: list[tuple[Operation, str]]) -> Customers:
    reads = [path.rstrip("/") for operation, path in kept if operation.method == "GET"]
    found = people(
        [
            path.rpartition("/")[0] if _is_by_id(path) else path
            for path in reads
            if path.count("/") > 1 or not _is_by_id(path)
        ]
    )
    if not found:
        return Customers()
    word, path = next(iter(found.items()))
    own = shape(path)
    record = None
    for operation, other in kept:
        is_single = shape(other) == f"{own}/{{}}"
        if operation.method not in {"GET", "POST"} or (shape(other) != own and not is_single):
            continue
        shown = places.answer(document, operation, expects_list=operation.method == "GET" and not is_single)
        if shown is not None:
            record = shown.record
            break
    name = None if record is None else places.id_name(record)
    kind = "" if record is None or name is None else document.schema(record.members[name]).id_kind
    return Customers(path.rstrip("/"), word, record, frozenset(found) - {word}, kind)


def _customer_records(known: Known, kept: list[tuple[Operation, str]]) -> dict[str, Any]:
    """Return what records of customers have elsewhere than the file says, as their list, one of them and a new one."""
    made: dict[str, Any] = {}
    own = shape(known.customers.path) if known.customers.path else ""
    for operation, path in kept:
        at = shape(path.rstrip("/"))
        if (at, operation.method) in {(own, "GET"), (own, "POST"), (f"{own}/{{}}", "GET")}:
            expects_list = (at, operation.method) == (own, "GET")
            found = places.answer(known.document, operation, expects_list=expects_list)
            if found is not None and found.is_list == expects_list:
                made = {**known.records(operation, found, None), **made}
    return made


def _records(document: Document, kept: list[tuple[Operation, str]], *, has_slash: bool) -> dict[str, Any]:
    seen = []
    bodies = []
    for operation, path in kept:
        expects_list = operation.method == "GET" and not _is_by_id(path)
        found = places.answer(document, operation, expects_list=expects_list)
        if found is not None:
            name = places.id_name(found.record) or ""
            kind = document.schema(found.record.members[name]).id_kind if name else ""
            seen.append(Seen(places.preset_of(document, operation, found), found, name, kind))
        sent = places.body(document, operation)
        if sent is not None:
            bodies.append(sent.at)
    return section(seen, bodies, has_slash=has_slash)


def _name(operation: Operation, path: str, names: Counter[str]) -> str:
    """Return a name of its own for a route: what the document calls the operation, or its method and path."""
    words = snake(operation.name) or snake(f"{operation.method}_{path}")
    name = words.replace("_", "-")[:_NAME_LIMIT].strip("-") or "route"
    names[name] += 1
    while names[name] > 1:
        name = f"{name}-{names[name]}"
        names[name] += 1
    return name


def _is_login(operation: Operation, path: str) -> bool:
    is_named = any(part.text.lower() in _LOGIN_WORDS for part in parts(path) if not part.is_parameter)
    members = operation.body.members if operation.body is not None else {}
    return operation.method == "POST" and is_named and "password" in members


def closed(made: Plan, reasons: Mapping[int, str]) -> Plan:
    """Return the plan with some routes, by their place, closed for what `check` says of them."""
    routes = tuple(
        replace(route, closed=f"check says: {reasons[at]}", scope=(), guard=(), query=(), guess="", passwords=None)
        if at in reasons
        else route
        for at, route in enumerate(made.routes)
    )
    return replace(made, routes=routes)


def without(made: Plan, reasons: Mapping[int, str]) -> Plan:
    """Return the plan without some routes, by their place, that no file can have."""
    gone = tuple(LeftOut(made.routes[at].method, made.routes[at].path, reason) for at, reason in reasons.items())
    routes = tuple(route for at, route in enumerate(made.routes) if at not in reasons)
    return replace(made, routes=routes, left_out=(*made.left_out, *gone))
