"""One client's websocket on the simulated board."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from websockets.asyncio.server import ServerConnection

from bela_module.connection.websocket import SteadyConnection
from bela_module.simulator.network.link import Link

CHANNELS: Final = {"/gui_control": "control", "/gui_data": "data"}


class ConnectionOwner(Protocol):
    """The board that a connection belongs to."""

    connections: set[BoardConnection]
    silent_channels: frozenset[str | None]


class BoardConnection(SteadyConnection, ServerConnection):
    """A connection that ends as the board's does, and can fall silent.

    The board does not answer a close frame: it closes TCP. A silent one writes nothing at all,
    not even the answer to the opening handshake or to a ping.
    """

    board: ConnectionOwner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be known to the board, which ends all its connections, also half-open ones."""
        super().connection_made(transport)
        self.board.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be forgotten."""
        self.board.connections.discard(self)
        super().connection_lost(exc)

    @property
    def channel(self) -> str | None:
        """``control`` or ``data``; ``None`` as long as it has not said which."""
        return None if self.request is None else CHANNELS.get(self.request.path)

    def send_data(self) -> None:
        """Write what the protocol has to say, or less."""
        if self.channel in self.board.silent_channels:
            self.protocol.data_to_send()
        elif self.protocol.close_rcvd is not None and self.protocol.close_rcvd_then_sent:
            self.transport.close()
        else:
            super().send_data()


@dataclass(eq=False, slots=True)
class ClientChannel:
    """One connection to the board.

    Attributes
    ----------
    connection : ServerConnection
        Its websocket.
    channel : str
        ``control`` or ``data``.
    inbound, outbound : Link
        The way to the board and from it.
    replied, active : bool
        Control only: whether it answered the connection event, and whether it wants data.
    """

    connection: ServerConnection
    channel: str
    inbound: Link
    outbound: Link
    replied: bool = False
    active: bool = True
