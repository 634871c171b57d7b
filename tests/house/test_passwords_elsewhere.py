"""Passwords of customers whom the upstream has at another path than clients know: kept, read back, changed, gone."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commerce import Commerce, Recorded
from tests.gateways import Answer, Site
from tests.gateways import site as run_site

ANN, BEA = "ann@perkins.example", "bea@perkins.example"
PASSWORD, OTHER = "canary-password-of-ann", "canary-password-of-bea"
CONFIG = """\
extends: moltin.yaml
public_url: ""
records: {preset: PRESET}
customers: {path: PLACE, read_back: 500ms, dialect: DIALECT, filter_field: email}
routes:
  - name: register
    path: /v2/customers
    methods: [POST]
    upstream_path: PLACE
    passwords: register
    access: {public: &fields {scope: [{body_fields: {allow: [name, email, password]}}]}}
  - name: profile
    path: /v2/customers/{id}
    methods: [GET]
    upstream_path: RECORD
    passwords: show
    access: {customer: &own {scope: [{path_owner: {parameter: id}}], guard: [{owner: {pointer: /id}}]}, trusted: open}
  - name: change
    path: /v2/customers/{id}
    methods: [PATCH]
    upstream_path: RECORD
    passwords: change
    access:
      customer:
        scope: [{path_owner: {parameter: id}}, EXTRA{body_fields: {allow: [name, email, password]}}]
        guard: [{owner: {pointer: /id}}]
  - name: remove
    path: /v2/customers/{id}
    methods: [DELETE]
    upstream_path: RECORD
    passwords: forget
    access: {trusted: open}
"""
SLASHES = (
    CONFIG.replace("PRESET", "drf")
    .replace("PLACE", "/api/users/")
    .replace("RECORD", "/api/users/{id}/")
    .replace("DIALECT", "query")
    .replace("EXTRA", "")
)
FILTERS = (
    CONFIG.replace("PRESET", "postgrest")
    .replace("PLACE", "/people")
    .replace("RECORD", '"/people?id=eq.{id}"')
    .replace("DIALECT", "postgrest")
    .replace("EXTRA", "{filter: {field: owner}}, ")
)


def is_creation(request: Recorded) -> bool:
    """Tell whether a request makes a user."""
    return request.method == "POST" and not request.is_grant


def reply(document: Any, status: str = "200 OK") -> bytes:
    """Return an answer in JSON."""
    body = json.dumps(document).encode()
    lines = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return lines.encode() + body


class Users(Commerce):
    """An API with users: at `/api/users/{id}/`, or as rows of a table `/people` that filters pick out."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, dict[str, Any]] = {}
        self.script(lambda request: request.path.startswith("/api/users"), self.by_path)
        self.script(lambda request: request.path == "/people", self.by_filter)

    def add(self, email: str) -> dict[str, Any]:
        """Make a user, as everybody may who reaches the API itself."""
        ident = len(self.users) + 7
        own = {"id": ident, "owner": ident, "url": f"{self.url}/api/users/{ident}/"}
        self.users[ident] = {**own, "email": email, "name": ""}
        return self.users[ident]

    def by_path(self, request: Recorded) -> bytes:
        """Answer as Django REST framework does."""
        if request.path == "/api/users/":
            if request.method == "POST":
                sent = json.loads(request.body)
                return reply(self.add(sent["email"]) | {"name": sent["name"]}, "201 Created")
            found = [one for one in self.users.values() if one["email"] == dict(request.query)["email"]]
            return reply({"count": len(found), "next": None, "previous": None, "results": found})
        ident = int(request.path.rstrip("/").rpartition("/")[2])
        if not request.path.endswith("/") or ident not in self.users:
            return reply({}, "404 Not Found")
        if request.method == "DELETE":
            del self.users[ident]
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if request.method == "PATCH":
            self.users[ident] |= json.loads(request.body)
        return reply(self.users[ident])

    def by_filter(self, request: Recorded) -> bytes:
        """Answer as PostgREST does: with an array, whatever is asked."""
        if request.method == "POST":
            sent = json.loads(request.body)
            return reply([self.add(sent["email"]) | {"name": sent["name"]}], "201 Created")
        asked = dict(request.query)
        assert len(asked) == len(request.query)
        found = [
            one
            for one in self.users.values()
            if all(f"eq.{one[name]}" == value for name, value in asked.items() if name in one)
        ]
        if request.method == "PATCH":
            for one in found:
                one.update(json.loads(request.body))
        return reply(found)


@pytest.fixture
async def users() -> AsyncIterator[Users]:
    """Give the API."""
    async with Users() as api:
        yield api


