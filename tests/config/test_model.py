"""What single values a routing file may hold; nothing opens by default."""

from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from gateway.config.apiside import Upstream
from gateway.config.clientside import CorsOptions
from gateway.config.credential import ClientCredentials
from gateway.config.customers import Customers
from gateway.config.load import models_in
from gateway.config.model import Access, Config, Route, Rules
from gateway.config.texts import Closed
from gateway.guard.core import GuardOptions
from gateway.guard.rules.owner import Owner
from gateway.guard.rules.redact import Redact
from gateway.scope.core import RuleOptions
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.path_owner import PathOwner
from tests.config.writing import minimal


def sections() -> list[type[BaseModel]]:
    """Return every model of a routing file."""
    found: list[type[BaseModel]] = [Config]
    for model in found:
        for field in model.model_fields.values():
            found.extend(inner for inner in models_in(field.annotation) if inner not in found)
    return found


@pytest.mark.parametrize("model", sections(), ids=lambda model: str(model.__name__))
def test_every_section_is_closed_and_told(model: type[BaseModel]) -> None:
    """Unknown keys are faults, values are frozen, and each key has the description that is the manual."""
    assert issubclass(model, Closed | RuleOptions | GuardOptions)
    assert model.model_config.get("extra") == "forbid"
    assert model.model_config.get("frozen") is True
    assert model.__doc__
    assert all(field.description for field in model.model_fields.values())


def test_nothing_is_open_by_default() -> None:
    """A minimal file requires bearers, keeps cookies and origins out, and has no insecure switch on."""
    config = Config.model_validate(minimal())
    assert config.clients.require
    assert config.cors.origins == ()
    assert config.upstream.forward_headers == ()
    assert not config.insecure_literal_secrets
    assert not config.insecure_ephemeral_key
    (route,) = config.routes
    assert not route.set_cookie
    assert route.query == ()
    assert route.passwords is None
    assert (route.access.customer, route.access.trusted) == (None, None)


def test_dangerous_switches_are_named_insecure() -> None:
    """Every flag that would open something says so in its name."""
    flags = {name for name, field in Config.model_fields.items() if field.annotation is bool}
    assert flags == {"insecure_literal_secrets", "insecure_ephemeral_key"}


def test_secrets_are_not_shown() -> None:
    """Neither the repr nor a dump nor a validation error of a configuration shows a secret."""
    config = Config.model_validate(minimal(log={"customer_key": "hunter2"}))
    assert "hunter2" not in repr(config) + str(config.model_dump()) + config.model_dump_json()
    assert isinstance(config.upstream.credential, ClientCredentials)
    assert isinstance(config.upstream.credential.client_secret, SecretStr)
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(minimal(log={"customer_key": ["hunter2"]}, tokens="hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://up.example", "http://up.example"),
        ("https://up.example:8443/api/", "https://up.example:8443/api"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_url_loses_its_trailing_slash(written: str, read: str) -> None:
    """Paths are added to it."""
    assert Upstream(url=written, credential=minimal()["upstream"]["credential"]).url == read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "up",
        "//up",
        "ftp://up",
        "http://",
        "http://u:p@up",
        "http://up?x",
        "http://up#x",
        "http://up/a b",
        "http://up\n",
    ],
)
def test_a_url_names_a_host_and_nothing_secret(url: str) -> None:
    """No user, query or fragment: they would be lost or leak."""
    with pytest.raises(ValidationError, match="a URL is http:// or https://"):
        Upstream(url=url, credential=minimal()["upstream"]["credential"])


@pytest.mark.parametrize("origin", ["*", "https://shop.example", "http://localhost:3000"])
def test_an_origin_is_one_host_or_any(origin: str) -> None:
    """As browsers write it."""
    assert CorsOptions(origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize(
    "origin", ["", "shop.example", "https://shop.example/", "https://*.example", "null", "https://a b"]
)
def test_an_origin_with_a_path_or_pattern_is_none(origin: str) -> None:
    """What no browser sends would never match."""
    with pytest.raises(ValidationError):
        CorsOptions(origins=(origin,))


def test_header_names_are_kept_in_lower_case() -> None:
    """D2.3: they are compared that way."""
    given = minimal()["upstream"] | {"forward_headers": ["X-Own"]}
    assert Upstream.model_validate(given).forward_headers == ("x-own",)
    with pytest.raises(ValidationError, match="letters, digits and hyphens"):
        Upstream.model_validate(given | {"forward_headers": ["X_Own"]})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("open", "open", id="open"),
        pytest.param({"guard": [{"owner": {"pointer": "/id"}}]}, Rules, id="rules"),
    ],
)
def test_access_is_open_or_has_rules(written: Any, expected: Any) -> None:
    """One word, or keys."""
    access = TypeAdapter[Any](Access).validate_python(written)
    assert access == expected or isinstance(access, expected)


@pytest.mark.parametrize("written", ["opne", "", "Open", "closed", True, None, 1, ["open"], {"open": True}])
def test_nothing_else_is_access(written: Any) -> None:
    """A misspelled `open` opens nothing."""
    with pytest.raises(ValidationError):
        TypeAdapter[Any](Access).validate_python(written)


def test_an_id_pattern_is_a_regular_expression() -> None:
    """It is compiled when the file is read, not when a token comes."""
    assert Customers(id_pattern="[0-9]+").id_pattern == "[0-9]+"
    with pytest.raises(ValidationError, match="not a regular expression: unterminated character set"):
        Customers(id_pattern="[")


def test_rules_keep_their_order() -> None:
    """Each list item is one rule of its list."""
    rules = Rules.model_validate(
        {
            "scope": [{"path_owner": {}}, {"filter": {"field": "id"}}],
            "guard": [{"owner": {"pointer": "/id"}}, {"redact": {"pointers": ["/note"]}}],
        }
    )
    assert rules.scope_rules == (PathOwner(), Filter(field="id"))
    assert rules.guard_rules == (Owner(pointer="/id"), Redact(pointers=("/note",)))


@pytest.mark.parametrize(
    "item", [{}, {"path_owner": {}, "filter": {"field": "id"}}, {"path_owner": None}, {"owner": {"pointer": "/id"}}]
)
def test_a_list_item_is_exactly_one_rule_of_its_list(item: dict[str, Any]) -> None:
    """None, two, null, or a guard among the scoping rules: a fault."""
    with pytest.raises(ValidationError):
        Rules.model_validate({"scope": [item]})


@pytest.mark.parametrize("method", ["get", "HEAD", "OPTIONS", "CONNECT", "TRACE", "*", ""])
def test_a_route_names_methods_that_it_can_carry(method: str) -> None:
    """HEAD follows GET, preflights are the gateway's, and nothing is tunnelled."""
    with pytest.raises(ValidationError):
        Route.model_validate(minimal()["routes"][0] | {"methods": [method]})


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate",
        "Content-Length", "Content-Encoding", "Set-Cookie", "Set-Cookie2", "WWW-Authenticate",
        "Access-Control-Allow-Origin", "Server", "X-Request-Id", "Cache-Control", "Vary", "Date",
        "Accept-Ranges", "Content-MD5", "X_Own", "",
    ],
)  # fmt: skip
def test_what_the_gateway_says_itself_is_no_answer_header(name: str) -> None:
    """Framing, cookies, challenges and CORS are never passed on from a judged answer."""
    route = minimal()["routes"][0]
    assert Route.model_validate({**route, "answer_headers": ["X-Rate", "ETag"]}).answer_headers == ("x-rate", "etag")
    with pytest.raises(ValidationError):
        Route.model_validate({**route, "answer_headers": [name]})
