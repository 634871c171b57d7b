"""Writes the lines of a head as bytes. Pure."""

from collections.abc import Sequence

END = b"\r\n"
"""The empty line that ends a head."""


def render_lines(fields: Sequence[tuple[str, str]], start: str | None = None) -> bytes:
    """Return header lines, behind a start line if one is given.

    Raises ValueError where a line break stands in one of them: nothing that comes in may say where a line ends
    (RFC 9112 section 11.1), and no check before this one lets it.
    """
    lines = [f"{name}: {value}" for name, value in fields]
    if start is not None:
        lines.insert(0, start)
    text = "\r\n".join(lines) + "\r\n"
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("a line break within a line of a head")
    return text.encode()
