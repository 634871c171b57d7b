"""How far a request may have come, and what may follow what. docs/carrying.md shows it as a picture."""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """How far a request has come. `followers` are the states that may come next: `NEXT`, without a look-up."""

    followers: "tuple[State, ...]"

    NEW = auto()
    DECIDING = auto()
    """Something is awaited before it can go on: a task runs."""
    ASKED = auto()
    """It waits for a connection to the upstream, or for the head of the answer."""
    GATHERING = auto()
    """The answer is taken whole, to be judged."""
    RELAYING = auto()
    """The answer is passed on as it comes."""
    HESITATING = auto()
    """The reply is known and held back for a moment."""
    REPLYING = auto()
    """The end of the reply is on its way out, as fast as the client takes it."""
    OVER = auto()
    """The reply is through, or nobody is there to have it."""


_ENDS: Final = (State.REPLYING, State.OVER)
NEXT: Final[dict[State, tuple[State, ...]]] = {
    State.NEW: (State.ASKED, State.DECIDING, State.HESITATING, State.REPLYING),
    State.DECIDING: (State.ASKED, State.DECIDING, State.HESITATING, *_ENDS),
    State.ASKED: (State.GATHERING, State.RELAYING, State.DECIDING, *_ENDS),
    State.GATHERING: (State.DECIDING, State.HESITATING, *_ENDS),
    State.RELAYING: _ENDS,
    State.HESITATING: _ENDS,
    State.REPLYING: (State.OVER,),
    State.OVER: (),
}
"""What may follow what; the client may leave in any state, only not within the turn in which a request is begun."""
for _state, _followers in NEXT.items():
    _state.followers = _followers
