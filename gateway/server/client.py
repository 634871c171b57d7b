"""The connection of a client, as others know it: its exchange, and who ends all connections. Nothing of parsing."""

import asyncio
from typing import Protocol


class Client(Protocol):
    """The connection that the request came on."""

    transport: asyncio.Transport | None

    @property
    def writing_paused(self) -> bool:
        """Whether it takes no more for now."""

    @property
    def is_half_closed(self) -> bool:
        """Whether it has closed its sending side, and may have gone."""

    def settled(self, *, is_last: bool, has_rest: bool) -> None:
        """Know that the reply is through; `is_last` says that the connection ends behind it.

        `has_rest` says that some of the request's body is still to come.
        """


class Kept(Protocol):
    """A connection, as whoever ends it sees it."""

    def is_about_to_ask(self, within: float) -> bool:
        """Tell whether it is new: nothing has come on it, and it has been there for less than so many seconds."""

    def close(self) -> None:
        """End."""

    def cut_off(self) -> None:
        """End at once."""


class Keeper(Protocol):
    """Whoever ends all connections in the end: the listener."""

    def came(self, connection: Kept) -> None:
        """Keep a new connection."""

    def went(self, connection: Kept) -> None:
        """Forget one that has ended."""
