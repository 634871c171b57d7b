"""Hashing and verifying passwords in a bounded pool."""

import asyncio
import sys
from collections.abc import AsyncIterator

import argon2
import pytest

from gateway.tokens.passwords import PasswordHasher, check_length, prepare
from gateway.vocab.events import Event, PasswordQueue
from gateway.vocab.refusals import Code, Refusal

PASSWORD = "correct horse battery staple"

STARVED = """
import asyncio, resource
from gateway.tokens.passwords import PasswordHasher

async def main():
    sizes = {"workers": 1, "queue_limit": 0, "memory_kib": 512 * 1024, "time_cost": 1, "parallelism": 1}
    hasher = PasswordHasher(**sizes, emit=lambda _: None)
    stored = await hasher.hash("password")
    resource.setrlimit(resource.RLIMIT_AS, (400 * 1024 * 1024, resource.RLIM_INFINITY))
    for answer in (await hasher.hash("password"), await hasher.verify("password", stored)):
        print(answer.code.name, answer.retry_after)
    hasher.close()

asyncio.run(main())
"""
"""A process that loses the memory for a computation after its start."""

SLOW = {"memory_kib": 64 * 1024, "time_cost": 16}
"""Some half a second: longer than the event loop needs for anything these tests do meanwhile."""


class Bench:
    """Hashers with one worker and two waiting places, and the depths of the queue as they were emitted."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.idle = asyncio.Event()
        self.hashers: list[PasswordHasher] = []

    def emit(self, event: Event) -> None:
        """Note a depth."""
        assert isinstance(event, PasswordQueue)
        self.depths.append(event.depth)
        if event.depth == 0:
            self.idle.set()

    def make(self, memory_kib: int = 64, time_cost: int = 1) -> PasswordHasher:
        """Make a hasher, which costs next to nothing if not told otherwise."""
        hasher = PasswordHasher(
            workers=1,
            queue_limit=2,
            memory_kib=memory_kib,
            time_cost=time_cost,
            parallelism=1,
            emit=self.emit,
            login_share=0,
        )
        self.hashers.append(hasher)
        return hasher


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Make hashers, and close them afterwards."""
    made = Bench()
    yield made
    for hasher in made.hashers:
        hasher.close()


async def hash_of(hasher: PasswordHasher, password: str = PASSWORD) -> str:
    """Hash a password, which succeeds."""
    stored = await hasher.hash(password)
    assert isinstance(stored, str)
    return stored


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("x", True),
        ("x" * 1024, True),
        ("x" * 1025, False),
        ("é" * 512, True),
        ("é" * 513, False),
        ("nul\0inside", True),
        ("", False),
        ("lone \ud800 surrogate", False),
        (None, False),
        (b"bytes", False),
        (12345678, False),
    ],
)
def test_length(password: object, *, good: bool) -> None:
    """A password is text of 1 to 1024 bytes in UTF-8."""
    assert check_length(password) is good


@pytest.mark.parametrize("password", [PASSWORD, "pässwörd ✓", "nul\0inside", " x ", "x" * 1024])
async def test_password_verifies_against_its_hash(bench: Bench, password: str) -> None:
    """The password that made a hash verifies, and one that differs in the last character does not."""
    hasher = bench.make()
    stored = await hash_of(hasher, password)
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await hasher.verify(password, stored) is True
    assert await hasher.verify(password[:-1] + "!", stored) is False


async def test_every_hash_has_its_own_salt(bench: Bench) -> None:
    """The same password gives another hash each time."""
    hasher = bench.make()
    assert await hash_of(hasher) != await hash_of(hasher)


@pytest.mark.parametrize("password", [PASSWORD, "no customer has this password", "", "\ud800", "x" * 2000])
async def test_customer_without_password_is_never_verified(bench: Bench, password: str) -> None:
    """Without a stored hash the answer is no for any password, even for the one behind the dummy hash."""
    assert await bench.make().verify(password, None) is False


@pytest.mark.parametrize("password", ["", "\ud800", "x" * 2000])
async def test_impossible_password_is_wrong(bench: Bench, password: str) -> None:
    """What `check_length` refuses does not verify either, and hashing it is a fault of the caller."""
    hasher = bench.make()
    assert await hasher.verify(password, await hash_of(hasher)) is False
    with pytest.raises(ValueError, match="check_length"):
        await hasher.hash(password)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=64,t=1,p=1$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$ééééééééééééééééééééééééééééééééééééééééééé",
        "$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=16777216,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=64,t=4294967295,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=1048576,t=1,p=16777215$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=-64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAA",
        "$argon2id$v=19$m=64,t=1,p=1$c2Fs$" + "A" * 43,
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 100_000,
    ],
)
async def test_absurd_hash_is_refused(bench: Bench, stored: str) -> None:
    """A stored hash that is damaged, too weak to mean anything or too dear to compute verifies nothing."""
    hasher = bench.make()
    assert await hasher.verify(PASSWORD, stored) is False


async def test_imported_hash_is_verified_and_renewed(bench: Bench) -> None:
    """A hash with other parameters within bounds still verifies, and asks for a new one."""
    hasher = bench.make()
    imported = argon2.PasswordHasher(time_cost=2, memory_cost=128, parallelism=2, type=argon2.Type.I).hash(PASSWORD)
    assert await hasher.verify(PASSWORD, imported) is True
    assert await hasher.verify("wrong", imported) is False
    assert hasher.needs_rehash(imported)
    assert hasher.needs_rehash("plain text")
    assert not hasher.needs_rehash(await hash_of(hasher))


