"""Operations of OpenAPI 3 and Swagger 2 documents."""

from typing import Any

import pytest

from gateway.drafting.document import UnfitDocumentError
from gateway.drafting.operation import MOST, Operation, read

TEXT = {"type": "string"}


def operation(item: dict[str, Any], **more: Any) -> Operation:
    """Return the only operation of a path."""
    (only,) = read({"openapi": "3.0.0", "paths": {"/a": item}, **more}).operations
    return only


def swagger(item: dict[str, Any], **more: Any) -> Operation:
    """Return the only operation of a path of a Swagger document."""
    (only,) = read({"swagger": "2.0", "paths": {"/a": item}, **more}).operations
    return only


def test_openapi() -> None:
    """Parameters of path and operation are taken together, references followed, JSON chosen among media types."""
    content = {"text/csv": {}, "application/json; charset=utf-8": {"schema": {"properties": {"id": TEXT}}}}
    made = operation(
        {
            "parameters": [{"name": "a", "in": "query"}, {"name": "h", "in": "header"}],
            "get": {
                "operationId": "getA",
                "summary": "Get\n\x1ba",
                "parameters": [{"$ref": "#/components/parameters/B"}],
                "responses": {"404": {}, "200": {"$ref": "#/components/responses/R"}},
            },
        },
        components={"parameters": {"B": {"name": "b", "in": "query"}}, "responses": {"R": {"content": content}}},
    )
    assert (made.method, made.path, made.name, made.summary) == ("GET", "/a", "getA", "Get a")
    assert made.query == ("a", "b")
    assert made.answer is not None
    assert set(made.answer.members) == {"id"}
    assert (made.body, made.has_body) == (None, False)


def test_what_a_request_must_have() -> None:
    """Headers that are required, once, without those that are no parameters; and whether anybody may ask."""
    parameters = [
        {"name": "X-Key", "in": "header", "required": True},
        {"name": "x-key", "in": "header", "required": "true"},
        {"name": "X-Other", "in": "header"},
        {"name": "Authorization", "in": "header", "required": True},
    ]
    made = operation({"get": {"parameters": parameters, "summary": "A", "description": "b\nc"}})
    assert (made.headers, made.is_anybodys, made.text) == (("x-key",), False, "A b\nc")
    schemes = {"components": {"securitySchemes": {"k": {"type": "http"}}}}
    assert operation({"get": {}}, **schemes).is_anybodys
    assert operation({"get": {"security": [{}]}}, **schemes, security=[{"k": []}]).is_anybodys
    assert not operation({"get": {}}, **schemes, security=[{"k": []}]).is_anybodys
    assert not operation({"get": {"security": [{"k": []}]}}, **schemes).is_anybodys
    assert swagger({"get": {}}, securityDefinitions={"k": {"type": "basic"}}).is_anybodys


def test_what_is_written_as_in_the_version_before() -> None:
    """Bodies among the parameters and answers without media types are read in a document of today as well."""
    schema = {"properties": {"id": TEXT}}
    parameters = [{"name": "x", "in": "body", "schema": schema}]
    made = operation({"post": {"parameters": parameters, "responses": {"200": {"schema": schema}}}})
    assert made.body is not None
    assert made.answer is not None
    assert (set(made.body.members), set(made.answer.members), made.has_body) == ({"id"}, {"id"}, True)
    assert operation({"post": {"responses": {"200": {"schema": "x"}}}}).answer is None


def test_plain_json_comes_first() -> None:
    """Where an API speaks several kinds of JSON, it is asked for the plain one."""
    kinds = ("application/vnd.api+json", "application/json")
    content = {kind: {"schema": {"properties": {kind: TEXT}}} for kind in kinds}
    made = operation({"get": {"responses": {"200": {"content": content}}}})
    assert made.answer is not None
    assert (made.media, set(made.answer.members)) == ("application/json", {"application/json"})


def test_a_body_that_is_no_json() -> None:
    """An upload has a body, and nothing is known of it."""
    made = operation({"post": {"requestBody": {"content": {"multipart/form-data": {}}}, "responses": {}}})
    assert (made.body, made.has_body, made.answer) == (None, True, None)


def test_swagger() -> None:
    """Bodies are parameters, media types stand beside them, the address has parts."""
    item = {
        "post": {
            "parameters": [{"name": "x", "in": "body", "schema": {"properties": {"name": TEXT}}}],
            "responses": {"201": {"schema": {"$ref": "#/definitions/A"}}},
        }
    }
    definitions = {"A": {"type": "object", "properties": {"id": TEXT}}}
    made = swagger(item, definitions=definitions)
    assert made.body is not None
    assert set(made.body.members) == {"name"}
    assert made.answer is not None
    assert set(made.answer.members) == {"id"}
    assert swagger(item, definitions=definitions, produces=["application/xml"]).answer is None
    api = read(
        {
            "swagger": "2.0",
            "host": "a.example",
            "basePath": "/v1",
            "schemes": ["http"],
            "paths": {"/a": item},
            "definitions": definitions,
        }
    )
    assert api.url == "http://a.example/v1"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "it does not say"),
        ({"openapi": "4.0.0"}, "version 4.0.0"),
        ({"swagger": "1.2"}, "version 1.2"),
        ({"openapi": "3.0.0"}, "no operation"),
        ({"openapi": "3.0.0", "paths": []}, "no operation"),
        ({"openapi": "3.0.0", "paths": {"/a": {"parameters": []}}}, "no operation"),
        ({"openapi": "3.0.0", "paths": {"/a": {"$ref": "#/paths/~1a"}}}, "leads to itself"),
        ({"openapi": "3.0.0", "paths": {f"/a{n}": {"get": {}} for n in range(MOST + 1)}}, f"more than {MOST}"),
    ],
    ids=str,
)
def test_what_is_refused(data: dict[str, Any], says: str) -> None:
    """What is no such document, or lists nothing, or too much, is refused."""
    with pytest.raises(UnfitDocumentError) as refused:
        read(data)
    assert says in str(refused.value)


@pytest.mark.parametrize("odd", [[], {}, None, 3])
def test_odd_words_are_no_failure(odd: Any) -> None:
    """What should be a word, and is none, is read as another one."""
    parameters = [{"name": odd, "in": odd, "required": odd}, {"name": "a", "in": "body", "schema": odd}]
    said = {"parameters": parameters, "security": odd, "responses": {"200": {"schema": {"readOnly": odd, "type": odd}}}}
    assert operation({"post": said}).headers == ()
    assert swagger({"post": {**said, "consumes": odd, "produces": odd}}).required == ()


@pytest.mark.parametrize("odd", [None, 3, "x", [], {"get": "x"}, {"get": {"parameters": "x", "responses": "y"}}])
def test_odd_shapes_are_nothing(odd: Any) -> None:
    """What stands where something else should is read as if it were not there."""
    paths = {"/odd": odd, "/a": {"get": {"responses": {"200": None}, "requestBody": "x"}}}
    assert read({"openapi": "3.1.0", "info": "x", "servers": "y", "paths": paths}).operations[-1].path == "/a"
