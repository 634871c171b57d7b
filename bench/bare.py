"""Bare aiohttp pass-through, the yardstick: no token, filter, guard or log. `python -m bench.bare PORT UPSTREAM`."""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web


async def main(port: int, upstream: str) -> None:
    """Serve until stopped."""
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def pass_through(request: web.BaseRequest) -> web.StreamResponse:
            headers = {k: v for k, v in request.headers.items() if k.lower() not in {"host", "connection"}}
            async with session.request(request.method, upstream + request.raw_path, headers=headers) as answer:
                body = await answer.read()
                return web.Response(status=answer.status, body=body, content_type=answer.content_type)

        runner = web.ServerRunner(web.Server(pass_through, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
