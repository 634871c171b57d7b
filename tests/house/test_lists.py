"""One rule, one file, one list: what stands in a folder stands in its list, and every file has its tests."""

import inspect
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.guard import rules as guard_rules
from gateway.guard.core import GuardOptions
from gateway.scope import filters
from gateway.scope import rules as scope_rules
from gateway.scope.core import RuleOptions
from tests.house.sources import ROOT, python_files

LISTS: dict[str, Mapping[str, type]] = {
    "gateway/scope/rules": scope_rules.RULES,
    "gateway/guard/rules": guard_rules.RULES,
    "gateway/scope/filters": {name: type(dialect) for name, dialect in filters.DIALECTS.items()},
}
# No members of the list beside them.
NOT_MEMBERS = {"gateway/scope/filters/dialect.py"}

# Files without a test file of their own, and where they are tested instead.
EXCUSED = {
    "gateway/__main__.py": "one call; tests/process starts it as the installed command",
    "gateway/flow.py": "the way of a request: tests/house goes through it from door to door",
    "gateway/cli/verify.py": "tests/verify runs the command, also as a process of its own",
    "gateway/cli/demo.py": "starts processes; tests/process and the tour of the README run it as a newcomer does",
    "gateway/cli/child.py": "starts processes; tests/process/test_interrupt.py ends them at every moment",
    "gateway/cli/streams.py": "the standard streams of a process: tests/process/test_streams.py",
    "gateway/cli/ending.py": "ends processes; tests/process/test_interrupt.py",
    "gateway/cli/fault.py": "prints a line and ends; tests/cli/test_app.py, on a terminal tests/cli/test_terminal.py",
    "gateway/cli/proving.py": "tests/verify runs the command, also as a process of its own",
    "gateway/cli/routing_file.py": "tests/cli/test_table.py reads files with and without faults",
    "gateway/cli/showcase.py": "the tour of the README runs it; tests/process/test_demo.py reads what it prints",
    "gateway/config/texts.py": "tests/config/test_model.py reads each text through a section",
    "gateway/config/apiside.py": "tests/config/test_model.py reads its sections",
    "gateway/config/customers.py": "tests/config/test_model.py reads its sections",
    "gateway/config/clientside.py": "tests/config/test_model.py and test_proxies.py read its sections",
    "gateway/stores/queries.py": "the conformance suite asks each of them, on both kinds of database",
    "gateway/stores/sql_postgres.py": "the conformance suite runs on it, and tests/stores/test_postgres.py",
    "gateway/server/client.py": "what others want of a connection: protocols without code",
    "gateway/cli/serve.py": "starts processes; tests/process runs it with its signals",
    "gateway/cli/rollout.py": "a supervisor's side of a reload: tests/process/test_reload.py",
    "gateway/cli/following.py": "a worker's side of a reload: tests/process/test_reload.py",
    "gateway/cli/reload.py": "reloads of one process: tests/process/test_reload.py",
    "gateway/server/unfit.py": "what tests/server/test_parser.py has said, in processes of their own",
    "gateway/config/tree.py": "tests/config/test_source.py reads every shape of file through it",
    "gateway/wiring.py": "makes objects; every test with the fixture `site` runs it",
    "gateway/vocab/address.py": "a value; tests/cli/test_app.py reads and shows it",
    "gateway/vocab/algorithm.py": "names; tests/authn/test_key.py makes a key of each",
    "gateway/vocab/events.py": "values without behaviour; tests/ops reads each of them",
    "gateway/vocab/messages.py": "values without behaviour",
    "gateway/vocab/policy.py": "values without behaviour; tests/config/test_compile.py makes them",
    "gateway/vocab/customer_form.py": "values without behaviour; tests/tokens/test_customer.py reads records by them",
    "gateway/vocab/record_form.py": "values without behaviour; tests/wire/test_records.py reads answers by each preset",
    "gateway/cli/judged.py": "tests/cli/test_explain.py judges saved answers",
    "gateway/vocab/refusals.py": "tests/house/test_refusal_catalogue.py",
    "gateway/tokens/reset_api.py": "parses and renders; tests/tokens/test_resets.py asks from door to door",
    "gateway/stores/migrations/env.py": "tests/stores/test_schema.py applies and removes the migrations through it",
    "gateway/stores/migrations/versions/r0001_first_tables.py": "tests/stores/test_schema.py",
    "gateway/stores/migrations/versions/r0002_emails.py": "tests/stores/test_schema.py",
    "gateway/stores/migrations/versions/r0003_sessions.py": "tests/stores/test_schema.py",
    "gateway/stores/sessions.py": "tests/stores/conformance.py: they are part of what a store does",
    "gateway/tokens/ending.py": "tests/house/test_verify_upstream.py, through the door",
    "gateway/stores/migrations/versions/r0004_password_resets.py": "tests/stores/test_schema.py",
    "gateway/stores/migrations/versions/r0005_login_attempts.py": "tests/stores/test_schema.py",
    "gateway/stores/location.py": "tests/stores/test_sql.py checks URLs, and opens files of odd names",
    "gateway/stores/sqlite.py": "tests/stores/conformance.py and test_sql.py: it shows in the store only",
    "gateway/stores/ports.py": "what a store promises; tests/stores/conformance.py is its test",
}


