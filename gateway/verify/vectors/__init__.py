"""THE LIST of vectors: every way in which the prover attacks a route."""

from typing import Final

from gateway.verify.vectors import bodies, credentials, lending, paths, queries, shapes
from gateway.verify.vectors.base import Setting, Vector

LOGIN_VECTORS: Final[tuple[Vector, ...]] = bodies.LOGIN_VECTORS
ROUTE_VECTORS: Final[tuple[Vector, ...]] = (
    *paths.VECTORS, *queries.VECTORS, *credentials.VECTORS, *shapes.VECTORS, *bodies.VECTORS,
)  # fmt: skip
VECTORS: Final[tuple[Vector, ...]] = (*ROUTE_VECTORS, *LOGIN_VECTORS, *lending.VECTORS)

__all__ = ["LOGIN_VECTORS", "ROUTE_VECTORS", "VECTORS", "Setting", "Vector"]
