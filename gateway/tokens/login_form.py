"""The login of an API that keeps passwords itself: what it is sent, and where its answer says who logged in. Pure."""

from typing import Any

from msgspec import Struct

from gateway.authn.compact import decode_segment, read_object
from gateway.vocab.record_form import Ids, Tokens
from gateway.wire.pointer import id_text, resolve

_EMAIL, _PASSWORD = "{email}", "{password}"


class LoginForm(Struct, frozen=True):
    """A login at `path`. `body` is JSON in which a text that is `{email}` or `{password}` stands for what was typed.

    `id_at` is the customer's id in its answer, or in the claims of the JWT at `token_at`. `wrong` are the statuses that
    say that the two do not belong together.
    """

    path: str
    body: Any
    id_at: Tokens
    token_at: Tokens | None
    ids: Ids
    wrong: frozenset[int]

    def filled(self, email: str, password: str) -> Any:
        """Return the body for an e-mail and a password."""
        return _filled(self.body, {_EMAIL: email, _PASSWORD: password})

    def customer_id(self, answer: Any) -> str | None:
        """Return whose the login was; None where the answer does not say."""
        if self.token_at is not None:
            answer = _claims(resolve(answer, self.token_at))
        return id_text(resolve(answer, self.id_at), self.ids)


def _filled(node: Any, typed: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, typed) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, typed) for value in node]
    return typed.get(node, node) if isinstance(node, str) else node


def _claims(token: Any) -> Any:
    """Return the claims of a JWT that the API has just given us: who could forge it could answer for the API."""
    parts = token.split(".") if isinstance(token, str) else []
    payload = decode_segment(parts[1]) if len(parts) == 3 else None  # noqa: PLR2004 - head, claims and signature
    return None if payload is None else read_object(payload)
