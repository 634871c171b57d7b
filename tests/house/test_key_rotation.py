"""Three real replicas take up each step of a rotation one after the other: none refuses a token of another."""

import json
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.authn.compact import decode_segment
from gateway.authn.key import Algorithm, generate
from gateway.authn.rotation import State, read_keys, retired, rotated, stamped
from gateway.config.key_folder import read_folder, write_file
from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site

RON = "ron@swanson.example"


def steps(keys: Path) -> Iterator[None]:
    """Take a folder of keys through a rotation, from the first key to the retired one."""

    def write(algorithm: Algorithm, name: str) -> None:
        write_file(keys / name, stamped(generate(algorithm), 1, read_keys(read_folder(keys).texts)[0]))

    write(Algorithm.EDDSA, "old.jwk")
    yield
    write(Algorithm.ES256, "new.jwk")
    yield
    folder = read_folder(keys)
    kept = read_keys(folder.texts)[0]
    following = next(one for one in kept if one.state is State.NEXT)
    text = rotated(folder.texts["new.jwk"], following, kept, 1000, at_once=False)
    assert isinstance(text, str)
    write_file(keys / "new.jwk", text)
    yield
    old = next(one for one in read_keys(read_folder(keys).texts)[0] if one.state is State.RETIRING)
    text = retired(old, 86_400, 1_000_000, at_once=False)
    assert isinstance(text, str)
    write_file(keys / "old.jwk", text)
    yield


async def test_replicas_take_up_a_rotation_in_turn(upstream: Commerce, tmp_path: Path) -> None:
    """At each moment the tokens of all three are good at all three, and what signs is published by all of them."""
    keys = tmp_path / "keys"
    keys.mkdir()
    signers = []
    async with AsyncExitStack() as everything:
        replicas: list[tuple[Site, AsyncExitStack]] = []
        for step, _ in enumerate(steps(keys)):
            # The order in which they take it up is another one at each step.
            for turn in range(3):
                number = (step + turn) % 3 if replicas[2:] else turn
                folder = tmp_path / f"{step}-{number}"
                folder.mkdir()
                shutil.copytree(keys, folder / "keys")
                stack = await everything.enter_async_context(AsyncExitStack())
                text = "extends: moltin.yaml\ntokens: {keys: keys}\n"
                one = await stack.enter_async_context(run_site(upstream, folder, config=text))
                if number < len(replicas):
                    await replicas[number][1].aclose()
                    replicas[number] = (one, stack)
                else:
                    replicas.append((one, stack))
                if len(replicas) == 3:
                    signers.append(await agreed([site for site, _ in replicas]))
    assert signers == [1, 1, 1, 1, 2, 2, 1, 1, 1, 1]


async def agreed(sites: list[Site]) -> int:
    """Show that each site takes the tokens of each; return how many keys sign among them."""
    kids = set()
    for minting in sites:
        minting.bearers.clear()
        minting.tokens.clear()
        token, bearer = await minting.token(RON), await minting.bearer()
        header = decode_segment(token.partition(".")[0])
        assert header is not None
        kid = json.loads(header)["kid"]
        kids.add(kid)
        for verifying in sites:
            headers = {"Authorization": f"Bearer {bearer}", "X-Moltin-Customer-Token": token}
            answer = await verifying.call("GET", "/v2/orders", headers=headers)
            assert answer.status == 200
            published = (await verifying.call("GET", "/.well-known/jwks.json")).json()["keys"]
            assert kid in {key["kid"] for key in published}
    return len(kids)
