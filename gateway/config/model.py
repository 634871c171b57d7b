"""What a routing file may say. The descriptions are the manual; nothing here opens anything by default.

It checks single values; what must fit together across the file is in check.py.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    create_model,
    model_validator,
)

from gateway.config.credential import Credential, Tls
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.section import Closed, Path, Template
from gateway.config.units import Duration, Size
from gateway.guard.core import GuardOptions
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.core import RuleOptions
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.vocab.policy import Credential as CredentialName
from gateway.vocab.policy import Passwords
from gateway.wire.headers import AUTHORIZATION, CUSTOMER_TOKEN, FORWARDED, OWN_ANSWER_FIELDS, OWN_FIELDS


def _base_url(url: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", url):
        raise ValueError("a URL is http:// or https://, a host, perhaps a path; no user, query or fragment")
    return url.rstrip("/")


def _optional_base_url(url: str) -> str:
    return _base_url(url) if url else ""


def _id_pattern(text: str) -> str:
    compile_id_pattern(text)
    return text


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError("a header name is letters, digits and hyphens")
    return name.lower()


def _forwardable(name: str) -> str:
    name = _header_name(name)
    if name in OWN_FIELDS or name.startswith(("x-forwarded-", "access-control-")):
        raise ValueError("the gateway speaks for itself in this header; it cannot be passed on")
    return name


def _answerable(name: str) -> str:
    name = _header_name(name)
    if name in OWN_ANSWER_FIELDS or name.startswith("access-control-"):
        raise ValueError("the gateway speaks for itself in this header of its replies; it cannot be passed on")
    return name


def _token_header(name: str) -> str:
    name = _header_name(name)
    if name in FORWARDED or name in OWN_FIELDS - {AUTHORIZATION, CUSTOMER_TOKEN}:
        raise ValueError("this header says something else; it cannot carry a token")
    return name


def _reason(text: str) -> str:
    words = " ".join(text.split())
    if not words:
        raise ValueError("write in a few words why this is no leak")
    return words


Flag = Annotated[bool, Field(strict=True)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Timeouts(Closed):
    """Limits of one exchange with the upstream."""

    connect: Duration = Field(default="3s", validate_default=True, description="Until connected, pool wait included.")
    first_byte: Duration = Field(default="30s", validate_default=True, description="Until the answer begins.")
    idle: Duration = Field(default="30s", validate_default=True, description="Between two pieces of a body.")
    total: Duration = Field(default="1h", validate_default=True, description="For the whole exchange.")


class Upstream(Closed):
    """The commerce API behind the gateway."""

    url: Annotated[str, AfterValidator(_base_url)] = Field(description="Base URL of the API.")
    credential: Credential = Field(
        description="The gateway's own credential, named `server`: for requests that are bound to the customer's id,"
        " for those of trusted callers, for look-ups of the gateway's own and where passwords are kept."
    )
    public_credential: Credential | None = Field(
        default=None,
        description="A weaker one, named `public`, that gives what the API gives to everybody: for all other requests."
        " It is written like `credential`, which never stands in for it. Without it there is one for all, and"
        " `gateway check` says what that means.",
    )
    tls: Tls = Field(default_factory=Tls, description="TLS to the API.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Limits of one exchange.")
    connections: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description="Connections open at once, per worker; what is relayed at a client's pace can have three quarters.",
    )
    connection_life: Duration = Field(
        default="5m",
        validate_default=True,
        description="How old a connection may be that is used again; for the next one the name is looked up anew.",
    )
    owner_memory: Duration = Field(
        default="1s",
        validate_default=True,
        description="How long a record, looked up and found to be the caller's, needs no second look; 0s looks always.",
    )
    link_origins: tuple[Annotated[str, AfterValidator(_base_url)], ...] = Field(
        default=(), description="Other base URLs by which the API links to itself; rewritten like `url`."
    )
    redirect_origins: tuple[Annotated[str, AfterValidator(_base_url)], ...] = Field(
        default=(),
        description="Other origins to which the API may redirect clients of open routes. Clients repeat the customer"
        " token there, so an origin that is not listed gets 301 to 303 only, and only clients without such a token.",
    )
    forward_headers: tuple[Annotated[str, AfterValidator(_forwardable)], ...] = Field(
        default=(), description="Request headers that pass besides the built-in list."
    )


class Tokens(Closed):
    """The tokens that the gateway mints."""

    issuer: str = Field(min_length=1, description="`iss` of every token.")
    audience: str = Field(min_length=1, description="`aud` of every token.")
    keys: tuple[SecretStr, ...] = Field(
        default=(), description="Private keys (JWK or PEM), from ${file:...}; the first signs, all verify."
    )
    header: Annotated[str, AfterValidator(_token_header)] = Field(
        default="X-Moltin-Customer-Token",
        validate_default=True,
        description="In which header clients send the customer token. With `clients.require: false` it may be"
        " Authorization, as `Bearer ...`.",
    )
    bearer_life: Duration = Field(default="1h", validate_default=True, description="Life of a bearer.")
    customer_life: Duration = Field(default="24h", validate_default=True, description="Life of a customer token.")


class Store(Closed):
    """Where passwords are kept."""

    url: str = Field(description="SQLAlchemy URL without driver, such as sqlite:////data/gateway.db.")


class ImplicitClient(Closed):
    """A front end: anybody can read its id."""

    id: str = Field(min_length=1, description="Client id.")


class SecretClient(Closed):
    """A server: it holds a secret and is trusted with every record."""

    id: str = Field(min_length=1, description="Client id.")
    secret: SecretStr = Field(min_length=1, description="Client secret; from ${env:...} or ${file:...}.")


class Clients(Closed):
    """Who may obtain bearers from the gateway."""

    require: Flag = Field(default=True, description="false: a request without a bearer counts as public.")
    path: Path = Field(default="/oauth/access_token", description="Where bearers are issued.")
    implicit: tuple[ImplicitClient, ...] = Field(default=(), description="Clients of the implicit grant: public.")
    client_credentials: tuple[SecretClient, ...] = Field(default=(), description="Clients with a secret: trusted.")


class Bucket(Closed):
    """A token bucket: `burst` attempts at once, then `per_minute`."""

    burst: int = Field(ge=1, description="Attempts at once.")
    per_minute: float = Field(gt=0, description="Attempts given back each minute.")


class Throttle(Closed):
    """How many failed logins are accepted, per worker."""

    account: Bucket = Field(
        default=Bucket(burst=10, per_minute=10),
        description="Per e-mail address; beyond it every answer is that to a wrong password. An address from which the"
        " customer has logged in is counted apart.",
    )
    address: Bucket = Field(
        default=Bucket(burst=100, per_minute=100), description="Per client IP address; beyond it 429."
    )


class Hashing(Closed):
    """Argon2id and its pool. The defaults are OWASP's: 19 MiB, 2 passes, 1 lane."""

    memory: Size = Field(default="19MiB", validate_default=True, description="Memory of one computation.")
    passes: int = Field(default=2, ge=1, le=16, description="Passes over the memory.")
    lanes: int = Field(default=1, ge=1, le=16, description="Parallel lanes.")
    workers: int = Field(default=1, ge=1, le=64, description="Computations at once, per worker process.")
    queue: int = Field(default=16, ge=0, le=10_000, description="Computations that may wait; more answer 503.")


