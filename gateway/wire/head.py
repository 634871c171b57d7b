"""Writes the lines of a head as bytes. Pure."""

from collections.abc import Sequence

END = b"\r\n"
"""The empty line that ends a head."""


def render_lines(fields: Sequence[tuple[str, str]], start: str | None = None) -> bytes:
    """Return header lines, behind a start line if one is given.

    A letter is an octet, as whoever reads heads takes an octet for one (ISO 8859-1): what is beyond ASCII leaves as the
    bytes that came, whatever they meant (RFC 9110 section 5.5).

    Raises ValueError where a line break stands in one of them: nothing that comes in may say where a line ends
    (RFC 9112 section 11.1), and no check before this one lets it.
    """
    # No step of Python's for a line: there are many heads.
    lines = [*map(": ".join, fields), ""]
    if start is not None:
        lines.insert(0, start)
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks:
        raise ValueError("a line break within a line of a head")
    return text.encode("latin-1")
