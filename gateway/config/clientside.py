"""What a routing file may say of the clients' side: browsers, connections, proxies in front, heads."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.config.origin import Origin
from gateway.config.proxies import TrustedNetworks
from gateway.config.texts import Closed, header_name
from gateway.config.units import Duration, Size


class CorsOptions(Closed):
    """Which browser applications may call."""

    origins: tuple[Origin, ...] = Field(
        default=(),
        description="Allowed origins, such as https://shop.example or capacitor://localhost, or * for any.",
    )
    headers: tuple[Annotated[str, AfterValidator(header_name)], ...] = Field(
        default=(), description="Request headers that pages may send besides those of the API's SDKs."
    )
    expose: tuple[Annotated[str, AfterValidator(header_name)], ...] = Field(
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
    pseudonym: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = Field(
        default=None,
        description="Who the gateway is in Via, by which it knows a request that comes back to it (508). Without it, a"
        " name made of `upstream.url`, the client or user there, `public_url`, issuer and audience: that of all"
        " replicas.",
    )
    keepalive: Duration = Field(default="75s", validate_default=True, description="Life of an idle connection.")
    drain: Duration = Field(default="30s", validate_default=True, description="For requests in flight at SIGTERM.")
    heartbeat: Duration = Field(
        default="20s",
        ge=0.5,
        validate_default=True,
        description="How long one of several workers may stand still before it is killed and replaced.",
    )
    half_closed: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="Clients, per worker, that may wait for an answer after they closed their sending side; of more it"
        " ends the request. Without it, a quarter of `upstream.connections`.",
    )
    trusted_proxies: TrustedNetworks = Field(
        default=(),
        description="Networks of the proxies in front, such as 10.0.0.0/8, as a list or as one text with commas. Whose"
        " request it is, for throttles, shares, log and API, is the right-most address in `client_address_header` that"
        " is not in them; without them it is the address that connects, and clients behind one proxy count as one.",
    )
    client_address_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        default="X-Forwarded-For",
        description="The one header in which those proxies say who connected to them; any other is ignored. Forwarded"
        " is RFC 7239's.",
    )
    proxy_protocol: Literal["off", "required"] = Field(
        default="off",
        description="required: each connection begins with a header of the PROXY protocol, version 1 or 2, from one of"
        " `trusted_proxies`, or is closed without an answer; `client_address_header` counts only where the address in"
        " it is one of them as well.",
    )


class HeadLimits(Closed):
    """How large the head of a request, or of an answer of the API, may be; larger ones answer 431, or 502."""

    line: Size = Field(default="32KiB", ge=1024, le=1024 * 1024, validate_default=True, description="One line.")
    total: Size = Field(default="64KiB", ge=1024, le=16 * 1024 * 1024, validate_default=True, description="All of it.")
    lines: int = Field(default=200, ge=10, le=10_000, description="Lines.")


class GatewayLimits(Closed):
    """Sizes of what belongs to no route."""

    head: HeadLimits = Field(default_factory=HeadLimits, description="Heads.")
