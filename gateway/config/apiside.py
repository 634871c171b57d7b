"""What a routing file may say of the commerce API: where it is, who the gateway is there, what one may take of it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.credential import Credential, Tls, TokenEndpoint
from gateway.config.records import Records
from gateway.config.secret import ClientId, ClientSecret
from gateway.config.texts import Closed, base_url, forwardable
from gateway.config.units import Duration
from gateway.vocab import policy


class Timeouts(Closed):
    """Limits of one exchange with the upstream."""

    connect: Duration = Field(default="3s", validate_default=True, description="Until connected, pool wait included.")
    first_byte: Duration = Field(default="30s", validate_default=True, description="Until the answer begins.")
    idle: Duration = Field(default="30s", validate_default=True, description="Between two pieces of a body.")
    total: Duration = Field(default="1h", validate_default=True, description="For the whole exchange.")


class Shares(Closed):
    """How much of the connections one route or one client may hold, so that none takes what all need.

    A call beyond it waits, at most `timeouts.connect`, and holds up no other route; it answers 503 `OVERLOADED` then,
    or at once where as much as may already waits.
    """

    route: float = Field(
        default=1.0,
        gt=0,
        le=1_000_000,
        description="How many times as many connections as are free a route may hold, at least one: with 1 a route that"
        " hangs has half of all, ten of them ten elevenths together.",
    )
    client: float = Field(
        default=1 / 3,
        gt=0,
        le=1_000_000,
        description="The same for a client's address (IPv6: its /64), trusted clients excepted: with a third one has a"
        " quarter of all. While no proxy is trusted it is off for addresses in private and loopback space, where a"
        " proxy may stand for many.",
    )
    queue: int = Field(
        default=2048,
        ge=1,
        le=100_000,
        description="Calls that may wait for a connection, per worker; as many again that are relayed. A route may have"
        " `route` times as many of them as are free.",
    )


class Proxy(Closed):
    """A proxy on the way to the API (HTTP CONNECT); what the environment says (HTTP_PROXY) is not read."""

    url: Annotated[str, Field(pattern=r"^http://[A-Za-z0-9._\-\[\]:]+/?$")] = Field(
        description="Its address, such as http://proxy.internal:3128; TLS, if any, goes through it to the API."
    )
    username: ClientId | None = Field(default=None, description="Name at the proxy, sent with Basic (RFC 7617).")
    password: ClientSecret | None = Field(default=None, description="Its password; from ${env:...} or ${file:...}.")

    @model_validator(mode="after")
    def _names_both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("write username: and password:, or neither")
        if self.username is not None and ":" in self.username:
            raise ValueError("a name at a proxy has no colon (RFC 7617 section 2)")
        return self


class Upstream(Closed):
    """An API behind the gateway."""

    url: Annotated[str, AfterValidator(base_url)] = Field(description="Base URL of the API.")
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
    records: Records | None = Field(
        default=None,
        description="How this API speaks of records, where that differs from `records` of the file; a route may differ"
        " from it again.",
    )
    tls: Tls = Field(default_factory=Tls, description="TLS to the API.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Limits of one exchange.")
    proxy: Proxy | None = Field(default=None, description="A proxy through which the API is reached.")
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
    shares: Shares = Field(default_factory=Shares, description="Who may hold how many connections.")
    owner_memory: Duration = Field(
        default="1s",
        validate_default=True,
        description="How long a record, looked up and found to be the caller's, needs no second look; 0s looks always.",
    )
    link_origins: tuple[Annotated[str, AfterValidator(base_url)], ...] = Field(
        default=(), description="Other base URLs by which the API links to itself; rewritten like `url`."
    )
    redirect_origins: tuple[Annotated[str, AfterValidator(base_url)], ...] = Field(
        default=(),
        description="Other origins to which the API may redirect clients of open routes. Clients repeat the customer"
        " token there, so an origin that is not listed gets 301 to 303 only, and only clients without such a token.",
    )
    forward_headers: tuple[Annotated[str, AfterValidator(forwardable)], ...] = Field(
        default=(), description="Request headers that pass besides the built-in list."
    )

    @property
    def credentials(self) -> Mapping[policy.Credential, Credential]:
        """The gateway's credentials there, by their names; the server's first."""
        named = {policy.Credential.SERVER: self.credential}
        return named if self.public_credential is None else {**named, policy.Credential.PUBLIC: self.public_credential}

    @property
    def proofs(self) -> Iterator[Tls]:
        """By what TLS proves the API, and each token endpoint elsewhere; nothing of what is reached without TLS."""
        if self.url.startswith("https://"):
            yield self.tls
        for one in self.credentials.values():
            if isinstance(one, TokenEndpoint) and (one.elsewhere or "").startswith("https://"):
                yield one.tls
