"""The admin port, for probes, scrapers and operators: it shows no secret and no record."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.wire.body import encode

Check = Callable[[], Awaitable[Mapping[str, bool | str]]]
"""Each condition, and whether it holds; a text says why one does not that is no reason to ask elsewhere."""


def make_admin(
    ready: Check,
    render_metrics: Callable[[], Awaitable[tuple[bytes, str]]],
    dump: Callable[[], str],
    version: Callable[[], str],
    *,
    is_handed: bool = False,
) -> web.Application:
    """Return the application: `ready` names each condition and says if it holds, `dump` shows the configuration.

    `version` says what the configuration in force is called.
    Where connections are handed over each is for one request: whoever hands out the next one knows who is well.
    """

    async def live(_: web.Request) -> web.Response:
        return _json(200, {"status": "live"})

    async def is_ready(_: web.Request) -> web.Response:
        found = await ready()
        good = all(found.values())
        degraded = {name: state for name, state in found.items() if isinstance(state, str)}
        return _json(
            200 if good else 503,
            {
                "status": "ready" if good else "not ready",
                "configuration": version(),
                "conditions": {name: state is True for name, state in found.items()},
                **({"degraded": degraded} if degraded else {}),
            },
        )

    async def metrics(_: web.Request) -> web.Response:
        body, content_type = await render_metrics()
        return web.Response(body=body, headers={"content-type": content_type})

    async def config(_: web.Request) -> web.Response:
        return web.Response(text=dump(), content_type="application/yaml")

    app = web.Application(middlewares=[_end_connection] if is_handed else [])
    app.router.add_get("/live", live)
    app.router.add_get("/ready", is_ready)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/config", config)
    return app


class Handed:
    """Serves connections that another process has accepted."""

    def __init__(self, server: web.Server | None) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, connection: socket.socket) -> None:
        """Serve one."""
        task = asyncio.get_running_loop().create_task(self._serve(connection), name="admin connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        try:
            assert self._server is not None  # noqa: S101 - the type checker's: a runner that was set up has one
            await asyncio.get_running_loop().connect_accepted_socket(self._server, connection)
        except OSError:
            # Its client has left.
            connection.close()


@web.middleware
async def _end_connection(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.force_close()
        raise
    response.force_close()
    return response


def _json(status: int, document: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=encode(document), content_type="application/json")