async def test_one_job_more_than_places_is_refused_at_once(bench: Bench) -> None:
    """Workers and queue hold so many jobs; the next is told to come again, and the others are done."""
    hasher = bench.make()
    answers = await asyncio.gather(*(hasher.verify(PASSWORD, None) for _ in range(4)))
    assert answers[:3] == [False, False, False]
    assert isinstance(answers[3], Refusal)
    assert (answers[3].code, answers[3].retry_after) == (Code.OVERLOADED, 1)
    assert await hasher.verify(PASSWORD, None) is False


async def test_depth_is_emitted_on_each_change(bench: Bench) -> None:
    """Every job that comes or goes tells the depth of the queue; one that was refused does not."""
    hasher = bench.make()
    await asyncio.gather(*(hasher.verify(PASSWORD, None) for _ in range(5)))
    assert bench.depths == [1, 2, 3, 2, 1, 0]


async def test_cancelled_request_keeps_its_place_until_the_thread_is_done(bench: Bench) -> None:
    """Giving up frees no place: the bound counts threads at work and not clients that wait."""
    hasher = bench.make(**SLOW)
    given_up = [asyncio.ensure_future(hasher.hash(PASSWORD)) for _ in range(3)]
    # One turn of the loop, in which all three take their places.
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    ends = await asyncio.gather(*given_up, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 3
    refused = await hasher.hash(PASSWORD)
    assert isinstance(refused, Refusal)
    assert refused.code is Code.OVERLOADED
    assert bench.depths == [1, 2, 3]
    await bench.idle.wait()
    assert bench.depths == [1, 2, 3, 2, 1, 0]
    assert await hasher.verify(PASSWORD, None) is False


async def test_event_loop_goes_on_while_passwords_are_hashed(bench: Bench) -> None:
    """A computation runs beside the event loop, which turns many times meanwhile."""
    hasher = bench.make(**SLOW)
    task = asyncio.ensure_future(hasher.hash(PASSWORD))
    # No longer than needed: the computation has the lowest priority, and a loop that never rests would keep it away.
    for _ in range(100):
        await asyncio.sleep(0)
        assert not task.done()
    assert isinstance(await task, str)


async def test_closed_hasher_takes_no_work(bench: Bench) -> None:
    """After close new and waiting jobs are refused, and the one that runs comes to its end."""
    hasher = bench.make(**SLOW)
    running = asyncio.ensure_future(hasher.verify(PASSWORD, None))
    # The worker takes the first job before the others can come to it.
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(2)]
    await asyncio.sleep(0)
    hasher.close()
    hasher.close()
    late = await hasher.hash(PASSWORD)
    answers = [late, *await asyncio.gather(*waiting)]
    assert [answer.code for answer in answers if isinstance(answer, Refusal)] == [Code.DRAINING] * 3
    assert await running in (False, Refusal(Code.DRAINING))


async def test_memory_that_is_not_there_is_overload() -> None:
    """Without memory for the computation the answer is to come again, and not that the password is wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARVED, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (out, err) == (b"OVERLOADED 1\n" * 2, b"")


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"workers": 0}, "needs a worker"),
        ({"queue_limit": -1}, "needs a worker"),
        ({"memory_kib": 1024 * 1024 + 1}, "not among those accepted"),
        ({"memory_kib": 7}, "not among those accepted"),
        ({"time_cost": 0}, "not among those accepted"),
        ({"time_cost": 17}, "not among those accepted"),
        ({"parallelism": 17}, "not among those accepted"),
        ({"parallelism": 9}, "8 KiB for each lane"),
    ],
)
def test_impossible_sizes_fail_at_the_start(wrong: dict[str, int], fault: str) -> None:
    """A hasher that could never work, or whose own hashes it would refuse, is not made."""
    sizes = {"workers": 1, "queue_limit": 0, "memory_kib": 64, "time_cost": 1, "parallelism": 1} | wrong
    with pytest.raises(ValueError, match=fault):
        PasswordHasher(**sizes, emit=lambda _: None)


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("e\u0301", "\u00e9"),
        ("\u212b", "\u00c5"),
        ("a\u00a0b\u3000c\u2003", "a b c "),
        ("  a  b ", "  a  b "),
        ("\uff11\uff21", "\uff11\uff21"),
        ("A\tb\u200b", "A\tb\u200b"),
        ("\ufb01", "\ufb01"),
    ],
)
def test_one_spelling_of_a_password(password: str, expected: str) -> None:
    """Accents are composed and spaces are plain; width, case, ligatures and how many spaces there are stay."""
    assert prepare(password) == expected
    assert prepare(expected) == expected


@pytest.mark.parametrize("first", ["e\u0301", "\u00e9"])
async def test_both_spellings_open(hasher: PasswordHasher, first: str) -> None:
    """What is hashed is the one spelling; a hash of the password as it was sent opens to that one alone."""
    stored = await hasher.hash(first)
    assert isinstance(stored, str)
    for password in ("e\u0301", "\u00e9"):
        assert await hasher.verify(password, stored) is True
    assert await hasher.verify("e", stored) is False
    raw = hasher._argon2.hash("e\u0301")
    assert await hasher.verify("e\u0301", raw) is True
    assert await hasher.verify("\u00e9", raw) is False
