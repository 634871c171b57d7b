"""THE LIST of all groups; each has its golden file."""

from tests.carrying.case import Group
from tests.carrying.groups import (
    answers,
    conversations,
    customers,
    lookups,
    pipelines,
    rejected,
    requests,
    silence,
    uploads,
    writes,
)

GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        customers.GROUP,
        writes.GROUP,
        rejected.GROUP,
        pipelines.GROUP,
        uploads.GROUP,
        lookups.GROUP,
        answers.GROUP,
        silence.GROUP,
        requests.HEADS,
        requests.ALL_TARGETS,
        requests.ALL_METHODS,
        requests.ALL_CALLERS,
        requests.ALL_VERSIONS,
        conversations.GROUP,
    )
}
