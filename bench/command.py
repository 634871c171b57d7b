"""The command line that all benchmarks share."""

import argparse


def parser(name: str, doc: str | None, **numbers: float) -> argparse.ArgumentParser:
    """Return a parser with these options."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=doc)
    for option, default in numbers.items():
        made.add_argument(f"--{option}", type=type(default), default=default)
    return made


def settings(made: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Name the options that are not what they usually are."""
    given = [name for name, value in vars(options).items() if value != made.get_default(name)]
    return " ".join(f"{name}={getattr(options, name)}" for name in given)
