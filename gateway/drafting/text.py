"""Writes a plan as a routing file for a reader who has never seen one: a comment beside each line that needs one. Pure.

What comes of a document stands in comments as one printable line, and in values only where it is plain.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.drafting.credential import Setting
from gateway.drafting.document import plain_text
from gateway.drafting.plan import LOGIN_PATH, TOKENS_PATH, Plan
from gateway.drafting.route import Drafted, Rule

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
_WORDS = frozenset({"true", "false", "null", "none", "yes", "no", "on", "off", "y", "n"})
_COMMENT = 160
_SAID = {
    "preset": "what it speaks like; what stands below is otherwise here",
    "list": "where the array of a list stands in an answer",
    "record": "where a single record stands in an answer",
    "body": "where the record stands in the body of a request",
    "id": "what a record calls its id",
    "ids": "whether ids are text or number in JSON",
    "total": "where the number of all records of a list stands",
    "page": "where pages are counted",
    "links": "where links to other pages stand",
    "included": "whether other records come along",
    "trailing_slash": "whether the API's paths end with a slash",
}


def written(made: Plan, source: str) -> str:
    """Return the file; `source` says what it was made of."""
    return "\n".join(_lines(made, source)) + "\n"


def _lines(made: Plan, source: str) -> Iterator[str]:
    yield from _head(made, source)
    yield from _api(made)
    yield ""
    yield "routes:"
    for route in made.routes:
        yield ""
        yield from _route(route)
    if made.left_out:
        yield ""
        yield "# --- Left out: no route can be made of these, and they answer 404 or 405 " + "-" * 40
        for left in made.left_out:
            yield _comment(f"{left.method} {left.path}: {left.reason}", "")


def _head(made: Plan, source: str) -> Iterator[str]:
    yield _comment(f"Made by `gateway init` of {source}{f': {made.title}' if made.title else ''}.", "")
    yield "#"
    yield "# Each operation of the API is a route below. Nothing else exists for clients: any other path answers 404."
    yield "# Callers of a route are"
    yield "#   public    anybody: who has a bearer of the implicit grant, as a browser or an app gets it"
    yield "#   customer  who has logged in as well, and sends the customer token"
    yield "#   trusted   a server of yours, with a client secret: it sees every record"
    yield "# A caller that a route does not name gets 403."
    yield "#"
    yield "# Whose a record is was guessed, of names and schemas; each guess says why. A guess opens nothing: its route"
    yield "# is bound to the customer's own id, and an answer without that id is withheld. What names no owner is for"
    yield "# trusted callers only, and says so. What is the same for everybody, such as products, you open with"
    yield "#   access: {public: open, customer: open, trusted: open}"
    yield "# After each change: `gateway check`; with a running gateway: `gateway verify`."
    yield "version: 1"


def _api(made: Plan) -> Iterator[str]:
    yield ""
    yield "upstream:"
    if made.url:
        yield _comment(f"Where the API is. The document says: {made.url}", "  ")
    if made.prefix:
        yield _comment(f"Every path began with {made.prefix}: write its value at the end of this URL.", "  ")
    yield "  url: ${env:UPSTREAM_URL}"
    yield "  # Who the gateway is there, for what it asks on behalf of customers."
    yield from (_comment(told, "  ") for told in made.credential.told)
    yield "  credential:"
    yield from (f"    {setting.key}: {_setting(setting)}" for setting in made.credential.settings)
    for name, times in made.headers.items():
        listed = f"{times} operations ask for the header {plain_text(name, 60)}"
        yield _comment(f"{listed}: to let clients send it, list it in forward_headers.", "  ")
    yield ""
    yield "# How the API speaks of its records."
    yield "records:"
    for key, value in made.records.items():
        yield f"  {key}: {_flow(value)}  # {_SAID[key]}"
    yield ""
    yield "# Who customers are, and where they log in."
    yield "customers:"
    if not made.customers.path:
        yield "  # Not found in the document: write the path of the API's collection of customers."
    yield f"  path: {_flow(made.customers.path or '/customers')}"
    if made.customer_records:
        yield f"  records: {_flow(made.customer_records)}  # where theirs differ from those above"
    yield f"  login_path: {LOGIN_PATH}  # answered by the gateway itself"
    if made.login:
        yield _comment(
            f"The document has a login ({made.login}). If the API shall keep the passwords, write upstream.", "  "
        )
    yield "  verify: store  # the gateway keeps the passwords, in its own store"
    yield f"  dialect: {_DIALECTS[made.records['preset']]}  # how the API spells the filter that finds an e-mail"
    yield ""
    yield "# What the gateway signs customer tokens with: `gateway keys new --out signing.jwk` makes a key."
    yield "tokens:"
    yield "  issuer: customer-token-gateway"
    yield "  audience: storefront"
    yield "  keys:"
    yield "    - ${file:${env:GATEWAY_SIGNING_KEY_FILE}}"
    yield ""
    yield "# Where passwords are kept."
    yield "store:"
    yield "  url: ${env:GATEWAY_STORE_URL:-sqlite:///gateway.db}"
    yield ""
    yield f"# Who gets bearers at POST {TOKENS_PATH}: a front end by its id, a server of yours with a secret."
    yield "clients:"
    yield "  implicit:"
    yield "    - id: ${env:STOREFRONT_CLIENT_ID}"
    yield "  client_credentials:"
    yield "    - id: ${env:TRUSTED_CLIENT_ID}"
    yield "      secret: ${env:TRUSTED_CLIENT_SECRET}"


_DIALECTS = {"moltin": "epcc", "jsonapi": "jsonapi", "rest": "query", "drf": "query", "postgrest": "postgrest"}


def _setting(setting: Setting) -> str:
    """Return a value in YAML, with the place of its secret."""
    if not setting.variable:
        return _flow(setting.text)
    place = f"${{env:{setting.variable}}}"
    return f'"{setting.text}{place}"' if setting.text else place


def _route(route: Drafted) -> Iterator[str]:
    yield from _remarks(route)
    yield f"  - name: {_flow(route.name)}"
    yield f"    path: {_flow(route.path)}"
    yield f"    methods: [{route.method}]"
    if route.passwords is not None:
        yield f"    passwords: {route.passwords}"
    if route.query:
        yield f"    query: {_flow(list(route.query))}  # parameters that pass; others are refused"
    if route.records:
        yield f"    records: {_flow(route.records)}  # where its records differ from those above"
    if route.closed:
        yield "    access: {trusted: open}"
        return
    yield "    access:"
    yield "      customer:"
    for title, rules in (("scope", route.scope), ("guard", route.guard)):
        if rules:
            yield f"        {title}:"
            for rule in rules:
                yield from _rule(rule)
    yield "      trusted: open"


def _remarks(route: Drafted) -> Iterator[str]:
    summary = f" - {route.summary}" if route.summary else ""
    yield _comment(f"{route.method} {route.path}{summary}", "  ")
    if route.guess:
        yield _comment(f"Guessed: {route.guess}.", "  ")
    if route.closed:
        yield _comment(f"Trusted only: {route.closed}.", "  ")
    for told in route.told:
        yield _comment(told, "  ", keeps_spaces=True)


def _rule(rule: Rule) -> Iterator[str]:
    yield _comment(rule.why[:1].upper() + rule.why[1:] + ".", "          ")
    yield f"          - {rule.name}: {_flow(rule.options)}"


def _comment(text: str, indent: str, *, keeps_spaces: bool = False) -> str:
    lead = " " * (len(text) - len(text.lstrip())) if keeps_spaces else ""
    return f"{indent}# {lead}{plain_text(text, _COMMENT)}"


def _flow(value: Any) -> str:
    """Return a value in one line of YAML; texts that could be read otherwise stand in quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # A dollar would begin an interpolation.
    return json.dumps(text).replace("$", "$$")
