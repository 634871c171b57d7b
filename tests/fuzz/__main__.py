"""`make fuzz`: every fuzz target for some seconds each; exit 1 where something was found, with the input in a file.

Some harnesses run under atheris, guided by coverage; where atheris has no wheel they are left out. The properties and
the exchanges over sockets run everywhere.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.fuzz.guided import HARNESSES, load_atheris

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path(__file__).parent / "corpus"
# A target is a few thousand bytes at the most; libFuzzer would grow inputs far beyond.
LONGEST = 4096
# So many examples of each property in one round; rounds with fresh seeds follow until the time is over.
EXAMPLES = 500


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python from the root of the project and return what it printed."""
    whole = [sys.executable, *command]
    # All of it is ours.
    return subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603


def guided(name: str, seconds: int, findings: Path) -> tuple[int, str]:
    """Run a harness under atheris; return the executions and the report of a finding, empty without one."""
    with tempfile.TemporaryDirectory() as grown:
        options = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-max_len={LONGEST}", "-timeout=10"]
        options += [f"-artifact_prefix={findings}/{name}-", grown, str(CORPUS / name)]
        done = run("-m", "tests.fuzz.guided", name, *options)
    count = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return int(count[1]) if count else 0, "" if done.returncode == 0 else done.stderr[-4000:]


def properties(seconds: int, findings: Path) -> tuple[int, str]:
    """Run tests/properties again and again with fresh seeds; Hypothesis prints the smallest failing example."""
    del findings
    examples, seed, until = 0, 0, monotonic() + seconds
    while monotonic() < until:
        seed += 1
        command = ["-m", "pytest", "tests/properties", "-q", "-p", "tests.fuzz.profile", "-p", "no:cacheprovider"]
        done = run(*command, "--hypothesis-show-statistics", f"--hypothesis-seed={seed}", f"--fuzz-examples={EXAMPLES}")
        examples += sum(map(int, re.findall(r"(\d+) passing", done.stdout)))
        if done.returncode:
            return examples, done.stdout[-6000:]
    return examples, ""


def exchanges(seconds: int, findings: Path) -> tuple[int, str]:
    """Run the fuzzer of whole requests."""
    done = run("-m", "tests.fuzz.exchanges", f"--seconds={seconds}", f"--findings={findings}")
    count = re.search(r"executions=(\d+)", done.stdout)
    return int(count[1]) if count else 0, "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"


def main() -> None:
    """Run what was asked for and print a line for each."""
    everywhere = {"properties": properties, "exchanges": exchanges}
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path(".hypothesis/findings"), help="where inputs go")
    parser.add_argument("target", nargs="*", choices=[*HARNESSES, *everywhere, []], help="all of them without any")
    options = parser.parse_args()
    wanted = options.target or [*HARNESSES, *everywhere]
    findings = options.findings.resolve()
    findings.mkdir(parents=True, exist_ok=True)
    has_atheris = load_atheris() is not None
    if not has_atheris and not HARNESSES.keys().isdisjoint(wanted):
        say("atheris is not installed (it has wheels for Linux on x86-64 and Python up to 3.13):")
        say(f"{', '.join(name for name in wanted if name in HARNESSES)} run in `make test` only, without its guidance")
    failed = False
    for name in wanted:
        if name in HARNESSES and not has_atheris:
            continue
        started = monotonic()
        if name in HARNESSES:
            count, report = guided(name, options.seconds, findings)
        else:
            count, report = everywhere[name](options.seconds, findings)
        if not count and not report:
            report = "nothing was executed"
        spent = monotonic() - started
        say(f"{name:11} {count:9} executions in {spent:4.0f} s, {'FOUND something' if report else 'nothing found'}")
        if report:
            failed = True
            (findings / f"{name}.txt").write_text(report)
            say(report)
    if failed:
        sys.exit(f"the inputs are in {findings}")
    if not any(findings.iterdir()):
        findings.rmdir()


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
