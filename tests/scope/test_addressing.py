"""How a record is asked for: by its path, with a slash or without, or by a filter."""

import pytest

from gateway.scope.addressing import collection, record
from gateway.vocab.messages import Query
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Code, Refusal


@pytest.mark.parametrize(
    ("form", "path", "query"),
    [
        ("moltin", "/orders/7", ()),
        ("drf", "/orders/7/", ()),
        ("postgrest", "/orders", (("id", "eq.7"),)),
    ],
)
def test_a_record_is_asked_for_as_its_api_has_it(form: str, path: str, query: Query) -> None:
    """The client's own parameters stay behind ours."""
    asked = (("select", "id,note"),)
    assert record(("orders", "7"), asked, PRESETS[form]) == (path, (*query, *asked))


def test_a_collection_ends_as_its_api_has_it() -> None:
    """With a slash or without."""
    assert [collection(("a b", "c"), PRESETS[name]) for name in ("rest", "drf")] == ["/a%20b/c", "/a%20b/c/"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ((("id", "gt.0"),), Code.FILTER_FIELD_RESERVED),
        ((("ID", "eq.8"),), Code.FILTER_FIELD_RESERVED),
        ((("or", "(id.gt.0)"),), Code.FILTER_INVALID),
    ],
)
def test_nobody_filters_by_the_id_besides(query: Query, code: Code) -> None:
    """Two conditions on one column mean what the server makes of them."""
    refusal = record(("orders", "7"), query, PRESETS["postgrest"])
    assert isinstance(refusal, Refusal)
    assert refusal.code is code
