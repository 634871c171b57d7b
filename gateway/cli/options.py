"""Options that several commands share, and what they are read as."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.vocab.address import Address

PUBLIC = Address("127.0.0.1", 8080)
ADMIN = Address("127.0.0.1", 9901)
USUAL = Path("gateway.yaml")
# A file's name is told from a method by its dot or slash.
_METHOD = re.compile("[A-Za-z-]+")


class Misuse(typer.BadParameter):
    """A usage error whose sentence needs no beginning."""

    def format_message(self) -> str:
        """Return the sentence."""
        return self.message


class Preset(StrEnum):
    """How an API may speak of its records."""

    MOLTIN = "moltin"
    JSONAPI = "jsonapi"
    REST = "rest"
    DRF = "drf"
    POSTGREST = "postgrest"


class LogForm(StrEnum):
    """How the log of the demonstration is written."""

    HUMAN = "human"
    JSON = "json"


def _address(text: str | Address) -> Address:
    # Typer passes the default through here as well.
    if isinstance(text, Address):
        return text
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port there is
        raise typer.BadParameter("write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    host = host.removeprefix("[").removesuffix("]")
    try:
        # As the resolver would, which lets its failure through as it is.
        host.encode("idna")
    except UnicodeError:
        raise typer.BadParameter("this cannot be the name of a host") from None
    return Address(host, int(port))


Listen = Annotated[Address, typer.Option(parser=_address, metavar="HOST:PORT", help="Public address.")]
Admin = Annotated[Address, typer.Option(parser=_address, metavar="HOST:PORT", help="Admin address.")]
_FILE = "The routing file; without it ./gateway.yaml, where there is one."
File = Annotated[Path | None, typer.Argument(metavar="FILE", help=_FILE, show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The routing file, as an option.")]
# Words, for where the file is left out each is the next one's.
FileWord = Annotated[str | None, typer.Argument(metavar="FILE", help=_FILE, show_default=False)]
Method = Annotated[str | None, typer.Argument(metavar="METHOD", help="Such as GET.", show_default=False)]
Target = Annotated[
    str | None,
    typer.Argument(metavar="TARGET", help="Path and query, as a client would send them.", show_default=False),
]


def routing_file(context: typer.Context, file: Path | None, config: Path | None) -> Path:
    """Return the one routing file that is meant; a usage error where there is none, or there are two."""
    if file is not None and config is not None and file.absolute() != config.absolute():
        raise Misuse(f"two routing files are given, {file} and --config {config}: write one of them", context)
    given = file or config
    if given is None and not USUAL.is_file():
        raise Misuse(
            f"no routing file: write its name after `{context.command_path}`, or call it {USUAL} and work in its"
            " folder; `gateway demo` needs none",
            context,
        )
    return given or USUAL


def question(
    context: typer.Context, words: tuple[str | None, str | None, str | None], config: Path | None
) -> tuple[Path, str, str]:
    """Return the routing file, the method and the target of `[FILE] METHOD TARGET`."""
    given = [word for word in words if word is not None]
    file = Path(given.pop(0)) if len(given) == len(words) else None
    if len(given) < len(words) - 1:
        raise Misuse("Missing argument 'TARGET': write METHOD TARGET, such as GET /v2/orders, after the file", context)
    method, target = given
    if not _METHOD.fullmatch(method):
        raise Misuse(f"{method!r} is no method: write FILE METHOD TARGET, such as GET /v2/orders after FILE", context)
    return routing_file(context, file, config), method, target
