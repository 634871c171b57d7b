"""What a routing file may say of customers: how they log in, how passwords are kept, how much work that may be."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_serializer

from gateway.config.records import Records, form
from gateway.config.texts import Closed, Collection, Endpoint, Path, id_pattern_text
from gateway.config.units import Duration, Size
from gateway.tokens.login_form import LoginForm
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.record_form import Ids
from gateway.wire.pointer import Pointer, split


class Bucket(Closed):
    """A token bucket: `burst` attempts at once, then `per_minute`."""

    burst: int = Field(ge=1, description="Attempts at once.")
    per_minute: float = Field(gt=0, description="Attempts given back each minute.")


class RegistrationThrottle(Closed):
    """How many registrations are accepted, whether or not the customer is known; beyond it 429."""

    address: Bucket = Field(
        default=Bucket(burst=20, per_minute=20),
        description="Per client IP address (IPv6: its /64), trusted clients excepted. While no proxy is trusted"
        " addresses in private and loopback space, where a proxy may stand for many, are not counted.",
    )
    email: Bucket = Field(default=Bucket(burst=20, per_minute=10), description="Per e-mail address.")


class ResetThrottle(Closed):
    """How many password resets are accepted, whether or not the customer is known; beyond it 429."""

    email: Bucket = Field(
        default=Bucket(burst=10, per_minute=10), description="Asked for by trusted clients, per e-mail address."
    )
    address: Bucket = Field(
        default=Bucket(burst=100, per_minute=100),
        description="Tokens that are to be spent, per client IP address, counted as those of registrations are.",
    )


class Throttle(Closed):
    """How much password work is accepted: over all workers and replicas where they share PostgreSQL, else per worker.

    Each kind has buckets of its own. A reload goes on with what was counted, whatever the limits become.
    """

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


def _without_constants(value: Any) -> Any:
    """Return a body that may be shown: a text of it may be a secret of the gateway's."""
    if isinstance(value, Mapping):
        return {name: _without_constants(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_constants(one) for one in value]
    return "***" if isinstance(value, str) and value not in {"{email}", "{password}"} else value


class UpstreamLogin(Closed):
    """The login of an API that keeps the passwords itself (`verify: upstream`)."""

    path: Endpoint | None = Field(
        default=None, description="Where it is, with the slash at its end if it has one; without it `login_path`."
    )
    body: Mapping[str, Any] = Field(
        default={"data": {"type": "token", "email": "{email}", "password": "{password}"}},
        description="What is sent, as JSON: a text that is {email} or {password} becomes what the customer typed.",
    )
    customer_id: Pointer = Field(
        default="/data/customer_id", description="JSON pointer, from its answer, to the customer's id."
    )
    token: Pointer | None = Field(
        default=None,
        description="JSON pointer to a JWT in its answer, where the id is a claim of it: then `customer_id` points into"
        " its claims. The API is believed: its signature is not checked.",
    )
    wrong: tuple[Annotated[int, Field(ge=400, le=499)], ...] = Field(
        default=(400, 401, 403, 404, 422), description="Statuses that mean a wrong e-mail or password."
    )

    @field_serializer("body", when_used="json")
    def _masked(self, body: Mapping[str, Any]) -> Any:
        return _without_constants(body)


class Customers(Closed):
    """Who customers are and how they log in."""

    path: Collection = Field(default="/v2/customers", description="The upstream's collection of customers.")
    records: Records | None = Field(
        default=None, description="How the API speaks of customers, where `records` of the file is not right."
    )
    email: Pointer | None = Field(
        default=None,
        description="JSON pointer, from a customer's record, to the e-mail. Without it /email, in JSON:API"
        " /attributes/email. A password stands beside it in a body, and in a reply whether there is one.",
    )
    name: Pointer | None = Field(
        default=None, description="The same for the name; without it `name`, beside the e-mail."
    )
    created: Pointer = Field(
        default="/meta/timestamps/created_at",
        description="JSON pointer to when the API made a customer, if it says so: seconds, milliseconds or ISO 8601.",
    )
    members: Mapping[Pointer, str | int | bool] = Field(
        default_factory=dict,
        description="What every new record has besides what a client sends, by JSON pointers from the record, such as"
        " {/type: customers}.",
    )
    login_path: Path = Field(default="/v2/customers/tokens", description="Where customers log in.")
    verify: Literal["store", "upstream"] = Field(
        default="store", description="Who keeps the passwords: the gateway's store, or the upstream itself."
    )
    id_pattern: Annotated[str, AfterValidator(id_pattern_text)] = Field(
        default="[A-Za-z0-9_-]{1,64}",
        description="What a whole customer id looks like: a regular expression whose matching ends soon on every text."
        " Where `records.ids` is number an id is a number without a sign or leading zeros besides.",
    )
    dialect: Literal["epcc", "query", "jsonapi", "postgrest"] | None = Field(
        default=None,
        description="How the upstream spells the filter that finds a customer by e-mail. Without it as `records.filter`"
        " says.",
    )
    filter_parameter: str | None = Field(
        default=None, description="Name of that query parameter. Without it as `records.filter_parameter` says."
    )
    filter_field: str | None = Field(
        default=None, description="The upstream's name of the e-mail in that filter. Without it that of `email`."
    )
    login: UpstreamLogin = Field(
        default_factory=UpstreamLogin,
        description="The API's own login, where `verify` is upstream.",
    )
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


def login_form(customers: Customers, how: CustomerForm) -> LoginForm:
    """Return the login of an API that keeps the passwords itself."""
    login = customers.login
    return LoginForm(
        path=login.path or customers.login_path,
        body=login.body,
        id_at=split(login.customer_id),
        token_at=None if login.token is None else split(login.token),
        # A claim, as `sub` is, may be a text where ids are numbers (RFC 7519 section 4.1.2).
        ids=Ids.EITHER if login.token is not None else how.form.ids,
        wrong=frozenset(login.wrong),
    )


def customer_form(customers: Customers, *sections: Records | None) -> CustomerForm:
    """Return how the API describes customers; `sections` are what the file and their upstream say of all records."""
    made = form(*sections, customers.records)
    email = (*made.fields_at, "email") if customers.email is None else split(customers.email)
    return CustomerForm(
        path=customers.path,
        form=made,
        email_at=email,
        name_at=(*email[:-1], "name") if customers.name is None else split(customers.name),
        created_at=split(customers.created),
        filter_field=customers.filter_field or email[-1],
        dialect=customers.dialect or made.dialect,
        filter_parameter=customers.filter_parameter or made.filter_parameter,
        constants=tuple((split(place), value) for place, value in customers.members.items()),
    )
