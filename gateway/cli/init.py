"""What `gateway init` does: drafts a routing file, has it checked, and only then writes it. It overwrites nothing."""

import http.client
import os
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import typer

from gateway.cli.demo import config_file
from gateway.cli.fault import fail
from gateway.cli.table import print_coverage
from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.proof import prove
from gateway.drafting.document import LIMIT, UnfitDocumentError, parse, plain_text
from gateway.drafting.operation import read
from gateway.drafting.plan import Plan, plan
from gateway.drafting.sample import sample
from gateway.drafting.trial import stand_ins, tried

_TIMEOUT = 30.0
_OK = 200
# What a server or a document says of itself may be long, and hold a line's end.
_LINE = 1000
PRODUCTION = "moltin"


def of_document(document: str, out: Path) -> None:
    """Draft a file of an OpenAPI document, which is a file or a URL."""
    _must_be_free(out)
    shown = _shown(document)
    try:
        _draft(plan(read(parse(_contents(document)))), shown, out)
    except UnfitDocumentError as error:
        fail(plain_text(f"{shown}: {error}; nothing was written", _LINE))


def of_preset(preset: str, out: Path) -> None:
    """Draft a file of a small shop that speaks like a preset; that of `moltin` is the production file."""
    _must_be_free(out)
    if preset != PRODUCTION:
        _draft(plan(read(sample(preset)), preset), f"--preset {preset}", out)
        return
    source = config_file().with_name("moltin.yaml")
    text = source.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="gateway-init-") as folder:
        config = load(source, stand_ins(text, Path(folder)))
    # The schema that the first line names lies beside the original.
    _write(out, text.partition("\n#\n")[2])
    print_coverage(config, prove(config))
    typer.echo(f"{out}: the file for {PRODUCTION}; `gateway check {out}` names the variables that are missing")


def _draft(made: Plan, source: str, out: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gateway-init-") as folder:
        text, config, made = tried(made, source, Path(folder))
    _write(out, text)
    _show(out, config, made)


def _shown(document: str) -> str:
    """Return what a document is called where others read it: no password and no key of a URL."""
    if not _is_url(document):
        return document
    parts = urlsplit(document)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_url(document: str) -> bool:
    return document.startswith(("http://", "https://"))


def _must_be_free(out: Path) -> None:
    if os.path.lexists(out):
        fail(f"{out} exists, and nothing is overwritten: name another file with --out")


def _write(out: Path, text: str) -> None:
    try:
        # Never over a file, nor through a link, that came in the meantime.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError as error:
        fail(f"cannot write {out}: {error.strerror}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _contents(document: str) -> bytes:
    """Return the bytes of a document, at most one more than may be."""
    if _is_url(document):
        return _fetched(document)
    try:
        with Path(document).open("rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise UnfitDocumentError(f"cannot be read: {error.strerror}") from None


def _fetched(url: str) -> bytes:
    """Ask for one URL, without a proxy, and follow nothing: a document decides on no further request."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UnfitDocumentError("a URL with a password in it is not fetched: write --openapi FILE")
    try:
        host, port = parts.hostname or "", parts.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "application/json, application/yaml, */*"})
            with connection.getresponse() as answer:
                if answer.status != _OK:
                    raise UnfitDocumentError(f"the server answered {answer.status}, and no other address is asked")
                return answer.read(LIMIT + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnfitDocumentError(f"cannot be fetched: {str(error) or type(error).__name__}") from None


def _show(out: Path, config: Config, made: Plan) -> None:
    """Show what `check` shows, and what could not be guessed."""
    print_coverage(config, prove(config))
    for route in made.closed:
        typer.echo(plain_text(f"trusted only: {route.name}: {route.method} {route.path}: {route.closed}", _LINE))
    for left in made.left_out:
        typer.echo(plain_text(f"left out: {left.method} {left.path}: {left.reason}", _LINE))
    if not made.credential.is_found:
        typer.echo("not found: the gateway's credential; write upstream.credential")
    if not made.customers.path:
        typer.echo("not found: the collection of customers; write customers.path")
    operations = len(made.routes) + len(made.left_out)
    typer.echo(
        f"{out}: {operations} operations: {len(made.bound)} bound to the customer by a guess that stands beside it,"
        f" {len(made.closed)} for trusted callers only, {len(made.left_out)} left out"
    )
