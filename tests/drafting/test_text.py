"""Drafted files: what stands in them, in words for a newcomer, and nothing of a stranger that YAML would read."""

import re
from dataclasses import replace
from pathlib import Path

import yaml

from gateway.drafting.route import Drafted, Rule
from gateway.drafting.text import written
from tests.drafting.drafts import answers, drafted, file_of, of

TEXT = {"type": "string"}


def test_the_file_of_a_document(tmp_path: Path) -> None:
    """The file says what it was made of, and each route what was guessed, or why it is closed."""
    made = written(drafted("wrapped.yaml"), "wrapped.yaml")
    assert made.startswith("# Made by `gateway init` of wrapped.yaml: Wrapped.\n")
    assert "# Where the API is. The document says: https://api.wrapped.example\n" in made
    assert "  # Guessed: /customer_id is called like the records of /admin/customers.\n" in made
    assert "  # Trusted only: no member of the record is known to name its customer.\n" in made
    assert "# GET /store/orders/{id}.pdf: no path of a routing file" in made
    assert "- name: injected" not in re.sub(r"#.*", "", made)
    file, config, _ = file_of("wrapped.yaml", tmp_path)
    assert {route["name"] for route in file["routes"]} == {route.name for route in config.routes}


def test_what_a_reader_is_told() -> None:
    """Prefix, login, registration, and customers that were not found are told of where they belong."""
    assert "# Every path began with /{projectKey}: write its value" in written(drafted("actions.yaml"), "x")
    pages = written(drafted("pages.yaml"), "x")
    assert "# The document has a login (POST /api/login/)." in pages
    assert "  #   public: {scope: [body_fields: {allow: [name, email]}]}\n" in pages
    nobody = written(of({"/a": {"get": {}}}), "x")
    assert (
        "# Not found in the document: write the path of the API's collection of customers.\n  path: /customers"
        in nobody
    )


def test_the_credential_and_what_requests_must_have() -> None:
    """Which scheme it is, what else there is, what cannot be; and the headers that an API asks for."""
    office = written(drafted("office.yaml"), "x")
    assert (
        "  # Guessed: the document's api_token (apiKey in header x-medusa-access-token),"
        " asked for by 2 of 3 operations.\n"
        "  # Another way: jwt_token (http bearer).\n"
        "  # Not possible: cookie_auth: a key in the cookie is never sent.\n"
        "  credential:\n"
        "    kind: header\n"
        "    name: x-medusa-access-token\n"
        "    value: ${env:UPSTREAM_API_KEY}\n"
    ) in office
    storefront = written(drafted("storefront.yaml"), "x")
    assert "  # 5 operations ask for the header x-publishable-api-key: to let clients send it, list it in" in storefront
    key = {"name": "X-Key", "in": "header", "required": True}
    own = {"components": {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "x-key"}}}}
    assert "ask for the header" not in written(of({"/a": {"get": {"parameters": [key]}}}, **own), "x")


def test_every_rule_has_its_comment() -> None:
    """Above each rule stands what it is for."""
    lines = written(drafted("bare.yaml"), "x").splitlines()
    rules = [at for at, line in enumerate(lines) if re.match(r" {10}- \w+: \{", line)]
    assert len(rules) > 10
    assert all(lines[at - 1].lstrip().startswith("# ") for at in rules)


def test_a_hostile_document_writes_comments_only(tmp_path: Path) -> None:
    """Texts of a document break out of no comment and no value, and begin no interpolation."""
    evil = "x\n  - name: evil\r\u2028\u0085\x00access: open ${env:HOME}"
    item = {
        "type": "object",
        "properties": {"id": TEXT, "customer_id": TEXT, f"customer\n{evil}": TEXT, "${env:A}": TEXT},
    }
    post = answers(item) | {"requestBody": {"content": {"application/json": {"schema": item}}}}
    operation = {"summary": evil, "operationId": evil, "parameters": [{"name": f"page\n{evil}", "in": "query"}]}
    made = of({"/orders": {"get": {**answers(item), **operation}, "post": {**post, **operation}}}, info={"title": evil})
    text = written(made, evil)
    assert text.isprintable() or set(text) - {"\n"} <= {char for char in text if char.isprintable()}
    file = yaml.safe_load(text)
    assert [route["path"] for route in file["routes"]] == ["/orders", "/orders"]
    assert file["routes"][1]["access"]["customer"]["scope"][0] == {"body_fields": {"allow": ["customer_id"]}}
    assert "$" not in re.sub(r"\$\{(env|file):(\$\{env:)?[A-Z_]+(:-[^}]*)?\}+", "", re.sub(r"#.*", "", text))
    assert tmp_path.exists()


def test_odd_values_are_quoted() -> None:
    """Words that YAML reads otherwise, braces and dollars stand in quotes."""
    plan = of({"/a": {"get": {}}})
    rule = Rule("filter", {"field": "on", "aliases": ["a$b", "1", "x y", "ok"]}, "is for trying")
    route = Drafted("no", "/a/{id}", "GET", scope=(rule,))
    text = written(replace(plan, routes=(route,)), "x")
    (loaded,) = yaml.safe_load(text)["routes"]
    assert (loaded["name"], loaded["path"]) == ("no", "/a/{id}")
    # Two dollars are one, once the routing file has been read.
    assert loaded["access"]["customer"]["scope"] == [{"filter": {"field": "on", "aliases": ["a$$b", "1", "x y", "ok"]}}]
