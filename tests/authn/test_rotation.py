"""Keys that take each other's place: states, times, and rings of replicas that see the folder at different moments."""

import json
from itertools import pairwise, product
from typing import Any

import pytest

from gateway.authn.key import Algorithm, generate, load_key
from gateway.authn.keyring import Claims, KeyRing
from gateway.authn.rotation import (
    PUBLISHED,
    TAKE_UP,
    State,
    TooEarly,
    in_ring,
    may_retire_from,
    may_sign_from,
    read_keys,
    retired,
    rotated,
    signing,
    stamped,
)
from gateway.vocab.policy import JWKS_MAX_AGE
from tests.authn.forge import claims, verify

Texts = dict[str, str]
DAY = 86_400
START = 1_800_000_000


def text(algorithm: Algorithm = Algorithm.EDDSA, **times: Any) -> str:
    """Make a key with these times in its file."""
    return json.dumps({**json.loads(generate(algorithm)), **({"gateway": times} if times else {})})


def kid(of: str) -> str:
    """Return the id of a key."""
    return str(json.loads(of)["kid"])


def states(texts: Texts) -> dict[str, str]:
    """Return the state of each file."""
    kept, faults = read_keys(texts)
    assert faults == ()
    return {one.file: one.state.value for one in kept}


class Folder:
    """A folder on which the commands work, and what it held after each of them."""

    def __init__(self) -> None:
        self.texts: Texts = {}
        self.now = float(START)
        self.history: list[Texts] = []

    def new(self) -> None:
        """Make a key."""
        self._write(f"{len(self.history)}.jwk", stamped(generate(Algorithm.EDDSA), self.now, read_keys(self.texts)[0]))

    def rotate(self) -> None:
        """Let the next key sign as soon as it may."""
        kept = read_keys(self.texts)[0]
        (following,) = (one for one in kept if one.state is State.NEXT)
        self.now = max(self.now, may_sign_from(following))
        done = rotated(self.texts[following.file], following, kept, self.now, at_once=False)
        assert isinstance(done, str)
        self._write(following.file, done)

    def retire(self) -> None:
        """Retire the oldest retiring key as soon as it may go."""
        one = [one for one in read_keys(self.texts)[0] if one.state is State.RETIRING][-1]
        self.now = max(self.now, may_retire_from(one, DAY))
        done = retired(one, DAY, self.now, at_once=False)
        assert isinstance(done, str)
        self._write(one.file, done)

    def _write(self, file: str, content: str) -> None:
        self.texts = {**self.texts, file: content}
        self.history.append(self.texts)


def ring(texts: Texts) -> KeyRing:
    """Return the ring of a replica that has read the folder so."""
    kept, faults = read_keys(texts)
    assert faults == ()
    return KeyRing([load_key(texts[one.file]) for one in in_ring(kept)])


def rotations() -> Folder:
    """Return a folder that went through two rotations, the second begun before the first was over."""
    folder = Folder()
    for step in ("new", "new", "rotate", "new", "rotate", "retire", "retire"):
        getattr(folder, step)()
    return folder


def test_no_order_of_replicas_refuses_a_token() -> None:
    """Three replicas, each before or after each step: what any of them signs, all of them take, at every step."""
    history = rotations().history
    for before, after in pairwise(history):
        for seen in product((before, after), repeat=3):
            replicas = [ring(texts) for texts in seen]
            tokens = [replica.sign(claims(), "bearer+jwt") for replica in replicas]
            assert all(isinstance(verify(token, replica), Claims) for token in tokens for replica in replicas)


def test_no_token_in_use_outlives_its_key() -> None:
    """What was signed up to a step's taking up at the last replica verifies until it expires, at replicas ahead."""
    folder = Folder()
    signed: list[tuple[str, float]] = []
    for step in ("new", "new", "rotate", "new", "rotate", "retire", "retire"):
        before = ring(folder.texts) if folder.texts else None
        getattr(folder, step)()
        current = ring(folder.texts)
        # A slow replica signs by the folder of before, as late as it may.
        for replica, until in ((before, folder.now + TAKE_UP), (current, folder.now)):
            if replica is not None:
                signed.append((replica.sign(claims(), "bearer+jwt"), until + DAY))
        in_use = [token for token, expires in signed if expires > folder.now]
        assert in_use
        assert all(isinstance(verify(token, current), Claims) for token in in_use)
    # The test would notice: of the first key nothing verifies any more.
    assert verify(signed[0][0], ring(folder.texts)) == "unknown kid"


def test_a_key_is_published_before_it_signs() -> None:
    """What signs at any step was in the published set for max-age, and the time of taking it up, before."""
    assert PUBLISHED >= JWKS_MAX_AGE + TAKE_UP
    folder = Folder()
    folder.new()
    folder.new()
    made = folder.now
    (following,) = (one for one in read_keys(folder.texts)[0] if one.state is State.NEXT)
    published = {jwk["kid"] for jwk in ring(folder.texts).public_jwks()["keys"]}
    assert following.kid in published
    folder.now = made + PUBLISHED - 1
    early = rotated(folder.texts[following.file], following, read_keys(folder.texts)[0], folder.now, at_once=False)
    assert isinstance(early, TooEarly)
    assert (following.kid in early.what, early.until) == (True, made + PUBLISHED)
    folder.rotate()
    assert folder.now == made + PUBLISHED
    active = signing(read_keys(folder.texts)[0])
    assert active is not None
    assert active.kid == following.kid


