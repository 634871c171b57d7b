"""Origins as operators write them, and as browsers send them."""

import pytest

from gateway.config.origin import read_origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("*", "*"),
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://localhost:03000", "http://localhost:3000"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://MÜNCHEN.example", "https://xn--mnchen-3ya.example"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
def test_an_origin_is_spelled_as_browsers_do(written: str, sent: str) -> None:
    """Case, the port that a scheme implies, and names beyond ASCII have one spelling; what is spelled so stays."""
    assert read_origin(written) == sent
    assert read_origin(sent) == sent


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://shop.example/", "https://shop.example"),
        ("https://Shop.example:443/cart?x#y", "https://shop.example"),
        ("https://user@shop.example", "https://shop.example"),
        ("capacitor://localhost/", "capacitor://localhost"),
    ],
)
def test_what_stands_behind_an_origin_is_told(written: str, meant: str) -> None:
    """A browser never sends a path, and the right spelling stands in the fault."""
    with pytest.raises(ValueError, match="browsers send no more") as caught:
        read_origin(written)
    assert str(caught.value).endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    "written",
    [
        "null", "", "shop.example", "https://", "https://*.shop.example", "https://*", "file:///x", "https://a..b",
        "https://shop.example:0", "https://shop.example:65536", "https://shop.example:x", "https://a b",
        "https://shop.example\n", "https://a,b", "https://[::1", "1://x",
    ],
)  # fmt: skip
def test_what_is_no_origin_says_what_to_write(written: str) -> None:
    """Neither a pattern of hosts nor the origin of pages that have none can be listed."""
    with pytest.raises(ValueError, match=r"scheme://host"):
        read_origin(written)
