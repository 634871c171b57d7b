"""Where cases are played: a real gateway before the upstream that keeps records, clients on raw sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.demo.data import APRIL, LESLIE, RON
from tests.carrying.case import PATIENT, Case, Group, Proofs, Spelling, Talk, cut
from tests.carrying.client import PATIENCE, Client, connected
from tests.carrying.outcome import Event, Message, Names, Outcome
from tests.carrying.upstream import Upstream, turns
from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import served

# The routes of config/moltin.yaml keep passwords where most records are; these need no more than HTTP.
CONFIG = """\
extends: moltin.yaml
public_url: https://shop.example
upstream:
  link_origins: ["http://links.example"]
  owner_memory: 0s
  timeouts: {{{timeouts}}}
customers:
  hashing: {{memory: 64KiB, passes: 1, lanes: 1}}
  throttle:
    account: {{burst: 100000, per_minute: 100000}}
    address: {{burst: 100000, per_minute: 100000}}
routes:
  - name: orders
    path: /v2/orders
    methods: [GET]
    query: [filter, sort, include, "page[limit]", "page[offset]"]
    access:
      customer:
        scope:
          - filter: {{field: customer_id, aliases: [customer.id]}}
        guard:
          - owner: &own {{pointer: /relationships/customer/data/id}}
      trusted: open
  - name: order
    path: /v2/orders/{{oid}}
    methods: [GET]
    query: [include]
    access:
      customer:
        guard:
          - owner: *own
      trusted: open
  - name: wish
    path: /v2/customers/{{id}}/wishes
    methods: [GET, DELETE]
    access:
      customer: &own-path
        scope:
          - path_owner: {{parameter: id}}
        guard:
          - owner: {{pointer: /owner}}
      trusted: open
  - name: notes
    path: /v2/customers/{{id}}/notes
    methods: [GET]
    access: &own-records {{customer: *own-path, trusted: open}}
  - {{name: note, path: "/v2/customers/{{id}}/notes/{{nid}}", methods: [GET, DELETE], access: *own-records}}
  - name: note-add
    path: /v2/customers/{{id}}/notes
    methods: [POST]
    access: &own-writes
      customer:
        scope:
          - path_owner: {{parameter: id}}
          - body_fields: {{forbid: [owner]}}
        guard:
          - owner: {{pointer: /owner}}
      trusted: open
  - {{name: note-change, path: "/v2/customers/{{id}}/notes/{{nid}}", methods: [PUT, PATCH], access: *own-writes}}
  - name: order-items
    path: /v2/orders/{{oid}}/items
    methods: [GET]
    access:
      customer:
        scope:
          - parent_owner: {{path: "/v2/orders/{{oid}}", pointer: /relationships/customer/data/id}}
        guard:
          - belongs_to: {{parameter: oid, pointer: /relationships/order/data/id, relationship: items}}
      trusted: open
  - name: cart
    path: /v2/carts/{{ref}}
    methods: [GET, POST, PUT, DELETE]
    access: &everybody {{public: open, customer: open, trusted: open}}
  - {{name: baskets, path: /v2/baskets, methods: [GET, POST], access: *everybody}}
  - {{name: basket, path: "/v2/baskets/{{id}}", methods: [GET, PUT, PATCH, DELETE], access: *everybody}}
  - {{name: products, path: /v2/products, methods: [GET], access: *everybody}}
  - {{name: product, path: "/v2/products/{{id}}", methods: [GET], access: *everybody}}
  - {{name: catalog, path: "/catalog/{{rest...}}", methods: [GET], access: *everybody}}
