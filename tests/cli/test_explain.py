"""`gateway explain`: what would be done with a request, without doing it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.demo.data import LESLIE_ID, RON_ID
from gateway.vocab.policy import JWKS_PATH
from tests.gateways import MOLTIN
from tests.starting import SCRIPT

Run = Callable[..., Result]


def _explain(run: Run, *arguments: str) -> Any:
    result = run("explain", "--config", MOLTIN, "--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return json.loads(result.stdout)


def test_a_scoped_request(run: Run) -> None:
    """The plan of a customer's list: the route, its rules in order, the query before and after, and the others."""
    said = _explain(run, "--as", "customer", "--customer", RON_ID, "GET", "/v2/orders?filter=eq(status,paid)&sort=id")
    assert (said["route"], said["caller"], said["refusal"]) == ("orders-list", "customer", None)
    assert [rule["rule"] for rule in said["rules"]] == ["filter", "owner"]
    assert said["before"]["query"] == "filter=eq(status,paid)&sort=id"
    assert said["after"]["query"] == f"filter=eq(customer_id,{RON_ID}):eq(status,paid)&sort=id"
    assert said["after"]["headers"].pop("via").startswith("1.1 customer-token-gateway-")
    assert said["after"]["headers"] == {"authorization": "Bearer <server credential>"}
    assert said["other_routes"]["order"].startswith("/v2/orders/{oid} has more segments")
    assert "orders-list" not in said["other_routes"]


def test_an_open_target_is_shown_as_it_leaves(run: Run) -> None:
    """The spelling of the client, where no rule applies; an absolute form is shown without the gateway's name."""
    said = _explain(run, "--as", "public", "GET", "/v2/products?q=a+b&c")
    assert (said["after"]["path"], said["after"]["query"]) == ("/v2/products", "q=a+b&c")
    said = _explain(run, "--as", "public", "-H", "Host: a.example", "GET", "http://a.example/v2/products/%61?q=%2B")
    assert (said["after"]["path"], said["after"]["query"]) == ("/v2/products/%61", "q=%2B")


def test_numbers_are_shown_as_they_leave(run: Run) -> None:
    """No digit of a body is rounded on the way to the screen."""
    body = (
        '{"data":{"type":"customer","amount":10000000000000000.01,"big":12345678901234567890,"e":1e2,"name":"\u00fc"}}'
    )
    arguments = ("explain", "--config", MOLTIN, "--as", "trusted", "--data", body, "POST", "/v2/customers")
    for form in (("--json",), ("--curl",), ()):
        shown = run(*arguments, *form)
        assert shown.exit_code == 0, shown.output
        for number in ("10000000000000000.01", "12345678901234567890", "1e2"):
            assert number in shown.stdout


def test_customer_alone_means_a_customer(run: Run) -> None:
    """--customer without --as asks as that customer; a foreign path is refused as it would be."""
    said = _explain(run, "--customer", RON_ID, "GET", f"/v2/customers/{LESLIE_ID}")
    assert (said["caller"], said["after"]) == ("customer", None)
    assert said["refusal"].startswith("404 RECORD_NOT_FOUND")


@pytest.mark.parametrize(
    ("caller", "method", "target", "refusal"),
    [
        ("public", "GET", "/v2/orders", "403 ACCESS_DENIED"),
        ("trusted", "GET", "/v2/nothing", "404 ROUTE_UNKNOWN"),
        ("trusted", "PATCH", "/v2/orders", "405 METHOD_NOT_ALLOWED"),
        ("trusted", "GET", "/v2//orders", "400 TARGET_AMBIGUOUS"),
        ("trusted", "GET", "/v2/orders%2F1", "400 TARGET_AMBIGUOUS"),
        ("trusted", "GET", "", "400 TARGET_INVALID"),
        (None, "GET", "/v2/orders", "401 BEARER_MISSING"),
    ],
)
def test_a_refusal_is_explained(run: Run, caller: str | None, method: str, target: str, refusal: str) -> None:
    """A request that would be refused is answered with code and reason, and nothing goes upstream; exit 0."""
    said = _explain(run, *(["--as", caller] if caller else []), method, target)
    assert said["refusal"].startswith(f"{refusal}: ")
    assert said["after"] is None
    # Who has no token is told how to ask as somebody who has one.
    assert bool(said["notes"]) == (caller is None)


