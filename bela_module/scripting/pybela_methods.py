"""Methods that scripts written for pybela call besides: sizes of buffers, raw commands, ssh."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from bela_module.errors import ArgumentError, RequestError
from bela_module.protocol.variables import PAYLOAD_BYTES, BlockLayout, ValueType
from bela_module.validation import shown

_NO_SSH: Final = (
    "this module does not log in to the board; copy the file with scp or rsync, as in "
    "scp root@bela.local:Bela/projects/PROJECT/FILE ."
)


class BoardChannel:
    """One of a board's two websockets, as far as scripts look at it.

    Parameters
    ----------
    is_open : callable
        Tells whether it is open.
    close : callable
        Closes the connection, of which it is one half.
    """

    def __init__(self, is_open: Callable[[], bool], close: Callable[[], None]) -> None:
        self._is_open = is_open
        self._close = close

    @property
    def state(self) -> int:
        """1 while it is open, 3 when it is closed, as in the library ``websockets``."""
        return 1 if self._is_open() else 3

    async def close(self) -> None:
        """Disconnect from the board."""
        self._close()


class SizeMethods:
    """Sizes of values and blocks, by the letter of the type and the timestamp mode."""

    def get_data_length(self, var_type: str, timestamp_mode: str) -> int:
        """Tell how many values a full block holds; 0 for a type or mode that there is not."""
        layout = _layout(var_type, timestamp_mode)
        return layout.value_count if layout is not None else 0

    def get_data_byte_size(self, var_type: str) -> int:
        """Tell how many bytes a value has; 0 for a type that there is not."""
        layout = _layout(var_type, "dense")
        return layout.value_type.dtype.itemsize if layout is not None else 0

    def get_buffer_size(self, var_type: str, timestamp_mode: str) -> int:
        """Tell how many bytes a block has; 0 for a type or mode that there is not."""
        return PAYLOAD_BYTES if _layout(var_type, timestamp_mode) is not None else 0


def _layout(var_type: str, timestamp_mode: str) -> BlockLayout | None:
    if var_type not in list(ValueType) or timestamp_mode not in ("dense", "sparse"):
        return None
    return BlockLayout(ValueType(var_type), timestamp_mode == "sparse")


class SshMethods:
    """Methods that would log in to the board, which this module does not."""

    def connect_ssh(self) -> NoReturn:
        """Refuse to log in to the board.

        Raises
        ------
        RequestError
            Always; it says what to do instead.
        """
        raise RequestError(f"connect_ssh: {_NO_SSH}")

    def disconnect_ssh(self) -> None:
        """Do nothing: there is no such connection."""

    def copy_file_from_bela(
        self, remote_path: str, local_path: str, verbose: bool = True
    ) -> NoReturn:
        """Refuse to copy a file from the board.

        Raises
        ------
        RequestError
            Always; it says what to do instead.
        """
        raise RequestError(f"copy_file_from_bela({shown(remote_path)}): {_NO_SSH}")


def commands_of(message: object) -> list[dict[str, Any]]:
    """Find the Watcher commands of a control message.

    Parameters
    ----------
    message : object
        Such as ``{"watcher": [{"cmd": "list"}]}``.

    Raises
    ------
    ArgumentError
        When it is no such message.
    """
    commands = message.get("watcher") if isinstance(message, Mapping) else None
    named = isinstance(commands, list) and all(
        isinstance(command, dict) and isinstance(command.get("cmd"), str) for command in commands
    )
    if not isinstance(commands, list) or not named or not commands:
        raise ArgumentError(
            f"message = {shown(message)}: must be like "
            '{"watcher": [{"cmd": "watch", "watchers": ["pot1"]}]}'
        )
    return commands


class LoopMethods:
    """An event loop for scripts that run coroutines of this interface from plain code."""

    _own_loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs in this thread, as in a notebook, else one of its own.

        Nothing of this interface needs it: methods may be called with any loop or none.
        """
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            pass
        if self._own_loop is None or self._own_loop.is_closed():
            self._own_loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._own_loop)  # asyncio.gather() looks for it there
            weakref.finalize(self, self._own_loop.close)
        return self._own_loop

    def _close_loop(self) -> None:
        loop = self._own_loop
        if loop is not None and not loop.is_running() and not loop.is_closed():
            loop.close()
            asyncio.set_event_loop(None)
