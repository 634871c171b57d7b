"""The harnesses of `make fuzz` work without it: on their corpus, on inputs grown from it, and on planted faults."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.authn.revocations import NOBODY
from gateway.demo.data import LESLIE, LESLIE_ID, RON_ID
from gateway.scope.filters.epcc import parse as parse_filter
from gateway.vocab.messages import Session
from gateway.vocab.refusals import Refusal
from gateway.wire.proxy_header import HeaderFault, ProxyHeader, read_proxy_header
from gateway.wire.target import parse as parse_target
from tests.authn.forge import forge
from tests.fuzz import clients, filters, proxies, targets, tokens
from tests.fuzz.exchanges import FindingError, fuzz
from tests.fuzz.guided import HARNESSES

CORPUS = Path(__file__).parent / "corpus"
ONE_INPUT: dict[str, Callable[[bytes], None]] = {
    "target": targets.one_input,
    "filter": filters.one_input,
    "token": tokens.one_input,
    "proxy": proxies.one_input,
    "client": clients.one_input,
}
GROWN = 300


def seeds(name: str) -> list[bytes]:
    """Return the inputs of the corpus."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def test_every_harness_is_tested() -> None:
    """What atheris runs is what runs here."""
    assert ONE_INPUT.keys() == HARNESSES.keys() == {path.name for path in CORPUS.iterdir()}


@pytest.mark.parametrize("name", ONE_INPUT)
def test_corpus_holds(name: str) -> None:
    """No input of the corpus, nor the empty one, breaks what is promised."""
    for data in (b"", *seeds(name)):
        ONE_INPUT[name](data)


@pytest.mark.parametrize("name", ONE_INPUT)
def test_inputs_grown_from_the_corpus_hold(name: str) -> None:
    """Spliced and damaged inputs of the corpus do not either."""
    corpus, chance = seeds(name), random.Random(name)  # noqa: S311 - the same inputs on each run
    for _ in range(GROWN):
        head, tail = chance.choice(corpus), chance.choice(corpus)
        data = bytearray(head[: chance.randrange(len(head) + 1)] + tail[chance.randrange(len(tail) + 1) :])
        for _ in range(chance.randrange(4) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        ONE_INPUT[name](bytes(data))


def test_corpus_reaches_both_answers() -> None:
    """The corpus holds what is accepted and what is refused, or the harnesses judge nothing."""
    read = [parse_target(data.decode("latin-1")) for data in seeds("target")]
    assert 0 < sum(isinstance(one, Refusal) for one in read) < len(read)
    headers = [read_proxy_header(data) for data in seeds("proxy")]
    assert {HeaderFault, ProxyHeader} == {type(one) for one in headers}
    text = (CORPUS / "filter" / "epcc_and").read_bytes()[1:].decode()
    assert not isinstance(parse_filter(text), Refusal)
    payload = (CORPUS / "token" / "payload").read_bytes()[4:]
    payload = payload.replace(b"$NOW", b"%d" % tokens.NOW).replace(b"$END", b"%d" % (tokens.NOW + tokens.MAX_LIFE))
    signed = forge(tokens.KEYS[2], tokens._header(tokens.KEYS[2], "customer+jwt"), payload)
    assert tokens.CUSTOMERS.verify([signed], tokens.NOW, NOBODY) == Session("customer-1")


@pytest.mark.parametrize(
    "composed",
    [
        f"eq(customer_id,{RON_ID}):eq(status,paid)|eq(customer_id,{LESLIE_ID})",
        f"eq(status,paid):eq(customer_id,{RON_ID})",
        f"eq(customer_id,{LESLIE_ID})",
        f"eq(customer_id,{RON_ID})",
    ],
    ids=["alternative of another customer", "ours is not the first", "ours is another's", "theirs is lost"],
)
def test_a_filter_that_widens_is_found(composed: str) -> None:
    """The judge of filters knows what is wrong with these for a client that asked for paid orders."""
    with pytest.raises(AssertionError):
        filters._composed("eq(status,paid)", composed)


@pytest.mark.parametrize("change", [None, {"aud": "other"}, {"exp": "9999999999"}, {"sub": ""}], ids=str)
def test_a_token_that_should_not_pass_is_found(change: dict[str, str] | None) -> None:
    """The judge of tokens knows what is wrong with these, had they been accepted."""
    claims = json.loads(tokens._claims())
    assert tokens._check_claims(claims) == claims
    with pytest.raises(AssertionError):
        tokens._check_claims(None if change is None else {**claims, **change})


async def test_exchanges_hold(tmp_path: Path) -> None:
    """A few hundred changed requests over sockets reach nobody else's records."""
    found: list[FindingError] = []
    number, judge = await fuzz(7, lambda number: number < GROWN, tmp_path, found.append)
    assert found == []
    assert number == GROWN
    # Both ways were gone: refused, and forwarded.
    assert judge.forwarded > 30
    assert judge.statuses[200] > 100
    assert judge.statuses[400] > 100


def test_a_leak_in_an_exchange_is_told_of() -> None:
    """A finding carries the bytes that led to it."""
    finding = FindingError(f"the reply holds what is {LESLIE.name}'s", b"GET / HTTP/1.1")
    assert "Leslie" in str(finding)
    assert finding.raw == b"GET / HTTP/1.1"
