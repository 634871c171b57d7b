"""A commerce API that does not keep up: `python -m bench.hanging PORT`.

It is that of the demonstration, but paths that end in /hang are answered after an hour, and /v2/files/large is large.
"""

import asyncio
import sys

from aiohttp import web

from gateway.demo.server import make_handler
from gateway.demo.shop import Shop

_HOUR = 3600
_LARGE = bytes(16 * 1024 * 1024)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    answers = make_handler(Shop("bench", "bench"))

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/hang"):
            await asyncio.sleep(_HOUR)
        if request.path == "/v2/files/large":
            return web.Response(body=_LARGE, content_type="image/png")
        return await answers(request)

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
