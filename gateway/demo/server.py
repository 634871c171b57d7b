"""Serves a `Shop` over HTTP with aiohttp; it adds and hides nothing of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from multidict import CIMultiDict

from gateway.demo.answers import split_target
from gateway.demo.shop import Shop

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def make_handler(shop: Shop) -> Handler:
    """Return what answers aiohttp's requests as the shop does."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        # The raw target is read here: aiohttp's own path is decoded and normalised, which would hide attacks.
        path, query = split_target(request.raw_path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = shop.answer(request.method, path, query, headers, await request.read())
        return web.Response(status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body)

    return handle


@asynccontextmanager
async def serving(shop: Shop, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the shop and give its base URL, which also becomes the base of the links it writes."""
    runner = web.ServerRunner(web.Server(make_handler(shop), access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        shop.base_url = f"http://{bound[0]}:{bound[1]}"
        yield shop.base_url
    finally:
        await runner.cleanup()
