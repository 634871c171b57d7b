"""What the supervisor does with sockets of workers that end in the same turn."""

import selectors
import socket

from gateway.cli.supervisor import take


def test_what_another_has_ended_is_not_taken() -> None:
    """Both have something to say; whichever is heard first closes the other."""
    heard: list[str] = []
    with selectors.DefaultSelector() as selector:
        pairs = {name: socket.socketpair() for name in ("one", "other")}

        def hear(name: str) -> None:
            heard.append(name)
            end = pairs["other" if name == "one" else "one"][0]
            selector.unregister(end)
            end.close()

        for name, (ours, its) in pairs.items():
            selector.register(ours, selectors.EVENT_READ, lambda name=name: hear(name))
            its.send(b"x")
        take(selector, 1.0)
        assert len(heard) == 1
        for ends in pairs.values():
            for end in ends:
                end.close()
