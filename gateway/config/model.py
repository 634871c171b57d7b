"""What a routing file may say. The descriptions are the manual; nothing here opens anything by default.

It checks single values; what must fit together across the file is in check.py.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    WithJsonSchema,
    create_model,
    field_serializer,
    model_validator,
)

from gateway.config.apiside import Upstream
from gateway.config.clientside import CorsOptions, GatewayLimits, Server
from gateway.config.customers import Customers, Revocation, customer_form
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.records import Records, form
from gateway.config.secret import ClientId, ClientSecret
from gateway.config.texts import (
    Closed,
    Flag,
    Method,
    Path,
    Template,
    answerable,
    optional_base_url,
    reason_text,
    token_header,
    upstream_path_text,
)
from gateway.config.units import Duration, Size
from gateway.config.upstream_path import UpstreamPath, parse_upstream_path
from gateway.guard.core import GuardOptions
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.routing import Part, parse_template
from gateway.scope.core import RuleOptions
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.stores.postgres_url import without_password
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import DEFAULT_UPSTREAM, Credential, IdempotencyKey, Passwords
from gateway.vocab.record_form import RecordForm

# What stands in a file; config/load.py puts the keys in place of their folder.
_KEYS = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string", "examples": ["keys"]}]}


class Tokens(Closed):
    """The tokens that the gateway mints."""

    issuer: str = Field(min_length=1, description="`iss` of every token.")
    audience: str = Field(min_length=1, description="`aud` of every token.")
    keys: Annotated[tuple[SecretStr, ...], WithJsonSchema(_KEYS)] = Field(
        default=(),
        description="The folder in which `gateway keys` keeps them, relative to this file; or a list of private keys"
        " (JWK or PEM), from ${file:...}: the first signs, all verify.",
    )
    header: Annotated[str, AfterValidator(token_header)] = Field(
        default="X-Moltin-Customer-Token",
        validate_default=True,
        description="In which header clients send the customer token. With `clients.require: false` it may be"
        " Authorization, as `Bearer ...`.",
    )
    bearer_life: Duration = Field(default="1h", validate_default=True, description="Life of a bearer.")
    customer_life: Duration = Field(default="24h", validate_default=True, description="Life of a customer token.")


class Store(Closed):
    """Where passwords are kept, and who was logged out."""

    url: str = Field(
        description="sqlite:////data/gateway.db, or postgresql://USER@HOST/DATABASE for replicas that share it; of"
        " several hosts HOST1:PORT1,HOST2:PORT2. After a question mark: password_file, passfile, sslmode, sslrootcert,"
        " sslcert, sslkey, target_session_attrs."
    )
    notify_url: str | None = Field(
        default=None,
        description="The PostgreSQL server itself, where `url` leads through a pooler that cannot carry LISTEN: it"
        " tells of log-outs as they happen. They are asked for each second in any case.",
    )
    migrate: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: a start makes the tables, or brings them to its release. never: it only looks, as a role"
        " that owns no tables may, and `gateway store migrate` makes them.",
    )

    @field_serializer("url", "notify_url", when_used="json")
    def _masked(self, url: str | None) -> str | None:
        return None if url is None else without_password(url)


class ImplicitClient(Closed):
    """A front end: anybody can read its id."""

    id: ClientId = Field(description="Client id.")


class SecretClient(Closed):
    """A server: it holds a secret and is trusted with every record."""

    id: ClientId = Field(description="Client id.")
    secret: ClientSecret | None = Field(default=None, description="Client secret; from ${env:...} or ${file:...}.")
    secrets: tuple[ClientSecret, ...] = Field(
        default=(),
        max_length=2,
        description="In place of `secret`, for as long as one takes the place of another: [new, old]. Both are good.",
    )

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if (self.secret is None) != bool(self.secrets):
            raise ValueError("write secret: with one, or secrets: with the new one and the old one")
        return self

    @property
    def all_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets that are good, the newest first."""
        return self.secrets or (() if self.secret is None else (self.secret,))


class Clients(Closed):
    """Who may obtain bearers from the gateway."""

    require: Flag = Field(default=True, description="false: a request without a bearer counts as public.")
    path: Path = Field(default="/oauth/access_token", description="Where bearers are issued.")
    implicit: tuple[ImplicitClient, ...] = Field(default=(), description="Clients of the implicit grant: public.")
    client_credentials: tuple[SecretClient, ...] = Field(default=(), description="Clients with a secret: trusted.")


class Log(Closed):
    """The log."""

    details: Flag = Field(
        default=False, description="true: log lines say why a request was refused; they may quote what clients sent."
    )
    customer_key: SecretStr | None = Field(
        default=None, description="Key of the hash that stands for a customer; without it, another one each start."
    )


def _one_key(self: Any) -> Any:
    named = [name for name in type(self).model_fields if getattr(self, name) is not None]
    if len(named) != 1:
        raise ValueError("write exactly one rule in each list item")
    return self


