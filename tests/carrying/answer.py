"""How the upstream's answers are written in golden cases: the bytes, and what stands in them."""

import gzip
import json

from gateway.demo.data import LESLIE, RON, identity

OWN_ORDER = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
FOREIGN_ORDER = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
WISHES = f"/v2/customers/{RON.id}/wishes"
FOREIGN_WISHES = f"/v2/customers/{LESLIE.id}/wishes"
PRODUCTS = "/v2/products"
CART = "/v2/carts/lanes"

OWNED = {"type": "order", "id": "o1", "relationships": {"customer": {"data": {"type": "customer", "id": RON.id}}}}
STRANGE = {"type": "order", "id": "o2", "relationships": {"customer": {"data": {"type": "customer", "id": LESLIE.id}}}}
LINK = (
    b'{"data":[],"links":{"next":"http://links.example/v2/products?a=1","a":"http://links.example",'
    b'"b":"http://links.example.evil/x"}}'
)
BODIES: dict[str, bytes] = {
    "own list": json.dumps({"data": [OWNED]}).encode(),
    "foreign list": json.dumps({"data": [OWNED, STRANGE]}).encode(),
    "own record": json.dumps({"data": OWNED}).encode(),
    "wishes": json.dumps({"data": [{"id": "w", "owner": RON.id}]}).encode(),
    "no data": b"{}",
    "links": LINK,
    "escaped links": LINK.replace(b"/", rb"\/"),
    "nothing": b"",
    "half": json.dumps({"data": [OWNED]}).encode()[:-3],
    "two": b'{"data":[]}{"data":[]}',
    "error": b'{"errors":[{"status":422,"title":"No","detail":"a value","code":"X"}]}',
    "no JSON": b"<html>no</html>",
    "a request": b"GET /v2/orders HTTP/1.1\r\nHost: x\r\n\r\n",
    "a lone surrogate": rb'{"data":[{"id":"\ud800","owner":"x"}]}',
    "large": b'{"data":[' + b'"http://links.example/%s",' % (b"x" * 200) * 1500 + b"1]}",
    "large, no JSON": b"x" * 300_000,
    "packed": gzip.compress(json.dumps({"data": [OWNED]}).encode(), mtime=0),
}
OWN = BODIES["own list"]
JSON = "content-type: application/json"
CHUNKED = "transfer-encoding: chunked"


def chunks(body: bytes, size: int = 1000, end: bytes = b"0\r\n\r\n", style: bytes = b"%x\r\n") -> bytes:
    """Write a body in chunks of `size` bytes, each behind its size in that style."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(style % len(piece) + piece + b"\r\n" for piece in pieces) + end


def head(*lines: str, status: object = 200, version: str = "HTTP/1.1", reason: str = "Said") -> bytes:
    """Write the head of an answer."""
    return "\r\n".join([f"{version} {status} {reason}", *lines, "", ""]).encode("latin-1")


def framed(body: bytes, *lines: str, status: object = 200) -> bytes:
    """Write an answer with a length."""
    return head(JSON, *lines, f"content-length: {len(body)}", status=status) + body
