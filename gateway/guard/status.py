"""What an answer says that is no success: its status keeps its meaning, and leaves in the gateway's own envelope. Pure.

It looks at no record: whose the record is must be known before anything is said of it.
"""

from gateway.guard.envelope import explained
from gateway.vocab.messages import READS, Answer, Checked, Headers, Plan
from gateway.vocab.policy import Access
from gateway.vocab.record_form import MOLTIN, RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import read_answer
from gateway.wire.headers import of_refusal, retry_after

# Ten errors of the API are far below this; what is larger is no error.
ERROR_LIMIT = 256 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The redirects that clients follow (Fetch standard, "redirect status")."""
_NO_CONTENT = frozenset({204, 205})


def unable(status: int, headers: Headers) -> Refusal | None:
    """Say that the upstream cannot answer at the moment, or at all; None where its answer says something else.

    429 and 503 ask for patience, and for how much of it: SDKs repeat them. All else is a failure.
    """
    if status == 429:  # noqa: PLR2004 - HTTP's own numbers, here and below
        return Refusal(Code.THROTTLED, "upstream answered 429", retry_after=retry_after(headers) or 1)
    if status == 503:  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_UNAVAILABLE, "upstream answered 503", retry_after=retry_after(headers))
    if status == 508:  # noqa: PLR2004 - so does a gateway behind us, or we ourselves, that met the request before
        return Refusal(Code.FORWARDING_LOOP, "upstream answered 508")
    return Refusal(Code.UPSTREAM_FAILED, f"upstream answered {status}") if status >= 500 else None  # noqa: PLR2004


def judged_status(answer: Answer, access: Access, plan: Plan, form: RecordForm = MOLTIN) -> Checked | Refusal:
    """Return what leaves of an answer to a judged request that is no success with a document."""
    status = answer.status
    if status in _NO_CONTENT and not answer.body and plan.method not in READS:
        return Checked(204)
    if (refusal := unable(status, answer.headers)) is not None:
        return refusal
    if status == 404 or plan.method in access.unproven:  # noqa: PLR2004
        # Whatever is said of a record that may be somebody's would tell it from one that is not there.
        return Refusal(Code.RECORD_NOT_FOUND, f"upstream answered {status}")
    if status >= 400:  # noqa: PLR2004
        return refused(answer, None if access.is_open else plan, form)
    if status < 300 or plan.method in READS:  # noqa: PLR2004
        return Refusal(Code.UPSTREAM_INVALID, f"upstream answered {status}")
    return Refusal(Code.WRITE_UNCONFIRMED, f"upstream answered {status} to a write")


def relayed_error(answer: Answer, form: RecordForm = MOLTIN) -> Checked | Refusal:
    """Return what leaves of an error on an open route: the status and the messages, in the envelope of every error."""
    return unable(answer.status, answer.headers) or refused(answer, None, form)


def refused(answer: Answer, plan: Plan | None, form: RecordForm = MOLTIN) -> Checked:
    """Return the gateway's envelope for a client error, with what could be read of its messages (`explained`)."""
    document = None
    if len(answer.body) <= ERROR_LIMIT:
        read = read_answer(answer, ERROR_LIMIT)
        document = None if isinstance(read, Refusal) else read
    return Checked(
        answer.status, explained(answer.status, document, plan, form), of_refusal(answer.status, answer.headers)
    )
