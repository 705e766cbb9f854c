"""Options of streaming into Python: saving and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypedDict

from pydantic import model_validator

from bela_module.recording.file_writers import FileFormat
from bela_module.scripting.receiver import Saving


class StreamingOptions(TypedDict, total=False):
    """Options of every method that streams.

    Attributes
    ----------
    saving_enabled : bool
        Whether each variable is saved into a file of its own; not by default.
    saving_filename : str
        Ending of the files' names, "var_stream.txt" by default: the file of ``pot1`` is
        ``pot1_var_stream.txt``, or ``pot1_var_stream__1.txt`` when that is there already.
    saving_dir : path-like
        Folder of the files; by default the current one.
    saving_format : {"text", "compact"}
        The tutorial's text, by default, or NumPy's ``.npy``; ``file_writers`` has both.
    on_buffer_callback : callable
        Called with each buffer, ``{"name": ..., "buffer": ...}``, in a thread of its own. May be
        a coroutine function.
    on_block_callback : callable
        Called with a list of one buffer for each variable, all of the same span of ticks.
    callback_args : object
        What the callback is given besides: a tuple of arguments, or a single one.
    """

    saving_enabled: bool
    saving_filename: str
    saving_dir: str | Path
    saving_format: FileFormat
    on_buffer_callback: Callable[..., Any] | None
    on_block_callback: Callable[..., Any] | None
    callback_args: Any


class CheckedOptions(Saving):
    """``StreamingOptions`` after validation."""

    on_buffer_callback: Callable[..., Any] | None = None
    on_block_callback: Callable[..., Any] | None = None
    callback_args: Any = ()

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.on_buffer_callback is not None and self.on_block_callback is not None:
            raise ValueError("on_buffer_callback and on_block_callback exclude each other")
        return self
