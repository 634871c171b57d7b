"""Sockets that listen: both families on one, and an end that resets nobody."""

import socket
from collections.abc import Iterator

import pytest

from gateway.server.port import close_to_new, dual_stack, takes_one_family, waiting
from gateway.wire.client_address import plain_address


@pytest.fixture(params=["127.0.0.1", "::1"])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """Give a port that nobody accepts on."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        yield server


def test_the_wildcard_of_ipv6_takes_both_families() -> None:
    """Whatever the system's own way is; a client of IPv4 has its own address, not the mapped one."""
    bound = dual_stack("::", 0, shared=True)
    assert bound is not None
    assert not takes_one_family("::")
    with bound:
        bound.listen()
        port = bound.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), timeout=5):
                accepted, peer = bound.accept()
                accepted.close()
                assert plain_address(peer[0]) == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "", "0.0.0.0"])  # noqa: S104 - nothing listens
def test_other_hosts_are_left_to_the_loop(host: str) -> None:
    """One family, or the addresses of a name, are bound one by one."""
    assert dual_stack(host, 0, shared=False) is None
    assert not takes_one_family(host)


def test_a_port_that_is_taken_is_told() -> None:
    """It cannot be bound twice, unless both say that it is shared."""
    bound = dual_stack("::", 0, shared=False)
    assert bound is not None
    with bound:
        bound.listen()
        with pytest.raises(OSError, match="in use"):
            dual_stack("::", bound.getsockname()[1], shared=False)


def test_what_waits_is_accepted(listening: socket.socket) -> None:
    """All that the kernel has made, and no more is waited for."""
    clients = [socket.create_connection(listening.getsockname()[:2]) for _ in range(5)]
    accepted = list(waiting(listening))
    assert [one.getpeername() for one in accepted] == [client.getsockname() for client in clients]
    assert not list(waiting(listening))
    for one in (*clients, *accepted):
        one.close()


def test_a_port_that_is_closed_to_new_ones(listening: socket.socket) -> None:
    """Who is connected is served, who is not does not get in, and is refused when the port is closed."""
    with socket.create_connection(listening.getsockname()[:2]) as client:
        close_to_new(listening)
        with pytest.raises(TimeoutError):
            socket.create_connection(listening.getsockname()[:2], timeout=0.3)
        (accepted,) = waiting(listening)
        client.sendall(b"still heard")
        accepted.setblocking(True)  # noqa: FBT003 - the name of the parameter is the method's
        with accepted:
            assert accepted.recv(100) == b"still heard"
            accepted.sendall(b"and answered")
            assert client.recv(100) == b"and answered"
    address = listening.getsockname()[:2]
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
