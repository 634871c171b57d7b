"""docs/refusals.md, written from the catalogue: `python -m tests.house.refusals` renews it."""

from pathlib import Path

from gateway.vocab.refusals import Code

PAGE = Path(__file__).parent.parent.parent / "docs" / "refusals.md"

_HEAD = """<!-- Written from gateway/vocab/refusals.py; renew it with `python -m tests.house.refusals`. -->
# Refusals

Every "no" of the gateway is `{"errors": [{"status", "title", "detail", "code"}]}` with one of these codes; some name
the field at fault in `source`. The text of a code never changes with the request, and no code is used again
for something else. `UPSTREAM_REFUSED` stands beside messages that the commerce API gave for a request of the client.

| status | code | detail |
|---|---|---|
"""


def page() -> str:
    """Return docs/refusals.md."""
    codes = sorted(Code, key=lambda code: (code.status, code.name))
    return _HEAD + "".join(f"| {code.status} | `{code.name}` | {code.value.text} |\n" for code in codes)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
