"""Registers customers so that a crash at any point loses nothing and gives no password to a stranger.

The order of a registration, and what a crash after each step leaves behind:

    1 look-up      the upstream has no customer with this e-mail     nothing
    2 begin        the intent (e-mail, name, hash) is on the disk    an intent without a customer: a repeat goes on
    3 create       the upstream makes the customer                   an intent with a customer: a repeat, or a login
    4 settle       the hash becomes the customer's, intent gone      a finished registration

An intent is written only after step 1 proved that no such customer exists, so it can never give its password to one
that was there before. It is used only for a customer of the same e-mail and name, who has no password, within a day.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

from gateway.stores.ports import CredentialStore, Registration
from gateway.tokens.directory import Directory, Found
from gateway.tokens.email import canonical
from gateway.tokens.passwords import PasswordHasher, check_length
from gateway.vocab.messages import Json, Plan, Trace
from gateway.vocab.policy import Checked, Exchange
from gateway.vocab.refusals import Code, Refusal

# A creation that may still be under way elsewhere is not displaced: longer than any exchange with the upstream may
# reasonably take, short enough that a customer who mistyped the password at first can register again.
_UNDER_WAY = 300.0
# After a day an intent proves nothing any more: whoever has this e-mail now came by it in another way.
_RECOVERABLE = 86400.0

# The upstream did certainly not create the customer.
_NOT_CREATED = frozenset({
    Code.CREDENTIAL_UNAVAILABLE, Code.THROTTLED, Code.UPSTREAM_UNREACHABLE, Code.RECORD_NOT_FOUND,
})  # fmt: skip


def customer_fields(plan: Plan) -> Json | Refusal:
    """Return the fields of the customer in a plan's body, with a canonical e-mail if there is one."""
    fields = (plan.document or {}).get("data")
    if not isinstance(fields, dict):
        return Refusal(Code.BODY_FIELD_INVALID, "not an object", source="data")
    if "password" in fields and not check_length(fields["password"]):
        return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source="data.password")
    if "email" not in fields:
        return fields
    email = canonical(fields["email"])
    if email is None:
        return Refusal(Code.BODY_FIELD_INVALID, "not an e-mail address", source="data.email")
    return fields | {"email": email}


def is_recoverable(intent: Registration | None, found: Found, now: float) -> bool:
    """Tell whether `intent` is what made the customer that was found."""
    return (
        intent is not None
        and found.record is not None
        and canonical(found.record.get("email")) == intent.email
        and str(found.record.get("name") or "").strip() == intent.name.strip()
        and 0 <= now - intent.started_at + 1 <= _RECOVERABLE
    )


