"""What is in force: a checked configuration with its defaults filled in, as text and by its dangerous settings."""

from typing import Final

import yaml

from gateway.config.model import Config

# libyaml's where there is one: Python's takes 40 ms for a routing file, in which the loop does nothing else.
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


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
