"""Folders of keys on the disk: what is read of them, and files that are replaced whole or not at all."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.interpolation import FILE_LIMIT
from gateway.config.key_folder import changing, read_folder, write_file


def test_every_file_is_read(tmp_path: Path) -> None:
    """In the order of their names; names with a dot in front belong to others."""
    for name in ("b.jwk", "a.pem", ".b.jwk.1234", "..data"):
        (tmp_path / name).write_text(name)
    folder = read_folder(tmp_path)
    assert (list(folder.texts.items()), folder.faults) == ([("a.pem", "a.pem"), ("b.jwk", "b.jwk")], ())
    assert "a.pem" not in repr(folder)


def test_a_kubernetes_volume(tmp_path: Path) -> None:
    """Files that are links through `..data`, which is swapped as a whole, are read behind it."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "key.jwk").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "key.jwk").symlink_to("..data/key.jwk")
    assert read_folder(tmp_path).texts == {"key.jwk": "1"}
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert read_folder(tmp_path).texts == {"key.jwk": "2"}


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Folders, pipes, large files and what is no text are faults by their names; nobody waits for a pipe."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (FILE_LIMIT + 1))
    (tmp_path / "latin").write_bytes(b"\xff")
    (tmp_path / "gone").symlink_to("nowhere")
    folder = read_folder(tmp_path)
    assert folder.texts == {}
    assert folder.faults == (
        "folder: not a regular file",
        "gone: No such file or directory",
        f"large: larger than {FILE_LIMIT} bytes",
        "latin: not UTF-8 text",
        "pipe: not a regular file",
    )


@pytest.mark.parametrize("name", ["nowhere", "file", "\0"])
def test_what_is_no_folder(tmp_path: Path, name: str) -> None:
    """A path that leads to no folder is one fault."""
    (tmp_path / "file").write_text("")
    folder = read_folder(tmp_path / name)
    assert (folder.texts, len(folder.faults)) == ({}, 1)


def test_too_many_files(tmp_path: Path) -> None:
    """A folder of anything else is not read file by file."""
    for number in range(201):
        (tmp_path / str(number)).touch()
    assert read_folder(tmp_path).faults == ("the folder holds more than 200 files",)


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    """The one in place is the new one, with the mode of the old one; a reader of the old one has all of it."""
    path = tmp_path / "key.jwk"
    write_file(path, "old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with path.open() as before:
        write_file(path, "new")
        assert before.read() == "old"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)
    assert [file.name for file in tmp_path.iterdir()] == ["key.jwk"]


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    """A file that lies elsewhere is to be changed there."""
    (tmp_path / "there").write_text("old")
    (tmp_path / "key.jwk").symlink_to("there")
    with pytest.raises(OSError, match="a link"):
        write_file(tmp_path / "key.jwk", "new")
    assert (tmp_path / "there").read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_a_file_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """An operator who works as root leaves no key that the gateway's user cannot read."""
    os.chown(tmp_path, 65534, 65534)
    write_file(tmp_path / "key.jwk", "new")
    assert ((tmp_path / "key.jwk").stat().st_uid, (tmp_path / "key.jwk").stat().st_gid) == (65534, 65534)
    os.chown(tmp_path, 0, 0)
    write_file(tmp_path / "key.jwk", "newer")
    assert (tmp_path / "key.jwk").stat().st_uid == 65534


def test_killed_at_any_moment_it_leaves_one_or_the_other(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves a whole file, and nothing that counts as one beside it."""
    path = tmp_path / "key.jwk"
    contents = [json.dumps({"n": number, "pad": "x" * 4096}) for number in range(2)]
    path.write_text(contents[0])
    program = (
        "import json, sys\nfrom itertools import count\nfrom pathlib import Path\n"
        "from gateway.config.key_folder import write_file\n"
        "print('ready', flush=True)\n"
        "for n in count():\n"
        "    write_file(Path(sys.argv[1]), json.dumps({'n': n % 2, 'pad': 'x' * 4096}))\n"
    )
    for _ in range(5):
        with subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        assert path.read_text() in contents
        assert list(read_folder(tmp_path).texts) == ["key.jwk"]


def test_who_changes_it_is_alone(tmp_path: Path) -> None:
    """A second one waits until the first is done."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom gateway.config.key_folder import changing\n"
        "print('asks', flush=True)\n"
        "with changing(Path(sys.argv[1])):\n"
        "    print(Path(sys.argv[1], 'done').exists(), flush=True)\n"
    )
    with changing(tmp_path):
        process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "asks\n"
        (tmp_path / "done").touch()
    with process:
        assert process.stdout.readline() == "True\n"
