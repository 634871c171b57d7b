"""Writes requests down for people, without any secret in them. Pure."""

import re
import shlex
from collections.abc import Iterable

from gateway.verify.model import Message
from gateway.wire.headers import CUSTOMER_TOKEN

# What looks like a token is one: forged ones carry pieces of real ones.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]*")
_PASSWORD = re.compile(r'("(?:current_)?password"\s*:\s*)"[^"]*"')
_LONGEST_BODY = 400


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text without tokens, passwords and the known secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _PASSWORD.sub(r'\1"***"', _TOKEN.sub("***", text))


def curl(origin: str, message: Message, secrets: set[str]) -> str:
    """Return a request as one would type it; credentials are shell variables."""
    words = ["curl --path-as-is", "-X", message.method, shlex.quote(_url(origin, message.target))]
    for name, value in message.headers:
        variable = _variable(name, value, secrets)
        line = f"{name}: {masked(value, secrets)}"
        words += ["-H", shlex.quote(line) if variable is None else f'"{name}: {variable}"']
    if message.body is not None:
        body = masked(message.body.decode("utf-8", "replace"), secrets)
        words += ["--data-binary", shlex.quote(body if len(body) <= _LONGEST_BODY else f"{body[:_LONGEST_BODY]}...")]
    return " ".join(words)


def _variable(name: str, value: str, secrets: set[str]) -> str | None:
    """Return the shell variable that stands for a credential, None for any other line."""
    if name == "Authorization":
        return "Bearer $BEARER" if value.removeprefix("Bearer ") in secrets else "Bearer $FORGED"
    if name == CUSTOMER_TOKEN:
        return "$CUSTOMER_TOKEN" if value in secrets else "$FORGED"
    return None


def _url(origin: str, target: str) -> str:
    return target if "://" in target else origin + target
