"""The store is down: nobody logs in, everybody who is logged in goes on, and it heals by itself."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.demo.data import APRIL, DEMO_PASSWORDS, LESLIE, RON, RON_ID
from tests.gateways import Site
from tests.tokens.accounts import ANN, OTHER, asked, change, register, store_of, token_of

OWN = f"/v2/customers/{RON_ID}"


@contextmanager
def broken(folder: Path) -> Iterator[None]:
    """Take the database away and put a folder in its place, as a volume does that was mounted wrong."""
    kept = folder / "kept"
    kept.mkdir()
    files = sorted(folder.glob("store.db*"))
    assert files
    for file in files:
        file.rename(kept / file.name)
    (folder / "store.db").mkdir()
    try:
        yield
    finally:
        (folder / "store.db").rmdir()
        for file in folder.glob("store.db*"):
            file.unlink()
        for file in files:
            shutil.move(kept / file.name, file)


async def ready(site: Site) -> tuple[int, Any]:
    """Ask the admin port whether the gateway is ready."""
    async with site.session.get(f"{site.admin_url}/ready") as response:
        return response.status, await response.json()


async def test_store_that_is_closed(site: Site) -> None:
    """Without a store logins, registrations and changes are 503 with Retry-After, and nothing is half done."""
    token = await token_of(site, RON.email, DEMO_PASSWORDS[RON.email])
    await site.token(LESLIE.email)
    await store_of(site).close()
    site.commerce.forget()
    for email, password in ((RON.email, DEMO_PASSWORDS[RON.email]), (RON.email, "wrong"), ("no@x.example", "wrong")):
        answer = await site.login(email, password)
        assert (answer.status, answer.code) == (503, "STORE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    for answer in (
        await register(site),
        await register(site, password=None),
        await change(site, token, RON_ID, password=OTHER),
        await change(site, token, RON_ID, password=OTHER, name="Duke Silver"),
        await change(site, token, RON_ID, email="duke@silver.example"),
        await site.customer(LESLIE.email, "DELETE", f"/v2/customers/{LESLIE.id}"),
    ):
        assert (answer.status, answer.code) == (503, "STORE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    # No record changed: at most look-ups went upstream.
    assert {method for method, _ in asked(site)} <= {"GET"}
    await store_of(site).open()
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    assert (await register(site, ANN)).status == 201


async def test_customers_who_are_logged_in_go_on(site: Site) -> None:
    """Issued tokens keep working on own orders and the own record; only replies about others need the store."""
    await site.token(RON.email)
    await store_of(site).close()
    for target in ("/v2/orders", "/v2/orders?include=customer,items", OWN, "/v2/customers", f"{OWN}/addresses"):
        answer = await site.customer(RON.email, "GET", target)
        assert answer.status == 200, target
    own = await site.customer(RON.email, "GET", OWN)
    assert own.json()["data"]["password"] is True
    renamed = await site.customer(RON.email, "PUT", OWN, json={"data": {"type": "customer", "name": "Ron"}})
    assert renamed.status == 200
    assert (await site.public("GET", "/v2/products")).status == 200
    assert (await site.trusted("GET", "/v2/orders")).status == 200
    everybody = await site.trusted("GET", "/v2/customers")
    assert (everybody.status, everybody.code) == (503, "STORE_UNAVAILABLE")


async def test_readiness_names_the_store(site: Site) -> None:
    """While the store is down /ready stays 200, for all replicas have the same one, and says that it is the store."""
    assert (await ready(site))[0] == 200
    await store_of(site).close()
    status, document = await ready(site)
    assert status == 200
    good = {"credential": True, "revocations": True, "not_draining": True}
    assert document["conditions"] == {**good, "store": False}
    assert document["degraded"] == {"store": "SQLite: the store is not open"}
    await store_of(site).open()
    status, document = await ready(site)
    assert (status, document["conditions"]) == (200, {**good, "store": True})


async def test_file_that_goes_away_and_comes_back(site: Site, tmp_path: Path) -> None:
    """When the file of the store is replaced by something else it is noticed; all is well once it is opened anew."""
    await site.token(APRIL.email)
    with broken(tmp_path):
        # Connections that are open still reach the file, wherever it is now: only readiness tells.
        status, document = await ready(site)
        assert (status, document["conditions"]["store"]) == (200, False)
        assert "taken away" in document["degraded"]["store"] or "replaced" in document["degraded"]["store"]
        assert (await register(site, ANN)).code == "STORE_UNAVAILABLE"
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
        await store_of(site).close()
        status, document = await ready(site)
        assert (status, document["conditions"]["store"]) == (200, False)
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "STORE_UNAVAILABLE"
        assert (await site.customer(APRIL.email, "GET", "/v2/orders")).status == 200
        assert (await site.customer(APRIL.email, "GET", f"/v2/customers/{APRIL.id}")).status == 200
    await store_of(site).open()
    assert (await ready(site))[0] == 200
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


async def test_failure_is_told_without_secrets(site: Site) -> None:
    """A reply about a broken store holds neither its place nor what SQL said."""
    await store_of(site).close()
    answer = await site.login(RON.email, "canary-wrong-password")
    text = json.dumps(answer.json())
    assert "sqlite" not in text.lower()
    assert "store.db" not in text
