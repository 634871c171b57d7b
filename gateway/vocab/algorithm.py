"""The algorithms of signing keys, by name."""

from enum import StrEnum


class Algorithm(StrEnum):
    """What a key is good for; the names of RFC 7518 and RFC 8037."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    RS256 = "RS256"
    HS256 = "HS256"
