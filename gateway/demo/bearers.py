"""The demo API's own bearers: who gets one and which are good."""

import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs

from gateway.demo.answers import Call, ShopAnswer, ShopError, json_answer
from gateway.demo.state import Clock


@dataclass(frozen=True, slots=True)
class Bearer:
    """What is known of a bearer: the grant it came from, and when it ends (epoch seconds)."""

    grant: str
    expires: int


class Bearers:
    """Issues and checks bearers of one client; nothing is kept beyond the process."""

    def __init__(self, client_id: str, client_secret: str, life: int, clock: Clock) -> None:
        self._client = client_id.encode()
        self._secret = client_secret.encode()
        self._life = life
        self._clock = clock
        self.issued: dict[str, Bearer] = {}

    def issue(self, grant: str) -> tuple[str, Bearer]:
        """Make a bearer: 40 hexadecimal digits, as in the upstream's samples."""
        token = secrets.token_hex(20)
        self.issued[token] = Bearer(grant, int(self._clock()) + self._life)
        return token, self.issued[token]

    def grant(self, header: str | None) -> str:
        """Give the grant of an `Authorization` header (`Bearer t`, `Bearer: t`, bare `t`), or answer 401."""
        token = (header or "").strip()
        if token.lower().startswith("bearer"):
            token = token[len("bearer") :].removeprefix(":").strip()
        bearer = self.issued.get(token)
        if bearer is None or bearer.expires <= self._clock():
            raise ShopError(401, "The access token is missing, unknown or expired", "Unable to validate access token")
        return bearer.grant

    def answer(self, call: Call) -> ShopAnswer:
        """Answer POST /oauth/access_token."""
        if call.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise ShopError(400, "The request body must be a form")
        try:
            form = {name: values[-1] for name, values in parse_qs(call.body.decode()).items()}
        except UnicodeDecodeError:
            raise ShopError(400, "The form is not UTF-8") from None
        grant = form.get("grant_type", "")
        if grant not in {"implicit", "client_credentials"}:
            raise ShopError(400, "The grant type is not supported")
        known = hmac.compare_digest(form.get("client_id", "").encode(), self._client)
        if grant == "client_credentials":
            known &= hmac.compare_digest(form.get("client_secret", "").encode(), self._secret)
        if not known:
            raise ShopError(401, "The client id or secret is not known")
        token, bearer = self.issue(grant)
        return json_answer(
            {
                "expires": bearer.expires,
                "identifier": grant,
                "expires_in": self._life,
                "access_token": token,
                "token_type": "Bearer",
            }
        )
