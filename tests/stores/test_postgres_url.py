"""What a PostgreSQL URL may say, and that no fault repeats any of it."""

import pytest

from gateway.stores import check_url
from gateway.stores.postgres_url import Place, Tls, read_place, without_password

VERIFIED = Tls(None, None, None)


def place(**differs: object) -> Place:
    """Return what `postgresql://ann@db.test/shop` means, with differences."""
    plain: dict[str, object] = {
        "hosts": (("db.test", 5432),),
        "user": "ann",
        "password": None,
        "database": "shop",
        "tls": VERIFIED,
        "password_file": None,
        "passfile": None,
        "target": "read-write",
    }
    return Place(**(plain | differs))  # type: ignore[arg-type]  # the cases below are typed by what they mean


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("postgresql://ann@db.test/shop", place()),
        ("postgresql://a%40b:p%2Fw:1@db.test/sh%20op", place(user="a@b", password="p/w:1", database="sh op")),
        ("postgresql://ann@one,two:6432,[fd00::1]:7/shop", place(hosts=(("one", 5432), ("two", 6432), ("fd00::1", 7)))),
        ("postgresql://ann@127.0.0.1/shop", place(hosts=(("127.0.0.1", 5432),), tls=None)),
        ("postgresql://ann@localhost,[::1]/shop", place(hosts=(("localhost", 5432), ("::1", 5432)), tls=None)),
        ("postgresql://ann@localhost,db.test/shop", place(hosts=(("localhost", 5432), ("db.test", 5432)))),
        ("postgresql://ann@/shop?host=/run/postgresql", place(hosts=(("/run/postgresql", 5432),), tls=None)),
        ("postgresql://ann@db.test/shop?sslmode=disable", place(tls=None)),
        ("postgresql://ann@127.0.0.1/shop?sslmode=verify-full", place(hosts=(("127.0.0.1", 5432),))),
        (
            "postgresql://ann@db.test/shop?sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem",
            place(tls=Tls("/ca.pem", "/c.pem", "/k.pem")),
        ),
        ("postgresql://ann@db.test/shop?password_file=/run/pw", place(password_file="/run/pw")),
        ("postgresql://ann@db.test/shop?passfile=/run/pgpass", place(passfile="/run/pgpass")),
        ("postgresql://ann@db.test/shop?target_session_attrs=any", place(target="any")),
    ],
)
def test_a_url_means_what_libpq_takes_it_for(url: str, means: Place) -> None:
    """But that a server on another machine has to prove who it is, and has to take writes."""
    assert check_url(url) is None
    assert read_place(url) == means


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgresql://", "a host is missing"),
        ("postgresql:///canary", "a host is missing"),
        ("postgresql://db.test/canary", "the user or the database is missing"),
        ("postgresql://canary@db.test", "the user or the database is missing"),
        ("postgresql://u:canary@db.test/x/y", "the user or the database is missing"),
        ("postgresql://u:canary@db test/x", "a host is missing or is none"),
        ("postgresql://u:canary@db.test:0/x", "a host is missing or is none"),
        ("postgresql://u:canary@db.test:99999/x", "a host is missing or is none"),
        ("postgresql://u:canary@db.test,/x", "a host is missing or is none"),
        ("postgresql://u:can/ary@db.test/x", "a host is missing or is none"),
        ("postgresql://u@/x?host=canary", "host= names the folder"),
        ("postgresql://u@db.test/x?host=/canary", "host= names the folder"),
        ("postgresql://u:canary@db.test/x?sslmode=require", "sslmode is verify-full, or disable"),
        ("postgresql://u:canary@db.test/x?sslmode=prefer", "sslmode is verify-full, or disable"),
        ("postgresql://u:canary@db.test/x?sslmode=disable&sslrootcert=/c", "of no use without"),
        ("postgresql://u:canary@db.test/x?sslcert=/c", "sslcert and sslkey go together"),
        ("postgresql://u:canary@db.test/x?password_file=/p", "the password is named twice"),
        ("postgresql://u@db.test/x?password_file=/canary&passfile=/canary", "the password is named twice"),
        ("postgresql://u@db.test/x?target_session_attrs=canary", "target_session_attrs is one of"),
        ("postgresql://u@db.test/x?canary=1", "an option after the question mark is not one of"),
        ("postgresql://u@db.test/x?sslmode=disable&sslmode=disable", "stands there twice"),
        ("postgresql://u@db.test/x?passfile=", "has no value"),
        ("postgresql://u@db.test/x?canary", "not NAME=VALUE"),
        ("postgresql+asyncpg://u:canary@db.test/x", "the driver is the gateway's choice: write postgresql:"),
    ],
)
def test_faults_of_a_url_are_named(url: str, fault: str) -> None:
    """Each has its own text, which repeats nothing: a part of a password may stand anywhere in a URL that is wrong."""
    text = check_url(url)
    assert text is not None
    assert fault in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:canary@db.test/shop", "postgresql://ann:**********@db.test/shop"),
        ("postgresql://ann:can@ary@db.test/shop", "postgresql://ann:**********@db.test/shop"),
        ("postgresql://ann:can/ary?x#y@db.test/shop", "postgresql://ann:**********@db.test/shop"),
        ("postgresql://ann@db.test:5432/shop", "postgresql://ann@db.test:5432/shop"),
        ("postgresql://an@n@db.test/shop", "postgresql://an@n@db.test/shop"),
        ("sqlite:////data/store.db", "sqlite:////data/store.db"),
    ],
)
def test_a_password_is_masked(url: str, shown: str) -> None:
    """Wherever a URL is shown, also one that is wrong; what has no password is shown as it is."""
    assert without_password(url) == shown
