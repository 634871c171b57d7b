"""THE LIST of scoping rules: the key in the routing file and the class that is its options, manual and behaviour."""

from collections.abc import Mapping
from typing import Final

from gateway.scope.core import RuleOptions
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import ParentOwner
from gateway.scope.rules.path_owner import PathOwner

RULES: Final[Mapping[str, type[RuleOptions]]] = {
    "filter": Filter,
    "path_owner": PathOwner,
    "parent_owner": ParentOwner,
    "body_fields": BodyFields,
    "body_stamp": BodyStamp,
}
