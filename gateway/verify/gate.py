"""Doors of the gateway under test: bearers, registrations, logins, deletions; and how each caller's requests look."""

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from gateway.config.model import Config
from gateway.config.routes import customers_path
from gateway.verify import recipes
from gateway.verify.client import Client
from gateway.verify.documents import encode, parse, record_id, records
from gateway.verify.facts import RouteFacts
from gateway.verify.model import Caller, CannotRunError, HeaderLines, Message, Person, Reply, Shot
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import CallerKind
from gateway.vocab.record_form import MOLTIN
from gateway.wire.headers import AUTHORIZATION
from gateway.wire.pointer import placed

_MAIL_DOMAIN = "example.com"
_INSISTING = ("X-Customer-Id", "X-User-Id", "X-Moltin-Customer-Id", "X-Authenticated-User")


@dataclass(frozen=True, slots=True)
class Access:
    """What the prover was given: ids and secrets, none of which leaves for anywhere but the gateway under test."""

    storefront: str | None
    admin_bearer: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


@dataclass(slots=True)
class Gate:
    """The gateway under test, and the bearers obtained from it."""

    client: Client
    config: Config
    routes: tuple[RouteFacts, ...]
    seeds: recipes.Seeds
    public: str = ""
    trusted: str = ""
    secrets: set[str] = field(default_factory=set)

    async def open(self, access: Access) -> None:
        """Obtain the bearers; CannotRunError where the gateway does not answer or refuses."""
        if access.storefront is not None:
            self.public = await self._grant({"grant_type": "implicit", "client_id": access.storefront})
        elif self.config.clients.require:
            raise CannotRunError("no storefront client is known: give --storefront-client")
        if access.admin_bearer:
            self.trusted = access.admin_bearer.removeprefix("Bearer ").strip()
        elif access.client_id and access.client_secret:
            grant = {"grant_type": "client_credentials", "client_id": access.client_id}
            self.trusted = await self._grant({**grant, "client_secret": access.client_secret})
        self.keep(self.public, self.trusted, access.client_secret or "")

    def keep(self, *texts: str) -> None:
        """Remember secrets, so that no report shows them."""
        self.secrets |= {text for text in texts if text}

    async def _grant(self, form: dict[str, str]) -> str:
        body = urlencode(form).encode()
        headers = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
        reply = await self.client.send(Message("POST", self.config.clients.path, headers, body))
        if not reply.status:
            raise CannotRunError(f"the gateway cannot be reached at {self.client.origin} ({reply.fault})")
        document = parse(reply.body)
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str):
            raise CannotRunError(f"no bearer for the {form['grant_type']} grant: the gateway answered {reply.status}")
        return token

    def lines(self, kind: CallerKind, person: Person | None = None) -> HeaderLines:
        """Return the credentials of an honest caller."""
        bearer = self.trusted if kind is CallerKind.TRUSTED else self.public
        found = [("Authorization", f"Bearer {bearer}")] if bearer else []
        if person is not None and kind is CallerKind.CUSTOMER:
            line = self._token_line(person.token)
            found = [line] if self._is_in_authorization else [*found, line]
        return tuple(found)

    @property
    def _is_in_authorization(self) -> bool:
        return self.config.tokens.header == AUTHORIZATION

    def _token_line(self, token: str) -> tuple[str, str]:
        return ("Authorization", f"Bearer {token}") if self._is_in_authorization else (self.config.tokens.header, token)

    async def ask(
        self, kind: CallerKind, person: Person | None, method: str, target: str, document: Any = None
    ) -> Reply:
        """Send an honest request."""
        headers = (*self.lines(kind, person), ("Accept", "application/json"))
        body = None if document is None else encode(document)
        if body is not None:
            headers = (*headers, ("Content-Type", "application/json"))
        return await self.client.send(Message(method, target, headers, body))

    def message(self, caller: Caller, shot: Shot, attacker: Person, victim: Person) -> Message:
        """Return a shot with the credentials of its caller, unless it brings its own."""
        bearers: tuple[str, ...] = ()
        tokens: tuple[str, ...] = ()
        if caller is not Caller.ANONYMOUS:
            bearer = self.trusted if caller is Caller.TRUSTED else self.public
            bearers = (f"Bearer {bearer}",) if bearer else ()
        if caller in {Caller.CUSTOMER, Caller.TRUSTED, Caller.INSISTENT}:
            tokens = (attacker.token,)
        tokens = tokens if shot.tokens is None else shot.tokens
        if tokens and self._is_in_authorization:
            # One line takes either; an honest client sends no second one.
            bearers = ()
        bearers = bearers if shot.bearers is None else shot.bearers
        headers = [("Authorization", one) for one in bearers] + [self._token_line(one) for one in tokens]
        if caller is Caller.INSISTENT:
            headers += [(name, victim.id) for name in _INSISTING] + [("Cookie", f"customer_id={victim.id}")]
        if not any(name == "Accept" for name, _ in shot.headers):
            headers.append(("Accept", "application/json"))
        if shot.body is not None:
            headers.append(("Content-Type", shot.content_type))
        return Message(shot.method, shot.target, (*headers, *shot.headers), shot.body, shot.raw)

    async def register(self, person: Person) -> None:
        """Make a customer through the register route; CannotRunError where that is not possible."""
        route = self.register_route()
        kind = next((one for one in (CallerKind.PUBLIC, CallerKind.TRUSTED) if route and one in route.access), None)
        if route is None or kind is None:
            raise CannotRunError("the routing file has no route to register customers: give --customer twice")
        how = self.config.customer_form
        template = _registration(how)
        if how.form == MOLTIN:
            template = self.seeds.body("POST", route) or template
        variables = {"canary": person.canary, "fresh_email": person.email, "password": person.password}
        reply = await self.ask(kind, None, "POST", route.path, recipes.expand(template, variables))
        shown = (record_id(record, how.form) for record in records(parse(reply.body), how.form))
        made = next((ident for ident in shown if ident), "")
        if not reply.is_success or not made:
            raise CannotRunError(f"registering customer {person.letter} failed: the gateway answered {reply.status}")
        person.id, person.is_made = made, True

    def register_route(self) -> RouteFacts | None:
        """Return the route by which customers are made."""
        marked = [route for route in self.routes if route.registers]
        usual = [
            route for route in self.routes if route.path == customers_path(self.config) and "POST" in route.methods
        ]
        return next(iter([*marked, *usual]), None)

    async def login(self, person: Person) -> int:
        """Log a customer in; returns the status. The token and the id are kept where it was granted."""
        data = {"type": "token", "email": person.email, "password": person.password}
        path = self.config.customers.login_path
        reply = await self.ask(CallerKind.PUBLIC, None, "POST", path, {"data": data})
        document = parse(reply.body)
        granted = document.get("data") if isinstance(document, dict) else None
        if reply.is_success and isinstance(granted, dict) and isinstance(granted.get("token"), str):
            person.token = granted["token"]
            person.id = str(granted.get("customer_id") or person.id)
            self.keep(person.token)
            return reply.status
        return reply.status if not reply.is_success else 0

    async def delete(self, customer_id: str, person: Person | None) -> bool:
        """Delete a customer: through the trusted client, or as the customer itself. True where it is gone."""
        target = f"{customers_path(self.config)}/{customer_id}"
        for kind in (CallerKind.TRUSTED, CallerKind.CUSTOMER):
            if (kind is CallerKind.TRUSTED and not self.trusted) or (kind is CallerKind.CUSTOMER and person is None):
                continue
            reply = await self.ask(kind, person, "DELETE", target)
            if reply.is_success or (kind is CallerKind.TRUSTED and reply.status == 404):  # noqa: PLR2004
                return True
        return False

    async def public_key(self, path: str) -> str:
        """Return the first public key that the gateway shows, as JSON text."""
        document = parse((await self.ask(CallerKind.PUBLIC, None, "GET", path)).body)
        keys = document.get("keys") if isinstance(document, dict) else None
        return encode(keys[0]).decode() if isinstance(keys, list) and keys else ""


def _registration(how: CustomerForm) -> Any:
    """Return the body that registers a customer, with variables for what is made up."""
    record: Any = {"type": how.form.owner_type} if how.form.body_at else {}
    for place, text in ((how.name_at, "${canary}"), (how.email_at, "${fresh_email}"), (how.password_at, "${password}")):
        record = placed(record, place, text)
    return placed({}, how.form.body_at, record)


def stranger(letter: str, run: str) -> Person:
    """Make up a customer that nobody can guess."""
    lower = letter.lower()
    return Person(
        letter=letter,
        email=f"gateway-verify-{run}-{lower}@{_MAIL_DOMAIN}",
        password=secrets.token_urlsafe(24),
        canary=canary(lower),
        key=f"verify-{lower}-{secrets.token_hex(12)}",
    )


def canary(letter: str) -> str:
    """Make text that nobody can guess and that stands nowhere else."""
    return f"canary-{letter}-{secrets.token_hex(12)}"
