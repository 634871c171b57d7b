"""Where the API made or changed a customer and shows nobody: what is asked then. Pure.

Nothing in the store changes on a word that names nobody.
"""

from msgspec import structs

from gateway.vocab.messages import Checked, Plan, Query
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.nothing import is_nothing
from gateway.wire.pointer import MISSING, resolve

# They speak of the look alone, and would be taken for the write's.
_OF_THE_LOOK = frozenset({Code.THROTTLED, Code.UPSTREAM_UNAVAILABLE, Code.RECORD_NOT_FOUND})


def shows_nobody(checked: Checked, form: RecordForm) -> bool:
    """Tell whether a success has no record in it."""
    document = checked.document
    place = form.list_at if form.is_only_of_list else form.record_at
    # A write without an answer is shown as an empty object where a record is the answer itself.
    if document is None or document == {}:
        return True
    value = resolve(document, place)
    return is_nothing(value) or (value is MISSING and isinstance(document, dict))


def reading(plan: Plan, path: str, query: Query, there: tuple[str, Query] | None = None) -> Plan:
    """Return the plan that reads the record at `path`, or `there`, whole, with what else a write said."""
    headers = tuple(line for line in plan.headers if line[0] != "content-type")
    made = structs.replace(plan, method="GET", path=path, query=query, there=there)
    return structs.replace(made, document=None, headers=headers, conditions=())


def unconfirmed(looked: Checked | Refusal) -> Checked | Refusal:
    """Return what is said of a look behind a write: who is asked for patience would repeat the write too."""
    if isinstance(looked, Checked) or looked.violation or looked.code not in _OF_THE_LOOK:
        return looked
    return Refusal(Code.WRITE_UNCONFIRMED, f"a customer was changed, and the look behind it {looked.code.name}")
