"""Names of recordings: templates, runs that count up, nothing written over."""

from __future__ import annotations

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bela_module.errors import RecordingError, RequestError
from bela_module.lab_recording.file_names import FileTemplate, NameParts, checked_label

NOW = datetime(2026, 5, 4, 13, 2, 1, tzinfo=UTC)
P01 = NameParts(subject="01", task="rest")


def reserved(folder: Path, file: str | None, parts: NameParts = P01) -> str:
    path = FileTemplate(file, parts).reserve(folder, NOW)
    assert path.read_bytes() == b""
    return path.relative_to(folder).as_posix()


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (NameParts(), "bela_2026-05-04_13-02-01.xdf"),
        (P01, "sub-01_task-rest_run-01.xdf"),
        (NameParts("a", "2", "x", 12), "sub-a_ses-2_task-x_run-12.xdf"),
        (NameParts(run=3), "run-03.xdf"),
    ],
)
def test_default_names(parts: NameParts, name: str, tmp_path: Path) -> None:
    assert reserved(tmp_path / "new", None, parts) == name
    assert reserved(tmp_path, str(tmp_path / "new2" / "x"), NameParts()) == "new2/x.xdf"


def test_runs_count_up_past_what_exists(tmp_path: Path) -> None:
    assert reserved(tmp_path, None) == "sub-01_task-rest_run-01.xdf"
    (tmp_path / "sub-01_task-rest_run-02.json").touch()
    (tmp_path / "sub-01_task-rest_run-03.md").touch()
    assert reserved(tmp_path, None) == "sub-01_task-rest_run-04.xdf"
    given = NameParts(subject="01", task="rest", run=4)
    with pytest.raises(RecordingError, match=r"run-04.xdf exists already.*leave --run away"):
        reserved(tmp_path, None, given)


def test_a_folder_takes_the_default_name_braces_or_not(tmp_path: Path) -> None:
    folder = tmp_path / "a{b}"
    folder.mkdir()
    assert reserved(tmp_path, str(folder)) == "a{b}/sub-01_task-rest_run-01.xdf"
    assert reserved(folder, None) == "sub-01_task-rest_run-02.xdf"


def test_templates(tmp_path: Path) -> None:
    template = str(tmp_path / "sub-{subject}" / "{task}_{run:03d}_{date}.XDF")
    assert reserved(tmp_path, template) == "sub-01/rest_001_2026-05-04.XDF"
    assert reserved(tmp_path, template) == "sub-01/rest_002_2026-05-04.XDF"


@pytest.mark.parametrize("suffix", ["xdf", "md", "json"])
def test_nothing_is_written_over(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"rest.{suffix}").write_text("precious")
    with pytest.raises(RecordingError, match=rf"rest.{suffix} exists already"):
        reserved(tmp_path, str(tmp_path / "rest"), NameParts())
    assert (tmp_path / f"rest.{suffix}").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("file", "parts", "words"),
    [
        ("rest.xdf", P01, "no place for {subject}, {task}"),
        ("{subject}_{task}", NameParts(subject="1"), "needs --task"),
        ("{participant}", NameParts(), "{participant}; known are {subject}"),
        ("{run.__class__}", NameParts(), "known are"),
        ("{run", NameParts(), "is no template"),
        ("{run:x.y}", NameParts(), "is no template"),
        ("rest.xdfz", NameParts(), "not compressed"),
        ("nowhere/", NameParts(), "no folder that exists"),
        ("", NameParts(), "no name"),
    ],
)
def test_wrong_names(file: str, parts: NameParts, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        FileTemplate(file, parts)
    assert words in str(caught.value)


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, _mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RecordingError, match="Permission denied; choose another folder"):
        reserved(tmp_path, None)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    template = FileTemplate(str(tmp_path / ("n" * 300)), NameParts())
    with pytest.raises(RecordingError, match="cannot be written: File name too long; choose"):
        template.reserve(Path(), NOW)
    with pytest.raises(RequestError, match="is no template: a field is too wide"):
        FileTemplate("{run:>1000000000}", NameParts())


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_dead_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "x.xdf").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordingError, match=r"x\.xdf exists already and is not written over"):
        FileTemplate(str(tmp_path / "x"), NameParts()).reserve(Path(), NOW)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot be written"):
        reserved(tmp_path, str(tmp_path / "file" / "x.xdf"), NameParts())


def test_labels() -> None:
    assert checked_label("subject", "sub-01") == checked_label("subject", "01") == "01"
    for wrong in ("", "a b", "../x", "a_b", "é"):
        with pytest.raises(ValueError, match="subject takes letters and digits"):
            checked_label("subject", wrong)
