"""Where a PostgreSQL store lies: what its URL says, read without the libraries that open it.

The form is libpq's (postgresql.org/docs/current/libpq-connect.html 34.1.1.2), with several hosts; of its options those
that a store needs, and `password_file`.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, unquote

Target = Literal["any", "primary", "read-write"]
_OPTIONS = frozenset(
    {"host", "passfile", "password_file", "sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"}
)
_PORT = 5432
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_FORM = "write postgresql://USER@HOST/DATABASE, of several hosts HOST1:PORT1,HOST2:PORT2"


class _FaultError(ValueError):
    """What is wrong, in words that repeat nothing of the URL."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How servers are proven: authorities of one's own, and the certificate that proves the gateway; paths of files."""

    authorities: str | None
    certificate: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and the servers that may have it; `hosts` are names or addresses, or folders of Unix sockets."""

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str | None = field(repr=False)
    database: str
    tls: Tls | None
    password_file: str | None
    passfile: str | None
    target: Target


def check_postgres(url: str) -> str | None:
    """Say what is wrong with a PostgreSQL URL, without repeating any part of it; None when nothing is."""
    try:
        read_place(url)
    except _FaultError as fault:
        return str(fault)
    return None


def read_place(url: str) -> Place:
    """Read a PostgreSQL URL.

    Raises:
        ValueError: it cannot be used; the text repeats nothing of it.

    """
    rest, _, query = url.partition("://")[2].partition("?")
    authority, _, database = rest.partition("/")
    user, password, names = _authority(authority)
    options = _options(query)
    hosts = _hosts(names, options.get("host"))
    if not user or not database or "/" in database:
        raise _FaultError(f"the user or the database is missing: {_FORM}")
    given = [name for name in ("password_file", "passfile") if name in options]
    if len(given) + (password is not None) > 1:
        raise _FaultError("the password is named twice: in the URL, or in password_file or passfile")
    target = options.get("target_session_attrs", "read-write")
    if target not in get_args(Target):
        raise _FaultError(f"target_session_attrs is one of {', '.join(get_args(Target))}")
    return Place(
        *(hosts, unquote(user), None if password is None else unquote(password), unquote(database)),
        tls=_tls(hosts, options),
        password_file=options.get("password_file"),
        passfile=options.get("passfile"),
        target=cast("Target", target),
    )


def without_password(url: str) -> str:
    """Return a store's URL with its password masked; any other text as it is."""
    rest, question, query = url.partition("://")[2].partition("?")
    authority, slash, database = rest.partition("/")
    user, password, names = _authority(authority)
    if password is None:
        # In a URL that cannot be read whatever stands before an @ may be one.
        is_read = check_postgres(url) is None
        return url if is_read else re.sub(r"(?<=://)([^/?:]*):.*(?=@)", r"\1:**********", url, count=1, flags=re.DOTALL)
    scheme = url.partition("://")[0]
    return f"{scheme}://{user}:**********@{names}{slash}{database}{question}{query}"


def _authority(text: str) -> tuple[str, str | None, str]:
    """Return user, password and hosts, as they are written."""
    credentials, _, names = text.rpartition("@")
    user, colon, password = credentials.partition(":")
    return user, password if colon else None, names


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _FaultError("the options after the question mark are not NAME=VALUE&NAME=VALUE") from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise _FaultError("an option after the question mark stands there twice")
    if not options.keys() <= _OPTIONS:
        raise _FaultError(f"an option after the question mark is not one of {', '.join(sorted(_OPTIONS))}")
    if not all(options.values()):
        raise _FaultError("an option after the question mark has no value")
    return options


def _hosts(names: str, folder: str | None) -> tuple[tuple[str, int], ...]:
    if folder is not None:
        if names or not folder.startswith("/"):
            raise _FaultError("host= names the folder of a Unix socket, where no host stands before the database")
        return ((folder, _PORT),)
    found = [_HOST.fullmatch(name) for name in names.split(",")]
    hosts = [(one["six"] or one["name"], int(one["port"] or _PORT)) for one in found if one is not None]
    if len(hosts) < len(found) or not all(0 < port < 1 << 16 for _, port in hosts):
        raise _FaultError(f"a host is missing or is none: {_FORM}")
    return tuple(hosts)


def _tls(hosts: tuple[tuple[str, int], ...], options: dict[str, str]) -> Tls | None:
    default = "disable" if all(_is_here(host) for host, _ in hosts) else "verify-full"
    mode = options.get("sslmode", default)
    names = "sslrootcert", "sslcert", "sslkey"
    if mode not in {"disable", "verify-full"}:
        # The others take whatever certificate comes, or none at all.
        raise _FaultError("sslmode is verify-full, or disable on a network that is yours alone")
    if mode == "disable" and options.keys() & {*names}:
        raise _FaultError("certificates are of no use without sslmode=verify-full")
    if ("sslcert" in options) != ("sslkey" in options):
        raise _FaultError("sslcert and sslkey go together")
    return Tls(*map(options.get, names)) if mode == "verify-full" else None


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
