"""Says which Location of a record that was made may be told to its client: the upstream may name a stranger's.

It may where the record was judged in the very answer, where the path says whose it is, or where the record, read once,
passes the guard of its own route.
"""

from collections.abc import Awaitable, Callable, Mapping

from msgspec.structs import replace

from gateway.carrying.call import Call
from gateway.decision import Ready, Snapshot
from gateway.guard import core as guard
from gateway.routing import Match
from gateway.scope import core as scope
from gateway.scope.rules.path_owner import PathOwner
from gateway.upstream.backend import Backend, lent
from gateway.upstream.parents import Parents
from gateway.vocab.messages import Checked, Request, Target, Trace, Whose
from gateway.vocab.policy import Access
from gateway.vocab.refusals import Refusal
from gateway.wire.api import address
from gateway.wire.location import Side
from gateway.wire.records import ids_in
from gateway.wire.target import encode_path, parse

Named = str | Callable[[], Awaitable[str | None]] | None
"""The Location to tell, how to find out, or None."""
_HEADERS = (("accept", "application/json"), ("accept-encoding", "identity"))


class Creations:
    """Judges Locations of guarded answers, and looks where that is the only way to know."""

    def __init__(self, backends: Mapping[str, Backend], parents: Mapping[str, Parents]) -> None:
        self._backends = backends
        self._parents = parents

    def named(self, snapshot: Snapshot, ready: Ready, checked: Checked, value: str, trace: Trace) -> Named:
        """Return the Location of an answer, `checked`, as the client may have it: a path of ours, without a query."""
        api = snapshot.api(ready.admission.route)
        place = api.places.read(value, ready.target)
        target = parse(place.path.partition("?")[0]) if place.side is Side.OURS else None
        if not isinstance(target, Target) or not target.segments:
            return None
        link = api.links.public_url + target.path + "/" * target.has_slash
        form = ready.admission.route.form
        ids = ids_in(checked.document, form)
        whose = ready.admission.whose
        if target.segments[-1] in ids and target.path == ready.plan.path.rstrip("/") + encode_path(
            target.segments[-1:]
        ):
            return link
        match = snapshot.routes.match("GET", target.segments)
        access = match.route.access.get(ready.admission.caller.kind) if isinstance(match, Match) else None
        if not isinstance(match, Match) or match.route.endpoint is not None or access is None:
            return None
        if match.route.upstream != ready.admission.route.upstream:
            # What one upstream made is not at the other one, whatever stands there.
            return None
        named = [*match.parameters.values()]
        known = {*whose.parameters.values(), *ids, whose.customer_id}
        if target.segments[-1] in ids and known.issuperset(named):
            return link
        owners = [match.parameters[rule.parameter] for rule in access.scope if isinstance(rule, PathOwner)]
        if owners and all(owner == whose.customer_id for owner in owners):
            return link
        if not access.guards or not named:
            return None

        async def look() -> str | None:
            is_own = await self._is_own(snapshot, match, access, target, whose.customer_id, trace)
            return link if is_own else None

        return look

    async def _is_own(
        self, snapshot: Snapshot, match: Match, access: Access, target: Target, customer_id: str | None, trace: Trace
    ) -> bool:
        whose = Whose(customer_id, match.parameters)
        asking = Request(trace.request_id, "GET", target.path, _HEADERS, "-", 0.0)
        asked = (match.route, access, whose, asking, target, None)
        api, name = snapshot.api(match.route), match.route.upstream
        plan = scope.make_plan(*asked, api.forwarded, snapshot.public, snapshot.pseudonym)
        if isinstance(plan, Refusal):
            return False
        referred: frozenset[tuple[str, str]] = frozenset()
        is_guests = False
        for parent in plan.parents:
            allowed = await self._parents[parent.upstream or name].check(parent, trace)
            if isinstance(allowed, Refusal):
                return False
            referred |= allowed.refers
            is_guests |= allowed.is_guests
        plan = replace(plan, referred=referred, is_guests=is_guests)
        call = Call("GET", address(plan), (*_HEADERS, ("x-request-id", trace.request_id)))
        answer = await self._backends[name].send(call, match.route.answer_limit, trace, lent(access, plan))
        if isinstance(answer, Refusal):
            return False
        checked = guard.judge(match.route, access, plan, whose, answer, api.links)
        return (
            isinstance(checked, Checked)
            and checked.status == 200  # noqa: PLR2004
            and target.segments[-1] in ids_in(checked.document, match.route.form)
        )
