"""The base of all sections."""

import pytest
from pydantic import ValidationError

from gateway.config.section import Closed


def test_a_section_is_closed() -> None:
    """An unknown key is a fault, and its value is not repeated."""
    with pytest.raises(ValidationError) as caught:
        Closed.model_validate({"unknown": "hunter2"})
    assert "hunter2" not in str(caught.value)
