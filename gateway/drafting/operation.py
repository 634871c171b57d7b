"""The operations of an API as a document lists them: OpenAPI 3 and Swagger 2 alike. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.drafting.document import UnfitDocumentError, plain_text
from gateway.drafting.schema import Document, Schema, is_true

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# More than any shop has; each becomes a route.
MOST = 3_000
_SUMMARY = 90
_JSON = re.compile(r"(application|text)/([\w.+-]*\+)?json\b|\*/\*")
JSON_API = "application/vnd.api+json"
# OpenAPI 3.0.4, "Parameter Object": these are no parameters, whatever a document says.
_IGNORED = frozenset({"accept", "content-type", "authorization"})
_DONE = ("200", "201", "202", "203", "2XX", "2xx", "default")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `answer` is that of success, `body` what is sent; None where it is no JSON, or not told.

    `has_body` tells whether anything is sent. `media` is the media type of the answer. `headers` and `required` are the
    headers and query parameters that a request must have. `is_anybodys`: it says that it asks for no credential, and
    others do. `text` is all it says.
    """

    method: str
    path: str
    name: str = ""
    summary: str = ""
    query: tuple[str, ...] = ()
    body: Schema | None = None
    has_body: bool = False
    answer: Schema | None = None
    media: str = ""
    headers: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    is_anybodys: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Api:
    """What a document says of an API, in the order in which it says it."""

    title: str
    url: str
    operations: tuple[Operation, ...]
    document: Document


def read(data: Mapping[str, Any]) -> Api:
    """Return the operations of a parsed document. Raises UnfitDocumentError where it lists none."""
    version = str(data.get("openapi") or data.get("swagger") or "")
    if not re.match(r"3\.|2\.0", version):
        what = f"version {plain_text(version, 20)}" if version else "it does not say `openapi: 3...` or `swagger: 2.0`"
        raise UnfitDocumentError(f"it is no OpenAPI 3 and no Swagger 2 document: {what}")
    document = Document(data)
    dialect = _OpenApi(document) if version.startswith("3") else _Swagger(document)
    operations = tuple(_operations(document, dialect))
    if not operations:
        raise UnfitDocumentError("it lists no operation under `paths`")
    info = data.get("info")
    title = plain_text(info.get("title", "") if isinstance(info, dict) else "", _SUMMARY)
    return Api(title, plain_text(dialect.url(), 200), operations, document)


def _operations(document: Document, dialect: "_OpenApi | _Swagger") -> Iterator[Operation]:
    paths = document.data.get("paths")
    count = 0
    for path, node in (paths if isinstance(paths, dict) else {}).items():
        item, _ = document.resolved(node)
        for method in METHODS:
            said = item.get(method.lower())
            if not isinstance(said, dict):
                continue
            count += 1
            if count > MOST:
                raise UnfitDocumentError(f"it lists more than {MOST} operations")
            yield _operation(document, dialect, (method, path), item, said)


def _operation(
    document: Document,
    dialect: "_OpenApi | _Swagger",
    key: tuple[str, str],
    item: Mapping[str, Any],
    said: Mapping[str, Any],
) -> Operation:
    parameters = [
        parameter
        for holder in (item, said)
        for node in (holder["parameters"] if isinstance(holder.get("parameters"), list) else ())
        for parameter, _ in [document.resolved(node)]
    ]
    query = (str(parameter.get("name", "")) for parameter in parameters if parameter.get("in") == "query")
    must = [parameter for parameter in parameters if is_true(parameter.get("required"))]
    headers = (str(parameter.get("name", "")).lower() for parameter in must if parameter.get("in") == "header")
    required = (str(parameter.get("name", "")) for parameter in must if parameter.get("in") == "query")
    body, has_body = dialect.body(said, parameters)
    answer, media = dialect.answer(said)
    return Operation(
        *key,
        name=str(said.get("operationId") or ""),
        summary=plain_text(said.get("summary") or said.get("description") or "", _SUMMARY),
        query=tuple(dict.fromkeys(query)),
        body=None if body is None else document.schema(body),
        has_body=has_body,
        answer=None if answer is None else document.schema(answer),
        media=media,
        headers=tuple(name for name in dict.fromkeys(headers) if name not in _IGNORED),
        required=tuple(dict.fromkeys(required)),
        is_anybodys=not any(requirements(document, said)) and bool(schemes(document)),
        text=f"{said.get('summary') or ''} {said.get('description') or ''}",
    )


