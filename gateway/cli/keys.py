"""`gateway keys`: makes signing keys, and lets one take the other's place. What may be done when: authn/rotation.py."""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from gateway.cli.fault import fail
from gateway.cli.options import Config, File, Misuse, routing_file
from gateway.vocab.algorithm import Algorithm

if TYPE_CHECKING:
    from gateway.authn.rotation import Kept, TooEarly

keys = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Signing keys.")

Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="The folder of keys, in place of the routing file that names it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; times are epoch seconds.")]
AtOnce = Annotated[bool, typer.Option("--insecure-now", help="Do not wait, though good tokens will be refused.")]
_now: Final[Callable[[], float]] = time.time  # noqa: TID251 - when a key came into its state


def _duration(text: str) -> float:
    from gateway.config.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@keys.callback()
def keys_group(context: typer.Context) -> None:
    """Show what there is where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@keys.command(short_help="Make a private signing key.")
def new(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: typer.Context,
    file: File = None,
    config: Config = None,
    folder: Folder = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it alone; it must not exist.")
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option(help="What it signs with.")] = Algorithm.EDDSA,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Make a private signing key, readable by its owner only.

    In the folder it is the next key: it verifies and is published, and `gateway keys rotate` lets it sign. The first
    one of a folder, which is made if need be, signs at once. With --out it is a file for a list of keys.
    """
    from gateway.authn.key import generate, load_key

    if out is not None:
        if folder or file or config:
            raise Misuse("--out is for a key outside of any folder: leave the others away", context)
        _write_alone(out, generate(algorithm), as_json=as_json)
        return
    from gateway.authn.rotation import State, stamped
    from gateway.config.key_folder import write_file

    path = _named(context, file, config, folder)[0]
    now = _now()
    with _locked(path, makes=True):
        kept = _kept(path)[0]
        waiting = [one.kid for one in kept if one.state is State.NEXT]
        if waiting:
            fail(f"{waiting[0]} is the next key already: `gateway keys rotate` lets it sign, `retire` removes it")
        text = generate(algorithm)
        kid = load_key(text).kid
        write_file(path / f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}-{kid}.jwk", stamped(text, now, kept))
        _tell(path, _kept(path)[0], {kid}, as_json=as_json)


