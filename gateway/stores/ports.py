"""What a credential store does: it maps customers to password hashes and keeps registrations that are under way.

It also keeps who has an e-mail in hand, over all processes that share it, and whom the upstream showed with it last. It
does not hash, and it knows nothing of e-mail spelling: callers pass canonical e-mails and finished hashes.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class StoreUnavailable(Exception):  # noqa: N818  # it names a state, as the refusal STORE_UNAVAILABLE does
    """The store cannot be used at the moment. Its text is one line for operators and holds no value of any row."""


class StoreFileLost(StoreUnavailable):
    """The store's files are not the ones that were opened: what is written would be lost. It ends with a restart."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The intent to create a customer, kept until the upstream did so.

    `id` is a UUID in hex, `email` is canonical and unique among the registrations, `started_at` is in epoch seconds.
    `customer_id` is whom the upstream said it made, as soon as it did; nobody has shown yet that it is so.
    """

    id: str
    email: str
    name: str
    password_hash: str = field(repr=False)
    started_at: float
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """A password reset that was asked for and not spent: whose, and the address that the customer's record had then."""

    customer_id: str
    email: str


@dataclass(frozen=True, slots=True)
class Account:
    """What a login must know of a customer: the number, None before the first login, and the version now."""

    customer_id: str
    number: int | None
    version: int
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class LogOut:
    """All tokens of a number with a version less than this are worthless.

    The number is a session's, a customer's, whose id it then has, or 0 for all.
    """

    number: int
    version: int
    customer_id: str | None


@dataclass(frozen=True, slots=True)
class News:
    """Log-outs in the order in which they happened; `latest` is the last number that the store has given."""

    latest: int
    log_outs: Sequence[LogOut]


class Quota(NamedTuple):
    """A key that has another attempt each `interval`, until it has them all after `capacity`; in microseconds."""

    key: bytes
    interval: int
    capacity: int


class Attempt(NamedTuple):
    """An attempt at an account's password, or other work on it, from an address; what has no key is not counted.

    `place` is the key of both together, which counts in place of the account's once a password was right there.
    """

    address: Quota
    account: Quota
    place: bytes


class Count(NamedTuple):
    """What became of an attempt: microseconds until the address has another, until the account has; 0 if it had.

    The account's says nothing where the address had none. `is_known`: it was the place that was counted.
    """

    by_address: int
    by_account: int
    is_known: bool


