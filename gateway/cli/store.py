"""`gateway store`: what an operator does with the store itself. What it does is in gateway.stores."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.fault import fail
from gateway.cli.options import Config, File, Misuse, routing_file
from gateway.stores import StoreUnavailable, check_url, newest, open_store, upgrade
from gateway.stores.postgres_url import without_password

store = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Where passwords are kept.")

_TELLS = {
    "credentials": "passwords",
    "registrations": "registrations under way",
    "emails": "e-mails",
    "log_outs": "log-outs",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@store.callback()
def store_group(context: typer.Context) -> None:
    """Show what there is where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@store.command(short_help="Make the tables, or bring them to this release.")
def migrate(context: typer.Context, file: File = None, config: Config = None) -> None:
    """Bring the store of a routing file to this release, as a start does unless store.migrate is never.

    Several at once take turns; a store that is there already is left as it is.
    """
    url = _url(context, file, config)
    try:
        upgrade(url)
    except StoreUnavailable as error:
        fail(f"the store cannot be used: {error}")
    typer.echo(f"{without_password(url)}: at revision {newest()}, or at a newer one that this release may use")


@store.command(short_help="Say whether the store can be used, and what it holds.")
def check(
    context: typer.Context,
    file: File = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Prove that the store of a routing file can be read and written; changes nothing."""
    import asyncio

    from gateway.stores.transfer import count

    url = _url(context, file, config)

    async def prove() -> None:
        opened = open_store(url)
        await opened.open()
        await opened.close()

    try:
        upgrade(url, may_migrate=False)
        asyncio.run(prove())
        counts = count(url)
    except StoreUnavailable as error:
        if as_json:
            typer.echo(json.dumps({"store": without_password(url), "usable": False, "fault": str(error)}, indent=2))
        fail(f"the store cannot be used: {error}")
    if as_json:
        typer.echo(json.dumps({"store": without_password(url), "usable": True, **counts}, indent=2))
    else:
        typer.echo(f"{without_password(url)}: usable; {_told(counts)}")


@store.command(short_help="Bring an SQLite store to PostgreSQL.")
def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="Such as sqlite:////data/gateway.db.")],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="Such as postgresql://USER@HOST/DATABASE?password_file=FILE.")
    ],
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Copy an SQLite store to PostgreSQL; may be repeated until a gateway has worked with the copy.

    Stop the gateways of the old store first: what they write after the copy is not in the new one. A target that holds
    anything else is refused.
    """
    for url in (source, target):
        if fault := check_url(url):
            raise Misuse(fault, context)
    from gateway.stores.transfer import copy as bring

    try:
        counts = bring(source, target)
    except ValueError as error:
        raise Misuse(str(error), context) from error
    except StoreUnavailable as error:
        fail(f"nothing was copied: {error}")
    if as_json:
        typer.echo(json.dumps(counts, indent=2))
    else:
        typer.echo(f"copied {_told(counts)}; now GATEWAY_STORE_URL (store.url) can be {without_password(target)}")


@store.command(short_help="Write a copy of the store to a file, while gateways run.")
def backup(
    context: typer.Context,
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")],
    file: File = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Write what the store of a routing file holds at this moment to FILE: an SQLite store, for its owner only.

    Put it in the place of an SQLite store, or bring it to PostgreSQL with `gateway store copy`; then run `gateway
    customers logout --all`, for it knows of no log-out since.
    """
    from gateway.stores.transfer import backup as write

    url = _url(context, file, config)
    try:
        upgrade(url, may_migrate=False)
        counts = write(url, to)
    except StoreUnavailable as error:
        fail(f"nothing was written: {error}")
    typer.echo(json.dumps(counts, indent=2) if as_json else f"{to}: {_told(counts)}")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]} {told}" for name, told in _TELLS.items())


def _url(context: typer.Context, file: File, config: Config) -> str:
    path = routing_file(context, file, config)
    from gateway.cli.routing_file import read

    return read(path).store.url
