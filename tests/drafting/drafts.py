"""Drafts of the documents beside this file, for tests."""

import functools
from pathlib import Path
from typing import Any

import yaml

from gateway.config.model import Config
from gateway.drafting.document import parse
from gateway.drafting.operation import read
from gateway.drafting.plan import Plan, plan
from gateway.drafting.route import Drafted
from gateway.drafting.trial import tried

DOCUMENTS = Path(__file__).parent / "documents"


@functools.cache
def drafted(name: str) -> Plan:
    """Return the plan of a document, before `check` has judged it."""
    return plan(read(parse((DOCUMENTS / name).read_bytes())))


def route(name: str, route_name: str) -> Drafted:
    """Return one route of the plan of a document."""
    return next(route for route in drafted(name).routes if route.name == route_name)


def scope(one: Drafted) -> dict[str, Any]:
    """Return the scoping rules of a route with their options."""
    return {rule.name: dict(rule.options) for rule in one.scope}


def guard(one: Drafted) -> dict[str, Any]:
    """Return the guards of a route with their options."""
    return {rule.name: dict(rule.options) for rule in one.guard}


def file_of(name: str, folder: Path) -> tuple[Any, Config, Plan]:
    """Return the file of a document as YAML says it, as the gateway reads it, and the plan it was written of."""
    text, config, made = tried(drafted(name), name, folder)
    return yaml.safe_load(text), config, made


def of(data: dict[str, Any], **more: Any) -> Plan:
    """Return the plan of a document that is written in a test: its paths, and what else it has."""
    return plan(read({"openapi": "3.0.0", "paths": data, **more}))


def answers(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that answers with JSON of a schema."""
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}
