"""Whether password work that is no login may be done now: it says 429, and who is over a limit is counted."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.tokens.attempts import Attempts
from gateway.tokens.throttle import Wait
from gateway.vocab.events import Emit, Throttled
from gateway.vocab.refusals import Code, Refusal


class Work(StrEnum):
    """Password work that is no login."""

    REGISTRATION = "registration"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - a word
    RESET = "reset"
    NEW_PASSWORD = "new_password"  # noqa: S105 - a word


class Admission:
    """The attempts of each kind of work, and their metric.

    No two kinds share any, and none are a login's: whoever floods registrations for somebody's e-mail must not lock
    that customer out. Who is over the limit of the address costs the account nothing, so that one address cannot use up
    an e-mail that others need; who is over that of the account has paid the address.
    """

    def __init__(self, attempts: Mapping[Work, Attempts], emit: Emit) -> None:
        self._attempts: Final = attempts
        self._emit: Final = emit

    async def refusal(self, work: Work, *, email: str = "", customer: str = "", address: str = "") -> Refusal | None:
        """Count work under what is not empty, or return THROTTLED. Nothing is given back: it was work."""
        account = email or customer
        if not account and not address:
            return None
        wait = await self._attempts[work].reserve(account, address, by_address=bool(address))
        if not isinstance(wait, Wait):
            return None
        by = "address" if not wait.by_account else "email" if email else "customer"
        self._emit(Throttled(work, by))
        return Refusal(Code.THROTTLED, f"{work} by {by}", retry_after=wait.seconds)
