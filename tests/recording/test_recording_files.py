"""Names of recordings that are free, and reading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.recording.recording_files import file_name_of, load_buffers, new_paths


def names(folder: Path, filename: str, *variables: str, suffix: str = ".txt") -> list[str]:
    paths = new_paths(folder, filename, suffix, variables)
    assert list(paths) == list(variables)
    return [path.name for path in paths.values()]


def test_each_variable_has_its_file(tmp_path: Path) -> None:
    assert names(tmp_path / "new" / "folder", "run.txt", "pot1", "pot2") == [
        "pot1_run.txt",
        "pot2_run.txt",
    ]
    assert (tmp_path / "new" / "folder").is_dir()


@pytest.mark.parametrize(
    ("filename", "expected"),
    [("run", "p_run.npy"), ("run.txt", "p_run.npy"), ("a.b", "p_a.b.npy"), ("x.npy", "p_x.npy")],
)
def test_the_suffix_is_the_formats(tmp_path: Path, filename: str, expected: str) -> None:
    assert names(tmp_path, filename, "p", suffix=".npy") == [expected]


def test_all_files_of_a_run_get_the_same_free_number(tmp_path: Path) -> None:
    (tmp_path / "b_run.txt").touch()
    (tmp_path / "a_run__2.txt").touch()
    assert names(tmp_path, "run.txt", "a", "b") == ["a_run__1.txt", "b_run__1.txt"]
    (tmp_path / "a_run__1.txt").touch()
    assert names(tmp_path, "run.txt", "a", "b") == ["a_run__3.txt", "b_run__3.txt"]
    assert names(tmp_path, "run.txt", "c") == ["c_run.txt"]


def test_variables_of_any_name_have_files_of_their_own(tmp_path: Path) -> None:
    assert names(tmp_path, "r.txt", "a/b", "a:b", "Pot", "pot", "") == [
        "a_b_r.txt",
        "a_b__r.txt",
        "Pot_r.txt",
        "pot__r.txt",
        "_r.txt",
    ]


@pytest.mark.parametrize("filename", ["", "a/b.txt", "../x", "/x", "a\0b", "a\nb"])
def test_a_folder_is_no_file_name(tmp_path: Path, filename: str) -> None:
    with pytest.raises(RequestError, match="saving_dir"):
        new_paths(tmp_path, filename, ".txt", ["a"])


def test_text_is_read_line_by_line_without_a_cut_last_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "run.txt"
    whole = {"ref_timestamp": 5, "data": [0.5, float("nan")]}
    path.write_text(json.dumps(whole) + "\n" + '{"ref_timesta')
    (buffer,) = load_buffers(path)
    assert buffer["ref_timestamp"] == 5
    np.testing.assert_array_equal(buffer["data"], [0.5, np.nan])
    assert "middle of a line" in caplog.text


def test_files_of_the_tutorials_library_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pot1_var_stream.txt"
    path.write_text('{"ref_timestamp": 1, "data": [1, 2]}\n{"ref_timestamp": 3, "data": [3, 4]}\n')
    assert [buffer["data"] for buffer in load_buffers(str(path))] == [[1, 2], [3, 4]]


def test_compact_files_are_one_buffer(tmp_path: Path) -> None:
    dtype = [("tick", "<i8"), ("lsl_s", "<f8"), ("value", "<f4")]
    np.save(tmp_path / "a.npy", np.array([(7, 0.7, 1), (9, 0.9, 2)], dtype))
    np.save(tmp_path / "none.npy", np.array([], dtype))
    (buffer,) = load_buffers(tmp_path / "a.npy")
    assert buffer["ref_timestamp"] == 7
    assert buffer["data"].tolist() == [1, 2]
    assert buffer["rel_timestamps"].tolist() == [0, 2]
    assert buffer["lsl_timestamps"].tolist() == [0.7, 0.9]
    assert load_buffers(tmp_path / "none.npy") == []


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.arange(3))
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "prose.txt").write_text("Dear reader,\n")
    (tmp_path / "list.txt").write_text("[1,2]\n")
    (tmp_path / "other.txt").write_text('{"data":[1]}\n')
    (tmp_path / "deep.txt").write_text("[" * 100_000 + "\n")
    there = ["plain.npy", "cut.npy", "empty.npy", "prose.txt", "list.txt", "other.txt", "deep.txt"]
    for name in (*there, "absent.txt", "absent.npy"):
        with pytest.raises(RequestError, match=name):
            load_buffers(tmp_path / name)
    none: Any = None
    with pytest.raises(RequestError, match="None is no path"):
        load_buffers(none)


@pytest.mark.parametrize(
    "filename",
    [
        "run:1",
        "a*",
        "x" * 201,
        "\u00e9" * 101,
        "CON",
        "nul.txt",
        "com1",
        "Lpt9.a.txt",
        ".",
        "..",
        " ",
    ],
)
def test_names_that_some_system_refuses_or_takes_for_something_else(
    tmp_path: Path, filename: str
) -> None:
    with pytest.raises(RequestError, match="saving_filename = .*: must be "):
        new_paths(tmp_path, filename, ".txt", ["a"])
    assert list(tmp_path.iterdir()) == []


def test_long_names_of_variables_are_cut_and_stay_apart(tmp_path: Path) -> None:
    found = names(tmp_path, "y" * 200, "a" * 300, "a" * 299 + "b", "\u00e9" * 300)
    assert len(set(found)) == 3
    for name in found:
        (tmp_path / name).touch()  # the system takes it


@pytest.mark.parametrize(
    ("project", "expected"),
    [("pots", "pots"), ("a/b:c", "a_b_c"), ("", "bela"), ("..", "bela"), ("con", "bela"),
     ("x" * 1000, "x" * 200)],
)  # fmt: skip
def test_a_project_gives_a_file_name(project: str, expected: str) -> None:
    assert file_name_of(project) == expected
