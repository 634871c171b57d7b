"""The field type of networks whose word is trusted: `10.0.0.0/8`, in a list or in one text with commas.

No text echoes what was given, as it may come from the environment; what was meant comes behind "did you mean".
"""

import re
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from gateway.wire.client_address import read_network

_WRITE = "write networks of your proxies, such as 10.0.0.0/8 or 2001:db8:1::/48"
_EVERYBODY = f"this trusts everybody, so that any client may say who it is; {_WRITE}"


def _network(text: str) -> str:
    """Return a network in its one spelling. Raises ValueError with a sentence that says what to write."""
    try:
        network = read_network(text.strip())
    except ValueError:
        raise ValueError(_complaint(text.strip())) from None
    if network.prefixlen == 0:
        raise ValueError(_EVERYBODY)
    return str(network)


def _complaint(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"not a network; {_WRITE}"
    if "%" in text:
        return f"not a network, for it has a zone; {_WRITE}"
    if meant.prefixlen == 0:
        return _EVERYBODY
    return f"the address has bits beyond its prefix; did you mean {meant}?"


def _not_everybody(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse halves of the whole, too."""
    networks = [read_network(text) for text in texts]
    all_of_4 = list(collapse_addresses(one for one in networks if isinstance(one, IPv4Network)))
    all_of_6 = list(collapse_addresses(one for one in networks if isinstance(one, IPv6Network)))
    if IPv4Network("0.0.0.0/0") in all_of_4 or IPv6Network("::/0") in all_of_6:
        raise ValueError(_EVERYBODY)
    return texts


def _listed(given: Any) -> Any:
    """Return the networks of one text, which is all that the environment can give; an empty one names none."""
    return [part for part in re.split(r"[,\s]+", given) if part] if isinstance(given, str) else given


TrustedNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    BeforeValidator(_listed),
    AfterValidator(_not_everybody),
    WithJsonSchema(
        {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}],
            "examples": [["10.0.0.0/8"], "10.0.0.0/8, 192.168.0.0/16"],
        }
    ),
]
"""Networks, each in its one spelling; none of them, and not all of them together, is everybody."""
