"""`make bench-report`: writes the last figures of all benchmarks into bench/RESULTS.md, and bench/results.svg."""

import json
from typing import Any

from bench.machine import ROOT
from bench.picture import picture
from bench.scorecard import RESULTS

NAMES = (
    "scoped", "post", "parent", "instructions", "workers", "catalogue", "latency", "login", "logins", "idle", "stream",
    "routes", "start", "stability", "shares", "reload", "logouts",
)  # fmt: skip
PAGE = ROOT / "bench" / "RESULTS.md"
PICTURE = ROOT / "bench" / "results.svg"
BEGIN, END = "<!-- figures, written by `make bench-report` -->\n", "<!-- end of figures -->\n"


def main() -> None:
    """Write both."""
    runs = {name: _runs(name) for name in NAMES}
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(runs)}{END}{after}")
    throughput = _figures(runs["scoped"]).get("requests/s", {})
    latency = _figures(runs["latency"])
    if throughput and latency:
        PICTURE.write_text(picture(throughput, latency, runs["scoped"][0]["machine"]))


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return the wanted figures beside what was found, as Markdown."""
    rows = ["| benchmark | figure | found | wanted | | others |", "|---|---|---|---|---|---|"]
    machines: list[str] = []
    for name, found in runs.items():
        for run in found:
            if run["machine"] not in machines:
                machines.append(run["machine"])
            how = f"{name} ({run['settings']})" if run["settings"] else name
            for line in run["lines"]:
                value = f"{line['value']:.3g}" if abs(line["value"]) < 1000 else f"{line['value']:.0f}"  # noqa: PLR2004
                verdict = ("met" if line["met"] else "**missed**") if line["wanted"] else ""
                found_value = f"{value}{line['unit']} | {line['wanted']} | {verdict} | {run['others']:.0%}"
                rows.append(f"| {how} | {line['what']} | {found_value} |")
    return "\n".join([*machines, "", *rows, ""])


def _runs(name: str) -> list[dict[str, Any]]:
    """Return what is kept of a benchmark: first the run as it usually is, then those with options."""
    files = sorted(RESULTS.glob(f"{name}-*.json"))
    return [json.loads(file.read_text()) for file in [RESULTS / f"{name}.json", *files] if file.exists()]


def _figures(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {} if not runs or runs[0]["settings"] else dict(runs[0]["figures"])


if __name__ == "__main__":
    main()
