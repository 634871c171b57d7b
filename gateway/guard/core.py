"""Judges a whole answer: status, shape, then each guard rule of the route. Fails closed. Pure.

It does not read from sockets and does not know what a single rule looks for.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from msgspec import UNSET, structs
from pydantic import BaseModel, ConfigDict

from gateway.guard.fields import Fields, of_type, read
from gateway.guard.members import judged_members
from gateway.guard.status import REDIRECTS, judged_status
from gateway.vocab.messages import READS, Answer, Checked, Headers, Plan, Whose
from gateway.vocab.policy import Access, Route
from gateway.vocab.record_form import Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import inflate, parse_answer
from gateway.wire.headers import content_coding, first, is_json, is_repeated, media_type
from gateway.wire.links import LinkRewriter
from gateway.wire.nothing import beside, tells_nothing, with_list
from gateway.wire.pointer import MISSING, placed, resolve
from gateway.wire.records import shown

_WITH_DOCUMENT = frozenset({200, 201, 202})
_PART = 206
_OPEN_WITHOUT_BODY = frozenset({204, 205, 304})


class GuardOptions(BaseModel):
    """Base of every guard rule: its fields are its options in the routing file, its docstring their manual."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judges_included: ClassVar[bool] = False
    """Whether the rule judges `included`; without such a rule it does not leave."""

    @abstractmethod
    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Return the records that may leave, or say no."""


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
    if answer.status in _WITH_DOCUMENT or (answer.status == _PART and route.form.is_paged_by_range):
        checked = _with_document(route, access, plan, whose, answer, links)
        return _withheld(checked, route, plan, access) if isinstance(checked, Refusal) else checked
    if is_proven and answer.status == 304 and plan.method == "GET":  # noqa: PLR2004 - HTTP's own numbers
        return Checked(304, None, Fields(answer, route, plan, links, access.is_open).leaving(None))
    if is_proven and answer.status == 412:  # noqa: PLR2004
        return Refusal(Code.CONDITION_FAILED, "upstream answered 412", upstream_status=412)
    judged = judged_status(answer, access, plan, route.form)
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


def _withheld(refusal: Refusal, route: Route, plan: Plan, access: Access) -> Refusal:
    """Return what is said of an answer that is refused: a write happened, whatever was answered to it.

    Where the path names a record, what is said of a stranger's must be what is said of none.
    """
    if refusal.code is Code.UPSTREAM_INVALID and not refusal.violation:
        refusal = replace(refusal, unfit=True)
    is_write = plan.method not in READS and plan.method not in access.unproven
    is_creation = plan.method == "POST" and not route.names_a_record
    if (is_write and refusal.unfit) or (is_creation and refusal.code is Code.RECORD_NOT_FOUND):
        return replace(refusal, code=Code.WRITE_UNCONFIRMED)
    return refusal


def _with_document(
    route: Route, access: Access, plan: Plan, whose: Whose, answer: Answer, links: LinkRewriter
) -> Checked | Refusal:
    is_write = plan.method != "GET"
    if not answer.body and is_write:
        return _without_record(Fields(answer, route, plan, links, access.is_open))
    lines = read(answer, route)
    if not is_json(first(lines, "content-type")):
        return unusable(Refusal(Code.UPSTREAM_INVALID, "content type is not JSON", unfit=True), access, plan)
    document = _document(lines, answer.body, route.answer_limit, links)
    if isinstance(document, Refusal):
        return document
    if access.is_open:
        return _of_open(document, Fields(answer, route, plan, links, is_open=True))
    if is_write and _shows_nothing(document, route, plan):
        return _without_record(Fields(answer, route, plan, links, access.is_open))
    found = shown(document, route.form, expects_one=expects_one(route, plan))
    # Most lists hold something.
    if not is_write and (isinstance(found, Refusal) or not found.records):
        document = _written_out(document, answer.status, route, plan)
        if isinstance(document, Refusal):
            return document
        found = shown(document, route.form, expects_one=expects_one(route, plan))
    judged = _inspected(found, access, whose, plan)
    if isinstance(judged, Refusal):
        return judged
    document = judged_members(document, judged, plan, route.query or frozenset(), links.public_url)
    # Most answers say nothing else (saves 2 us).
    if len(lines) == 1 and not plan.conditions:
        return Checked(answer.status, document, of_type(lines))
    fields = Fields(answer, route, plan, links, access.is_open)
    return Checked(answer.status, document, fields.leaving(document, judged), fields.owes_tag(judged))


def _of_open(document: Any, fields: Fields) -> Checked | Refusal:
    """Return an answer that nobody judges, and which is read because passwords are shown in it."""
    if not isinstance(document, (dict, list)):
        return Refusal(Code.UPSTREAM_INVALID, "neither an object nor an array")
    found = shown(document, fields.route.form)
    lines = fields.leaving(document, None if isinstance(found, Refusal) else found)
    return Checked(fields.answer.status, document, lines)


def _inspected(judged: Shown | Refusal, access: Access, whose: Whose, plan: Plan) -> Shown | Refusal:
    """Return the records of an answer that may leave, judged by each rule."""
    if not isinstance(judged, Refusal) and judged.included is not UNSET and not access.judges_included:
        judged = structs.replace(judged, included=UNSET)
    for rule in access.guards:
        if isinstance(judged, Refusal):
            break
        judged = rule.inspect(judged, whose, plan)
    return judged


def expects_one(route: Route, plan: Plan) -> bool:
    """Tell whether a request asks for a single record, or makes or changes one."""
    return plan.method != "GET" or route.names_a_record


def shows_list(document: Any, route: Route, plan: Plan) -> bool:
    """Tell whether a document that was judged holds a list."""
    found = shown(document, route.form, expects_one=expects_one(route, plan))
    return isinstance(found, Shown) and found.is_list


def _without_record(fields: Fields) -> Checked:
    # Old SDKs stand an empty body behind a 204 only (docs/upstream.md section 7).
    if fields.plan.method == "DELETE":
        return Checked(204, None, fields.leaving(None))
    form = fields.route.form
    document = placed({}, form.record_at, None) if form.record_at and not form.is_only_of_list else {}
    return Checked(fields.answer.status, document, fields.leaving(document))


def _written_out(document: Any, status: int, route: Route, plan: Plan) -> Any | Refusal:
    """Return what a read answered, with nothing spelled in one way: as an empty list, or as no such record."""
    form = route.form
    if route.is_tail or not tells_nothing(status, document, form):
        return document
    # The path ends with the record's id, and no filter makes a list of what is below it.
    if route.names_a_record and (plan.query == plan.asked or form.is_found_by_filter):
        return Refusal(Code.RECORD_NOT_FOUND, "upstream answered no record")
    return with_list(status, document, form)


def _shows_nothing(document: Any, route: Route, plan: Plan) -> bool:
    """Tell whether a write answered no record; what holds anything else is no such answer, but for a deletion."""
    if document is None:
        return True
    form, is_deletion = route.form, plan.method == "DELETE"
    if not isinstance(document, dict):
        return False
    if not form.record_at:
        # Where a record is the answer itself, what has no id is none, and says of a deletion only that it is done.
        return not document or (is_deletion and resolve(document, form.id_at) is MISSING)
    data = resolve(document, form.record_at)
    shows_none = data is MISSING or data is None or (data == [] and route.names_a_record)
    return shows_none and (is_deletion or document.keys() <= beside(form))


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
