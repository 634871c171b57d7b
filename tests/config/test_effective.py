"""What a configuration is called, and its settings one by one; tests/cli dumps it, test_proof.py has dangerous ones."""

from gateway.config.effective import settings, version
from gateway.config.model import Config
from tests.config.writing import key, minimal


def config(**sections: object) -> Config:
    """Read a file."""
    return Config.model_validate(minimal(**sections))


def test_the_same_configuration_has_the_same_version() -> None:
    """However it is written: defaults count as if they were."""
    assert version(config()) == version(config(server={"keepalive": "75s"}))
    assert int(version(config()), 16) < 1 << 53


def test_another_configuration_has_another_version() -> None:
    """Secrets count, and what lies beside."""
    others = [
        config(cors={"origins": ["https://app.example"]}),
        config(tokens={"issuer": "gateway", "audience": "shop", "keys": [key("another")]}),
        config(customers={"id_pattern": "[0-9]{1,9}"}),
        config(server={"trusted_proxies": ["10.0.0.0/8"]}),
    ]
    assert len({version(config()), version(config(), "beside"), *map(version, others)}) == 6


def test_settings_show_no_secret() -> None:
    """They are compared with all that is in them, and shown without."""
    found = dict(settings(config()))
    secret = found["upstream.credential.client_secret"]
    assert (secret.value, secret.shown) == ("hunter2", "***")
    assert found["tokens.keys"].shown == "***"
    assert found["tokens.keys"].value == [key()]
    assert found["clients.client_credentials[0].secret"].shown == "***"
    assert found["upstream.timeouts.idle"].shown == '"30s"'
    assert not [name for name in found if name.startswith("routes")]
    assert not [name for name, one in found.items() if "hunter2" in one.shown]


def test_a_masked_password_of_the_store_is_compared() -> None:
    """Two URLs that look the same are not."""
    one, other = (
        dict(settings(config(store={"url": f"postgresql://gateway:{word}@db.example/shop?sslmode=disable"})))[
            "store.url"
        ]
        for word in ("first", "second")
    )
    assert one.value != other.value
    assert "first" not in one.shown


def test_what_a_login_sends_besides_is_not_shown() -> None:
    """It may be a secret of the gateway's; what the customer types is only named there."""
    body = {"grant": "hunter2", "user": "{email}", "more": ["{password}", "hunter2"]}
    one = dict(settings(config(customers={"verify": "upstream", "login": {"body": body}})))["customers.login.body"]
    assert "hunter2" not in one.shown
    assert one.shown == '{"grant": "***", "user": "{email}", "more": ["{password}", "***"]}'
