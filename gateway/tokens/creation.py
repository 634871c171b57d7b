"""What the answer to the creation of a customer says, and what of it the client is shown. Pure."""

from msgspec import structs

from gateway.tokens.customer import email_of, holds_somebody, id_of, record_in
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Checked
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.records import alone

ACCEPTED = Checked(
    202,
    {
        "data": None,
        "meta": {
            "code": "REGISTRATION_ACCEPTED",
            "detail": "The commerce API took the registration and does not show the customer yet: log in shortly.",
        },
    },
)
"""There is a customer, and no record to show yet: it is JSON all the same, for old SDKs read nothing else."""

# The upstream did certainly not create the customer.
_NOT_CREATED = frozenset({
    Code.CREDENTIAL_UNAVAILABLE, Code.OVERLOADED, Code.THROTTLED, Code.UPSTREAM_UNREACHABLE, Code.RECORD_NOT_FOUND,
})  # fmt: skip


def proves_no_creation(refusal: Refusal) -> bool:
    """Tell whether nobody was made where the exchange ended so."""
    status = refusal.upstream_status
    return refusal.code in _NOT_CREATED or (status is not None and 400 <= status < 500)  # noqa: PLR2004


def is_not_there(refusal: Refusal) -> bool:
    """Tell whether a customer is not shown, perhaps not yet."""
    return refusal.code is Code.RECORD_NOT_FOUND and not refusal.violation


def only(checked: Checked, how: CustomerForm, email: str, customer_id: str | None = None) -> Checked | Refusal:
    """Return an answer with nothing in it but the customer it must be about, whom no guard of the route can know."""
    record = record_in(checked.document, how.form)
    if (
        record is None
        or email_of(record, how) != email
        or (customer_id is not None and id_of(record, how) != customer_id)
    ):
        why = "registration answered another customer"
        return Refusal(Code.UPSTREAM_INVALID, why, violation=holds_somebody(checked.document, how))
    return structs.replace(checked, document=alone(record, how.form))