class Registrar:
    """Creates customers at the upstream and keeps their passwords. `now` is epoch time in seconds."""

    def __init__(
        self, directory: Directory, store: CredentialStore, hasher: PasswordHasher, path: str, now: Callable[[], float]
    ) -> None:
        self._directory = directory
        self._store = store
        self._hasher = hasher
        self._path = path
        self._now = now

    async def register(self, plan: Plan, exchange: Exchange, trace: Trace) -> Checked | Refusal:
        """Carry `POST /v2/customers`: 409 for an e-mail that is taken, 422 for a field that is not valid."""
        fields = customer_fields(plan)
        if isinstance(fields, Refusal):
            return fields
        if "email" not in fields:
            return Refusal(Code.BODY_FIELD_INVALID, "missing", source="data.email")
        name = fields.get("name", "")
        if not isinstance(name, str):
            return Refusal(Code.BODY_FIELD_INVALID, "not text", source="data.name")
        typed = (plan.document or {})["data"]["email"]
        found = await self._directory.find(fields["email"], typed, trace)
        if isinstance(found, Refusal):
            return found
        password = fields.pop("password", None)
        plan = replace(plan, document={"data": fields})
        if found.record is not None:
            return await self._repeat(plan, found, password, exchange)
        if not found.is_proven:
            return Refusal(Code.UPSTREAM_INVALID, "the upstream ignored the filter by e-mail")
        if password is None:
            return await self._without_password(plan, fields["email"], exchange)
        hashed = await self._hasher.hash(password)
        if isinstance(hashed, Refusal):
            return hashed
        intent = Registration(uuid.uuid4().hex, fields["email"], name, hashed, self._now())
        claimed = await self._claim(intent, password)
        if isinstance(claimed, Refusal):
            return claimed
        return await self._create(plan, claimed, exchange, is_first=claimed is intent)

    async def _claim(self, intent: Registration, password: str) -> Registration | Refusal:
        """Put the intent on the disk, or go on with the one that is there if it is the same person's."""
        if await self._store.begin(intent):
            return intent
        present = await self._store.pending(intent.email)
        if present is None:
            return Refusal(Code.REGISTRATION_PENDING, "settled at this moment", retry_after=1)
        is_same = await self._hasher.verify(password, present.password_hash)
        if isinstance(is_same, Refusal):
            return is_same
        if is_same and present.name == intent.name:
            return present
        if self._now() - present.started_at >= _UNDER_WAY and await self._store.replace(present.id, intent):
            return intent
        return Refusal(Code.REGISTRATION_PENDING, "another registration is under way", retry_after=int(_UNDER_WAY))

    async def _create(
        self, plan: Plan, intent: Registration, exchange: Exchange, *, is_first: bool
    ) -> Checked | Refusal:
        checked = await exchange(plan)
        if isinstance(checked, Refusal):
            if is_first and checked.code in _NOT_CREATED:
                await self._store.abandon(intent.id)
            return checked
        if checked.status >= 400:  # noqa: PLR2004 - HTTP's own numbers here and below
            # An intent that was there before may have made the customer that stands in the way: it stays.
            if is_first:
                await self._store.abandon(intent.id)
            return Refusal(Code.EMAIL_TAKEN) if checked.status == 409 else checked  # noqa: PLR2004
        created = await self._settle(checked, intent)
        return created or checked

    async def _settle(self, checked: Checked, intent: Registration) -> Refusal | None:
        record = checked.document.get("data") if isinstance(checked.document, dict) else None
        if not isinstance(record, dict) or canonical(record.get("email")) != intent.email:
            return Refusal(Code.UPSTREAM_INVALID, "creation answered another customer", violation=True)
        customer_id = self._directory.read_id(record)
        if isinstance(customer_id, Refusal):
            return customer_id
        if not await self._store.settle(intent.id, customer_id, intent.password_hash):
            return Refusal(Code.EMAIL_TAKEN, "creation answered a customer who has a password")
        return None

    async def _without_password(self, plan: Plan, email: str, exchange: Exchange) -> Checked | Refusal:
        """Create a customer who has no password yet; an intent for the e-mail must not give him somebody else's."""
        intent = await self._store.pending(email)
        if intent is not None and self._now() - intent.started_at < _UNDER_WAY:
            return Refusal(Code.REGISTRATION_PENDING, "a registration is under way", retry_after=int(_UNDER_WAY))
        if intent is not None:
            await self._store.abandon(intent.id)
        checked = await exchange(plan)
        return Refusal(Code.EMAIL_TAKEN) if isinstance(checked, Checked) and checked.status == 409 else checked  # noqa: PLR2004

    async def _repeat(self, plan: Plan, found: Found, password: str | None, exchange: Exchange) -> Checked | Refusal:
        """Answer a registration for an e-mail that exists: finished here if it is the repeat of one that broke off."""
        taken = Refusal(Code.EMAIL_TAKEN)
        customer_id = str(found.customer_id)
        intent = await self._store.pending((plan.document or {})["data"]["email"])
        if intent is None or password is None or not is_recoverable(intent, found, self._now()):
            return taken
        if await self._store.password_hash(customer_id) is not None:
            return taken
        is_same = await self._hasher.verify(password, intent.password_hash)
        if isinstance(is_same, Refusal):
            return is_same
        if not is_same or not await self._store.settle(intent.id, customer_id, intent.password_hash):
            return taken
        shown = await exchange(replace(plan, method="GET", path=f"{self._path}/{customer_id}", document=None))
        return replace(shown, status=201) if isinstance(shown, Checked) and shown.status == 200 else shown  # noqa: PLR2004
