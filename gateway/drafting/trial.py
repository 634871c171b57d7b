"""Has a drafted file checked as a start would, and closes what that does not prove, until nothing is left to be said.

It reads no network. Variables of the file that are not set stand for something, so that the rest can be judged.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from gateway.authn.key import Algorithm, generate
from gateway.config.check import findings
from gateway.config.evidence import Finding
from gateway.config.faults import ConfigError
from gateway.config.files import Files
from gateway.config.model import Config
from gateway.config.source import read
from gateway.drafting.document import UnfitDocumentError, plain_text
from gateway.drafting.plan import Plan, closed, without
from gateway.drafting.text import written

# What a round closes may be what another route stood on; real documents need two.
_ROUNDS = 8
_LINE = 300
_VARIABLE = re.compile(r"\$\{env:([A-Z_]+)\}")


def tried(made: Plan, source: str, folder: Path) -> tuple[str, Config, Plan]:
    """Return the text of the file, what it says, and the plan it was written of, less what is not proven.

    `folder` is one that is thrown away. Raises UnfitDocumentError where no file can be made.
    """
    path = folder / "gateway.yaml"
    for _ in range(_ROUNDS):
        if not made.routes:
            break
        text = written(made, source)
        path.write_text(text, encoding="utf-8")
        environ = stand_ins(text, folder)
        try:
            config = Config.model_validate(read(path, environ, Files()).data)
        except (ConfigError, ValidationError) as error:
            said = plain_text(error, _LINE).replace(f"{path}:", "gateway.yaml:")
            raise UnfitDocumentError(f"no file comes of it: {said}") from None
        found = [*findings(config)]
        if not found:
            return text, config, made
        made = _less(made, found)
    why = [f": {one.method} {one.path}: {one.reason}" for one in made.left_out[:1]]
    raise UnfitDocumentError("no route can be made of it" + "".join(why))


def _less(made: Plan, found: list[Finding]) -> Plan:
    """Close the routes whose rules prove too little, and leave out those that cannot be."""
    closing: dict[int, str] = {}
    leaving: dict[int, str] = {}
    for where, what, _ in found:
        if where[0] != "routes" or not isinstance(where[1], int):
            raise UnfitDocumentError(f"no file comes of it: {where[0]}: {what}")
        is_open = not made.routes[where[1]].closed
        chosen = closing if is_open and where[2:3] != ("path",) else leaving
        chosen.setdefault(where[1], what)
    return without(made, leaving) if leaving else closed(made, closing)


def stand_ins(text: str, folder: Path) -> Mapping[str, str]:
    """Return an environment for a file, so that it can be read before anything is set up; the key lies in `folder`."""
    key = folder / "signing.jwk"
    if not key.exists():
        key.write_text(generate(Algorithm.EDDSA), encoding="utf-8")
    known = {"UPSTREAM_URL": "https://api.invalid", "GATEWAY_SIGNING_KEY_FILE": str(key)}
    return dict.fromkeys(_VARIABLE.findall(text), "stand-in") | known
