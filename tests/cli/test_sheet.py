"""What processes hand to each other by descriptor."""

import os
import socket

from gateway.cli import sheet


def test_all_of_it_is_read_as_often_as_wanted() -> None:
    """Also by another process, which has the same place in the file, and also where it is empty."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for content in (b"", b"x", os.urandom(300_000)):
        descriptor = sheet.written(content)
        socket.send_fds(ours, [b"P"], [descriptor])
        _, (received,), _, _ = socket.recv_fds(its, 10, 1)
        assert [sheet.read(one) for one in (descriptor, received, descriptor)] == [content] * 3
        os.close(descriptor)
        os.close(received)
    ours.close()
    its.close()
