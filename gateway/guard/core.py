"""Judges a whole answer: status, shape, then each guard rule of the route. Fails closed. Pure.

It does not read from sockets and does not know what a single rule looks for.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gateway.guard.envelope import explained
from gateway.guard.fields import Fields, of_type, read
from gateway.guard.members import judged_members
from gateway.vocab.messages import Answer, Checked, Headers, Plan, Whose
from gateway.vocab.policy import Access, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import content_coding, first, is_json, is_repeated, media_type, retry_after
from gateway.wire.links import LinkRewriter

# Client errors whose reason helps the client and comes from checking what the client itself sent.
_EXPLAINED = frozenset({400, 403, 405, 409, 412, 415, 422})
_WITH_DOCUMENT = frozenset({200, 201, 202})
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


def judge(  # noqa: PLR0913 - the stage's whole input, each a value of its own
    route: Route,
    access: Access,
    plan: Plan,
    whose: Whose,
    answer: Answer,
    links: LinkRewriter,
    *,
    is_proven: bool = False,
) -> Checked | Refusal:
    """Return what may leave of a complete answer, or say no.

    `is_proven` says that the record is known to be the caller's and was asked for under a condition: only then is it
    told that the condition did not hold.

    Anything but a plain success with one whole JSON document, or an explained client error, is refused: redirects,
    partial content, "not modified", other content types, truncated or trailing bytes.
    """
    if answer.status in _WITH_DOCUMENT:
        return _with_document(route, access, plan, whose, answer, links)
    if is_proven and answer.status == 304 and plan.method == "GET":  # noqa: PLR2004 - HTTP's own numbers
        return Checked(304, None, Fields(answer, route, plan, links, access.is_open).leaving(None))
    if is_proven and answer.status == 412:  # noqa: PLR2004
        return Refusal(Code.CONDITION_FAILED, "upstream answered 412", upstream_status=412)
    judged = _without_document(plan, answer, route.answer_limit, is_open=access.is_open)
    if isinstance(judged, Refusal):
        return replace(judged, upstream_status=answer.status)
    if judged.status == 204:  # noqa: PLR2004
        return Checked(204, None, Fields(answer, route, plan, links, access.is_open).leaving(None))
    return judged


def _with_document(
    route: Route, access: Access, plan: Plan, whose: Whose, answer: Answer, links: LinkRewriter
) -> Checked | Refusal:
    if not answer.body and plan.method == "DELETE":
        return Checked(204)
    lines = read(answer, route)
    document = _document(lines, answer.body, route.answer_limit, links)
    if plan.method == "DELETE" and not access.is_open and isinstance(document, dict) and "data" not in document:
        # It succeeded, and shows no record: that is all there is to say.
        return Checked(204)
    for rule in access.guards:
        if isinstance(document, Refusal):
            break
        document = rule.inspect(document, whose, plan)
    if isinstance(document, Refusal):
        return document
    if not access.is_open and not access.judges_bare:
        if not isinstance(document, dict) or "data" not in document:
            return Refusal(Code.UPSTREAM_INVALID, "no records where records are expected")
        document = judged_members(
            document, plan, route.query or frozenset(), links.public_url, has_included=access.judges_included
        )
    # Most answers say nothing else (saves 2 us).
    if len(lines) == 1 and not plan.conditions:
        return Checked(answer.status, document, of_type(lines))
    fields = Fields(answer, route, plan, links, access.is_open)
    return Checked(answer.status, document, fields.leaving(document), fields.owes_tag(document))


def _document(headers: Headers, body: bytes, limit: int, links: LinkRewriter | None) -> Any | Refusal:
    if not is_json(first(headers, "content-type")):
        return Refusal(Code.UPSTREAM_INVALID, "content type is not JSON")
    plain = inflate(body, None if len(headers) == 1 else content_coding(headers), limit)
    if isinstance(plain, Refusal):
        return plain
    document = parse_answer(links.rewrite(plain) if links else plain)
    if not isinstance(document, (dict, list, Refusal)):
        return Refusal(Code.UPSTREAM_INVALID, "neither an object nor an array")
    return document


def _without_document(plan: Plan, answer: Answer, limit: int, *, is_open: bool) -> Checked | Refusal:
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
        return explained(status, _document(answer.headers, answer.body, limit, None), None if is_open else plan)
    if status >= 500:  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_FAILED, f"upstream answered {status}")
    return Refusal(Code.UPSTREAM_INVALID, f"upstream answered {status}")


def relayed_error(answer: Answer) -> Checked | Refusal:
    """Return what leaves of an error on an open route: the status and the messages, in the envelope of every error."""
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's own numbers
        return Refusal(Code.UPSTREAM_FAILED, f"upstream answered {answer.status}")
    if answer.status == 429:  # noqa: PLR2004
        return Refusal(Code.THROTTLED, "upstream answered 429", retry_after=retry_after(answer.headers))
    envelope = explained(answer.status, _document(answer.headers, answer.body, ERROR_LIMIT, None), None)
    # An envelope that cannot be read still has its status.
    return explained(answer.status, {"errors": [{}]}, None) if isinstance(envelope, Refusal) else envelope


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
