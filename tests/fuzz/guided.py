"""Runs one harness under atheris, which looks for inputs that reach new code: `python -m tests.fuzz.guided NAME ...`.

What comes after the name are libFuzzer's own options and folders of inputs.
"""

import importlib
import sys
from typing import Any

HARNESSES = {
    "target": "tests.fuzz.targets",
    "filter": "tests.fuzz.filters",
    "token": "tests.fuzz.tokens",
    "proxy": "tests.fuzz.proxies",
    "client": "tests.fuzz.clients",
}


def load_atheris() -> Any:
    """Return the module, None where there is none for this Python."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def main(arguments: list[str]) -> None:
    """Run until libFuzzer ends the process."""
    atheris = load_atheris()
    if atheris is None:
        sys.exit("atheris is not installed")
    with atheris.instrument_imports(include=["gateway"]):
        harness = importlib.import_module(HARNESSES[arguments[0]])
    atheris.Setup([sys.argv[0], *arguments[1:]], harness.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
