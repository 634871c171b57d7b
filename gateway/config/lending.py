"""Which of the gateway's own credentials a request goes upstream with, decided once for each access. Pure.

The server's may see what no customer may, so that it carries only what the rules bind to the customer's own records:
everything else gets what the API gives to everybody.
"""

from collections.abc import Iterator

from gateway.config.credential import Basic, Header, NoCredential
from gateway.config.model import Access, Config, Route, Rules
from gateway.guard.rules.owner import Owner
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import Accepts, ParentOwner
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import Credential, Passwords

_KEEPS_PASSWORDS = frozenset({Passwords.REGISTER, Passwords.CHANGE, Passwords.FORGET})
_SINGLE = (
    "public callers get what the server's credential may read here: force a filter, such as eq(status,live), upstream,"
    " or take fields from bodies with body_fields; or give upstream.public_credential"
)


def credentials(config: Config, route: Route, caller: CallerKind, access: Access) -> tuple[Credential, Credential]:
    """Return what carries the requests of `caller` on `route`, and those whose looked-up record is nobody's."""
    if config.upstream.public_credential is None or caller is CallerKind.TRUSTED:
        return Credential.SERVER, Credential.SERVER
    if route.credential is not None:
        return route.credential, route.credential
    if config.customers.verify != "upstream" and route.passwords in _KEEPS_PASSWORDS:
        return Credential.SERVER, Credential.SERVER
    is_customer = caller is CallerKind.CUSTOMER
    return (
        Credential.SERVER if is_customer and _is_bound(access, of_guests=False) else Credential.PUBLIC,
        Credential.SERVER if is_customer and _is_bound(access, of_guests=True) else Credential.PUBLIC,
    )


def _is_bound(access: Access, *, of_guests: bool) -> bool:
    """Tell whether the rules bind a customer's request to the customer's id; `of_guests`, if a parent is nobody's."""
    if not isinstance(access, Rules):
        return False
    return any(isinstance(rule, Owner) and rule.required for rule in access.guard_rules) or any(
        isinstance(rule, (PathOwner, Filter, BodyStamp))
        or (isinstance(rule, ParentOwner) and not (of_guests and rule.accepts is not Accepts.OWN))
        for rule in access.scope_rules
    )


def credential_lines(config: Config, name: Credential) -> Iterator[tuple[str, str]]:
    """Yield the header line of a credential, its secret masked."""
    match config.upstream.public_credential if name is Credential.PUBLIC else config.upstream.credential:
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
    upstream = config.upstream
    if upstream.public_credential is None and upstream.credential.kind == "none":
        return
    for route in config.routes:
        callers = [
            caller
            for caller, access in (
                (CallerKind.PUBLIC, route.access.public),
                (CallerKind.CUSTOMER, route.access.customer),
            )
            if access is not None and _is_lent_freely(config, route, caller, access)
        ]
        if not callers:
            continue
        if route.credential is Credential.SERVER:
            yield route.name, f"credential: server, though nothing binds requests of {_listed(callers)} to a customer"
        else:
            yield route.name, _SINGLE


def _is_lent_freely(config: Config, route: Route, caller: CallerKind, access: Access) -> bool:
    if config.customers.verify != "upstream" and route.passwords in _KEEPS_PASSWORDS:
        return False
    is_bound = caller is CallerKind.CUSTOMER and _is_bound(access, of_guests=True)
    return not is_bound and credentials(config, route, caller, access)[1] is Credential.SERVER


def _listed(callers: list[CallerKind]) -> str:
    return " and ".join(f"{caller} callers" if caller is CallerKind.PUBLIC else f"{caller}s" for caller in callers)
