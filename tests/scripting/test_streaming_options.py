"""Options of streaming into Python, and their validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bela_module.errors import RequestError
from bela_module.requests import make_request
from bela_module.scripting.streaming_options import CheckedOptions, StreamingOptions


def test_every_documented_option_is_checked() -> None:
    assert StreamingOptions.__annotations__.keys() == CheckedOptions.model_fields.keys()
    for name in StreamingOptions.__annotations__:
        assert f"{name} : " in (StreamingOptions.__doc__ or "")


def test_the_defaults_save_nothing_and_call_nothing() -> None:
    options = make_request(CheckedOptions, {})
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
    with pytest.raises(RequestError, match=words):
        make_request(CheckedOptions, given)
