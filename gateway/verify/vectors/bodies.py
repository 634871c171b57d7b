"""Vectors in bodies, and the vectors of the login: B named wherever a body may name an owner."""

import copy
import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from gateway.verify.documents import encode
from gateway.verify.model import BODY_METHODS, Caller, Group, Shot
from gateway.verify.vectors.base import Setting, vector
from gateway.wire.pointer import split

_OWNER_NAMES = ("customer_id", "customerId", "owner", "owner_id", "user_id", "account_id")


def _placed(document: Any, place: tuple[str, ...], value: Any) -> Any:
    """Return a document with a value at a place, whatever stood there."""
    made = copy.deepcopy(document) if isinstance(document, dict) else {}
    here = made
    for step in place[:-1]:
        if not isinstance(here.get(step), dict):
            here[step] = {}
        here = here[step]
    here[place[-1]] = value
    return made


def _inside(document: Any, *place: str) -> tuple[str, ...]:
    """Return a place within the record of a document, under `data` where it has that."""
    return ("data", *place) if isinstance(document, dict) and "data" in document else place


def _changed(s: Setting, *changes: tuple[tuple[str, ...], Any]) -> Iterator[Shot]:
    """Send an ordinary body to A's own path with one change each."""
    for place, value in changes:
        document = s.own_document()
        if document is not None and s.own is not None:
            yield s.shot(s.own, document=_placed(document, place, value))


def _verbatim(s: Setting, text: str | bytes, content_type: str = "application/json", **changes: Any) -> Iterator[Shot]:
    """Send exactly these bytes to A's own path."""
    if s.own is not None and s.method in BODY_METHODS:
        body = text if isinstance(text, bytes) else text.encode()
        yield Shot(s.method, s.own, changes.pop("headers", ()), body, content_type, **changes)


@vector("body-stamp", Group.BODY, "B's id in the body where the gateway writes the customer's own.")
def body_stamp(s: Setting) -> Iterator[Shot]:
    """Name B at the place of the stamp."""
    for rule in s.route.stamps:
        kind = rule.type or s.route.form.owner_type
        reference, own = {"type": kind, "id": s.victim.id}, {"type": kind, "id": s.attacker.id}
        foreign: list[Any] = [{"id": s.victim.id}, reference, [reference], [own, reference], s.victim.id]
        if s.victim.id.isdecimal():
            foreign += [int(s.victim.id), {"id": int(s.victim.id)}]
        for value in foreign if rule.pointer else ():
            yield from _changed(s, (split(rule.pointer), value))


@vector("body-owner", Group.BODY, "B's id in the body under the usual names of an owner.")
def body_owner(s: Setting) -> Iterator[Shot]:
    """Name B as the owner."""
    document = s.own_document()
    names = (*_OWNER_NAMES, *((s.route.filter.field,) if s.route.filter else ()))
    yield from _changed(s, *((_inside(document, name), s.victim.id) for name in names))
    yield from _changed(s, (_inside(document, "customer"), {"id": s.victim.id, "type": "customer"}))


@vector("body-relationship", Group.BODY, "B in the relationships of the body, as one and as many.")
def body_relationship(s: Setting) -> Iterator[Shot]:
    """Relate the record to B."""
    reference = {"type": "customer", "id": s.victim.id}
    document = s.own_document()
    yield from _changed(
        s,
        (_inside(document, "relationships", "customer", "data"), reference),
        (_inside(document, "relationships", "customers", "data"), [reference]),
        (_inside(document, "relationships", "owner", "data"), reference),
    )


@vector("body-record-id", Group.BODY, "Ids of B's records as the id of the record in the body.")
def body_record_id(s: Setting) -> Iterator[Shot]:
    """Name B's record in the body instead of the path."""
    document = s.own_document()
    yield from _changed(s, *((_inside(document, "id"), ident) for ident in (s.victim.id, *s.victim.ids()[:3])))


@vector("body-beside", Group.BODY, "B's id in members beside the data, and in prototypes.")
def body_beside(s: Setting) -> Iterator[Shot]:
    """Name B where nobody looks."""
    reference = {"id": s.victim.id}
    for name in ("customer", "customer_id", "meta", "included", "options", "__proto__", "constructor"):
        yield from _changed(s, ((name,), s.victim.id if name == "customer_id" else reference))


@vector("body-repeated-keys", Group.BODY, "Keys twice in the body: A's value first and B's first.")
def body_repeated_keys(s: Setting) -> Iterator[Shot]:
    """Let two readers take different ones."""
    document = s.own_document()
    if not isinstance(document, dict):
        return
    text = json.dumps(document)
    for first, second in ((s.attacker.id, s.victim.id), (s.victim.id, s.attacker.id)):
        repeated = f'"customer":{{"id":"{first}"}},"customer":{{"id":"{second}"}},"id":"{first}","id":"{second}",'
        yield from _verbatim(s, text.replace('"data": {', '"data": {' + repeated, 1))
        yield from _verbatim(s, "{" + repeated + text[1:])
    last = f'{{"customer":{{"id":"{s.victim.id}"}},"id":"{s.victim.id}"}}'
    yield from _verbatim(s, text[:-1] + f', "data": {last}}}')
    yield from _verbatim(s, f'{{"data": {last}, {text[1:]}')


