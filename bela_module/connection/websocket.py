"""Websocket connection that survives a lost transport when it is closed or written to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State


class SteadyConnection(Connection):
    """A connection that reports a lost transport as ConnectionClosed.

    When the other end stops sending while bytes wait to be written, asyncio (in Python 3.11)
    dismantles the transport without marking it as closed. When websockets then aborts it once
    more, that raises AttributeError.
    """

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the websocket, if it is not closed."""
        with contextlib.suppress(ConnectionClosed), self._translate_lost_transport():
            await super().close(code, reason)

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        """Send a message.

        Raises
        ------
        ConnectionClosed
            When the other end has gone.
        """
        with self._translate_lost_transport():
            await super().send(message, text=text)

    @contextlib.contextmanager
    def _translate_lost_transport(self) -> Iterator[None]:
        try:
            yield
        except AttributeError as error:
            if self.state is not State.CLOSED:
                raise
            raise self.protocol.close_exc from error
