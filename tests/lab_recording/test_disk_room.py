"""Room on the disk: full, full soon, and not known."""

from __future__ import annotations

from pathlib import Path

from bela_module.lab_recording.disk_room import FULL_BYTES, DiskRoom, free_bytes

GIB = 1 << 30


def room(tmp_path: Path, free: int | None) -> DiskRoom:
    return DiskRoom(tmp_path / "x.xdf", lambda _path: free)


def test_a_full_disk(tmp_path: Path) -> None:
    problem = room(tmp_path, FULL_BYTES - 1).problem()
    assert problem == (
        f"the disk of {tmp_path} is full: 31 MiB are left; make room, or record to another disk"
    )
    assert room(tmp_path, FULL_BYTES).problem() is None
    assert room(tmp_path, None).problem() is None


def test_a_disk_that_will_be_full_is_told_once(tmp_path: Path) -> None:
    filling = room(tmp_path, FULL_BYTES + GIB)
    assert filling.warning(GIB, 3600.0) is None  # for another hour
    assert filling.warning(GIB, 2.0) is None  # too early to tell
    assert filling.warning(0, 60.0) is None
    warning = filling.warning(GIB, 300.0)
    assert warning == f"the disk of {tmp_path} will be full in 5 minutes"
    assert filling.warning(GIB, 300.0) is None
    assert room(tmp_path, None).warning(GIB, 300.0) is None
    soon = room(tmp_path, FULL_BYTES + 1).warning(GIB, 300.0)
    assert soon == f"the disk of {tmp_path} will be full in a minute"


def test_the_real_room(tmp_path: Path) -> None:
    assert (free_bytes(tmp_path / "x.xdf") or 0) > 0
    assert free_bytes(tmp_path / "gone" / "x.xdf") is None