class SessionStore(Protocol):
    """Numbers and versions of customers, who is blocked, and the log-outs. sessions.py says how they are numbered.

    A write that returned is on the disk. Every method raises only `StoreUnavailable` when the machine below fails.
    """

    async def open(self) -> None:
        """Connect, and prove that the store can be read and written."""

    async def close(self) -> None:
        """Let go of all connections; a second call does nothing."""

    async def ping(self) -> None:
        """Prove that the store can be read and written."""

    async def take_numbers(self, count: int) -> int:
        """Return the first of so many numbers that nobody else gets."""

    async def account(self, customer_id: str) -> Account:
        """Return what a login must know of a customer."""

    async def enrol(self, customer_id: str, number: int) -> int:
        """Give a customer a number, unless there is one already; returns the customer's."""

    async def latest(self) -> int:
        """Return a number that no log-out exceeds which is on the disk by now, and every later one does."""

    async def log_out(self, customer_id: str) -> None:
        """End all sessions of a customer."""

    async def log_out_session(self, session: int) -> None:
        """End the session of this number."""

    async def log_out_everybody(self) -> None:
        """End all sessions of all customers."""

    async def block(self, customer_id: str) -> None:
        """End all sessions of a customer, and let none begin."""

    async def unblock(self, customer_id: str) -> None:
        """Let sessions of a customer begin again; those that were ended stay so."""

    async def news(self, after: int, most: int) -> News:
        """Return the log-outs after the version `after`, at most so many, the least version first."""

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` as soon as there are news, and at first; it returns where this kind of store has no way to tell.

        Raises StoreUnavailable when it hears no more.
        """

    async def log_outs(self, since: int, after: int, most: int) -> Sequence[tuple[int, int]]:
        """Return number and version of log-outs with a version of `since` or more, in the order of their numbers.

        Only numbers above `after`, and at most so many. That of all customers is not among them.
        """

    async def names(self, since: int, most: int) -> Sequence[str]:
        """Return the customers who were logged out everywhere in a version of `since` or more, at most so many."""

    async def everybody(self) -> int:
        """Return the version of the last log-out of all customers; 0 where there was none."""

    async def version_before(self, seconds: float) -> int:
        """Return the version that a log-out would have had so many seconds ago."""

    async def drop_log_outs(self, before: int) -> None:
        """Remove the log-outs with a version less than this, but for that of all customers, which is one."""

    async def count(self, attempt: Attempt) -> Count | None:
        """Count an attempt unless it is one too many; None where this kind of store counts nothing.

        It takes half a second at the most.
        """

    async def give_back(self, attempt: Attempt, *, is_right: bool) -> None:
        """Take an attempt back that was counted, and know its place where the password `is_right`; as soon."""

    async def sweep(self, most: int = 0) -> None:
        """Remove what is counted no more, and what is left above so many; 0: as many as are good for this store."""


class CredentialStore(SessionStore, Protocol):
    """What a `SessionStore` is, and passwords of customers, registrations under way, and e-mails."""

    async def credential(self, customer_id: str) -> tuple[str | None, Account]:
        """Return the customer's password hash, if any, and what `account` would, in one round trip."""

    async def password_hash(self, customer_id: str) -> str | None:
        """Return the customer's password hash, or None for a customer without password."""

    async def with_password(self, customer_ids: Collection[str]) -> frozenset[str]:
        """Return those of the customers that have a password."""

    async def set_password(self, customer_id: str, password_hash: str) -> None:
        """Store the customer's password hash in place of any other, and end all sessions."""

    async def replace_password(self, customer_id: str, old_hash: str | None, new_hash: str) -> bool:
        """Put the new hash in place of the old one, or of none, and end all sessions, in one step.

        False, and nothing changed, when another password was set or removed meanwhile.
        """

    async def rehash(self, customer_id: str, old_hash: str, new_hash: str) -> None:
        """Put the new hash in place of the old one; change nothing when another password was set meanwhile."""

    async def forget(self, customer_id: str) -> None:
        """Remove the customer's password hash and what is remembered of the e-mails, and end all sessions."""

    async def claim(self, email: str, owner: str, lease: float) -> bool:
        """Take an e-mail in hand for so many seconds; False while another owner has it.

        The store's own clock counts, for those of replicas differ. A claim that would last more than twice as long as
        this one was written before that clock was set back, and holds nobody up.
        """

    async def renew(self, email: str, owner: str, lease: float) -> None:
        """Have a claim last for so many seconds more; nothing happens where the e-mail is not the owner's any more."""

    async def release(self, email: str, owner: str) -> None:
        """Let go of an e-mail, if it is the owner's."""

    async def known(self, email: str) -> str | None:
        """Return the id of whom the upstream showed with this e-mail last. It proves nothing by itself."""

    async def remember(self, email: str, customer_id: str) -> None:
        """Keep whom the upstream showed with this e-mail."""

    async def begin(self, registration: Registration) -> bool:
        """Keep the intent; False, and nothing changed, when one with its e-mail (or id) is there already."""

    async def pending(self, email: str) -> Registration | None:
        """Return the registration under way for this canonical e-mail."""

    async def standing(self, email: str) -> tuple[Registration | None, str | None]:
        """Return what `pending` and `known` would, in one round trip."""

    async def replace(self, old_id: str, registration: Registration) -> bool:
        """Put the registration in place of the one with `old_id`; False, and nothing changed, when that is gone."""

    async def made(self, registration_id: str, customer_id: str | None) -> None:
        """Keep whom the upstream said it made for a registration, if that is there; None: it was not so.

        It is remembered as the e-mail's as well.
        """

    async def settle(self, registration_id: str, customer_id: str, password_hash: str) -> bool:
        """End the registration and give the customer its password, in one step, unless the customer has one already.

        Returns whether the password now stored is this one. The caller decides whom the registration made: the row
        itself may be gone already (a repeated settle), and the password is stored all the same.
        """

    async def abandon(self, registration_id: str) -> None:
        """Remove the registration, if it is there."""

    async def keep_reset(self, customer_id: str, token_hash: str, email: str, expires_at: float) -> None:
        """Keep the customer's password reset in place of any other, until then (epoch seconds)."""

    async def reset(self, token_hash: str, now: float) -> Reset | None:
        """Return the password reset of this token that has not expired."""

    async def spend_reset(self, token_hash: str, now: float, password_hash: str) -> bool:
        """Spend a password reset and set the customer's password, in one step; False, and no password set, otherwise.

        Of all who spend one at once a single one does. One that was asked for before another password was set is spent
        in vain.
        """

    async def purge(self, before: float) -> None:
        """Remove the registrations that started, and the claims and resets that ended, before this (epoch seconds)."""
