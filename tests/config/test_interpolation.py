"""Interpolation of one text: what each form gives, and what is told when it cannot."""

import os
from pathlib import Path

import pytest

from gateway.config.files import Files
from gateway.config.interpolation import FILE_LIMIT, interpolate


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("${env:A}", "one"),
        ("x-${env:A}-${env:B}", "x-one-two"),
        ("${env:A:-other}", "one"),
        ("${env:UNSET:-other}", "other"),
        ("${env:EMPTY:-other}", "other"),
        ("${env:UNSET:-}", ""),
        ("${env:UNSET:-${env:A}}", "one"),
        ("${env:A:-${env:UNSET}}", "one"),
        ("${env:UNSET:-a$$b}", "a$b"),
        ("$${env:A}", "${env:A}"),
        ("$$", "$"),
        ("$$$${env:A}", "$${env:A}"),
        ("$$${env:A}", "$one"),
        ("cost $5 {x}", "cost $5 {x}"),
        ("${env:TRUE}", "true"),
        ("${env:NUMBER}", "42"),
        ("${env:TEMPLATE}", "${env:A}"),
        ("${file:secret}", "line\n"),
        ("${file:crlf}", "line"),
        ("${file:${env:NAME}}", "line\n"),
        ("${file:./${env:UNSET:-secret}}", "line\n"),
        ("${file:template}", "${env:A} $$"),
    ],
)
def test_interpolation_gives_text(tmp_path: Path, written: str, text: str) -> None:
    """What comes from outside stays text: it is neither given a type nor interpolated again."""
    (tmp_path / "secret").write_bytes(b"line\n\n")
    (tmp_path / "crlf").write_bytes(b"line\r\n")
    (tmp_path / "template").write_bytes(b"${env:A} $$")
    environ = {"A": "one", "B": "two", "EMPTY": "", "TRUE": "true", "NUMBER": "42"}
    environ |= {"TEMPLATE": "${env:A}", "NAME": "secret"}
    outcome = interpolate(written, environ, tmp_path, Files())
    assert (outcome.text, outcome.problems) == (text, ())


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("${env:EMPTY}", "environment variable EMPTY is not set; set it or write ${env:EMPTY:-default}"),
        ("${env:UNSET:-${env:UNSET}}", "environment variable UNSET is not set"),
        ("${env:BYTES}", "environment variable BYTES is not UTF-8 text"),
        ("${ENV}", "unknown kind of ${...}; write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, and $$ for a"),
        ("${}", "unknown kind of ${...}"),
        ("${env:}", "${env:...} without a proper name"),
        ("${env:${env:A}}", "${env:...} without a proper name"),
        ("${env:A", "${ without its closing }"),
        ("${env:A:-x", "${ without its closing }"),
        ("${env:A-x}", "unknown form of ${env:...}"),
        ('${env:A:-{"x":1}}', "a { inside ${...}"),
        ("${file:}", "cannot read the file '': the path is empty"),
        ("${file:a\0b}", "cannot read the file 'a\\x00b': not a possible file name"),
        ("${file:.}", "cannot read the file '.': not a regular file"),
        ("${file:missing}", "cannot read the file 'missing': No such file or directory"),
        ("${file:${env:UNSET}}", "environment variable UNSET is not set"),
        ("${file:large}", f"cannot read the file 'large': larger than {FILE_LIMIT} bytes"),
        ("${file:binary}", "cannot read the file 'binary': not UTF-8 text"),
        ("${file:pipe}", "cannot read the file 'pipe': not a regular file"),
        ("${env:U:-" * 20 + "}" * 20, "${...} nested deeper than 8 levels"),
    ],
)
def test_a_faulty_interpolation_is_a_problem_with_a_hint(tmp_path: Path, written: str, what: str) -> None:
    """Nothing that looks like an interpolation is passed on as text."""
    (tmp_path / "large").write_bytes(b"x" * (FILE_LIMIT + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    (problem,) = interpolate(written, {"A": "one", "EMPTY": "", "BYTES": "\udcff"}, tmp_path, Files()).problems
    assert "; ".join(problem).startswith(what)


def test_a_path_from_the_environment_is_not_shown(tmp_path: Path) -> None:
    """A fault names the path as it is written."""
    ((what, hint),) = interpolate("${file:${env:P}/key}", {"P": "/s3cr3t"}, tmp_path, Files()).problems
    assert "'${env:P}/key'" in what
    assert "s3cr3t" not in what + hint


def test_all_problems_of_one_text_are_told(tmp_path: Path) -> None:
    """An operator sets all missing variables in one go."""
    assert len(interpolate("${env:A} ${env:B} ${file:missing}", {}, tmp_path, Files()).problems) == 3


def test_an_outcome_keeps_its_text_out_of_its_repr(tmp_path: Path) -> None:
    """A traceback with local variables shows no secret."""
    assert "s3cr3t" not in repr(interpolate("${env:A}", {"A": "s3cr3t"}, tmp_path, Files()))
