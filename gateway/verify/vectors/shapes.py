"""Vectors of representation, method and cache: other ways to ask for the same record."""

from collections.abc import Iterator

from gateway.verify.documents import encode
from gateway.verify.model import BODY_METHODS, Group, Priming, Shot
from gateway.verify.vectors.base import Setting, vector

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_STRANGE = ("TRACE", "QUERY", "SEARCH", "PROPFIND", "REPORT", "COPY", "PURGE", "LINK")


@vector("head", Group.REPRESENTATION, "HEAD on B's records: headers only, and no word about B in them.")
def head(s: Setting) -> Iterator[Shot]:
    """Ask for headers."""
    if s.reads:
        for path in (*s.foreign, *(() if s.own is None else (s.own,))):
            yield s.shot(path, method="HEAD")


@vector("conditional", Group.REPRESENTATION, "Conditional requests for B's records.")
def conditional(s: Setting) -> Iterator[Shot]:
    """Ask whether it changed."""
    moment = "Thu, 01 Jan 1970 00:00:01 GMT"
    if s.reads:
        for path in s.targets[-1:]:
            for line in (
                ("If-None-Match", "*"),
                ("If-Modified-Since", moment),
                ("If-Match", "*"),
                ("If-Unmodified-Since", moment),
            ):
                yield s.shot(path, headers=(line,))


@vector("range", Group.REPRESENTATION, "Parts of B's records, and of A's.")
def part(s: Setting) -> Iterator[Shot]:
    """Ask for bytes."""
    if s.reads:
        for path in (*s.targets[-1:], *(() if s.own is None else (s.own,))):
            for value in ("bytes=0-", "bytes=-500", "bytes=0-10,20-30"):
                yield s.shot(path, headers=(("Range", value), ("If-Range", "x")))


@vector("accept", Group.REPRESENTATION, "B's records as HTML, CSV, XML, an event stream, compressed.")
def accept(s: Setting) -> Iterator[Shot]:
    """Ask for another form."""
    for path in s.targets[-1:]:
        for kind in (
            "text/html",
            "text/csv",
            "application/xml",
            "text/event-stream",
            "application/vnd.pgrst.object+json",
        ):
            yield s.shot(
                path, headers=(("Accept", kind), ("Accept-Encoding", "gzip, deflate"), ("Prefer", "count=exact"))
            )


@vector("preflight", Group.REPRESENTATION, "What a browser asks before a request to B's record, from any page.")
def preflight(s: Setting) -> Iterator[Shot]:
    """Ask as a browser does."""
    for path in s.targets[-1:]:
        lines = (
            ("Origin", "https://attacker.example"),
            ("Access-Control-Request-Method", s.method),
            ("Access-Control-Request-Headers", "x-moltin-customer-token, authorization"),
        )
        yield Shot("OPTIONS", path, lines)
        yield Shot("OPTIONS", path)


@vector("unlisted-method", Group.METHOD, "Methods that the routing file does not list, on B's path.")
def unlisted_method(s: Setting) -> Iterator[Shot]:
    """Use a method that is not there."""
    for path in s.targets[-1:]:
        for method in (*(one for one in _METHODS if one not in s.route.methods), *_STRANGE):
            body = encode({"data": {"name": s.marks()}}) if method in BODY_METHODS else None
            yield Shot(method, path, (), body, changes=method != "TRACE")


@vector("method-spelling", Group.METHOD, "The method in small letters, or with a letter too many, on B's path.")
def method_spelling(s: Setting) -> Iterator[Shot]:
    """Misspell the method."""
    for path in s.targets[-1:]:
        for method in (s.method.lower(), s.method.title(), f"{s.method}X"):
            yield s.shot(path, method=method, raw=True, changes=True)


@vector("cache-after", Group.CACHE, "The same request right after B's: nothing of B's answer may be kept for others.")
def cache_after(s: Setting) -> Iterator[Shot]:
    """Come right after B."""
    if s.reads:
        for path in (*s.foreign[-1:], *(() if s.own is None else (s.own,))):
            yield s.shot(path, priming=Priming.BEFORE)
            yield s.shot(f"{path}?_=1.css", priming=Priming.BEFORE)


@vector("cache-together", Group.CACHE, "The same request at the same moment as B's: no answer may be shared.")
def cache_together(s: Setting) -> Iterator[Shot]:
    """Come together with B."""
    if s.reads:
        for path in (*s.foreign[-1:], *(() if s.own is None else (s.own,))):
            for _ in range(2):
                yield s.shot(path, priming=Priming.TOGETHER)


VECTORS = (
    head, conditional, part, accept, preflight, unlisted_method, method_spelling, cache_after, cache_together,
)  # fmt: skip
