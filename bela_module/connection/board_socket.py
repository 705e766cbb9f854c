"""One websocket of a board: opening, closing, and the time at which bytes arrive."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bela_module.connection.host_resolver import resolve
from bela_module.connection.time_limits import CLOSE_HANDSHAKE_S
from bela_module.connection.websocket import SteadyConnection
from bela_module.errors import ConnectError

Clock = Callable[[], float]

_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)

ACKNOWLEDGES_QUICKLY: Final = _QUICK_ACK is not None
"""Whether what arrives is acknowledged at once, as Linux can."""


class BoardSocket(SteadyConnection, ClientConnection):
    """A websocket that stores the time at which bytes arrive, before they are parsed."""

    now: Clock
    received_s: float = 0.0

    def data_received(self, data: bytes) -> None:
        """Store the time, acknowledge, and parse the bytes."""
        self.received_s = self.now()
        self._acknowledge()
        super().data_received(data)

    def _acknowledge(self) -> None:
        """Have the system acknowledge at once, once: it goes back to delays by itself.

        The board holds back a small message while an earlier one is not acknowledged (Nagle's
        algorithm). A late acknowledgement would make replies to others arrive with ours, and old.
        """
        connected: socket.socket | None = self.transport.get_extra_info("socket")
        if _QUICK_ACK is not None and connected is not None:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                connected.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


async def open_socket(url: str, max_bytes: int, now: Clock, timeout_s: float) -> BoardSocket:
    """Open one websocket of a board within a time limit.

    Raises
    ------
    ConnectError
        When nothing listens there, or it is no Watcher.
    """

    def stamped(*args: Any, **kwargs: Any) -> BoardSocket:
        connection = BoardSocket(*args, **kwargs)
        connection.now = now
        return connection

    try:
        opened = await connect(
            url,
            host=await resolve(urlsplit(url).hostname or "", timeout_s),
            create_connection=stamped,  # type: ignore[arg-type]
            compression=None,  # the board negotiates no extension
            proxy=None,
            open_timeout=timeout_s,
            close_timeout=CLOSE_HANDSHAKE_S,
            ping_interval=None,  # regular list requests tell sooner that nobody answers
            max_size=max_bytes,
        )
    except TimeoutError:
        raise ConnectError(url, f"no answer in {timeout_s:.1f} s") from None
    except (WebSocketException, OSError, ValueError) as error:
        raise ConnectError(url, str(error) or type(error).__name__) from error
    if not isinstance(opened, BoardSocket):
        raise ConnectError(url, "the websocket library made another kind of connection")
    return opened


async def close_socket(connection: ClientConnection) -> None:
    """Close a websocket in any state."""
    with contextlib.suppress(WebSocketException, OSError):
        await connection.close()
