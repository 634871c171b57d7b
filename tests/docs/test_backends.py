"""The page on the APIs behind the gateway: its file is one, and is what the page says of it."""

import os
import subprocess
from pathlib import Path

from gateway.config.credential import KINDS
from gateway.config.lending import bound
from gateway.config.load import load
from gateway.config.records import form
from gateway.vocab.messages import CallerKind
from tests.docs.test_readme import GATEWAY, pattern
from tests.gateways import ROOT, environment

PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")


def written(folder: Path) -> tuple[Path, dict[str, str]]:
    """Write the page's file, and return what its variables are."""
    file = folder / "gateway.yaml"
    file.write_text(PAGE.partition("```yaml\n")[2].partition("```")[0])
    urls = {f"{name}_URL": f"http://{name.lower()}.example" for name in ("SHOP", "ORDERS", "STOCK")}
    return file, environment(folder, "http://127.0.0.1:9", SHOP_SECRET="canary-a", ORDERS_KEY="canary-b", **urls)


def test_its_command_prints_what_it_says(tmp_path: Path) -> None:
    """Each route with where it leads."""
    _, environ = written(tmp_path)
    commands, expected = PAGE.partition("```sh\n")[2].partition("```\n```text\n")[::2]
    environ["PATH"] = f"{Path(GATEWAY).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-eu"], input=commands, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert pattern(expected.partition("```")[0]).fullmatch(done.stdout.strip()), done.stdout


def test_what_carries_what_is_so(tmp_path: Path) -> None:
    """Of the file's routes: those that are bound to the customer, and the others."""
    file, environ = written(tmp_path)
    config = load(file, environ)
    customers = {route.name: route.access.customer for route in config.routes}
    is_bound = {
        name: access is not None
        and "GET" in bound(CallerKind.CUSTOMER, access, form(config.records, None), of_guests=False)
        for name, access in customers.items()
    }
    assert is_bound == {"products": False, "order": True, "parcels": True}
    assert list(config.apis) == ["shop", "orders", "stock"]


def test_every_kind_is_named() -> None:
    """In the order of the manual."""
    assert [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 3][
        1:
    ] == [*KINDS]