"""
# Asks whether a connection goes on, by a method that no case uses, so that its line in the log is known.
_PROBE = "PROPFIND"
_GOES_ON = f"{_PROBE} /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
# Not told: a renewal comes when it is due, and the rest is about the process.
_TIMED = frozenset({"lifecycle", "credential_renewed", "loop_blocked", "no_proxy_trusted"})


@dataclass(slots=True)
class Stage:
    """A gateway, its upstream, and callers who have logged in."""

    upstream: Upstream
    site: Site
    folder: Path
    proofs: Proofs
    _ended: int = -1
    _read_to: int = 0

    async def play(self, group: Group, case: Case) -> Outcome:
        """Play a case and return what came of it; raises where its answers, cut in two, give something else."""
        outcome = await self._played(group, case)
        if case.cut_up_to:
            await self._play_cut(case, outcome)
        return outcome

    async def _play_cut(self, case: Case, outcome: Outcome) -> None:
        """Play a case with its answers cut in two, at each of their bytes, on connections that go on."""
        upstream = self.upstream
        expected = [entry for entry in outcome.client if isinstance(entry, Message)], outcome.upstream, outcome.did
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(self.site)) for _ in case.talks]
            for at in range(1, case.cut_up_to):
                upstream.begin(*[replace(said, pieces=_cut_at(said.pieces, at)) for said in case.says], hurries=True)
                names = Names(upstream)
                replies: list[Message | str] = []
                for talk, client in zip(case.talks, clients, strict=True):
                    replies += [entry async for entry in self._talked(client, talk, names)]
                    await self._quiet()
                given = replies, names.requests(upstream.requests), tuple(upstream.records.did)
                assert given == expected, f"cut at {at}: {given} instead of {expected}"

    async def _played(self, group: Group, case: Case) -> Outcome:
        upstream = self.upstream
        await self._warm()
        if case.drops_idle:
            upstream.interject(b"")
            await self._quiet()
        upstream.begin(*case.says)
        self._new_lines()
        names = Names(upstream)
        client: list[Message | str] = []
        for talk in case.talks:
            async with connected(self.site) as connection:
                interjected = case.interjected if talk is case.talks[-1] else None
                client += [entry async for entry in self._talked(connection, talk, names, interjected)]
                if isinstance(client[-1], Message):
                    client.append(await _became(connection))
            await self._quiet()
        if group.tells_grants:
            with suppress(TimeoutError):
                await self._until(lambda: any(one.is_grant for one in upstream.requests), seconds=1)
            await self._quiet()
        if upstream.faults:
            raise AssertionError(f"what came upstream is no request: {upstream.faults}")
        requests = [one for one in upstream.requests if group.tells_grants or not one.is_grant]
        return Outcome(
            names.requests(requests),
            names.replies_to(requests),
            names.connections(requests) if group.tells_connections else (),
            tuple(upstream.records.did),
            tuple(client),
            tuple(self._told()),
        )

    async def _warm(self) -> None:
        """See to it that a connection to the upstream waits which has carried a request, after one has ended."""
        upstream = self.upstream
        if self._ended == upstream.ended:
            return
        upstream.begin()
        async with connected(self.site) as client:
            for _ in range(2):
                client.send(f"GET /v2/products HTTP/1.1\r\nHost: x\r\n{self.proofs['public'][0]}\r\n\r\n".encode())
                reply = await client.reply(to_head=False)
                assert reply is not None
                assert reply.head[0] == "HTTP/1.1 200 OK"
        await self._quiet()
        self._ended = upstream.ended

    async def _quiet(self) -> None:
        """Wait until the upstream has said all it says, and no request is in flight."""
        await self._until(lambda: not self.upstream.is_busy)
        async with asyncio.timeout(PATIENCE):
            await self.site.gateway.edge.drained()
        await turns()

    async def _talked(
        self, client: Client, talk: Talk, names: Names, interjected: bytes | None = None
    ) -> AsyncIterator[Message | str]:
        """Hold a conversation; give its replies, and behind them what became of the connection if it does not go on."""
        for number, piece in enumerate(talk.pieces(self.proofs)):
            if number:
                await turns()
            client.send(piece)
        if interjected is not None:
            if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
                # Its gateway reads the request in the turn that begins here, and hears the upstream in the next one.
                await asyncio.sleep(0)
            self.upstream.interject(interjected)
        if talk.leaves:
            await self._until(lambda: self.upstream.said > 0)
            await turns()
            yield "left"
            return
        for ask in talk.asks:
            is_final = False
            while not is_final:
                reply = await client.reply(to_head=ask.method == "HEAD")
                if reply is None:
                    yield "closed"
                    return
                yield names.reply(reply, ask.target)
                if not reply.is_whole:
                    yield await client.over()
                    return
                is_final = not reply.is_interim

    @staticmethod
    async def _until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)

    def _new_lines(self) -> list[str]:
        """Return the lines of the log behind those that were returned before."""
        log = self.site.log
        # Reading to the end leaves the stream where the next line is written.
        log.seek(self._read_to)
        lines = log.read().splitlines()
        self._read_to = log.tell()
        return lines

    def _told(self) -> Iterator[Event]:
        for line in self._new_lines():
            told: dict[str, Any] = json.loads(line)
            if told["event"] not in _TIMED and told.get("method") != _PROBE:
                yield Event.read(told)


async def _became(client: Client) -> str:
    """Say what became of a connection whose requests are all answered: it is seen by asking once more."""
    await turns()
    if client.end is not None:
        return "closed"
    client.send(_GOES_ON)
    reply = await client.reply(to_head=False)
    await client.over()
    assert not client.data, f"behind the replies came {client.data!r}"
    if reply is None:
        return "closed"
    assert reply.head[0].startswith("HTTP/1.1 404 "), reply
    return "kept"


def _cut_at(pieces: tuple[bytes, ...] | Spelling, at: int) -> Spelling:
    """Say the same in two pieces."""
    return lambda truth: tuple(cut(b"".join(pieces(truth) if callable(pieces) else pieces), at))


@asynccontextmanager
async def staged(folder: Path, timeouts: str = PATIENT) -> AsyncIterator[Stage]:
    """Run a gateway before its upstream, and log everybody in."""
    upstream = Upstream()
    async with AsyncExitStack() as stack:
        # What a site is made for; its requests go to our own upstream.
        commerce = await stack.enter_async_context(Commerce())
        upstream.url = await stack.enter_async_context(served(upstream.serve))
        config = CONFIG.format(timeouts=timeouts)
        site = await stack.enter_async_context(run_site(commerce, folder, config=config, UPSTREAM_URL=upstream.url))
        yield Stage(upstream, site, folder, await _proofs(site))


@asynccontextmanager
async def fresh(stage: Stage) -> AsyncIterator[Stage]:
    """Run another gateway on the same configuration, before the same upstream: only its bearer is new."""
    async with run_site(stage.site.commerce, stage.folder, config=stage.site.config, passwords=False) as site:
        yield Stage(stage.upstream, site, stage.folder, stage.proofs)


async def _proofs(site: Site) -> Proofs:
    bearer = f"Authorization: Bearer {await site.bearer()}"
    trusted = f"Authorization: Bearer {await site.bearer('trusted')}"
    for person in (RON, LESLIE, APRIL):
        # What a first login has remembered each case shall find, whichever comes first.
        await site.token(person.email)
    ron, leslie, april = [f"X-Moltin-Customer-Token: {site.lasting(person)}" for person in (RON, LESLIE, APRIL)]
    return {
        "public": (bearer,),
        "nobody": (),
        "ron": (bearer, ron),
        "leslie": (bearer, leslie),
        "trusted": (trusted,),
        "ron through a server": (trusted, ron),
        "two tokens": (bearer, ron, april),
        "the same token twice": (bearer, ron, ron),
        "two bearers": (bearer, trusted),
        "a forged bearer": (f"{bearer[:-4]}AAAA", ron),
        "a forged token": (bearer, f"{ron[:-4]}AAAA"),
        "no scheme": (f"Authorization: {bearer.rpartition(' ')[2]}",),
        "an empty bearer": ("Authorization: Bearer",),
        "an empty token": (bearer, "X-Moltin-Customer-Token:"),
    }
