"""`make bench-login`: logins with good passwords as fast as they are answered, beside what argon2 alone allows.

Argon2id with the configuration's defaults; each login is also a look-up at the API, a query of the store and a signed
token. Four clients, so that the one thread that computes passwords always has work and none is refused; they are a
hundred customers in turn, and the throttle is set so that it stops nobody. The gateway, with its hashing thread, has
core 0 for itself, as argon2 alone has; the upstream and wrk share core 1.
"""

import asyncio
import json
import statistics
import subprocess
import sys

from bench.command import parser, settings
from bench.load import Ask, full_load, print_loads
from bench.machine import PARTY_CORE, ROOT, need
from bench.parties import stage
from bench.passwords import PASSWORD, keep_passwords
from bench.scorecard import Scorecard

CUSTOMERS = 100
CLIENTS = 4
BUCKET = "{burst: 1000000, per_minute: 1000000}"
CONFIG = f"customers: {{throttle: {{account: {BUCKET}, address: {BUCKET}}}}}\n"


def main() -> None:
    """Measure and print."""
    command = parser("login", __doc__, rounds=5, seconds=4)
    options = command.parse_args()
    need("wrk", "taskset")
    card = Scorecard("login", settings(command, options))
    data = {"type": "token", "email": "customer-NUMBER@bench.example", "password": PASSWORD}
    alone: list[float] = []
    with stage() as on:
        ids = [f"customer-{number:02d}" for number in range(CUSTOMERS)]
        asyncio.run(keep_passwords(on.env["GATEWAY_STORE_URL"], ids))
        headers = {"Authorization": on.headers["Authorization"], "Content-Type": "application/json"}
        path, body = "/v2/customers/tokens", json.dumps({"data": data})
        ask = Ask(path, headers, connections=CLIENTS, method="POST", body=body)
        gateway = on.gateway(config=CONFIG)
        full_load(gateway.port, ask, 1)
        loads = []
        for _ in range(options.rounds):
            alone.append(argon2_alone(options.seconds))
            loads.append(full_load(gateway.port, ask, options.seconds))
    print(f"{options.rounds} rounds of {options.seconds} s, medians; {CLIENTS} clients")
    print_loads({"logins": loads})
    print(f"argon2 alone: {statistics.median(alone):.1f} verifications/s ({min(alone):.1f} to {max(alone):.1f})")
    card.show("logins a second", statistics.median(load.requests for load in loads))
    for which in ("50", "99"):
        card.show(f"p{which} of a login", statistics.median(load.latency[which] for load in loads), unit=" ms")
    card.show(
        "logins a second : argon2 alone",
        statistics.median(load.requests / most for load, most in zip(loads, alone, strict=True)),
    )
    card.close()


def argon2_alone(seconds: float) -> float:
    """Return the verifications a second of one thread that has the gateway's core for itself."""
    command = ["taskset", "-c", str(PARTY_CORE), sys.executable, "-m", "bench.passwords", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


if __name__ == "__main__":
    main()
