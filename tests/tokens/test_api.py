"""The gateway's own endpoints: bearers, customer tokens, public keys; and each row of the table of bad input."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from gateway.demo.data import DEMO_PASSWORDS, RON, RON_ID
from tests.gateways import STOREFRONT, TRUSTED, TRUSTED_SECRET, Answer, Site

GRANT = "/oauth/access_token"
LOGIN = "/v2/customers/tokens"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
GOOD = {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}


def assert_error(answer: Answer, status: int, code: str, source: str | None = None) -> None:
    """Check a refusal: integer status, code, and the field at fault."""
    assert (answer.status, answer.code) == (status, code)
    (error,) = answer.json()["errors"]
    assert error["status"] == status
    assert type(error["status"]) is int
    assert error.get("source") == source
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


# --- Bearers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "identifier"),
    [
        pytest.param({"grant_type": "implicit", "client_id": STOREFRONT}, "implicit", id="implicit"),
        pytest.param(
            {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": TRUSTED_SECRET},
            "client_credentials",
            id="client credentials",
        ),
        pytest.param(
            {"grant_type": "implicit", "client_id": STOREFRONT, "scope": "anything"}, "implicit", id="unknown field"
        ),
    ],
)
async def test_a_grant_has_the_shape_of_the_api(bare: Site, form: dict[str, str], identifier: str) -> None:
    """The bearer stands at the top level, with its life in seconds and its end in epoch seconds."""
    answer = await bare.call("POST", GRANT, data=form)
    assert answer.status == 200
    grant = answer.json()
    assert set(grant) == {"access_token", "token_type", "expires", "expires_in", "identifier"}
    assert (grant["token_type"], grant["identifier"]) == ("Bearer", identifier)
    assert type(grant["expires_in"]) is type(grant["expires"]) is int
    assert abs(grant["expires"] - grant["expires_in"] - time.time()) < 5  # noqa: TID251 - compared with a real token
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "source"),
    [
        pytest.param(b"client_id=x", FORM, 400, "FORM_INVALID", "grant_type", id="no grant_type"),
        pytest.param(b"grant_type=&client_id=x", FORM, 400, "FORM_INVALID", "grant_type", id="empty grant_type"),
        pytest.param(b"grant_type=password&client_id=x", FORM, 400, "FORM_INVALID", "grant_type", id="other grant"),
        pytest.param(b"grant_type=implicit", FORM, 400, "FORM_INVALID", "client_id", id="no client_id"),
        pytest.param(b"", FORM, 400, "FORM_INVALID", "grant_type", id="nothing"),
        pytest.param(b"grant_type", FORM, 400, "FORM_INVALID", "body", id="no form"),
        pytest.param(
            b"grant_type=implicit&grant_type=implicit&client_id=x", FORM, 400, "FORM_INVALID", "body", id="twice"
        ),
        pytest.param(b"grant_type=implicit&client_id=%ff", FORM, 400, "FORM_INVALID", "body", id="not UTF-8"),
        pytest.param("grant_type=implicit&client_id=ü".encode(), FORM, 400, "FORM_INVALID", "body", id="not ASCII"),
        pytest.param(b"a=1&" * 100 + b"grant_type=implicit", FORM, 400, "FORM_INVALID", "body", id="many fields"),
        pytest.param(b"grant_type=implicit&client_id=nobody", FORM, 401, "CLIENT_UNKNOWN", None, id="unknown client"),
        pytest.param(
            f"grant_type=implicit&client_id={TRUSTED}".encode(),
            FORM,
            401,
            "CLIENT_UNKNOWN",
            None,
            id="trusted, implicit",
        ),
        pytest.param(
            f"grant_type=client_credentials&client_id={STOREFRONT}".encode(),
            FORM,
            401,
            "CLIENT_UNKNOWN",
            None,
            id="storefront with a secret",
        ),
        pytest.param(
            f"grant_type=client_credentials&client_id={TRUSTED}&client_secret=wrong".encode(),
            FORM,
            401,
            "CLIENT_UNKNOWN",
            None,
            id="wrong secret",
        ),
        pytest.param(
            f"grant_type=client_credentials&client_id={TRUSTED}".encode(),
            FORM,
            401,
            "CLIENT_UNKNOWN",
            None,
            id="no secret",
        ),
        pytest.param(
            b"grant_type=client_credentials&client_id=nobody&client_secret=-",
            FORM,
            401,
            "CLIENT_UNKNOWN",
            None,
            id="dash",
        ),
        pytest.param(b'{"grant_type":"implicit"}', JSON, 415, "BODY_TYPE", "body", id="JSON"),
        pytest.param(b"grant_type=implicit", {}, 415, "BODY_TYPE", "body", id="no type"),
        pytest.param(b"grant_type=implicit&a=" + b"a" * 10_000, FORM, 413, "BODY_TOO_LARGE", "body", id="too large"),
    ],
)
async def test_bad_forms(
    bare: Site, body: bytes, headers: dict[str, str], status: int, code: str, source: str | None
) -> None:
    """A form that grants nothing says why, and which field is at fault."""
    answer = await bare.call("POST", GRANT, data=body, headers=headers, skip_auto_headers=["Content-Type"])
    assert_error(answer, status, code, source)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert not bare.commerce.requests


def basic(user: str, password: str) -> dict[str, str]:
    """Give the lines of a client that proves itself by header."""
    return FORM | {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


@pytest.mark.parametrize("scheme", ["Basic ", "basic ", "BASIC  "])
async def test_client_credentials_by_basic(bare: Site, scheme: str) -> None:
    """RFC 6749 section 2.3.1: a token endpoint takes Basic; the bearer is the one that the form would give."""
    headers = basic(TRUSTED, TRUSTED_SECRET)
    headers["Authorization"] = headers["Authorization"].replace("Basic ", scheme)
    for form in ("grant_type=client_credentials", f"grant_type=client_credentials&client_id={TRUSTED}"):
        answer = await bare.call("POST", GRANT, data=form, headers=headers)
        assert (answer.status, answer.json()["identifier"]) == (200, "client_credentials")
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await bare.call("GET", "/v2/orders", headers=bearer)).status == 200


@pytest.mark.parametrize(
    ("grant", "headers", "form", "status", "code"),
    [
        pytest.param("client_credentials", basic(TRUSTED, "wrong"), "", 401, "CLIENT_UNKNOWN", id="wrong secret"),
        pytest.param("client_credentials", basic(TRUSTED, ""), "", 401, "CLIENT_UNKNOWN", id="no secret"),
        pytest.param("client_credentials", basic("", ""), "", 401, "CLIENT_UNKNOWN", id="nobody"),
        pytest.param("client_credentials", basic(STOREFRONT, ""), "", 401, "CLIENT_UNKNOWN", id="a storefront"),
        pytest.param(
            "client_credentials",
            basic(TRUSTED, TRUSTED_SECRET),
            f"&client_id={STOREFRONT}",
            401,
            "CLIENT_UNKNOWN",
            id="another client in the form",
        ),
        pytest.param(
            "client_credentials",
            basic(TRUSTED, TRUSTED_SECRET),
            f"&client_id={TRUSTED}&client_secret={TRUSTED_SECRET}",
            400,
            "FORM_INVALID",
            id="both ways at once",
        ),
        pytest.param(
            "client_credentials", FORM | {"Authorization": "Basic x"}, "", 401, "CLIENT_UNKNOWN", id="no base64"
        ),
        pytest.param(
            "client_credentials", FORM | {"Authorization": "Basic eHg="}, "", 401, "CLIENT_UNKNOWN", id="no colon"
        ),
        pytest.param(
            "client_credentials", FORM | {"Authorization": "Basic /zo="}, "", 401, "CLIENT_UNKNOWN", id="not UTF-8"
        ),
        pytest.param("implicit", basic(TRUSTED, TRUSTED_SECRET), "", 401, "CLIENT_UNKNOWN", id="trusted, implicit"),
    ],
)
async def test_bad_basic(bare: Site, grant: str, headers: dict[str, str], form: str, status: int, code: str) -> None:
    """What proves no client by header is challenged there (RFC 6749 section 5.2), and never by the form's rules."""
    answer = await bare.call("POST", GRANT, data=f"grant_type={grant}{form}", headers=headers)
    assert (answer.status, answer.code) == (status, code)
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("line", [basic("staging", "guard")["Authorization"], "Bearer: undefined", "Bearer old"])
async def test_a_header_that_is_not_about_the_client(bare: Site, line: str) -> None:
    """The form counts where it is enough: another guard's password may stand in the header, or an old bearer."""
    form = {"grant_type": "implicit", "client_id": STOREFRONT}
    answer = await bare.call("POST", GRANT, data=form, headers={"Authorization": line})
    assert answer.status == 200
    if line.startswith("Bearer"):
        form = {"grant_type": "client_credentials", "client_id": TRUSTED, "client_secret": TRUSTED_SECRET}
        assert (await bare.call("POST", GRANT, data=form, headers={"Authorization": line})).status == 200


