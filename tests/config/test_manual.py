"""The manual of the routing file is written from the models and kept in sync."""

from gateway.config.manual import manual
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.rules import RULES as SCOPE_RULES
from tests.gateways import ROOT


def test_manual_is_in_sync_with_the_models() -> None:
    """docs/configuration.md is what the models say today; `make docs` renews it."""
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == manual()


def test_manual_names_every_rule() -> None:
    """Each rule of both lists has its section."""
    for name in (*SCOPE_RULES, *GUARD_RULES):
        assert f"### `{name}`" in manual()


def test_no_option_lacks_a_description() -> None:
    """Every key and option says what it is."""
    assert "| None |" not in manual()
