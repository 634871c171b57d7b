"""Bodies of an upstream that misbehaves (D5.7): what is not what it says is nobody's."""

import zlib

from gateway.demo.data import LESLIE
from tests.attacks.field import ON_ONE_LOOP, every
from tests.attacks.upstream import (
    MEGABYTE,
    WAYS,
    Siege,
    Spell,
    Way,
    answer,
    assert_failed,
    assert_own_or_failed,
    assert_withheld,
    body_of,
    framed,
    packed,
)

pytestmark = ON_ONE_LOOP


ASKED = {name: WAYS[name] for name in ("orders-list", "order", "customer-read", "address")}


# --- Bodies -----------------------------------------------------------------------------------------------------------


SPELLED: dict[str, Spell] = {
    "nothing": lambda _: b"",
    "white space": lambda _: b" \r\n\t",
    "half of it": lambda body: body[: len(body) // 2],
    "all but the last byte": lambda body: body[:-1],
    "two documents": lambda body: body + body,
    "a document on a second line": lambda body: body + b"\n" + body,
    "a comma behind": lambda body: body + b",",
    "a NUL behind": lambda body: body + b"\x00",
    "a NUL before": lambda body: b"\x00" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "UTF-16 without mark": lambda body: body.decode().encode("utf-16-be"),
    "UTF-32": lambda body: body.decode().encode("utf-32"),
    "no UTF-8 in a text": lambda body: body.replace(b'"data"', b'"x":"\xff\xfe","data"'),
    "an overlong letter": lambda body: body.replace(b'"data"', b'"x":"\xc1\xa1","data"'),
    "a surrogate in UTF-8": lambda body: body.replace(b'"data"', b'"x":"\xed\xa0\x80","data"'),
    "NaN": lambda body: body.replace(b'"data"', b'"x":NaN,"data"'),
    "Infinity": lambda body: body.replace(b'"data"', b'"x":-Infinity,"data"'),
    "a line's end in a text": lambda body: body.replace(b'"data"', b'"x":"a\nb","data"'),
    "single quotes": lambda body: body.replace(b'"', b"'"),
    "a comment": lambda body: b"/* all */" + body,
    "a guard against hijacking": lambda body: b")]}',\n" + body,
    "a call": lambda body: b"callback(" + body + b")",
    "a page": lambda body: b"<!doctype html><p>" + body,
    "a frame of its own": lambda body: b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n",
    "10 000 lists deep": lambda body: body.replace(b'"data"', b'"x":' + b"[" * 10_000 + b"]" * 10_000 + b',"data"'),
    "10 000 objects deep": lambda body: body.replace(
        b'"data"', b'"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b',"data"'
    ),
    "10 000 lists that never end": lambda _: b'{"data":' + b"[" * 10_000,
    "a million numbers": lambda _: b'{"data":[' + b"1," * 999_999 + b"1]}",
    "many empty lists": lambda _: b'{"data":[' + b"[]," * 99_999 + b"[]]}",
    "above the limit": lambda body: body + b" " * 8 * MEGABYTE,
}


@every(spelled=SPELLED, way=ASKED)
async def test_bodies_that_are_no_document(siege: Siege, spelled: Spell, way: Way) -> None:
    """What is not one JSON text, in UTF-8 and of a size to be read, is withheld (D5.7); the truth is no excuse."""
    assert_failed(await siege.suffer(way, answer(spelled(body_of(way)))))
    assert_failed(await siege.suffer(way, answer(spelled(body_of(way, way.foreign)))))
    assert await siege.is_sound()


DEPTHS = {str(depth): depth for depth in (100, 500, *range(900, 1010, 5))}


@every(depth=DEPTHS, way=["orders-list", "customer-read", "customer-change", "address-change", "cart-checkout"])
async def test_records_that_are_very_deep(siege: Siege, depth: int, way: str) -> None:
    """A record too deep to be written again is as good as one too deep to be read: never a failure of ours."""
    body = body_of(WAYS[way]).replace(b'"type"', b'"x":' + b"[" * depth + b"]" * depth + b',"type"', 1)
    suffered = await siege.suffer(WAYS[way], answer(body, WAYS[way].status))
    assert_own_or_failed(suffered)


ODD: dict[str, Spell] = {
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "half a surrogate": lambda body: body.replace(b'"data"', b'"x":"\\ud800","data"'),
    "a number too large": lambda body: body.replace(b'"data"', b'"x":1e999,"data"'),
    "a number of 5000 digits": lambda body: body.replace(b'"data"', b'"x":' + b"7" * 5000 + b',"data"'),
}


@every(spelled=ODD, way=ASKED)
async def test_odd_texts_and_numbers_hide_nothing(siege: Siege, spelled: Spell, way: Way) -> None:
    """What JSON allows and few can read leaves with one's own records, and never with somebody else's."""
    assert_own_or_failed(await siege.suffer(way, answer(spelled(body_of(way)))))
    suffered = await siege.suffer(way, answer(spelled(body_of(way, way.foreign))))
    assert_failed(suffered) if suffered.status >= 500 else assert_withheld(suffered)
    assert await siege.is_sound()


NUMBERS = {
    "64 bit": b"18446744073709551616",
    "400 digits": b"7" * 400,
    "4300 digits": b"7" * 4300,
    "4301 digits": b"7" * 4301,
    "small": b"1e-999",
    "minus zero": b"-0.0",
    "exact": b"0.1000000000000000055511151231257827021181583404541015625",
}


@every(number=NUMBERS, way=ASKED)
async def test_numbers_that_few_can_read(siege: Siege, number: bytes, way: Way) -> None:
    """A number that JSON allows and readers differ about leaves in one reading, or not at all."""
    body = body_of(way).replace(b'"type"', b'"x":' + number + b',"type"', 1)
    assert_own_or_failed(await siege.suffer(way, answer(body)))


# --- Encodings and types ----------------------------------------------------------------------------------------------


def deflated(body: bytes, window: int = zlib.MAX_WBITS) -> bytes:
    """Compress a body, with zlib's frame or none."""
    packer = zlib.compressobj(wbits=window)
    return packer.compress(body) + packer.flush()


ENCODED: dict[str, tuple[Spell, tuple[str, ...]]] = {
    "gzip": (packed, ("gzip",)),
    "x-gzip": (packed, ("x-gzip",)),
    "deflate": (deflated, ("deflate",)),
    "raw deflate": (lambda body: deflated(body, -zlib.MAX_WBITS), ("deflate",)),
    "br": (packed, ("br",)),
    "zstd": (packed, ("zstd",)),
    "compress": (packed, ("compress",)),
    "gzip twice": (lambda b: packed(packed(b)), ("gzip, gzip",)),
    "gzip twice on two lines": (lambda b: packed(packed(b)), ("gzip", "gzip")),
    "gzip that was not said": (packed, ()),
    "gzip said to be identity": (packed, ("identity",)),
    "plain said to be gzip": (lambda body: body, ("gzip",)),
    "plain said to be br": (lambda body: body, ("br",)),
    "plain said to be nothing": (lambda body: body, ("",)),
    "plain said to be both": (lambda body: body, ("identity", "gzip")),
    "gzip said to be both": (packed, ("gzip", "identity")),
    "gzip, cut": (lambda body: packed(body)[:-9], ("gzip",)),
    "gzip with more": (lambda b: packed(b) + b"more", ("gzip",)),
    "two of gzip": (lambda body: packed(body[:9]) + packed(body[9:]), ("gzip",)),
    "gzip of a bad sum": (lambda body: packed(body)[:-8] + bytes(8), ("gzip",)),
    "a bomb": (lambda body: packed(body + b" " * 64 * MEGABYTE), ("gzip",)),
    "a bomb in a bomb": (lambda body: packed(packed(body + b" " * 32 * MEGABYTE)), ("gzip, gzip",)),
    "upper case": (packed, ("GZIP",)),
    "in a list": (packed, ("identity, gzip",)),
    "odd letters": (packed, ("gz\xefp",)),
}


@every(encoded=ENCODED, way=["orders-list", "customer-read"])
async def test_encodings(siege: Siege, encoded: tuple[Spell, tuple[str, ...]], way: str) -> None:
    """What is packed is judged unpacked, within the limit (D5.7: gzip bomb), and never leaves packed."""
    pack, names = encoded
    headers = [("content-encoding", name) for name in names]
    own = await siege.suffer(WAYS[way], answer(pack(body_of(WAYS[way])), 200, *headers))
    assert_own_or_failed(own)
    assert b"content-encoding" not in own.head.lower()
    foreign = await siege.suffer(WAYS[way], answer(pack(body_of(WAYS[way], WAYS[way].foreign)), 200, *headers))
    assert_withheld(foreign, 404, 502)
    assert await siege.is_sound()


TYPES: dict[str, tuple[str, ...]] = {
    "none": (),
    "empty": ("",),
    "HTML": ("text/html",),
    "text": ("text/plain",),
    "bytes": ("application/octet-stream",),
    "a form": ("application/x-www-form-urlencoded",),
    "parts": ("multipart/mixed; boundary=x",),
    "XML": ("application/xml",),
    "a script": ("application/javascript",),
    "events": ("text/event-stream",),
    "lines": ("application/x-ndjson",),
    "a sequence": ("application/json-seq",),
    "nearly": ("application/jsonp",),
    "a suffix": ("application/vnd.api+json",),
    "upper case": ("APPLICATION/JSON",),
    "UTF-16": ("application/json; charset=utf-16",),
    "UTF-7": ('application/json;charset="utf-7"',),
    "UTF-8": ("application/json; charset=UTF-8",),
    "two": ("application/json", "text/html"),
    "two, the other way": ("text/html", "application/json"),
    "a list": ("application/json, text/html",),
    "a type that tells": (f"text/{LESLIE.canary}",),
    "JSON that tells": (f"application/json; for={LESLIE.email}",),
}


@every(types=TYPES, way=["orders-list", "customer-read", "address"])
async def test_content_types(siege: Siege, types: tuple[str, ...], way: str) -> None:
    """The type that an upstream gives decides whether it is read; of a type that is, nothing leaves that could tell."""
    lines = [f"content-type: {name}" for name in types]
    for records, judged in (((), assert_own_or_failed), ((WAYS[way].foreign,), assert_withheld)):
        body = body_of(WAYS[way], *records)
        suffered = await siege.suffer(WAYS[way], framed(body, 200, *lines, f"content-length: {len(body)}"))
        if judged is assert_withheld:
            assert_withheld(suffered, 404, 502)
        else:
            assert_own_or_failed(suffered)
    assert await siege.is_sound()
