"""`make bench-deciders`: microseconds per request that deciding costs, stage by stage, and the guard's judging.

The request is a scoped list of orders as a browser asks for it, decided with config/moltin.yaml as it is and with 2,000
routes; its tokens are in the cache of verified ones. The answers are lists of orders of 2 KB and 66 KB. Exits with 1
where a wanted figure is missed. --instructions counts instructions instead (perf, else valgrind): figures that do not
depend on what else the machine does. They are differences to a run that decides nothing, so no start-up is in them.
"""

import argparse
import gc
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import UNSET, structs

from bench.upstream import CUSTOMER, order
from gateway.authentication import authenticate
from gateway.authn.key import Algorithm, generate
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.decision import Admission, Snapshot, admit, plan
from gateway.guard import core as guard
from gateway.guard.members import judged_members
from gateway.routing import Match, RouteTable
from gateway.vocab.messages import Answer, Caller, CallerKind, Checked, Json, Plan, Request, Session, Target, Trace
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import Shown
from gateway.vocab.refusals import Refusal
from gateway.wire import body as wire_body
from gateway.wire import headers as wire_headers
from gateway.wire import target as wire_target

CONFIG = Path(__file__).parent.parent / "config" / "moltin.yaml"
STOREFRONT = "bench-storefront"
UPSTREAM = "https://api.commerce.example"
MANY_ROUTES = 2000
TARGET = "/v2/orders?filter=eq(status,complete)&page[limit]=25&sort=-created_at"
# What deciding may take of a request, which has some 60 microseconds for everything.
WANTED_PLAN = 25.0
# By the number of orders: lists of 2 KB and 66 KB as the upstream of the benchmarks writes them. With links to pages
# they are shown as well: making a link anew costs 5 us, and a list has up to five different ones.
WANTED_GUARD = {3: 15.0, 100: 300.0}
# Counted runs are slow under valgrind; a loop of this length is long enough to be told from its start.
COUNTED_LOOP = 2000

Decide = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured together: the whole, its stages, and the microseconds wanted for the whole, if any are."""

    name: str
    whole: Decide
    stages: dict[str, Decide]
    wanted: float | None


def compiled() -> Snapshot:
    """Return the snapshot of config/moltin.yaml."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        key = Path(folder) / "key.jwk"
        key.write_text(generate(Algorithm.EDDSA))
        config = load(
            CONFIG,
            {
                "UPSTREAM_URL": UPSTREAM,
                "UPSTREAM_CLIENT_ID": "bench",
                "UPSTREAM_CLIENT_SECRET": "bench",
                "GATEWAY_SIGNING_KEY_FILE": str(key),
                "GATEWAY_PUBLIC_URL": "https://shop.example",
                "STOREFRONT_CLIENT_ID": STOREFRONT,
                "TRUSTED_CLIENT_ID": "bench-trusted",
                "TRUSTED_CLIENT_SECRET": "bench",
            },
        )
        return snapshot(config, key_ring(config))


def with_many_routes(few: Snapshot) -> Snapshot:
    """Return the same snapshot with routes beside and below those it has."""
    routes = few.routes.routes
    templates = ("/v2/things-{}", "/v2/orders/{{oid}}/things-{}", "/v2/things-{}/{{id}}", "/things-{}/{{rest...}}")
    more = [
        replace(routes[number % len(routes)], name=f"thing-{number}", path=templates[number % 4].format(number))
        for number in range(MANY_ROUTES - len(routes))
    ]
    return structs.replace(few, routes=RouteTable([*more, *routes]))


