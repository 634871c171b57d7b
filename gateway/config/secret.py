"""What proves a client, as people write it: a line of a file or a variable, with what editors and shells add to it.

Signing keys and the store's URL have grammars of their own and are not read by this.
"""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr

_BOM: Final = "\ufeff"
# RFC 6749, appendices A.1 and A.2: ids and secrets of clients are visible ASCII and spaces.
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")


def bared(given: str) -> str:
    """Return a secret, or an id, without what stands around it in files and variables.

    Raises ValueError, which shows nothing of it, for what no client can send.
    """
    text = given.removeprefix(_BOM).rstrip("\r\n")
    if _VISIBLE.fullmatch(text) is None:
        # Neither the character nor its place is told: it is part of the secret.
        what = "has more than one line" if "\n" in text else "holds a character that is no visible ASCII"
        raise ValueError(f"{what}, which no client can send (RFC 6749, appendix A); give it as one line of plain text")
    return text


def _bared(given: Any) -> Any:
    return bared(given) if isinstance(given, str) else given


ClientId = Annotated[str, BeforeValidator(_bared), Field(min_length=1)]
"""The id of a client, on one line."""
ClientSecret = Annotated[SecretStr, BeforeValidator(_bared), Field(min_length=1)]
"""A secret that is sent: a client's, or the password of a proxy."""