def schemes(document: Document) -> Mapping[str, Any]:
    """Return the security schemes of a document by their names."""
    components = document.data.get("components")
    found = components.get("securitySchemes") if isinstance(components, dict) else None
    listed = found or document.data.get("securityDefinitions")
    return listed if isinstance(listed, dict) else {}


def requirements(document: Document, said: Mapping[str, Any]) -> list[Any]:
    """Return what an operation asks for: its own list stands in place of the document's, also an empty one."""
    found = said.get("security", document.data.get("security"))
    return found if isinstance(found, list) else []


def _success(document: Document, said: Mapping[str, Any]) -> dict[str, Any]:
    found = said.get("responses")
    responses = found if isinstance(found, dict) else {}
    status = next((status for status in _DONE if status in responses), None)
    return {} if status is None else document.resolved(responses[status])[0]


class _OpenApi:
    """OpenAPI 3.0 and 3.1, whose bodies have a schema for each media type."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def url(self) -> str:
        servers = self._document.data.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        return str(first.get("url", "")) if isinstance(first, dict) else ""

    def body(self, said: Mapping[str, Any], parameters: list[dict[str, Any]]) -> tuple[Any, bool]:
        content = self._document.resolved(said.get("requestBody"))[0].get("content")
        if isinstance(content, dict):
            return _json_of(content)[0], bool(content)
        # Many that say 3 were written for 2, in part.
        found = [parameter for parameter in parameters if parameter.get("in") == "body"]
        return (found[0].get("schema"), True) if found else (None, False)

    def answer(self, said: Mapping[str, Any]) -> tuple[Any, str]:
        success = _success(self._document, said)
        if "content" not in success and isinstance(success.get("schema"), dict):
            return success["schema"], "application/json"
        return _json_of(success.get("content"))


def _json_of(content: Any) -> tuple[Any, str]:
    """Return the schema of the JSON among several media types, and what it is called; plain JSON before its kin."""
    kinds = content if isinstance(content, dict) else {}
    found = [name for name, kind in kinds.items() if _JSON.match(name) and isinstance(kind, dict)]
    name = _plainest(found)
    return (kinds[name].get("schema"), name) if name else (None, "")


def _plainest(kinds: Iterable[str]) -> str:
    ordered = sorted(kinds, key=lambda kind: not kind.startswith("application/json"))
    return ordered[0] if ordered else ""


class _Swagger:
    """Swagger 2, whose bodies are parameters and whose media types stand beside the schemas."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def url(self) -> str:
        data = self._document.data
        schemes = data.get("schemes")
        scheme = schemes[0] if isinstance(schemes, list) and schemes else "https"
        return f"{scheme}://{data['host']}{data.get('basePath', '')}" if data.get("host") else ""

    def body(self, said: Mapping[str, Any], parameters: list[dict[str, Any]]) -> tuple[Any, bool]:
        kinds = self._media(said, "consumes")
        found = [parameter for parameter in parameters if str(parameter.get("in")) in {"body", "formData"}]
        schema = next((parameter.get("schema") for parameter in found if parameter.get("in") == "body"), None)
        return schema if any(map(_JSON.match, kinds)) else None, bool(found)

    def answer(self, said: Mapping[str, Any]) -> tuple[Any, str]:
        kind = _plainest(filter(_JSON.match, self._media(said, "produces")))
        return _success(self._document, said).get("schema") if kind else None, kind

    def _media(self, said: Mapping[str, Any], key: str) -> tuple[str, ...]:
        # An operation's list stands in place of the file's; with neither, everybody means JSON.
        found = said.get(key, self._document.data.get(key))
        return tuple(map(str, found)) if isinstance(found, list) and found else ("application/json",)
