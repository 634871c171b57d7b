"""The JSON schema of routing files, for the completion of editors: `python -m gateway.config.schema` writes it."""

import json
from pathlib import Path
from typing import Any

from gateway.config.model import Config


def schema() -> str:
    """Return config/schema.json: the models, and the key `extends` that is gone before they see a file."""
    document = Config.model_json_schema()
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["properties"]["extends"] = {
        "type": "string",
        "description": "Another routing file, relative to this one; what stands here is laid over it.",
    }
    _relax(document, document["$defs"])
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _relax(section: Any, sections: dict[str, Any]) -> None:
    """Drop `required` from what `extends` merges key by key: a file need not repeat what its base says. Lists stay."""
    section.pop("required", None)
    for field in section["properties"].values():
        # A section, one that may be missing, or several by name.
        for one in (field, *field.get("anyOf", ()), *field.get("patternProperties", {}).values()):
            name = one.get("$ref", "").rpartition("/")[2]
            if "properties" in sections.get(name, {}):
                _relax(sections[name], sections)


if __name__ == "__main__":
    (Path(__file__).parent.parent.parent / "config" / "schema.json").write_text(schema(), encoding="utf-8")
