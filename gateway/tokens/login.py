"""Decides whether an e-mail and a password are a customer's. It mints nothing.

Every refusal does the same work: the same calls upstream, the same queries, one argon2 computation; that an account is
throttled shows in nothing either. Only malformed input, the throttle of an address and broken machinery answer
differently, and none of them depends on whether the account exists.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from gateway.carrying.call import Call
from gateway.guard.status import unable
from gateway.stores.ports import Account, CredentialStore, Registration, SessionStore, StoreUnavailable
from gateway.tokens.attempts import Attempts
from gateway.tokens.customer import address_of
from gateway.tokens.directory import NOBODYS_ID, Directory, Found
from gateway.tokens.email import canonical, trimmed
from gateway.tokens.intents import is_awaited, is_recoverable
from gateway.tokens.login_form import LoginForm
from gateway.tokens.passwords import PasswordHasher, check_length, prepare
from gateway.tokens.sessions import Sessions
from gateway.tokens.throttle import Wait
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.events import EmailShared, Emit, GuardViolated, LoginDone
from gateway.vocab.messages import Answer, CallerKind, Headers, Session, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode, read_answer
from gateway.wire.client_address import forwarding_lines

# No customer has it, so that asking for it costs what asking for a real one costs.
_NOBODY = ""
_MAX_ANSWER = 64 * 1024
_OPENED = frozenset({200, 201})
_UNAUTHORIZED = 401


class Verifier(Protocol):
    """Says whose a password is: the gateway's store or the upstream."""

    async def verify(self, email: str, typed: str, password: str, address: str, trace: Trace) -> Account | Refusal:
        """Return the customer's account for a pair that came from `address`, or LOGIN_FAILED, or why nobody can say.

        It is the account as it was before the password was looked at. LOGIN_FAILED also for who is blocked. Raises
        StoreUnavailable.
        """


class StoreVerifier:
    """Compares with the hashes the gateway keeps; who has the e-mail is asked of the upstream each time."""

    def __init__(
        self,
        directory: Directory,
        store: CredentialStore,
        hasher: PasswordHasher,
        now: Callable[[], float],
        emit: Emit,
    ) -> None:
        self._directory = directory
        self._store = store
        self._hasher = hasher
        self._now = now
        self._emit = emit

    async def verify(self, email: str, typed: str, password: str, address: str, trace: Trace) -> Account | Refusal:
        """Return the customer's account, or LOGIN_FAILED; a registration that broke off is finished by its password.

        REGISTRATION_PENDING for the right password of a customer whom the upstream has made and does not show yet.
        """
        del address
        intent, known = await self._store.standing(email)
        if intent is not None and intent.customer_id is not None:
            known = intent.customer_id
        # Whoever is known is asked for by id as well, because lists may be behind; for all others nobody is.
        found = await self._directory.find(email, typed, trace, known or NOBODYS_ID)
        if isinstance(found, Refusal):
            return found
        if found.record is None and len(found.holders) > 1:
            self._emit(EmailShared(trace.request_id, len(found.holders)))
        stored, account = await self._store.credential(found.customer_id or _NOBODY)
        own = self._is_of(intent, found, stored)
        is_right = await self._hasher.verify(password, intent.password_hash if intent and own else stored)
        if isinstance(is_right, Refusal):
            return is_right
        if not is_right or account.is_blocked:
            return Refusal(Code.LOGIN_FAILED)
        if found.customer_id is None:
            return Refusal(Code.REGISTRATION_PENDING, "made, and not shown yet", retry_after=1)
        if intent and own:
            refusal = await self._settle(intent, found, trace)
            if refusal is not None:
                return refusal
        with suppress(StoreUnavailable):
            # A login needs nothing that could not be written.
            if known != found.customer_id:
                await self._store.remember(email, found.customer_id)
            await self._strengthen(found.customer_id, password, stored)
        return account

    def _is_of(self, intent: Registration | None, found: Found, stored: str | None) -> bool:
        """Tell whether a password may be an intent's: it made who was found, or somebody who is not shown yet."""
        if intent is None or stored is not None:
            return False
        if found.holders:
            return is_recoverable(intent, found, self._now(), self._directory.how)
        return is_awaited(intent, self._now())

    async def _settle(self, intent: Registration, found: Found, trace: Trace) -> Refusal | None:
        """Give a customer the password of the intent that made it. Only who has that password comes here."""
        customer_id = str(found.customer_id)
        if customer_id not in found.confirmed:
            refusal = await self._directory.confirm(customer_id, intent.email, trace)
            if refusal is not None:
                return refusal
        if not await self._store.settle(intent.id, customer_id, intent.password_hash):
            return Refusal(Code.LOGIN_FAILED, "another password was set meanwhile")
        return None

    async def _strengthen(self, customer_id: str, password: str, stored: str | None) -> None:
        """Replace a hash made with weaker parameters than today's, if there is room to compute one now."""
        if stored is not None and self._hasher.needs_rehash(stored):
            hashed = await self._hasher.hash(password, is_login=True)
            if not isinstance(hashed, Refusal):
                await self._store.rehash(customer_id, stored, hashed)


