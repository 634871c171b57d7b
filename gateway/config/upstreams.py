"""What must fit together in what a routing file says of its upstreams, and where its secrets stand there."""

from collections import Counter
from collections.abc import Iterator

from gateway.carrying.tls import UnfitTlsError
from gateway.config.apiside import Upstream
from gateway.config.credential import SECRET_KEYS, Header, Tls
from gateway.config.evidence import Finding, Location
from gateway.config.model import Config, Route, Rules
from gateway.config.texts import Address, read_address
from gateway.config.upstream_path import UpstreamPath
from gateway.guard.rules.owner import Owner
from gateway.routing import parse_template, shape
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import ParentOwner
from gateway.vocab.policy import DEFAULT_UPSTREAM, Credential, Passwords
from gateway.vocab.record_form import RecordForm

_CREDENTIALS = ("credential", "public_credential")


def upstream_places(config: Config) -> Iterator[tuple[Location, Upstream]]:
    """Yield each upstream with its place in the file."""
    if config.is_nameless:
        yield ("upstream",), config.upstream
    for name, upstream in config.upstreams.items():
        yield ("upstreams", name), upstream


def upstream_findings(config: Config) -> Iterator[Finding]:
    """Yield what does not fit together in what a file says of its upstreams, and of what goes to which."""
    if config.is_nameless and DEFAULT_UPSTREAM in config.upstreams:
        what = "this name is taken"
        yield ("upstreams", DEFAULT_UPSTREAM), what, "that of `upstream` is default; choose another"
    for place, upstream in upstream_places(config):
        yield from ((place + where, what, hint) for where, what, hint in _upstream(upstream))
        if config.tokens.header in upstream.forward_headers:
            what = "this header carries customer tokens (tokens.header), which never go upstream"
            yield (*place, "forward_headers"), what, f"take {config.tokens.header} from the list"
    yield from _overlaps(config)
    renamed = frozenset(one.upstream or config.first for one in config.routes if one.upstream_path is not None)
    first: dict[str, Route] = {}
    for index, route in enumerate(config.routes):
        here: Location = ("routes", index)
        if route.upstream is not None and route.upstream not in config.apis:
            yield (*here, "upstream"), "there is no such upstream", _known(config)
            continue
        other = first.setdefault(shape(route.path), route)
        if (other.upstream or config.first) != (route.upstream or config.first):
            what = f"two upstreams for one path: route {other.name} has it at {other.upstream or config.first}"
            yield (*here, "upstream"), what, "send all methods of a path to one"
        yield from ((here + where, what, hint) for where, what, hint in _route(config, route, renamed))


def _overlaps(config: Config) -> Iterator[Finding]:
    """Yield upstreams that are one API; one below the other by `url` is another one, and the proof knows where."""
    bases = [
        (place, [read_address(origin) for origin in (one.url, *one.link_origins)])
        for place, one in upstream_places(config)
    ]
    for index, (place, own) in enumerate(bases):
        if any(
            _is_within(mine, other) or _is_within(other, mine)
            for _, others in bases[:index]
            for mine in own
            for other in others
            if not (mine is own[0] and other is others[0] and _is_below(mine[1], other[1]))
        ):
            what = "another upstream is at this address, so that its records would have two proofs"
            yield (*place, "url"), what, "give each API one name"


def _is_within(one: Address, other: Address) -> bool:
    """Tell whether one address is the other or below it, for a server to which capital letters are small ones."""
    return one[0] == other[0] and [*map(str.lower, one[1])][: len(other[1])] == [*map(str.lower, other[1])]


