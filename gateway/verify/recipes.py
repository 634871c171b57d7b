"""Seed files: which requests give a customer records, and how an ordinary body looks. Reads YAML, sends nothing."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.routing import shape
from gateway.verify.facts import RouteFacts
from gateway.vocab.messages import CallerKind
from gateway.wire.pointer import Pointer

_VARIABLE = re.compile(r"\$\{([a-z_]+)\}")


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeedRequest(_Closed):
    """A request that gives a customer a record."""

    caller: Literal["customer", "trusted", "public"] = Field(alias="as", default="customer")
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    path: str = Field(pattern=r"^/\S*$")
    body: Any = None
    under: str | None = None
    saves: dict[str, Pointer] = Field(default_factory=dict)


class SeedBody(_Closed):
    """An ordinary body."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(pattern=r"^/\S*$")
    body: Any


class Seeds(_Closed):
    """A seed file."""

    keys: tuple[str, ...] = ()
    requests: tuple[SeedRequest, ...] = ()
    bodies: tuple[SeedBody, ...] = ()

    def body(self, method: str, route: RouteFacts) -> Any:
        """Return the ordinary body of a method and a route, None where nobody wrote one down."""
        for known in self.bodies:
            if known.method == method and shape(known.path) == shape(route.path):
                return known.body
        for request in self.requests:
            if request.method == method and request.body is not None and matches(request.path, route):
                return request.body
        return None


class UnknownVariableError(Exception):
    """A seed names something that no earlier answer gave."""


def built_in() -> Seeds:
    """Return what is known of the commerce API."""
    text = (files("gateway.verify") / "moltin.yaml").read_text(encoding="utf-8")
    return Seeds.model_validate(yaml.safe_load(text))


def load(path: Path | None) -> Seeds:
    """Return the seeds of an operator's file, with the built-in ones behind them; ValueError where it is none."""
    known = built_in()
    if path is None:
        return known
    try:
        own = Seeds.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {str(error).partition(chr(10))[0]}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from None
    return Seeds(
        keys=(*own.keys, *known.keys),
        requests=(*own.requests, *known.requests),
        bodies=(*own.bodies, *known.bodies),
    )


def matches(path: str, route: RouteFacts) -> bool:
    """Tell whether a path of a seed is one of a route's: variables fit parameters only."""
    segments = path.partition("?")[0].strip("/").split("/")
    parts = route.parts
    if parts[-1].is_tail:
        segments = segments[: len(parts)]
    return len(segments) == len(parts) and all(
        part.is_parameter or part.text == segment for part, segment in zip(parts, segments, strict=True)
    )


def find(request: SeedRequest, routes: tuple[RouteFacts, ...]) -> RouteFacts | None:
    """Return the route a seed request takes, if there is one and its caller may use it; the most literal one wins."""
    kind = CallerKind(request.caller)
    found = [
        route
        for route in routes
        if request.method in route.methods and kind in route.access and matches(request.path, route)
    ]
    return min(found, key=lambda route: sum(part.is_parameter for part in route.parts), default=None)


def expand(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables into every text of a value."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _lookup(found[1], variables), value)
    if isinstance(value, dict):
        return {key: expand(part, variables) for key, part in value.items()}
    return [expand(part, variables) for part in value] if isinstance(value, list) else value


def _lookup(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        raise UnknownVariableError(name)
    return variables[name]
