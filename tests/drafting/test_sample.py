"""The shop of each preset: a file that is proven, and speaks as the preset does."""

from pathlib import Path

import pytest

from gateway.drafting.operation import read
from gateway.drafting.plan import plan
from gateway.drafting.sample import sample
from gateway.drafting.trial import tried


@pytest.mark.parametrize("preset", ["rest", "drf", "jsonapi", "postgrest"])
def test_every_preset(preset: str, tmp_path: Path) -> None:
    """Orders are their customers' in every way, products and registration are left to the reader."""
    made = plan(read(sample(preset)), preset)
    text, config, less = tried(made, preset, tmp_path)
    assert f"  preset: {preset}  #" in text
    # PostgREST finds a customer by a filter on the id, in which no owner can stand beside it.
    unproven = ["customers-change"] if preset == "postgrest" else []
    assert [route.name for route in less.closed] == [
        *("customers-create", *unproven, "customers-delete"),
        *("products-list", "products-read"),
    ]
    assert len(less.bound) == 8 - len(unproven)
    assert config.records.preset == preset


def test_each_preset_is_recognised() -> None:
    """The form that is read off the shop of a preset is the preset's own."""
    for preset in ("rest", "drf", "jsonapi"):
        made = plan(read(sample(preset)))
        assert made.records["preset"] == preset
        assert {**made.records, "ids": None} == {"preset": preset, "ids": None}
