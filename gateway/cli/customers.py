"""`gateway customers`: what an operator sees and does of a customer in the store. Gateways that run hear of it."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.fault import fail
from gateway.cli.options import Config, Misuse, routing_file
from gateway.cli.store import Json
from gateway.stores import StoreUnavailable, open_store, upgrade

if TYPE_CHECKING:
    from gateway.config.model import Config as RoutingFile
    from gateway.stores import CredentialStore

customers = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Log customers out, block them.")

_Work = Callable[["CredentialStore"], Awaitable[None]]
Id = Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")]
# Words, for with --all the first one is the file.
MaybeId = Annotated[str | None, typer.Argument(metavar="ID", help="The customer's id.", show_default=False)]
FileWord = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="The routing file; without it ./gateway.yaml.", show_default=False),
]


@customers.callback()
def customers_group(context: typer.Context) -> None:
    """Show what there is where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@customers.command(short_help="Say what the store knows of a customer.")
def show(
    context: typer.Context,
    customer_id: Id,
    file: FileWord = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Show whether there is a password, whether the customer is blocked, and when all sessions were ended last."""

    async def look(store: "CredentialStore") -> None:
        stored, account = await store.credential(customer_id)
        ended = datetime.fromtimestamp(account.version // 1_000_000, UTC).isoformat() if account.version else None
        found: dict[str, Any] = {
            "customer": customer_id,
            "seen": account.number is not None,
            "password": stored is not None,
            "blocked": account.is_blocked,
            "logged_out": ended,
        }
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            typer.echo("\n".join(f"{name}: {_plain(value)}" for name, value in found.items()))

    _with(_read(context, file, config), customer_id, context, look)


@customers.command(short_help="End all sessions of a customer, or of all.")
def logout(
    context: typer.Context,
    customer_id: MaybeId = None,
    file: FileWord = None,
    config: Config = None,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Of all customers, as after a leak.")] = False,
    as_json: Json = False,
) -> None:
    """Make all tokens of a customer worthless, or with --all those of everybody: logged in again, they get new ones."""
    if everybody:
        if file is not None:
            raise Misuse("--all stands for every customer: name none", context)
        _with(_read(context, customer_id, config), None, context, lambda store: store.log_out_everybody())
        _done("everybody", "logged out", as_json=as_json)
        return
    if customer_id is None:
        raise Misuse("name a customer, or write --all", context)
    _with(_read(context, file, config), customer_id, context, lambda store: store.log_out(customer_id))
    _done(customer_id, "logged out", as_json=as_json)


@customers.command(short_help="End all sessions of a customer, and let none begin.")
def block(
    context: typer.Context,
    customer_id: Id,
    file: FileWord = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Log a customer out everywhere and refuse every login, as if the password were wrong, until `unblock`."""
    _with(_read(context, file, config), customer_id, context, lambda store: store.block(customer_id))
    _done(customer_id, "blocked", as_json=as_json)


@customers.command(short_help="Let a blocked customer log in again.")
def unblock(
    context: typer.Context,
    customer_id: Id,
    file: FileWord = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Take a block back; the tokens that it ended stay worthless."""
    _with(_read(context, file, config), customer_id, context, lambda store: store.unblock(customer_id))
    _done(customer_id, "unblocked", as_json=as_json)


@customers.command(short_help="Remove the password of a customer, and end all sessions.")
def forget(
    context: typer.Context,
    customer_id: Id,
    file: FileWord = None,
    config: Config = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Do to the store what a deletion through the gateway does: no password, no e-mail, no session is left.

    The customer's record in the commerce API stays. The id stays with its number, and with a block.
    """
    _with(_read(context, file, config), customer_id, context, lambda store: store.forget(customer_id))
    _done(customer_id, "forgotten", as_json=as_json)


def _read(context: typer.Context, file: str | None, config: Path | None) -> "RoutingFile":
    path = routing_file(context, None if file is None else Path(file), config)
    from gateway.cli.routing_file import read

    return read(path)


def _with(config: "RoutingFile", customer_id: str | None, context: typer.Context, work: _Work) -> None:
    """Do something with the store of a routing file, which has to be there; a usage error for what is no customer."""
    import asyncio

    if customer_id is not None and not config.customer_id_pattern.fullmatch(customer_id):
        raise Misuse("no customer can have this id: see customers.id_pattern and records.ids", context)

    async def run() -> None:
        store = open_store(config.store.url)
        await store.open()
        try:
            await work(store)
        finally:
            await store.close()

    try:
        upgrade(config.store.url, may_migrate=False)
        asyncio.run(run())
    except StoreUnavailable as error:
        fail(f"the store cannot be used: {error}")


def _done(customer_id: str, what: str, *, as_json: bool) -> None:
    typer.echo(json.dumps({"customer": customer_id, "done": what}, indent=2) if as_json else f"{customer_id}: {what}")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "never" if value is None else str(value)