class Customers(Closed):
    """Who customers are and how they log in."""

    path: Path = Field(default="/v2/customers", description="The upstream's collection of customers.")
    login_path: Path = Field(default="/v2/customers/tokens", description="Where customers log in.")
    verify: Literal["store", "upstream"] = Field(
        default="store", description="Who keeps the passwords: the gateway's store, or the upstream itself."
    )
    id_pattern: Annotated[str, AfterValidator(_id_pattern)] = Field(
        default="[A-Za-z0-9_-]{1,64}",
        description="What a whole customer id looks like: a regular expression whose matching ends soon on every text.",
    )
    dialect: Literal["epcc", "query", "jsonapi", "postgrest"] = Field(
        default="epcc", description="How the upstream spells the filter that finds a customer by e-mail."
    )
    filter_parameter: str = Field(default="filter", description="Name of that query parameter.")
    read_back: Annotated[Duration, Field(ge=0.1, le=5)] = Field(
        default="5s",
        validate_default=True,
        description="How long a customer just created, whom the upstream does not show by id yet, is asked for again;"
        " at most 5s. Then the reply is 202.",
    )
    throttle: Throttle = Field(default_factory=Throttle, description="Limits of failed logins.")
    hashing: Hashing = Field(default_factory=Hashing, description="How passwords are hashed.")


