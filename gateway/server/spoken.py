"""Whether a request that the parser could read is one that we speak: its version, its framing, what it is to become.

It reads no more of a request than that, and answers nothing.
"""

from typing import Final

from gateway.server.parser import HttpVersion10, HttpVersion11, RawRequestMessage

_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})


def is_spoken(message: RawRequestMessage) -> bool:
    """Tell whether a request is in a version and framing of HTTP that we speak, and not one for a tunnel.

    RFC 9112 section 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing, and of codings we know chunked alone.
    """
    if message.version not in _VERSIONS or message.method == "CONNECT":
        return False
    codings = message.headers.getall("transfer-encoding", ())
    return not codings or (message.version == HttpVersion11 and [one.lower() for one in codings] == ["chunked"])


def asks_for_websocket(message: RawRequestMessage) -> bool:
    """Tell whether a request with an Upgrade line begins a WebSocket (RFC 6455 section 4.1).

    Whoever asks for it has no use for the resource itself. Other upgrades are offers, and may be passed over; those in
    HTTP/1.0 must be (RFC 9110 section 7.8).
    """
    if message.method != "GET" or message.version != HttpVersion11:
        return False
    lines = [value for name in ("upgrade", "connection") for value in message.headers.getall(name, ())]
    asked = {word.strip().lower() for line in lines for word in line.split(",")}
    return asked >= {"websocket", "upgrade"}
