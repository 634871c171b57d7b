"""Path confusion (D1): what is matched is what is forwarded, whatever the target looks like."""

import pytest

from gateway.demo.data import LESLIE, RON
from tests.attacks.field import (
    ON_ONE_LOOP,
    Field,
    address_of,
    assert_clean,
    assert_matched_or_refused,
    assert_nothing_sent,
    assert_refused,
    every,
    order_of,
    target_of,
)

pytestmark = ON_ONE_LOOP

ROUTES = {
    "orders": "/v2/orders",
    "other's profile": f"/v2/customers/{LESLIE.id}",
    "other's addresses": f"/v2/customers/{LESLIE.id}/addresses",
    "catalogue": "/catalog/products/x",
}
# One scoped and one open route, for tricks that are refused before anybody asks which route they mean.
TWO_ROUTES = {name: ROUTES[name] for name in ("other's addresses", "catalogue")}
PLACES = ("first", "middle", "last")


def cut(target: str, place: str) -> tuple[list[str], str, list[str]]:
    """Take a path apart at a segment: what is before it, the segment, what is behind."""
    segments = target.split("/")[1:]
    at = {"first": 0, "middle": len(segments) // 2, "last": len(segments) - 1}[place]
    return segments[:at], segments[at], segments[at + 1 :]


def before(target: str, place: str, inserted: str) -> str:
    """Put something before a segment, as a segment of its own."""
    head, segment, tail = cut(target, place)
    return "/" + "/".join([*head, inserted, segment, *tail])


def behind(target: str, place: str, appended: str) -> str:
    """Put something at the end of a segment."""
    head, segment, tail = cut(target, place)
    return "/" + "/".join([*head, segment + appended, *tail])


# Whoever decodes, trims or normalises these gets "..", "." or nothing.
DOTS = (
    "..", ".", "%2e%2e", "%2E%2E", "%2e.", ".%2E", "%2e", "...", "%2e%2e%2e", "..%20", "%20..", "..%00", "..%09",
    "..;", "..;x=1", ".;", "%2e%2e;", "..%3b", "..%0d%0a", "..%23", "..%3f", "..\\", "..%5c", "%5c..", "..%2f", "%2f..",
    "..%255c", "..%252f",
)  # fmt: skip
TWICE_ENCODED = ("%252e%252e", "%252E%252e", "%25252e%25252e", "%252e", "..%252f..", "%252f", "%255c", "%2500")
OVERLONG = (
    "%c0%ae%c0%ae", "%c0%ae", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae", "%c0%2e%c0%2e", "..%c0%af", "%c0%af", "%c1%9c",
    "%c1%1c", "%u002e%u002e", "%u2215", "%uff0e%uff0e", "%f8%80%80%80%ae", "%ff", "%80", "%ed%a0%80", "%zz", "%", "%2",
)  # fmt: skip
DRESSED = (
    "%ef%bc%8e%ef%bc%8e", "%ef%bc%8e", "%e2%80%a5", "%e2%80%a4%e2%80%a4", "%ef%bc%8f", "..%ef%bc%8f", "%ef%bc%bc",
    "%e2%88%95", "%ef%b9%a8", "%c2%a0", "%e3%80%80", "%e2%80%8b", "..%e2%80%8b",
)  # fmt: skip
STRUCTURE = ("", "%2f", "%2F", "%5c", "%5C", "\\", ";", ";x", "%3b", "%3B", "%20", "%09", "%00", "%0a", "%0d%0a", "%7f")


@every(trick=DOTS, place=PLACES, route=ROUTES)
async def test_cve_2025_66490_dot_segments(field: Field, trick: str, place: str, route: str) -> None:
    """A dot segment in any spelling is refused or is no dot segment upstream (D1.3; Traefik CVE-2025-32431)."""
    target = before(route, place, trick)
    assert_matched_or_refused(field, await field.attack(field.request("GET", target)), "GET", target)


@every(trick=TWICE_ENCODED, place=PLACES, route=TWO_ROUTES)
async def test_d1_0_double_encoding(field: Field, trick: str, place: str, route: str) -> None:
    """An escaped percent sign is refused: what decodes twice would read another path (D.0, `/v2/%2561dmin`)."""
    assert_refused(await field.attack(field.request("GET", before(route, place, trick))))
    assert_refused(await field.attack(field.request("GET", behind(route, place, trick))))


@every(trick=OVERLONG, place=PLACES, route=TWO_ROUTES)
async def test_d1_0_overlong_and_broken_escapes(field: Field, trick: str, place: str, route: str) -> None:
    """Escapes that are not shortest-form UTF-8 are refused: some decoders read dots and slashes in them (D.0)."""
    assert_refused(await field.attack(field.request("GET", before(route, place, trick))))
    assert_refused(await field.attack(field.request("GET", behind(route, place, trick))))


@every(trick=DRESSED, place=PLACES, route=TWO_ROUTES)
async def test_d1_0_unicode_dress(field: Field, trick: str, place: str, route: str) -> None:
    """Fullwidth dots and slashes never become real ones behind us (D.0)."""
    for target in (before(route, place, trick), behind(route, place, trick)):
        assert_matched_or_refused(field, await field.attack(field.request("GET", target)), "GET", target)


@every(trick=STRUCTURE, place=PLACES, route=TWO_ROUTES)
async def test_cve_2021_29492_empty_and_structural_segments(field: Field, trick: str, place: str, route: str) -> None:
    """Empty segments, encoded slashes and backslashes are refused (D1.9 Envoy; D1.13 APISIX; OPA CVE-2026-26205)."""
    assert_refused(await field.attack(field.request("GET", before(route, place, trick))))


SUFFIXES = (
    ".", "%2e", "%20", "%00", "%00.json", ";x=1", ";jsessionid=1", "%3bx", "%3Bx=1", ".json", ".JSON", "\\", "%5c",
    "%2f", "%2f..", "%0d%0aX:%20y", "%0a", "%09", "%7f", "~", "+", "%2b", "*", "@evil.example", ":80", "!", "$", "'",
    "(", ",", "=", "|", "%7c", "^", "`", "{}", '"', "<", "[0]",
)  # fmt: skip


@every(trick=SUFFIXES, place=PLACES, route=TWO_ROUTES)
async def test_d1_15_suffixes(field: Field, trick: str, place: str, route: str) -> None:
    """`;`, suffixes and odd characters have one meaning or none (D1.15, servlet containers)."""
    target = behind(route, place, trick)
    assert_matched_or_refused(field, await field.attack(field.request("GET", target)), "GET", target)


@every(route=ROUTES, slashes=["/", "//", "/.", "/%2e", "/%2f", "/;", "/%20"])
async def test_d1_15_trailing_slash(field: Field, route: str, slashes: str) -> None:
    """A path that ends with a slash is no other path: it is refused (D1.15)."""
    assert_refused(await field.attack(field.request("GET", route + slashes)))


FRAGMENTS = ("#", "#/catalog/products", "%23", "%23/catalog/products", "#?x", "?#", "?x=1#y", "%2523")


@every(trick=FRAGMENTS, place=PLACES, route=TWO_ROUTES)
async def test_cve_2023_47106_fragment(field: Field, trick: str, place: str, route: str) -> None:
    """A fragment, raw or escaped, is refused: it ends the path for some readers (Traefik)."""
    assert_refused(await field.attack(field.request("GET", behind(route, place, trick))))


QUESTIONS = ("%3f", "%3F", "%3fpage=1", "%3f/catalog/products", "%253f")


@every(trick=QUESTIONS, place=PLACES, route=TWO_ROUTES)
async def test_d1_0_encoded_question_mark(field: Field, trick: str, place: str, route: str) -> None:
    """An escaped question mark is refused: who decodes it gets a query (D.0, `/v2/customers%3fpage=1`)."""
    assert_refused(await field.attack(field.request("GET", behind(route, place, trick))))


@every(
    query=[
        "x=/catalog/products",
        "/catalog/products",
        "a=1&/v2/products",
        "redirect=//evil.example",
        "x=..%2f..%2fcatalog",
    ],
    route={name: target for name, target in ROUTES.items() if name != "catalogue"},
)
async def test_cve_2025_54576_query_is_no_path(field: Field, query: str, route: str) -> None:
    """Routes match the path alone; a query that looks like an open path opens nothing (D1.5, oauth2-proxy)."""
    assert_refused(await field.attack(field.request("GET", f"{route}?{query}", customer=False), me=None), 403)
    assert_refused(await field.attack(field.request("GET", f"{route}?{query}")))


CLIMBS = ("..", "%2e%2e", "%2E.", "..%2f", "..%5c", "..\\", "..;", "%252e%252e", "%c0%ae%c0%ae", "%ef%bc%8e%ef%bc%8e")
FORBIDDEN = {
    "other's profile": f"v2/customers/{LESLIE.id}",
    "all customers": "v2/customers",
    "all orders": "v2/orders",
    "other's order": f"v2/orders/{order_of(LESLIE)}",
    "gateways": "v2/gateways",
}


@every(
    climb=CLIMBS,
    goal=FORBIDDEN,
    launchpad=["/catalog", "/catalog/products", "/v2/products"],
    caller=["public", "customer"],
)
async def test_cve_2026_33494_path_traversal(field: Field, climb: str, goal: str, launchpad: str, caller: str) -> None:
    """An open route is no launchpad: climbing out of it is refused (D1.1, Oathkeeper `TestRulePathTraversal`)."""
    target = "/".join([launchpad, *([climb] * (launchpad.count("/"))), goal])
    me = RON if caller == "customer" else None
    outcome = await field.attack(field.request("GET", target, customer=caller == "customer"), me=me)
    assert_refused(outcome)


@every(goal=FORBIDDEN, joint=["/", "%2f", "%5c", "//", "/./", "%252f"], launchpad=["/catalog", "/catalog/x"])
async def test_d1_13_tail_takes_no_other_path(field: Field, goal: str, joint: str, launchpad: str) -> None:
    """What a tail route swallows stays below its own prefix upstream (D1.13)."""
    target = f"{launchpad}{joint}{goal.replace('/', joint)}"
    assert_matched_or_refused(field, await field.attack(field.request("GET", target)), "GET", target)


def respelled(segment: str, how: str) -> str:
    """Write a segment so that a decoding or folding reader reads it as before."""
    match how:
        case "escaped letter":
            return f"%{ord(segment[0]):02x}{segment[1:]}"
        case "escaped last letter":
            return f"{segment[:-1]}%{ord(segment[-1]):02X}"
        case "all escaped":
            return "".join(f"%{ord(letter):02x}" for letter in segment)
        case "escaped twice":
            return f"%25{ord(segment[0]):02x}{segment[1:]}"
        case "capitals":
            return segment.upper()
        case "one capital":
            return segment[0].swapcase() + segment[1:]
        case _:
            wide = "".join(chr(ord(letter) + 0xFEE0) for letter in segment)
            return "".join(f"%{byte:02x}" for byte in wide.encode())


@every(
    how=[
        "escaped letter",
        "escaped last letter",
        "all escaped",
        "escaped twice",
        "capitals",
        "one capital",
        "fullwidth",
    ],
    place=PLACES,
    route=ROUTES,
)
async def test_d1_0_respelled_segments(field: Field, how: str, place: str, route: str) -> None:
    """A segment in another spelling is the same segment for matching and forwarding, or refused (D.0)."""
    head, segment, tail = cut(route, place)
    target = "/" + "/".join([*head, respelled(segment, how), *tail])
    assert_matched_or_refused(field, await field.attack(field.request("GET", target)), "GET", target)
    outcome = await field.attack(field.request("GET", target, customer=False), me=None)
    assert_matched_or_refused(field, outcome, "GET", target)


FORMS = (
    "http://evil.example/v2/orders", "http://shop.example@evil.example/v2/orders", "HTTP://shop.example.evil/v2/orders",
    "https://a@shop.example/v2/orders", "ftp://shop.example/v2/orders", "http://shop.example:81/v2/orders",
    "http://shop.example\\@evil.example/v2/orders", "http://shop.example//v2/orders", "http://shop.example#/v2/orders",
    "http://shop.example/v2/../v2/orders", "http://shop.example.:80/v2/orders", "http://http://shop.example/v2/orders",
    "http:/v2/orders", "http:v2/orders",
    "//evil.example/v2/orders", "///v2/orders", "/\\evil.example/v2/orders", "\\v2\\orders", "v2/orders", "",
    "?filter=x", "evil.example:443", "evil.example", "@evil.example/v2/orders", ":80/v2/orders",
    ".evil.example/v2/orders",
    "/http://evil.example/v2/orders", "/@evil.example/v2/orders", "http://127.0.0.1:1/v2/orders", "file:///etc/passwd",
    "javascript:x", "http://[::1]/v2/orders", "http://a@b/v2/orders", "http:///v2/orders", "unix:/x", "&",
    "%2fv2/orders",
    "/v2/orders http://evil.example/", "/v2/orders\t", "/v2/orders\x00", "/v2/orders\x0b", "/v2/\x7forders",
    "/v2/orders\xa0",
)  # fmt: skip


@every(form=FORMS, method=["GET", "POST", "DELETE", "OPTIONS"])
async def test_d1_16_other_forms_of_a_target(field: Field, form: str, method: str) -> None:
    """Absolute form with another authority, and authority form, are refused and never followed (D1.16)."""
    assert_refused(await field.attack(field.request(method, form)))


@every(form=["http://SHOP.example", "HTTP://shop.example:80", "https://shop.example:443", "http://shop.example:"])
async def test_an_absolute_form_of_ours_is_judged_like_the_origin_form(field: Field, form: str) -> None:
    """RFC 9112 section 3.2.2: it is accepted, and whose the records are is decided by the path as ever."""
    for path in ("/v2/orders", "/v2/orders?filter=eq(customer_id,x)", "/v2/customers/x", "/v2/orders%2f..", "/none"):
        origin, absolute = [await field.attack(field.request("GET", head + path)) for head in ("", form)]
        assert_clean(absolute)
        assert [reply.status for reply in absolute.replies] == [reply.status for reply in origin.replies]
        assert [one.path for one in absolute.requests] == [one.path for one in origin.requests]


@every(method=["GET", "POST", "DELETE"])
async def test_an_asterisk_is_asked_of_no_method_but_options(field: Field, method: str) -> None:
    """RFC 9112 section 3.2.4: the server itself is asked what it can do, and the upstream hears nothing of it."""
    assert_refused(await field.attack(field.request(method, "*")))
    outcome = await field.attack(field.request("OPTIONS", "*"))
    assert [reply.status for reply in outcome.replies] == [204]
    assert_nothing_sent(outcome)


RAW = (b"\xff", b"\xc3\xb6", b"\xef\xbc\x8f", b"\xc0\xae\xc0\xae", b"\xe2\x80\xa5", b"\x80", b"\xc2\xa0")


@every(raw={repr(text): text for text in RAW}, place=PLACES, route=ROUTES)
async def test_d1_0_raw_bytes_beyond_ascii(field: Field, raw: bytes, place: str, route: str) -> None:
    """A target of bytes that are no ASCII is refused: servers decode them in three ways (D.0)."""
    target = behind(route, place, "*").encode().replace(b"*", raw)
    assert_refused(await field.attack(field.request("GET", target)))
    assert target_of(target)


METHODS = ("PUT", "PATCH", "TRACE", "TRACK", "OPTIONS", "CONNECT", "PROPFIND", "MOVE", "PURGE", "GETX", "QUERY", "LINK")


@every(method=METHODS, route=ROUTES)
async def test_d1_0_methods_are_compared_exactly(field: Field, method: str, route: str) -> None:
    """A method that the route does not name is refused, also where an upstream would know it (aiohttp THREAT_MODEL)."""
    outcome = await field.attack(field.request(method, route))
    assert_clean(outcome)
    assert_refused(outcome)


@pytest.mark.parametrize("method", ["get", "Get", "GET\t", "GE T", "GÉT", "", " GET", "GET,DELETE", '"GET"'])
async def test_d1_0_methods_have_one_spelling(field: Field, method: str) -> None:
    """A method in another spelling is refused."""
    assert_refused(await field.attack(field.request(method, "/v2/orders")))


@every(
    target={
        "own order through the other's path": f"/v2/customers/{LESLIE.id}/orders/{order_of(RON)}",
        "other's address below the own path": f"/v2/customers/{RON.id}/addresses/{address_of(LESLIE)}",
        "own address below the other's path": f"/v2/customers/{LESLIE.id}/addresses/{address_of(RON)}",
        "other's order": f"/v2/orders/{order_of(LESLIE)}",
        "items of the other's order": f"/v2/orders/{order_of(LESLIE)}/items",
        "transactions of the other's order": f"/v2/orders/{order_of(LESLIE)}/transactions",
        "both ids in one segment": f"/v2/customers/{RON.id},{LESLIE.id}",
        "both ids with a plus": f"/v2/customers/{RON.id}+{LESLIE.id}",
        "a wildcard": "/v2/customers/*",
        "a wildcard of orders": "/v2/orders/*",
        "me": "/v2/customers/me",
        "null": "/v2/customers/null",
        "own id in capitals": f"/v2/customers/{RON.id.upper()}",
        "own id with a space": f"/v2/customers/{RON.id}%20",
        "own id cut": f"/v2/customers/{RON.id[:-1]}",
    },
    method=["GET", "PUT", "DELETE", "POST"],
)
async def test_foreign_ids_in_paths(field: Field, target: str, method: str) -> None:
    """A foreign id in a path answers like an unknown one, and changes nothing (design.md, status codes)."""
    body = {"data": {"type": "address", "name": "hacked"}} if method in {"PUT", "POST"} else None
    outcome = await field.attack(field.request(method, target, body=body))
    assert_clean(outcome)
    assert 400 <= outcome.status < 500
    # Looked up it may be, written never.
    assert {request.method for request in outcome.requests} <= {"GET"}
