"""The `gateway` command, also as `python -m gateway`."""

import gc


def main() -> None:
    """Run the command."""
    # What imports make stays: looking for garbage in it again and again is an eighth of the time to start.
    gc.disable()
    from gateway.cli.app import main as run  # noqa: PLC0415 - imported while the collector is off

    gc.enable()
    run()


__all__ = ["main"]

if __name__ == "__main__":
    main()
