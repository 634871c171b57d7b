"""Questions that are put together once."""

import pytest
from sqlalchemy import BigInteger, Dialect, any_, bindparam, make_url, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from gateway.stores.asked import Asked
from gateway.stores.schema import Words, credentials, customers

NAME, NUMBER = bindparam("name", type_=Words()), bindparam("number", type_=BigInteger())
POSTGRESQL, SQLITE = make_url("postgresql+asyncpg://").get_dialect()(), SQLiteDialect(paramstyle="qmark")
QUESTION = (
    select(customers.c.number, customers.c.customer_id)
    .where(customers.c.number > NUMBER, customers.c.customer_id == NAME, customers.c.version > 7)
    .where(customers.c.number < NUMBER)
)


@pytest.mark.parametrize(
    ("dialect", "kept", "values"),
    [(POSTGRESQL, r"a\0b\\c", [3, r"a\0b\\c", 7]), (SQLITE, "a\0b\\c", [3, "a\0b\\c", 7, 3])],
    ids=["postgresql", "sqlite"],
)
def test_each_dialect_has_its_places_and_its_way_to_keep_text(
    dialect: Dialect, kept: str, values: list[object]
) -> None:
    """What is given goes where the dialect wants it, beside what is the question's own; rows come out as meant."""
    asked = Asked(QUESTION, dialect)
    assert asked.values({"name": "a\0b\\c", "number": 3}) == values
    assert asked.rows([(9, kept), (10, None)]) == [[9, "a\0b\\c"], [10, None]]


def test_many_texts_are_kept_as_one_is() -> None:
    """In PostgreSQL they are one parameter."""
    wanted = bindparam("wanted", type_=ARRAY(Words()))
    asked = Asked(select(credentials.c.customer_id).where(credentials.c.customer_id == any_(wanted)), POSTGRESQL)
    assert asked.values({"wanted": ["a", "\0"]}) == [["a", r"\0"]]
