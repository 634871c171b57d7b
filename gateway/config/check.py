"""What must fit together in a routing file, beyond single values. Every fault is found, with its place.

It reads no network and makes no keys; key texts, files of certificates and the store's URL are judged as they stand.
"""

from collections.abc import Iterator, Sequence

from gateway.authn.key import Key, KeyFault, load_key
from gateway.config.evidence import Finding, Location
from gateway.config.forms import form_findings
from gateway.config.model import Config, Route, Rules
from gateway.config.proof import prove, unreachable
from gateway.config.reach import Tree
from gateway.config.routes import endpoints
from gateway.config.upstreams import knows_all, upstream_findings, upstream_secrets
from gateway.guard.rules.belongs_to import BelongsTo
from gateway.guard.rules.identity import Identity
from gateway.guard.rules.owner import Owner
from gateway.routing import Part, parse_template, shape
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import Accepts, ParentOwner
from gateway.scope.rules.path_owner import PathOwner
from gateway.stores import check_url
from gateway.stores.location import scheme_of
from gateway.stores.postgres_url import without_password
from gateway.vocab.policy import Endpoint, IdempotencyKey, Passwords
from gateway.vocab.record_form import RecordForm
from gateway.wire.headers import AUTHORIZATION

__all__ = ["ENDPOINT_NAMES", "Finding", "Location", "findings", "secret_places"]

ENDPOINT_NAMES = frozenset(endpoint.value for endpoint in Endpoint)
# A look must not remove a password, nor a removal set one.
_METHODS = {
    None: frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"}),
    Passwords.SHOW: frozenset({"GET", "POST", "PUT", "PATCH"}),
    Passwords.REGISTER: frozenset({"POST"}),
    Passwords.CHANGE: frozenset({"PUT", "PATCH"}),
    Passwords.FORGET: frozenset({"DELETE"}),
}


def findings(config: Config) -> Iterator[Finding]:
    """Yield every fault of a file whose single values are right."""
    if not config.apis:
        # Nothing can be said of what goes nowhere.
        yield ("upstream",), "a required key is missing", "add upstream:"
        return
    yield from _keys(config)
    yield from _clients(config)
    yield from _token_header(config)
    yield from upstream_findings(config)
    fault = check_url(config.store.url)
    if fault is not None:
        yield ("store", "url"), fault, "write sqlite:////absolute/path.db or postgresql://USER@HOST/DATABASE"
    yield from _notify_url(config)
    if config.server.proxy_protocol == "required" and not config.server.trusted_proxies:
        hint = "add trusted_proxies: with the networks of your load balancers, such as [10.0.0.0/8]"
        yield ("server", "proxy_protocol"), "nobody is trusted to speak it", hint
    faulty: set[Location] = set()
    for where, what, hint in _routes(config):
        if where[-1] == "path":
            faulty.add(where[:2])
        yield where, what, hint
    for where, what, hint in form_findings(config):
        faulty.add(where[:4])
        yield where, what, hint
    for index, route in enumerate(config.routes):
        for where, what, hint in _route(route, config.form_of(route)):
            faulty.add(("routes", index, *where[:2]))
            yield ("routes", index, *where), what, hint
    if not knows_all(config):
        return
    # What is wrong in itself proves nothing, and need not be told so twice.
    yield from (finding for finding in prove(config).faults if not {finding[0][:2], finding[0][:4]} & faulty)


def _notify_url(config: Config) -> Iterator[Finding]:
    url = config.store.notify_url
    if url is None:
        return
    hint = "write postgresql://USER@HOST/DATABASE, or leave it out"
    if scheme_of(config.store.url) != "postgresql":
        yield ("store", "notify_url"), "a store in a file tells nobody of log-outs", "leave it out"
    elif scheme_of(url) != "postgresql" or check_url(url) is not None:
        yield ("store", "notify_url"), check_url(url) or "no PostgreSQL server is named", hint


def secret_places(config: Config) -> Iterator[Location]:
    """Yield where secrets stand."""
    yield from upstream_secrets(config)
    if config.log.customer_key is not None:
        yield ("log", "customer_key")
    for name, url in (("url", config.store.url), ("notify_url", config.store.notify_url)):
        if url is not None and without_password(url) != url:
            yield ("store", name)
    for index, client in enumerate(config.clients.client_credentials):
        place: Location = ("clients", "client_credentials", index)
        if client.secret is not None:
            yield (*place, "secret")
        yield from ((*place, "secrets", number) for number in range(len(client.secrets)))
    for index in range(len(config.tokens.keys)):
        yield ("tokens", "keys", index)