@pytest.fixture(name="site", params=[pytest.param(SLASHES, id="by paths"), pytest.param(FILTERS, id="by filters")])
async def _site(users: Users, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with run_site(
        users, tmp_path, config=request.param, passwords=False,
        UPSTREAM_CLIENT_ID=users.shop.client_id, UPSTREAM_CLIENT_SECRET=users.shop.client_secret,
    ) as running:  # fmt: skip
        yield running


def is_by_path(site: Site) -> bool:
    """Tell which of the two this is."""
    return site.config.customers.path == "/api/users"


async def register(site: Site, email: str = ANN, password: str = PASSWORD) -> Answer:
    """Register a customer."""
    return await site.public("POST", "/v2/customers", json={"name": "Ann", "email": email, "password": password})


async def own(site: Site, method: str, target: str, **options: Any) -> Answer:
    """Ask as Ann."""
    token = (await site.login(ANN, PASSWORD)).json()["data"]["token"]
    return await site.public(method, target, {"X-Moltin-Customer-Token": token}, **options)


def asked(site: Site) -> list[str]:
    """Return what the upstream was asked for."""
    return [f"{request.method} {request.target}" for request in site.commerce.requests]


async def test_a_registration_is_made_and_read_back_where_the_customers_are(site: Site) -> None:
    """By the path that the file says, and it says to the client that there is a password."""
    made = await register(site)
    assert (made.status, shown(made)["password"]) == (201, True)
    own_place = "/api/users/7/" if is_by_path(site) else "/people?id=eq.7"
    assert asked(site)[-2:] == [f"POST {own_place.partition('7/')[0].partition('?')[0]}", f"GET {own_place}"]
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == "7"
    assert (await register(site, password=OTHER)).code == "EMAIL_TAKEN"


def shown(answer: Answer) -> dict[str, Any]:
    """Return the one record of a reply."""
    document: Any = answer.json()
    record: dict[str, Any] = document[0] if isinstance(document, list) else document
    return record


async def test_a_registration_that_broke_off_is_finished_by_its_repeat(site: Site, users: Users) -> None:
    """The record is read at the upstream's path, never at the client's, and not at that of a creation."""

    def half(request: Recorded) -> bytes:
        users.add(json.loads(request.body)["email"])["name"] = "Ann"
        return b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"

    users.script(is_creation, half, times=1, close=True)
    assert (await register(site)).status >= 500
    users.all_requests.clear()
    again = await register(site)
    assert (again.status, shown(again)["id"], len(users.users)) == (201, 7, 1)
    assert asked(site)[-1] == ("GET /api/users/7/" if is_by_path(site) else "GET /people?id=eq.7")
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_a_creation_that_shows_nobody_is_looked_for(site: Site, users: Users) -> None:
    """By the e-mail, then by the id."""

    def silently(request: Recorded) -> bytes:
        users.add(json.loads(request.body)["email"])["name"] = "Ann"
        return b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"

    users.script(is_creation, silently)
    made = await register(site)
    assert (made.status, shown(made)["id"]) == (201, 7)
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_a_profile_shows_that_there_is_a_password(site: Site) -> None:
    """Its path there is that of the customers, whatever clients call it; links in it are theirs."""
    await register(site)
    answer = await own(site, "GET", "/v2/customers/7")
    assert (answer.status, shown(answer)["password"]) == (200, True)
    if is_by_path(site):
        assert shown(answer)["url"] == "/v2/customers/7"


async def test_nobody_else_is_shown(site: Site) -> None:
    """Nor changed."""
    await register(site)
    await register(site, BEA, OTHER)
    for method, options in (("GET", {}), ("PATCH", {"json": {"password": PASSWORD, "current_password": PASSWORD}})):
        assert (await own(site, method, "/v2/customers/8", **options)).status == 404
    assert (await site.login(BEA, OTHER)).status == 201


async def test_a_password_is_changed_without_a_write(site: Site, users: Users) -> None:
    """What the upstream is asked for instead is the record, where it has it, by one filter at the most."""
    await register(site)
    users.all_requests.clear()
    changed = await own(site, "PATCH", "/v2/customers/7", json={"password": OTHER, "current_password": PASSWORD})
    assert changed.status == 200
    assert not any(request.method == "PATCH" for request in users.requests)
    assert asked(site)[-1] == ("GET /api/users/7/" if is_by_path(site) else "GET /people?id=eq.7")
    assert [(await site.login(ANN, one)).status for one in (PASSWORD, OTHER)] == [404, 201]


async def test_a_name_is_changed_where_the_record_is(site: Site, users: Users) -> None:
    """And a change that is answered with nothing is read once more, there."""
    await register(site)
    changed = await own(site, "PATCH", "/v2/customers/7", json={"name": "Annie"})
    assert (changed.status, shown(changed)["name"]) == (200, "Annie")
    users.script(lambda request: request.method == "PATCH", b"HTTP/1.1 204 No Content\r\n\r\n")
    both = {"name": "A", "password": OTHER, "current_password": PASSWORD}
    assert (await own(site, "PATCH", "/v2/customers/7", json=both)).status == 200
    assert asked(site)[-1].startswith("GET /api/users/7/" if is_by_path(site) else "GET /people?id=eq.7")
    assert (await site.login(ANN, OTHER)).status == 201


async def test_log_outs_and_resets_stand_below_the_path_that_clients_know(site: Site) -> None:
    """The upstream's own path is none of the gateway's."""
    await register(site)
    token = (await site.login(ANN, PASSWORD)).json()["data"]["token"]
    assert (await site.trusted("DELETE", "/v2/customers/7/tokens")).status == 204
    gone = await site.public("GET", "/v2/customers/7", {"X-Moltin-Customer-Token": token})
    assert gone.status == 403
    asked_for = await site.trusted("POST", "/v2/customers/password-resets", json={"data": {"email": ANN}})
    assert asked_for.status < 300
    for path in ("/api/users/7/tokens", "/people/7/tokens"):
        assert (await site.trusted("DELETE", path)).status == 404


async def test_a_deletion_takes_the_password_along(site: Site, users: Users) -> None:
    """Somebody who gets the e-mail later does not get it."""
    await register(site)
    if not is_by_path(site):
        users.script(
            lambda request: request.method == "DELETE", lambda _: reply([users.users.pop(7)] if users.users else [])
        )
    assert (await site.trusted("DELETE", "/v2/customers/7")).status < 300
    users.users[7] = {"id": 7, "email": ANN, "name": "Ann"}
    assert (await site.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
