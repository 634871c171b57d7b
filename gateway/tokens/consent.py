"""Whether a change is the customer's own: a token may be stolen, and is not to become the account.

A new password, or a new e-mail, by which the password could be made another, asks for the one that the customer has.
"""

from gateway.stores.ports import CredentialStore
from gateway.tokens.customer import Submitted, current_password_at
from gateway.tokens.directory import Directory
from gateway.tokens.email import canonical_record
from gateway.tokens.passwords import PasswordHasher, check_length
from gateway.vocab.messages import Trace, Whose
from gateway.vocab.refusals import Code, Refusal


class Consent:
    """Asks for current passwords; `is_required` by `customers.change_requires`."""

    def __init__(
        self, directory: Directory, store: CredentialStore, hasher: PasswordHasher, *, is_required: bool
    ) -> None:
        self._directory = directory
        self._store = store
        self._hasher = hasher
        self._is_required = is_required

    async def is_asked(self, one: Submitted, whose: Whose, customer_id: str, trace: Trace) -> bool | Refusal:
        """Say whether a change needs the current password; a profile that is sent back as it was shown does not."""
        if not self._is_required or whose.customer_id is None:
            # Whoever is trusted may set any password.
            return False
        if one.password is not None or one.email is None:
            return one.password is not None
        address = await self._directory.email_of(customer_id, trace)
        return address if isinstance(address, Refusal) else canonical_record(address) != one.email

    async def refusal(self, current: object, customer_id: str) -> Refusal | None:
        """Refuse unless this is the customer's password. Raises StoreUnavailable."""
        source = ".".join(current_password_at(self._directory.how))
        if current is None:
            return Refusal(Code.PASSWORD_REQUIRED, "not there", source=source)
        if not isinstance(current, str) or not check_length(current):
            return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source=source)
        is_right = await self._hasher.verify(current, await self._store.password_hash(customer_id), is_login=False)
        if isinstance(is_right, Refusal):
            return is_right
        return None if is_right else Refusal(Code.PASSWORD_REQUIRED, "not right", source=source)
