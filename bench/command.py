"""The command line that all benchmarks share."""

import argparse


def parser(name: str, doc: str | None, **numbers: float) -> argparse.ArgumentParser:
    """Return a parser with these options, and the choice of the lane."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=doc)
    for option, default in numbers.items():
        made.add_argument(f"--{option}", type=type(default), default=default)
    made.add_argument("--express", choices=("default", "true", "false"), default="default", help="the lane")
    return made


def settings(made: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Name the options that are not what they usually are."""
    given = [name for name, value in vars(options).items() if value != made.get_default(name)]
    return " ".join(f"{name}={getattr(options, name)}" for name in given)


def lane(options: argparse.Namespace) -> str:
    """Return the line of configuration that chooses the lane."""
    return "" if options.express == "default" else f"express: {options.express}\n"
