"""Paths of documents as templates of ours."""

import pytest

from gateway.drafting.template import common_parameter, snake, template


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/orders/{orderId}/", "/orders/{order_id}/"),
        ("/{project-key}/in-store/{ID}", "/{project_key}/in-store/{id}"),
        ("/a/{id}/b/{id}", "/a/{id}/b/{id2}"),
        ("/a/{1}/{_}", "/a/{p_1}/{id}"),
        ("/orders/:orderId/lines/:id", "/orders/{order_id}/lines/{id}"),
    ],
)
def test_parameters_are_spelled_as_ours(path: str, made: str) -> None:
    """Parameters are in small letters, and each has a name of its own."""
    assert template(path) == made


@pytest.mark.parametrize("path", ["/a/{id}.json", "/key={key}", "a", "/", "/a//b", "/a b", "/../x", "/a/{b}\n- c"])
def test_what_no_path_can_be(path: str) -> None:
    """What a routing file cannot spell is refused with a reason."""
    with pytest.raises(ValueError, match=r"."):
        template(path)


def test_names_in_small_letters() -> None:
    """Humps and signs become underscores."""
    assert snake("getOrderByID-v2") == "get_order_by_id_v2"


def test_what_every_path_begins_with() -> None:
    """A parameter before nearly everything names the shop; a literal, or a parameter of some paths, does not."""
    assert common_parameter([*["/{project}/orders"] * 19, "/status"]) == "/{project}"
    assert common_parameter(["/{project}/orders", "/status"]) == ""
    assert common_parameter(["/v1/orders", "/v1/x"]) == ""
    assert common_parameter(["/{id}"]) == ""
    assert common_parameter([]) == ""