def browsers_request(made: Snapshot) -> Request:
    """Return the request of a customer's browser, with the header lines that Chrome sends."""
    now = time.time()  # noqa: TID251 - a benchmark has no clock given to it
    bearer, _ = made.callers.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now, 3600)
    token, _, _ = made.callers.customers.mint(Session(CUSTOMER, 1, 0, 2), now, 3600)
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
    headers = (
        ("host", "shop.example"),
        ("connection", "keep-alive"),
        ("sec-ch-ua-platform", '"Linux"'),
        ("authorization", f"Bearer {bearer}"),
        ("user-agent", agent),
        ("accept", "application/json, text/plain, */*"),
        ("sec-ch-ua", '"Not)A;Brand";v="8", "Chromium";v="138", "Google Chrome";v="138"'),
        ("x-moltin-customer-token", token),
        ("sec-ch-ua-mobile", "?0"),
        ("origin", "https://www.shop.example"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "cors"),
        ("referer", "https://www.shop.example/"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-US,en;q=0.9"),
    )
    return Request("0123456789abcdef", "GET", TARGET, headers, "203.0.113.7", now + 1)


def decided(made: Snapshot, request: Request) -> tuple[Admission, Plan]:
    """Return what the deciders say of the request; it must be yes."""
    admission = admit(made, request, Trace())
    if isinstance(admission, Refusal):
        sys.exit(f"the request was refused: {admission}")
    planned = plan(made, request, admission, None)
    if isinstance(planned, Refusal):
        sys.exit(f"the request was refused: {planned}")
    return admission, planned


def planning(made: Snapshot, request: Request) -> Case:
    """Return the way from a parsed head to the plan."""
    admission, planned = decided(made, request)
    target, whose = admission.target, admission.whose
    draft = Draft(target, target.query)

    def whole() -> Plan | Refusal:
        admitted = admit(made, request, Trace())
        return admitted if isinstance(admitted, Refusal) else plan(made, request, admitted, None)

    def match() -> Match | Refusal:
        return made.routes.match("GET", target.segments)

    def parse() -> Target | Refusal:
        return wire_target.parse(request.target)

    def authenticated() -> Caller | Refusal:
        return authenticate(made.callers, request)

    return Case(
        f"to the plan, {len(made.routes.routes)} routes",
        whole,
        {
            "1 target": parse,
            "2 match": match,
            "3 authenticate": authenticated,
            "1-3 admit": lambda: admit(made, request, Trace()),
            "4 rules": lambda: [rule.apply(draft, whose) for rule in admission.access.scope],
            "4 headers": lambda: wire_headers.for_upstream(request.headers, made.api(admission.route).forwarded),
            "4 plan": lambda: plan(made, request, admission, None),
            "6 spell the target": lambda: wire_target.serialise(planned.path, planned.query),
        },
        WANTED_PLAN,
    )


def answer(orders: int, planned: Plan, *, paged: bool) -> bytes:
    """Return a list of orders as the API writes it: counts, and links that repeat the request it got."""
    link = f"{UPSTREAM}{wire_target.serialise(planned.path, planned.query)}&page[offset]=0"
    listed = {
        "data": [order(number) for number in range(orders)],
        "links": {"current": link, "first": link, "last": link, "next": None, "prev": None} if paged else {},
        "meta": {
            "page": {"current": 1, "limit": 25, "offset": 0, "total": 1},
            "results": {"total": orders, "all": orders},
        },
    }
    return json.dumps(listed, separators=(",", ":")).encode()


def guarding(made: Snapshot, request: Request, orders: int, *, paged: bool) -> Case:
    """Return the way of an answer from bytes to bytes."""
    admission, planned = decided(made, request)
    route, access, whose = admission.route, admission.access, admission.whose
    body = answer(orders, planned, paged=paged)
    headers = (
        ("content-type", "application/json; charset=utf-8"),
        ("date", "Wed, 01 Jul 2026 09:30:00 GMT"),
        ("server", "nginx"),
        ("x-request-id", "0123456789abcdef"),
        ("content-length", str(len(body))),
    )
    received = Answer(200, headers, body)

    def judge() -> Checked | Refusal:
        return guard.judge(route, access, planned, whose, received, made.api(route).links)

    def whole() -> bytes:
        judged = judge()
        return b"" if isinstance(judged, Refusal) else wire_body.encode(judged.document)

    def read_head() -> object:
        is_json = wire_headers.is_json(wire_headers.first(headers, "content-type"))
        return is_json, wire_body.inflate(body, wire_headers.first(headers, "content-encoding"), route.answer_limit)

    judged = judge()
    if isinstance(judged, Refusal):
        sys.exit(f"the answer was refused: {judged}")
    rewritten = made.api(route).links.rewrite(body)
    document: Json = json.loads(rewritten)
    listed = Shown(document["data"], is_list=True, form=route.form, included=document.get("included", UNSET))
    allowed = route.query or frozenset()
    public_url = made.api(route).links.public_url
    return Case(
        f"guard, {orders} orders{' with page links' if paged else ''}, {len(body) / 1000:.1f} kB",
        whole,
        {
            "content type, inflate": read_head,
            "rewrite links": lambda: made.api(route).links.rewrite(body),
            "parse": lambda: wire_body.parse_answer(rewritten),
            "rules": lambda: [rule.inspect(listed, whose, planned) for rule in access.guards],
            "counts and links": lambda: judged_members(document, listed, planned, allowed, public_url),
            "judge": judge,
            "encode": lambda: wire_body.encode(judged.document),
        },
        None if paged else WANTED_GUARD[orders],
    )


def cases() -> list[Case]:
    """Return everything that is measured."""
    few = compiled()
    many = with_many_routes(few)
    request = browsers_request(few)
    return [
        planning(few, request),
        planning(many, request),
        *(guarding(few, request, orders, paged=paged) for orders in WANTED_GUARD for paged in (False, True)),
    ]


def calls_for(timer: timeit.Timer) -> int:
    """Return how many calls are long for a clock, and short between two interruptions."""
    calls = 1
    while timer.timeit(calls) < 0.002:  # noqa: PLR2004 - seconds
        calls *= 2
    return calls


def report_times(rounds: int) -> bool:
    """Print the median time of each stage; return whether every wanted figure was reached."""
    measured = cases()
    decisions = [decide for case in measured for decide in (*case.stages.values(), case.whole)]
    # Deciding never waits: the processor's time is all of it, and leaves out what other processes take.
    timers = [timeit.Timer(decide, timer=time.process_time) for decide in decisions]
    calls = [calls_for(timer) for timer in timers]
    # All in turns: what else the machine does for a moment then meets a few samples of each, not all samples of one.
    times = [[timer.timeit(n) / n for timer, n in zip(timers, calls, strict=True)] for _ in range(rounds)]
    medians = iter(statistics.median(column) * 1e6 for column in zip(*times, strict=True))
    reached = True
    for case in measured:
        print(case.name)
        for name in case.stages:
            print(f"  {name:24} {next(medians):8.2f} us")
        taken = next(medians)
        wanted = "" if case.wanted is None else f" (wanted: at most {case.wanted:.0f})"
        print(f"  {'all':24} {taken:8.2f} us{wanted}")
        reached = reached and (case.wanted is None or taken <= case.wanted)
    return reached


def decide_often(name: str, times: int) -> None:
    """Decide one case so often, as the process whose instructions are counted."""
    chosen = cases()
    gc.disable()
    # The start-up of all cases is in every count, and is taken off as one.
    for case in chosen:
        for _ in range(10):
            case.whole()
    for case in chosen:
        if case.name == name:
            for _ in range(times):
                case.whole()


def counter() -> Callable[[list[str]], int] | str:
    """Return what counts the instructions of a command, or why nothing does."""
    for tool, count in (("perf", by_perf), ("valgrind", by_valgrind)):
        if shutil.which(tool) is not None:
            try:
                count([sys.executable, "-c", "pass"])
            except (subprocess.CalledProcessError, ValueError):
                continue
            return count
    return "no instructions counted: neither perf (it may be forbidden here) nor valgrind works"


def by_perf(command: list[str]) -> int:
    """Count with the processor's own counter, in user space."""
    done = run(["perf", "stat", "-x", ",", "-e", "instructions:u", *command])
    return int(done.stderr.strip().splitlines()[-1].partition(",")[0])


def by_valgrind(command: list[str]) -> int:
    """Count in valgrind's simulated processor."""
    done = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command])
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise ValueError(done.stderr)
    return int(found[1])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in which dictionaries are laid out alike each time."""
    env = os.environ | {"PYTHONHASHSEED": "0"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env)


def report_instructions() -> None:
    """Print the instructions of each case."""
    count = counter()
    if isinstance(count, str):
        print(count)
        return
    started = count(deciding("", 0))
    for case in cases():
        counted = (count(deciding(case.name, COUNTED_LOOP)) - started) / COUNTED_LOOP
        print(f"{case.name:28} {counted:10,.0f} instructions ({count.__name__.removeprefix('by_')})")


def deciding(name: str, times: int) -> list[str]:
    """Return the command that decides a case so often."""
    return [sys.executable, "-m", "bench.deciders", "--decide", name, "--times", str(times)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=101, help="each measures all; the medians count")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead of time")
    parser.add_argument("--decide", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.decide is not None:
        decide_often(options.decide, options.times)
    elif options.instructions:
        report_instructions()
    elif not report_times(options.rounds):
        sys.exit(1)


if __name__ == "__main__":
    main()
