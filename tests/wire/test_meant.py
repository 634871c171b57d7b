"""What was meant by a path or a pointer in another tool's spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.routing import parse_template
from gateway.wire import meant
from gateway.wire.pointer import Pointer

FOREIGN = {
    "/orders/:oid": "/orders/{oid}",
    "/orders/<oid>": "/orders/{oid}",
    "/orders/<int:oid>": "/orders/{oid}",
    "/orders/[oid]": "/orders/{oid}",
    "/orders/$oid": "/orders/{oid}",
    "/orders/{oid}.json": "/orders/{oid}",
    "/orders/{oid:int}": "/orders/{oid}",
    "/orders/{oid:[^/]{8}}/items": "/orders/{oid}/items",
    "/orders/{oid?}": "/orders/{oid}",
    "/orders/{{oid}}": "/orders/{oid}",
    "/orders/{orderId}": "/orders/{order_id}",
    "/orders/{order-id}": "/orders/{order_id}",
    "/orders/{OID}": "/orders/{oid}",
    "/orders/{}": "/orders/{id}",
    "/orders/*/items": "/orders/{id}/items",
    "/orders/*": "/orders/{id}, or /orders/{id...} for all that lies below",
    "/orders/:oid(\\d+)": "/orders/{oid}",
    "/orders/(?P<oid>\\d+)": "/orders/{oid}",
    "/:kind/:kind": "/{kind}/{kind2}",
    "/v{version}/orders": "/{version}/orders",
    "/orders/:oid/": "/orders/{oid}",
    "/files/**": "/files/{rest...}",
    "/files/*path": "/files/{path...}",
    "/files/{*path}": "/files/{path...}",
    "/files/{path*}": "/files/{path...}",
    "/files/{file:path}": "/files/{file...}",
    "/files/<path:file>": "/files/{file...}",
    "/files/[...file]": "/files/{file...}",
    "/files/:file*": "/files/{file...}",
}


@pytest.mark.parametrize(("written", "ours"), FOREIGN.items())
def test_a_path_in_another_spelling_is_refused_with_ours(written: str, ours: str) -> None:
    """Whoever knows another router reads the whole path as it is written here."""
    with pytest.raises(ValueError, match="did you mean") as caught:
        parse_template(written)
    assert str(caught.value).endswith(f"; did you mean {ours}?")


@pytest.mark.parametrize(
    "path", ["/my orders", "/orders?x=1", "/orders/..", "/:oid/.", "orders", "/", "/caf\u00e9", "/%20/:oid"]
)
def test_where_no_parameter_is_meant_nothing_is_proposed(path: str) -> None:
    """A guess that helps nobody is not made."""
    with pytest.raises(ValueError, match=r"a (path|segment) ") as caught:
        parse_template(path)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("path", ["/Orders/$count", "/Patient/$everything", "/documents:batch", "/a/$", "/x@y/a=b,c"])
def test_what_apis_write_literally_stays_literal(path: str) -> None:
    """OData, FHIR and others have signs in their paths that mark no parameter."""
    assert not any(part.is_parameter for part in parse_template(path))


@given(st.text(st.sampled_from("/:*<>{}[]$.?()\\\\+-_~ aBi1d\u00e9"), max_size=24).map("/".__add__))
def test_what_is_proposed_is_a_template(path: str) -> None:
    """Following the advice ends the fault."""
    try:
        parse_template(path)
    except ValueError as error:
        _, _, proposed = str(error).partition("; did you mean ")
        assert not proposed or parse_template(proposed.removesuffix("?").partition(", or ")[0])


@given(st.text(st.sampled_from('/.#$[]0~1" aid\u00e9'), max_size=24))
def test_a_proposed_pointer_is_one(text: str) -> None:
    """Following the advice ends the fault."""
    proposed = meant.pointer(text).removeprefix("; did you mean ").removesuffix("?")
    assert not proposed or TypeAdapter[str](Pointer).validate_python(proposed) == proposed
