"""One upstream as the way there and back knows it: where a plan is sent, and how what it answers becomes ours. Pure."""

from msgspec import Struct

from gateway.vocab.messages import Plan
from gateway.wire.links import LinkRewriter
from gateway.wire.location import Places
from gateway.wire.target import encode_query, serialise


class Api(Struct, frozen=True):
    """What is known of one upstream: which headers pass, and how its links and Locations become ours."""

    forwarded: frozenset[str]
    links: LinkRewriter
    places: Places


def address(planned: Plan, sent: str | None = None) -> str:
    """Return the target that a plan has at its upstream; `sent` is the client's own, where that may leave so."""
    if planned.there is None:
        return sent or serialise(planned.path, planned.query)
    path, filters = planned.there
    query = encode_query(planned.query) if sent is None else sent.partition("?")[2]
    asked = "&".join(part for part in (query, encode_query(filters) if filters else "") if part)
    return f"{path}?{asked}" if asked else path