class CorsOptions(Closed):
    """Which browser applications may call."""

    origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/*\s]+)$")], ...] = Field(
        default=(), description="Allowed origins, such as https://shop.example, or * for any."
    )
    headers: tuple[Annotated[str, AfterValidator(_header_name)], ...] = Field(
        default=(), description="Request headers that pages may send besides those of the API's SDKs."
    )
    expose: tuple[Annotated[str, AfterValidator(_header_name)], ...] = Field(
        default=(),
        description="Headers of answers that pages may read besides those that the API's answers are about, such as"
        " Location, Link and ETag, and what routes list under `answer_headers`.",
    )
    max_age: Duration = Field(default="10m", validate_default=True, description="How long a preflight may be kept.")


class Server(Closed):
    """The clients' side."""

    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-\[\]:]+$")], ...] = Field(
        default=(),
        description="Names, such as gateway.internal:8080, by which clients may call the gateway in targets in absolute"
        " form, besides that of `public_url`; with neither, the one in their Host line.",
    )
    request_id: Literal["keep", "replace"] = Field(
        default="keep",
        description="What becomes of a client's X-Request-Id: kept, if it is 1 to 64 letters, digits or ._~+-, or"
        " replaced by one of the gateway's; then the log holds both.",
    )
    keepalive: Duration = Field(default="75s", validate_default=True, description="Life of an idle connection.")
    drain: Duration = Field(default="30s", validate_default=True, description="For requests in flight at SIGTERM.")
    half_closed: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="Clients, per worker, that may wait for an answer after they closed their sending side; of more it"
        " ends the request. Without it, a quarter of `upstream.connections`.",
    )


class HeadLimits(Closed):
    """How large the head of a request, or of an answer of the API, may be; larger ones answer 431, or 502."""

    line: Size = Field(default="32KiB", ge=1024, le=1024 * 1024, validate_default=True, description="One line.")
    total: Size = Field(default="64KiB", ge=1024, le=16 * 1024 * 1024, validate_default=True, description="All of it.")
    lines: int = Field(default=200, ge=10, le=10_000, description="Lines.")


class GatewayLimits(Closed):
    """Sizes of what belongs to no route."""

    head: HeadLimits = Field(default_factory=HeadLimits, description="Heads.")


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


def _kind_of_access(value: Any) -> str:
    return "open" if isinstance(value, str) else "rules"


ACCESS_TAGS = frozenset({"open", "rules"})
Access = Annotated[
    Annotated[Literal["open"], Tag("open")] | Annotated[Rules, Tag("rules")], Discriminator(_kind_of_access)
]


class AccessPerCaller(Closed):
    """What each kind of caller may do. A caller that is not named is refused with 403."""

    public: Access | None = Field(default=None, description="Holders of an implicit bearer.")
    customer: Access | None = Field(default=None, description="Holders of a customer token.")
    trusted: Access | None = Field(default=None, description="Holders of a client-credentials bearer.")


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
    passwords: Passwords | None = Field(
        default=None,
        description="What the route does with passwords: register, change, forget or show. No effect where"
        " customers.verify is upstream.",
    )
    credential: CredentialName | None = Field(
        default=None,
        description="Which of the gateway's credentials carries requests of public callers and customers here, in place"
        " of what their rules say. `server` gives them what the server may; `gateway check` names each such route.",
    )
    limits: Limits = Field(default_factory=Limits, description="Sizes and times.")
    set_cookie: Flag = Field(default=False, description="true: cookies of the upstream pass on open access.")
    answer_headers: tuple[Annotated[str, AfterValidator(_answerable)], ...] = Field(
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
    insecure_unproven: Annotated[str, AfterValidator(_reason)] | None = Field(
        default=None,
        description="Why this route may stay although nothing proves that it keeps customers' records apart. `gateway"
        " check` shows it, and the log at start.",
    )


class Config(Closed):
    """The whole routing file."""

    version: Literal[1] = Field(description="Version of this format.")
    upstream: Upstream = Field(description="The commerce API behind the gateway.")
    public_url: Annotated[str, AfterValidator(_optional_base_url)] = Field(
        default="", description="The gateway's own URL; links of the upstream become this, or path-only without it."
    )
    tokens: Tokens = Field(description="The tokens that the gateway mints.")
    store: Store = Field(description="Where passwords are kept.")
    clients: Clients = Field(description="Who may obtain bearers.")
    customers: Customers = Field(default_factory=Customers, description="Who customers are.")
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
