"""THE LIST of guard rules: the key in the routing file and the class that is its options, manual and behaviour."""

from collections.abc import Mapping
from typing import Final

from gateway.guard.core import GuardOptions
from gateway.guard.rules.belongs_to import BelongsTo
from gateway.guard.rules.identity import Identity
from gateway.guard.rules.owner import Owner
from gateway.guard.rules.redact import Redact

RULES: Final[Mapping[str, type[GuardOptions]]] = {
    "owner": Owner,
    "identity": Identity,
    "belongs_to": BelongsTo,
    "redact": Redact,
}