def _step(name: str, rules: Any, doc: str) -> Any:
    fields: dict[str, Any] = {
        key: (rule | None, Field(default=None, description=(rule.__doc__ or "").partition("\n\n")[0]))
        for key, rule in rules.items()
    }
    validators: dict[str, Any] = {"one_key": model_validator(mode="after")(_one_key)}
    return create_model(name, __base__=Closed, __doc__=doc, __validators__=validators, **fields)


if TYPE_CHECKING:
    # The type checker cannot follow a model made from a list; what steps hold is read by `_only` alone.
    class ScopeStep(Closed):
        """One scoping rule."""

    class GuardStep(Closed):
        """One guard rule."""
else:
    ScopeStep = _step("ScopeStep", SCOPE_RULES, "One scoping rule.")
    GuardStep = _step("GuardStep", GUARD_RULES, "One guard rule.")


class Rules(Closed):
    """Access with conditions: what narrows the request, what judges the answer."""

    scope: tuple[ScopeStep, ...] = Field(default=(), description="Scoping rules, in order.")
    guard: tuple[GuardStep, ...] = Field(default=(), description="Guard rules, in order.")

    @property
    def scope_rules(self) -> tuple[RuleOptions, ...]:
        """The rules themselves."""
        return tuple(_only(step) for step in self.scope)

    @property
    def guard_rules(self) -> tuple[GuardOptions, ...]:
        """The rules themselves."""
        return tuple(_only(step) for step in self.guard)


def _only(step: BaseModel) -> Any:
    return next(value for value in dict(step).values() if value is not None)


ACCESS_TAGS = frozenset({"open", "rules"})
Access = Annotated[
    Annotated[Literal["open"], Tag("open")] | Annotated[Rules, Tag("rules")],
    Discriminator(lambda value: "open" if isinstance(value, str) else "rules"),
]


class AccessPerCaller(Closed):
    """What each kind of caller may do. A caller that is not named is refused with 403."""

    public: Access | None = Field(default=None, description="Holders of an implicit bearer.")
    customer: Access | None = Field(default=None, description="Holders of a customer token.")
    trusted: Access | None = Field(default=None, description="Holders of a client-credentials bearer.")

    @property
    def named(self) -> Sequence[tuple[CallerKind, Access]]:
        """What the kinds of callers may do that are named."""
        return [(CallerKind(name), access) for name, access in self if access is not None]


class Limits(Closed):
    """Limits of one route."""

    body: Size = Field(default="256KiB", validate_default=True, description="A body that a rule reads.")
    answer: Size = Field(default="8MiB", validate_default=True, description="An answer that a guard reads.")
    stream: Size | None = Field(default=None, description="A body that is streamed; without it, any size.")
    idle: Duration | None = Field(
        default=None,
        description="Between two pieces of an answer. Without it `upstream.timeouts.idle`, and for a stream of events"
        " (text/event-stream) as long as `upstream.timeouts.total`.",
    )


