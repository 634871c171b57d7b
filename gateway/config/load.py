"""Reads and checks a routing file: a Config, or all of its faults at once."""

import difflib
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.authn.rotation import State, in_ring, read_keys
from gateway.config.apiside import Upstream
from gateway.config.check import Location, findings, secret_places
from gateway.config.credential import KINDS
from gateway.config.effective import version
from gateway.config.faults import ConfigError, Fault
from gateway.config.files import Files
from gateway.config.key_folder import read_folder
from gateway.config.model import ACCESS_TAGS, Config, Tokens
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
    "union_tag_invalid": "there is no such kind",
}
_KEYS: Location = ("tokens", "keys")
_NOT_IN_FILE = ACCESS_TAGS | {*KINDS, "[key]"}
_WRITE = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write digits",
    "string_pattern_mismatch": "write text that matches {pattern}",
    "string_too_short": "write something",
    "string_type": "write it in quotes",
    "too_short": "write something",
    "tuple_type": "write [...], or one line that begins with - for each",
    "union_tag_invalid": "write one of these kinds: {expected_tags}",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, what it is called, and digests of the files by which TLS to the API is proven."""

    config: Config
    version: str
    authorities: str = ""


def load_all(path: Path, environ: Mapping[str, str], files: Files) -> Loaded:
    """Return the checked configuration of a file with what lies beside it; raises ConfigError like `load`."""
    config = load(path, environ, files)
    known, named = ssl.get_default_verify_paths(), dict[Path, None]()
    for upstream in config.apis.values():
        for tls in upstream.proofs:
            ca = tls.ca_file or Path(environ.get(known.openssl_cafile_env) or known.openssl_cafile)
            named |= dict.fromkeys(one for one in (ca, tls.certificate_file, tls.key_file) if one is not None)
    authorities = " ".join(map(files.note, named))
    return Loaded(config, version(config, authorities), authorities)


def load(path: Path, environ: Mapping[str, str] | None = None, files: Files | None = None) -> Config:
    """Return the checked configuration of a file; ConfigError with every fault otherwise.

    Whatever comes of it, `files` knows afterwards what it was made of.
    """
    files = Files() if files is None else files
    source = _with_keys(read(path, os.environ if environ is None else environ, files), files)
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


def load_tokens(path: Path, environ: Mapping[str, str] | None = None) -> tuple[Tokens, Path | None]:
    """Return the section `tokens` of a file without its keys, and the folder of those; ConfigError with every fault."""
    source = read(path, os.environ if environ is None else environ, Files())
    try:
        tokens = Tokens.model_validate({**source.data.get("tokens", {}), "keys": ()})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=True)
        faults = [_explain(source, {**detail, "loc": ("tokens", *detail["loc"])}) for detail in details]
        raise ConfigError(faults) from None
    return tokens, key_folder(source)


def key_folder(source: Source) -> Path | None:
    """Return the folder that a file names for its signing keys; None where it lists them, or says nothing."""
    tokens = source.data.get("tokens")
    path = tokens.get("keys") if isinstance(tokens, dict) else None
    return Path(source.where.locate(_KEYS).file).parent / path if isinstance(path, str) and path else None


def _with_keys(source: Source, files: Files) -> Source:
    """Return the source with the keys of the folder, the one that signs first, in place of its path."""
    path = key_folder(source)
    if path is None:
        return source
    # Before it is read: what changes meanwhile is read once more.
    files.note(path)
    folder = read_folder(path)
    kept, faults = read_keys(folder.texts)
    if folder.faults or faults:
        hint = "let `gateway keys` alone write into the folder, PEM files apart"
        raise ConfigError(_fault(source, _KEYS, what, hint) for what in (*folder.faults, *faults))
    ring = in_ring(kept)
    if not ring or ring[0].state is not State.ACTIVE:
        hint = "make one with `gateway keys new`, or let it sign with `gateway keys rotate`"
        raise ConfigError([_fault(source, _KEYS, "no key of the folder signs", hint)])
    tokens = {**source.data["tokens"], "keys": [folder.texts[one.file] for one in ring]}
    return replace(source, data={**source.data, "tokens": tokens})


def _fault(source: Source, where: Location, what: str, hint: str) -> Fault:
    place = source.where.locate(where)
    return Fault(place.file, place.line, place.column, f"{_spell(where)}: {what}", hint)


def _literal_secrets(source: Source, config: Config) -> Iterator[Fault]:
    if config.insecure_literal_secrets:
        return
    for where in secret_places(config):
        # A folder is no secret.
        if not source.where.interpolated(where) and not (where[:2] == _KEYS and source.where.is_scalar(_KEYS)):
            hint = "write ${env:NAME} or ${file:PATH}; only a demonstration may set insecure_literal_secrets: true"
            yield _fault(source, where, "a secret stands in the file", hint)


def _is_echo(source: Source, detail: ErrorDetails) -> bool:
    """Tell whether a fault only repeats others: a list counts as empty when each of its items is faulty."""
    return detail["type"] == "too_short" and bool(_value(source, _in_file(source.data, detail["loc"])))


def _value(source: Source, location: Location) -> Any:
    value: Any = source.data
    for step in location:
        value = value[step]
    return value


def _close(word: object, known: Sequence[str]) -> str | None:
    """Return the one of the known words that was probably meant."""
    spelled = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(str(word).casefold(), spelled, n=1)
    return spelled[found[0]] if found else None


def _explain(source: Source, detail: ErrorDetails) -> Fault:
    location = _in_file(source.data, detail["loc"])
    kind = detail["type"]
    what = _WHAT.get(kind) or detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if source.where.interpolated(location):
        # What was meant is made of what stands there, which may be a secret.
        what = what.partition("; did you mean")[0]
    context = detail.get("ctx", {})
    hint = _WRITE.get(kind, "").format(**context)
    place = source.where.locate(location)
    if kind == "extra_forbidden":
        place = source.where.locate_key(location)
        known = _known_keys(location[:-1])
        close = _close(location[-1], known)
        hint = f"did you mean {close}?" if close else f"known keys: {', '.join(known)}"
    elif kind == "missing":
        hint = f"add {location[-1]}:"
    elif kind == "model_type":
        hint = f"known keys: {', '.join(_known_keys(location))}"
    elif "expected" in context:
        close = _close(_value(source, location), re.findall(r"'(.*?)'", context["expected"]))
        hint = f"did you mean {close}? Write {context['expected']}" if close else f"write {context['expected']}"
    if location[-2:-1] == ("access",) and kind in {"literal_error", "model_type"}:
        hint = "did you mean open? Write " if hint.startswith("did") else "write "
        hint += "`open`, or scope: and guard:"
    elif location[-3:-2] == ("access",) and location[-1] == "open":
        hint = "write `open` in place of the keys"
    return Fault(place.file, place.line, place.column, f"{_spell(location)}: {what}", hint)


def _in_file(data: Any, location: Location) -> Location:
    """Drop from a validator's location what is not in the file: names of union members, and its mark of a key."""
    kept: list[str | int] = []
    for step in location:
        if step in _NOT_IN_FILE and not (isinstance(data, dict) and step in data):
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
            field = candidate.model_fields.get(step) if isinstance(step, str) else None
            if field is not None:
                following.extend(models_in(field.annotation))
            elif isinstance(step, int) or candidate is Upstream:
                # An item of a list, or the name of an upstream: what stands there is what its list is of.
                following.append(candidate)
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
