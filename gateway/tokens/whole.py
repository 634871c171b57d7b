"""Work that is done to its end: half of it would be worse than none. It knows nothing of the work."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.vocab.events import Emit, Failed, describe
from gateway.vocab.messages import Checked
from gateway.vocab.refusals import Refusal


class Whole:
    """Runs work that a client that hangs up does not stop. `what` names it where it fails alone."""

    def __init__(self, what: str, emit: Emit) -> None:
        self._what = what
        self._emit = emit
        self._work: set[asyncio.Task[Checked | Refusal]] = set()

    async def run(self, work: Coroutine[Any, Any, Checked | Refusal], request_id: str) -> Checked | Refusal:
        """Return what comes of it; whoever is cancelled meanwhile leaves it alone."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda done: self._finish_alone(done, request_id))
            raise

    def _finish_alone(self, task: asyncio.Task[Checked | Refusal], request_id: str) -> None:
        """Name the error of work whose client has gone: there is nobody else left to hear of it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._emit(Failed(request_id, self._what, describe(error)))