class UpstreamVerifier:
    """Passes the login on to an upstream that keeps the passwords itself, in the `form` of its own login.

    The store says who was logged out and who is blocked. `how` is its collection of customers; `public` says under
    which URL clients ask.
    """

    def __init__(
        self,
        backend: Backend,
        store: SessionStore,
        form: LoginForm,
        how: CustomerForm,
        is_customer_id: Callable[[str], object],
        public: Headers = (),
    ) -> None:
        self._backend = backend
        self._store = store
        self._form = form
        self._how = how
        self._is_customer_id = is_customer_id
        self._public = public
        # What asks for the second look of `_ask`: also every other "wrong", once an upstream says 401 of passwords.
        self._doubtful = frozenset({_UNAUTHORIZED})

    async def verify(self, email: str, typed: str, password: str, address: str, trace: Trace) -> Account | Refusal:
        """Return the account of the customer whose id the upstream's own login answers."""
        del email
        latest = await self._store.latest()
        customer_id = await self._verify(typed, password, address, trace)
        if isinstance(customer_id, Refusal):
            return customer_id
        account = await self._store.account(customer_id)
        if account.is_blocked:
            return Refusal(Code.LOGIN_FAILED)
        # A log-out that came while the upstream compared may have been for a new password: the session would be an old
        # one's, and is over as it begins.
        return replace(account, version=min(account.version, latest))

    async def _verify(self, typed: str, password: str, address: str, trace: Trace) -> str | Refusal:
        answer = await self._ask(trimmed(typed), password, address, trace)
        if isinstance(answer, Refusal):
            return answer
        if answer.status in self._form.wrong:
            return Refusal(Code.LOGIN_FAILED, f"upstream answered {answer.status}")
        if answer.status not in _OPENED:
            return unable(answer.status, answer.headers) or Refusal(
                Code.UPSTREAM_FAILED, f"upstream login answered {answer.status}"
            )
        document = read_answer(answer, _MAX_ANSWER)
        customer_id = None if isinstance(document, Refusal) else self._form.customer_id(document)
        if customer_id is None or not self._is_customer_id(customer_id):
            return Refusal(Code.UPSTREAM_INVALID, "upstream login answered no customer id")
        return customer_id

    async def _ask(self, typed: str, password: str, address: str, trace: Trace) -> Answer | Refusal:
        """Send the login; a 401 may be about the password or about our own bearer.

        A look-up tells them apart: it renews a bearer that is not accepted, and then the login is sent once more. A
        wrong password never costs a bearer that is good, or guessing would stop everybody's traffic. An upstream that
        says 401 of some pairs and something else of others is asked as much for these, or the time would tell them.
        """
        body = encode(self._form.filled(typed, password))
        headers = (
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            # The upstream may count attempts by address, too, and ours would be everybody's.
            *forwarding_lines(address, self._public),
        )
        call = Call("POST", self._form.path, headers, body)
        answer = await self._backend.send(call, _MAX_ANSWER, trace, owns_401=True)
        if isinstance(answer, Refusal) or answer.status not in self._doubtful:
            return answer
        probe = await self._backend.look_up(*address_of(NOBODYS_ID, self._how), trace)
        if isinstance(probe, Refusal) and probe.code is Code.CREDENTIAL_UNAVAILABLE:
            return probe
        again = await self._backend.send(call, _MAX_ANSWER, trace, owns_401=True)
        if not isinstance(again, Refusal) and again.status == _UNAUTHORIZED:
            self._doubtful |= self._form.wrong
        return again


class Login:
    """A login behind its throttle."""

    def __init__(self, verifier: Verifier, sessions: Sessions, attempts: Attempts, emit: Emit) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._attempts = attempts
        self._emit = emit

    async def authenticate(self, email: object, password: object, address: str, trace: Trace) -> Session | Refusal:
        """Return a new session for an e-mail and a password as they came in, from `address`.

        LOGIN_FAILED for any pair that is not right, and for every pair after too many of them for one account;
        THROTTLED after too many from one address, unless a trusted client sent them; BODY_FIELD_INVALID for what cannot
        be an e-mail or a password at all.
        """
        account = canonical(email)
        if account is None or not isinstance(email, str):
            return Refusal(Code.BODY_FIELD_INVALID, "not an e-mail address", source="data.email")
        if not check_length(password) or not isinstance(password, str):
            return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source="data.password")
        by_address = trace.caller != CallerKind.TRUSTED
        # Counted before the work, so that many attempts at once cannot slip under the limit together.
        reserved = await self._attempts.reserve(account, address, by_address=by_address)
        if isinstance(reserved, Wait):
            self._emit(LoginDone("throttled"))
            if not reserved.by_account:
                return Refusal(Code.THROTTLED, retry_after=reserved.seconds)
            # Whoever guesses learns nothing, not even that this guess was not looked at: the same work, for a password
            # that nobody has, of one spelling or two as this one.
            nobodys = secrets.token_urlsafe() + ("" if prepare(password) == password else "e\u0301")
            done = await self._opened(account, email, nobodys, address, trace)
            return done if isinstance(done, Refusal) else Refusal(Code.LOGIN_FAILED)
        outcome = await self._opened(account, email, password, address, trace)
        if not isinstance(outcome, Refusal):
            await self._attempts.give_back(reserved, is_right=True)
            self._emit(LoginDone("granted"))
        elif outcome.code is Code.LOGIN_FAILED:
            self._emit(LoginDone("refused"))
        else:
            # Nobody learned anything about the password.
            await self._attempts.give_back(reserved)
            self._emit(LoginDone("overloaded" if outcome.code is Code.OVERLOADED else "failed"))
            if outcome.violation:
                self._emit(GuardViolated(trace.request_id, trace.route, outcome.detail))
        return outcome

    async def _opened(self, email: str, typed: str, password: str, address: str, trace: Trace) -> Session | Refusal:
        try:
            account = await self._verifier.verify(email, typed, password, address, trace)
            return account if isinstance(account, Refusal) else await self._sessions.open(account)
        except StoreUnavailable as error:
            return Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after=1)
