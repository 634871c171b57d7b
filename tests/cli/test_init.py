"""`gateway init`: what it writes, what it prints, and what it leaves alone."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from gateway.config.credential import Header
from gateway.config.load import load
from tests.drafting.drafts import DOCUMENTS
from tests.gateways import MOLTIN

Run = Callable[..., Result]
PAGES = DOCUMENTS / "pages.yaml"


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """Serve on a free port; give its address and the targets that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sending(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_file_of_a_document(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """The file is written, has no fault, and what could not be guessed is told, with what `check` shows."""
    out = tmp_path / "made.yaml"
    result = run("init", "--openapi", PAGES, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "12 routes, no fault found" in result.stdout
    assert " 0 unproven" in result.stdout
    assert "trusted only: reviews-create: POST /api/reviews/: the body names no customer" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"{out}: 12 operations: 8 bound to the customer")
    assert last.endswith("4 for trusted callers only, 0 left out")
    assert len(load(out, environ).routes) == 12
    assert run("check", out).exit_code == 0


def test_what_credential_is_written(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """A file with the credential of the document loads with the variables that it names; one without any is told of."""
    result = run("init", "--openapi", DOCUMENTS / "office.yaml", "--out", tmp_path / "office.yaml")
    assert "not found: the gateway's credential" not in result.stdout
    made = load(tmp_path / "office.yaml", {**environ, "UPSTREAM_API_KEY": "canary-key"}).upstream.credential
    assert isinstance(made, Header)
    assert (made.name, made.value.get_secret_value()) == ("x-medusa-access-token", "canary-key")
    result = run("init", "--openapi", PAGES, "--out", tmp_path / "pages.yaml")
    assert "not found: the gateway's credential; write upstream.credential\n" in result.stdout
    assert load(tmp_path / "pages.yaml", environ).upstream.credential.kind == "none"


def test_it_needs_no_variable(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """A newcomer has set nothing yet: the file is checked all the same, and no key is left anywhere."""
    (tmp_path / "signing.jwk").unlink()
    result = run("init", "--preset", "rest", "--out", tmp_path / "made.yaml", **dict.fromkeys(environ))
    assert (result.exit_code, result.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["made.yaml"]


@pytest.mark.parametrize("preset", ["jsonapi", "rest", "drf", "postgrest"])
def test_a_file_of_a_preset(run: Run, tmp_path: Path, preset: str) -> None:
    """Each preset makes a file that has no fault."""
    assert run("init", "--preset", preset, "--out", tmp_path / "made.yaml").exit_code == 0
    assert run("check", tmp_path / "made.yaml").exit_code == 0


def test_the_production_file(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """The preset `moltin` makes the production file, which says the same where it lies."""
    out = tmp_path / "made.yaml"
    result = run("init", "--preset", "moltin", "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert yaml.safe_load(out.read_text()) == yaml.safe_load(MOLTIN.read_text())
    assert load(out, environ).routes == load(MOLTIN, environ).routes
    assert out.read_text().startswith("# The gateway in front of Moltin")
    assert "routes, no fault found" in result.stdout


def test_a_secret_of_a_url_is_not_shown(run: Run, tmp_path: Path) -> None:
    """A key in the query goes to its server and nowhere else; a password in the URL goes nowhere."""
    out = tmp_path / "made.yaml"
    with serving(sending(PAGES.read_bytes())) as (url, asked):
        result = run("init", "--openapi", f"{url}/schema?key=canary-key", "--out", out)
        assert asked == ["/schema?key=canary-key"]
        assert "canary" not in result.output + out.read_text()
        refused = run("init", "--openapi", url.replace("//", "//me:canary-word@"), "--out", tmp_path / "other.yaml")
    assert (refused.exit_code, len(asked)) == (1, 1)
    assert "canary" not in refused.output
    assert "a URL with a password in it is not fetched" in refused.stderr


def test_the_usual_name(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --out the file is called what `gateway check` looks for."""
    monkeypatch.chdir(tmp_path)
    assert run("init", "--preset", "drf").exit_code == 0
    assert run("check").exit_code == 0


@pytest.mark.parametrize("kind", ["file", "folder", "link", "nowhere"])
@pytest.mark.parametrize("source", [("--preset", "moltin"), ("--preset", "rest"), ("--openapi", PAGES)], ids=str)
def test_nothing_is_overwritten(run: Run, tmp_path: Path, kind: str, source: tuple[str, object]) -> None:
    """What is there stays as it is, a link to nowhere too: one line, exit 1."""
    out = tmp_path / "there"
    if kind == "file":
        out.write_text("precious")
    elif kind == "folder":
        out.mkdir()
    elif kind == "link":
        out.symlink_to(tmp_path / "elsewhere")
    else:
        out = tmp_path / "missing" / "file"
    result = run("init", *source, "--out", out)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert str(out) in result.stderr
    assert kind != "file" or out.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("openapi: 3.0.0\npaths: [", "it is broken YAML at line"),
        ("{", "it is broken JSON"),
        ("hello", "there are no keys in it"),
        ("openapi: 3.0.0\npaths: {}\n", "it lists no operation"),
        ("openapi: 3.0.0\npaths: {'/#Do': {post: {}}}\n", "no route can be made of it: POST /#Do: "),
        ("a: " + "x" * (16 * 1024 * 1024), "it is larger than 16 MiB"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{$ref: 'https://x.example/p.yaml'}]}}}", "another document"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1b'}, /b: {$ref: '#/paths/~1a'}}", "it is circular"),
        ("openapi: 3.0.0\npaths: &x {/a: *x}", "it is circular"),
    ],
    ids=lambda value: value[:12],
)
def test_unfit_documents(run: Run, tmp_path: Path, text: str, says: str) -> None:
    """A broken, huge, circular or scattered document is one line on standard error, and nothing is written."""
    source = tmp_path / "api.yaml"
    source.write_text(text)
    result = run("init", "--openapi", source, "--out", tmp_path / "made.yaml")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert result.stderr.startswith(f"{source}: ")
    assert says in result.stderr
    assert result.stderr.endswith("; nothing was written\n")
    assert not (tmp_path / "made.yaml").exists()


def test_a_document_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """So is a file that cannot be read."""
    result = run("init", "--openapi", tmp_path / "nothing.yaml", "--out", tmp_path / "made.yaml")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cannot be read: No such file" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--preset", "rest", "--openapi", "x"]], ids=str)
def test_one_source(run: Run, arguments: list[str]) -> None:
    """It is made of a document or of a preset: neither, or both, is a usage error."""
    result = run("init", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write --preset NAME or --openapi FILE|URL, one of them" in result.stderr


def test_a_url(run: Run, tmp_path: Path) -> None:
    """A document is fetched from the URL given, in one request, whatever proxies the environment names."""
    with serving(sending(PAGES.read_bytes())) as (url, asked):
        result = run("init", "--openapi", f"{url}/schema?format=yaml", "--out", tmp_path / "made.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert asked == ["/schema?format=yaml"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_url_that_answers_otherwise(run: Run, tmp_path: Path, status: int) -> None:
    """A redirect is not followed, an error is no document: one line, nothing written, nobody else asked."""
    with serving(sending(PAGES.read_bytes())) as (other, elsewhere):
        with serving(sending(b"", status, Location=f"{other}/x")) as (url, asked):
            result = run("init", "--openapi", f"{url}/", "--out", tmp_path / "made.yaml")
        assert elsewhere == []
    assert asked == ["/"]
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"the server answered {status}, and no other address is asked" in result.stderr
    assert not (tmp_path / "made.yaml").exists()


def test_a_remote_reference_is_not_fetched(run: Run, tmp_path: Path) -> None:
    """A document that refers to another one makes no request for it."""
    with serving(sending(b"{}")) as (other, elsewhere):
        text = f"openapi: 3.0.0\npaths: {{/a: {{get: {{responses: {{'200': {{$ref: '{other}/r.yaml'}}}}}}}}}}"
        with serving(sending(text.encode())) as (url, _):
            result = run("init", "--openapi", url, "--out", tmp_path / "made.yaml")
    assert result.exit_code == 1
    assert elsewhere == []


@pytest.mark.parametrize("kind", ["nobody", "no port", "no http", "endless", "broken"])
def test_urls_that_give_nothing(run: Run, tmp_path: Path, kind: str) -> None:
    """Nobody there, a URL that is none, an answer that never ends: one line each."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"#" * 65536 + b"\n")
        except OSError:
            handler.close_connection = True

    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"what?\r\n\r\n")

    with serving(endless if kind == "endless" else broken) as (served, _), socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = {
            "nobody": f"http://127.0.0.1:{free.getsockname()[1]}/",
            "no port": "http://127.0.0.1:port/",
            "no http": "https://a b/\r\nx",
        }.get(kind, served)
        result = run("init", "--openapi", url, "--out", tmp_path / "made.yaml")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), result.output
    assert not (tmp_path / "made.yaml").exists()