# What a client of the demonstration sees is tested as a whole in tests/demo: it is data and a fake, not the core. The
# prover is tested as a whole in tests/verify: against honest gateways, and against some with a leak planted in them.
EXCUSED_FOLDERS = ("gateway/demo/", "gateway/verify/")


@pytest.mark.parametrize("folder", LISTS)
def test_every_file_is_in_the_list_and_the_other_way_round(folder: str) -> None:
    """A rule that is in no list does nothing, and a list names nothing from elsewhere."""
    files = {str(path) for path in python_files(folder) if path.name != "__init__.py"} - NOT_MEMBERS
    listed = {str(Path(inspect.getfile(member)).relative_to(ROOT)) for member in LISTS[folder].values()}
    assert listed == files


@pytest.mark.parametrize("folder", LISTS)
def test_a_member_is_called_like_its_file(folder: str) -> None:
    """Who reads a routing file finds the rule at once."""
    assert {name: Path(inspect.getfile(member)).stem for name, member in LISTS[folder].items()} == {
        name: name for name in LISTS[folder]
    }


@pytest.mark.parametrize("folder", LISTS)
def test_every_member_has_its_test_file(folder: str) -> None:
    """tests/ mirrors gateway/, and rules are never excused."""
    for name in LISTS[folder]:
        assert (ROOT / folder.replace("gateway/", "tests/") / f"test_{name}.py").is_file()


@pytest.mark.parametrize(
    ("rules", "base"), [(scope_rules.RULES, RuleOptions), (guard_rules.RULES, GuardOptions)], ids=["scope", "guard"]
)
def test_a_rule_carries_its_manual(rules: Mapping[str, type], base: type) -> None:
    """Behaviour, options and documentation live in the rule's file: the list makes schema, check and docs from it."""
    for rule in rules.values():
        assert issubclass(rule, RuleOptions | GuardOptions)
        assert issubclass(rule, base)
        assert rule.__doc__
        assert rule.__doc__ != base.__doc__
        assert all(field.description for field in rule.model_fields.values())


def mirrored(path: Path) -> Path:
    """Return where the tests of a file stand."""
    return Path("tests", *path.parts[1:-1], f"test_{path.name}")


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in python_files("gateway")
        if path.name != "__init__.py" and not str(path).startswith(EXCUSED_FOLDERS)
    ],
    ids=str,
)
def test_every_file_has_its_test_file(path: Path) -> None:
    """At the mirrored path, or with a reason why not."""
    assert (ROOT / mirrored(path)).is_file() or str(path) in EXCUSED, f"{mirrored(path)} is missing"


def test_no_excuse_is_out_of_date() -> None:
    """A file that has its tests, or is gone, needs none."""
    assert [path for path in EXCUSED if not (ROOT / path).is_file() or (ROOT / mirrored(Path(path))).is_file()] == []
