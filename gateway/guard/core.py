"""Judges a whole answer: status, shape, then each guard rule of the route. Fails closed. Pure.

It does not read from sockets and does not know what a single rule looks for.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gateway.guard.fields import Fields, of_type, read
from gateway.guard.members import judged_members
from gateway.guard.status import REDIRECTS, judged_status
from gateway.vocab.messages import READS, Answer, Checked, Headers, Plan, Whose
from gateway.vocab.policy import Access, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import content_coding, first, is_json, is_repeated, media_type
from gateway.wire.links import LinkRewriter
from gateway.wire.nothing import BESIDE, is_nothing, tells_nothing, with_list

_WITH_DOCUMENT = frozenset({200, 201, 202})
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

    A success leaves as one whole JSON document, an error in the gateway's own envelope; anything else is refused:
    redirects, partial content, "not modified", other content types, truncated or trailing bytes.

    A write that succeeded without showing a record has nothing to be judged, and did happen: it is a success.
    `is_proven` says that the record is known to be the caller's and was asked for under a condition: only then is it
    told that the condition did not hold.
    """
    if answer.status in _WITH_DOCUMENT:
        checked = _with_document(route, access, plan, whose, answer, links)
        return _of_a_write(checked, plan, access) if isinstance(checked, Refusal) else checked
    if is_proven and answer.status == 304 and plan.method == "GET":  # noqa: PLR2004 - HTTP's own numbers
        return Checked(304, None, Fields(answer, route, plan, links, access.is_open).leaving(None))
    if is_proven and answer.status == 412:  # noqa: PLR2004
        return Refusal(Code.CONDITION_FAILED, "upstream answered 412", upstream_status=412)
    judged = judged_status(answer, access, plan)
    if isinstance(judged, Refusal):
        return replace(judged, upstream_status=answer.status)
    if judged.status == 204:  # noqa: PLR2004
        return Checked(204, None, Fields(answer, route, plan, links, access.is_open).leaving(None))
    return judged


def unusable(refusal: Refusal, access: Access, plan: Plan) -> Refusal:
    """Return what is said of a success that has a form which nobody can judge: its status, its type, its size.

    A request can bring that about (Accept, Range, `include`). Where nothing but the answer tells whose the record is,
    it would tell a stranger's record from none: it is none. JSON that cannot be read is the upstream's own fault, and
    is told as such.
    """
    if plan.method in access.unproven and refusal.code is Code.UPSTREAM_INVALID:
        return replace(refusal, code=Code.RECORD_NOT_FOUND)
    return refusal


def _of_a_write(refusal: Refusal, plan: Plan, access: Access) -> Refusal:
    """Return what is said of an answer that is refused: a write happened, whatever was answered to it."""
    is_write = plan.method not in READS and plan.method not in access.unproven
    return (
        replace(refusal, code=Code.WRITE_UNCONFIRMED) if is_write and refusal.code is Code.RECORD_NOT_FOUND else refusal
    )


def _with_document(
    route: Route, access: Access, plan: Plan, whose: Whose, answer: Answer, links: LinkRewriter
) -> Checked | Refusal:
    is_write = plan.method != "GET"
    if not answer.body and is_write:
        return _without_record(Fields(answer, route, plan, links, access.is_open))
    lines = read(answer, route)
    if not is_json(first(lines, "content-type")):
        return unusable(Refusal(Code.UPSTREAM_INVALID, "content type is not JSON"), access, plan)
    document = _document(lines, answer.body, route.answer_limit, links)
    if is_write and not access.is_open and _shows_nothing(document, route, plan, is_bare=access.judges_bare):
        return _without_record(Fields(answer, route, plan, links, access.is_open))
    if not is_write and not access.is_open and not isinstance(document, Refusal):
        document = _written_out(document, answer.status, route, plan, is_bare=access.judges_bare)
    document = _inspected(document, access, whose, plan)
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


def _inspected(document: Any, access: Access, whose: Whose, plan: Plan) -> Any | Refusal:
    if not isinstance(document, (dict, list, Refusal)):
        return Refusal(Code.UPSTREAM_INVALID, "neither an object nor an array")
    for rule in access.guards:
        if isinstance(document, Refusal):
            break
        document = rule.inspect(document, whose, plan)
    return document


def _without_record(fields: Fields) -> Checked:
    # Old SDKs stand an empty body behind a 204 only (docs/upstream.md section 7).
    if fields.plan.method == "DELETE":
        return Checked(204, None, fields.leaving(None))
    document = {"data": None}
    return Checked(fields.answer.status, document, fields.leaving(document))


def _written_out(document: Any, status: int, route: Route, plan: Plan, *, is_bare: bool) -> Any | Refusal:
    """Return what a read answered, with nothing spelled in one way: as an empty list, or as no such record."""
    enveloped = {"data": document} if is_bare and is_nothing(document) else document
    if route.is_tail or not tells_nothing(status, enveloped):
        return document
    # The path ends with the record's id, and no filter makes a list of what is below it.
    if route.names_a_record and plan.query == plan.asked:
        return Refusal(Code.RECORD_NOT_FOUND, "upstream answered no record")
    return [] if is_bare else with_list(status, document)


def _shows_nothing(document: Any, route: Route, plan: Plan, *, is_bare: bool) -> bool:
    """Tell whether a write answered no record; what holds anything else is no such answer, but for a deletion."""
    if document is None:
        return True
    if is_bare or not isinstance(document, dict):
        return False
    is_deletion = plan.method == "DELETE"
    data = document.get("data")
    shows_none = data is None or (data == [] and route.names_a_record)
    return shows_none and (is_deletion or document.keys() <= BESIDE)


def _document(headers: Headers, body: bytes, limit: int, links: LinkRewriter) -> Any | Refusal:
    plain = body if len(headers) == 1 else inflate(body, content_coding(headers), limit)
    return plain if isinstance(plain, Refusal) else parse_answer(links.rewrite(plain))


def relayable(status: int, headers: Headers) -> Refusal | None:
    """Say whether an answer on an open route may be relayed.

    Only what old SDKs cannot stand is held back: HTML pages (docs/upstream.md section 7). Of an error nothing is
    relayed but its status and messages, and of a redirect's page nothing at all.
    """
    if status < 200:  # noqa: PLR2004 - HTTP's own numbers
        return Refusal(Code.UPSTREAM_INVALID, "interim status as an answer")
    if status >= 400:  # noqa: PLR2004
        return None
    if is_repeated(headers, "content-type"):
        return Refusal(Code.UPSTREAM_INVALID, "more than one content type")
    if status not in _OPEN_WITHOUT_BODY | REDIRECTS and media_type(first(headers, "content-type")) == "text/html":
        return Refusal(Code.UPSTREAM_INVALID, f"HTML with status {status}")
    return None


def lacks_body(status: int, method: str) -> bool:
    """Tell whether an answer has no body by HTTP's own rules, so that an empty one is right."""
    return method == "HEAD" or status in _OPEN_WITHOUT_BODY
