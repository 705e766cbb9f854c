"""Options of streaming into Python, and their validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bela_module.errors import ArgumentError
from bela_module.scripting.arguments import (
    StreamingOptions,
    check_arguments,
    make_options,
    make_saving,
)


def test_the_defaults_save_nothing_and_call_nothing() -> None:
    options = check_arguments(StreamingOptions)
    assert not options.saving_enabled
    assert options.saving_filename == "var_stream.txt"
    assert options.saving_dir == Path()
    assert options.on_buffer_callback is options.on_block_callback is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"on_buffer_callback": print, "on_block_callback": print}, "exclude each other"),
        ({"on_buffer_callback": "print"}, "on_buffer_callback"),
        ({"saving_format": "xdf"}, "saving_format"),
        ({"callback": print}, "callback"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        check_arguments(StreamingOptions, **given)
    assert issubclass(ArgumentError, ValueError)


def test_the_arguments_of_a_call_become_options() -> None:
    options = make_options((True, None, "~", "csv"), (None, print, 7))
    assert options.saving_filename == "var_stream.txt"
    assert options.saving_dir == Path.home()
    assert (options.on_block_callback, options.callback_args) == (print, 7)
    saving = make_saving("yes", "a.txt", ".", "text")
    assert (saving.saving_enabled, saving.saving_filename) == (True, "a.txt")
    with pytest.raises(ArgumentError, match="saving_filename"):
        make_saving(True, 5, ".", "text")
