"""What the tests of deploy/ read: the Dockerfile as instructions. It runs no build and knows nothing of Kubernetes."""

import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="session", name="root")
def _root() -> Path:
    """Return the folder of the repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", name="instructions")
def _instructions(root: Path) -> list[tuple[str, str]]:
    """Return the Dockerfile as (instruction, arguments), without comments, continuation lines joined."""
    lines = (root / "deploy/Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name.upper(), arguments.strip()) for name, arguments in pairs]


@pytest.fixture(scope="session", name="stages")
def _stages(instructions: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, each beginning with its FROM."""
    starts = [index for index, (name, _) in enumerate(instructions) if name == "FROM"]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


@pytest.fixture(scope="session", name="image")
def _image(stages: list[list[tuple[str, str]]]) -> dict[str, str]:
    """Return what the last stage says, the last word of each instruction."""
    return dict(stages[-1])


@pytest.fixture(scope="session", name="image_command")
def _image_command(image: dict[str, str]) -> list[str]:
    """Return the command line that a container runs: ENTRYPOINT and CMD, which must be in exec form."""
    return [*json.loads(image["ENTRYPOINT"]), *json.loads(image["CMD"])]


@pytest.fixture(scope="session", name="image_environment")
def _image_environment(stages: list[list[tuple[str, str]]]) -> dict[str, str]:
    """Return what the ENV lines of the last stage set."""
    words = [word for name, arguments in stages[-1] if name == "ENV" for word in arguments.split()]
    return dict(word.split("=", 1) for word in words)


@pytest.fixture(scope="session", name="public_port")
def _public_port(image_command: list[str]) -> int:
    """Return the port that --listen names."""
    return int(image_command[image_command.index("--listen") + 1].rpartition(":")[2])


@pytest.fixture(scope="session", name="admin_port")
def _admin_port(image_command: list[str]) -> int:
    """Return the port that --admin names."""
    return int(image_command[image_command.index("--admin") + 1].rpartition(":")[2])
