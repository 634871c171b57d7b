"""A package registry on loopback (PEP 503): it serves the wheels that the set-up kept, and fails as real ones do."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name

# The longest that a held answer waits for its release; the test that holds it has failed long before.
_HELD_SECONDS = 60


class Registry:
    """What was asked for, and what is to go wrong."""

    def __init__(self, wheels: Path) -> None:
        self._wheels = wheels
        self.url = ""
        self.asked: list[str] = []
        # Packages whose file is another one than the page says.
        self.forged: set[str] = set()
        # A package whose page does not come until `release` is set; `holding` says that one waits for it.
        self.held = ""
        self.holding = threading.Event()
        self.release = threading.Event()

    def answer(self, path: str) -> bytes:
        """Return the page of a package, or the file that a page led to."""
        page = re.fullmatch(r"/simple/([^/]+)/", path)
        if page is None:
            file = self._wheels / path.rpartition("/")[2]
            return file.read_bytes() + (b"more" if _package(file.name) in self.forged else b"")
        self.asked.append(page[1])
        if page[1] == self.held:
            self.holding.set()
            self.release.wait(_HELD_SECONDS)
        links = [
            f'<a href="/files/{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">{file.name}</a>'
            for file in self._wheels.iterdir()
            if _package(file.name) == page[1]
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()


def _package(file: str) -> str:
    return canonicalize_name(file.partition("-")[0])


@contextmanager
def serve(registry: Registry) -> Iterator[None]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer one request."""
            body = registry.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Whoever is interrupted does not wait for an answer.
            with suppress(ConnectionError):
                self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.url = f"http://127.0.0.1:{server.server_port}/simple/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            registry.release.set()
            server.shutdown()
            thread.join()
