"""Renders every refusal, in one shape: the error envelope that SDKs of the API read. It decides nothing."""

from gateway.vocab.messages import Headers, Reply
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import encode

_JSON: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))
# An SDK's retry after this many seconds finds a gateway that has had time to catch up.
_RETRY_AFTER = {Code.OVERLOADED: 1, Code.DRAINING: 1, Code.STORE_UNAVAILABLE: 1, Code.CREDENTIAL_UNAVAILABLE: 1}


def render(refusal: Refusal) -> Reply:
    """Return the reply that says this "no": the public text is the code's, whatever the private detail."""
    wording = refusal.code.value
    # An integer status: typed SDKs decode nothing else (docs/upstream.md section 2, "Error envelope").
    error: dict[str, object] = {"status": wording.status, "title": wording.title, "detail": wording.text}
    if refusal.source is not None:
        error["source"] = refusal.source
    error["code"] = refusal.code.name
    headers = list(_JSON)
    if refusal.allow:
        headers.append(("allow", ", ".join(refusal.allow)))
    retry_after = refusal.retry_after or _RETRY_AFTER.get(refusal.code)
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    if wording.status == 401:  # noqa: PLR2004 - RFC 9110 section 11.6.1 asks for a challenge with it
        headers.append(("www-authenticate", "Bearer"))
    return Reply(wording.status, tuple(headers), encode({"errors": [error]}))
