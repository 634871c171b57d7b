"""The error envelope: what may leave of an upstream's 4xx answer. Pure.

An error text can carry somebody's record ("order 17 of ron@swanson.example is locked"). On routes with rules a text
leaves only if each word of it is either in the vocabulary of API messages below or was said by the client itself.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.vocab.messages import Checked, Plan
from gateway.vocab.refusals import Code, Refusal

# Longer texts than any message of the API; what is longer is data, not a message.
_MAX_MESSAGE = 300
_MAX_ERRORS = 10
_WORD = re.compile(r"[^\W_]+")

# What messages about a request consist of (docs/upstream.md section 2): grammar, verdicts, kinds of values, names of
# fields and records of the API, and the numbers that limits usually are. No word here tells one customer from another.
_API_WORDS = """
a an and are as at be been but by can cannot could did do does doesn done for from had has have if in into is isn it
its may more most must no none nor not of on once one only or out over please s should t than that the their them
then there these this those to too two under up was we were when which with within without would you your
accepted allowed already another any applied associate associated attempt attempted available bad been before blank
body cancelled cannot change changed characters check chosen closed code combination complete completed conflict
contain contained contains correct could create created currently declined deleted denied detected different
disabled duplicate duplicated each either empty enabled end ended enough equal error errors exceed exceeded exceeds
exist existing exists expected expired expression failed few fewer field fields filter filters first following
forbidden format found fulfill fully given got greater higher ignored inactive incomplete incorrect input instead
insufficient internal invalid item items join key keys known last least length less limit list listed locked lower
malformed many match matches max maximum member members message min minimum missing modified move multiple name
names
need needs new next null number numbers object objects old open operation operator operators option options order
orders other paid parameter parameters parse parsed payload permission permissions permitted position present
previous process processed processing property provide provided range read reason received record records refused
rejected relationship relationships remove removed repeated replace request requested requests required requires
reserved resource resources same search second selected sent server set shape short single size smaller some
specified start state status still stock string such supplied supported tag temporarily text time timed title token
tokens type types unable unauthorized unexpected unique unknown unprocessable unsupported update updated use used
user valid validate validating validation value values violates violation wrong write zero
array boolean character date decimal digits double email entity float html http id ids integer json long mail
pattern path pointer query schema timestamp url uri uuid utf8 verb version
account address addresses amount anonymized authorize billing brand brands capture cart carts catalog categories
category checkout city collection collections company contact country county coupon currencies currency custom
customer customers data delivery description discount discounts external filename first file files flow flows
gateway group image include included instructions inventory language line links locale locales manual meta method
metadata note offset page password payment payments paypal phone postcode price prices product products promotion
promotions purchase quantity ref reference refund region related relation self shipping sku slug sort source stripe
tax taxes total transaction transactions variation variations
0 1 2 3 4 5 6 8 10 12 16 20 25 32 36 50 64 72 100 128 255 256 300 400 401 403 404 409 412 422 500 512 1000 1024 2000
2048 4096 8192 10000
"""
VOCABULARY = frozenset(_API_WORDS.split())


def explained(status: int, document: Any, plan: Plan | None) -> Checked | Refusal:
    """Rebuild an error envelope from its messages alone: nothing else of an error body has a checked meaning.

    `plan` is the request the answer was judged for; None where no rule applied, so that every message leaves.
    """
    if isinstance(document, Refusal):
        return document
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list) or not errors:
        return Refusal(Code.UPSTREAM_INVALID, f"upstream answered {status} without errors")
    said = None if plan is None else frozenset(_said(plan))
    texts = [
        {name: error[name] for name in ("title", "detail", "source") if _may_leave(error.get(name), said)}
        for error in errors[:_MAX_ERRORS]
        if isinstance(error, dict)
    ]
    rebuilt = [
        {"status": status, "title": _title(status), "detail": "The commerce API refused the request."}
        | text
        | {"code": "UPSTREAM_REFUSED"}
        for text in texts or [{}]
    ]
    return Checked(status, {"errors": rebuilt})


def _may_leave(text: Any, said: frozenset[str] | None) -> bool:
    if not isinstance(text, str) or len(text) > _MAX_MESSAGE:
        return False
    if said is None:
        return True
    # What is no letter or digit must be plain punctuation: other signs are data as well.
    if not _WORD.sub("", text).isascii():
        return False
    return all(word in VOCABULARY or word in said for word in _words(text))


def _words(text: str) -> Iterator[str]:
    return (word.casefold() for word in _WORD.findall(text))


def _said(plan: Plan) -> Iterator[str]:
    """Return the words of the request, which tell the client nothing new."""
    yield from _words(plan.path)
    for name, value in plan.asked:
        yield from _words(name)
        yield from _words(value)
    unread: list[Any] = [plan.document]
    while unread:
        node = unread.pop()
        if isinstance(node, dict):
            unread.extend(node)
            unread.extend(node.values())
        elif isinstance(node, list):
            unread.extend(node)
        elif isinstance(node, (str, int)):
            yield from _words(str(node))
        elif isinstance(node, msgspec.Raw):
            yield from _words(bytes(node).decode())


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
