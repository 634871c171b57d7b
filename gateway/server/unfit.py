"""What is said when the installed aiohttp cannot be used. It imports none of it: commands say so that do without."""

from importlib.metadata import version


class UnfitParserError(Exception):
    """The installed aiohttp cannot be used; the text says why, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"aiohttp {version('aiohttp')} cannot be used: {reason}; install the version in requirements/runtime.txt"
        )
