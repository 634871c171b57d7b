"""Finds customers at the upstream by e-mail, and believes only what the answer itself proves.

It knows no passwords. The upstream may ignore a filter and answer with everybody (docs/upstream.md section 4), so each
record is compared by its own e-mail. Its lists may be behind its records: who is known already is asked for by id too.
"""

import asyncio
import re
from dataclasses import dataclass

from gateway.scope import addressing
from gateway.scope.filters import DIALECTS
from gateway.tokens.customer import address_of, email_of, holds_somebody, id_of, record_in
from gateway.tokens.email import canonical_record, readable, trimmed
from gateway.upstream.backend import Backend
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Json, Query, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.nothing import tells_nothing, with_list
from gateway.wire.records import shown

NOBODYS_ID = "0"
"""No customer has this id, and it fits every pattern of ids: asking for it costs what asking for somebody's does."""

# The lists decide whether anybody can be found; what only adds to them may not take longer.
_KNOWN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """The one customer whom an e-mail address means, or None; `holders` are the ids of all who have it.

    There is more than one holder, and perhaps nobody who is meant, where addresses differ in spelling only. `is_proven`
    says that all holders were seen: it is not when the upstream answered with other people's records, because then
    the filter was ignored and a holder may be on a page that did not come. `confirmed` are the holders whose own
    record, asked for by its id, shows the e-mail.
    """

    record: Json | None
    holders: frozenset[str]
    is_proven: bool
    confirmed: frozenset[str] = frozenset()
    customer_id: str | None = None


class Directory:
    """The customers of the upstream, as `how` says; each has an id that fits `pattern`."""

    def __init__(self, backend: Backend, how: CustomerForm, pattern: re.Pattern[str]) -> None:
        self._backend = backend
        self.how = how
        self._dialect = DIALECTS[how.dialect]
        self._pattern = pattern

    async def find(self, email: str, typed: str, trace: Trace, known: str | None = None) -> Found | Refusal:
        """Find the customer whose e-mail is `email` (canonical); `known` is an id who may be it, or NOBODYS_ID.

        An upstream that compares exactly may hold the address as it was `typed`, or with U-labels, so all spellings
        are asked for at once: the number of calls depends on the question alone, never on the answer.
        """
        typed = trimmed(typed)
        spellings = dict.fromkeys([email, readable(email), typed])
        asked = asyncio.gather(*(self._ask(spelling, trace) for spelling in spellings))
        shown, answers = await asyncio.gather(self._show(known, email, trace), asked)
        records: dict[str, Json] = {}
        is_proven = True
        for answer in answers:
            if isinstance(answer, Refusal):
                return answer
            for record in answer:
                if not isinstance(record, dict) or canonical_record(email_of(record, self.how)) != email:
                    is_proven = False
                    continue
                customer_id = self.read_id(record)
                if isinstance(customer_id, Refusal):
                    return customer_id
                records[customer_id] = record
        # Lists are behind, or compare exactly. Where they show others, or lie, nobody is added to them; of whoever
        # stands in them the own record is what counts.
        if known is not None and shown is not None and (known in records or (not records and is_proven)):
            records[known] = shown
        confirmed = frozenset({known} & records.keys() if known is not None and shown is not None else ())
        holders = frozenset(records)
        if len(records) > 1:
            # Two customers whose addresses differ in spelling only: each is reached by its own, or not at all.
            records = {key: record for key, record in records.items() if email_of(record, self.how) == typed}
        if len(records) != 1:
            return Found(None, holders, is_proven, confirmed)
        ((meant, shown_by_it),) = records.items()
        return Found(shown_by_it, holders, is_proven, confirmed, meant)

    async def confirm(self, customer_id: str, email: str, trace: Trace) -> Refusal | None:
        """Refuse unless the customer's own record, asked for by its id, has exactly this e-mail.

        What names an id beside an e-mail, as the answer to a creation does, may name somebody else's.
        REGISTRATION_PENDING while nobody is there by the id: the upstream may not show yet what it has made.
        """
        answer = await self._backend.look_up(*self.address_of(customer_id), trace)
        if isinstance(answer, Refusal):
            return answer
        if answer.status == 404:  # noqa: PLR2004 - HTTP's own number
            return Refusal(Code.REGISTRATION_PENDING, "the customer is not there by the id yet", retry_after=1)
        if answer.status != 200:  # noqa: PLR2004
            return Refusal(Code.UPSTREAM_INVALID, f"look-up by id answered {answer.status}")
        if tells_nothing(answer.status, answer.document, self.how.form):
            return Refusal(Code.UPSTREAM_INVALID, "look-up by id answered no record")
        record = record_in(answer.document, self.how.form)
        if record is not None and id_of(record, self.how) == customer_id and email_of(record, self.how) == email:
            return None
        why = "the customer of this id is not who was said to be"
        return Refusal(Code.UPSTREAM_INVALID, why, violation=holds_somebody(answer.document, self.how))

    async def email_of(self, customer_id: str, trace: Trace) -> str | Refusal | None:
        """Return the e-mail in the customer's own record, asked for by its id, as it stands there.

        None where nobody is there by the id, or somebody else, or nobody could write to the customer.
        """
        answer = await self._backend.look_up(*self.address_of(customer_id), trace)
        if isinstance(answer, Refusal):
            return answer
        record = record_in(answer.document, self.how.form)
        if answer.status != 200 or record is None or id_of(record, self.how) != customer_id:  # noqa: PLR2004
            return None
        email = email_of(record, self.how)
        return email if isinstance(email, str) else None

    def address_of(self, customer_id: str) -> tuple[str, Query]:
        """Return path and query of a customer's own record."""
        return address_of(customer_id, self.how)

    def read_id(self, record: Json | None) -> str | Refusal:
        """Return a customer record's id; it ends up in paths, filters and tokens, so it must fit the pattern."""
        customer_id = id_of(record, self.how)
        if customer_id is not None and self._pattern.fullmatch(customer_id):
            return customer_id
        return Refusal(Code.UPSTREAM_INVALID, "a customer id does not fit the configured pattern")

    async def _ask(self, spelling: str, trace: Trace) -> list[object] | Refusal:
        how = self.how
        query = self._dialect.equals(how.filter_field, spelling, how.filter_parameter)
        answer = await self._backend.look_up(addressing.with_slash(how.path, how.form), query, trace)
        if isinstance(answer, Refusal):
            return answer
        found = shown(with_list(answer.status, answer.document, how.form), how.form)
        if isinstance(found, Refusal) or not found.is_list:
            what = "" if not isinstance(found, Refusal) else f": {found.detail}"
            return Refusal(
                Code.UPSTREAM_INVALID, f"look-up by e-mail answered {answer.status} without a list{what}", unfit=True
            )
        return found.records

    async def _show(self, known: str | None, email: str, trace: Trace) -> Json | None:
        """Return the record of who is known, if it has this e-mail.

        Whatever else comes of it adds nothing to the lists: a failure here must not tell who is known from who is not.
        """
        if known is None:
            return None
        try:
            async with asyncio.timeout(_KNOWN_SECONDS):
                answer = await self._backend.look_up(*self.address_of(known), trace)
        except TimeoutError:
            return None
        record = None if isinstance(answer, Refusal) else record_in(answer.document, self.how.form)
        if record is None or id_of(record, self.how) != known:
            return None
        return record if canonical_record(email_of(record, self.how)) == email else None
