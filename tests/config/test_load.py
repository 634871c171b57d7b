"""Loading a routing file: every fault at once, with its place and what to write instead."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.authn.key import Algorithm, generate, load_key
from gateway.config.credential import ClientCredentials
from gateway.config.faults import ConfigError, Fault
from gateway.config.load import load
from gateway.config.model import Config

CASES = Path(__file__).parent.parent / "cases" / "config"
GOOD = CASES / "load_bases" / "good.yaml"
KEY = generate(Algorithm.EDDSA)
ENVIRONMENT = {
    "SECRET": "s3cr3t-of-the-test",
    "KEY": KEY,
    "NOT_A_KEY": "hunter2 is no key",
    "PUBLIC_KEY": json.dumps(load_key(KEY).public_jwk),
}


def faults(path: Path) -> list[str]:
    """Return the faults of a file, as an operator reads them."""
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRONMENT)
    return [str(fault) for fault in caught.value.faults]


def golden() -> list[Path]:
    """Return the cases of this floor; those of source.py have a runner of their own."""
    return sorted(path for path in CASES.glob("*.yaml") if not path.name.startswith("source_"))


@pytest.mark.parametrize("case", golden(), ids=lambda case: str(case.stem))
def test_a_faulty_file_gives_exactly_the_lines_beside_it(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden files are what an operator reads."""
    monkeypatch.chdir(CASES)
    assert "".join(f"{fault}\n" for fault in faults(Path(case.name))) == case.with_suffix(".errors").read_text()


def test_every_golden_fault_says_what_to_write() -> None:
    """A fault without a hint names what is expected in its own sentence; such sentences are few and known."""
    known = (
        "begins with",
        "is plain text",
        "a URL is",
        "write ",
        "letter",
        "must be",
        "of a parent",
        "such as",
        "ression: ",
    )
    for case in golden():
        for line in case.with_suffix(".errors").read_text().splitlines():
            assert ";" in line or any(word in line for word in known), f"{case.stem}: {line}"


def test_no_fault_shows_a_secret() -> None:
    """Neither secrets of the environment nor of the file appear in a fault."""
    shown = "".join(case.with_suffix(".errors").read_text() for case in golden())
    assert "hunter2" not in shown
    assert ENVIRONMENT["SECRET"] not in shown
    assert json.loads(KEY)["x"] not in shown


def test_a_good_file_is_a_configuration() -> None:
    """What has no fault is loaded."""
    config = load(GOOD, ENVIRONMENT)
    assert isinstance(config, Config)
    assert isinstance(config.upstream.credential, ClientCredentials)
    assert config.upstream.credential.client_secret.get_secret_value() == ENVIRONMENT["SECRET"]
    assert ENVIRONMENT["SECRET"] not in repr(config)


def test_without_an_environment_the_process_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line gives none."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert load(GOOD).routes[0].name == "products"


def test_a_demonstration_may_hold_its_secrets(tmp_path: Path) -> None:
    """`insecure_literal_secrets` opens exactly that."""
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"extends: {GOOD}\nupstream: {{credential: {{client_secret: demo}}}}\n"
        "clients: {client_credentials: [{id: server, secret: demo}]}\ninsecure_literal_secrets: true\n"
    )
    assert load(path, ENVIRONMENT).insecure_literal_secrets


@pytest.mark.parametrize("name", ["moltin.yaml", "demo.yaml"])
def test_a_missing_variable_is_told_at_its_place(name: str) -> None:
    """The production file names each variable it lacks; the demonstration's lacks none."""
    path = CASES.parent.parent.parent / "config" / name
    if name == "demo.yaml":
        assert load(path, {}).insecure_ephemeral_key
        return
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    text = str(caught.value)
    for variable in (
        "UPSTREAM_URL", "UPSTREAM_CLIENT_ID", "UPSTREAM_CLIENT_SECRET", "GATEWAY_SIGNING_KEY_FILE",
        "STOREFRONT_CLIENT_ID", "TRUSTED_CLIENT_ID", "TRUSTED_CLIENT_SECRET",
    ):  # fmt: skip
        assert variable in text
    assert "GATEWAY_STORE_URL" not in text
    assert "GATEWAY_PUBLIC_URL" not in text


# Properties

keys = st.sampled_from(
    ["version", "upstream", "tokens", "routes", "access", "customer", "scope", "guard", "owner", "open", "rules", "x"]
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab/{}-$:", max_size=6) | st.sampled_from(["open", "GET"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(keys, documents, max_size=5), st.booleans())
def test_any_document_is_a_configuration_or_a_list_of_faults(
    tmp_path: Path,
    document: dict[str, Any],
    on_good_ground: bool,  # noqa: FBT001 - hypothesis gives it by position
) -> None:
    """No file makes loading fall over with another exception, and every fault has a place in the file."""
    path = tmp_path / "gateway.yaml"
    text = yaml.safe_dump(document).replace("$", "$$")
    path.write_text(f"extends: {GOOD}\n{text if document else ''}" if on_good_ground else text)
    found: tuple[Fault, ...] = ()
    try:
        load(path, ENVIRONMENT)
    except ConfigError as error:
        found = error.faults
    assert found or on_good_ground
    assert all(fault.line >= 1 and fault.column >= 1 and fault.what for fault in found)
