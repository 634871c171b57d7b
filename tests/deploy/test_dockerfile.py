"""Facts of the image, read from the Dockerfile. No build is run: that needs a Docker daemon and a registry."""

import re
from pathlib import Path

Instructions = list[tuple[str, str]]


def _runs(instructions: Instructions, word: str) -> list[str]:
    """Return the RUN lines that contain the word."""
    return [arguments for name, arguments in instructions if name == "RUN" and word in arguments]


def test_the_build_stage_stays_out_of_the_image(stages: list[Instructions]) -> None:
    """Two stages: the last one takes the finished venv from the first and installs nothing itself."""
    assert len(stages) == 2
    assert ("COPY", "--from=build /opt/venv /opt/venv") in stages[1]
    assert not _runs(stages[1], "pip")
    assert not _runs(stages[1], "apt")


def test_every_stage_starts_from_the_one_pinned_base(instructions: Instructions, stages: list[Instructions]) -> None:
    """The base is a slim Python pinned by tag, given in one place where a digest can be put instead."""
    assert instructions[0] == ("ARG", "PYTHON_IMAGE=python:3.11-slim-bookworm")
    assert [stage[0][1].split()[0] for stage in stages] == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_the_image_runs_as_a_numeric_user_that_is_not_root(stages: list[Instructions]) -> None:
    """The last USER is a number above 0 for user and group, so that runAsNonRoot can check it."""
    users = [arguments for name, arguments in stages[-1] if name == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_packages_are_installed_by_hash_or_from_our_own_wheel(stages: list[Instructions]) -> None:
    """Each pip install takes a lock with hashes, wheels only and no dependencies, or runs without any index."""
    installs = _runs(stages[0], " install ")
    assert len(installs) == 3
    for line in installs:
        assert "--no-deps" in line
        assert "--no-index" in line or {"--require-hashes", "--only-binary", ":all:"} <= set(line.split())
    assert any("-r requirements/runtime.txt" in line for line in installs)
    assert len(_runs(stages[0], "--no-build-isolation --no-deps --no-index")) == 1


def test_nothing_is_fetched_from_a_url(instructions: Instructions) -> None:
    """No ADD at all and no URL anywhere: what goes in comes from the repository or through the lock."""
    assert not [arguments for name, arguments in instructions if name == "ADD"]
    assert not [arguments for _, arguments in instructions if "://" in arguments or "curl" in arguments.split()]


def test_the_gateway_is_process_one(image: dict[str, str], image_command: list[str]) -> None:
    """ENTRYPOINT and CMD are in exec form, so that SIGTERM reaches the gateway and no shell stands in between."""
    assert image["ENTRYPOINT"].startswith("[")
    assert image["CMD"].startswith("[")
    assert image["STOPSIGNAL"] == "SIGTERM"
    assert image_command[:4] == ["gateway", "serve", "--config", "/etc/gateway/moltin.yaml"]


def test_exposed_ports_are_those_the_command_listens_on(
    image: dict[str, str], public_port: int, admin_port: int
) -> None:
    """EXPOSE names the public and the admin port of the command line and nothing else."""
    assert image["EXPOSE"].split() == [str(public_port), str(admin_port)]


def test_the_image_can_run_read_only(
    stages: list[Instructions], image: dict[str, str], image_environment: dict[str, str]
) -> None:
    """Bytecode is made at build and never written at run time; the only folder of the gateway's user is the store's."""
    assert _runs(stages[0], "compileall")
    assert image_environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert image_environment["SQLITE_TMPDIR"] == "/data"
    user, group = image["USER"].split(":")
    assert _runs(stages[-1], "install") == [f"install -d -o {user} -g {group} -m 0750 /data"]
    assert image["WORKDIR"] == "/etc/gateway"
    assert not [arguments for name, arguments in stages[-1] if name == "COPY" and "--chown" in arguments]


def test_no_secret_is_baked_into_the_image(instructions: Instructions) -> None:
    """Neither ENV nor ARG names anything secret: layers and history can be read by whoever pulls the image."""
    settings = " ".join(arguments for name, arguments in instructions if name in {"ENV", "ARG"})
    assert not re.search(r"SECRET|PASSWORD|TOKEN|_KEY|CLIENT_ID", settings)


def test_the_build_sees_only_what_the_dockerfile_copies(root: Path, stages: list[Instructions]) -> None:
    """.dockerignore is closed and opens exactly the paths that COPY lines read, all of which exist."""
    ignore = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignore[0] == "*"
    opened = {line[1:] for line in ignore if line.startswith("!")}
    copies = [arguments.split() for stage in stages for name, arguments in stage if name == "COPY"]
    sources = {path.rstrip("/") for words in copies if "--from=build" not in words for path in words[:-1]}
    assert opened == sources
    assert [path for path in sorted(sources) if not (root / path).exists()] == []
