"""Ports that workers share and nobody else joins."""

import socket
from contextlib import closing

import pytest

from gateway.cli.claim import claimed, listening
from gateway.vocab.address import Address


def _worker(address: Address) -> socket.socket:
    """Listen as a worker does."""
    return socket.create_server((address.host, address.port), reuse_port=True)


def test_workers_join_and_nobody_else_does() -> None:
    """While a port is claimed those who share it may listen there; who claims it, or binds it alone, is refused."""
    with claimed(Address("127.0.0.1", 0)) as (address, held):
        assert address.port != 0
        assert len(held) == 1
        for _ in range(2):
            with closing(_worker(address)), closing(_worker(address)) as one:
                for other in (address, Address("0.0.0.0", address.port)):  # noqa: S104 - what is tried
                    for way in (claimed, listening):
                        with pytest.raises(OSError, match="in use"), way(other):
                            pass
                with closing(socket.create_connection((address.host, address.port))) as client:
                    one.close()
                    client.close()
            # Before there are workers, and after them.
            with pytest.raises(OSError, match="in use"), claimed(address):
                pass
        with claimed(Address("127.0.0.2", address.port)):
            pass


def test_a_port_is_free_afterwards() -> None:
    """Whoever comes next has it, though connections of the one before rest there."""
    with claimed(Address("127.0.0.1", 0)) as (address, _), closing(_worker(address)) as worker:
        client = socket.create_connection((address.host, address.port))
        # The side that closes first has the connection in TIME_WAIT.
        worker.accept()[0].close()
        assert client.recv(1) == b""
        client.close()
    for way in (claimed, listening, claimed):
        with way(address) as (again, _):
            assert again == address


def test_who_listens_alone_cannot_be_joined() -> None:
    """The admin port is the supervisor's: it answers, and neither a claim nor a worker's way is let in."""
    with listening(Address("127.0.0.1", 0)) as (address, (one,)):
        with closing(socket.create_connection((address.host, address.port))):
            one.setblocking(True)  # noqa: FBT003 - the name of the parameter is the method's
            one.accept()[0].close()
        with pytest.raises(OSError, match="in use"), claimed(address):
            pass
        with pytest.raises(OSError, match="in use"):
            _worker(address)


@pytest.mark.parametrize("host", ["::", "localhost", ""])
def test_every_address_of_a_name(host: str) -> None:
    """All that a name or wildcard stands for has one port."""
    with claimed(Address(host, 0)) as (address, held):
        assert {one.getsockname()[1] for one in held} == {address.port}
    with listening(Address(host, 0)) as (address, bound):
        assert {one.getsockname()[1] for one in bound} == {address.port}
