"""Which of the gateway's own credentials a request goes upstream with, decided once for each access. Pure.

The server's may see what no customer may, so that it carries only what the rules bind to the customer's own records:
everything else gets what the API gives to everybody.
"""

from collections.abc import Iterator

from gateway.config.apiside import Upstream
from gateway.config.credential import Basic, Header, NoCredential
from gateway.config.model import Access, Config, Route, Rules
from gateway.guard.rules.owner import Owner
from gateway.scope.core import RuleOptions
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import Accepts, ParentOwner
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import READS, CallerKind
from gateway.vocab.policy import ALL_METHODS, Credential, Passwords
from gateway.vocab.record_form import RecordForm

_KEEPS_PASSWORDS = frozenset({Passwords.REGISTER, Passwords.CHANGE, Passwords.FORGET})
_SINGLE = (
    "public callers get what the server's credential may read here: force a filter, such as eq(status,live), upstream,"
    " or take fields from bodies with body_fields; or give upstream.public_credential"
)


Methods = frozenset[str]
_NONE: Methods = frozenset()
_WRITES = ALL_METHODS - READS - {"DELETE"}


def credentials(config: Config, route: Route, caller: CallerKind, access: Access) -> tuple[Methods, Methods]:
    """Return with which methods requests carry the server's credential, and those whose looked-up record is nobody's.

    All others carry the public one.
    """
    if config.api_of(route).public_credential is None or caller is CallerKind.TRUSTED:
        return ALL_METHODS, ALL_METHODS
    if route.credential is not None:
        lent = ALL_METHODS if route.credential is Credential.SERVER else _NONE
        return lent, lent
    if _keeps_passwords(route, access):
        return ALL_METHODS, ALL_METHODS
    known = (caller, access, config.form_of(route))
    return bound(*known, of_guests=False), bound(*known, of_guests=True)


def bound(caller: CallerKind, access: Access, made: RecordForm, *, of_guests: bool) -> Methods:
    """Return the methods that the rules bind to the customer's id; `of_guests`, if a looked-up record is nobody's."""
    if caller is not CallerKind.CUSTOMER or not isinstance(access, Rules):
        return _NONE
    if any(isinstance(rule, Owner) and rule.required for rule in access.guard_rules):
        return ALL_METHODS
    return _NONE.union(*(_bound_by(rule, made, of_guests=of_guests) for rule in access.scope_rules))


def _bound_by(rule: RuleOptions, made: RecordForm, *, of_guests: bool) -> Methods:
    match rule:
        case PathOwner():
            return ALL_METHODS
        case ParentOwner():
            return _NONE if of_guests and rule.accepts is not Accepts.OWN else ALL_METHODS
        case Filter():
            # What a write does by a filter is said by no dialect but this one.
            return ALL_METHODS if (rule.dialect or made.dialect) == "postgrest" else READS
        case BodyStamp():
            return _WRITES
        case _:
            return _NONE


def _keeps_passwords(route: Route, access: Access) -> bool:
    """Tell whether an exchange is one of passwords whose body holds listed fields alone."""
    return (
        route.passwords in _KEEPS_PASSWORDS
        and isinstance(access, Rules)
        and any(isinstance(rule, BodyFields) and rule.allow is not None for rule in access.scope_rules)
    )


def credential_lines(upstream: Upstream, name: Credential) -> Iterator[tuple[str, str]]:
    """Yield the header line of a credential, its secret masked."""
    match upstream.public_credential if name is Credential.PUBLIC else upstream.credential:
        case Header() as held:
            yield held.name, f"<{name} credential>"
        case Basic():
            yield "authorization", f"Basic <{name} credential>"
        case NoCredential() | None:
            pass
        case _:
            yield "authorization", f"Bearer <{name} credential>"


def lent_freely(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each route whose requests carry the server's credential though nothing binds them, and what that means."""
    for route in config.routes:
        upstream = config.api_of(route)
        if upstream.public_credential is None and upstream.credential.kind == "none":
            continue
        callers = [caller for caller, access in route.access.named if _is_lent_freely(config, route, caller, access)]
        if not callers:
            continue
        if route.credential is Credential.SERVER:
            yield route.name, f"credential: server, though nothing binds requests of {_listed(callers)} to a customer"
        else:
            yield route.name, _SINGLE


def _is_lent_freely(config: Config, route: Route, caller: CallerKind, access: Access) -> bool:
    if caller is CallerKind.TRUSTED or _keeps_passwords(route, access):
        return False
    lent = credentials(config, route, caller, access)[1]
    return not {*route.methods} & lent <= bound(caller, access, config.form_of(route), of_guests=True)


def _listed(callers: list[CallerKind]) -> str:
    return " and ".join(f"{caller} callers" if caller is CallerKind.PUBLIC else f"{caller}s" for caller in callers)
