"""Ids that the prover makes up, so that the reply to one that nobody has is known."""

import re

import pytest

from gateway.verify.plan import nobodys_like


@pytest.mark.parametrize(
    ("ident", "form"),
    [
        ("7", "9{9}"),
        ("1234567890", "9{11}"),
        ("person-2", r"p[0-9a-f]rson-[0-9a-f]{25}"),
        ("b7f6c5d0-6b1c-4f0a-9d57-2a8f2a9f1c11", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ],
)
def test_nobody_has_it(ident: str, form: str) -> None:
    """It looks like the other and is longer where there is little to tell ids apart: customer-2 and customer-7."""
    made = {nobodys_like(ident) for _ in range(50)}
    assert all(re.fullmatch(form, one) for one in made), made
    assert ident not in made
    assert len(made) == (1 if ident.isdecimal() else 50)
