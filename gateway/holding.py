"""Makes what holds a credential of the gateway out of what the routing file says of it."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from pydantic import SecretStr

from gateway.carrying.pool import ConnectionPool
from gateway.config import credential as written
from gateway.upstream.credential import BearerCredential, FixedCredential, Held, Obtain
from gateway.upstream.grant import ClientCredentials, Implicit, TokenFile
from gateway.vocab.events import Emit
from gateway.vocab.policy import Credential


def hold(
    options: written.Credential,
    name: tuple[str, Credential],
    pool: ConnectionPool,
    emit: Emit,
    now: Callable[[], float],
) -> Held:
    """Return the holder of a credential: `name` is its upstream's and its own.

    Grants are obtained through `pool`, which leads to the host of the token endpoint.
    """
    obtain: Obtain
    match options:
        case written.NoCredential():
            return FixedCredential(())
        case written.Header():
            return FixedCredential(((options.name, options.value.get_secret_value()),))
        case written.Basic():
            pair = f"{options.user}:{options.password.get_secret_value()}"
            return FixedCredential((("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),))
        case written.StaticBearer(token=SecretStr() as token):
            return FixedCredential((("authorization", f"Bearer {token.get_secret_value()}"),))
        case written.StaticBearer(token_file=Path() as path):
            obtain = TokenFile(path)
        case written.StaticBearer():
            raise ValueError("a bearer without token and token_file")
        case written.Implicit():
            obtain = Implicit(pool, options.endpoint, options.client_id, options.default_life, now)
        case written.ClientCredentials():
            also = {"scope": options.scope, "audience": options.audience}
            obtain = ClientCredentials(
                *(pool, options.endpoint, options.client_id, options.client_secret),
                *(options.authentication, options.default_life, now),
                {field: value for field, value in also.items() if value is not None},
            )
        case _:
            assert_never(options)
    return BearerCredential(obtain, emit, now, *name)
