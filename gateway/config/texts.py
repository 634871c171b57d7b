"""The base of all sections of a routing file, and the texts that stand in several of them, each with its check."""

import re
from typing import Annotated, Literal

import yarl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.config.id_pattern import compile_id_pattern
from gateway.config.upstream_path import parse_upstream_path
from gateway.routing import parse_template
from gateway.wire.headers import AUTHORIZATION, CUSTOMER_TOKEN, FORWARDED, OWN_ANSWER_FIELDS, OWN_FIELDS


class Closed(BaseModel):
    """Base of all sections: unknown keys are faults, values are frozen and never echoed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=False)


def template(path: str) -> str:
    """Check a path template."""
    parse_template(path)
    return path


def upstream_path_text(path: str) -> str:
    """Check a path of the upstream's with parameters of the public one."""
    parse_upstream_path(path)
    return path


def base_url(url: str) -> str:
    """Check a base URL, and spell it in one way, without a slash at its end; its port stays as it is written."""
    found = re.fullmatch(r"(https?://[A-Za-z0-9._\-\[\]:]+)(/[A-Za-z0-9._~/-]*)?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("a URL is http:// or https://, a host, perhaps a path; no user, query or fragment")
    # As connections read it: a path without dot segments, and small letters where case says nothing.
    return found[1].lower() + yarl.URL(url).raw_path.rstrip("/")


def endpoint_url(url: str) -> str:
    """Check the address of one endpoint: a base URL and a path, whose slash at the end, if it has one, counts."""
    base = base_url(url)
    if "/" not in base.partition("://")[2]:
        raise ValueError("the URL of an endpoint has a path, such as https://auth.example/oauth/token")
    return base + "/" * url.endswith("/")


Address = tuple[tuple[str, int | None], tuple[str, ...]]
"""Where an API is: host and port, which is None where its scheme implies it, and the segments of the path."""


def read_address(url: str) -> Address:
    """Read a base URL; an API that speaks with TLS and without it is one."""
    read = yarl.URL(url)
    port = None if read.is_default_port() else read.port
    return ((read.host or "").rstrip("."), port), tuple(filter(None, read.path.split("/")))


def optional_base_url(url: str) -> str:
    """Check a base URL, or nothing."""
    return base_url(url) if url else ""


def id_pattern_text(text: str) -> str:
    """Check a pattern of ids."""
    compile_id_pattern(text)
    return text


def header_name(name: str) -> str:
    """Check the name of a header, and write it in small letters."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError("a header name is letters, digits and hyphens")
    return name.lower()


def forwardable(name: str) -> str:
    """Check the name of a header that may go upstream."""
    name = header_name(name)
    if name in OWN_FIELDS or name.startswith(("x-forwarded-", "access-control-")):
        raise ValueError("the gateway speaks for itself in this header; it cannot be passed on")
    return name


def answerable(name: str) -> str:
    """Check the name of a header that may leave with an answer."""
    name = header_name(name)
    if name in OWN_ANSWER_FIELDS or name.startswith("access-control-"):
        raise ValueError("the gateway speaks for itself in this header of its replies; it cannot be passed on")
    return name


def token_header(name: str) -> str:
    """Check the name of the header that carries customer tokens."""
    name = header_name(name)
    if name in FORWARDED or name in OWN_FIELDS - {AUTHORIZATION, CUSTOMER_TOKEN}:
        raise ValueError("this header says something else; it cannot carry a token")
    return name


def reason_text(text: str) -> str:
    """Check a reason."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("write in a few words why this is no leak")
    return words


Template = Annotated[str, AfterValidator(template)]


def collection(path: str) -> str:
    """Check the path of a collection, and take its slash at the end away: `records` say whether there is one."""
    return template(path).removesuffix("/")


Collection = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+/?$"), AfterValidator(collection)]
Path = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+$"), AfterValidator(template)]
Endpoint = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+/?$")]
Flag = Annotated[bool, Field(strict=True)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
