"""What a routing file may say of the gateway's own credentials at the upstream, and of TLS to it."""

import re
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from gateway.carrying import tls as carrying
from gateway.config.secret import ClientId, ClientSecret
from gateway.config.texts import Closed, Endpoint, endpoint_url
from gateway.config.units import Duration
from gateway.wire.headers import FORWARDED, OWN_FIELDS

KINDS = ("none", "bearer", "header", "basic", "client_credentials", "implicit")
_USUAL = "client_credentials"


def _sendable(text: SecretStr) -> SecretStr:
    value = text.get_secret_value()
    if value != value.strip():
        raise ValueError("a header's value has no blanks around it")
    return text


def _own_header(name: str) -> str:
    name = name.lower()
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError("a header name is letters, digits and hyphens")
    if name in FORWARDED or (name in OWN_FIELDS and name != "authorization"):
        raise ValueError("this header says something else; it cannot carry a credential")
    return name


Sendable = Annotated[ClientSecret, AfterValidator(_sendable)]


class NoCredential(Closed):
    """An upstream that asks for no credential."""

    kind: Literal["none"] = Field(description="The kind.")


class StaticBearer(Closed):
    """A bearer that is given: `Authorization: Bearer ...`."""

    kind: Literal["bearer"] = Field(description="The kind.")
    token: Sendable | None = Field(default=None, description="The bearer; from ${env:...} or ${file:...}.")
    token_file: FilePath | None = Field(
        default=None,
        description="In its place a file that holds the bearer and may change: it is read each minute, and again as"
        " soon as the upstream does not accept what it held.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("write either token: or token_file:")
        return self


class Header(Closed):
    """A header of one's own: API keys, `Authorization: Token ...`."""

    kind: Literal["header"] = Field(description="The kind.")
    name: Annotated[str, AfterValidator(_own_header)] = Field(
        default="authorization", description="The header's name, such as X-Api-Key."
    )
    value: Sendable = Field(description="Its whole value; a secret in it from ${env:...} or ${file:...}.")


class Basic(Closed):
    """A user and a password: `Authorization: Basic ...` (RFC 7617)."""

    kind: Literal["basic"] = Field(description="The kind.")
    user: str = Field(pattern=r"^[^:\x00-\x1f\x7f]+$", description="The user; without a colon.")
    password: ClientSecret = Field(description="The password; from ${env:...} or ${file:...}.")


class Tls(Closed):
    """TLS to an https upstream. Files are in PEM, and read at start.

    Without `ca_file` the system's authorities count, or those that the variables SSL_CERT_FILE and SSL_CERT_DIR name.
    """

    ca_file: FilePath | None = Field(
        default=None, description="Certificates of the authorities that count, in place of the system's."
    )
    certificate_file: FilePath | None = Field(
        default=None, description="The gateway's own certificate and those above it, where the upstream asks."
    )
    key_file: FilePath | None = Field(
        default=None, description="Its private key, not encrypted, if it is not in the same file."
    )
    server_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="The name that the upstream's certificate must hold, where it is not that in `url`.",
    )

    @property
    def files(self) -> carrying.Tls:
        """Return what connections are made with."""
        return carrying.Tls(self.ca_file, self.certificate_file, self.key_file, self.server_name)

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("a key_file goes with a certificate_file")
        return self


class TokenEndpoint(Closed):
    """Where a grant is obtained: below the upstream's own `url`, or anywhere else."""

    kind: str
    client_id: ClientId = Field(description="Client id.")
    path: Endpoint = Field(default="/oauth/access_token", description="The token endpoint below the upstream's `url`.")
    url: Annotated[str, AfterValidator(endpoint_url)] | None = Field(
        default=None,
        description="In its place the whole address of one that is elsewhere, such as https://auth.example/oauth/token;"
        " by the same proxy, if there is one, and within the same timeouts.",
    )
    tls: Tls = Field(default_factory=Tls, description="TLS to `url`, written like `upstream.tls`.")
    default_life: Duration = Field(
        default="5m",
        gt=0,
        validate_default=True,
        description="Life of a bearer whose grant does not say it (expires_in).",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.url is not None and "path" in self.model_fields_set:
            raise ValueError("write either path: or url:")
        if self.tls != Tls() and not (self.url or "").startswith("https://"):
            raise ValueError("tls: here is for a token endpoint with an https:// url: of its own")
        return self

    @property
    def elsewhere(self) -> str | None:
        """The base URL of an endpoint that is not the upstream's; None where it is."""
        return None if self.url is None else self.url.removesuffix(self.endpoint)

    @property
    def endpoint(self) -> str:
        """The path of the endpoint on its host, or below the upstream's `url`."""
        return self.path if self.url is None else "/" + self.url.partition("://")[2].partition("/")[2]


class ClientCredentials(TokenEndpoint):
    """A bearer by the OAuth grant of a client with a secret (RFC 6749 section 4.4)."""

    kind: Literal["client_credentials"] = Field(default="client_credentials", description="The kind.")
    client_secret: ClientSecret = Field(description="Client secret; from ${env:...} or ${file:...}.")
    authentication: Literal["form", "basic"] | None = Field(
        default=None,
        description="Where the endpoint wants id and secret: in the form or in Authorization: Basic. Without it the"
        " form is tried first, and the other where it answers 400 or 401.",
    )
    scope: str | None = Field(
        default=None, min_length=1, description="`scope` of the request, if the endpoint wants it."
    )
    audience: str | None = Field(
        default=None, min_length=1, description="`audience` of the request, if the endpoint wants it."
    )


class Implicit(TokenEndpoint):
    """A bearer by a grant that asks for a client id alone: what the API gives to every storefront."""

    kind: Literal["implicit"] = Field(description="The kind.")


def _kind(value: Any) -> Any:
    return value.get("kind", _USUAL) if isinstance(value, dict) else getattr(value, "kind", _USUAL)


Credential = Annotated[
    Annotated[NoCredential, Tag("none")]
    | Annotated[StaticBearer, Tag("bearer")]
    | Annotated[Header, Tag("header")]
    | Annotated[Basic, Tag("basic")]
    | Annotated[ClientCredentials, Tag("client_credentials")]
    | Annotated[Implicit, Tag("implicit")],
    Discriminator(_kind),
]
SECRET_KEYS = ("token", "value", "password", "client_secret")
"""The keys of all kinds that hold a secret."""


def who(credential: Credential) -> str:
    """Return under which name the upstream knows the gateway by a credential, which is no secret; "" without one."""
    match credential:
        case ClientCredentials() | Implicit():
            return credential.client_id
        case Basic():
            return credential.user
        case _:
            return ""
