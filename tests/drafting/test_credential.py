"""The gateway's credential at an API, as the document's security schemes have it: which one is taken, and as what."""

from typing import Any

import pytest
import yaml

from gateway.drafting.credential import credential
from gateway.drafting.schema import Document
from gateway.drafting.text import written
from tests.drafting.drafts import of

URL = "https://api.shop.example/v1"
BEARER = {"type": "http", "scheme": "bearer"}
KEY = {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "sid"}


def said(schemes: dict[str, Any], *asked: dict[str, list[str]], url: str = URL, **more: Any) -> tuple[Any, list[str]]:
    """Return what stands under `credential` for these schemes, and the comments above it."""
    paths = {f"/a{n}": {"get": {"security": [one]}} for n, one in enumerate(asked)} or {"/a": {"get": {}}}
    document: dict[str, Any] = {"servers": [{"url": url}], "components": {"securitySchemes": schemes}, **more}
    file = written(of(paths, **document), "x")
    made = credential(Document({"paths": paths, **document}), url)
    assert all(f"  # {told[:150]}" in file for told in made.told)
    return yaml.safe_load(file)["upstream"]["credential"], [*made.told]


def grant(token_url: str, **scopes: str) -> dict[str, Any]:
    """Return a scheme with the grant of a server."""
    return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": token_url, "scopes": scopes}}}


OWN = {"client_id": "${env:UPSTREAM_CLIENT_ID}", "client_secret": "${env:UPSTREAM_CLIENT_SECRET}"}
KINDS = [
    pytest.param(BEARER, {"kind": "bearer", "token_file": "${env:UPSTREAM_TOKEN_FILE}"}, id="bearer"),
    pytest.param(
        {"type": "http", "scheme": "Basic"},
        {"kind": "basic", "user": "${env:UPSTREAM_USER}", "password": "${env:UPSTREAM_PASSWORD}"},
        id="basic",
    ),
    pytest.param(KEY, {"kind": "header", "name": "X-Api-Key", "value": "${env:UPSTREAM_API_KEY}"}, id="a key"),
    pytest.param(
        {**KEY, "name": "Authorization", "description": 'Token-based, with required prefix "Token"'},
        {"kind": "header", "value": "Token ${env:UPSTREAM_API_KEY}"},
        id="a key behind a word",
    ),
    pytest.param(
        {**KEY, "name": "Authorization"}, {"kind": "header", "value": "${env:UPSTREAM_API_KEY}"}, id="a whole header"
    ),
    pytest.param(
        grant(f"{URL}/oauth/token", read="all", write="all"),
        {"kind": "client_credentials", **OWN, "path": "/oauth/token", "scope": "read write"},
        id="a grant",
    ),
    pytest.param(grant("o/token/"), {"kind": "client_credentials", **OWN, "path": "/o/token/"}, id="relative"),
    *(
        pytest.param(grant(url), {"kind": "client_credentials", **OWN, "url": url}, id=url)
        for url in ("https://auth.shop.example/token/", "https://api.shop.example/oauth/token")
    ),
]


@pytest.mark.parametrize(("scheme", "expected"), KINDS)
def test_each_kind_is_written_with_places_alone(scheme: dict[str, Any], expected: dict[str, str]) -> None:
    """Each secret is a variable; beside it stands which scheme it is, and who asks for it."""
    made, told = said({"own": scheme}, {"own": []})
    assert made == expected
    assert told[0].startswith("Guessed: the document's own (")
    assert told[0].endswith(", asked for by 1 of 1 operations.")


UNFIT = [
    pytest.param(COOKIE, "a key in the cookie is never sent", id="a cookie"),
    pytest.param({**KEY, "in": "query"}, "a key in the query is never sent", id="a query"),
    pytest.param({**KEY, "name": "Content-Type"}, "cannot carry a credential", id="another header"),
    pytest.param({**KEY, "name": "a b\nc"}, "the header a b c cannot carry a credential", id="no header"),
    pytest.param({"type": "http", "scheme": "digest"}, "does not speak http digest", id="digest"),
    pytest.param(grant("http://api.shop.example/v1/token"), "without TLS", id="a grant without TLS"),
    pytest.param(grant("https://us:pw@auth.shop.example/token"), "that can be asked", id="a grant with a password"),
    pytest.param(grant("https://auth.shop.example"), "that can be asked", id="a grant at a host"),
    pytest.param(grant("https://api.shop.example/v1/token?x=1 2"), "", id="a grant with a query"),
    pytest.param(grant("https://[/v1"), "is no address", id="no address"),
    pytest.param(grant(""), "it names no token endpoint", id="a grant nowhere"),
    pytest.param(grant(URL + "/"), "has no path that can be asked", id="a grant at the API itself"),
    pytest.param({"type": "oauth2", "flows": {"password": {}}}, "for people, by their password", id="passwords"),
    pytest.param({"type": "oauth2", "flow": "accessCode"}, "for people who sign in", id="for people"),
    pytest.param({"type": "oauth2"}, "no grant of a server's", id="no flow"),
    pytest.param({"type": "openIdConnect"}, "stands in another document", id="discovery"),
    pytest.param({"type": "mutualTLS"}, "upstream.tls", id="a certificate"),
    pytest.param({}, "does not speak", id="nothing"),
]


