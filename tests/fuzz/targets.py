"""Fuzz harness: whatever a client writes where the request target stands has one reading or none."""

import posixpath
import re
import unicodedata
from urllib.parse import parse_qsl, unquote, urlsplit

import yarl

from gateway.vocab.refusals import Code, Refusal
from gateway.wire.target import parse, serialise

VISIBLE = re.compile(r"/[\x21-\x7e]*")
# What a reader behind us could take for structure, decoded or not.
STRUCTURE = re.compile(r"[/\\%;?#\x00-\x1f\x7f]")


def one_input(data: bytes) -> None:
    """Read the bytes as a target; a reading must be canonical, unambiguous and what other readers read."""
    target = parse(data.decode("latin-1"))
    if isinstance(target, Refusal):
        assert target.code in {Code.TARGET_INVALID, Code.TARGET_AMBIGUOUS}
        return
    spelled = serialise(target.path, target.query)
    assert VISIBLE.fullmatch(spelled), "something leaves that is not visible ASCII"
    # What is not UTF-8 has no canonical spelling: it goes nowhere but as it came.
    if not target.is_illegible:
        slashed = serialise(target.path + "/" * target.has_slash, target.query)
        assert parse(slashed) == target, "the canonical spelling is no fixed point"
    _check_path(target.path, target.segments, target.folded or target.segments)
    # aiohttp's client sends what yarl makes of it.
    assert yarl.URL(f"http://upstream{spelled}", encoded=True).raw_path_qs == spelled
    read = urlsplit(f"http://upstream{spelled}")
    assert (read.path, read.fragment) == (target.path, "")
    assert parse_qsl(read.query, keep_blank_values=True) == list(target.query)


def _check_path(path: str, segments: tuple[str, ...], folded: tuple[str, ...]) -> None:
    assert "//" not in path
    assert ";" not in path
    assert [unquote(part, errors="strict") for part in path.split("/")[1:] if path != "/"] == list(segments)
    assert tuple(unicodedata.normalize("NFKC", segment) for segment in segments) == folded
    for segment in (*segments, *folded):
        assert segment.strip(" ."), "an empty or dot segment"
        assert not STRUCTURE.search(segment)
        assert unquote(segment) == segment, "a second encoding"
    assert posixpath.normpath(unquote(path)) == unquote(path)
