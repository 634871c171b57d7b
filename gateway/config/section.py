"""What every section of the routing file is made of: its base, and the types of keys that several sections have."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.routing import parse_template


class Closed(BaseModel):
    """Base of all sections: unknown keys are faults, values are frozen and never echoed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=False)


def _template(path: str) -> str:
    parse_template(path)
    return path


Template = Annotated[str, AfterValidator(_template)]
Path = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+$"), AfterValidator(_template)]
