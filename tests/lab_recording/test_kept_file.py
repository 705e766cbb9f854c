"""A file whose name is gone is still there, and is written anew, never over another one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bela_module.errors import RecordingError
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
    with KeptFile(path) as kept:
        path.unlink()
        path.write_bytes(b"theirs")
        assert kept.is_gone
        with pytest.raises(RecordingError, match="was moved or removed .* anew: File exists"):
            kept.restore()
    assert path.read_bytes() == b"theirs"


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        KeptFile(tmp_path / "none")
