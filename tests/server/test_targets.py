"""Targets from socket to socket: as sent on open routes, canonical where rules apply, and one reading of each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config.compile import pseudonym
from gateway.demo.data import RON
from tests.fakes.commerce import Commerce, at
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import RawReply, connected

# `special` is a route of its own below an open tail, and so are letters that only Unicode normalisation makes.
CONFIG = """
extends: moltin.yaml
public_url: %s
server: {hosts: [%s]}
routes:
  - {name: tail, path: "/open/{rest...}", methods: [GET, POST], access: {public: open, customer: open, trusted: open}}
  - {name: special, path: "/open/a+b/{x}", methods: [GET], access: {trusted: open}}
  - {name: normal, path: /open/m2, methods: [POST], access: {trusted: open}}
"""


@pytest.fixture
async def served(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway with open routes beside each other, named shop.example and gateway.internal:8080."""
    config = CONFIG % ("https://shop.example", "gateway.internal:8080")
    async with run_site(upstream, tmp_path, config=config) as running:
        yield running


async def ask(site: Site, target: str, *lines: str, method: str = "GET", version: str = "HTTP/1.1") -> RawReply:
    """Send a public request with this very target."""
    async with connected(site) as client:
        head = (
            f"{method} {target} {version}",
            "Host: somebody.example",
            f"Authorization: Bearer {await site.bearer()}",
            *lines,
        )
        client.send("\r\n".join([*head, "Connection: close", "", ""]))
        return await client.reply()


AS_SENT = [
    "/open/x?page%5Blimit%5D=1", "/open/x?page[limit]=1", "/open/x%2By", "/open/a%3Ab%40c%24d", "/open/x?uploads",
    "/open/x?uploads=", "/open/x?q=a+b", "/open/x?q=a%20b", "/open/x?a=1&&b=2&", "/open/x?a=2&b=1&a=3", "/open/x?",
    "/open/x?sig=a%2Fb%3Fc%3Ad%3D", "/open/x?q=%2b%26%3D%23%25", "/open/caf%C3%A9", "/open/caf%c3%a9", "/open/%61%2Db",
    "/open/x?q=%E9t%E9", '/open/x?q={"a":[1,2]}', "/open/m%C2%B3", "/open/%EF%BD%B1", "/open/e%CC%81", "/open/(a)*'!",
]  # fmt: skip


@pytest.mark.parametrize("target", AS_SENT)
async def test_an_open_target_leaves_as_it_came(served: Site, target: str) -> None:
    """Signatures are made of the spelling, and `?uploads` is no `?uploads=` to everybody."""
    await ask(served, target)
    assert [request.target for request in served.commerce.requests] == [target]


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/open/a%2Bb/c", id="undecoded it is the tail's, decoded it is the other route's"),
        pytest.param("/open/m%C2%B2", id="normalised it is another route"),
        pytest.param("/%EF%BD%8Fpen/x", id="a letter that only normalising makes the route's"),
        pytest.param("/open/a%EF%BC%8B%62/c", id="a plus that normalising makes"),
        pytest.param("/open/x?q=%C0%AF", id="a slash in overlong UTF-8"),
        pytest.param("/open/x?q=%E0%80%AF", id="a longer one"),
        pytest.param("/open/x?%E9=1", id="a name that is not UTF-8"),
        pytest.param("/open/%E9", id="a path that is not UTF-8"),
        pytest.param("/open/a%2Fb", id="an escaped slash"),
        pytest.param("/open/%2e%2e/x", id="escaped dots"),
        pytest.param("/open/%EF%BC%8E%EF%BC%8E/x", id="dots that normalising makes"),
        pytest.param("/open/a%25", id="a second encoding to come"),
        pytest.param("/open/x;y", id="a semicolon"),
        pytest.param("/open/x?q=%0d%0a", id="a line end"),
        pytest.param("/open/x?_method=DELETE", id="another method"),
        pytest.param("/open/x?_meth%6Fd=DELETE", id="another method, hidden"),
    ],
)
async def test_a_target_with_two_readings_goes_nowhere(served: Site, target: str) -> None:
    """What somebody behind us could take for another route or another place is refused."""
    reply = await ask(served, target)
    assert reply.status in {400, 403, 404}
    assert served.commerce.requests == []


async def test_a_hidden_letter_of_a_route_is_spelled_out(served: Site) -> None:
    """Undecoded the path is no route's: the canonical one leaves, with the query as it came."""
    await ask(served, "/op%65n/%78?q=a+b")
    assert [request.target for request in served.commerce.requests] == ["/open/x?q=a+b"]


@pytest.mark.parametrize(
    ("target", "sent"),
    [("/v2/orders?page%5Blimit%5D=1", "&page[limit]=1"), ("/v2/orders?sort=a%2Db", "&sort=a-b")],
)
async def test_where_rules_apply_the_canonical_spelling_leaves(site: Site, target: str, sent: str) -> None:
    """What the rules saw is what the upstream sees."""
    token = await site.token(RON.email)
    site.commerce.forget()
    await ask(site, target, f"X-Moltin-Customer-Token: {token}")
    assert [request.target for request in site.commerce.requests] == [
        f"/v2/orders?filter=eq(customer_id,{RON.id}){sent}"
    ]


