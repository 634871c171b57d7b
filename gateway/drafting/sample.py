"""A small shop as each preset would describe it: what `gateway init --preset` makes a file of. Data only."""

from typing import Any

_CUSTOMER = {"id": "id", "email": "string", "name": "string", "password": "string"}
_ORDER = {"id": "id", "customer": "id", "number": "string", "note": "string"}
_PRODUCT = {"id": "id", "name": "string", "price": "integer"}


def sample(preset: str) -> dict[str, Any]:
    """Return an OpenAPI document of a shop with customers, orders and products that speaks like a preset."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "a small shop, to begin with"},
        "paths": {
            path: item
            for collection, fields, writes in (
                ("customers", _CUSTOMER, True),
                ("orders", _ORDER, True),
                ("products", _PRODUCT, False),
            )
            for path, item in _SHOPS[preset](collection, fields, writes).items()
        },
    }


def _drf(collection: str, fields: dict[str, str], writes: bool) -> dict[str, Any]:  # noqa: FBT001 - one of three tables
    record = _record(fields, "integer")
    listed = {"count": {"type": "integer"}, "next": {}, "previous": {}, "results": {"type": "array", "items": record}}
    at = f"/api/{collection}/"
    return _paths(at, f"{at}{{id}}/", (_object(listed), record, record), "PATCH" if writes else "", "page")


def _rest(collection: str, fields: dict[str, str], writes: bool) -> dict[str, Any]:  # noqa: FBT001
    own = {f"{name}_id" if name == "customer" else name: kind for name, kind in fields.items()}
    record = _record(own, "string")
    listed = {"type": "array", "items": record}
    return _paths(
        f"/{collection}", f"/{collection}/{{id}}", (listed, record, record), "PATCH" if writes else "", "page"
    )


def _postgrest(collection: str, fields: dict[str, str], writes: bool) -> dict[str, Any]:  # noqa: FBT001
    own = {f"{name}_id" if name == "customer" else name: kind for name, kind in fields.items()}
    record = _record(own, "integer")
    listed = {"type": "array", "items": record}
    made = (listed, record, record)
    return _paths(f"/{collection}", f"/{collection}/{{id}}", made, "PATCH" if writes else "", "limit")


def _jsonapi(collection: str, fields: dict[str, str], writes: bool) -> dict[str, Any]:  # noqa: FBT001
    plain = {name: {"type": kind} for name, kind in fields.items() if kind != "id"}
    reference = _object({"type": {"type": "string"}, "id": {"type": "string"}})
    related = {name: _object({"data": reference}) for name, kind in fields.items() if kind == "id" and name != "id"}
    members = {"type": {"type": "string"}, "id": {"type": "string"}, "attributes": _object(plain)}
    record = _object(members | ({"relationships": _object(related)} if related else {}))
    one, many = _object({"data": record}), _object({"data": {"type": "array", "items": record}})
    at = f"/{collection}"
    return _paths(at, f"{at}/{{id}}", (many, one, one), "PATCH" if writes else "", "page[number]")


_SHOPS = {"drf": _drf, "rest": _rest, "postgrest": _postgrest, "jsonapi": _jsonapi}


def _record(fields: dict[str, str], ids: str) -> dict[str, Any]:
    return _object({name: {"type": ids if kind == "id" else kind} for name, kind in fields.items()})


def _object(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def _paths(
    at: str, one_at: str, shapes: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], change: str, page: str
) -> dict[str, Any]:
    """Return a collection that is listed, and one of its records; where they are changed, that too."""
    listed, one, sent = shapes
    word = at.strip("/").rpartition("/")[2]
    paged = [{"name": name, "in": "query"} for name in (page, "sort")]
    collection = {"get": _operation(f"{word}_list", f"List {word}", listed) | {"parameters": paged}}
    record = {"get": _operation(f"{word}_read", f"Read one of {word}", one)}
    if change:
        collection["post"] = _operation(f"{word}_create", f"Make one of {word}", one, sent)
        record[change.lower()] = _operation(f"{word}_change", f"Change one of {word}", one, sent)
        record["delete"] = _operation(f"{word}_delete", f"Delete one of {word}", None)
    return {at: collection, one_at: record}


def _operation(
    name: str, summary: str, answer: dict[str, Any] | None, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": name, "summary": summary, "responses": {"204": {}}}
    if answer is not None:
        made["responses"] = {"200": {"content": {"application/json": {"schema": answer}}}}
    if body is not None:
        made["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return made
