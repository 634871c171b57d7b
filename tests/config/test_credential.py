"""What a file may say of the gateway's credentials: each kind with its own keys, and every fault with its place."""

from pathlib import Path

import pytest

from gateway.config.credential import ClientCredentials, Implicit
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from tests.config.writing import minimal
from tests.gateways import MOLTIN, environment

OPEN = """\
extends: moltin.yaml
upstream:
  credential: {credential}
"""


def test_without_a_kind_it_is_client_credentials() -> None:
    """As files wrote it that knew no other."""
    assert Config.model_validate(minimal()).upstream.credential.kind == "client_credentials"


def test_another_kind_replaces_that_of_the_extended_file(tmp_path: Path) -> None:
    """Its keys say nothing of the new one; keys of the same kind are merged."""
    file = tmp_path / "gateway.yaml"
    file.write_text(OPEN.format(credential="{kind: none}").replace("moltin.yaml", str(MOLTIN)))
    assert load(file, environment(tmp_path, "http://up.example")).upstream.credential.kind == "none"


FAULTS = [
    pytest.param("{kind: token}", "kind", id="no such kind"),
    pytest.param("{kind: bearer}", "write either token: or token_file:", id="no token"),
    pytest.param("{kind: header, name: 'A B', value: '${env:TOKEN}'}", "letters, digits and hyphens", id="a bad name"),
    pytest.param("{kind: header, name: Host, value: '${env:TOKEN}'}", "says something else", id="a name that is taken"),
    pytest.param("{kind: header, value: '${env:BROKEN}'}", "more than one line", id="a value of two lines"),
    pytest.param("{kind: header, value: literal}", "a secret stands in the file", id="a secret in the file"),
    pytest.param("{path: /token, url: 'https://a.example/token'}", "write either path: or url:", id="two endpoints"),
    pytest.param("{url: 'https://a.example'}", "has a path, such as https://auth", id="an endpoint without a path"),
    pytest.param("{url: 'https://a.example/t?x=y'}", "no user, query or fragment", id="an endpoint with a query"),
    pytest.param("{url: 'http://a.example/t', tls: {ca_file: ca}}", "with an https:// url", id="no TLS to an endpoint"),
    pytest.param("{tls: {ca_file: ca}}", "with an https:// url", id="TLS to no endpoint"),
    pytest.param("{kind: basic, user: 'a:b', password: '${env:TOKEN}'}", "not of the form", id="a colon in the user"),
]


@pytest.mark.parametrize(("written", "told"), FAULTS)
def test_what_cannot_be_is_a_fault_with_its_place(tmp_path: Path, written: str, told: str) -> None:
    """It is said what to write instead, and no secret with it."""
    file = tmp_path / "gateway.yaml"
    file.write_text(OPEN.format(credential=written).replace("moltin.yaml", str(MOLTIN)))
    with pytest.raises(ConfigError) as caught:
        load(file, environment(tmp_path, "http://up.example", TOKEN="static", BROKEN="static\nx: y"))
    assert f"{file}:3:" in str(caught.value)
    assert told in str(caught.value)
    assert "static" not in str(caught.value)


@pytest.mark.parametrize("kind", ["client_credentials", "implicit"])
def test_a_token_endpoint_may_end_with_a_slash(tmp_path: Path, kind: str) -> None:
    """As Django's do: without it the grant would be a redirect."""
    secret = ", client_secret: '${env:UPSTREAM_CLIENT_SECRET}'" if kind == "client_credentials" else ""
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"extends: {MOLTIN}\nupstream: {{credential: {{kind: {kind}, client_id: a, path: /o/token/{secret}}}}}\n"
    )
    made = load(file, environment(tmp_path, "http://up.example")).upstream.credential
    assert isinstance(made, (ClientCredentials, Implicit))
    assert made.path == "/o/token/"
