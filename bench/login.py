"""`make bench-login`: logins with good passwords as fast as they are answered, beside what argon2 alone allows.

Argon2id with the configuration's defaults; each login is also a look-up at the API, a query of the store and a signed
token. Four clients, so that the one thread that computes passwords always has work and none is refused; they are a
hundred customers in turn, of a million who have a password, and the throttle is set so that it stops nobody. The store
is an SQLite file, and then a PostgreSQL database. The gateway, with its hashing thread, has core 0 for itself, as
argon2 alone has; the upstream, PostgreSQL and wrk share core 1.
"""

import asyncio
import json
import statistics
import subprocess
import sys

from bench.command import parser, settings
from bench.load import Ask, full_load, print_loads
from bench.machine import LOAD_CORE, PARTY_CORE, ROOT, need, stay_on
from bench.parties import Stage, stage
from bench.passwords import PASSWORD, fill, keep_passwords
from bench.scorecard import Scorecard
from tests.postgres import new_database, servers

CUSTOMERS = 100
CLIENTS = 4
BUCKET = "{burst: 1000000, per_minute: 1000000}"
WANTED = 0.9
CONFIG = f"customers: {{throttle: {{account: {BUCKET}, address: {BUCKET}}}}}\n"


def main() -> None:
    """Measure and print."""
    command = parser("login", __doc__, rounds=5, seconds=4, credentials=1_000_000)
    options = command.parse_args()
    need("wrk", "taskset")
    card = Scorecard("login", settings(command, options))
    stay_on(LOAD_CORE)
    with stage() as on, servers() as makes:
        urls = {"SQLite": on.env["GATEWAY_STORE_URL"], "PostgreSQL": asyncio.run(new_database(makes.server()))}
        for name, url in urls.items():
            asyncio.run(keep_passwords(url, [f"customer-{number:02d}" for number in range(CUSTOMERS)]))
            asyncio.run(fill(url, options.credentials - CUSTOMERS))
            on.env["GATEWAY_STORE_URL"] = url
            with on.apart() as apart:
                measure(card, name, apart, options.rounds, options.seconds)
    card.close()


def measure(card: Scorecard, name: str, on: Stage, rounds: int, seconds: int) -> None:
    """Measure logins with a store, in turns with argon2 alone."""
    data = {"type": "token", "email": "customer-NUMBER@bench.example", "password": PASSWORD}
    headers = {"Authorization": on.headers["Authorization"], "Content-Type": "application/json"}
    path, body = "/v2/customers/tokens", json.dumps({"data": data})
    ask = Ask(path, headers, connections=CLIENTS, method="POST", body=body)
    gateway = on.gateway(name, config=CONFIG)
    full_load(gateway.port, ask, 1)
    alone: list[float] = []
    loads = []
    for _ in range(rounds):
        alone.append(argon2_alone(seconds))
        loads.append(full_load(gateway.port, ask, seconds))
    print(f"{name}: {rounds} rounds of {seconds} s, medians; {CLIENTS} clients")
    print_loads({"logins": loads})
    print(f"argon2 alone: {statistics.median(alone):.1f} verifications/s ({min(alone):.1f} to {max(alone):.1f})")
    card.show(f"logins a second, {name}", statistics.median(load.requests for load in loads))
    for which in ("50", "99"):
        card.show(f"p{which} of a login, {name}", statistics.median(load.latency[which] for load in loads), unit=" ms")
    ratio = statistics.median(load.requests / most for load, most in zip(loads, alone, strict=True))
    card.want(f"logins a second : argon2 alone, {name}", ratio, least=WANTED)


def argon2_alone(seconds: float) -> float:
    """Return the verifications a second of one thread that has the gateway's core for itself."""
    command = ["taskset", "-c", str(PARTY_CORE), sys.executable, "-m", "bench.passwords", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


if __name__ == "__main__":
    main()
