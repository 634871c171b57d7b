"""Faults: their text, their order, and the error that carries them."""

import pickle

from gateway.config.faults import ConfigError, Fault


def test_a_fault_reads_file_line_column_what_and_hint() -> None:
    """A fault is one line that an editor can jump to."""
    assert str(Fault("gateway.yaml", 7, 9, "unknown key", "remove it")) == "gateway.yaml:7:9: unknown key; remove it"


def test_a_fault_without_a_hint_ends_with_what() -> None:
    """Nothing dangles where there is no hint."""
    assert str(Fault("gateway.yaml", 7, 9, "unknown key")) == "gateway.yaml:7:9: unknown key"


def test_an_error_sorts_its_faults_by_file_line_and_column() -> None:
    """Faults are read from top to bottom, whatever found them first."""
    faults = [Fault("b", 1, 1, "x"), Fault("a", 10, 1, "x"), Fault("a", 9, 5, "x"), Fault("a", 9, 2, "x")]
    places = [(fault.file, fault.line, fault.column) for fault in ConfigError(faults).faults]
    assert places == [("a", 9, 2), ("a", 9, 5), ("a", 10, 1), ("b", 1, 1)]


def test_an_error_names_the_same_fault_once() -> None:
    """A value reached over several aliases has one fault."""
    assert len(ConfigError([Fault("a", 1, 1, "x"), Fault("a", 1, 1, "x")]).faults) == 1


def test_an_error_prints_one_line_per_fault() -> None:
    """The text of the error is the report."""
    assert str(ConfigError([Fault("a", 2, 1, "y"), Fault("a", 1, 1, "x")])) == "a:1:1: x\na:2:1: y"


def test_an_error_survives_pickling() -> None:
    """The faults also reach a parent process."""
    error = ConfigError([Fault("a", 1, 1, "x")])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults  # noqa: S301 - our own bytes
