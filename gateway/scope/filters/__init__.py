"""THE LIST of filter dialects: how a query says "only records whose field equals this value"."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.scope.filters.dialect import Dialect
from gateway.scope.filters.epcc import Epcc
from gateway.scope.filters.jsonapi import JsonApi
from gateway.scope.filters.postgrest import PostgRest
from gateway.scope.filters.query import PlainQuery

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "epcc": Epcc(),
        "query": PlainQuery(),
        "jsonapi": JsonApi(),
        "postgrest": PostgRest(),
    }
)
