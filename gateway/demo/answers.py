"""What a call to the demo API and its answer look like; it decides nothing about shops."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, unquote

from gateway.vocab.messages import Json

JSON_TYPE = ("content-type", "application/json; charset=utf-8")
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    416: "Range Not Satisfiable",
    422: "Unprocessable Entity",
}

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class ShopAnswer:
    """One answer of the API. A `content-length` among the headers (HEAD) is the length that must be announced."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


class ShopError(Exception):
    """An error the API answers with: status, and the title and detail of its envelope."""

    def __init__(self, status: int, detail: str, title: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or TITLES[status]

    def answer(self) -> ShopAnswer:
        """Render the error envelope; the status in it is an integer, as old clients need it."""
        error = {"status": self.status, "title": self.title, "detail": self.detail}
        return json_answer({"errors": [error]}, self.status)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read: `parameters` are the path's variable parts, decoded once; `grant` is the bearer's kind."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    parameters: tuple[str, ...] = ()
    grant: str = ""

    def parameter(self, name: str) -> str | None:
        """Give a query parameter; of a repeated one the last wins, as in many real servers."""
        values = [value for key, value in self.query if key == name]
        return values[-1] if values else None

    def document(self) -> Any:
        """Give the body as JSON, or answer 400."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ShopError(400, "The request body is not valid JSON") from None

    def data(self) -> Json:
        """Give the object under `data` of the body, or answer 400."""
        document = self.document()
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            raise ShopError(400, "The request body must be an object with the object `data`")
        return data


@dataclass(frozen=True, slots=True)
class Route(Generic[StateT]):
    """A method and a path (`{}` stands for any one part) and who answers; `trusted` shuts implicit bearers out."""

    method: str
    path: str
    function: Callable[[StateT, Call], ShopAnswer]
    trusted: bool = True

    def match(self, segments: list[str]) -> tuple[str, ...] | None:
        """Give the variable parts of a matching path, or None."""
        parts = self.path.split("/")[1:]
        if len(parts) != len(segments):
            return None
        found = []
        for part, segment in zip(parts, segments, strict=True):
            if part == "{}" and segment:
                found.append(segment)
            elif part != segment:
                return None
        return tuple(found)


def json_answer(document: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> ShopAnswer:
    """Render a JSON answer."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return ShopAnswer(status, [JSON_TYPE, *headers], body)


def no_content() -> ShopAnswer:
    """Render the answer to a delete."""
    return ShopAnswer(204, [], b"")


def segments_of(path: str) -> list[str]:
    """Split a raw path, then decode each part once; dot segments and empty parts stay as they are."""
    return [unquote(part) for part in path.split("/")[1:]]


def split_target(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a raw request target into the raw path and the decoded query (`+` is a space, as in forms)."""
    path, _, query = target.partition("?")
    return path, parse_qsl(query, keep_blank_values=True)
