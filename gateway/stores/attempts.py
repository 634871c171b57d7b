"""How PostgreSQL counts password work for all replicas: token buckets, decided and taken in one statement.

A bucket is one number, the time at which it has all its attempts again (GCRA), by the server's clock: those of replicas
do not matter. Its key is a plain SHA-256 digest (tokens/attempts.py makes it), never an e-mail or an address: people
type passwords and strangers' addresses into the field for the e-mail, and neither they nor who came from where shall
stand in a table, its backups or the server's log. It has no secret, for nothing that all replicas have is kept for
long: whoever holds the table can try what they suspect, as they can with the e-mails beside it, and reads nothing.

Buckets that are full again are as good as none, and are swept. So that no flood of made-up e-mails makes the table grow
without end, beyond so many rows those go that would be full soonest: each of a flood's has one attempt taken, the one
that is guessed at many, so that it stays. Among limits of very different pace the slow ones stay; what goes is counted
by each process all the same. A limit that was changed reads the rows as they are: the time that is left stays, and one
that would never leave so much takes it for a clock's fault, and none.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from gateway.stores.ports import Attempt
from gateway.stores.schema import login_attempts, login_places

MOST: Final = 250_000
"""Rows of a table of these that a sweep leaves: some 40 MB with its indices."""
AT_ONCE: Final = 5_000
"""Rows that one statement sweeps, as in `sessions`."""

_MONTH: Final = 30 * 86_400_000_000
# A clock that is set back by less than this fills no bucket.
_ASIDE: Final = 10_000_000
_key, _until = login_attempts.c
# Of the moment: who waited for another's row has a later one than who held it, whoever began first.
_now: Final = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger)
# A crash of the server may lose the attempts of half a second. A disk's time for each would be the limit of logins, and
# a row be held as long.
_unwaited: Final = sa.func.set_config("synchronous_commit", "off", True)  # noqa: FBT003 - for this transaction


def values(attempt: Attempt) -> dict[str, bytes | int]:
    """Return an attempt as the parameters of these statements."""
    found: dict[str, bytes | int] = {"place": attempt.place}
    for name, quota in (("address", attempt.address), ("account", attempt.account)):
        found |= {name: quota.key, f"{name}_interval": quota.interval, f"{name}_capacity": quota.capacity}
    return found


def swept(table: sa.Table, most: int) -> sa.Delete:
    """Return what removes some of a table's rows that can go, but those that somebody has in hand."""
    key, until = table.c
    over = sa.select(until).order_by(until.desc()).offset(most).limit(1).scalar_subquery()
    old = sa.select(key).where(until <= sa.func.greatest(_now, sa.func.coalesce(over, 0))).order_by(until)
    return sa.delete(table).where(key.in_(old.limit(AT_ONCE).with_for_update(skip_locked=True)))


def _counted() -> sa.Select[Any]:
    has_address, has_account = (_of(whose) != sa.literal(b"", sa.LargeBinary) for whose in ("address", "account"))
    by_address = _taken("address", _of("address"), has_address).cte("by_address")
    is_known = sa.exists(sa.select(login_places.c.key).where(login_places.c.key == _of("place")))
    key = sa.case((is_known, _of("place")), else_=_of("account"))
    has_passed = sa.or_(~has_address, sa.exists(sa.select(by_address.c.until)))
    by_account = _taken("account", key, sa.and_(has_account, has_passed)).cte("by_account")
    address_wait = sa.case((has_address, _wait("address", _of("address"), by_address)), else_=0)
    account_wait = sa.case((has_account, _wait("account", key, by_account)), else_=0)
    return sa.select(address_wait, account_wait, is_known, _unwaited)


def _given_back() -> sa.Select[Any]:
    by_address = _untaken("address").cte("by_address")
    # True of whatever the first has done, which has come first by that.
    by_account = _untaken("account").where(_count(by_address) >= 0).cte("by_account")
    return sa.select(_count(by_account), _unwaited)


def _known() -> sa.Select[Any]:
    fresh = insert(login_places).values(key=_of("place"), until=_now + _MONTH)
    renewed = fresh.on_conflict_do_update(index_elements=["key"], set_={"until": fresh.excluded.until})
    return _given_back().add_cte(renewed.returning(login_places.c.key).cte("known"))


def _taken(whose: str, key: sa.ColumnElement[bytes], is_asked: sa.ColumnElement[bool]) -> Any:
    """Take one attempt where there is one left, and return the row then."""
    fresh = insert(login_attempts).from_select(
        ["key", "until"], sa.select(key, _now + _interval(whose)).where(is_asked)
    )
    return fresh.on_conflict_do_update(
        index_elements=["key"], set_={"until": _after(whose)}, where=_after(whose) <= _now + _capacity(whose)
    ).returning(_until)


def _untaken(whose: str) -> Any:
    back = {"until": _until - _interval(whose)}
    return sa.update(login_attempts).where(_key == _of(whose)).values(back).returning(_key)


def _wait(whose: str, key: sa.ColumnElement[bytes], taken: sa.CTE) -> sa.ColumnElement[int]:
    """Return how long to wait, by the row as it was before: it tells what to wait, and decides nothing."""
    found = sa.select(_after(whose) - _capacity(whose) - _now).where(_key == key).scalar_subquery()
    return sa.case((_count(taken) > 0, 0), else_=sa.func.greatest(1, sa.func.coalesce(found, 1)))


def _after(whose: str) -> sa.ColumnElement[int]:
    """Return when a bucket is full again once an attempt is taken. What a clock that was ahead has written is past."""
    is_ahead = _until.between(_now, _now + _capacity(whose) + _ASIDE)
    return sa.case((is_ahead, _until), else_=_now) + _interval(whose)


def _count(cte: sa.CTE) -> sa.ColumnElement[int]:
    return sa.select(sa.func.count()).select_from(cte).scalar_subquery()


def _of(whose: str) -> sa.ColumnElement[bytes]:
    return sa.bindparam(whose, type_=sa.LargeBinary)


def _interval(whose: str) -> sa.ColumnElement[int]:
    return sa.bindparam(f"{whose}_interval", type_=sa.BigInteger)


def _capacity(whose: str) -> sa.ColumnElement[int]:
    return sa.bindparam(f"{whose}_capacity", type_=sa.BigInteger)


# Made once: to put one together takes as long as all that is asked for a login.
COUNTED: Final = _counted()
"""Counts an attempt: by the address first, then by the account, or the account at a known place.

Its row is the microseconds to wait for either, 0 where it was counted, and whether the place is known. Rows are held in
this order, here and in those below, so that no two statements wait for each other.
"""
GIVEN_BACK: Final = _given_back()
"""Takes an attempt back that was counted."""
KNOWN: Final = _known()
"""Does so, and knows its place for a month."""
