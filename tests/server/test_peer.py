"""Who asks: the address that connects, or the one that a trusted proxy tells of in the one header that counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.server.peer import Peer, Peers
from gateway.vocab.events import Event, NoProxyTrusted
from gateway.vocab.messages import Reply
from gateway.wire.client_address import AddressHeader, Proxies
from tests.fakes.commerce import Commerce
from tests.gateways import site as run_site
from tests.server.raw import connected
from tests.server.stage import Stage, Told, done, stage

NOTHING = Reply(204)
# Both are loopback: one is the proxy's, the other a client's that goes past it.
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
TRUSTED = Proxies([PROXY, "10.0.0.0/8"])
STANDARD = Proxies([PROXY, "10.0.0.0/8"], AddressHeader.FORWARDED)
FORGED = "6.6.6.6"


async def asked(run: Stage, *heads: list[str], source: str = PROXY) -> list[str]:
    """Send a request with each of these header lines on one connection, and return whose they are held to be."""
    before = len(run.flow.asked)
    async with run.connected(source) as client:
        for lines in heads:
            client.ask("GET", "/a", *lines)
            assert (await client.reply()).status == 204
    return [request.peer for request in run.flow.asked[before:]]


async def test_a_trusted_proxy_is_heard() -> None:
    """Each request on its connection is that of whoever it names; one without the header is its own."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED) as run:
        assert await asked(
            run,
            ["X-Forwarded-For: 203.0.113.7"],
            [],
            [f"X-Forwarded-For: {FORGED}, 203.0.113.8, 10.1.1.1"],
            ["x-FORWARDED-for: 2001:db8::7"],
            [f"X-Forwarded-For: {FORGED}", "X-Forwarded-For: 203.0.113.9:80"],
            [f"X-Forwarded-For: {FORGED}, unknown"],
            [f"X-Forwarded-For: {FORGED}, \xe9"],
            ["X-Forwarded-For: " + ", ".join([FORGED, *["10.1.1.1"] * 700])],
        ) == ["203.0.113.7", PROXY, "203.0.113.8", "2001:db8::7", "203.0.113.9", PROXY, PROXY, "10.1.1.1"]
        # The log says so too.
        assert [event.peer for event in run.done] == [request.peer for request in run.flow.asked]


FORGERIES = [
    ["X-Forwarded-For: 203.0.113.7"],
    ["X-Forwarded-For: 127.0.0.1"],
    ["X-Forwarded-For: 10.1.1.1, 10.1.1.2"],
    ["Forwarded: for=203.0.113.7"],
    ["X-Real-IP: 203.0.113.7", "True-Client-IP: 203.0.113.7", "CF-Connecting-IP: 203.0.113.7"],
    ["X_Forwarded_For: 203.0.113.7", "X-Forwarded-For-: 203.0.113.7", "X-Client-IP: 203.0.113.7"],
]


async def test_nobody_else_is_heard() -> None:
    """Whatever a client sends that comes past the proxy, it is known by its own address."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED) as run:
        assert await asked(run, *FORGERIES, source=STRANGER) == [STRANGER] * len(FORGERIES)
        assert len(run.events) == len(run.done)


@pytest.mark.parametrize(
    ("proxies", "counts", "ignored"),
    [
        (TRUSTED, "X-Forwarded-For: 203.0.113.7", "Forwarded: for=6.6.6.6"),
        (STANDARD, "Forwarded: for=203.0.113.7;proto=https", "X-Forwarded-For: 6.6.6.6"),
    ],
    ids=["X-Forwarded-For", "Forwarded"],
)
async def test_one_header_counts(proxies: Proxies, counts: str, ignored: str) -> None:
    """The other is one that the proxy leaves as the client wrote it."""
    async with stage(Told(decided=NOTHING), proxies=proxies) as run:
        sent = ([counts, ignored], [ignored, counts], [ignored])
        assert await asked(run, *sent) == ["203.0.113.7", "203.0.113.7", PROXY]


async def test_where_nobody_is_trusted() -> None:
    """The header is ignored, and said once to be: all who come through a proxy count as one."""
    async with stage(Told(decided=NOTHING)) as run:
        assert await asked(run, []) == [PROXY]
        assert len(run.events) == 1
        assert await asked(run, *FORGERIES) == [PROXY] * len(FORGERIES)
        assert [event for event in run.events if isinstance(event, NoProxyTrusted)] == [
            NoProxyTrusted("X-Forwarded-For")
        ]


@pytest.mark.parametrize(
    ("peername", "peer"),
    [
        (("10.0.0.1", 4711), Peer("10.0.0.1", is_heard=True)),
        (("::ffff:10.0.0.1", 4711, 0, 0), Peer("10.0.0.1", is_heard=True)),
        (("fe80::1%eth0", 4711, 0, 2), Peer("fe80::1", is_heard=False)),
        ("/run/gateway.sock", Peer("-", is_heard=False)),
        ("", Peer("-", is_heard=False)),
        (None, Peer("-", is_heard=False)),
    ],
    ids=str,
)
def test_who_connects(peername: object, peer: Peer) -> None:
    """An IPv4 client of a port for both families is known as such; one without an address is nobody's proxy."""
    events: list[Event] = []
    assert Peers(TRUSTED, events.append).connected(peername) == peer


SETTINGS = """
extends: moltin.yaml
server: {trusted_proxies: [127.0.0.1]}
"""


