"""A file whose name is gone is still there, and is written again, never over another one."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from bela_module.errors import RecordingError
from bela_module.lab_recording import kept_file
from bela_module.lab_recording.kept_file import KeptFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="removes no open file")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "x.xdf"
    path.parent.mkdir()
    path.write_bytes(b"XDF:")
    return path


@pytest.mark.parametrize("is_moved", [True, False])
def test_what_is_written_after_its_removal_is_restored(path: Path, is_moved: bool) -> None:
    with KeptFile(path) as kept, path.open("ab", buffering=0) as writer:
        writer.write(b"before")
        assert not kept.is_gone
        if is_moved:
            path.parent.rename(path.parent.with_name("other"))
        else:
            path.unlink()
            path.parent.rmdir()
        assert kept.is_gone
        writer.write(b" after")
        kept.restore()
    assert path.read_bytes() == b"XDF:before after"


def test_another_file_of_its_name_is_left_alone(path: Path) -> None:
    for name in ("x_restored.xdf", "x_restored2.xdf"):
        with KeptFile(path) as kept:
            path.unlink()
            path.write_bytes(b"theirs")
            assert kept.is_gone
            assert kept.restore() == path.with_name(name)
        assert path.read_bytes() == b"theirs"
        path.write_bytes(b"XDF:again")
    assert path.with_name("x_restored.xdf").read_bytes() == b"XDF:"
    assert path.with_name("x_restored2.xdf").read_bytes() == b"XDF:again"


@pytest.mark.parametrize(
    ("is_moved", "words"), [(False, "are lost"), (True, "are where it was moved to")]
)
def test_nothing_is_left_of_a_copy_that_fails(
    path: Path, is_moved: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(_: BinaryIO, to: BinaryIO) -> None:
        to.write(b"XD")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_file.shutil, "copyfileobj", copy)
    with KeptFile(path) as kept:
        if is_moved:
            path.rename(path.with_name("moved.xdf"))
        else:
            path.unlink()
        with pytest.raises(RecordingError, match=f"again: No space left .*; its samples {words}"):
            kept.restore()
    assert not path.exists()


def test_a_folder_that_is_a_file_by_now(path: Path) -> None:
    with KeptFile(path) as kept:
        path.unlink()
        path.parent.rmdir()
        path.parent.write_bytes(b"theirs")
        with pytest.raises(RecordingError, match="again: .*; its samples are lost"):
            kept.restore()
    assert path.parent.read_bytes() == b"theirs"


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        KeptFile(tmp_path / "none")
