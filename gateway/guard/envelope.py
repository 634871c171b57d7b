"""The error envelope: what may leave of an upstream's 4xx answer. Pure.

An error text can carry somebody's record ("order 17 of ron@swanson.example is locked"). On routes with rules a text
leaves only if each word of it is either in the vocabulary of API messages below or was said by the client itself; slugs
and ids that are neither are left out of it. So leaves the name of the place at fault: the form in a shop must know
which of its fields is wrong.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.vocab.messages import Json, Plan
from gateway.vocab.record_form import MOLTIN, RecordForm
from gateway.wire.pointer import MISSING, resolve

# Longer texts than any message of the API; what is longer is data, not a message.
_MAX_MESSAGE = 300
_MAX_ERRORS = 10
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLACES = ("pointer", "parameter")
# Plain names of things: no capital letter, and no part of an address or a path. A text is one as long as fewer than one
# in four words are such names.
_SLUG = re.compile(r"(?<![^\s'\"(\[])[a-z0-9]+(?:[-_][a-z0-9]+)+(?![^\s'\",.:;!?)\]])")
_MOST_HIDDEN = 4

# What messages about a request consist of (docs/upstream.md section 2): grammar, verdicts, kinds of values, names of
# fields and records of the API, what shoppers are told of cards, stock, coupons and addresses, and the numbers that
# limits usually are. No word here tells one customer from another.
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
add added after again also amounts applies apply approved area ask authentication authorised authorization authorized
automatically availability back backorder backordered bag balance bank basket below between both canceled card
cardholder cards carrier choose contacting countries credit cvc cvv day days debit decline deliver delivered details
discontinued due during eligible enter entered expires expiry firstname fraud fullname funds gift hour hours however
incorrectly ineligible invoice issue issued issuer issuing just lastname later left limited line1 line2 lines log login
made make making minute minutes moment month months occurred off offer our outside owner pending pick place placed
placing postal preorder problem processor province purchased quantities reached redeem redeemed redemption remaining
replaced restricted retry return returned risk rule rules save saved secure security see select session shipped shop
sign signed sold something soon sorry specify spend stocked store street submit submitted successful supply support
suspected taken they threshold town transfer try trying unavailable unfortunately unit units unless unpaid unsuccessful
until usage verification verified verify void voucher wait warehouse weak went while who year years yet zip zipcode
0 1 2 3 4 5 6 8 10 12 16 20 25 32 36 50 64 72 100 128 255 256 300 400 401 403 404 409 412 422 500 512 1000 1024 2000
2048 4096 8192 10000
"""
VOCABULARY = frozenset(_API_WORDS.split())


def explained(status: int, document: Any, plan: Plan | None, form: RecordForm = MOLTIN) -> Json:
    """Rebuild an error envelope from its messages alone: nothing else of an error body has a checked meaning.

    Messages are read in the envelope of the API, in problem details (RFC 9457) and in `{"code", "message"}`; an error
    of another shape has none. `plan` is the request the answer was judged for; None where no rule applied, so that
    every message leaves.
    """
    said = None if plan is None else frozenset(_said(plan))
    rebuilt = [
        {"status": status, "title": _title(status), "detail": "The commerce API refused the request."}
        | _messages(error, said)
        | {"code": "UPSTREAM_REFUSED"}
        for error in _errors(document, form)
    ]
    return {"errors": rebuilt}


def _errors(document: Any, form: RecordForm) -> list[Json]:
    """Return the errors of an answer, each with a `detail`: one or many, or a list of texts for each field at fault."""
    errors = resolve(document, form.errors_at)
    errors = document if errors is MISSING else errors
    some = errors[:_MAX_ERRORS] if isinstance(errors, list) else [errors]
    readable: list[Json] = [
        {**error, "detail": next((error[name] for name in form.messages if name in error), None)}
        for error in some
        if isinstance(error, dict)
    ]
    if not form.errors_at and isinstance(document, dict) and not document.keys() & {"title", *form.messages}:
        readable = [
            {"detail": texts[0], "source": name}
            for name, texts in [*document.items()][:_MAX_ERRORS]
            if isinstance(texts, list) and texts
        ]
    return readable or [{}]


def _messages(error: Json, said: frozenset[str] | None) -> Json:
    texts = {"title": error.get("title"), "detail": error.get("detail")}
    messages: Json = {name: kept for name, text in texts.items() if (kept := _kept(text, said)) is not None}
    source = error.get("source")
    if isinstance(source, dict):
        # JSON:API 1.1, "Error objects".
        source = {name: source[name] for name in _PLACES if _may_leave(_spaced(source.get(name)), said)} or None
    elif not _may_leave(_spaced(source), said):
        source = None
    return messages if source is None else {**messages, "source": source}


def _kept(text: Any, said: frozenset[str] | None) -> str | None:
    """Return what leaves of a text: all of it, all but the slugs and ids in it (`blue-shirt`), or nothing."""
    if _may_leave(text, said):
        return str(text)
    if said is None or not isinstance(text, str) or len(text) > _MAX_MESSAGE:
        return None
    left = _SLUG.sub("[...]", text)
    return left if _MOST_HIDDEN * left.count("[...]") < len(left.split()) and _may_leave(left, said) else None


def _spaced(place: Any) -> Any:
    """Return the name of a place with its words apart: `billingAddress` has two."""
    return _HUMP.sub(" ", place) if isinstance(place, str) else None


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
