"""Questions that are put together once: their SQL in a dialect, what goes into it, and what comes out of it.

A library that puts a statement together each time, and carries it, takes longer than a store does to answer a login.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Dialect, Select

from gateway.stores.schema import Words

_WORDS: Final = Words()


class Asked:
    """A question in a dialect, by the driver's own places for parameters.

    Of values only texts are kept otherwise than they are meant (`Words`).
    """

    def __init__(self, question: Select[Any], dialect: Dialect) -> None:
        compiled = question.compile(dialect=dialect)
        self.sql: Final = str(compiled)
        self._dialect: Final = dialect
        names = compiled.positiontup or ()
        self._into: Final = [(name, compiled.params[name], _is_text(compiled.binds[name].type)) for name in names]
        self._texts: Final = [at for at, column in enumerate(question.selected_columns) if _is_text(column.type)]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the parameters in their order; those that are not given are the question's own."""
        into = ((given.get(name, own), is_text) for name, own, is_text in self._into)
        return [self._kept(value) if is_text else value for value, is_text in into]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """Return the rows as they were meant."""
        rows = [[*row] for row in found]
        for row in rows:
            for at in self._texts:
                row[at] = _WORDS.process_result_value(row[at], self._dialect)
        return rows

    def _kept(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._kept(one) for one in value]
        return _WORDS.process_bind_param(value, self._dialect)


def _is_text(kind: object) -> bool:
    return isinstance(getattr(kind, "item_type", kind), Words)
