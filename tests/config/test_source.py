"""Reading a routing file: which YAML it may be, what is interpolated, what is merged, and where every fault stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.files import Files
from gateway.config.source import DOCUMENT_LIMIT, EXTENDS_LIMIT, ConfigError, Source, read

CASES = Path(__file__).parent.parent / "cases" / "config"
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read_text(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> Source:
    """Read `text` as the file gateway.yaml in `folder`."""
    path = folder / "gateway.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, environ or {}, Files())


def data(folder: Path, text: str, **environ: str) -> dict[str, Any]:
    """Return what `text` says."""
    return read_text(folder, text, environ).data


def faults(folder: Path, text: str | bytes, **environ: str) -> list[str]:
    """Return the faults of `text`, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read_text(folder, text, environ)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


@pytest.mark.parametrize("case", sorted(CASES.glob("source_*.yaml")), ids=lambda case: str(case.stem))
def test_a_faulty_file_gives_exactly_the_lines_beside_it(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden files are what an operator reads."""
    monkeypatch.chdir(CASES)
    with pytest.raises(ConfigError) as caught:
        read(Path(case.name), {"SET": "s3cr3t"}, Files())
    assert f"{caught.value}\n" == case.with_suffix(".errors").read_text()


def test_no_fault_shows_a_value() -> None:
    """Neither what the environment holds nor an unquoted secret that looks like YAML appears in a fault."""
    shown = "".join(errors.read_text() for errors in CASES.glob("source_*.errors"))
    assert "hunter" not in shown
    assert "s3cr3t" not in shown


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Windows editors may save the file."""
    assert read_text(tmp_path, b"\xef\xbb\xbfa: b\r\nc: d\r\n").data == {"a": "b", "c": "d"}


def test_seven_different_faults_in_one_file_are_all_told(tmp_path: Path) -> None:
    """An operator repairs a file in one go."""
    lines = ["a: 1", "a: 2", "404: x", "b: !tag x", "<<: {}", "c: ${env:UNSET}", "d: ${file:missing}", "e: *unknown"]
    places = [":".join(fault.split(":")[1:3]) for fault in faults(tmp_path, "\n".join(lines))]
    assert places == ["2:1", "3:1", "4:4", "5:1", "6:4", "7:4", "8:4"]


@pytest.mark.parametrize(("text", "place"), [(b"a: b\nc: \xff\n", "2:4"), (b"\xef\xbb\xbfa: \xff\n", "1:4")])
def test_a_file_that_is_not_text_is_told_where(tmp_path: Path, text: bytes, place: str) -> None:
    """The first byte that is not UTF-8 is the place."""
    assert faults(tmp_path, text) == [f"gateway.yaml:{place}: not UTF-8 text; save the file as UTF-8"]


def test_a_fault_behind_several_aliases_is_told_once(tmp_path: Path) -> None:
    """The fault stands in one place."""
    assert len(faults(tmp_path, "a: &x ${env:UNSET}\nb: *x\nc: *x\n")) == 1


def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    """The operator reads the reason of the operating system, not a traceback."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml:1:1: cannot read the file: No such file or directory"):
        read(tmp_path / "nowhere.yaml", {}, Files())
    with pytest.raises(ConfigError, match="not a regular file"):
        read(tmp_path, {}, Files())


def test_a_file_that_is_too_large_is_told_to_use_extends(tmp_path: Path) -> None:
    """What does not fit in a ConfigMap is divided, and so is a base."""
    told = "larger than 1048576 bytes; put a part of it into a file of its own, and name that with `extends`"
    large = "# " + "x" * DOCUMENT_LIMIT
    assert faults(tmp_path, large) == [f"gateway.yaml:1:1: cannot read the file: {told}"]
    (tmp_path / "base.yaml").write_text(large)
    assert faults(tmp_path, "extends: base.yaml\n") == [f"gateway.yaml:1:10: cannot read the file 'base.yaml': {told}"]


# Interpolation


def test_an_interpolated_value_stays_text_bare_or_quoted(tmp_path: Path) -> None:
    """A value from outside never becomes a boolean, a number or null."""
    environ = {"TRUE": "true", "NUMBER": "42"}
    text = "a: ${env:TRUE}\nb: '${env:NUMBER}'\nc: ['${env:UNSET:-}']\nd: '$$5'\n"
    assert data(tmp_path, text, **environ) == {"a": "true", "b": "42", "c": [""], "d": "$5"}


def test_a_source_keeps_its_values_out_of_its_repr(tmp_path: Path) -> None:
    """A traceback with local variables shows no secret."""
    source = read_text(tmp_path, "a: ${env:A}\n", {"A": "s3cr3t"})
    assert "s3cr3t" not in repr(source) + repr(vars(source.where))


def test_a_value_counts_as_interpolated_only_if_the_outside_gave_part_of_it(tmp_path: Path) -> None:
    """A secret whose literal default took effect is a literal."""
    (tmp_path / "f").write_text("x")
    lines = "literal: x\nenv: ${env:A}\npart: x${env:A}\nfile: ['${file:f}']\ndefault: ${env:U:-x}\nescaped: $$x\n"
    where = read_text(tmp_path, lines, {"A": "one"}).where
    keys = ["literal", "env", "part", "file", "default", "escaped", "nowhere"]
    assert [key for key in keys if where.interpolated((key,))] == ["env", "part"]
    assert where.interpolated(("file", 0))
    assert not where.interpolated(("env", "below"))
    assert not where.interpolated(())


# Places


def test_every_key_and_value_has_its_place(tmp_path: Path) -> None:
    """Lines and columns count from 1; what does not exist has the place of its nearest ancestor."""
    where = read_text(tmp_path, "# routing\nroutes:\n  - path: /v2\n    methods: [GET, POST]\nname: x\n").where
    places = {
        (): (2, 1),
        ("routes",): (3, 3),
        ("routes", 0): (3, 5),
        ("routes", 0, "path"): (3, 11),
        ("routes", 0, "methods", 1): (4, 20),
        ("name",): (5, 7),
        ("missing", "deeper"): (2, 1),
        ("routes", 0, "missing"): (3, 5),
        ("routes", 7): (3, 3),
        ("routes", -1): (3, 3),
        ("routes", "path"): (3, 3),
        ("name", 0): (5, 7),
    }
    assert {loc: where.locate(loc)[1:] for loc in places} == places
    assert where.locate(("name",))[0] == str(tmp_path / "gateway.yaml")
    keys = {(): (2, 1), ("routes",): (2, 1), ("routes", 0): (3, 5), ("routes", 0, "methods"): (4, 5), ("name",): (5, 1)}
    keys |= {("routes", 0, "missing"): (3, 5), ("name", "missing"): (5, 1)}
    assert {loc: where.locate_key(loc)[1:] for loc in keys} == keys


# Extends


def write(folder: Path, **files: str) -> Path:
    """Write `name`.yaml files and return the path of main.yaml."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "main.yaml"


def test_a_file_lies_over_the_file_it_extends(tmp_path: Path) -> None:
    """Mappings merge key by key; lists and scalars replace; extends itself is gone."""
    base = "a: {x: 1, y: {z: 1, w: [1, 2]}}\nb: base\nc: {d: 1}\ne: 1\n"
    path = write(tmp_path, base=base, main="extends: base.yaml\na: {y: {w: [3]}, n: 2}\nb: {f: 1}\nc: ~\n")
    merged = {"a": {"x": 1, "y": {"z": 1, "w": [3]}, "n": 2}, "b": {"f": 1}, "c": None, "e": 1}
    assert read(path, {}, Files()).data == merged


def test_a_merged_value_keeps_the_file_it_came_from(tmp_path: Path) -> None:
    """A fault in a base is told in the base."""
    where = read(write(tmp_path, base="a: {x: 1}\n", main="extends: base.yaml\na:\n  y: 2\n"), {}, Files()).where
    assert where.locate(("a", "x")) == (str(tmp_path / "base.yaml"), 1, 8)
    assert where.locate(("a", "y")) == (str(tmp_path / "main.yaml"), 3, 6)
    assert where.locate_key(("a",)) == (str(tmp_path / "main.yaml"), 2, 1)


def test_only_values_in_effect_are_interpolated(tmp_path: Path) -> None:
    """A base may name variables that the files above it replace."""
    path = write(tmp_path, base="a: ${env:UNSET}\nb: ${vault:x}\n", main="extends: base.yaml\na: 1\nb: [2]\n")
    assert read(path, {}, Files()).data == {"a": 1, "b": [2]}


def test_a_path_in_a_base_starts_at_the_base(tmp_path: Path) -> None:
    """A base brings its own secret files along."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "key").write_text("k\n")
    (tmp_path / "shared" / "base.yaml").write_text("a: ${file:key}\n")
    assert read(write(tmp_path, main="extends: shared/base.yaml\n"), {}, Files()).data == {"a": "k"}


def test_extends_goes_five_files_deep_and_no_deeper(tmp_path: Path) -> None:
    """A chain nobody can follow is a fault."""
    files = {f"f{n}": f"extends: f{n + 1}.yaml\nk{n}: 1\n" for n in range(EXTENDS_LIMIT)}
    path = write(tmp_path, **files, **{f"f{EXTENDS_LIMIT}": "last: 1\n"}, main="extends: f1.yaml\n")
    assert read(path, {}, Files()).data["last"] == 1
    path.write_text("extends: f0.yaml\n")
    with pytest.raises(ConfigError, match=r"f4\.yaml:1:10: extends goes deeper than 5 files"):
        read(path, {}, Files())


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("gateway.yaml", "extends goes in a circle"),
        ("./x/../gateway.yaml", "extends goes in a circle"),
        ("", "extends must be one path"),
        ("7", "extends must be one path"),
        ("${env:BASE}", "extends must be one path"),
        ('"a\\0b"', "cannot read the file 'a\\x00b': not a possible file name"),
        ("x", "cannot read the file 'x': not a regular file"),
    ],
)
def test_extends_names_one_other_file(tmp_path: Path, written: str, what: str) -> None:
    """Anything else is a fault at the value."""
    (tmp_path / "x").mkdir()
    (fault,) = faults(tmp_path, f"extends: {written}\n")
    assert fault.startswith(f"gateway.yaml:1:{9 + bool(written)}: {what}")


def test_a_base_that_is_not_text_is_told_in_the_base(tmp_path: Path) -> None:
    """The operator opens the right file."""
    (tmp_path / "base.yaml").write_bytes(b"a: b\nc: \xff")
    assert faults(tmp_path, "extends: base.yaml\n")[0].startswith("base.yaml:2:4: not UTF-8 text")


# Properties

texts = st.text(max_size=30)
yamlish = st.text("ab1:-[]{}&*!|>'\"\\#%@`,?~$ \n\t<.xU0envfile", max_size=60)


@same_folder
@given(st.dictionaries(texts.filter(lambda key: "${" not in key and key != "extends"), texts, min_size=1))
def test_text_dumped_by_another_writer_is_read_back_equal(tmp_path: Path, written: dict[str, str]) -> None:
    """No text changes its type or content on the way through YAML."""
    escaped = {key: value.replace("$", "$$") for key, value in written.items()}
    assert data(tmp_path, yaml.safe_dump(escaped)) == written


@same_folder
@given(st.one_of(texts, yamlish, yamlish.map("a: ".__add__)).map(str.encode) | st.binary(max_size=60))
def test_reading_anything_gives_a_source_or_a_config_error(tmp_path: Path, text: bytes) -> None:
    """No file makes the gateway fall over with another exception."""
    try:
        found: Source | ConfigError = read_text(tmp_path, text, {"a": "x"})
    except ConfigError as error:
        found = error
    if isinstance(found, ConfigError):
        assert found.faults
        assert all(fault.line >= 1 and fault.column >= 1 for fault in found.faults)
    else:
        assert isinstance(found.data, dict)
