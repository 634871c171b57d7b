"""`gateway verify`: its options, and where its secrets come from. What it does is in proving.py."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import Config, File, Misuse, routing_file

_ADMIN_BEARER = "GATEWAY_VERIFY_ADMIN_BEARER"
_CLIENT_SECRET = "GATEWAY_VERIFY_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._~/-]*)?")
SEED_EXAMPLE = """A file for --seed (docs/verify.md says all that may stand in it):

\b
requests:
  - path: /v2/wishlists
    body: {data: {type: wishlist, name: "${canary}"}}
    saves: {list: /data/id}
  - path: /v2/wishlists/${list}/items
    body: {data: {type: wish, note: "${canary}"}}
"""


def verify(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: typer.Context,
    file: File = None,
    config: Config = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The running gateway, http or https.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Start the demonstration and verify it.")] = False,  # noqa: FBT002 - typer's way of a flag
    customer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EMAIL:@FILE",
            help="An existing test customer, with a file of its password (or env:NAME); give it twice. Their records"
            " are changed. Without it two customers are registered, and deleted afterwards.",
        ),
    ] = None,
    storefront: Annotated[
        str | None, typer.Option("--storefront-client", metavar="ID", help="Client of the implicit grant.")
    ] = None,
    admin_bearer: Annotated[
        str | None, typer.Option(metavar="@FILE", help=f"A bearer of a trusted client; or set {_ADMIN_BEARER}.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="A trusted client, to obtain that bearer.")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="@FILE", help=f"Its secret; or set {_CLIENT_SECRET}.")
    ] = None,
    seed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Requests that give a customer records, in YAML; see below.")
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write FILE.html or FILE.json; may be given several times."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for one request.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 8,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the registered customers.")] = False,  # noqa: FBT002
) -> None:
    """Prove on a running gateway that no customer gets or changes a record of another. Exit code 1: a leak."""
    reports = report or []
    if any(path.suffix not in {".html", ".json"} for path in reports):
        raise Misuse("--report: write a name that ends in .html or .json", context)
    if demo and (file or config or url):
        raise Misuse("--demo brings its own routing file and --url", context)
    if not demo and url is None:
        raise Misuse("give --url URL, where the gateway runs, or --demo", context)
    if url is not None and not _BASE_URL.fullmatch(url):
        raise Misuse("--url: write http:// or https://, a host, perhaps a path", context)
    path = None if demo else routing_file(context, file, config)
    taken = _taken(customer or [])
    bearer = _sent(admin_bearer, "--admin-bearer", _ADMIN_BEARER)
    secret = _sent(client_secret, "--client-secret", _CLIENT_SECRET)
    if client_id and not secret:
        raise Misuse(f"--client-id goes with --client-secret @FILE, or with {_CLIENT_SECRET}", context)
    from gateway.cli.proving import Request, carry_out
    from gateway.verify import recipes
    from gateway.verify.gate import Access
    from gateway.verify.run import Options

    try:
        seeds = recipes.load(seed)
    except ValueError as error:
        raise Misuse(f"--seed {error}", context) from None
    access = Access(storefront, bearer or None, client_id, secret or None)
    carry_out(Request(path, url, seeds, access, Options(taken, keep, timeout, concurrency), tuple(reports)))


def _secret(text: str, option: str) -> str:
    """Read a secret from where the command line says; it never stands there itself."""
    if text.startswith("@"):
        try:
            found = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError):
            raise Misuse(f"{option}: the file cannot be read") from None
    elif text.startswith("env:"):
        found = os.environ.get(text[4:], "")
    else:
        raise Misuse(f"{option}: write @FILE or env:NAME; a secret does not belong on a command line")
    if not found:
        raise Misuse(f"{option}: nothing stands there")
    return found


def _sent(text: str | None, option: str, variable: str) -> str | None:
    """Read what proves a client, from where the command line says or from a variable; None without either."""
    from gateway.config.secret import bared

    found = _secret(text, option) if text else os.environ.get(variable)
    try:
        return bared(found) or None if found else None
    except ValueError as error:
        raise Misuse(f"{option if text else variable}: {error}") from None


def _taken(customers: list[str]) -> tuple[tuple[str, str], ...]:
    if len(customers) not in {0, 2}:
        raise Misuse("--customer is given twice or not at all")
    pairs = [text.partition(":") for text in customers]
    if any("@" not in email or not rest for email, _, rest in pairs):
        raise Misuse("--customer: write EMAIL:@FILE or EMAIL:env:NAME")
    return tuple((email, _secret(rest, "--customer")) for email, _, rest in pairs)