def _keys(config: Config) -> Iterator[Finding]:
    if not config.tokens.keys and not config.insecure_ephemeral_key:
        yield ("tokens",), "there is no signing key", "add keys: and make one with `gateway keys new`"
    seen: set[str] = set()
    for index, text in enumerate(config.tokens.keys):
        key: Key
        try:
            key = load_key(text.get_secret_value())
        except KeyFault as fault:
            hint = "write ${file:PATH} with a key made by `gateway keys new --out PATH`"
            yield ("tokens", "keys", index), f"unusable key: {fault}", hint
            continue
        if key.kid in seen:
            yield ("tokens", "keys", index), "the same key stands here twice", "remove one of them"
        seen.add(key.kid)


def _clients(config: Config) -> Iterator[Finding]:
    clients = config.clients
    if clients.require and not clients.implicit and not clients.client_credentials:
        yield ("clients",), "no client can obtain a bearer", "add implicit: or client_credentials:"
    for name, ids in (
        ("implicit", [client.id for client in clients.implicit]),
        ("client_credentials", [client.id for client in clients.client_credentials]),
    ):
        seen: set[str] = set()
        for index, client_id in enumerate(ids):
            if client_id in seen:
                yield ("clients", name, index, "id"), "this client id stands here twice", "remove one of them"
            seen.add(client_id)

    for index, client in enumerate(clients.client_credentials):
        if len({secret.get_secret_value() for secret in client.secrets}) < len(client.secrets):
            where = ("clients", "client_credentials", index, "secrets", 1)
            yield where, "the same secret stands here twice", "write the new one and the old one, or only secret:"


def second_secrets(config: Config) -> Iterator[str]:
    """Yield what is to be known of each client with two secrets: one of them is to go."""
    for index, client in enumerate(config.clients.client_credentials):
        if len(client.all_secrets) > 1:
            yield (
                f"clients.client_credentials[{index}] ({client.id}): a second secret is good as well;"
                " remove the old one once nobody uses it"
            )


def _token_header(config: Config) -> Iterator[Finding]:
    header = config.tokens.header
    if header == AUTHORIZATION and config.clients.require:
        what = "Authorization carries the bearers of clients, which clients.require asks for"
        yield ("tokens", "header"), what, "choose another header, or write clients: {require: false}"


def _routes(config: Config) -> Iterator[Finding]:
    names: dict[str, int] = {}
    reserved = {shape(path): owner for _, _, path, owner in endpoints(config)}
    if len(reserved) < len({owner for _, _, _, owner in endpoints(config)}):
        yield ("customers", "login_path"), "the gateway answers this path itself already", "choose another path"
    for index, route in enumerate(config.routes):
        if route.name in names:
            yield ("routes", index, "name"), "this name is taken", f"routes[{names[route.name]}] has it; choose another"
        names.setdefault(route.name, index)
        if route.name in ENDPOINT_NAMES:
            yield ("routes", index, "name"), "this name is taken", "a path of the gateway itself has it; choose another"
        owner = reserved.get(shape(route.path))
        if owner is not None:
            yield ("routes", index, "path"), f"the gateway answers this path itself ({owner})", "remove the route"
    for index in unreachable(config):
        what = "no path is left to this route: more specific ones take them all"
        yield ("routes", index, "path"), what, "remove the route, or one of those"
    yield from _overlaps(config.routes)


def _overlaps(routes: Sequence[Route]) -> Iterator[Finding]:
    """Find the routes that share a path with one above them where nothing says whose it is."""
    templates = [parse_template(route.path) for route in routes]
    tree = Tree((template, index) for index, template in enumerate(templates))
    for above, (first, template) in enumerate(zip(routes, templates, strict=True)):
        for other, index in tree.meeting(template):
            if index <= above:
                continue
            second = routes[index]
            methods = set(first.methods) & set(second.methods)
            if methods and shape(first.path) == shape(second.path):
                what = f"overlaps with route {first.name}: {', '.join(sorted(methods))} of the same path"
                yield ("routes", index, "path"), what, "leave each method of a path to one route"
            elif _crosses(template, other):
                what = f"overlaps with route {first.name}: a path can match both and neither is more specific"
                yield ("routes", index, "path"), what, "make one of them literal where the other is"


