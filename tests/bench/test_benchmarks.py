"""The benchmarks: what they send is what the results page says, and what one place names the others name too."""

import re
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from itertools import pairwise

import pytest

from bench.load import Ask
from bench.openloop import traced
from bench.report import NAMES
from tests.gateways import ROOT

TRACE = re.compile(rb"\r\ntraceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-01\r\n")
HEAD = b"GET /v2/orders HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def test_each_head_of_an_open_loop_has_a_trace_of_its_own() -> None:
    """Heads differ in a well-formed traceparent, and in nothing else."""
    heads = [traced(HEAD) for _ in range(100)]
    traces = {found[1] for head in heads if (found := TRACE.search(head)) is not None}
    assert len(traces) == 100
    assert {TRACE.sub(b"\r\n", head) for head in heads} == {HEAD}


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: make bench-peers")
def test_each_head_that_wrk_sends_has_a_trace_of_its_own() -> None:
    """So does each of wrk's, whose NUMBER goes on in the target and the body."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            # wrk tries whether it can connect first.
            listening.accept()[0].close()
            connection, _ = listening.accept()
            # It ends when its time is over, whatever is under way.
            with connection, suppress(ConnectionError):
                while data := connection.recv(65536):
                    requests.append(data)
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        ask = Ask("/v2/orders/NUMBER", {"Authorization": "Bearer x"}, 1, 0, method="POST", body='{"is":"NUMBER"}')
        command = ask.command(listening.getsockname()[1], 1)
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own load
        answering.join(10)
    traces = [found[1] for request in requests if (found := TRACE.search(request)) is not None]
    assert len(set(traces)) == len(requests) >= 3
    targets = [re.findall(rb"/v2/orders/(\d\d) HTTP|\"is\":\"(\d\d)\"", request) for request in requests]
    numbers = [int(target[0][0]) for target in targets]
    assert numbers == [int(target[1][1]) for target in targets]
    assert all(late == (early + 1) % 100 for early, late in pairwise(numbers))
    assert all(b"\r\nContent-Length: 11\r\n" in request for request in requests)


def test_every_benchmark_is_run_and_reported() -> None:
    """What `make bench-all` runs is what the results page has room for, and tells of."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^BENCHES := (.+)$", makefile, re.MULTILINE)
    assert found is not None
    assert sorted(found[1].split()) == sorted(NAMES)
    page = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    for name in set(NAMES) - {"scoped"}:
        assert f"| `make bench-{name}` |" in page, name
