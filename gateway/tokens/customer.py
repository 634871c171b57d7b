"""Reads records of customers, and bodies that make or change one, wherever e-mail, name and password stand. Pure."""

from typing import Any

from msgspec import Struct

from gateway.scope import addressing
from gateway.scope.names import is_alias
from gateway.tokens.email import canonical
from gateway.tokens.passwords import check_length
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Json, Plan, Query
from gateway.vocab.policy import CURRENT_PASSWORD
from gateway.vocab.record_form import RecordForm, Tokens
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import MISSING, id_text, placed, resolve
from gateway.wire.records import shown


class Submitted(Struct, frozen=True):
    """A customer as a client describes one. `document` is the body without the password, its e-mail canonical.

    `email` is None where the body says none, `typed` is how the client spelled it; `name` is empty, and `password`
    None, where there is none. `changes`: the body says more than whose record it is about.
    """

    document: Json
    email: str | None
    typed: str
    name: str
    password: str | None
    changes: bool


def submitted(plan: Plan, how: CustomerForm) -> Submitted | Refusal:
    """Read the body of a plan; 422 for a field that is not valid."""
    place = how.form.body_at
    record = resolve(plan.document, place)
    if not isinstance(record, dict):
        return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=_source(place))
    password = resolve(record, how.password_at)
    if password is not MISSING and not check_length(password):
        return Refusal(Code.BODY_FIELD_INVALID, "not 1 to 1024 bytes of text", source=_source(place, how.password_at))
    name = resolve(record, how.name_at)
    if name is not MISSING and not isinstance(name, str):
        return Refusal(Code.BODY_FIELD_INVALID, "not text", source=_source(place, how.name_at))
    typed = resolve(record, how.email_at)
    email = None if typed is MISSING else canonical(typed)
    if typed is not MISSING and email is None:
        return Refusal(Code.BODY_FIELD_INVALID, "not an e-mail address", source=email_source(how))
    if (alias := _alias(record, how)) is not None:
        # A reader that ignores case would take it for what we have looked at.
        return Refusal(Code.BODY_FIELD_FORBIDDEN, "another spelling of a field", source=_source(place, (alias,)))
    record = without(record, how.password_at)
    if email is not None:
        record = placed(record, how.email_at, email)
    return Submitted(
        document=placed({}, place, record),
        email=email,
        typed=typed if email is not None else "",
        name=name if isinstance(name, str) else "",
        password=None if password is MISSING else password,
        changes=_changes(record, how),
    )


def _alias(record: Json, how: CustomerForm) -> str | None:
    """Return a member that somebody behind us could take for the e-mail or a password, which it is not."""
    current = (*how.password_at[:-1], CURRENT_PASSWORD)
    for tokens in (how.email_at, how.password_at, current):
        node: Any = record
        for token in tokens:
            if not isinstance(node, dict):
                break
            found = next((str(name) for name in node if is_alias(name, token)), None)
            if found is not None:
                return found
            node = node.get(token)
    return None


def made(one: Submitted, how: CustomerForm) -> Submitted:
    """Return a new customer as the API gets it: its name as one reads it, and what each new record has."""
    document = one.document
    if resolve(document, (*how.form.body_at, *how.name_at)) is not MISSING:
        document = placed(document, (*how.form.body_at, *how.name_at), one.name.strip())
    for place, value in how.constants:
        document = placed(document, (*how.form.body_at, *place), value)
    return Submitted(document, one.email, one.typed, one.name.strip(), one.password, one.changes)


def email_source(how: CustomerForm) -> str:
    """Return where a body says the e-mail, as a client knows it."""
    return _source(how.form.body_at, how.email_at)


def password_source(how: CustomerForm) -> str:
    """Return where a body says the password, as a client knows it."""
    return _source(how.form.body_at, how.password_at)


def current_password_at(how: CustomerForm) -> Tokens:
    """Return where a change says the password that the customer has: beside the new one."""
    return (*how.form.body_at, *how.password_at[:-1], CURRENT_PASSWORD)


def _source(*places: Tokens) -> str:
    return ".".join(token for place in places for token in place) or "body"


def without(document: Any, tokens: Tokens) -> Any:
    """Return a copy of a document without what stands at a place."""
    first, *rest = tokens
    if not isinstance(document, dict) or first not in document:
        return document
    if not rest:
        return {name: value for name, value in document.items() if name != first}
    return document | {first: without(document[first], tuple(rest))}


def _changes(record: Json, how: CustomerForm) -> bool:
    """Tell whether a record without its password says anything but which one it is."""
    said = {name for name, value in record.items() if value != {} or name != how.email_at[0]}
    return not said <= {"type", how.form.id_at[0]}


def record_in(document: Any, form: RecordForm) -> Json | None:
    """Return the one record of a document; None where it has none, or many."""
    found = shown(document, form, expects_one=True)
    if isinstance(found, Refusal) or found.is_list or not isinstance(found.records[0], dict):
        return None
    return found.records[0]


def holds_somebody(document: Any, how: CustomerForm) -> bool:
    """Tell whether a document has a record that says whose it is, or is one or some, so that it may be a stranger's."""
    found = shown(document, how.form, expects_one=True)
    if isinstance(found, Refusal):
        # Records in another envelope than this API's are no less a stranger's.
        return isinstance(document, list) and any(is_somebody(one, how) for one in document)
    return any(is_somebody(record, how) for record in found.records)


def is_somebody(record: Any, how: CustomerForm) -> bool:
    """Tell whether this is a record that says whose it is."""
    named = (resolve(record, place) for place in (how.form.id_at, how.email_at))
    return isinstance(record, dict) and any(value is not MISSING and value is not None for value in named)


def customers_in(document: Any, path: str, form: RecordForm, how: CustomerForm) -> list[Json]:
    """Return the customers among the records and included records of a document that answers a request for `path`.

    A record is one if its type says so, or if the path is that of customers.
    """
    found = shown(document, form, expects_one=True)
    if isinstance(found, Refusal):
        return []
    place = path.removesuffix("/")
    are_customers = how.path in {place, place.rpartition("/")[0]}
    kind = form.owner_type
    groups = found.included.values() if isinstance(found.included, dict) else (found.included,)
    others = [one for group in groups if isinstance(group, list) for one in group]
    customers = [one for one in found.records if isinstance(one, dict) and (are_customers or one.get("type") == kind)]
    return customers + [one for one in others if isinstance(one, dict) and one.get("type") == kind]


def said(record: Json, how: CustomerForm, *, has_password: bool | None) -> None:
    """Let a record say whether the customer has a password; None: it says nothing of it."""
    node: Any = record
    for token in how.password_at[:-1]:
        node = node.get(token) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return
    if has_password is None:
        node.pop(how.password_at[-1], None)
    else:
        node[how.password_at[-1]] = has_password


def id_of(record: Any, how: CustomerForm) -> str | None:
    """Return a customer's id as it stands in paths and tokens; None where the record has none of the API's kind."""
    return id_text(resolve(record, how.form.id_at), how.form.ids)


def email_of(record: Any, how: CustomerForm) -> Any:
    """Return what a record has for its e-mail, whatever it is; None where it has none."""
    value = resolve(record, how.email_at)
    return None if value is MISSING else value


def name_of(record: Any, how: CustomerForm) -> Any:
    """Return what a record has for its name; empty where it has none."""
    value = resolve(record, how.name_at)
    return "" if value is MISSING or value is None else value


def address_of(customer_id: str, how: CustomerForm) -> tuple[str, Query]:
    """Return path and query of a customer's own record; the id fits the configured pattern."""
    return addressing.known((*how.path[1:].split("/"), customer_id), how.form)
