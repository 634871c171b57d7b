"""The admin port, for probes, scrapers and operators: it shows no secret and no record."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.wire.body import encode

Check = Callable[[], Awaitable[dict[str, bool]]]


def make_admin(
    ready: Check, render_metrics: Callable[[], Awaitable[tuple[bytes, str]]], dump: Callable[[], str]
) -> web.Application:
    """Return the application: `ready` names each condition and says if it holds, `dump` shows the configuration."""

    async def live(_: web.Request) -> web.Response:
        return _json(200, {"status": "live"})

    async def is_ready(_: web.Request) -> web.Response:
        conditions = await ready()
        good = all(conditions.values())
        return _json(200 if good else 503, {"status": "ready" if good else "not ready", "conditions": conditions})

    async def metrics(_: web.Request) -> web.Response:
        body, content_type = await render_metrics()
        return web.Response(body=body, headers={"content-type": content_type})

    async def config(_: web.Request) -> web.Response:
        return web.Response(text=dump(), content_type="application/yaml")

    app = web.Application()
    app.router.add_get("/live", live)
    app.router.add_get("/ready", is_ready)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/config", config)
    return app


def _json(status: int, document: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=encode(document), content_type="application/json")
