"""Reads and checks a routing file: a Config, or all of its faults at once."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.check import Location, findings, secret_places
from gateway.config.faults import ConfigError, Fault
from gateway.config.model import ACCESS_TAGS, Config
from gateway.config.source import Source, read

# The words of the validator where its own would not tell an operator what to write.
_WHAT = {
    "extra_forbidden": "unknown key",
    "missing": "a required key is missing",
    "bool_type": "not true or false",
    "bool_parsing": "not true or false",
    "int_parsing": "not a whole number",
    "enum": "not one of the values that may stand here",
    "literal_error": "not one of the values that may stand here",
    "model_type": "keys are expected here",
    "string_pattern_mismatch": "not of the form that is expected here",
    "string_too_short": "nothing stands here",
    "string_type": "not a text",
    "too_short": "nothing stands here",
    "tuple_type": "a list is expected here",
}
_WRITE = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write digits",
    "string_pattern_mismatch": "write text that matches {pattern}",
    "string_too_short": "write something",
    "string_type": "write it in quotes",
    "too_short": "write something",
    "tuple_type": "write [...], or one line that begins with - for each",
}


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Return the checked configuration of a file; ConfigError with every fault otherwise."""
    source = read(path, os.environ if environ is None else environ)
    try:
        config = Config.model_validate(source.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=True)
        raise ConfigError(_explain(source, detail) for detail in details if not _is_echo(source, detail)) from None
    faults = [_fault(source, where, what, hint) for where, what, hint in findings(config)]
    faults.extend(_literal_secrets(source, config))
    if faults:
        raise ConfigError(faults)
    return config


def _fault(source: Source, where: Location, what: str, hint: str) -> Fault:
    place = source.where.locate(where)
    return Fault(place.file, place.line, place.column, f"{_spell(where)}: {what}", hint)


def _literal_secrets(source: Source, config: Config) -> Iterator[Fault]:
    if config.insecure_literal_secrets:
        return
    for where in secret_places(config):
        if not source.where.interpolated(where):
            hint = "write ${env:NAME} or ${file:PATH}; only a demonstration may set insecure_literal_secrets: true"
            yield _fault(source, where, "a secret stands in the file", hint)


def _is_echo(source: Source, detail: ErrorDetails) -> bool:
    """Tell whether a fault only repeats others: a list counts as empty when each of its items is faulty."""
    if detail["type"] != "too_short":
        return False
    value: Any = source.data
    for step in _in_file(value, detail["loc"]):
        value = value[step]
    return bool(value)


def _explain(source: Source, detail: ErrorDetails) -> Fault:
    location = _in_file(source.data, detail["loc"])
    kind = detail["type"]
    what = _WHAT.get(kind) or detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    context = detail.get("ctx", {})
    hint = _WRITE.get(kind, "").format(**context)
    place = source.where.locate(location)
    if kind == "extra_forbidden":
        place = source.where.locate_key(location)
        known = _known_keys(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
    elif kind == "missing":
        hint = f"add {location[-1]}:"
    elif kind == "model_type":
        hint = f"known keys: {', '.join(_known_keys(location))}"
    elif "expected" in context:
        hint = f"write {context['expected']}"
    if location[-2:-1] == ("access",) and kind in {"literal_error", "model_type"}:
        hint = "write `open`, or scope: and guard:"
    elif location[-3:-2] == ("access",) and location[-1] == "open":
        hint = "write `open` in place of the keys"
    return Fault(place.file, place.line, place.column, f"{_spell(location)}: {what}", hint)


def _in_file(data: Any, location: Location) -> Location:
    """Drop the names of union members from a validator's location: they are not in the file."""
    kept: list[str | int] = []
    for step in location:
        if step in ACCESS_TAGS and not (isinstance(data, dict) and step in data):
            continue
        kept.append(step)
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            data = None
    return tuple(kept)


def _known_keys(location: Location) -> list[str]:
    """Return the keys that may stand at a location, found by walking the model along it."""
    candidates: list[Any] = [Config]
    for step in location:
        following: list[Any] = []
        for candidate in candidates:
            if isinstance(step, int):
                following.append(candidate)
            elif step in candidate.model_fields:
                following.extend(models_in(candidate.model_fields[step].annotation))
        candidates = following
    return sorted({name for candidate in candidates for name in candidate.model_fields})


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field's annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from models_in(argument)


def _spell(location: Location) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "file"
