"""A client of the demo shop for tests, without any I/O."""

import json
from typing import Any

from gateway.demo.answers import ShopAnswer, split_target
from gateway.demo.shop import Shop
from tests.fakes.shop import issue_bearer

BASE = "https://upstream.example"


class Client:
    """Asks a shop with one bearer."""

    def __init__(self, shop: Shop, grant: str = "client_credentials") -> None:
        self.shop = shop
        self.bearer = issue_bearer(shop, grant)

    def ask(self, method: str, target: str, data: object = None, **headers: str) -> ShopAnswer:
        """Send a request; `data` goes under the key of that name."""
        body = b"" if data is None else json.dumps({"data": data}).encode()
        lines = {"authorization": f"Bearer {self.bearer}", **{key.replace("_", "-"): headers[key] for key in headers}}
        path, query = split_target(target)
        return self.shop.answer(method, path, query, lines, body)

    def get(self, target: str) -> Any:
        """Give the document of a GET that must succeed."""
        answer = self.ask("GET", target)
        assert answer.status == 200
        return answer.json()
