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
from gateway.wire.pointer import Pointer, placed

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


class Guess:
    """A body for a route that nobody wrote one down for: `mark` in all the fields that it lets pass.

    What the API says is wrong of a field it gets as something else: a number, a date, true. Where it names none, it
    gets one field alone, then none.
    """

    def __init__(self, route: RouteFacts, mark: str) -> None:
        self._route = route
        words = [part.text for part in route.parts if not part.is_parameter] or [""]
        kind = words[-1] if route.form.owner_type.endswith("s") else words[-1].removesuffix("s")
        self._kinds = (mark, 1, "2030-01-01", True)
        fields = route.fields or ((*route.form.fields_at, "name"), (*route.form.fields_at, "note"))
        places = [tuple(field.split("/")) if isinstance(field, str) else field for field in fields]
        self._fixed: dict[tuple[str, ...], Any] = {("type",): kind} if route.form.body_at else {}
        self._tried = {place: 0 for place in places if place not in self._fixed}
        self._fewer = [*({place: 0} for place in self._tried), dict[tuple[str, ...], int]()]

    def document(self) -> Any:
        """Return the body as it is guessed by now."""
        record: Any = {}
        for place, value in self._fixed.items():
            record = placed(record, place, value)
        for place, tried in self._tried.items():
            record = placed(record, place, self._kinds[tried])
        return placed({}, self._route.form.body_at, record)

    def learn(self, answer: Any) -> bool:
        """Change the fields that an error names, or leave some out; False where all was tried."""
        errors = answer.get("errors") if isinstance(answer, dict) else None
        changed = False
        for error in errors if isinstance(errors, list) else []:
            source = error.get("source") if isinstance(error, dict) else None
            source = source.get("pointer") if isinstance(source, dict) else source
            place = tuple(re.split(r"[./]", source.strip("/"))) if isinstance(source, str) else ()
            place = place[len(self._route.form.body_at) :] if place[:1] == self._route.form.body_at[:1] else place
            tried = self._tried.get(place, -1) + 1
            if place and tried < len(self._kinds):
                self._tried[place] = tried
                changed = True
        if not changed and self._fewer:
            self._tried, changed = self._fewer.pop(0), True
        return changed


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
