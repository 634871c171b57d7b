"""What a request may be: its head, target, method, version, and who sends it. The upstream tells the truth."""

from gateway.demo.data import LESLIE
from tests.carrying.answer import CART, FOREIGN_ORDER, OWN_ORDER, PRODUCTS, WISHES
from tests.carrying.case import Ask, Group, case

LINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "odd capitals": ("ACCEPT: application/json", "uSER-aGENT: x"),
    "repeated": ("Accept: a", "Accept: b", "X-Moltin-Currency: USD", "X-Moltin-Currency: EUR"),
    "blanks": ("Accept:   a  \t", "User-Agent:"),
    "beyond ASCII": ("User-Agent: \xe9\xff", "X-Moltin-Language: \xc3\xa9"),
    "a trace": ("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b"),
    "no trace": ("traceparent: 00-X", "tracestate: a=b"),
    "hop by hop": (
        "Connection: keep-alive, X-Moltin-Currency",
        "X-Moltin-Currency: USD",
        "Keep-Alive: 5",
        "TE: trailers",
    ),
    "connection: close": ("Connection: close",),
    "connection: CLOSE": ("Connection: x, CLOSE",),
    "a websocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: eA==",
        "Sec-WebSocket-Version: 13",
    ),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "upgrade alone": ("Upgrade: websocket",),
    "conditions": ("If-None-Match: a", "If-Match: b", "Range: bytes=0-9", "If-Modified-Since: x"),
    "an origin": ("Origin: https://shop.example",),
    "a preflight": ("Origin: https://shop.example", "Access-Control-Request-Method: GET"),
    "a cookie": ("Cookie: a=b", "X-Request-Id: mine", "X-Forwarded-For: 1.2.3.4", "Idempotency-Key: k"),
    "override": ("X-HTTP-Method-Override: DELETE",),
    "a length of nothing": ("Content-Length: 0",),
    "a type without a body": ("Content-Type: application/json",),
    "expecting": ("Expect: 100-continue",),
    "expecting else": ("Expect: 200-ok",),
    "a coding": ("Content-Encoding: gzip", "Accept-Encoding: gzip, br"),
    "a long line": (f"User-Agent: {'a' * 8000}",),
    "a line that is too long": (f"User-Agent: {'a' * 33_000}",),
    "many lines": tuple(f"X-{number}: a" for number in range(100)),
    "too many lines": tuple(f"X-{number}: a" for number in range(200)),
    "two hosts": ("Host: y",),
    "a length twice": ("Content-Length: 0", "Content-Length: 0"),
    "length and chunks": ("Content-Length: 0", "Transfer-Encoding: chunked"),
    "identity": ("Transfer-Encoding: identity",),
    "a negative length": ("Content-Length: -1",),
    "folded": ("Accept: a\r\n b",),
    "a control": ("Accept: a\x01b",),
    "NUL": ("Accept: a\x00b",),
    "no colon": ("Accept",),
    "a space before the colon": ("Accept : a",),
}
TARGETS = [
    "/v2/orders", "/v2/orders?filter=eq(status,paid)", "/v2/orders?filter=eq(customer_id,x)", "/v2/orders?filter=eq(",
    "/v2/orders?filter=a&filter=b", "/v2/orders?FILTER=a", "/v2/orders?include=items", "/v2/orders?page[limit]=1",
    "/v2/orders?page%5Blimit%5D=1&sort=-created_at", "/v2/orders?unknown=1", "/v2/orders?", "/v2/orders?a=;",
    "/v2/orders/",
    OWN_ORDER, f"{OWN_ORDER}?include=items", FOREIGN_ORDER, "/v2/orders/x",
    f"{OWN_ORDER}/items", f"{FOREIGN_ORDER}/items",
    WISHES, f"/v2/customers/{LESLIE.id}/wishes", PRODUCTS, f"{PRODUCTS}?a=b&a=c",
    f"{PRODUCTS}?q=%c3%bc+%2B", "/v2/%70roducts",
    "/v2/products/x%20y", "/v2/products/%2e%2e", "//v2/products", "/v2//products", "/v2/products#a", "/v2/./products",
    "/v2/products/..", "/v2/products/a%2fb", "/v2/products/%zz", "/v2/products/%ff",
    "/v2/products/a;b", "/v2/products?%66=1",
    "/v2/products?a=%00", "/v2/products?_method=DELETE", "http://evil.example/v2/products", "*", "/", "/v2/carts/lanes",
    "/v2/carts/a%2Bb", "/catalog/a/b/c?d=e", "/catalog/", "/catalog/\xc3\xbc", "/v2/products/\xff", "/nowhere",
    "/v2/customers/tokens", "/oauth/access_token", "/.well-known/jwks.json",
    f"/catalog/{'a' * 8000}", f"/catalog/{'a' * 8200}",
    f"/v2/products?{'&'.join('a=b' for _ in range(101))}",
]  # fmt: skip
METHODS = ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "TRACE", "QUERY", "get", "CONNECT"]
CALLERS = [
    "public", "nobody", "ron", "leslie", "trusted", "ron through a server", "two tokens", "the same token twice",
    "two bearers", "a forged bearer", "a forged token", "no scheme", "an empty bearer", "an empty token",
]  # fmt: skip
VERSIONS = ["1.0", "1.1", "0.9", "2.0", "1.2", "1"]


def short(target: str) -> str:
    """Return a target as it stands in a name: of a long one only how it begins, and its length."""
    return target if len(target) < 100 else f"{target[:20]}... ({len(target)})"


HEADS = Group(
    "heads",
    tuple(
        case(f"{lines}, {target}", Ask("GET", target, "ron", LINES[lines]))
        for lines in LINES
        for target in ("/v2/orders", PRODUCTS, "/nowhere")
    ),
)
ALL_TARGETS = Group(
    "targets",
    tuple(
        case(f"{short(target)}, {caller}", Ask("GET", target, caller))
        for target in TARGETS
        for caller in ("ron", "public", "trusted")
    ),
)
ALL_METHODS = Group(
    "methods",
    tuple(
        case(f"{method}, {target}", Ask(method, target, "ron"))
        for method in METHODS
        for target in ("/v2/orders", CART, WISHES, PRODUCTS, "/nowhere", "/v2/customers/tokens")
    ),
)
ALL_CALLERS = Group(
    "callers",
    tuple(
        case(f"{caller}, {target}", Ask("GET", target, caller))
        for caller in CALLERS
        for target in ("/v2/orders", OWN_ORDER, FOREIGN_ORDER, CART, "/nowhere")
    ),
)
ALL_VERSIONS = Group(
    "versions",
    tuple(
        case(
            f"{version}, {', '.join(lines) or 'nothing said'}",
            (Ask("GET", PRODUCTS, "public", lines, version=version),) * 2,
        )
        for version in VERSIONS
        for lines in ((), ("Connection: keep-alive",), ("Connection: close",))
    ),
)