def test_states_follow_from_times() -> None:
    """The last key that was told to sign does, those before it retire since then, one that was not told is next."""
    texts = {
        "a": text(created=1, signs=10),
        "b": text(created=2, signs=30),
        "c": text(created=3, signs=20),
        "d": text(created=40),
        "e": json.dumps({"kid": "gone", "alg": "ES256", "gateway": {"retired": 50}}),
        "f": text(),
    }
    assert states(texts) == {
        "a": "retiring", "b": "active", "c": "retiring", "d": "next", "e": "retired", "f": "retiring"
    }  # fmt: skip
    kept = {one.file: one for one in read_keys(texts)[0]}
    assert {file: one.since for file, one in kept.items()} == {"a": 20, "b": 30, "c": 30, "d": 40, "e": 50, "f": 10}
    assert kept["e"].algorithm is Algorithm.ES256
    assert [one.file for one in in_ring(read_keys(texts)[0])] == ["b", "d", "c", "a", "f"]


def test_every_moment_has_one_signer() -> None:
    """A rotation is one file: each state of the folder has exactly one key that signs."""
    for texts in rotations().history:
        assert list(states(texts).values()).count("active") == 1


def test_the_first_key_signs_at_once() -> None:
    """Nobody has tokens of a folder without keys."""
    folder = Folder()
    folder.new()
    assert list(states(folder.texts).values()) == ["active"]
    folder.new()
    assert sorted(states(folder.texts).values()) == ["active", "next"]


def test_a_clock_that_is_behind_rotates_all_the_same() -> None:
    """The new key signs from after the old one's beginning, whatever the clock of whoever rotates says."""
    texts = {"old": text(created=START, signs=START), "new": text(created=START - 5000)}
    kept = read_keys(texts)[0]
    (following,) = (one for one in kept if one.state is State.NEXT)
    done = rotated(texts["new"], following, kept, START - 100, at_once=False)
    assert isinstance(done, str)
    assert states({**texts, "new": done}) == {"old": "retiring", "new": "active"}


def test_retiring_takes_the_longest_life() -> None:
    """A retiring key stays for the longest life, the time of taking up and a minute of clocks; a next one may go."""
    texts = {"a": text(created=1, signs=START - 9), "b": text(created=2, signs=START), "c": text(created=3)}
    kept = {one.file: one for one in read_keys(texts)[0]}
    until = START + DAY + TAKE_UP + 60
    assert may_retire_from(kept["a"], DAY) == until
    assert isinstance(retired(kept["a"], DAY, until - 1, at_once=False), TooEarly)
    assert isinstance(retired(kept["a"], DAY, until - 1, at_once=True), str)
    assert isinstance(retired(kept["a"], DAY, until, at_once=False), str)
    assert isinstance(retired(kept["c"], DAY, START, at_once=False), str)


def test_what_stays_of_a_retired_key_is_no_key() -> None:
    """Its file says which it was, and holds nothing that signs or verifies."""
    texts = {"a": text(Algorithm.HS256, created=1, signs=5), "b": text(created=1, signs=9)}
    one = next(one for one in read_keys(texts)[0] if one.file == "a")
    left = retired(one, DAY, START, at_once=True)
    assert isinstance(left, str)
    assert json.loads(left) == {"kid": kid(texts["a"]), "alg": "HS256", "gateway": {"retired": START}}
    assert [one.file for one in in_ring(read_keys({**texts, "a": left})[0])] == ["b"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("nonsense", "neither a PEM private key nor a JWK"),
        (json.dumps({"kty": "oct"}), "alg is not one of"),
        (text(signs=True), "whole seconds"),
        (text(signs=-1), "whole seconds"),
        (text(signs=1.5), "whole seconds"),
        (text(signed=1), "whole seconds"),
        (text().replace("{", '{"gateway": {}, ', 1), "whole seconds"),
        (text().replace("{", '{"gateway": "next", ', 1), "whole seconds"),
        (text(created=1).replace("{", '{"gateway": {"signs": 1}, ', 1), "neither a PEM private key nor a JWK"),
        (json.dumps({"kid": "k", "alg": "none", "gateway": {"retired": 1}}), "has its kid and alg"),
        (json.dumps({"alg": "EdDSA", "gateway": {"retired": 1}}), "has its kid and alg"),
    ],
    ids=range(11),
)
def test_a_broken_file_spoils_the_folder(broken: str, says: str) -> None:
    """No key of a folder is used where one file of it is not understood; the fault names that, and quotes nothing."""
    kept, faults = read_keys({"good.jwk": text(created=1, signs=1), "bad.jwk": broken})
    assert kept == ()
    assert len(faults) == 1
    assert faults[0].startswith("bad.jwk: ")
    assert says in faults[0]
    private = json.loads(broken).get("d") if broken.startswith("{") else None
    assert private is None or private not in faults[0]


def test_two_files_that_contradict_each_other() -> None:
    """One key in two files, and two keys that sign from the same time, are faults: nothing says which one counts."""
    one, other = text(created=1, signs=5), text(created=1, signs=5)
    assert read_keys({"a": one, "b": other})[1] == (
        "b: signs from the same time as a, so that nothing says which one does",
    )
    gone = json.dumps({"kid": kid(one), "alg": "EdDSA", "gateway": {"retired": 9}})
    assert read_keys({"a": one, "b": gone})[1] == ("b: the same key as a",)
    assert read_keys({"a": text(), "b": text()})[0] == ()