class Route(Closed):
    """One entry: a path, its methods, and who may do what there."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name in logs and metrics.")
    path: Template = Field(description="Path template, such as /v2/orders/{oid} or /catalog/{rest...}.")
    methods: tuple[Method, ...] = Field(min_length=1, description="Methods; HEAD follows GET.")
    access: AccessPerCaller = Field(description="What each kind of caller may do.")
    query: tuple[str, ...] = Field(default=(), description="Query parameters that pass where rules apply.")
    upstream: str | None = Field(
        default=None, description="Which of the `upstreams` the requests go to; without it, to the first."
    )
    upstream_path: Annotated[str, AfterValidator(upstream_path_text)] | None = Field(
        default=None,
        description="The path there, if it is another one: each parameter of `path` once, in a segment or as a filter,"
        " such as /api/orders/{oid}/ or /orders?id=eq.{oid}. Links of the API come back as `path`.",
    )
    records: Records | None = Field(
        default=None,
        description="How the API speaks of the records here, where that differs from `records` of the file.",
    )
    passwords: Passwords | None = Field(
        default=None,
        description="What the route does with passwords: register, change, forget or show. Where"
        " customers.verify is upstream the API keeps them: change and forget log the customer out, the others do"
        " nothing.",
    )
    credential: Credential | None = Field(
        default=None,
        description="Which of the gateway's credentials carries requests of public callers and customers here, in place"
        " of what their rules say. `server` gives them what the server may; `gateway check` names each such route.",
    )
    idempotency_key: IdempotencyKey | None = Field(
        default=None,
        description="What becomes of Idempotency-Key on writes: pass, the default (a digest of it and its caller goes"
        " up), required (400 without one) or off, the only way where passwords are kept. A public caller's repeat must"
        " use the same bearer.",
    )
    limits: Limits = Field(default_factory=Limits, description="Sizes and times.")
    set_cookie: Flag = Field(default=False, description="true: cookies of the upstream pass on open access.")
    answer_headers: tuple[Annotated[str, AfterValidator(answerable)], ...] = Field(
        default=(),
        description="Headers of the upstream that leave with judged answers, besides the media type, ETag,"
        " Last-Modified, Location, Preference-Applied, and Link, X-Total-Count and Content-Range of a list, which leave"
        " as far as they were judged, listed or not. Open access passes on all.",
    )
    on_violation: Literal["refuse", "close_route"] = Field(
        default="refuse",
        description="After an answer that would have broken isolation: refuse it, or also close the route (503) until"
        " this worker is restarted; then whoever can make the API answer wrongly can close it.",
    )
    insecure_unproven: Annotated[str, AfterValidator(reason_text)] | None = Field(
        default=None,
        description="Why this route may stay although nothing proves that it keeps customers' records apart. `gateway"
        " check` shows it, and the log at start.",
    )

    @property
    def sends_to(self) -> UpstreamPath | None:
        """Where its requests go at the upstream, if not to `path`."""
        return None if self.upstream_path is None else parse_upstream_path(self.upstream_path)

    @property
    def template(self) -> tuple[Part, ...]:
        """Which records of the upstream it is about: its path there, with what a filter picks out behind it."""
        return parse_template(self.path) if self.sends_to is None else self.sends_to.template


UpstreamName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Config(Closed):
    """The whole routing file."""

    version: Literal[1] = Field(description="Version of this format.")
    upstreams: dict[UpstreamName, Upstream] = Field(
        default={},
        description="In place of `upstream`, or beside it, several APIs by name, each with keys as `upstream` has them."
        " The first is that of routes that name none, and that of the customers; `upstream` is the first of all, and is"
        " called default.",
    )
    upstream: Upstream = Field(  # type: ignore[assignment]  # it is None only in files that are faulty
        default=None, description="The commerce API behind the gateway; required without `upstreams`."
    )
    public_url: Annotated[str, AfterValidator(optional_base_url)] = Field(
        default="", description="The gateway's own URL; links of the upstream become this, or path-only without it."
    )
    tokens: Tokens = Field(description="The tokens that the gateway mints.")
    store: Store = Field(description="Where passwords are kept, and who was logged out.")
    clients: Clients = Field(description="Who may obtain bearers.")
    records: Records = Field(default_factory=Records, description="How the API speaks of records.")
    customers: Customers = Field(default_factory=Customers, description="Who customers are.")
    revocation: Revocation = Field(default_factory=Revocation, description="How log-outs become known.")
    cors: CorsOptions = Field(default_factory=CorsOptions, description="Which browser applications may call.")
    server: Server = Field(default_factory=Server, description="The clients' side.")
    limits: GatewayLimits = Field(default_factory=GatewayLimits, description="Sizes of what belongs to no route.")
    log: Log = Field(default_factory=Log, description="The log.")
    routes: tuple[Route, ...] = Field(min_length=1, description="Every path that exists; all others answer 404.")
    insecure_literal_secrets: Flag = Field(
        default=False, description="true: secrets may stand in this file. For demonstrations only."
    )
    insecure_ephemeral_key: Flag = Field(
        default=False, description="true: without keys, one is made at start and dies with it. For demonstrations only."
    )

    @model_validator(mode="after")
    def _first_stands_for_one(self) -> Self:
        if not self.is_nameless and self.upstreams:
            object.__setattr__(self, "upstream", next(iter(self.upstreams.values())))
        return self

    @property
    def is_nameless(self) -> bool:
        """Whether the file has an `upstream` without a name."""
        return "upstream" in self.model_fields_set

    @property
    def apis(self) -> Mapping[str, Upstream]:
        """All upstreams by name, the first of them first; a checked file has one at least."""
        return {DEFAULT_UPSTREAM: self.upstream, **self.upstreams} if self.is_nameless else self.upstreams

    @property
    def first(self) -> str:
        """The name of the upstream that routes go to which name none, and that knows the customers."""
        return next(iter(self.apis))

    def api_of(self, route: Route) -> Upstream:
        """Return the upstream of a route."""
        return self.apis[route.upstream or self.first]

    def form_of(self, route: Route) -> RecordForm:
        """Return how the API speaks of the records of a route; of an upstream that is not there as the file says."""
        upstream = self.apis.get(route.upstream or self.first)
        return form(self.records, None if upstream is None else upstream.records, route.records)

    @property
    def customer_form(self) -> CustomerForm:
        """How the API describes customers, which is the first."""
        return customer_form(self.customers, self.records, self.apis[self.first].records)

    @property
    def customer_id_pattern(self) -> re.Pattern[str]:
        """What a whole customer id looks like, for `fullmatch`."""
        return compile_id_pattern(self.customers.id_pattern, self.customer_form.form.ids)
