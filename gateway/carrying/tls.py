"""How an https upstream is known, and how the gateway proves itself to it. Certificates are always checked."""

import ssl
from dataclasses import dataclass
from pathlib import Path


class UnfitTlsError(Exception):
    """What is wrong with a file of certificates or a key: `setting` names it, the text says what."""

    def __init__(self, setting: str, what: str) -> None:
        super().__init__(what)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; without `ca` the system's authorities count. `server_name` is that of the certificate."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files; UnfitTlsError where they are not what they should be."""
        try:
            # Without a file OpenSSL's own places count, which SSL_CERT_FILE and SSL_CERT_DIR name.
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:
            raise UnfitTlsError("ca_file", _said(error)) from None
        if self.certificate is not None:
            try:
                # A password would be asked for at the terminal.
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
            except (OSError, ValueError) as error:
                raise UnfitTlsError("certificate_file" if self.key is None else "key_file", _said(error)) from None
        return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "no certificate and key in PEM that belong together" if "KEY" in str(error) else "no certificate in PEM"
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
