"""Values of drafted routes."""

import pytest

from gateway.drafting.route import pointer
from gateway.wire.pointer import split


@pytest.mark.parametrize("place", [(), ("id",), ("a/b", "c~d")])
def test_pointers(place: tuple[str, ...]) -> None:
    """A place is written as the JSON pointer that leads there."""
    assert split(pointer(place)) == place