def _crosses(first: tuple[Part, ...], second: tuple[Part, ...]) -> bool:
    """Tell whether two templates share a path while each is more specific than the other somewhere."""
    if any(part.is_tail for part in (*first, *second)) or len(first) != len(second):
        return False
    pairs = list(zip(first, second, strict=True))
    if any(not a.is_parameter and not b.is_parameter and a.text != b.text for a, b in pairs):
        return False
    return any(a.is_parameter and not b.is_parameter for a, b in pairs) and any(
        b.is_parameter and not a.is_parameter for a, b in pairs
    )


def _route(route: Route, made: RecordForm) -> Iterator[Finding]:
    parameters = {part.text for part in parse_template(route.path) if part.is_parameter}
    if len(set(route.methods)) != len(route.methods):
        yield ("methods",), "a method stands here twice", "remove one of them"
    if all(access is None for _, access in route.access):
        yield ("access",), "no caller may use this route", "name public, customer or trusted, or remove the route"
    if route.passwords in {Passwords.CHANGE, Passwords.FORGET} and not parameters:
        yield ("passwords",), "the path names no customer", "end the path with the customer's id, as /customers/{id}"
    yield from _idempotency_key(route)
    if not set(route.methods) <= _METHODS[route.passwords]:
        what = f"{route.passwords} goes with {' and '.join(sorted(_METHODS[route.passwords]))} only"
        yield ("passwords",), what, "give the other methods a route of their own"
    for caller, access in route.access:
        if isinstance(access, Rules):
            for where, what, hint in _rules(route, caller, access, parameters, made):
                yield ("access", caller, *where), what, hint


def _idempotency_key(route: Route) -> Iterator[Finding]:
    if route.idempotency_key in {None, IdempotencyKey.OFF}:
        return
    if route.passwords not in {None, Passwords.SHOW}:
        yield ("idempotency_key",), "no key passes where passwords are kept", "write off, or nothing"
    elif set(route.methods) == {"GET"}:
        yield ("idempotency_key",), "nothing is written here", "remove it"


def _rules(route: Route, caller: str, access: Rules, parameters: set[str], made: RecordForm) -> Iterator[Finding]:
    if not access.scope and not access.guard:
        yield (), "no rule applies here", "write `open` if that is meant, or add scope: and guard:"
    if caller == "trusted":
        yield (), "rules scope customers, and a trusted caller is none", "write `open` or remove the caller"
    owners = [rule for rule in access.guard_rules if isinstance(rule, Owner)]
    written: set[tuple[str, str]] = set()
    for index, rule in enumerate(access.scope_rules):
        where: Location = ("scope", index)
        if caller == "public" and _needs_customer(rule):
            yield where, "this rule needs a customer, and a public caller is none", "move it to customer:"
        yield from _missing(where, rule, parameters)
        if isinstance(rule, ParentOwner) and not rule.path and not route.template[-1].is_parameter:
            yield where, "the path does not end with a record that could be looked up", "say which one with path:"
        place = _written(rule, made)
        if place in written:
            yield where, "another rule writes the same place", "leave one of them"
        written |= {place} if place else set()
        if isinstance(rule, Filter) and not owners:
            what = "a filter alone proves nothing: an upstream may ignore it"
            yield where, what, f"add guard: [{{owner: {{pointer: ...}}}}] to {caller} of {route.name}"
    for index, guard in enumerate(access.guard_rules):
        yield from _missing(("guard", index), guard, parameters)
    if caller == "public" and any(rule.required for rule in owners):
        what = "an owner guard needs a customer, and a public caller is none"
        yield ("guard",), what, "move it to customer:, or write required: false to let records without owner pass"


def _needs_customer(rule: object) -> bool:
    return isinstance(rule, (Filter, PathOwner, BodyStamp)) or (
        isinstance(rule, ParentOwner) and rule.accepts is not Accepts.GUEST
    )


def _missing(where: Location, rule: object, parameters: set[str]) -> Iterator[Finding]:
    """Find the parameters that a rule reads and the path does not have."""
    read: set[str] = set()
    if isinstance(rule, (PathOwner, Identity, BelongsTo)):
        read = {rule.parameter}
    elif isinstance(rule, ParentOwner):
        read = set(rule.parameters)
    elif isinstance(rule, BodyFields):
        read = set(rule.match.values())
    if not read <= parameters:
        what = f"the path has no parameter {_listed(read - parameters)}"
        yield where, what, f"use one of: {_listed(parameters)}"


def _written(rule: object, made: RecordForm) -> tuple[str, str] | None:
    """Return what part of the request a rule writes."""
    if isinstance(rule, Filter):
        return "query", rule.written_in(made)[1]
    return ("body", rule.pointer) if isinstance(rule, BodyStamp) else None


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(f"{{{name}}}" for name in names)) or "none"
