"""config/schema.json: in sync with the models, and true of the files that name it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from gateway.config.schema import schema

FOLDER = Path(__file__).parent.parent.parent / "config"
FILES = sorted(FOLDER.glob("*.yaml"))
CASES = Path(__file__).parent.parent / "cases" / "config"


def validator() -> Draft202012Validator:
    """Return a validator of the stored schema."""
    return Draft202012Validator(json.loads((FOLDER / "schema.json").read_text()))


def test_the_schema_is_written_from_the_models() -> None:
    """Renew it with `python -m gateway.config.schema`."""
    assert (FOLDER / "schema.json").read_text() == schema()


def test_the_schema_is_a_schema() -> None:
    """Editors understand it."""
    Draft202012Validator.check_schema(json.loads(schema()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_every_file_names_the_schema_and_fits_it(path: Path) -> None:
    """Completion works in the files that are shipped, and says nothing wrong about them."""
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n")
    assert [error.message for error in validator().iter_errors(_without_variables(yaml.safe_load(text)))] == []


@pytest.mark.parametrize("name", ["unknown_key", "open_typos", "missing_keys", "bad_units"])
def test_an_editor_sees_what_loading_would_refuse(name: str) -> None:
    """Unknown keys, missing keys, units and misspelled access are marked while they are written."""
    assert list(validator().iter_errors(yaml.safe_load((CASES / f"{name}.yaml").read_text())))


def _without_variables(value: Any) -> Any:
    """Put text in place of `${env:...}`: what a variable holds is not the file's."""
    if isinstance(value, dict):
        return {key: _without_variables(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_variables(inner) for inner in value]
    return "x" if isinstance(value, str) and value.startswith("${") else value
