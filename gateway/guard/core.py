"""Judges a whole answer: status, shape, then each guard rule of the route. Fails closed. Pure.

It does not read from sockets and does not know what a single rule looks for.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gateway.vocab.messages import Headers, Json, Plan, Whose
from gateway.vocab.policy import Access, Checked, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import first, is_json, is_repeated, media_type, retry_after
from gateway.wire.links import LinkRewriter, with_query_of

# Client errors whose reason helps the client and comes from checking what the client itself sent.
_EXPLAINED = frozenset({400, 403, 409, 412, 422})
_WITH_DOCUMENT = frozenset({200, 201, 202})
# Longer texts than any message of the API; what is longer is data, not a message.
_MAX_MESSAGE = 300
_MAX_ERRORS = 10
# Ten errors of the API are far below this; what is larger is no error.
ERROR_LIMIT = 256 * 1024
_OPEN_WITHOUT_BODY = frozenset({204, 205, 304})


class GuardOptions(BaseModel):
    """Base of every guard rule: its fields are its options in the routing file, its docstring their manual."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judges_included: ClassVar[bool] = False
    """Whether the rule judges `included`; without such a rule it does not leave."""

    @property
    def judges_bare(self) -> bool:
        """Whether the rule judges the whole document as a record or array without `data`."""
        return False

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
        judged = _without_document(plan, answer, route.answer_limit)
        return replace(judged, upstream_status=answer.status) if isinstance(judged, Refusal) else judged
    if not answer.body and plan.method == "DELETE":
        return Checked(204)
    document = _document(answer, route.answer_limit, links)
    if plan.method == "DELETE" and not access.is_open and isinstance(document, dict) and "data" not in document:
        # It succeeded, and shows no record: that is all there is to say.
        return Checked(204)
    for rule in access.guards:
        if isinstance(document, Refusal):
            break
        document = rule.inspect(document, whose, plan)
    if isinstance(document, Refusal):
        return document
    _restore_links(document, plan)
    if not access.is_open and not any(rule.judges_bare for rule in access.guards):
        if not isinstance(document, dict) or "data" not in document:
            return Refusal(Code.UPSTREAM_INVALID, "no records where records are expected")
        document = _judged_members(document, has_included=any(rule.judges_included for rule in access.guards))
    return Checked(answer.status, document)


def _judged_members(document: Json, *, has_included: bool) -> Json:
    """Return of JSON:API's top level what was judged or can hold no record: records, links, and numbers about them."""
    judged: Json = {"data": document["data"]}
    if has_included and "included" in document:
        judged["included"] = document["included"]
    if "meta" in document:
        judged["meta"] = _numbers(document["meta"])
    if isinstance(document.get("links"), dict):
        links = document["links"].items()
        judged["links"] = {name: link for name, link in links if link is None or isinstance(link, str)}
    return judged


def _numbers(meta: Any) -> Any:
    """Return the counts and page numbers of `meta`; texts and lists in it could be somebody's data."""
    if isinstance(meta, dict):
        kept = ((name, _numbers(value)) for name, value in meta.items())
        return {name: value for name, value in kept if value is not None}
    return meta if isinstance(meta, (int, float)) else None


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
        {"status": status, "title": _title(status), "detail": "The commerce API refused the request."}
        | text
        | {"code": "UPSTREAM_REFUSED"}
        for text in texts or [{}]
    ]
    return Checked(status, {"errors": rebuilt})


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def relayed_error(answer: Received) -> Checked | Refusal:
    """Return what leaves of an error on an open route: the status and the messages, in the envelope of every error."""
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's own numbers
        return Refusal(Code.UPSTREAM_FAILED, f"upstream answered {answer.status}")
    if answer.status == 429:  # noqa: PLR2004
        return Refusal(Code.THROTTLED, "upstream answered 429", retry_after=retry_after(answer.headers))
    explained = _explained(answer.status, _document(answer, ERROR_LIMIT, None))
    # An envelope that cannot be read still has its status.
    return _explained(answer.status, {"errors": [{}]}) if isinstance(explained, Refusal) else explained


def relayable(status: int, headers: Headers, method: str) -> Refusal | None:
    """Say whether an answer on an open route may be relayed as it is.

    Only what old SDKs cannot stand is held back: HTML pages, and errors that are not JSON (docs/upstream.md section 7).
    """
    kind = media_type(first(headers, "content-type"))
    if is_repeated(headers, "content-type"):
        return Refusal(Code.UPSTREAM_INVALID, "more than one content type")
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
