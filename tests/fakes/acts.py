"""How the fake upstream misbehaves: one function per fault, and the list of them all."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from gateway.demo.answers import ShopAnswer, json_answer
from gateway.demo.shop import Shop
from gateway.vocab.messages import Json
from tests.fakes.faults import Fault, Injection
from tests.fakes.wire import Recorded, answer_bytes, framed, head_bytes


class Exchange(Protocol):
    """What a fault has to work with: the request, the shop, and the way back to the peer."""

    request: Recorded
    shop: Shop

    async def send(self, data: bytes) -> None:
        """Send bytes and wait until the transport took them."""

    async def peer_gone(self) -> None:
        """Wait until the peer has left."""


async def normal(exchange: Exchange, answer: ShopAnswer) -> bool:
    """Send a true answer; say that the connection may be used again."""
    sent = answer_bytes(answer)
    if exchange.request.method == "HEAD":
        # RFC 9110 section 9.3.2: the head says of a body what it would to a GET, and nothing follows.
        sent = sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    await exchange.send(sent)
    return True


def true_answer(exchange: Exchange) -> ShopAnswer:
    """Give what the shop says to the request."""
    request = exchange.request
    return _asked(exchange, request.path, request.query)


def _asked(exchange: Exchange, path: str, query: list[tuple[str, str]], method: str | None = None) -> ShopAnswer:
    request = exchange.request
    headers = {name.lower(): value for name, value in request.headers}
    return exchange.shop.answer(method or request.method, path, query, headers, request.body)


async def _pause(injection: Injection) -> None:
    if injection.gate is not None:
        await injection.gate.wait()
    else:
        await asyncio.sleep(injection.delay)


async def ignore_filter(exchange: Exchange, _: Injection) -> bool:
    """Fault.IGNORE_FILTER."""
    request = exchange.request
    return await normal(
        exchange, _asked(exchange, request.path, [pair for pair in request.query if pair[0] != "filter"])
    )


async def other_record(exchange: Exchange, injection: Injection) -> bool:
    """Fault.OTHER_RECORD."""
    parts = exchange.request.path.split("/")
    records = {"customers": exchange.shop.customers, "orders": exchange.shop.orders, "carts": exchange.shop.carts}
    pool = records.get(parts[2], {}) if len(parts) > 3 else {}
    if pool:
        mine = _owner(pool.get(parts[3], {}))
        parts[3] = injection.record or next(ident for ident, record in pool.items() if _owner(record) != mine)
    return await normal(exchange, _asked(exchange, "/".join(parts), exchange.request.query))


def _owner(record: Json) -> str:
    """Tell records of different owners apart: a customer is its own owner, guests are one more."""
    if record.get("type") == "customer":
        return str(record["id"])
    linked = record.get("relationships", {})
    return str(linked.get("customer") or linked.get("customers"))


async def slow_head(exchange: Exchange, injection: Injection) -> bool:
    """Fault.SLOW_HEAD."""
    await _pause(injection)
    return await normal(exchange, true_answer(exchange))


async def slow_body(exchange: Exchange, injection: Injection) -> bool:
    """Fault.SLOW_BODY."""
    answer = true_answer(exchange)
    half = len(answer.body) // 2
    await exchange.send(head_bytes(answer.status, framed(answer)) + answer.body[:half])
    await _pause(injection)
    await exchange.send(answer.body[half:])
    return True


async def cut_body(exchange: Exchange, _: Injection) -> bool:
    """Fault.CUT_BODY."""
    answer = true_answer(exchange)
    await exchange.send(head_bytes(answer.status, framed(answer)) + answer.body[: len(answer.body) // 2])
    return False


async def long_length(exchange: Exchange, injection: Injection) -> bool:
    """Fault.LONG_LENGTH."""
    answer = true_answer(exchange)
    length = len(answer.body) + (injection.size or 100)
    headers = [*answer.headers, ("content-length", str(length))]
    await exchange.send(head_bytes(answer.status, headers) + answer.body)
    await exchange.peer_gone()
    return False


async def truncated_json(exchange: Exchange, _: Injection) -> bool:
    """Fault.TRUNCATED_JSON."""
    answer = true_answer(exchange)
    return await normal(exchange, replace(answer, body=answer.body[: len(answer.body) // 2]))


async def trailing_bytes(exchange: Exchange, _: Injection) -> bool:
    """Fault.TRAILING_BYTES."""
    answer = true_answer(exchange)
    return await normal(exchange, replace(answer, body=answer.body + b'{"data":[]}'))


async def gzip_body(exchange: Exchange, _: Injection) -> bool:
    """Fault.GZIP."""
    answer = true_answer(exchange)
    headers = [*answer.headers, ("content-encoding", "gzip")]
    return await normal(exchange, replace(answer, headers=headers, body=gzip.compress(answer.body)))


async def gzip_bomb(exchange: Exchange, injection: Injection) -> bool:
    """Fault.GZIP_BOMB."""
    body = b'{"data":[]' + b" " * (injection.size or 16 * 1024 * 1024) + b"}"
    headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
    return await normal(exchange, ShopAnswer(200, headers, gzip.compress(body, 1)))


async def redirect(exchange: Exchange, injection: Injection) -> bool:
    """Fault.REDIRECT."""
    return await normal(exchange, ShopAnswer(injection.status or 302, [("location", injection.location)], b""))


async def unauthorized(exchange: Exchange, _: Injection) -> bool:
    """Fault.UNAUTHORIZED."""
    error = {"status": 401, "title": "Unable to validate access token", "detail": ""}
    return await normal(exchange, json_answer({"errors": [error]}, 401))


async def server_error(exchange: Exchange, injection: Injection) -> bool:
    """Fault.SERVER_ERROR."""
    status = injection.status or 500
    error = {"status": status, "title": "Internal Server Error", "detail": "stack trace of the upstream"}
    return await normal(exchange, json_answer({"errors": [error]}, status))


def _page(status: int) -> ShopAnswer:
    return ShopAnswer(status, [("content-type", "text/html")], b"<html><body>upstream says hello</body></html>")


async def html_ok(exchange: Exchange, _: Injection) -> bool:
    """Fault.HTML_OK."""
    return await normal(exchange, _page(200))


async def html_error(exchange: Exchange, injection: Injection) -> bool:
    """Fault.HTML_ERROR."""
    return await normal(exchange, _page(injection.status or 500))


async def empty_body(exchange: Exchange, _: Injection) -> bool:
    """Fault.EMPTY_BODY."""
    return await normal(exchange, ShopAnswer(200, [("content-type", "application/json")], b""))


async def wrong_type(exchange: Exchange, _: Injection) -> bool:
    """Fault.WRONG_TYPE."""
    return await normal(exchange, replace(true_answer(exchange), headers=[("content-type", "text/plain")]))


async def set_cookie(exchange: Exchange, _: Injection) -> bool:
    """Fault.SET_COOKIE."""
    inner = [("set-cookie", "upstream_session=inner; Path=/"), ("x-powered-by", "fake"), ("x-internal-node", "n1")]
    answer = true_answer(exchange)
    return await normal(exchange, replace(answer, headers=[*answer.headers, *inner]))


async def huge_headers(exchange: Exchange, injection: Injection) -> bool:
    """Fault.HUGE_HEADERS."""
    answer = true_answer(exchange)
    return await normal(
        exchange, replace(answer, headers=[*answer.headers, ("x-huge", "a" * (injection.size or 100_000))])
    )


async def extra_bytes(exchange: Exchange, _: Injection) -> bool:
    """Fault.EXTRA_BYTES."""
    unasked = _asked(exchange, "/v2/orders", [], "GET")
    await exchange.send(answer_bytes(true_answer(exchange)) + answer_bytes(unasked))
    return True


async def late_extra(exchange: Exchange, injection: Injection) -> bool:
    """Fault.LATE_EXTRA."""
    await normal(exchange, true_answer(exchange))
    await _pause(injection)
    return await normal(exchange, _asked(exchange, "/v2/orders", [], "GET"))


async def close(_: Exchange, __: Injection) -> bool:
    """Fault.CLOSE."""
    return False


async def close_after(exchange: Exchange, _: Injection) -> bool:
    """Fault.CLOSE_AFTER."""
    await normal(exchange, true_answer(exchange))
    return False


async def silent(exchange: Exchange, _: Injection) -> bool:
    """Fault.SILENT."""
    await exchange.peer_gone()
    return False


async def chunked(exchange: Exchange, injection: Injection) -> bool:
    """Fault.CHUNKED."""
    answer, size = true_answer(exchange), injection.size or 100
    await exchange.send(head_bytes(answer.status, [*answer.headers, ("transfer-encoding", "chunked")]))
    for start in range(0, len(answer.body), size):
        await exchange.send(chunk_bytes(answer.body[start : start + size]))
    await exchange.send(chunk_bytes(b""))
    return True


def chunk_bytes(data: bytes) -> bytes:
    """Frame one chunk; the empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


