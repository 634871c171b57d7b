"""The files of a configuration: what was read is known, and a change is told by what they hold."""

from pathlib import Path

import pytest

from gateway.config.files import Files, TooLarge, Unreadable
from gateway.config.load import load, load_all
from tests.carrying.certificates import Authority
from tests.gateways import MOLTIN, environment


def test_what_was_read_is_known_and_what_could_not_be_as_well(tmp_path: Path) -> None:
    """A file that is not there is one of them: when it comes, something has changed."""
    files = Files()
    (tmp_path / "there").write_bytes(b"123")
    assert files.contents(tmp_path / "there", 3) == b"123"
    with pytest.raises(Unreadable, match="No such file"):
        files.contents(tmp_path / "missing", 3)
    with pytest.raises(TooLarge):
        files.contents(tmp_path / "there", 2)
    assert [*files] == [tmp_path / "there", tmp_path / "missing"]


@pytest.mark.parametrize("how", ["content", "gone", "came", "link"])
def test_a_change_is_told_by_content(tmp_path: Path, how: str) -> None:
    """Times and inodes do not count, what a path leads to does."""
    files, path = Files(), tmp_path / "file"
    (tmp_path / "other").write_text("another")
    if how != "came":
        path.write_text("same")
    try:
        files.contents(path, 100)
    except Unreadable:
        assert how == "came"
    assert files.now() == files.then()
    if how in {"gone", "link"}:
        path.unlink()
    if how == "link":
        path.symlink_to("other")
    elif how != "gone":
        path.write_text("another")
    assert files.now() != files.then()
    if how == "content":
        path.unlink()
        path.write_text("same")
        assert files.now() == files.then()


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    """One more, one less and one that says something else are seen; folders in it and hidden names are not."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "one").write_text("1")
    files = Files()
    seen = [files.note(folder)]
    for name, text in (("one", "2"), ("two", "1")):
        (folder / name).write_text(text)
        seen.append(files.note(folder))
    (folder / "one").unlink()
    seen.append(files.note(folder))
    assert len({*seen}) == 4
    (folder / "..2026").mkdir()
    (folder / ".hidden").write_text("x")
    (folder / "below").mkdir()
    assert files.now() == files.then()


def test_the_folders_of_what_is_watched(tmp_path: Path) -> None:
    """That of a link and that of what it leads to; of what is not there the nearest that is; a folder itself."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    (tmp_path / "link").symlink_to("data/file")
    files = Files()
    files.contents(tmp_path / "link", 10)
    assert files.folders() == {tmp_path, tmp_path / "data"}
    lost = Files()
    with pytest.raises(Unreadable):
        lost.contents(tmp_path / "data" / "no" / "where", 10)
    assert lost.folders() == {tmp_path / "data"}
    keys = Files()
    keys.note(tmp_path / "data")
    assert keys.folders() == {tmp_path / "data"}


def test_files_of_another_are_known_as_they_are_now(tmp_path: Path) -> None:
    """So that what has changed before is no change any more."""
    first, second, path = Files(), Files(), tmp_path / "file"
    path.write_text("old")
    first.contents(path, 100)
    path.write_text("new")
    assert first.now() != first.then()
    second.add(first)
    assert [*second] == [path]
    assert second.now() == second.then() == first.now()
    assert first.anew().then() == first.now()


def test_all_that_a_configuration_is_made_of(tmp_path: Path) -> None:
    """The routing file, what it extends, its secrets and keys; and the authorities, where the API is behind TLS."""
    path, key = tmp_path / "gateway.yaml", tmp_path / "signing.jwk"
    (tmp_path / "secret").write_text("s3cr3t")
    path.write_text(f"extends: {MOLTIN}\nupstream: {{credential: {{client_secret: '${{file:secret}}'}}}}\n")
    environ = environment(tmp_path, "http://up.example")
    files = Files()
    load(path, environ, files)
    assert {*files} == {path, MOLTIN, tmp_path / "secret", key}
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("none")
    files = Files()
    environ |= {"UPSTREAM_URL": "https://up.example", "SSL_CERT_FILE": str(bundle)}
    first = load_all(path, environ, files)
    assert bundle in {*files}
    bundle.write_text("others")
    second = load_all(path, environ, Files())
    assert first.config == second.config
    assert first.version != second.version


def test_what_proves_a_token_endpoint_elsewhere(tmp_path: Path) -> None:
    """Its authorities count as those of the API do, which may itself be reached without TLS."""
    authority = Authority.new(tmp_path)
    path, files = tmp_path / "gateway.yaml", Files()
    credential = f"{{url: 'https://auth.example/token', tls: {{ca_file: {authority.file}}}}}"
    path.write_text(f"extends: {MOLTIN}\nupstream: {{credential: {credential}}}\n")
    load_all(path, environment(tmp_path, "http://up.example"), files)
    assert authority.file in {*files}
