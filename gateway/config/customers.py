"""What a routing file may say of customers: how they log in, how passwords are kept, how much work that may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.config.texts import Closed, Path, id_pattern_text
from gateway.config.units import Duration, Size


class Bucket(Closed):
    """A token bucket: `burst` attempts at once, then `per_minute`."""

    burst: int = Field(ge=1, description="Attempts at once.")
    per_minute: float = Field(gt=0, description="Attempts given back each minute.")


class RegistrationThrottle(Closed):
    """How many registrations are accepted, per worker, whether or not the customer is known; beyond it 429."""

    address: Bucket = Field(
        default=Bucket(burst=20, per_minute=20),
        description="Per client IP address (IPv6: its /64), trusted clients excepted. While no proxy is trusted"
        " addresses in private and loopback space, where a proxy may stand for many, are not counted.",
    )
    email: Bucket = Field(default=Bucket(burst=20, per_minute=10), description="Per e-mail address.")


class ResetThrottle(Closed):
    """How many password resets are accepted, per worker, whether or not the customer is known; beyond it 429."""

    email: Bucket = Field(
        default=Bucket(burst=10, per_minute=10), description="Asked for by trusted clients, per e-mail address."
    )
    address: Bucket = Field(
        default=Bucket(burst=100, per_minute=100),
        description="Tokens that are to be spent, per client IP address, counted as those of registrations are.",
    )


class Throttle(Closed):
    """How much password work is accepted, per worker. Each kind has buckets of its own."""

    account: Bucket = Field(
        default=Bucket(burst=10, per_minute=10),
        description="Failed logins per e-mail address; beyond it every answer is that to a wrong password. An address"
        " from which the customer has logged in is counted apart.",
    )
    address: Bucket = Field(
        default=Bucket(burst=100, per_minute=100),
        description="Failed logins per client IP address, trusted clients excepted; beyond it 429.",
    )
    registrations: RegistrationThrottle = Field(
        default_factory=RegistrationThrottle, description="Registrations; what they take is not taken from logins."
    )
    password_changes: Bucket = Field(
        default=Bucket(burst=10, per_minute=10),
        description="New passwords, and changes for which the old one is asked, per customer id; beyond it 429.",
    )
    resets: ResetThrottle = Field(default_factory=ResetThrottle, description="Forgotten passwords.")


class Hashing(Closed):
    """Argon2id and its pool. The defaults are OWASP's: 19 MiB, 2 passes, 1 lane."""

    memory: Size = Field(default="19MiB", validate_default=True, description="Memory of one computation.")
    passes: int = Field(default=2, ge=1, le=16, description="Passes over the memory.")
    lanes: int = Field(default=1, ge=1, le=16, description="Parallel lanes.")
    workers: int = Field(default=1, ge=1, le=64, description="Computations at once, per worker process.")
    queue: int = Field(default=16, ge=0, le=10_000, description="Computations that may wait; more answer 503.")
    login_share: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="Part of `workers` and `queue` that logins keep, and of the turns where others wait too:"
        " registrations and changes cannot take it, and answer 503 where theirs is used up.",
    )


class Revocation(Closed):
    """How the gateway knows who was logged out. It keeps that in memory and asks the store each second."""

    max_staleness: Annotated[Duration, Field(ge=5)] = Field(
        default="5m",
        validate_default=True,
        description="How long a store may be silent before customers' requests are refused (503), and /ready turns: as"
        " long a log-out on another replica can be unknown to this one. At least 5s.",
    )


class Customers(Closed):
    """Who customers are and how they log in."""

    path: Path = Field(default="/v2/customers", description="The upstream's collection of customers.")
    login_path: Path = Field(default="/v2/customers/tokens", description="Where customers log in.")
    verify: Literal["store", "upstream"] = Field(
        default="store", description="Who keeps the passwords: the gateway's store, or the upstream itself."
    )
    id_pattern: Annotated[str, AfterValidator(id_pattern_text)] = Field(
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
    change_requires: Literal["password", "token"] = Field(
        default="password",
        description="What a customer's change of the own password or e-mail asks for: the old password, in"
        " `data.current_password`, which passes every `body_fields`; or no more than the token, and then whoever steals"
        " one can take the account. No effect where `verify` is upstream.",
    )
    throttle: Throttle = Field(default_factory=Throttle, description="Limits of logins, registrations and changes.")
    hashing: Hashing = Field(default_factory=Hashing, description="How passwords are hashed.")