def _is_below(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return len(one) != len(other) and one[:shorter] == other[:shorter]


def knows_all(config: Config) -> bool:
    """Tell whether every upstream that is named is there: else nothing can be said of what goes where."""
    rules = (
        rule
        for route in config.routes
        for _, access in route.access
        if isinstance(access, Rules)
        for rule in access.scope_rules
    )
    named = {route.upstream for route in config.routes}
    named |= {rule.upstream for rule in rules if isinstance(rule, ParentOwner)}
    return named <= {None, *config.apis}


def upstream_secrets(config: Config) -> Iterator[Location]:
    """Yield where secrets of the gateway's at its upstreams stand."""
    for place, upstream in upstream_places(config):
        for name in _CREDENTIALS:
            credential = getattr(upstream, name)
            for key in SECRET_KEYS:
                if getattr(credential, key, None) is not None:
                    yield (*place, name, key)
        if upstream.proxy is not None and upstream.proxy.password is not None:
            yield (*place, "proxy", "password")


def _upstream(upstream: Upstream) -> Iterator[Finding]:
    for name in _CREDENTIALS:
        credential = getattr(upstream, name)
        if isinstance(credential, Header) and credential.name in upstream.forward_headers:
            what = "clients may send this header themselves (forward_headers)"
            yield (name, "name"), what, "take it from forward_headers"
    if upstream.tls != Tls() and not upstream.url.startswith("https://"):
        yield ("tls",), "the upstream is not reached by TLS", "write https:// in its url, or remove tls"
    else:
        yield from _unfit(upstream.tls, ())
    for name in _CREDENTIALS:
        yield from _unfit(getattr(getattr(upstream, name), "tls", Tls()), (name,))


def _unfit(tls: Tls, place: Location) -> Iterator[Finding]:
    if tls != Tls():
        try:
            tls.files.context()
        except UnfitTlsError as fault:
            yield (*place, "tls", fault.setting), f"{fault}", "give a readable file in PEM, its key not encrypted"


def _route(config: Config, route: Route, renamed: frozenset[str]) -> Iterator[Finding]:
    if route.credential is Credential.PUBLIC and config.api_of(route).public_credential is None:
        yield (
            ("credential",),
            "there is no such credential",
            "add public_credential to its upstream, or remove this key",
        )
    for caller, access in route.access:
        for index, rule in enumerate(access.scope_rules if isinstance(access, Rules) else ()):
            if isinstance(rule, ParentOwner) and rule.upstream is not None and rule.upstream not in config.apis:
                yield ("access", caller, "scope", index), "there is no such upstream", _known(config)
    renames = (route.upstream or config.first) in renamed
    there = [one.upstream_path or "" for one in config.routes]
    for caller, access in route.access:
        for index, guard in enumerate(access.guard_rules if isinstance(access, Rules) else ()):
            if not isinstance(guard, Owner) or guard.below is None:
                continue
            if renames or any(one.startswith(f"{guard.below}/") for one in there):
                what = "links of this upstream are judged by the paths that clients know (upstream_path)"
                yield ("access", caller, "guard", index), what, "name the places with also:, or let path be its own"
    if route.passwords not in {None, Passwords.SHOW}:
        yield from _of_passwords(config, route)
    yield from _path(config, route)


def _of_passwords(config: Config, route: Route) -> Iterator[Finding]:
    """Yield what is wrong with a route that registers, changes or removes customers."""
    if config.form_of(route) != config.customer_form.form:
        what = "bodies and answers here are read as customers.records says"
        yield ("records",), what, "describe the route and the customers alike"
    if route.sends_to is not None and route.passwords is not Passwords.REGISTER:
        # Whose password it is says the end of `path`, and whose record that of the other one.
        *_, last = parse_template(route.path)
        if not last.is_parameter or route.sends_to.record != last.text:
            what = (
                f"a password is kept for the customer at the end of `path`, and this does not end with {{{last.text}}}"
            )
            yield ("upstream_path",), what, "let both end with the customer's id"
    if config.customers.verify == "upstream":
        return
    if config.api_of(route) is not config.upstream:
        what = "passwords are kept for the customers of the first upstream"
        yield ("upstream",), what, f"remove it, or write {config.first}"


def _path(config: Config, route: Route) -> Iterator[Finding]:
    """Yield what is wrong with where a route's requests go: each parameter must be there, and only once."""
    sends_to = route.sends_to
    if sends_to is None:
        return
    for what in _misused(route, sends_to):
        yield ("upstream_path",), what, "use each parameter of `path` once"
    for caller, access in route.access:
        for index, rule in enumerate(access.scope_rules if isinstance(access, Rules) else ()):
            if isinstance(rule, Filter) and sends_to.names & _written(rule, config.form_of(route)):
                what = "upstream_path writes the same query parameter"
                yield ("access", caller, "scope", index), what, "name the record in a segment, or by another field"


def _misused(route: Route, sends_to: UpstreamPath) -> Iterator[str]:
    """Yield what is wrong with the use of each parameter."""
    ours = {part.text: part for part in parse_template(route.path) if part.is_parameter}
    theirs = Counter(part for part in sends_to.template if part.is_parameter)
    for part, times in theirs.items():
        known = ours.get(part.text)
        if times > 1:
            yield f"{{{part.text}}} stands here twice"
        if known is None:
            yield f"`path` has no parameter {{{part.text}}}"
        elif known.is_tail != part.is_tail:
            yield f"{{{part.text}}} is one segment on one side and many on the other"
    for name in ours.keys() - {part.text for part in theirs}:
        proving = [caller for caller, access in route.access if _proves_by(access, name)]
        what = f", by which rules for {' and '.join(proving)} prove whose the record is" if proving else ""
        yield f"{{{name}}} of `path` is missing{what}"


def _proves_by(access: object, name: str) -> bool:
    rules = (*access.scope_rules, *access.guard_rules) if isinstance(access, Rules) else ()
    return any(getattr(rule, "parameter", None) == name or name in getattr(rule, "parameters", ()) for rule in rules)


def _written(rule: Filter, made: RecordForm) -> set[str]:
    dialect, parameter = rule.written_in(made)
    return {name for name, _ in dialect.equals(rule.field, "shown", parameter)}


def _known(config: Config) -> str:
    return f"write one of: {', '.join(config.apis)}"
