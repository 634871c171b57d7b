"""Every "no" the gateway can say: one code, one status, one constant public text.

It does not render replies (server/replies.py) and holds no request data in public fields: what a client sent
goes into `detail`, which only events see.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class Wording(NamedTuple):
    """What the client is told about one code."""

    status: int
    title: str
    text: str


class Code(Enum):
    """The catalogue. The name is what clients, logs and metrics see; codes are never reused."""

    REQUEST_MALFORMED = Wording(400, "Bad Request", "The request is not well-formed HTTP.")
    TARGET_INVALID = Wording(400, "Bad Request", "The request target is not a valid path and query.")
    TARGET_AMBIGUOUS = Wording(400, "Bad Request", "The request target can be read in more than one way.")
    QUERY_NOT_ALLOWED = Wording(400, "Bad Request", "A query parameter is not allowed on this route.")
    QUERY_REPEATED = Wording(400, "Bad Request", "A query parameter may appear only once on this route.")
    FILTER_INVALID = Wording(400, "Bad Request", "Could not parse the supplied filter.")
    FILTER_FIELD_RESERVED = Wording(400, "Bad Request", "The filter names a field that is reserved on this route.")
    BODY_MALFORMED = Wording(400, "Bad Request", "The body is not one well-formed JSON object.")
    CONDITION_FORBIDDEN = Wording(400, "Bad Request", "This request may not be conditional.")
    IDEMPOTENCY_KEY_MISSING = Wording(400, "Bad Request", "This route needs an Idempotency-Key.")
    BODY_UNEXPECTED = Wording(400, "Bad Request", "This request may not carry a body.")
    FORM_INVALID = Wording(400, "Bad Request", "The form lacks a supported grant_type or a client_id.")
    BEARER_MISSING = Wording(401, "Unauthorized", "An access token is required: POST /oauth/access_token first.")
    BEARER_INVALID = Wording(401, "Unauthorized", "Unable to validate access token.")
    CLIENT_UNKNOWN = Wording(401, "Unauthorized", "The client credentials are not valid.")
    ACCESS_DENIED = Wording(403, "Forbidden", "This caller may not use this route.")
    CUSTOMER_TOKEN_INVALID = Wording(403, "Forbidden", "The customer token is not valid or has expired. Log in again.")
    BODY_FIELD_FORBIDDEN = Wording(403, "Forbidden", "The body names a record or field this caller may not set.")
    PASSWORD_REQUIRED = Wording(
        403, "Forbidden", "This change needs the customer's current password, in data.current_password."
    )
    ROUTE_UNKNOWN = Wording(404, "Not Found", "There is no such route.")
    RECORD_NOT_FOUND = Wording(404, "Not Found", "The requested record was not found.")
    LOGIN_FAILED = Wording(404, "Not Found", "The e-mail address or the password is not correct.")
    RESET_INVALID = Wording(404, "Not Found", "The password reset is unknown, spent or expired. Ask for another one.")
    METHOD_NOT_ALLOWED = Wording(405, "Method Not Allowed", "This route does not answer this method.")
    BODY_TIMEOUT = Wording(408, "Request Timeout", "The body did not arrive in time.")
    EMAIL_TAKEN = Wording(409, "Conflict", "A customer with this e-mail address already exists.")
    REGISTRATION_PENDING = Wording(
        409, "Conflict", "A registration with this e-mail address is under way: repeat it with the same password."
    )
    CONDITION_FAILED = Wording(412, "Precondition Failed", "The record is not in the state that was asked for.")
    BODY_TOO_LARGE = Wording(413, "Payload Too Large", "The body is larger than this route accepts.")
    HEADERS_TOO_LARGE = Wording(431, "Request Header Fields Too Large", "The request head is too large.")
    BODY_TYPE = Wording(415, "Unsupported Media Type", "This route accepts a body of its own content type only.")
    BODY_FIELD_INVALID = Wording(422, "Unprocessable Entity", "A field of the body has no valid value.")
    BODY_FIELD_UNKNOWN = Wording(422, "Unprocessable Entity", "The body carries a field this route does not accept.")
    THROTTLED = Wording(429, "Too Many Requests", "Too many attempts. Try again later.")
    INTERNAL = Wording(500, "Internal Server Error", "The gateway failed to answer this request.")
    WEBSOCKET_UNSUPPORTED = Wording(
        501, "Not Implemented", "The gateway opens no WebSocket: use plain requests, or a stream of events."
    )
    UPSTREAM_UNREACHABLE = Wording(502, "Bad Gateway", "The commerce API could not be reached.")
    UPSTREAM_FAILED = Wording(502, "Bad Gateway", "The commerce API failed to answer this request.")
    UPSTREAM_INVALID = Wording(502, "Bad Gateway", "The answer of the commerce API could not be used.")
    WRITE_UNCONFIRMED = Wording(
        502, "Bad Gateway", "The commerce API gave no clear answer: the change may have happened."
    )
    GUARD_VIOLATION = Wording(502, "Bad Gateway", "The answer of the commerce API was withheld.")
    OVERLOADED = Wording(503, "Service Unavailable", "The gateway is busy. Try again shortly.")
    DRAINING = Wording(503, "Service Unavailable", "The gateway is shutting down.")
    ROUTE_CLOSED = Wording(
        503, "Service Unavailable", "This route is closed: an answer of the commerce API broke its rules."
    )
    STORE_UNAVAILABLE = Wording(503, "Service Unavailable", "Logins are not possible at the moment.")
    REVOCATION_STALE = Wording(
        503, "Service Unavailable", "The gateway cannot tell at the moment who has logged out. Try again shortly."
    )
    UPSTREAM_UNAVAILABLE = Wording(503, "Service Unavailable", "The commerce API is not available. Try again later.")
    CREDENTIAL_UNAVAILABLE = Wording(503, "Service Unavailable", "The commerce API does not accept the gateway yet.")
    UPSTREAM_TIMEOUT = Wording(504, "Gateway Timeout", "The commerce API did not answer in time.")
    FORWARDING_LOOP = Wording(508, "Loop Detected", "The request is forwarded in a circle: a gateway met it twice.")

    @property
    def status(self) -> int:
        """HTTP status of the reply."""
        return self.value.status


# These look like a bug of somebody's, and their details are sentences of ours with a status in them at most: the log
# always has them.
EXPLAINED_IN_LOGS: Final = frozenset({Code.UPSTREAM_FAILED, Code.UPSTREAM_INVALID, Code.WRITE_UNCONFIRMED})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A typed "no".

    `source` names the field at fault for the client (`data.email`, `query.filter`): names from the configuration or
    the API contract only. `detail` is for events, never for the client. `retry_after` is in seconds, or what an
    upstream said in its own words (`wire.headers.retry_after`).
    `violation` marks an answer of the upstream that would have broken isolation, `unfit` one that has another form than
    the routing file says. `upstream_status` is the status of
    the answer that was refused, where that was no success. `challenge` is what a 401 asks for (RFC 9110 section
    11.6.1). `accepts` is the header line by which a 415 says what would be taken (section 15.5.16). `oauth` is the
    error code of RFC 6749 section 5.2, where a client of OAuth asked.
    """

    code: Code
    detail: str = ""
    source: str | None = None
    retry_after: int | str | None = None
    allow: tuple[str, ...] = ()
    violation: bool = False
    unfit: bool = False
    upstream_status: int | None = None
    challenge: str = "Bearer"
    accepts: tuple[str, str] | None = None
    oauth: str | None = None
