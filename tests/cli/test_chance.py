"""What a configuration leaves to chance; tests/process/test_workers.py shows that all workers have the same."""

from gateway.cli.chance import Chance
from gateway.config.load import Loaded
from gateway.config.model import Config
from tests.config.writing import minimal


def test_what_is_written_is_kept() -> None:
    """Only what is missing is made up, and the configuration is called as before."""
    config = Config.model_validate(minimal())
    settled = Chance().settle(Loaded(config, "0123456789ab"))
    assert settled.config.tokens == config.tokens
    assert settled.config.log.customer_key is not None
    assert settled.version == "0123456789ab"


def test_it_stays_the_same_for_the_configurations_that_follow() -> None:
    """Else each reload would end every token."""
    chance, texts = Chance(), set[str]()
    for issuer in ("one", "two"):
        tokens = {"issuer": issuer, "audience": "shop"}
        config = Config.model_validate(minimal(tokens=tokens, insecure_ephemeral_key=True))
        texts |= {key.get_secret_value() for key in chance.settle(Loaded(config, "0")).config.tokens.keys}
    assert len(texts) == 1
