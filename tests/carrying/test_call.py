"""What a call is, and what its ends say."""

import pytest

from gateway.carrying.call import SAFE, Break, tell
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.connected import Taken

DOWN = Refusal(Code.UPSTREAM_UNREACHABLE, "down")


@pytest.mark.parametrize(
    ("reason", "code", "detail", "later"),
    [
        (Break.UNREACHABLE, Code.UPSTREAM_UNREACHABLE, "no connection", None),
        (Break.UNCONNECTED, Code.UPSTREAM_UNREACHABLE, "no connection in time", None),
        (Break.BUSY, Code.OVERLOADED, "no connection free in time", None),
        (Break.CROWDED, Code.OVERLOADED, "too many wait for a connection", None),
        (Break.SILENT, Code.UPSTREAM_TIMEOUT, "no answer in time", "stalled within the answer"),
        (Break.UNREADABLE, Code.UPSTREAM_INVALID, "not HTTP", None),
        (Break.BROKEN, Code.UPSTREAM_INVALID, "broke off", None),
    ],
)
def test_what_an_end_means_for_the_client(reason: Break, code: Code, detail: str, later: str | None) -> None:
    """Each says what happened; silence says whether the answer had begun."""
    assert reason.refusal() == Refusal(code, detail)
    assert reason.refusal(begun=True) == Refusal(code, later or detail)


def test_every_end_has_its_words() -> None:
    """No two are alike."""
    assert len({reason.refusal().detail for reason in Break}) == len(Break)


def test_what_is_safe() -> None:
    """Asking once more changes nothing (RFC 9110 section 9.2.1)."""
    assert {"GET", "HEAD", "OPTIONS"} == SAFE


class Listening(Taken):
    """A receiver that has a bug where it is told of an end, if it is told to have one."""

    bug: Exception | None = None
    seen: Exception | None = None

    def broken(self, refusal: Refusal) -> None:
        """Raise the bug."""
        super().broken(refusal)
        if self.bug is not None:
            raise self.bug

    def failed(self, error: Exception) -> None:
        """Keep what it is told of its bug."""
        self.seen = error


class Nothing:
    """A carrier of nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def allow_silence(self, seconds: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


async def test_who_is_told_of_an_end_has_no_carrier_any_more() -> None:
    """Whatever it does next cannot touch a connection that serves somebody else by now."""
    receiver = Listening(Nothing())
    tell(receiver, DOWN)
    assert (receiver.told, receiver.refusal, receiver.carrier) == (["broken UPSTREAM_UNREACHABLE"], DOWN, None)


async def test_a_bug_in_taking_an_end_stays_with_the_receiver() -> None:
    """It is told of it; whoever told the end goes on."""
    receiver = Listening(Nothing())
    receiver.bug = ValueError("bug")
    tell(receiver, DOWN)
    assert receiver.seen is receiver.bug
