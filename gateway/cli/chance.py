"""What a configuration leaves to chance: made up once, for all workers and for each configuration that follows."""

import secrets
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from gateway.authn.key import generate
from gateway.config.load import Loaded
from gateway.vocab.algorithm import Algorithm


def _key() -> SecretStr:
    return SecretStr(generate(Algorithm.EDDSA))


def _customer_key() -> SecretStr:
    return SecretStr(secrets.token_hex(32))


@dataclass(frozen=True, slots=True)
class Chance:
    """A signing key, and the key of the hash that stands for a customer in the log."""

    key: SecretStr = field(default_factory=_key)
    customer_key: SecretStr = field(default_factory=_customer_key)

    def settle(self, loaded: Loaded) -> Loaded:
        """Return a configuration that leaves nothing to chance; it is called as before."""
        tokens, log = loaded.config.tokens, loaded.config.log
        if not tokens.keys:
            tokens = tokens.model_copy(update={"keys": (self.key,)})
        if log.customer_key is None:
            log = log.model_copy(update={"customer_key": self.customer_key})
        return replace(loaded, config=loaded.config.model_copy(update={"tokens": tokens, "log": log}))