@pytest.mark.parametrize(("scheme", "says"), UNFIT)
def test_what_cannot_be_shown_is_told(scheme: dict[str, Any], says: str) -> None:
    """In a comment, with the reason; the file says none, and something that fits is taken before it."""
    if says:
        made, told = said({"odd": scheme}, {"odd": []})
        assert made == {"kind": "none"}
        assert told[0].startswith("The gateway can show none of the credentials")
        assert any(one.startswith("Not possible: odd: ") and says in one for one in told)
    made, told = said({"odd": scheme, "own": BEARER}, {"odd": [], "own": []})
    assert made["kind"] in {"bearer", "client_credentials"}


def test_what_most_operations_ask_for_is_taken() -> None:
    """The others are named; of equals the first is taken; without any word the first of the list."""
    schemes = {"cookie": COOKIE, "bearer": BEARER, "key": KEY}
    made, told = said(schemes, {"bearer": []}, {"key": []}, {"key": []}, {"cookie": []})
    assert made["kind"] == "header"
    assert told[0] == "Guessed: the document's key (apiKey in header X-Api-Key), asked for by 2 of 4 operations."
    assert "Another way: bearer (http bearer)." in told
    assert said(schemes, {"key": []}, {"bearer": []})[0]["kind"] == "bearer"
    made, told = said(schemes)
    assert (made["kind"], told[0]) == ("bearer", "Guessed: the document's bearer (http bearer).")


def test_what_the_document_asks_for_counts_where_an_operation_says_nothing() -> None:
    """And an empty list is a word: nothing is asked for there."""
    paths = {"/a": {"get": {}, "post": {"security": []}}, "/b": {"get": {"security": [{"bearer": []}]}}}
    document = {
        "paths": paths,
        "security": [{"key": []}],
        "components": {"securitySchemes": {"bearer": BEARER, "key": KEY}},
    }
    told = credential(Document(document), URL).told
    assert told[0] == "Guessed: the document's bearer (http bearer), asked for by 1 of 3 operations."


def test_two_at_once_are_told_of() -> None:
    """Only one is sent."""
    told = said({"bearer": BEARER, "key": KEY}, {"bearer": [], "key": []})[1]
    assert "Some operations ask for bearer together with key: only one is sent." in told


def test_scopes_are_those_that_operations_ask_for() -> None:
    """Not all that there are; one with a place for a value is left to the reader."""
    scheme = grant(f"{URL}/token", read="", write="", admin="")
    assert said({"own": scheme}, {"own": ["read"]}, {"own": ["write", "read"]})[0]["scope"] == "read write"
    made, told = said({"own": scheme}, {"own": ["view_orders:{projectKey}"]})
    assert "scope" not in made
    assert any("view_orders:{projectKey}" in one for one in told)


def test_an_api_without_an_address() -> None:
    """An address of the token endpoint is one all the same, and a path is one below whatever the API's will be."""
    for url in ("", "/api"):
        assert said({"own": grant("https://auth.shop.example/token")}, url=url)[0]["url"].endswith(".example/token")
        assert said({"own": grant("token")}, url=url)[0]["path"] == "/token"
    assert "is not below /api" in said({"own": grant("/token")}, url="/api")[1][1]


def test_swagger() -> None:
    """Its definitions say the same otherwise."""
    for scheme, kind in (
        ({"type": "basic"}, "basic"),
        (
            {"type": "oauth2", "flow": "application", "tokenUrl": f"{URL}/token", "scopes": {"a": ""}},
            "client_credentials",
        ),
        ({"type": "oauth2", "flow": "accessCode", "tokenUrl": f"{URL}/token"}, "none"),
        (KEY, "header"),
    ):
        made = credential(Document({"swagger": "2.0", "securityDefinitions": {"own": scheme}, "paths": {}}), URL)
        assert (made.settings[0].text, made.is_found) == (kind, kind != "none")


def test_a_document_without_schemes() -> None:
    """None is sent, and the reader is told where the kinds are."""
    made, told = said({})
    assert made == {"kind": "none"}
    assert told == [
        "The document names no credential. If the API wants one, write which: docs/backends.md lists the kinds."
    ]


@pytest.mark.parametrize("odd", [None, [], "x", {"own": None}, {"own": "x"}, {"own": {"type": ["http"], "flows": []}}])
def test_odd_schemes_are_no_failure(odd: Any) -> None:
    """What is no scheme gives no credential."""
    made = credential(
        Document({"components": {"securitySchemes": odd}, "security": ["x", {"own": "y"}], "paths": []}), URL
    )
    assert not made.is_found


def test_a_hostile_scheme_stays_a_comment() -> None:
    """Its name, its description and its address break out of no line, and begin no interpolation."""
    evil = 'x"\n  - ${env:HOME} prefix "Token'
    for scheme in (
        {**KEY, "name": evil},
        {**KEY, "name": "Authorization", "description": evil},
        grant(evil, **{evil: ""}),
    ):
        made, _ = said({evil: scheme}, {evil: [evil]})
        assert set(made) <= {"kind", "value", "client_id", "client_secret", "path", "scope"}
        assert "HOME" not in str({name: value for name, value in made.items() if "$${" not in value})
