"""What must fit together in what a routing file says of the upstream, and where its secrets stand there."""

from collections.abc import Iterator

from gateway.carrying.tls import UnfitTlsError
from gateway.config.credential import SECRET_KEYS, Header, Tls
from gateway.config.evidence import Finding, Location
from gateway.config.model import Config
from gateway.vocab.policy import Credential

_CREDENTIALS = ("credential", "public_credential")


def upstream_findings(config: Config) -> Iterator[Finding]:
    """Yield what does not fit together in what a file says of the upstream."""
    upstream = config.upstream
    for name in _CREDENTIALS:
        credential = getattr(upstream, name)
        if isinstance(credential, Header) and credential.name in upstream.forward_headers:
            what = "clients may send this header themselves (upstream.forward_headers)"
            yield ("upstream", name, "name"), what, "take it from forward_headers"
    if upstream.tls != Tls() and not upstream.url.startswith("https://"):
        yield ("upstream", "tls"), "the upstream is not reached by TLS", "write https:// in upstream.url, or remove tls"
    elif upstream.tls != Tls():
        try:
            upstream.tls.files.context()
        except UnfitTlsError as fault:
            yield ("upstream", "tls", fault.setting), f"{fault}", "give a readable file in PEM, its key not encrypted"
    if upstream.public_credential is None:
        for index, route in enumerate(config.routes):
            if route.credential is Credential.PUBLIC:
                what = "there is no such credential"
                yield ("routes", index, "credential"), what, "add upstream.public_credential, or remove this key"


def upstream_secrets(config: Config) -> Iterator[Location]:
    """Yield where secrets of the gateway's at the upstream stand."""
    for name in _CREDENTIALS:
        credential = getattr(config.upstream, name)
        for key in SECRET_KEYS:
            if getattr(credential, key, None) is not None:
                yield ("upstream", name, key)
    if config.upstream.proxy is not None and config.upstream.proxy.password is not None:
        yield ("upstream", "proxy", "password")
