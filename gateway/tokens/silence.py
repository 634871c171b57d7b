"""What is done where the API made or changed a customer and shows nobody: the customer is read back by id.

Nothing in the store changes on a word that names nobody.
"""

from msgspec import structs

from gateway.tokens.directory import Directory
from gateway.vocab.messages import Checked, Plan, Trace
from gateway.vocab.policy import Perform
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import CONDITIONAL
from gateway.wire.nothing import is_nothing

# They speak of the look alone, and would be taken for the write's.
_OF_THE_LOOK = frozenset({Code.THROTTLED, Code.UPSTREAM_UNAVAILABLE, Code.RECORD_NOT_FOUND})


def shows_nobody(checked: Checked) -> bool:
    """Tell whether a success has no record in it."""
    document = checked.document
    return document is None or (isinstance(document, dict) and is_nothing(document.get("data")))


def reading(plan: Plan, path: str) -> Plan:
    """Return the plan that reads the record at `path`, whole, with what else a write said."""
    headers = tuple(line for line in plan.headers if line[0] not in CONDITIONAL and line[0] != "content-type")
    return structs.replace(plan, method="GET", path=path, document=None, headers=headers)


async def read_back(  # noqa: PLR0913, PLR0917 - the write, and all that tells whom it made
    directory: Directory, plan: Plan, path: str, email: str, status: int, perform: Perform, trace: Trace
) -> Checked | Refusal:
    """Return the customer of `email` whom a creation made that answered nothing, as if it had answered with `status`.

    The e-mail had nobody before it, so that whoever has it now was made by it.
    """
    found = await directory.find(email, email, trace)
    if isinstance(found, Refusal):
        return unconfirmed(found)
    if found.customer_id is None:
        return Refusal(Code.WRITE_UNCONFIRMED, "a creation answered nothing, and nobody has the e-mail yet")
    shown = await perform(reading(plan, f"{path}/{found.customer_id}"))
    if isinstance(shown, Refusal):
        return unconfirmed(shown)
    if shown.status != 200:  # noqa: PLR2004 - HTTP's own number
        return Refusal(Code.WRITE_UNCONFIRMED, f"a creation answered nothing, and its customer answers {shown.status}")
    return structs.replace(shown, status=status)


def unconfirmed(refusal: Refusal) -> Refusal:
    """Return what is said of a look that failed behind a write: who is asked for patience repeats the write too."""
    if refusal.violation or refusal.code not in _OF_THE_LOOK:
        return refusal
    return Refusal(Code.WRITE_UNCONFIRMED, f"a customer was made, and the look behind it {refusal.code.name}")
