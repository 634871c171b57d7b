"""Whether password work that is no login may be done now: it says 429, and who is over a limit is counted."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.tokens.throttle import Work, WorkThrottle
from gateway.vocab.events import Emit, Throttled
from gateway.vocab.refusals import Code, Refusal


class Admission:
    """A throttle with its clock, which is monotonic and in seconds, and its metric."""

    def __init__(self, throttle: WorkThrottle, clock: Callable[[], float], emit: Emit) -> None:
        self._throttle: Final = throttle
        self._clock: Final = clock
        self._emit: Final = emit

    def refusal(self, work: Work, keys: Mapping[str, str]) -> Refusal | None:
        """Count work under its keys, or return THROTTLED. Nothing is given back: what was asked for was work."""
        denied = self._throttle.reserve(work, keys, self._clock())
        if denied is None:
            return None
        self._emit(Throttled(work, denied.by))
        return Refusal(Code.THROTTLED, f"{work} by {denied.by}", retry_after=denied.seconds)