async def test_what_the_upstream_is_told(upstream: Commerce, tmp_path: Path) -> None:
    """The client's address and our own URL, once each and written anew, on open routes and on others."""
    url = "https://api.shop.example:8443/base"
    async with run_site(upstream, tmp_path, config=SETTINGS, passwords=False, GATEWAY_PUBLIC_URL=url) as site:
        bearer = f"Authorization: Bearer {await site.bearer('trusted')}"
        forged = [
            f"X-Forwarded-For: {FORGED}", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: gopher",
            "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1", f"Forwarded: for={FORGED}",
        ]  # fmt: skip
        async with connected(site) as client:
            for target in ("/v2/products", "/v2/customers"):
                client.ask("GET", target, bearer, *forged)
                assert (await client.reply()).status == 200
        for request in site.commerce.requests[-2:]:
            told = [(name.lower(), value) for name, value in request.headers if "forwarded" in name.lower()]
            assert told == [
                ("x-forwarded-for", "203.0.113.7"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "api.shop.example:8443"),
            ]
        assert [line["peer"] for line in (await done(site, 3))[-2:]] == ["203.0.113.7"] * 2
        assert not [line for line in site.log_lines() if line["event"] == "no_proxy_trusted"]


async def test_what_the_upstream_is_told_without_a_url(upstream: Commerce, tmp_path: Path) -> None:
    """What the client calls us is never passed on in place of it; the start of the log says that nobody is trusted."""
    async with run_site(upstream, tmp_path, passwords=False) as site:
        evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": FORGED}
        for _ in range(2):
            await site.public("GET", "/v2/products", evil)
        for request in site.commerce.requests:
            told = [(name.lower(), value) for name, value in request.headers if "forwarded" in name.lower()]
            assert told == [("x-forwarded-for", "127.0.0.1")]
        as_one = "all requests count as one client; set server.trusted_proxies"
        assert [line["detail"] for line in site.log_lines() if line["event"] == "no_proxy_trusted"] == [
            f"where a proxy stands in front: {as_one}",
            f"X-Forwarded-For comes and is ignored: {as_one}",
        ]


THROTTLED = """
extends: moltin.yaml
server: {trusted_proxies: [127.0.0.1]}
customers: {throttle: {address: {burst: 1, per_minute: 0.001}}}
"""


async def test_the_throttle_counts_the_client(upstream: Commerce, tmp_path: Path) -> None:
    """Clients of one proxy are told apart, and none gets out of it by writing something in front of its address."""
    async with run_site(upstream, tmp_path, config=THROTTLED, passwords=False) as site:
        data = {"type": "token", "email": "nobody@example.com", "password": "whatever it is"}

        async def login(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            answer = await site.public("POST", "/v2/customers/tokens", headers, json={"data": data})
            return answer.status

        assert [await login(one) for one in ("203.0.113.7", "203.0.113.8")] == [404, 404]
        assert [await login(f"{one}, 203.0.113.7") for one in (FORGED, "203.0.113.9", "unknown", "10.0.0.1")] == [
            429
        ] * 4
        # An IPv6 client has a whole /64 of addresses.
        assert [await login(one) for one in ("2001:db8::7", "2001:db8::8")] == [404, 429]


def peers(*trusted: str, speaks_proxy: bool = False) -> Peers:
    """Trust these networks."""
    return Peers(Proxies(list(trusted)), list[Event]().append, speaks_proxy=speaks_proxy)


def test_a_connection_is_judged_anew_where_others_are_trusted() -> None:
    """Whoever is trusted no more is not heard any more, and the other way round."""
    before, after = peers("10.0.0.0/8"), peers("192.0.2.0/24")
    for address in ("10.0.0.1", "192.0.2.1"):
        peer = before.connected((address, 1))
        assert peer == Peer(address, is_heard=address == "10.0.0.1")
        assert after.anew(peer, (address, 1)) == Peer(address, is_heard=address == "192.0.2.1")


def test_nobody_is_vouched_for_on_a_connection_that_names_nobody() -> None:
    """A proxy's own connection stays its own, whoever is trusted: what passes on it may be anybody's."""
    nameless = Peer("10.0.0.1", is_heard=False, is_nameless=True)
    after = peers("10.0.0.0/8", "192.0.2.0/24", speaks_proxy=True)
    assert after.anew(nameless, ("10.0.0.1", 1)) == nameless


def test_who_is_trusted_no_more_has_said_nothing() -> None:
    """With the PROXY protocol the address came from a proxy: without it there is none to go on with."""
    before, after = (peers(network, speaks_proxy=True) for network in ("10.0.0.0/8", "192.0.2.0/24"))
    peer = before.named("203.0.113.7")
    assert after.anew(peer, ("10.0.0.1", 1)) is None
    assert before.anew(peer, ("10.0.0.1", 1)) == peer


async def test_a_connection_of_a_proxy_that_is_trusted_no_more_ends() -> None:
    """Without an answer, as one that begins."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run, run.connected() as client:
        client.send(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n")
        client.ask("GET", "/a")
        assert (await client.reply()).status == 204
        run.edge.swap(replace(run.edge.serving, peers=peers("192.0.2.0/24", speaks_proxy=True)))
        client.ask("GET", "/a")
        assert await client.rest() == b""
        assert len(run.flow.asked) == 1