@vector("body-many", Group.BODY, "A list in place of one record: A's and B's at once.")
def body_many(s: Setting) -> Iterator[Shot]:
    """Send several records."""
    document = s.own_document()
    record = document.get("data", document) if isinstance(document, dict) else {}
    if document is None or not isinstance(record, dict):
        return
    both = [
        {**record, "id": ident, "customer": {"id": ident}, "customer_id": ident}
        for ident in (s.attacker.id, s.victim.id)
    ]
    yield from _verbatim(s, encode({"data": both}))
    yield from _verbatim(s, encode(both))
    yield from _verbatim(s, encode({"data": both[1], "records": both}))


@vector("body-type", Group.BODY, "A body that names B as a form, as text, as XML, as JSON of another kind.")
def body_type(s: Setting) -> Iterator[Shot]:
    """Send another media type."""
    document = s.own_document()
    if document is None:
        return
    text = encode(_placed(document, _inside(document, "customer"), {"id": s.victim.id}))
    for kind in (
        "text/plain",
        "application/vnd.api+json",
        "application/json; charset=utf-16",
        "*/*",
        "application/xml",
    ):
        yield from _verbatim(s, text, kind)
    form = urlencode({"data[customer][id]": s.victim.id, "customer_id": s.victim.id})
    yield from _verbatim(s, form, "application/x-www-form-urlencoded")


@vector("body-encoding", Group.BODY, "A body that names B in UTF-16, behind a byte order mark, in escapes, compressed.")
def body_encoding(s: Setting) -> Iterator[Shot]:
    """Encode the body so that one reader sees another text."""
    document = s.own_document()
    if document is None:
        return
    text = json.dumps(_placed(document, _inside(document, "customer"), {"id": s.victim.id}))
    hidden = text.replace('"customer"', '"\\u0063ustomer"').replace('"id"', '"\\u0069d"')
    yield from _verbatim(s, hidden)
    for encoding in ("utf-16", "utf-8-sig", "utf-7"):
        yield from _verbatim(s, text.encode(encoding), says=text)
    yield from _verbatim(s, gzip.compress(text.encode(), mtime=0), headers=(("Content-Encoding", "gzip"),), says=text)


@vector("body-account", Group.BODY, "B's e-mail in a body, to become B, and B's password set anew.")
def body_account(s: Setting) -> Iterator[Shot]:
    """Take the account over."""
    document = s.own_document()
    if s.route.registers:
        yield from _changed(s, (_inside(document, "email"), s.victim.email))
        yield from _changed(s, (_inside(document, "email"), s.victim.email.upper()))
    if s.method in {"PUT", "PATCH"}:
        for path in s.foreign[-1:]:
            changed = _placed(document, _inside(document, "password"), f"{s.attacker.password}-of-a")
            yield s.shot(path, document=changed)


@vector("body-where-none-belongs", Group.BODY, "A body that names B on a request that has none.")
def body_where_none_belongs(s: Setting) -> Iterator[Shot]:
    """Send a body with GET."""
    if s.reads:
        for path in (s.own, *s.foreign[-1:]):
            if path is not None:
                yield Shot("GET", path, (), encode({"data": {"id": s.victim.id, "customer_id": s.victim.id}}))


def _login(s: Setting, body: str) -> Iterator[Shot]:
    yield Shot("POST", s.route.path, (), body.encode(), tokens=())


_LOGS_IN = frozenset({Caller.PUBLIC})


@vector("login-other-password", Group.LOGIN, "B's e-mail and A's password.", _LOGS_IN)
def login_other_password(s: Setting) -> Iterator[Shot]:
    """Log in with the wrong pair."""
    data = {"type": "token", "email": s.victim.email, "password": s.attacker.password}
    yield from _login(s, json.dumps({"data": data}))


@vector(
    "login-two-emails",
    Group.LOGIN,
    "Both e-mails in one login, as repeated keys and as a list, with A's password.",
    _LOGS_IN,
)
def login_two_emails(s: Setting) -> Iterator[Shot]:
    """Name two accounts."""
    a, b, word = json.dumps(s.attacker.email), json.dumps(s.victim.email), json.dumps(s.attacker.password)
    yield from _login(s, f'{{"data":{{"type":"token","email":{a},"email":{b},"password":{word}}}}}')
    yield from _login(s, f'{{"data":{{"type":"token","email":{b},"email":{a},"password":{word}}}}}')
    yield from _login(s, f'{{"data":{{"type":"token","email":[{a},{b}],"password":{word}}}}}')
    yield from _login(s, f'{{"data":{{"type":"token","email":{{"in":[{b}]}},"password":{word}}}}}')


@vector(
    "login-as-other", Group.LOGIN, "A's own e-mail and password, with B's id as the customer that is meant.", _LOGS_IN
)
def login_as_other(s: Setting) -> Iterator[Shot]:
    """Log in as A and ask for B's token."""
    data = {"type": "token", "email": s.attacker.email, "password": s.attacker.password}
    for name in ("customer_id", "id", "sub"):
        yield from _login(s, json.dumps({"data": {**data, name: s.victim.id}}))


LOGIN_VECTORS = (login_other_password, login_two_emails, login_as_other)
VECTORS = (
    body_stamp, body_owner, body_relationship, body_record_id, body_beside, body_repeated_keys, body_many, body_type,
    body_encoding, body_account, body_where_none_belongs,
)  # fmt: skip
