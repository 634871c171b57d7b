"""Who was logged out, as one process knows it: a value that deciders are handed. It asks no store; see tokens/live.py.

A million log-outs are 16 bytes each: numbers in order, on pages that are copied when one of them changes, so that no
change of it takes long and none is seen half done.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import force_setattr

from gateway.vocab.messages import Session

EVERYBODY = 0
"""The number that stands for all customers at once."""

PAGE = 2048
"""Log-outs on a page: 32 KiB, copied in some microseconds."""


class Page(Struct, frozen=True):
    """Numbers of customers and sessions in order, and the version from which on each is good again."""

    numbers: "array[int]"
    versions: "array[int]"


BLANK = Page(array("Q"), array("Q"))


class Revocations(Struct, frozen=True):
    """Whose tokens are worth nothing any more.

    A token is worthless whose version is less than `everybody`. `names` are the customers who were logged out
    everywhere, for tokens without numbers; None: they are too many, and no such token is good. `is_stale`: the store
    has not been heard of for longer than is allowed.
    """

    pages: tuple[Page, ...] = ()
    everybody: int = 0
    names: frozenset[str] | None = frozenset()
    is_stale: bool = False
    firsts: tuple[int, ...] = ()
    """The least number of each page; it follows from them."""
    edition: object = None
    """Another one wherever anything else is known."""

    def __post_init__(self) -> None:
        """Work out once what each look needs."""
        force_setattr(self, "firsts", tuple(page.numbers[0] for page in self.pages))
        force_setattr(self, "edition", object())

    def is_over(self, session: Session) -> bool:
        """Tell whether a session was ended: by itself, with all of its customer's, or with everybody's."""
        version = session.version
        if version < self.everybody:
            return True
        if not session.id:
            return self.names is None or session.customer_id in self.names
        # A session's own log-out has the greater number, for it came later than the one that the token knows.
        return bool(self.pages) and (version < self._ended(session.number) or version < self._ended(session.id))

    def place(self, number: int) -> int:
        """Return which page a number is on, or would be."""
        return max(0, bisect_right(self.firsts, number) - 1)

    def _ended(self, number: int) -> int:
        page = self.pages[self.place(number)]
        numbers = page.numbers
        place = bisect_left(numbers, number)
        return page.versions[place] if place < len(numbers) and numbers[place] == number else 0

    def __len__(self) -> int:
        """Return how many numbers it holds."""
        return sum(len(page.numbers) for page in self.pages)


NOBODY = Revocations()
"""Nobody was logged out."""


def paged(entries: Iterable[tuple[int, int]]) -> Iterator[Page]:
    """Yield pages of (number, version) pairs that come in the order of their numbers."""
    numbers, versions = array("Q"), array("Q")
    for number, version in entries:
        numbers.append(number)
        versions.append(version)
        if len(numbers) == PAGE:
            # A slice has no room to grow, which would be a sixteenth of it.
            yield Page(numbers[:], versions[:])
            numbers, versions = array("Q"), array("Q")
    if numbers:
        yield Page(numbers[:], versions[:])


def written(page: Page, entries: Iterable[tuple[int, int]]) -> Iterator[Page]:
    """Yield the page with (number, version) pairs put in their places, as two where it became too long."""
    numbers, versions = page.numbers[:], page.versions[:]
    for number, version in entries:
        place = bisect_left(numbers, number)
        if place < len(numbers) and numbers[place] == number:
            versions[place] = max(version, versions[place])
        else:
            numbers.insert(place, number)
            versions.insert(place, version)
    if len(numbers) <= PAGE:
        yield Page(numbers[:], versions[:])
        return
    # New numbers are mostly the greatest: pages stay full where nothing comes between.
    for start in range(0, len(numbers), PAGE):
        yield Page(numbers[start : start + PAGE], versions[start : start + PAGE])


def younger(page: Page, since: int) -> Page:
    """Return the page without the versions less than `since`: every token that they ended has expired."""
    if min(page.versions) >= since:
        return page
    kept = [(n, v) for n, v in zip(page.numbers, page.versions, strict=True) if v >= since]
    return Page(array("Q", [n for n, _ in kept]), array("Q", [v for _, v in kept]))
