"""Secrets of clients, with what editors and shells add to them."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.check import second_secrets
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.secret import ClientId, ClientSecret
from tests.config.writing import minimal
from tests.gateways import MOLTIN, environment


@pytest.mark.parametrize("written", ["s3 cret", "s3 cret\n", "s3 cret\r\n", "\ufeffs3 cret\n", "s3 cret\n\n"])
def test_what_is_added_to_a_secret_is_taken_off(written: str) -> None:
    """A byte order mark before it and the ends of lines behind it are nobody's secret."""
    assert TypeAdapter(ClientSecret).validate_python(written).get_secret_value() == "s3 cret"
    assert TypeAdapter[str](ClientId).validate_python(written) == "s3 cret"


@pytest.mark.parametrize("written", ["canary-a\nb", "canary-\t", "canary-ä", "canary-\u201c", "canary-\x7f", "\n", ""])
def test_what_no_client_can_send_is_a_fault_that_does_not_show_it(written: str) -> None:
    """RFC 6749, appendix A.2: visible ASCII and spaces."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ClientSecret).validate_python(written)
    assert "canary" not in str(caught.value.errors(include_input=False))


def test_the_place_of_a_secret_is_named(tmp_path: Path) -> None:
    """An operator reads where it stands, and never what it is; a file's byte order mark is no fault."""
    (tmp_path / "secret").write_text("\ufeffcanary-fine\r\n")
    good = environment(tmp_path, "http://up.example", TRUSTED_CLIENT_SECRET="canary-fine\n")
    assert load(MOLTIN, good).clients.client_credentials[0].all_secrets[0].get_secret_value() == "canary-fine"
    with pytest.raises(ConfigError) as caught:
        load(MOLTIN, good | {"TRUSTED_CLIENT_SECRET": "canary-fäil"})
    text = str(caught.value)
    assert "clients.client_credentials[0].secret: holds a character that is no visible ASCII" in text
    assert "moltin.yaml:" in text
    assert "canary" not in text


def clients(**keys: object) -> Config:
    """Return a configuration with one trusted client."""
    return Config.model_validate(minimal(clients={"client_credentials": [{"id": "server", **keys}]}))


def test_a_client_has_one_secret_or_two() -> None:
    """Two for a while, of which `check` tells; in one way or the other."""
    assert list(second_secrets(clients(secret="a"))) == []
    assert list(second_secrets(clients(secrets=["a"]))) == []
    (note,) = second_secrets(clients(secrets=["new", "old"]))
    assert "clients.client_credentials[0] (server)" in note
    wrong: list[dict[str, object]] = [
        {},
        {"secret": "a", "secrets": ["b"]},
        {"secrets": []},
        {"secrets": ["a", "b", "c"]},
    ]
    for keys in wrong:
        with pytest.raises(ValidationError):
            clients(**keys)
