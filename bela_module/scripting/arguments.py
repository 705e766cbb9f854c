"""Arguments of the Python interface: their checks, options of saving, and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AfterValidator, model_validator

from bela_module.errors import ArgumentError, RequestError
from bela_module.recording.file_writers import FileFormat
from bela_module.requests import Request, make_request

AnyArguments = TypeVar("AnyArguments", bound=Request)
DEFAULT_FILENAME: Final = "var_stream.txt"


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ValueError(f"must be a folder: {error}") from error


class Saving(Request):
    """Whether a run is saved, where, and how."""

    saving_enabled: bool = False
    saving_filename: str = DEFAULT_FILENAME
    saving_dir: Annotated[Path, AfterValidator(_expanded)] = Path()
    saving_format: FileFormat = "text"


class StreamingOptions(Saving):
    """Options of every method that streams, after validation."""

    on_buffer_callback: Callable[..., Any] | None = None
    on_block_callback: Callable[..., Any] | None = None
    callback_args: Any = ()

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.on_buffer_callback is not None and self.on_block_callback is not None:
            raise ValueError("on_buffer_callback and on_block_callback exclude each other")
        return self


def check_arguments(model: type[AnyArguments], **arguments: object) -> AnyArguments:
    """Validate the arguments of a call.

    Parameters
    ----------
    model : type of Request
        What they must be.
    **arguments
        The arguments, by name.

    Raises
    ------
    ArgumentError
        When one is not; the message names it, its value and what is allowed.
    """
    try:
        return make_request(model, arguments)
    except RequestError as error:
        raise ArgumentError(str(error)) from None


def make_saving(enabled: object, filename: object, folder: object, file_format: object) -> Saving:
    """Validate the options of saving.

    Raises
    ------
    ArgumentError
        When one is not what it must be.
    """
    return check_arguments(
        Saving,
        saving_enabled=enabled,
        saving_filename=filename,
        saving_dir=folder,
        saving_format=file_format,
    )


def make_options(
    saving: tuple[object, object, object, object], callbacks: tuple[object, object, object]
) -> StreamingOptions:
    """Validate the options of a method that streams.

    Parameters
    ----------
    saving : tuple
        Whether, the file name (None: the default), the folder and the format.
    callbacks : tuple
        Of buffers, of blocks, and the arguments of either.

    Raises
    ------
    ArgumentError
        When one is not what it must be.
    """
    enabled, filename, folder, file_format = saving
    on_buffer, on_block, arguments = callbacks
    return check_arguments(
        StreamingOptions,
        saving_enabled=enabled,
        saving_filename=DEFAULT_FILENAME if filename is None else filename,
        saving_dir=folder,
        saving_format=file_format,
        on_buffer_callback=on_buffer,
        on_block_callback=on_block,
        callback_args=arguments,
    )