def test_a_trusted_caller_is_not_narrowed(run: Run) -> None:
    """--as trusted shows the request passing as it is."""
    said = _explain(run, "--as", "trusted", "GET", "/v2/orders?filter=eq(status,paid)")
    assert (said["rules"], said["after"]["query"]) == ([], "filter=eq(status,paid)")


def test_a_parent_is_named(run: Run) -> None:
    """What would be looked up before the request is named."""
    said = _explain(run, "--customer", RON_ID, "GET", "/v2/orders/123/items")
    assert said["looked_up_first"] == ["/v2/orders/123"]


@pytest.mark.parametrize(
    ("method", "target", "data", "waits"),
    [
        ("GET", "/v2/orders", None, ["the store, once the answer is there"]),
        ("HEAD", "/v2/orders", None, ["the store, once the answer is there"]),
        ("DELETE", "/v2/carts/abc", None, []),
        ("HEAD", "/v2/products", None, []),
        ("POST", "/v2/carts/abc/items", "{}", []),
        ("POST", "/v2/carts/abc/items", None, []),
        ("GET", f"/v2/customers/{RON_ID}", None, ["the store, once the answer is there"]),
        ("DELETE", f"/v2/customers/{RON_ID}", None, ["the store, and a password's computation"]),
        ("GET", "/v2/orders/123/items", None, ["the record /v2/orders/123"]),
    ],
)
def test_what_is_awaited_is_named(run: Run, method: str, target: str, data: str | None, waits: list[str]) -> None:
    """Which records are looked up, and whether passwords are, before a request goes on; mostly nothing."""
    said = _explain(run, "--customer", RON_ID, method, target, *(["--data", data] if data else []))
    assert (said["refusal"], said["waits_for"]) == (None, waits)


def test_a_body_is_shown_before_and_after(run: Run) -> None:
    """--data shows what is stamped into the body."""
    data = json.dumps({"data": {"billing_address": {}, "shipping_address": {}}})
    said = _explain(run, "--customer", RON_ID, "POST", "/v2/carts/abc/checkout", "--data", data)
    assert "customer" not in said["before"]["body"]["data"]
    assert said["after"]["body"]["data"]["customer"]["id"] == RON_ID


@pytest.mark.parametrize("data", ["not json", '{"a":1,"a":2}', "[]", "\udcff", '{"a":'])
def test_a_body_that_is_no_json_object(run: Run, data: str) -> None:
    """--data that is not one JSON object is explained as the refusal it would be, whatever its bytes."""
    said = _explain(run, "--as", "public", "POST", "/v2/customers", "--data", data)
    assert said["refusal"].startswith("400 BODY_MALFORMED")


def test_headers_pass_or_do_not(run: Run) -> None:
    """-H gives headers; those on the list go upstream, the others do not."""
    lines = ["-H", "Accept-Language: de", "-H", "X-Forwarded-For: 1.2.3.4", "-H", "X-Moltin-Currency: EUR"]
    said = _explain(run, "--as", "public", "GET", "/v2/products", *lines)
    assert set(said["before"]["headers"]) == {"accept-language", "x-forwarded-for", "x-moltin-currency"}
    assert said["after"]["headers"]["x-moltin-currency"] == "EUR"
    assert "x-forwarded-for" not in said["after"]["headers"]