async def test_a_public_client_by_basic(bare: Site) -> None:
    """A library that always sends Basic sends the id of a front end so, without a secret."""
    answer = await bare.call("POST", GRANT, data="grant_type=implicit", headers=basic(STOREFRONT, ""))
    assert answer.json()["identifier"] == "implicit"


async def test_the_right_method(bare: Site) -> None:
    """The endpoints say which methods they answer."""
    for path, allow in ((GRANT, "POST"), (LOGIN, "DELETE, POST"), ("/.well-known/jwks.json", "GET, HEAD")):
        answer = await bare.public("PUT", path)
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "line",
    ["Bearer {}", "Bearer: {}", "bearer {}", "BEARER: {}", "{}"],
)
async def test_spellings_of_the_bearer(bare: Site, line: str) -> None:
    """What real SDKs send is understood."""
    answer = await bare.call("GET", "/v2/products", headers={"Authorization": line.format(await bare.bearer())})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(None, "BEARER_MISSING", id="none"),
        pytest.param("", "BEARER_INVALID", id="empty"),
        pytest.param("Bearer", "BEARER_INVALID", id="scheme only"),
        pytest.param("Bearer garbage", "BEARER_INVALID", id="garbage"),
        pytest.param("Basic dTpw", "BEARER_INVALID", id="basic"),
        pytest.param("Bearer {}x", "BEARER_INVALID", id="longer"),
        pytest.param("Bearer {}=", "BEARER_INVALID", id="padded"),
        pytest.param("Bearer {0} {0}", "BEARER_INVALID", id="two in one"),
    ],
)
async def test_bad_bearers(bare: Site, line: str | None, code: str) -> None:
    """A missing or garbled bearer is a 401 with a challenge."""
    bearer = await bare.bearer()
    headers = {} if line is None else {"Authorization": line.format(bearer)}
    answer = await bare.call("GET", "/v2/products", headers=headers)
    assert_error(answer, 401, code)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not bare.commerce.requests


