"""The canary sweep: no secret that any test uses stands in anything that a gateway shows, in the whole suite.

Whoever makes a secret names it here, and whoever ends a gateway hands in what it has shown: its log, what it wrote to
its streams, its admin pages and its replies. Each text is searched for every secret known by then. As a plugin of
pytest it searches what was printed and logged during each test as well, and says at the end how much was searched.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from multidict import CIMultiDict

# Shorter values are words that stand anywhere: tests also try "x" for a password and "a.b.c" for a token.
SHORTEST = 12
# Where to look closer: so many characters of a secret. A text is looked at in steps, for wherever a secret stands, one
# of the steps falls on one of its first characters, and so many follow there.
_PIECE = 8
_STEP = SHORTEST - _PIECE + 1
# Grants are what their client asked for; the secret in them is named here.
_GRANTS = ("/oauth/access_token", "/v2/customers/tokens", "/v2/customers/password-resets")
# Replies above this are downloads of made-up bytes.
_LARGEST = 256 * 1024


class SecretShownError(AssertionError):
    """A gateway has shown a secret."""


@dataclass(slots=True)
class Sweep:
    """The secrets so far, and how much was searched for them."""

    counts: Counter[str] = field(default_factory=Counter)
    _secrets: dict[str, str] = field(default_factory=dict)
    _pieces: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def name(self, what: str, value: object) -> None:
        """Name a secret; a token's payload and signature are secrets as well. What is no text or too short is none."""
        if not isinstance(value, str) or len(value) < SHORTEST or value in self._secrets:
            return
        self._secrets[value] = what
        for offset in range(_STEP):
            self._pieces.setdefault(value[offset : offset + _PIECE], []).append((offset, value))
        parts = value.split(".")
        if len(parts) == 3:
            for part, called in zip(parts[1:], ("payload", "signature"), strict=True):
                self.name(f"{called} of {what}", part)

    def name_request(self, options: Mapping[str, Any]) -> None:
        """Name what a client sends as a secret: its tokens, its client secret, its passwords."""
        # A mapping, or pairs where a header comes twice.
        for header, value in CIMultiDict(options.get("headers") or {}).items():
            if header.lower() in {"authorization", "x-moltin-customer-token"}:
                self.name(header, str(value).partition(" ")[2] or value)
        form = options.get("data")
        if isinstance(form, dict):
            self.name("client secret", form.get("client_secret"))
        document = options.get("json")
        data = document.get("data") if isinstance(document, dict) else None
        if isinstance(data, dict):
            for field in ("password", "current_password", "token"):
                self.name(field, data.get(field))

    def name_grant(self, target: str, status: int, body: bytes) -> bool:
        """Name the token in the reply to a grant; tell whether it was one."""
        if status >= 300 or not target.partition("?")[0].endswith(_GRANTS):
            return False
        try:
            document = json.loads(body)
            token = document["data"]["token"] if "data" in document else document["access_token"]
        except (ValueError, LookupError, TypeError):
            return False
        self.name("minted token", token)
        return True

    def reply(self, target: str, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> str:
        """Return the text of a reply to be searched later: nothing of a grant, nothing of a large download."""
        if self.name_grant(target, status, body) or len(body) > _LARGEST:
            return ""
        lines = "\n".join(f"{name}: {value}" for name, value in headers)
        return f"{lines}\n{body.decode('utf-8', 'replace')}"

    def shown(self, text: str) -> list[str]:
        """Say which secrets stand in a text."""
        hits: set[str] = set()
        # Each secret is looked for where it could stand, so that the time does not grow with their number.
        for at in range(0, len(text) - _PIECE + 1, _STEP):
            for offset, secret in self._pieces.get(text[at : at + _PIECE], ()):
                if at >= offset and text.startswith(secret, at - offset):
                    hits.add(self._secrets[secret])
        return sorted(hits)

    def search(self, whose: str, texts: Mapping[str, str]) -> None:
        """Search all that one gateway has shown; raises SecretShownError."""
        self.counts[whose] += 1
        self.counts["characters"] += sum(map(len, texts.values()))
        found = {place: hits for place, text in texts.items() if (hits := self.shown(text))}
        if found:
            raise SecretShownError(f"secrets are shown by a {whose}: {found}")

    @property
    def secrets(self) -> int:
        """Return how many secrets are known."""
        return len(self._secrets)


SWEEP = Sweep()


def private_parts(key: str) -> list[str]:
    """Return what is secret in the text of a private key: members of a JWK, or the lines of a PEM."""
    if key.startswith("-----"):
        return [line for line in key.splitlines() if not line.startswith("-----")]
    members = json.loads(key)
    return [members[name] for name in ("d", "k", "p", "q", "dp", "dq", "qi") if name in members]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Search what was printed and logged during a test; what pytest itself quotes of a failure is no gateway's."""
    report: pytest.TestReport = yield
    if call.when == "teardown" and report.passed:
        hits = SWEEP.shown("\n".join(text for _, text in report.sections))
        SWEEP.counts["test"] += 1
        if hits:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} printed or logged secrets: {hits}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures of a worker of pytest-xdist to the process that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["canary_sweep"] = {**SWEEP.counts, "secrets": SWEEP.secrets}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a worker."""
    _TOTAL.update(getattr(node, "workeroutput", {}).get("canary_sweep", {}))


_TOTAL: Counter[str] = Counter()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was searched."""
    total = _TOTAL or Counter({**SWEEP.counts, "secrets": SWEEP.secrets})
    if total["site"] or total["process"]:
        terminalreporter.write_line(
            f"canary sweep: {total['site']} gateways in this process, {total['process']} processes and"
            f" {total['test']} tests searched ({total['characters']} characters) for {total['secrets']} secrets"
        )