@keys.command("list", short_help="Say which key signs, and what may be done when.")
def show(
    context: typer.Context,
    file: File = None,
    config: Config = None,
    folder: Folder = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """List the keys of the folder: the one that signs, those that only verify, and what is left of retired ones."""
    path, longest_life = _named(context, file, config, folder)
    kept = _kept(path)[0]
    _tell(path, kept, {one.kid for one in kept}, longest_life, as_json=as_json)


@keys.command(short_help="Let the next key sign.")
def rotate(
    context: typer.Context,
    file: File = None,
    config: Config = None,
    folder: Folder = None,
    insecure_now: AtOnce = False,  # noqa: FBT002 - typer's way of a flag
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Let the next key sign; the one that did goes on verifying.

    Refused until all who verify know it: ten minutes after it was made, five of which published keys may be kept.
    """
    from gateway.authn.rotation import State, TooEarly, rotated, signing
    from gateway.config.key_folder import write_file

    path, longest_life = _named(context, file, config, folder)
    with _locked(path):
        kept, texts = _kept(path)
        following = min((one for one in kept if one.state is State.NEXT), key=lambda one: one.since, default=None)
        if following is None:
            fail("there is no next key: `gateway keys new` makes one")
        text = rotated(texts[following.file], following, kept, _now(), at_once=insecure_now)
        if isinstance(text, TooEarly):
            _refuse(text, as_json=as_json)
        write_file(path / following.file, text)
        before = signing(kept)
        _tell(path, _kept(path)[0], {following.kid, before.kid if before else ""}, longest_life, as_json=as_json)


@keys.command(short_help="Take keys away that no good token needs any more.")
def retire(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: typer.Context,
    file: File = None,
    config: Config = None,
    folder: Folder = None,
    kid: Annotated[
        str | None, typer.Option(metavar="KID", help="This one, also the next key; without it all retiring keys.")
    ] = None,
    longest_life: Annotated[
        float | None,
        typer.Option(
            parser=_duration,
            metavar="DURATION",
            help="With --folder: the longer one of tokens.bearer_life and customer_life, such as 24h.",
        ),
    ] = None,
    insecure_now: AtOnce = False,  # noqa: FBT002 - typer's way of a flag
    as_json: Json = False,  # noqa: FBT002 - typer's way of a flag
) -> None:
    """Retire the keys that have stopped signing: of each the private part goes, and a record stays.

    Refused until the last token that a replica signed with it has expired.
    """
    from gateway.authn.rotation import State, TooEarly, retired
    from gateway.config.key_folder import write_file

    path, written = _named(context, file, config, folder)
    life = written or longest_life
    if life is None or None not in {written, longest_life}:
        raise Misuse("--longest-life goes with --folder, where no routing file says it", context)
    with _locked(path):
        meant = [one for one in _kept(path)[0] if (one.state is State.RETIRING if kid is None else one.kid == kid)]
        if not meant:
            fail("no key is retiring" if kid is None else f"no key of the folder is {kid}")
        if meant[0].state in {State.ACTIVE, State.RETIRED}:
            fail(f"{kid} signs: `gateway keys rotate` first" if meant[0].state is State.ACTIVE else f"{kid} is retired")
        texts = [(one, retired(one, life, _now(), at_once=insecure_now)) for one in meant]
        done = [(one, text) for one, text in texts if isinstance(text, str)]
        if not done:
            _refuse(next(text for _, text in reversed(texts) if isinstance(text, TooEarly)), as_json=as_json)
        for one, text in done:
            write_file(path / one.file, text)
        _tell(path, _kept(path)[0], {one.kid for one, _ in done}, life, as_json=as_json)


def _named(
    context: typer.Context, file: Path | None, config: Path | None, folder: Path | None
) -> tuple[Path, float | None]:
    """Return the folder that is meant, and the longest life of a token in seconds where a routing file says it."""
    if folder is not None:
        if file or config:
            raise Misuse("--folder stands in place of the routing file: leave one of them away", context)
        return folder, None
    path = routing_file(context, file, config)
    from gateway.config.faults import ConfigError
    from gateway.config.load import load_tokens

    try:
        tokens, found = load_tokens(path)
    except ConfigError as error:
        fail(str(error))
    if found is None:
        fail(f"{path}: tokens.keys is no folder; write its path there, or name it with --folder")
    return found, max(tokens.bearer_life, tokens.customer_life)


@contextmanager
def _locked(path: Path, *, makes: bool = False) -> Iterator[None]:
    from gateway.config.key_folder import changing

    try:
        if makes:
            path.mkdir(mode=0o700, exist_ok=True)
        with changing(path):
            yield
    except OSError as error:
        fail(f"cannot change {error.filename or path}: {error.strerror or error}")


def _kept(path: Path) -> "tuple[tuple[Kept, ...], dict[str, str]]":
    """Return the keys of the folder, and the text of each file; every fault ends the command."""
    from gateway.authn.rotation import read_keys
    from gateway.config.key_folder import read_folder

    folder = read_folder(path)
    kept, faults = read_keys(folder.texts)
    if folder.faults or faults:
        fail("\n".join(f"{path}: {fault}" for fault in (*folder.faults, *faults)))
    return kept, dict(folder.texts)


def _write_alone(path: Path, text: str, *, as_json: bool) -> None:
    from gateway.authn.key import load_key

    try:
        # Never over an existing key: tokens signed with it would all die.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(text + "\n")
    key = load_key(text)
    told = json.dumps({"file": str(path), "kid": key.kid, "algorithm": key.algorithm}, indent=2)
    typer.echo(told if as_json else f"{path}: {key.algorithm} key {key.kid}")


def _refuse(early: "TooEarly", *, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"refused": early.what, "until": early.until}, indent=2))
    fail(f"{early.what}: wait until {_written(early.until)}, or say --insecure-now")


def _tell(
    path: Path, kept: "Sequence[Kept]", kids: Collection[str], longest_life: float | None = None, *, as_json: bool
) -> None:
    """Print what is to be known of some keys of the folder."""
    told = [one for one in kept if one.kid in kids]
    if as_json:
        shown = [_as_json(one, longest_life) for one in told]
        typer.echo(json.dumps({"folder": str(path), "keys": shown}, indent=2))
        return
    for one in told:
        then = _then(one, longest_life)
        since = f"since {_written(one.since)}" if one.since else "from the beginning"
        typer.echo(f"{one.kid}: {one.algorithm}, {one.state} {since}{then and f'; {then}'}")


def _as_json(one: "Kept", longest_life: float | None) -> dict[str, Any]:
    from gateway.authn.rotation import State, may_retire_from, may_sign_from

    shown = {"kid": one.kid, "algorithm": one.algorithm, "state": one.state, "since": one.since, "file": one.file}
    if one.state is State.NEXT:
        shown["may_sign_from"] = may_sign_from(one)
    if one.state is State.RETIRING and longest_life is not None:
        shown["may_retire_from"] = may_retire_from(one, longest_life)
    return shown


def _then(one: "Kept", longest_life: float | None) -> str:
    """Say what comes next for a key."""
    shown = _as_json(one, longest_life)
    if "may_sign_from" in shown:
        return f"may sign from {_written(shown['may_sign_from'])}"
    return f"may be retired from {_written(shown['may_retire_from'])}" if "may_retire_from" in shown else ""


def _written(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
