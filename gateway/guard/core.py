"""Judges a whole answer: status, shape, then each guard rule of the route. Fails closed. Pure.

It does not read from sockets and does not know what a single rule looks for.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.vocab.messages import Headers, Plan, Whose
from gateway.vocab.policy import Access, Checked, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import first, is_json, media_type
from gateway.wire.links import LinkRewriter, with_query_of

# Client errors whose reason helps the client and comes from checking what the client itself sent.
_EXPLAINED = frozenset({400, 403, 409, 412, 422})
_WITH_DOCUMENT = frozenset({200, 201, 202})
# Longer texts than any message of the API; what is longer is data, not a message.
_MAX_MESSAGE = 300
_MAX_ERRORS = 10
_OPEN_WITHOUT_BODY = frozenset({204, 205, 304})


class GuardOptions(BaseModel):
    """Base of every guard rule: its fields are its options in the routing file, its docstring their manual."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def inspect(self, document: Any, whose: Whose, plan: Plan) -> Any | Refusal:
        """Return the document that may leave, or say no."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer of the upstream, read whole and not judged yet."""

    status: int
    headers: Headers
    body: bytes


def judge(
    route: Route, access: Access, plan: Plan, whose: Whose, answer: Received, links: LinkRewriter
) -> Checked | Refusal:
    """Return what may leave of a complete answer, or say no.

    Anything but a plain success with one whole JSON document, or an explained client error, is refused: redirects,
    partial content, "not modified", other content types, truncated or trailing bytes.
    """
    if answer.status not in _WITH_DOCUMENT:
        return _without_document(plan, answer, route.answer_limit)
    if not answer.body and plan.method == "DELETE":
        return Checked(204)
    document = _document(answer, route.answer_limit, links)
    for rule in access.guards:
        if isinstance(document, Refusal):
            break
        document = rule.inspect(document, whose, plan)
    if isinstance(document, Refusal):
        return document
    _restore_links(document, plan)
    return Checked(answer.status, document)


def _restore_links(document: Any, plan: Plan) -> None:
    """Let the links of a list ask what the client asked: with our clause in it, the next page would be refused."""
    links = document.get("links") if isinstance(document, dict) else None
    if plan.query == plan.asked or not isinstance(links, dict):
        return
    for name, link in links.items():
        if isinstance(link, str):
            links[name] = with_query_of(link, sent=plan.query, asked=plan.asked)


def _document(answer: Received, limit: int, links: LinkRewriter | None) -> Any | Refusal:
    if not is_json(first(answer.headers, "content-type")):
        return Refusal(Code.UPSTREAM_INVALID, "content type is not JSON")
    plain = inflate(answer.body, first(answer.headers, "content-encoding"), limit)
    if isinstance(plain, Refusal):
        return plain
    document = parse_answer(links.rewrite(plain) if links else plain)
    if not isinstance(document, (dict, list, Refusal)):
        return Refusal(Code.UPSTREAM_INVALID, "neither an object nor an array")
    return document


def _without_document(plan: Plan, answer: Received, limit: int) -> Checked | Refusal:
    status = answer.status
    if status == 204:  # noqa: PLR2004 - HTTP's own number
        if answer.body or plan.method == "GET":
            return Refusal(Code.UPSTREAM_INVALID, "no content where content was asked for")
        return Checked(204)
    if status == 404:  # noqa: PLR2004
        return Refusal(Code.RECORD_NOT_FOUND, "upstream answered 404")
    if status == 429:  # noqa: PLR2004
        return Refusal(Code.THROTTLED, "upstream answered 429", retry_after=retry_after(answer.headers))
    if status in _EXPLAINED:
        return _explained(status, _document(answer, limit, None))
    if status >= 500:  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_FAILED, f"upstream answered {status}")
    return Refusal(Code.UPSTREAM_INVALID, f"upstream answered {status}")


def _explained(status: int, document: Any) -> Checked | Refusal:
    """Rebuild an error envelope from its messages alone: nothing else of an error body has a checked meaning."""
    if isinstance(document, Refusal):
        return document
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list) or not errors:
        return Refusal(Code.UPSTREAM_INVALID, f"upstream answered {status} without errors")
    texts = [
        {
            name: error[name]
            for name in ("title", "detail", "source")
            if isinstance(error.get(name), str) and len(error[name]) <= _MAX_MESSAGE
        }
        for error in errors[:_MAX_ERRORS]
        if isinstance(error, dict)
    ]
    rebuilt = [
        {"status": status, "title": "Bad Request", "detail": "The commerce API refused the request."}
        | text
        | {"code": "UPSTREAM_REFUSED"}
        for text in texts or [{}]
    ]
    return Checked(status, {"errors": rebuilt})


def retry_after(headers: Headers) -> int:
    """Return the upstream's Retry-After in seconds where it gives a plain number, else 1."""
    value = first(headers, "retry-after") or ""
    return int(value) if value.isdecimal() and len(value) <= 5 else 1  # noqa: PLR2004 - about a day


def relayable(status: int, headers: Headers, method: str) -> Refusal | None:
    """Say whether an answer on an open route may be relayed as it is.

    Only what old SDKs cannot stand is held back: HTML pages, and errors that are not JSON (upstream.md section 7).
    """
    kind = media_type(first(headers, "content-type"))
    if status < 200:  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_INVALID, "interim status as an answer")
    if method == "HEAD" or status in _OPEN_WITHOUT_BODY:
        return None
    if kind == "text/html":
        return Refusal(Code.UPSTREAM_INVALID, f"HTML with status {status}")
    if status >= 400 and not is_json(first(headers, "content-type")):  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_FAILED, f"status {status} without JSON")
    return None


def lacks_body(status: int, method: str) -> bool:
    """Tell whether an answer has no body by HTTP's own rules, so that an empty one is right."""
    return method == "HEAD" or status in _OPEN_WITHOUT_BODY
