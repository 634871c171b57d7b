"""What schemas say: parts, variants, references and circles."""

from typing import Any

import pytest

from gateway.drafting.document import UnfitDocumentError
from gateway.drafting.schema import Document, Schema

TEXT = {"type": "string"}


def document(**schemas: Any) -> Document:
    """Make a document with these components."""
    return Document({"components": {"schemas": schemas}})


def ref(name: str) -> dict[str, str]:
    """Refer to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def test_parts_and_variants_are_taken_together() -> None:
    """Members of allOf, oneOf and anyOf are all there; a schema's own come first."""
    made = document(
        A={"allOf": [{"properties": {"id": {"type": "integer"}}}, ref("B")], "properties": {"own": TEXT}},
        B={"oneOf": [{"properties": {"b": TEXT}}, {"anyOf": [{"properties": {"c": TEXT}}]}]},
    )
    schema = made.schema(ref("A"))
    assert set(schema.members) == {"own", "id", "b", "c"}
    assert schema.names == {"A", "B"}
    assert schema.is_object


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (TEXT, "text"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "text"),
        ({"oneOf": [TEXT, {"type": "null"}]}, "text"),
        ({"type": "number"}, "number"),
        ({"type": ["string", "integer"]}, ""),
        ({"type": "uuid"}, ""),
        ({}, ""),
        ({"properties": {"id": TEXT}}, ""),
    ],
)
def test_what_can_be_an_id(said: dict[str, Any], kind: str) -> None:
    """Texts and numbers are ids, and many say only that it is a number; what may be both, or anything, is none."""
    assert document().schema(said).id_kind == kind


def test_circles_through_members_are_no_fault() -> None:
    """A category has a parent, which is a category: that is read as far as it is asked for."""
    made = document(Category={"properties": {"id": TEXT, "parent": ref("Category")}})
    parent = made.member(made.schema(ref("Category")), "parent")
    assert parent is not None
    assert set(parent.members) == {"id", "parent"}
    assert made.member(parent, "nothing") is None


@pytest.mark.parametrize(
    ("schemas", "says"),
    [
        ({"A": ref("B"), "B": ref("A")}, "leads to itself"),
        ({"A": {"allOf": [ref("B")]}, "B": {"allOf": [ref("A")]}}, "is made of itself"),
        ({"A": {"anyOf": [ref("A")]}}, "is made of itself"),
        ({"A": ref("Nothing")}, "nothing stands at $ref #/components/schemas/Nothing"),
        ({"A": {"$ref": "other.yaml"}}, "refers to another document"),
    ],
)
def test_what_is_nothing_but_a_reference(schemas: dict[str, Any], says: str) -> None:
    """A schema that is made of itself, of nothing, or of another document is refused by its name."""
    with pytest.raises(UnfitDocumentError) as refused:
        document(**schemas).schema(ref("A"))
    assert says in str(refused.value)


def test_escaped_references() -> None:
    """Tokens of a reference are those of a JSON pointer."""
    made = Document({"paths": {"/a/{b}": {"x~y": TEXT}}})
    assert made.schema({"$ref": "#/paths/~1a~1%7Bb%7D/x~0y"}).id_kind == "text"
    assert made.schema({"$ref": "#/paths/~1a~1{b}/x~0y"}).id_kind == "text"


@pytest.mark.parametrize("last", ["2", "-", "01x", "1" * 5000, "-1", "\u0661"])
def test_references_into_arrays(last: str) -> None:
    """A number leads into an array, and where nothing stands there the document is broken."""
    made = document(A={"allOf": [{"type": "integer"}, TEXT]})
    assert made.schema({"$ref": "#/components/schemas/A/allOf/1"}).id_kind == "text"
    with pytest.raises(UnfitDocumentError, match="nothing stands at"):
        made.schema({"$ref": f"#/components/schemas/A/allOf/{last}"})


def test_read_only_and_open() -> None:
    """YAML's true is a text; a discriminator without variants leaves open what else there may be."""
    made = document(A=TEXT)
    assert made.schema({"readOnly": "true", **TEXT}).is_read_only
    assert made.schema({"readOnly": True, "allOf": [ref("A")]}).is_read_only
    assert made.schema({"discriminator": {"propertyName": "action"}}).is_open
    assert not made.schema({"discriminator": {"propertyName": "a"}, "oneOf": [ref("A")]}).is_open
    assert Schema() == made.schema("nonsense")


def test_components_are_read_once() -> None:
    """A ladder of components, each made of the next one twice, takes no longer than it is long."""
    rungs = {f"R{n}": {"allOf": [ref(f"R{n + 1}"), ref(f"R{n + 1}")]} for n in range(30)}
    made = document(**rungs, R30={"properties": {"id": TEXT}})
    assert set(made.schema(ref("R0")).members) == {"id"}
    # What stands beside a reference holds for that place.
    assert made.schema({**ref("R30"), "readOnly": True}).is_read_only
    assert not made.schema(ref("R30")).is_read_only


def test_a_type_that_json_does_not_have() -> None:
    """Says nothing: what has items is an array, what has members an object."""
    assert document().schema({"type": "list", "items": TEXT}).is_list
    assert document().schema({"type": "Object", "properties": {"id": TEXT}}).is_object