@pytest.mark.parametrize("target", ["/v2/orders?sort=%E9", "/v2/orders/m%C2%B3", "/oauth/access_token?x=%E9"])
async def test_where_rules_apply_no_odd_text_passes(site: Site, target: str) -> None:
    """Rules compare texts: what readers see differently reaches none, nor an endpoint of ours."""
    token = await site.token(RON.email)
    site.commerce.forget()
    method = "POST" if "oauth" in target else "GET"
    reply = await ask(site, target, f"X-Moltin-Customer-Token: {token}", method=method)
    assert reply.status == 400
    assert site.commerce.requests == []


@pytest.mark.parametrize(
    "start",
    [
        "http://shop.example", "HTTPS://SHOP.example", "https://shop.example:443", "http://shop.example:80",
        "http://gateway.internal:8080",
    ],
)  # fmt: skip
async def test_an_absolute_form_of_ours_is_read(served: Site, start: str) -> None:
    """RFC 9112 section 3.2.2: it says the host, whatever the Host line says; what leaves is the origin form."""
    reply = await ask(served, f"{start}/open/x%2By?q=a+b")
    assert reply.status != 400
    assert [request.target for request in served.commerce.requests] == ["/open/x%2By?q=a+b"]


@pytest.mark.parametrize(
    "target",
    [
        "http://somebody.example/open/x", "http://shop.example:81/open/x", "http://a@shop.example/open/x",
        "http://shop.example@evil.example/open/x", "ftp://shop.example/open/x", "http://gateway.internal/open/x",
        "http://shop.example//open/x", "http://shop.example/open/../open/x", "http://shop.example/open/x#y",
    ],
)  # fmt: skip
async def test_any_other_absolute_form_is_refused(served: Site, target: str) -> None:
    """Somebody else's name is not ours because the Host line repeats it."""
    reply = await ask(served, target)
    assert reply.status == 400
    assert served.commerce.requests == []


async def test_without_a_name_the_host_line_says_whom_the_client_asks(bare: Site) -> None:
    """Where nothing is configured any Host is served, and the absolute form must say the same."""
    reply = await ask(bare, "http://somebody.example/v2/products")
    assert (reply.status, len(bare.commerce.requests)) == (200, 1)
    reply = await ask(bare, "http://other.example/v2/products")
    assert (reply.status, len(bare.commerce.requests)) == (400, 1)


async def test_options_of_the_server_itself(bare: Site) -> None:
    """RFC 9110 section 9.3.7: an asterisk asks the server, not the API behind it."""
    reply = await ask(bare, "*", method="OPTIONS")
    assert (reply.status, bare.commerce.requests) == (204, [])


@pytest.mark.parametrize(("version", "said"), [("HTTP/1.1", "1.1"), ("HTTP/1.0", "1.0")])
async def test_a_forwarded_request_says_by_whom(bare: Site, version: str, said: str) -> None:
    """RFC 9110 section 7.6.3: each hop adds itself behind those before, with the version that it was spoken to in."""
    await ask(bare, "/v2/products", "Via: 1.0 fred, 1.1 p.example", version=version)
    (request,) = bare.commerce.requests
    assert request.values("via") == ["1.0 fred, 1.1 p.example", f"{said} {pseudonym(bare.config)}"]


async def test_a_request_that_comes_back_ends(bare: Site) -> None:
    """By its own Via it is known at once, before anybody is asked who asks; another gateway's name is none of ours."""
    own = pseudonym(bare.config)
    for line in (own, f"1.1 {own}", f"1.0 fred, 1.1 {own.upper()} (again), 1.1 p"):
        reply = await ask(bare, "/v2/products", f"Via: {line}", f"Via: 1.1 {own}")
        assert reply.status == 508
    assert bare.commerce.requests == []
    for line in (f"1.1 {own}0", f"1.1 x{own}", f"1.1 p ({own})", "1.1 customer-token-gateway", own):
        assert (await ask(bare, "/v2/products", f"Via: {line}")).status == 200


async def test_a_circle_further_on_is_told(bare: Site) -> None:
    """Who met the request again says so, and so do we."""
    bare.commerce.script(at("/v2/products"), b"HTTP/1.1 508 Loop Detected\r\ncontent-length: 0\r\n\r\n")
    reply = await ask(bare, "/v2/products")
    assert (reply.status, reply.code) == (508, "FORWARDING_LOOP")


def test_a_deployment_has_one_pseudonym_of_its_own(bare: Site) -> None:
    """Replicas, with other stores and keys, share it; a gateway of another API, or issuer, does not."""
    config = bare.config
    tokens, upstream = config.tokens, config.upstream
    replica = config.model_copy(update={"tokens": tokens.model_copy(update={"keys": ()}), "store": None})
    others = [
        config.model_copy(update={"tokens": tokens.model_copy(update={"issuer": "x"})}),
        config.model_copy(update={"upstream": upstream.model_copy(update={"url": "http://x.example"})}),
        config.model_copy(update={"public_url": "https://x.example"}),
    ]
    assert pseudonym(replica) == pseudonym(config)
    assert len({pseudonym(one) for one in (config, *others)}) == 4
    named = config.server.model_copy(update={"pseudonym": "shop-gateway"})
    assert pseudonym(config.model_copy(update={"server": named})) == "shop-gateway"