@pytest.mark.parametrize("form", [[], ["--json"], ["--curl"]])
def test_secrets_are_masked(run: Run, form: list[str]) -> None:
    """No form of the answer repeats a password, a token or a cookie of the request, nor a secret of the gateway."""
    data = {"type": "customer", "name": "A", "email": "a@b.example", "password": "canary-password"}
    result = run(
        "explain", "--config", MOLTIN, *form, "--as", "public", "POST", "/v2/customers",
        "--data", json.dumps({"data": data}), "-H", "Cookie: canary-cookie", "-H", "Proxy-Authorization: canary-proxy",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "canary" not in result.output
    refused = run(
        "explain", "--config", MOLTIN, "GET", "/v2/orders",
        "-H", "Authorization: Bearer canary-bearer", "-H", "X-Moltin-Customer-Token: canary-token",
    )  # fmt: skip
    assert refused.exit_code == 0
    assert "canary" not in refused.output
    assert "401 BEARER_INVALID" in refused.output


def test_curl(run: Run) -> None:
    """--curl prints one command a shell reads as the upstream request, with variables for what is not shown."""
    data = json.dumps({"data": {"type": "customer", "name": "O'Hara $HOME", "email": "o@h.example"}})
    result = run("explain", "--config", MOLTIN, "--curl", "--as", "public", "POST", "/v2/customers", "--data", data)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    shell = f'curl() {{ for word in "$@"; do printf "%s\\n" "$word"; done; }}; {result.stdout}'
    environ = {"UPSTREAM_URL": "https://api.example", "UPSTREAM_TOKEN": "t", "HOME": "wrong"}
    # The command is what is tested here.
    words = subprocess.run(["/bin/sh", "-c", shell], env=environ, capture_output=True, text=True, check=True)  # noqa: S603
    lines = words.stdout.splitlines()
    assert lines[:5] == ["-X", "POST", "https://api.example/v2/customers", "-H", "Authorization: Bearer t"]
    assert lines[-2] == "--data"
    assert json.loads(lines[-1]) == json.loads(data)


def test_curl_of_a_refusal(run: Run) -> None:
    """--curl of a request that does not go upstream has no command to print: one line with the reason instead."""
    for target, reason in (("/v2/orders", "403 ACCESS_DENIED"), (JWKS_PATH, "the gateway answers this itself")):
        result = run("explain", MOLTIN, "--curl", "--as", "public", "GET", target)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(f"nothing would go upstream: {reason}")


@pytest.mark.parametrize("form", [[], ["--json"], ["--curl"]])
@pytest.mark.parametrize(
    ("target", "code"), [("/v2/orders", 1), ("/nothing", 1), ("//", 1), ("/v2/products", 0), (JWKS_PATH, 0)]
)
def test_fail_is_for_scripts(run: Run, form: list[str], target: str, code: int) -> None:
    """With --fail a request that would be refused is exit 1, and says as much as without; any other is exit 0."""
    arguments = ("explain", MOLTIN, "--as", "public", *form, "GET", target)
    without, with_it = run(*arguments), run(*arguments, "--fail")
    assert (without.exit_code, with_it.exit_code) == (0, code)
    assert with_it.output == without.output


def test_the_file_stands_first(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """`explain FILE METHOD TARGET`, `--config FILE` and ./gateway.yaml say the same."""
    said = run("explain", MOLTIN, "GET", "/v2/orders")
    assert said.exit_code == 0
    assert run("explain", "--config", MOLTIN, "GET", "/v2/orders").stdout == said.stdout
    assert run("explain", "GET", "/v2/orders", "--config", MOLTIN).stdout == said.stdout
    assert run("explain", MOLTIN, "--config", MOLTIN, "GET", "/v2/orders").stdout == said.stdout
    (tmp_path / "gateway.yaml").write_text(f"extends: {MOLTIN}\n")
    done = subprocess.run(  # noqa: S603
        [SCRIPT, "explain", "GET", "/v2/orders"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == said.stdout


def test_text_is_shown_as_it_is(run: Run) -> None:
    """Brackets, colons and bytes of a request are no markup for the terminal: they are shown, and break nothing."""
    result = run(
        "explain", "--config", MOLTIN, "--as", "public", "GET", "/v2/products?page[limit]=5&a=[/b]&c=:smile:",
        "-H", "X-A: [red]x", "-H", "X-B: [/]",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    for text in ("page[limit]=5&a=[/b]&c=:smile:", "[red]x", "[/]"):
        assert text in result.stdout


def test_nothing_is_sent_or_opened(environ: dict[str, str]) -> None:
    """`explain` opens no socket, asks no resolver and no store: it runs where all of them are forbidden."""
    program = (
        "import sys\n"
        "def deny(event, arguments):\n"
        "    if event.startswith(('socket.', 'sqlite3.', 'subprocess.')) and event != 'socket.gethostname':\n"
        "        raise RuntimeError(event)\n"
        "from gateway.__main__ import main\n"
        "sys.addaudithook(deny)\n"
        "main()\n"
    )
    arguments = ["explain", "--config", str(MOLTIN), "--customer", RON_ID, "GET", "/v2/orders/1/items"]
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")
    assert "goes upstream" in done.stdout
    assert not Path(environ["GATEWAY_STORE_URL"].removeprefix("sqlite:///")).exists()


LIST = "/v2/orders?page[limit]=2"
OWNED = {"id": "o1", "relationships": {"customer": {"data": {"type": "customer", "id": RON_ID}}}}
FOREIGN = {"id": "o2", "relationships": {"customer": {"data": {"type": "customer", "id": LESLIE_ID}}}}
HEAD = "HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\ncontent-type: application/json\r\nx-secret: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("saved", "verdict", "counted", "why"),
    [
        pytest.param({"data": [OWNED]}, "leaves", None, "200", id="an own record"),
        pytest.param(
            {"data": [OWNED, FOREIGN]}, "withheld", "violation", "a list holds a foreign record", id="foreign"
        ),
        pytest.param({"results": [OWNED]}, "withheld", "unfit", "no array of records at /data", id="another envelope"),
        pytest.param("<html>", "withheld", "unfit", "not JSON", id="no JSON"),
        pytest.param(HEAD + json.dumps({"data": []}), "leaves", None, "200", id="with its head, and one before it"),
        pytest.param("HTTP/1.1 500 No\r\na: b\r\n\r\n", "withheld", None, "upstream answered 500", id="an error"),
    ],
)
def test_a_saved_answer_is_judged(
    run: Run, tmp_path: Path, saved: object, verdict: str, counted: str | None, why: str
) -> None:
    """As the guard would, and it says what it counts as; nothing is asked of anybody."""
    path = tmp_path / "answer"
    path.write_text(saved if isinstance(saved, str) else json.dumps(saved), newline="")
    asked = ("--as", "customer", "--customer", RON_ID, "--answer", str(path), "GET", LIST)
    said = _explain(run, *asked)["answer"]
    assert (said["verdict"], said["counted_as"]) == (verdict, counted)
    assert why in said["why"]
    assert "x-secret" not in said.get("headers", {})
    shown = run("explain", "--config", MOLTIN, *asked, "--fail")
    assert shown.exit_code == (verdict == "withheld")
    assert verdict in shown.stdout


def test_what_nobody_judges_is_relayed(run: Run, tmp_path: Path) -> None:
    """An open route has nothing to say of an answer."""
    path = tmp_path / "answer"
    path.write_text("{}")
    said = _explain(run, "--as", "public", "--answer", str(path), "GET", "/v2/products")
    assert said["answer"]["verdict"] == "relayed"


def test_an_answer_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    """A usage error with its name."""
    result = run("explain", "--config", MOLTIN, "--answer", str(tmp_path / "none"), "GET", "/v2/products")
    assert result.exit_code == 2
    assert "cannot read" in result.stderr


def test_passwords_are_not_shown(run: Run) -> None:
    """What would go upstream is without the new and the current one, and what was typed is masked."""
    data = '{"data": {"type": "customer", "name": "R", "password": "canary-new", "current_password": "canary-old"}}'
    words = ("--customer", RON_ID, "--data", data, "PUT", f"/v2/customers/{RON_ID}")
    for form in ((), ("--json",), ("--curl",)):
        shown = run("explain", "--config", MOLTIN, *form, *words)
        assert (shown.exit_code, "canary-" in shown.output) == (0, False)
