"""The manual of the routing file, written from the models: `python -m gateway.config.manual` writes it.

The descriptions stand at the fields and nowhere else, so that the manual cannot differ from what is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config.load import models_in
from gateway.config.model import Config, GuardStep, Rules, ScopeStep
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.vocab.policy import Passwords

_HEAD = """# The routing file

This page is written from the models by `make docs`. Values may hold `${env:NAME}`, `${env:NAME:-default}` and
`${file:PATH}`; durations are written `250ms`, `10s`, `2m`, `24h`, sizes `64KiB`, `8MiB`. `extends: other.yaml` lays a
file over another one: mappings are merged, everything else is replaced. `gateway check FILE` names every fault
with its line and column. Editors complete keys by `config/schema.json`.
"""
_PASSWORDS = {
    Passwords.REGISTER: "the password is taken out, the customer created upstream, the password kept",
    Passwords.CHANGE: "a password is taken out and kept once the upstream accepted the rest",
    Passwords.FORGET: "the password is removed once the upstream removed the customer",
    Passwords.SHOW: "customers in the reply say whether they have a password",
}
# Both credentials may be of any kind, all upstreams are alike, and so is all TLS: one says what there is to it.
_TOLD_ELSEWHERE: Final = (".public_credential", ".credential.tls", "upstreams")


def manual() -> str:
    """Return docs/configuration.md."""
    return "\n".join([_HEAD, *_sections(Config, ""), *_rules()])


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    title = f"`{path}`" if path else "The file"
    kind = model.model_fields.get("kind")
    if kind is not None:
        title += f": `kind: {get_args(kind.annotation)[0]}`"
    yield f"## {title}\n\n{_paragraphs(model)}\n\n| key | default | what it is |\n|---|---|---|"
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        yield f"| `{name}` | {_default(field)} | {field.description} |"
        nested.extend((f"{path}.{name}".lstrip("."), inner) for inner in models_in(field.annotation))
    yield ""
    for inner_path, inner in nested:
        if inner not in {Rules, ScopeStep, GuardStep} and not inner_path.endswith(_TOLD_ELSEWHERE):
            yield from _sections(inner, inner_path)


def _rules() -> Iterator[str]:
    yield f"## Access with conditions\n\n{_paragraphs(Rules)} `open` instead of them relays every request as it is.\n"
    for title, rules in (("Scoping rules (`scope`)", SCOPE_RULES), ("Guard rules (`guard`)", GUARD_RULES)):
        yield f"## {title}\n"
        for name, rule in rules.items():
            yield f"### `{name}`\n\n{_paragraphs(rule)}\n\n| option | default | what it is |\n|---|---|---|"
            for option, field in rule.model_fields.items():
                yield f"| `{option}` | {_default(field)} | {field.description} |"
            yield ""
    yield "## Passwords (`routes[].passwords`)\n\nA customer's id is the last parameter of the path.\n"
    yield from (f"- `{mode}`: {text}." for mode, text in _PASSWORDS.items())
    yield ""


def _paragraphs(model: type[BaseModel]) -> str:
    lines = (line.strip() for line in (model.__doc__ or "").splitlines())
    return "\n".join(lines).strip()


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.is_required():
        return "required"
    if field.default_factory is not None or isinstance(value, BaseModel):
        return "see below"
    if value is None or value in ((), "", {}):
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    (Path(__file__).parent.parent.parent / "docs" / "configuration.md").write_text(manual(), encoding="utf-8")
