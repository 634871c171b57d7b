"""Finds customers at the upstream by e-mail, and believes only what the answer itself proves.

It knows no passwords. The upstream may ignore a filter and answer with everybody (docs/upstream.md section 4), so each
record is compared by its own e-mail.
"""

import asyncio
import re
from dataclasses import dataclass

from gateway.scope.filters.dialect import Dialect
from gateway.tokens.email import canonical
from gateway.upstream.backend import Backend
from gateway.vocab.messages import Json, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.nothing import tells_nothing, with_list
from gateway.wire.pointer import id_text

_EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Found:
    """The one customer whom an e-mail address means, or None; `holders` are the ids of all who have it.

    There is more than one holder, and perhaps nobody who is meant, where addresses differ in case only. `is_proven`
    says that all holders were seen: it is not when the upstream answered with other people's records, because then
    the filter was ignored and a holder may be on a page that did not come.
    """

    record: Json | None
    holders: frozenset[str]
    is_proven: bool

    @property
    def customer_id(self) -> str | None:
        """The customer's id, which fits the configured pattern."""
        return id_text(self.record["id"]) if self.record else None


class Directory:
    """The customers of the upstream below `path`, each with an `id` that fits `pattern`, an `email` and a `name`."""

    def __init__(self, backend: Backend, path: str, dialect: Dialect, parameter: str, pattern: re.Pattern[str]) -> None:
        self._backend = backend
        self._path = path
        self._dialect = dialect
        self._parameter = parameter
        self._pattern = pattern

    async def find(self, email: str, typed: str, trace: Trace) -> Found | Refusal:
        """Find the customer whose e-mail is `email` (canonical).

        An upstream that compares case-sensitively may hold the address as it was `typed`, so both spellings are
        asked for at once whenever they differ: the number of calls depends on the question alone, never on the answer.
        """
        spellings = dict.fromkeys([email, typed.strip(" ")])
        answers = await asyncio.gather(*(self._ask(spelling, trace) for spelling in spellings))
        records: dict[str, Json] = {}
        is_proven = True
        for answer in answers:
            if isinstance(answer, Refusal):
                return answer
            for record in answer:
                if not isinstance(record, dict) or canonical(record.get(_EMAIL)) != email:
                    is_proven = False
                    continue
                customer_id = self.read_id(record)
                if isinstance(customer_id, Refusal):
                    return customer_id
                records[customer_id] = record
        holders = frozenset(records)
        if len(records) > 1:
            # Two customers whose addresses differ in case only: each is reached by its own spelling, or not at all.
            records = {key: record for key, record in records.items() if record[_EMAIL] == typed.strip(" ")}
        return Found(next(iter(records.values())) if len(records) == 1 else None, holders, is_proven)

    async def confirm(self, customer_id: str, email: str, trace: Trace) -> Refusal | None:
        """Refuse unless the customer's own record, asked for by its id, has exactly this e-mail.

        What names an id beside an e-mail, as the answer to a creation does, may name somebody else's.
        """
        answer = await self._backend.look_up(f"{self._path}/{customer_id}", (), trace)
        if isinstance(answer, Refusal):
            return answer
        if answer.status not in {200, 404}:
            return Refusal(Code.UPSTREAM_INVALID, f"look-up by id answered {answer.status}")
        if tells_nothing(answer.status, answer.document):
            return Refusal(Code.UPSTREAM_INVALID, "look-up by id answered no record")
        record = answer.document.get("data", answer.document) if isinstance(answer.document, dict) else None
        if isinstance(record, dict) and id_text(record.get("id")) == customer_id and record.get(_EMAIL) == email:
            return None
        return Refusal(Code.UPSTREAM_INVALID, "the customer of this id is not who was said to be", violation=True)

    def read_id(self, record: Json) -> str | Refusal:
        """Return a customer record's id; it ends up in paths, filters and tokens, so it must fit the pattern."""
        customer_id = id_text(record.get("id"))
        if customer_id is not None and self._pattern.fullmatch(customer_id):
            return customer_id
        return Refusal(Code.UPSTREAM_INVALID, "a customer id does not fit the configured pattern")

    async def _ask(self, spelling: str, trace: Trace) -> list[object] | Refusal:
        query = self._dialect.equals(_EMAIL, spelling, self._parameter)
        answer = await self._backend.look_up(self._path, query, trace)
        if isinstance(answer, Refusal):
            return answer
        document = with_list(answer.status, answer.document)
        data = document.get("data") if isinstance(document, dict) else document
        if not isinstance(data, list):
            return Refusal(Code.UPSTREAM_INVALID, f"look-up by e-mail answered {answer.status} without a list")
        return data
