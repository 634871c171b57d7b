"""Whether a change is the customer's own: a token may be stolen, and is not to become the account.

A new password, or a new e-mail, by which the password could be made another, asks for the one that the customer has.
"""

from dataclasses import dataclass, field

from gateway.stores.ports import CredentialStore
from gateway.tokens.customer import Submitted, current_password_at
from gateway.tokens.directory import Directory
from gateway.tokens.email import canonical_record
from gateway.tokens.passwords import PasswordHasher, check_length
from gateway.vocab.messages import Trace, Whose
from gateway.vocab.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class Given:
    """By what a change is the customer's own. It lapses with the password that there was: no newer one is undone."""

    customer_id: str
    password_hash: str | None = field(repr=False)
    is_by_password: bool


class Consent:
    """Asks for current passwords; `is_required` by `customers.change_requires`."""

    def __init__(
        self, directory: Directory, store: CredentialStore, hasher: PasswordHasher, *, is_required: bool
    ) -> None:
        self._directory = directory
        self._store = store
        self._hasher = hasher
        self._is_required = is_required
        self._source = ".".join(current_password_at(directory.how))

    async def is_asked(self, one: Submitted, whose: Whose, customer_id: str, trace: Trace) -> bool | Refusal:
        """Say whether a change needs the current password; a profile that is sent back as it was shown does not."""
        if not self._is_required or whose.customer_id is None:
            # Whoever is trusted may set any password.
            return False
        if one.password is not None or one.email is None:
            return one.password is not None
        address = await self._directory.email_of(customer_id, trace)
        return address if isinstance(address, Refusal) else canonical_record(address) != one.email

    async def given(self, current: object, whose: Whose, customer_id: str, *, is_asked: bool) -> Given | Refusal | None:
        """Return by what a change is the customer's own, or refuse it; None where it need not be.

        `is_asked`: the token is not enough, and `current` must be the customer's password. Raises StoreUnavailable.
        """
        if is_asked and current is None:
            return self._required("not there")
        if is_asked and not check_length(current):
            return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source=self._source)
        if whose.customer_id is None and not is_asked:
            return None
        stored, account = await self._store.credential(customer_id)
        if whose.customer_id is not None and whose.version < account.version:
            # This process has not heard of it yet, and what the token sets would outlive the token.
            return Refusal(Code.CUSTOMER_TOKEN_INVALID, "logged out")
        if isinstance(current, str):
            is_right = await self._hasher.verify(current, stored, is_login=False)
            if isinstance(is_right, Refusal):
                return is_right
            if not is_right:
                return self._required("not right")
        return Given(customer_id, stored, is_by_password=is_asked)

    async def lapsed(self, given: Given | None) -> Refusal | None:
        """Refuse where the customer has another password by now. Raises StoreUnavailable."""
        if given is None or await self._store.password_hash(given.customer_id) == given.password_hash:
            return None
        return self._lost(given)

    async def spend(self, given: Given | None, customer_id: str, password_hash: str) -> Refusal | None:
        """Store another password, in place of that one where it is the customer's doing. Raises StoreUnavailable."""
        if given is None:
            await self._store.set_password(customer_id, password_hash)
            return None
        is_kept = await self._store.replace_password(given.customer_id, given.password_hash, password_hash)
        return None if is_kept else self._lost(given)

    def _lost(self, given: Given) -> Refusal:
        why = "another password was set meanwhile"
        # All tokens ended with it.
        return self._required(why) if given.is_by_password else Refusal(Code.CUSTOMER_TOKEN_INVALID, why)

    def _required(self, why: str) -> Refusal:
        return Refusal(Code.PASSWORD_REQUIRED, why, source=self._source)
