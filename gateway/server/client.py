"""The connection of a client, as an exchange knows it: nothing of parsing, nothing of other requests."""

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