# --- Customer tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{}, {"authentication_mechanism": "password"}], ids=["old", "new"])
async def test_a_login_has_the_shape_of_the_api(site: Site, members: dict[str, str]) -> None:
    """A right pair is a 201 with token, its id, the customer's id, and its end in epoch seconds."""
    answer = await site.login(RON.email, DEMO_PASSWORDS[RON.email], **members)
    assert answer.status == 201
    data = answer.json()["data"]
    assert set(data) == {"type", "id", "customer_id", "token", "expires"}
    assert (data["type"], data["customer_id"]) == ("token", RON_ID)
    assert abs(data["expires"] - 86400 - time.time()) < 5  # noqa: TID251 - compared with a real token
    assert answer.headers["cache-control"] == "no-store"
    orders = await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": data["token"]})
    assert orders.status == 200


def posted(**changes: object) -> dict[str, Any]:
    """Give a good login with some members changed; Ellipsis takes one away."""
    return {"data": {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}}


@pytest.mark.parametrize(
    ("document", "source"),
    [
        pytest.param({}, "data", id="nothing"),
        pytest.param({"data": []}, "data", id="an array"),
        pytest.param({"data": "x"}, "data", id="text"),
        pytest.param(posted(type="customer"), "data.type", id="another type"),
        pytest.param(posted(type=None), "data.type", id="no type at all"),
        pytest.param(posted(authentication_mechanism="oidc"), "data.authentication_mechanism", id="by OIDC"),
        pytest.param(posted(email=...), "data.email", id="no e-mail"),
        pytest.param(posted(email=None), "data.email", id="null e-mail"),
        pytest.param(posted(email=7), "data.email", id="a number as e-mail"),
        pytest.param(posted(email=[RON.email]), "data.email", id="a list of e-mails"),
        pytest.param(posted(email={"$ne": ""}), "data.email", id="an object as e-mail"),
        pytest.param(posted(email="ron.example"), "data.email", id="no @"),
        pytest.param(posted(email="a@b@c.example"), "data.email", id="two @"),
        pytest.param(posted(email=""), "data.email", id="empty e-mail"),
        pytest.param(posted(password=...), "data.password", id="no password"),
        pytest.param(posted(password=""), "data.password", id="empty password"),
        pytest.param(posted(password=7), "data.password", id="a number as password"),
        pytest.param(posted(password=None), "data.password", id="null password"),
        pytest.param(posted(password=["x"]), "data.password", id="a list of passwords"),
        pytest.param(posted(password="a" * 1025), "data.password", id="1025 bytes"),
        pytest.param(posted(password="ä" * 513), "data.password", id="1026 bytes of umlauts"),
    ],
)
async def test_logins_that_cannot_be_right(site: Site, document: dict[str, Any], source: str) -> None:
    """A login without a possible e-mail or password is a 422 that names the field, and asks nobody."""
    answer = await site.public("POST", LOGIN, json=document)
    assert_error(answer, 422, "BODY_FIELD_INVALID", source)
    assert not site.commerce.requests


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        pytest.param(b"", JSON, 400, "BODY_MALFORMED", id="nothing"),
        pytest.param(b"{", JSON, 400, "BODY_MALFORMED", id="half"),
        pytest.param(b"[]", JSON, 400, "BODY_MALFORMED", id="an array"),
        pytest.param(b'{"data":{},"data":{}}', JSON, 400, "BODY_MALFORMED", id="a key twice"),
        pytest.param(b"\xef\xbb\xbf{}", JSON, 400, "BODY_MALFORMED", id="byte order mark"),
        pytest.param('{"data":{}}'.encode("utf-16"), JSON, 400, "BODY_MALFORMED", id="UTF-16"),
        pytest.param(b'{"data":' + b"[" * 100 + b"]" * 100 + b"}", JSON, 400, "BODY_MALFORMED", id="too deep"),
        pytest.param(b'{"a":"' + b"a" * 20_000 + b'"}', JSON, 413, "BODY_TOO_LARGE", id="too large"),
        pytest.param(json.dumps({"data": GOOD}).encode(), {"Content-Type": "text/plain"}, 415, "BODY_TYPE", id="text"),
        pytest.param(json.dumps({"data": GOOD}).encode(), {}, 415, "BODY_TYPE", id="no type"),
        pytest.param(b"email=a%40b.example&password=x", FORM, 415, "BODY_TYPE", id="a form"),
        pytest.param(
            json.dumps({"data": GOOD}).encode(), {**JSON, "Content-Encoding": "gzip"}, 415, "BODY_TYPE", id="compressed"
        ),
        pytest.param(
            json.dumps({"data": GOOD}).encode(),
            {"Content-Type": "application/json; charset=utf-7"},
            415,
            "BODY_TYPE",
            id="another charset",
        ),
    ],
)
async def test_login_bodies(site: Site, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    """A body that is not one plain JSON object is refused by kind, at the body."""
    answer = await site.public("POST", LOGIN, headers, data=body, skip_auto_headers=["Content-Type"])
    assert_error(answer, status, code, "body")
    assert not site.commerce.requests


async def test_the_longest_password(site: Site) -> None:
    """A password of 1,024 bytes is one that may be wrong, not one that may not be."""
    answer = await site.login(RON.email, "a" * 1024)
    assert_error(answer, 404, "LOGIN_FAILED")


async def test_a_login_needs_a_bearer(site: Site) -> None:
    """Customers log in through a client that is known."""
    answer = await site.call("POST", LOGIN, json={"data": GOOD})
    assert_error(answer, 401, "BEARER_MISSING")


@pytest.mark.parametrize(
    "garble",
    [
        pytest.param(lambda token: token[:-5], id="cut"),
        pytest.param(lambda token: token + "=", id="padded"),
        pytest.param(lambda token: "Bearer " + token, id="with a scheme"),
        pytest.param(lambda token: token.upper(), id="upper case"),
        pytest.param(lambda _: "garbage", id="garbage"),
        pytest.param(lambda _: "a." * 4000, id="dots"),
        pytest.param(
            lambda token: jwt.encode(jwt_body(token), "another key of thirty-two bytes!", algorithm="HS256"),
            id="another key",
        ),
    ],
)
async def test_bad_customer_tokens(site: Site, garble: Any) -> None:
    """A customer token that is not good is a 403: SDKs would answer a 401 by renewing the bearer."""
    token = garble(await site.token(RON.email))
    site.commerce.forget()
    answer = await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": token})
    assert_error(answer, 403, "CUSTOMER_TOKEN_INVALID")
    assert not site.commerce.requests


def jwt_body(token: str) -> dict[str, Any]:
    """Read what a token says, unverified."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


async def test_secrets_stay_out_of_the_log(site: Site) -> None:
    """Neither passwords nor tokens nor client secrets are logged, whatever happens to them."""
    token = await site.token(RON.email)
    await site.bearer("trusted")
    await site.login(RON.email, "canary-wrong-password")
    await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": token + "x"})
    log = site.log.getvalue()
    secrets = (token, *site.bearers.values(), TRUSTED_SECRET, DEMO_PASSWORDS[RON.email], "canary-wrong-password")
    assert all(secret not in log for secret in secrets)
    assert RON.email not in log


# --- Public keys ----------------------------------------------------------------------------------------------------


async def test_public_keys(site: Site) -> None:
    """The keys that verify our tokens are there for everybody, without their private parts."""
    answer = await site.call("GET", "/.well-known/jwks.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/jwk-set+json")
    (key,) = answer.json()["keys"]
    assert {"d", "k", "p", "q"}.isdisjoint(key)
    token = await site.token(RON.email)
    verified = jwt.PyJWT().decode(
        token, jwt.PyJWK(key).key, algorithms=["EdDSA"], audience="storefront", issuer="customer-token-gateway"
    )
    assert verified["sub"] == RON_ID
