"""What is in force: a checked configuration with its defaults, as text, by its dangerous settings, and by its name."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml
from pydantic import BaseModel, SecretStr

from gateway.config.model import Config

# libyaml's where there is one: Python's takes 40 ms for a routing file, in which the loop does nothing else.
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# 48 bits tell all configurations of a deployment apart, and are exact in a metric, which is a double.
_VERSION_DIGITS: Final = 12


def dump(config: Config) -> str:
    """Write the effective configuration as YAML, secrets masked."""
    # The first of several stands among them already.
    document = config.model_dump(mode="json", exclude_none=True, exclude=None if config.is_nameless else {"upstream"})
    return yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)


def insecure_settings(config: Config) -> list[str]:
    """Return the names of dangerous settings that are on; for a route also which one it is, and why."""
    names = [name for name, value in config if name.startswith("insecure_") and value]
    for index, route in enumerate(config.routes):
        if route.insecure_unproven is not None:
            names.append(f"routes[{index}].insecure_unproven ({route.name}): {route.insecure_unproven}")
    return names


def version(config: Config, *beside: str) -> str:
    """Return what a configuration is called: hexadecimal digits, the same wherever all of it is, and what is `beside`.

    Secrets count, so that a replica with an old key is seen. To try secrets against it one would have to know all the
    others, the signing keys among them.
    """
    told = json.dumps([_plain(config), *beside], sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_VERSION_DIGITS]


class Setting(NamedTuple):
    """A value with all that is in it, for comparison alone, and where it stands."""

    value: Any
    section: BaseModel
    name: str

    @property
    def shown(self) -> str:
        """The value as it may be shown."""
        if _is_secret(getattr(self.section, self.name)):
            return "***"
        return json.dumps(self.section.model_dump(mode="json", include={self.name})[self.name], ensure_ascii=False)


def settings(section: BaseModel, above: str = "") -> Iterator[tuple[str, Setting]]:
    """Yield what stands in a section by its name in the file, such as `upstream.timeouts.idle`; all but the routes."""
    for name in type(section).model_fields:
        if (above, name) == ("", "routes"):
            continue
        value, path = getattr(section, name), f"{above}{name}"
        if isinstance(value, BaseModel):
            yield from settings(value, f"{path}.")
        elif isinstance(value, tuple) and value and all(isinstance(one, BaseModel) for one in value):
            for index, one in enumerate(value):
                yield from settings(one, f"{path}[{index}].")
        else:
            yield path, Setting(_plain(value), section, name)


def _is_secret(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_secret, value))
    # What is no value of a file's own, such as the keys of a folder, is not shown.
    return isinstance(value, SecretStr) or dataclasses.is_dataclass(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, secrets as they are."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(_plain(one)) for one in value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
