"""Guesses who the gateway is at an API, of the security schemes in its document: one of them, and why. Pure.

Nothing of a value comes from a document: each secret is a variable of the environment, or a file that one names.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import ValidationError

from gateway.config.credential import ClientCredentials, Header
from gateway.drafting.document import plain_text
from gateway.drafting.operation import METHODS, requirements, schemes
from gateway.drafting.schema import Document

_NAME = 40
# As drf-spectacular tells it, and many a description by hand.
_PREFIX = re.compile(
    r"""(?:prefix|form|format)[^"'`<]{0,20}["'`](Token|Bearer|Api-Key|ApiKey|JWT|Key)\b""", re.IGNORECASE
)
_FOR_PEOPLE = {
    "accessCode": "for people who sign in (authorization code)",
    "authorizationCode": "for people who sign in (authorization code)",
    "implicit": "for people who sign in (implicit)",
    "password": "for people, by their password",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a credential: a text, and behind it what the variable of the environment holds."""

    key: str
    text: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """What stands under `credential`, and what the reader is to know of it. It has no secret, nor anything of one."""

    settings: tuple[Setting, ...] = (Setting("kind", "none"),)
    told: tuple[str, ...] = ()
    is_found: bool = False


class _UnfitError(Exception):
    """The gateway cannot show what a scheme asks for; the text says why."""


def credential(document: Document, url: str) -> Credential:
    """Return the credential that a document asks for; `url` is where it says that the API is."""
    listed = {name: document.resolved(node)[0] for name, node in schemes(document).items()}
    if not listed:
        told = "The document names no credential. If the API wants one, write which: docs/backends.md lists the kinds."
        return Credential(told=(told,))
    asked = _asked(document)
    fit: dict[str, tuple[tuple[Setting, ...], tuple[str, ...]]] = {}
    unfit: dict[str, str] = {}
    for name, scheme in listed.items():
        try:
            fit[name] = _settings(scheme, url, asked.scopes.get(name, {}))
        except _UnfitError as reason:
            unfit[name] = str(reason)
    # What most operations ask for; where none says, the first.
    ordered = sorted(fit, key=lambda name: -asked.times[name])
    if not ordered:
        told = "The gateway can show none of the credentials that the document names. Ask whoever runs the API for one:"
        return Credential(told=(told, *_others(listed, unfit, ())))
    chosen, *others = ordered
    settings, told_of_it = fit[chosen]
    by = f", asked for by {asked.times[chosen]} of {asked.operations} operations" if asked.times[chosen] else ""
    told_of_all = [f"Guessed: the document's {plain_text(chosen, _NAME)} ({_what(listed[chosen])}){by}.", *told_of_it]
    for other in asked.joined.get(chosen, ()):
        both = f"{plain_text(chosen, _NAME)} together with {plain_text(other, _NAME)}"
        told_of_all.append(f"Some operations ask for {both}: only one is sent.")
    return Credential(settings, (*told_of_all, *_others(listed, unfit, others)), is_found=True)


def _others(listed: Mapping[str, Any], unfit: Mapping[str, str], others: Sequence[str]) -> Iterator[str]:
    yield from (f"Another way: {plain_text(name, _NAME)} ({_what(listed[name])})." for name in others)
    yield from (f"Not possible: {plain_text(name, _NAME)}: {reason}." for name, reason in unfit.items())


@dataclass(slots=True)
class _Asked:
    """How many operations there are, how many ask for each scheme, for which scopes of it, and together with what."""

    operations: int = 0
    times: Counter[str] = field(default_factory=Counter)
    scopes: dict[str, dict[str, None]] = field(default_factory=dict)
    joined: dict[str, dict[str, None]] = field(default_factory=dict)


def _asked(document: Document) -> _Asked:
    asked = _Asked()
    for said in _operations(document):
        asked.operations += 1
        ways = [one for one in requirements(document, said) if isinstance(one, dict)]
        asked.times.update({name for way in ways for name in way})
        for name, listed, way in ((name, listed, one) for one in ways for name, listed in one.items()):
            scopes = listed if isinstance(listed, list) else ()
            asked.scopes.setdefault(name, {}).update(dict.fromkeys(map(str, scopes)))
            asked.joined.setdefault(name, {}).update(dict.fromkeys(other for other in way if other != name))
    return asked


def _operations(document: Document) -> Iterator[dict[str, Any]]:
    paths = document.data.get("paths")
    for node in (paths if isinstance(paths, dict) else {}).values():
        item, _ = document.resolved(node)
        methods = (item.get(method.lower()) for method in METHODS)
        yield from (said for said in methods if isinstance(said, dict))


def _what(scheme: Mapping[str, Any]) -> str:
    kind = scheme.get("type")
    if kind == "apiKey":
        return plain_text(f"apiKey in {scheme.get('in')} {scheme.get('name')}", _NAME)
    if kind == "http":
        return plain_text(f"http {scheme.get('scheme')}", _NAME)
    return plain_text(kind, _NAME)


def _settings(
    scheme: Mapping[str, Any], url: str, scopes: Mapping[str, None]
) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """Return what a scheme asks for as a file says it, and what is to be known of that."""
    kind, way = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if (kind, way) == ("http", "bearer"):
        told = (
            "The file holds a bearer that may read every customer's records: none that a login gives to one of them.",
        )
        return (Setting("kind", "bearer"), Setting("token_file", variable="UPSTREAM_TOKEN_FILE")), told
    if kind == "basic" or (kind, way) == ("http", "basic"):
        user, password = Setting("user", variable="UPSTREAM_USER"), Setting("password", variable="UPSTREAM_PASSWORD")
        return (Setting("kind", "basic"), user, password), ()
    if kind == "apiKey":
        return _header(scheme)
    if kind == "oauth2":
        return _grant(scheme, url, scopes)
    if kind == "mutualTLS":
        raise _UnfitError("a certificate is no credential here: name it in upstream.tls")
    if kind == "openIdConnect":
        raise _UnfitError("its token endpoint stands in another document: write kind client_credentials and its url")
    raise _UnfitError(f"the gateway does not speak {_what(scheme)}")


def _header(scheme: Mapping[str, Any]) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    name, place = str(scheme.get("name", "")), scheme.get("in")
    if place != "header":
        raise _UnfitError(f"a key in the {'query' if place == 'query' else plain_text(place, _NAME)} is never sent")
    try:
        Header(kind="header", name=name, value="shown")  # type: ignore[arg-type]  # pydantic makes a secret of it
    except ValidationError:
        raise _UnfitError(f"the header {plain_text(name, _NAME)} cannot carry a credential") from None
    if name.lower() != "authorization":
        return (Setting("kind", "header"), Setting("name", name), Setting("value", variable="UPSTREAM_API_KEY")), ()
    found = _PREFIX.search(str(scheme.get("description", "")))
    prefix = f"{found[1]} " if found else ""
    told = () if found else ("The variable holds the whole header, with the word before the key if there is one.",)
    return (Setting("kind", "header"), Setting("value", prefix, "UPSTREAM_API_KEY")), told


def _grant(
    scheme: Mapping[str, Any], url: str, scopes: Mapping[str, None]
) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    flows = scheme.get("flows")
    flow = flows.get("clientCredentials") if isinstance(flows, dict) else None
    if scheme.get("flow") == "application":
        flow = scheme
    if not isinstance(flow, dict):
        listed = [*flows] if isinstance(flows, dict) else [scheme.get("flow")]
        raise _UnfitError(
            " and ".join(_FOR_PEOPLE.get(str(one), "no grant of a server's") for one in listed) or "empty"
        )
    if not flow.get("tokenUrl"):
        raise _UnfitError("it names no token endpoint")
    told: tuple[str, ...] = ()
    settings = [
        Setting("kind", "client_credentials"),
        Setting("client_id", variable="UPSTREAM_CLIENT_ID"),
        Setting("client_secret", variable="UPSTREAM_CLIENT_SECRET"),
        _endpoint(str(flow["tokenUrl"]), url),
    ]
    wanted = " ".join(scopes or _listed(flow.get("scopes")))
    if "{" in wanted:
        told = (*told, f"If it wants scopes, write scope: with your values for {plain_text(wanted, 80)}")
    elif wanted and wanted.isprintable():
        settings.append(Setting("scope", wanted))
        told = (*told, "Of the scopes take out what the gateway does not need.")
    return tuple(settings), told


def _listed(scopes: Any) -> Mapping[str, Any]:
    return scopes if isinstance(scopes, dict) else {}


def _endpoint(token_url: str, url: str) -> Setting:
    """Say where a token endpoint is: below the API's own address, or wherever else that is."""
    try:
        base, whole = urlsplit(url), urlsplit(urljoin(f"{url.rstrip('/')}/", token_url))
        is_here = (whole.scheme, whole.hostname, whole.port) == (base.scheme, base.hostname, base.port)
    except ValueError:
        raise _UnfitError(f"its token endpoint {plain_text(token_url, _NAME)} is no address") from None
    shown, above = plain_text(token_url, 80), base.path.rstrip("/")
    if (is_here or not whole.netloc) and whole.path.startswith(f"{above}/"):
        made = Setting("path", whole.path[len(above) :])
    elif not whole.netloc:
        raise _UnfitError(f"its token endpoint {shown} is not below {plain_text(url, 80)}")
    elif whole.scheme != "https" and base.scheme != "http":
        raise _UnfitError(f"its token endpoint {shown} is reached without TLS")
    else:
        made = Setting("url", f"{whole.scheme}://{whole.netloc}{whole.path}")
    try:
        ClientCredentials.model_validate({"client_id": "shown", "client_secret": "shown", made.key: made.text})
    except ValidationError:
        raise _UnfitError(f"its token endpoint {shown} has no path that can be asked") from None
    return made
