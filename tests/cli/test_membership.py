"""What binds a worker to its supervisor, from the worker's side."""

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from gateway.cli.membership import CONNECTION, READY, SWAP, Membership

if TYPE_CHECKING:
    from gateway.wiring import Gateway


async def test_who_leaves_takes_what_was_given_and_nothing_more() -> None:
    """The supervisor is told by a send that fails, and gives the connection to another worker."""
    supervisor, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    client, accepted = socket.socketpair()
    taken: list[socket.socket] = []
    followed: list[bytes] = []
    force = SimpleNamespace(version="one")
    gateway = cast("Gateway", SimpleNamespace(take_admin=taken.append, in_force=force))
    member = Membership(own, -1, 10.0)
    member.serve(gateway, lambda message, _: followed.append(message))
    assert supervisor.recv(100) == READY + b"one"
    for message in (CONNECTION, SWAP + b"two", CONNECTION):
        socket.send_fds(supervisor, [message], [accepted.fileno()] if message == CONNECTION else [])
    member.leave(gateway, lambda message, _: followed.append(message))
    assert (len(taken), followed) == (2, [SWAP + b"two"])
    with pytest.raises(BrokenPipeError):
        socket.send_fds(supervisor, [CONNECTION], [accepted.fileno()])
    # It can still say that it lives, until it is gone.
    member.say(b".")
    assert supervisor.recv(100) == b"."
    for one in (supervisor, own, client, accepted, *taken):
        one.close()
