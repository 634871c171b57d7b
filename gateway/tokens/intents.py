"""Which customer an intent made: how long it counts, and what of a record must fit it. Pure."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from gateway.stores.ports import Registration
from gateway.tokens.customer import email_of, name_of
from gateway.tokens.directory import Found
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Json
from gateway.wire.pointer import MISSING, resolve

# A creation that may still be under way elsewhere is not displaced: longer than any exchange with the upstream may
# reasonably take, short enough that a customer who mistyped the password at first can register again.
UNDER_WAY = 300.0
# After a day an intent proves nothing any more: whoever has this e-mail now came by it in another way.
RECOVERABLE = 86400.0
# A customer made longer before or after the intent than this was made by somebody else: `UNDER_WAY`, and as much for
# clocks that differ.
_MADE_WITHIN = 2 * UNDER_WAY
# In seconds the year 5138, in milliseconds 1973: no shop was there in either.
_MILLISECONDS = 1e11


def is_recoverable(intent: Registration | None, found: Found, now: float, how: CustomerForm) -> bool:
    """Tell whether `intent` is what made the customer that was found."""
    return (
        intent is not None
        and found.record is not None
        # The customer of an intent was made with the canonical spelling; another spelling is somebody who was there.
        and email_of(found.record, how) == intent.email
        # Of the same name, unless the upstream itself has said that it made this one; it may spell names its own way.
        and (name_of(found.record, how) == intent.name or found.customer_id == intent.customer_id)
        and -1 <= now - intent.started_at <= RECOVERABLE  # a clock may be set back a little
        and made_within(found.record, intent.started_at, how)
    )


def is_awaited(intent: Registration, now: float) -> bool:
    """Tell whether an intent has made somebody whom the upstream may not show yet."""
    return intent.customer_id is not None and -1 <= now - intent.started_at < UNDER_WAY


def made_within(record: Json | None, at: float, how: CustomerForm) -> bool:
    """Tell whether the upstream made a customer around `at` (epoch seconds), as far as it says when.

    A record without the time passes; a time that cannot be read proves nothing and does not.
    """
    value = resolve(record, how.created_at)
    if value is MISSING or value is None:
        return True
    moment = None if isinstance(value, bool) else _epoch(value)
    return moment is not None and abs(moment - at) <= _MADE_WITHIN


def _epoch(value: Any) -> float | None:
    """Read a time in seconds or milliseconds since 1970, as a number or its text, or in ISO 8601; without zone UTC."""
    with suppress(ValueError, TypeError, OverflowError):
        number = float(value)
        return number / 1000 if abs(number) >= _MILLISECONDS else number
    with suppress(ValueError, TypeError, OverflowError):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