ACTS: dict[Fault, Callable[[Exchange, Injection], Awaitable[bool]]] = {
    Fault.IGNORE_FILTER: ignore_filter,
    Fault.OTHER_RECORD: other_record,
    Fault.SLOW_HEAD: slow_head,
    Fault.SLOW_BODY: slow_body,
    Fault.CUT_BODY: cut_body,
    Fault.LONG_LENGTH: long_length,
    Fault.TRUNCATED_JSON: truncated_json,
    Fault.TRAILING_BYTES: trailing_bytes,
    Fault.GZIP: gzip_body,
    Fault.GZIP_BOMB: gzip_bomb,
    Fault.REDIRECT: redirect,
    Fault.UNAUTHORIZED: unauthorized,
    Fault.SERVER_ERROR: server_error,
    Fault.HTML_OK: html_ok,
    Fault.HTML_ERROR: html_error,
    Fault.EMPTY_BODY: empty_body,
    Fault.WRONG_TYPE: wrong_type,
    Fault.SET_COOKIE: set_cookie,
    Fault.HUGE_HEADERS: huge_headers,
    Fault.EXTRA_BYTES: extra_bytes,
    Fault.LATE_EXTRA: late_extra,
    Fault.CLOSE: close,
    Fault.CLOSE_AFTER: close_after,
    Fault.SILENT: silent,
    Fault.CHUNKED: chunked,
}
