"""Networks whose word is trusted: how they may be written, and that none of them is everybody."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config.check import findings
from gateway.config.clientside import Server
from gateway.config.effective import dump
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config
from tests.config.writing import minimal
from tests.gateways import MOLTIN, environment


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([], ()),
        (["10.0.0.0/8", "2001:DB8::/32"], ("10.0.0.0/8", "2001:db8::/32")),
        (["10.1.2.3", "::1"], ("10.1.2.3/32", "::1/128")),
        (["::ffff:10.0.0.0/104"], ("10.0.0.0/8",)),
        ([" 10.0.0.0/8 "], ("10.0.0.0/8",)),
        ("10.0.0.0/8", ("10.0.0.0/8",)),
        ("10.0.0.0/8, 192.168.0.0/16\n172.16.0.0/12,", ("10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12")),
        ("", ()),
        (" ", ()),
    ],
    ids=str,
)
def test_networks(written: object, read: tuple[str, ...]) -> None:
    """A list, or one text as the environment gives it; addresses are networks of one."""
    assert Server.model_validate({"trusted_proxies": written}).trusted_proxies == read


@pytest.mark.parametrize(
    "written",
    [
        ["0.0.0.0/0"],
        ["::/0"],
        ["10.0.0.1/0"],
        ["::ffff:0:0/96"],
        ["10.0.0.0/8", "0.0.0.0/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"],
        ["::/1", "8000::/1"],
        ["0.0.0.0/1", "::ffff:128.0.0.0/97"],
        "0.0.0.0/0",
        "10.0.0.0/8,::/0",
    ],
    ids=str,
)
def test_everybody_is_nobody_to_trust(written: object) -> None:
    """Then any client could say who it is; however it is spelled."""
    with pytest.raises(ValidationError, match="this trusts everybody"):
        Server.model_validate({"trusted_proxies": written})


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (["10.0.0.1/8"], "did you mean 10.0.0.0/8?"),
        (["ingress"], "not a network; write networks of your proxies"),
        (["10.0.0.0/33"], "not a network"),
        (["fe80::1%eth0"], "not a network"),
        ([""], "not a network"),
        ([10], "valid string"),
        (10, "valid tuple"),
    ],
    ids=str,
)
def test_what_is_no_network(written: object, what: str) -> None:
    """It is said what to write instead."""
    with pytest.raises(ValidationError) as raised:
        Server.model_validate({"trusted_proxies": written})
    assert what in str(raised.value)


def test_faults_have_their_place(tmp_path: Path) -> None:
    """Each network of a list has its own; what the environment gave is not shown."""
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"extends: {MOLTIN}\nserver:\n  trusted_proxies:\n    - 10.0.0.0/8\n    - 0.0.0.0/0\n    - 10.0.0.1/8\n"
    )
    with pytest.raises(ConfigError) as raised:
        load(path, environment(tmp_path, "http://up.example"))
    five, six = str(raised.value).splitlines()
    assert five.startswith(f"{path}:5:7: server.trusted_proxies[1]: this trusts everybody")
    assert "; write networks of your proxies, such as 10.0.0.0/8" in five
    assert six.startswith(f"{path}:6:7: server.trusted_proxies[2]: ")
    assert six.endswith("did you mean 10.0.0.0/8?")
    path.write_text(f"extends: {MOLTIN}\nserver: {{trusted_proxies: '${{env:CANARY}}'}}\n")
    with pytest.raises(ConfigError) as raised:
        load(path, environment(tmp_path, "http://up.example", CANARY="10.99.0.1/8"))
    assert "server.trusted_proxies" in str(raised.value)
    assert "10.99" not in str(raised.value)


def test_nobody_speaks_the_proxy_protocol_unless_trusted() -> None:
    """A header from anybody would let anybody be anybody."""
    server = {"proxy_protocol": "required"}
    ((where, what, hint),) = findings(Config.model_validate(minimal(server=server)))
    assert (where, what) == (("server", "proxy_protocol"), "nobody is trusted to speak it")
    assert "trusted_proxies" in hint
    assert not list(findings(Config.model_validate(minimal(server={**server, "trusted_proxies": ["10.0.0.0/8"]}))))


def test_what_is_in_force_is_shown() -> None:
    """The dump can be read again."""
    text = dump(Config.model_validate(minimal(server={"trusted_proxies": "10.0.0.0/8"})))
    assert "trusted_proxies:\n  - 10.0.0.0/8\n" in text
