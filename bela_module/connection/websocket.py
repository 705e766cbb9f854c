"""A websocket that can be closed, and written to, also after its other end has gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State


class SteadyConnection(Connection):
    """A connection whose loss is never taken for a defect.

    When the other end stops sending while something still waits to be written, asyncio (in
    Python 3.11) takes the transport apart without noting that it is closed. To abort it once
    more, as websockets does to be sure, then raises AttributeError.
    """

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the websocket, if it is not closed."""
        with contextlib.suppress(ConnectionClosed), self._naming_the_loss():
            await super().close(code, reason)

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        """Send a message.

        Raises
        ------
        ConnectionClosed
            When the other end has gone.
        """
        with self._naming_the_loss():
            await super().send(message, text=text)

    @contextlib.contextmanager
    def _naming_the_loss(self) -> Iterator[None]:
        try:
            yield
        except AttributeError as error:
            if self.state is not State.CLOSED:
                raise
            raise self.protocol.close_exc from error
