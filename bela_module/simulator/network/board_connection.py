"""The board's end of one websocket, with the links that delay its messages."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeGuard

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode

from bela_module.connection.websocket import SteadyConnection
from bela_module.simulator.network.link import Link
from bela_module.simulator.network.nagle import NagleQueue

CHANNELS: Final = {"/gui_control": "control", "/gui_data": "data"}

_PING_PREFIX: Final = b"ping "
_PONG_START: Final = bytes([0x80 | Opcode.PONG])

_UNACKED = struct.Struct("=24xI")
"""Where Linux has the number of unacknowledged segments in its ``tcp_info``."""


def is_ping(message: str | bytes) -> TypeGuard[bytes]:
    """Tell whether a message on the control channel is a ping, or the pong that answers it."""
    return isinstance(message, bytes) and message.startswith(_PING_PREFIX)


class ConnectionOwner(Protocol):
    """What a connection needs of its board."""

    connections: set[BoardConnection]
    silent_channels: frozenset[str | None]


class BoardConnection(SteadyConnection, ServerConnection):
    """A server connection that closes as the board's does, and can be silent.

    The board does not answer a close frame: it closes TCP. On the control channel it answers a ping
    in its turn, after what came before; the library would at once, so pings are given to the board
    like messages. A silent connection writes nothing at all, not even the answer to the opening
    handshake or to a ping.
    """

    board: ConnectionOwner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the board, which closes all its connections, also half-open ones."""
        super().connection_made(transport)
        self.board.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister."""
        self.board.connections.discard(self)
        super().connection_lost(exc)

    @property
    def channel(self) -> str | None:
        """``control`` or ``data``; ``None`` before the opening handshake."""
        return None if self.request is None else CHANNELS.get(self.request.path)

    def set_nagle(self, on: bool) -> None:
        """Let the system use Nagle's algorithm, which asyncio turns off, or not."""
        endpoint = self.transport.get_extra_info("socket")
        if endpoint is not None and not self.transport.is_closing():
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(not on))

    def is_acknowledged(self) -> bool:
        """Whether the client's system has acknowledged all that was written, as far as is known.

        Linux tells; on other systems it is never known.
        """
        endpoint = self.transport.get_extra_info("socket")
        if not hasattr(socket, "TCP_INFO") or endpoint is None or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size():
            return False
        info = endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
        return len(info) == _UNACKED.size and _UNACKED.unpack(info)[0] == 0

    def process_event(self, event: Any) -> None:
        """Queue a ping on the control channel among the messages: see :func:`is_ping`."""
        super().process_event(event)
        is_frame = type(event) is Frame and self.channel == "control"
        if is_frame and event.opcode is Opcode.PING:
            super().process_event(Frame(Opcode.BINARY, _PING_PREFIX + bytes(event.data)))

    def send_pong(self, ping: bytes) -> None:
        """Answer a ping, unless the connection is silent."""
        if self.channel not in self.board.silent_channels:
            pong = Frame(Opcode.PONG, ping.removeprefix(_PING_PREFIX))
            self.transport.write(pong.serialize(mask=False))

    def send_data(self) -> None:
        """Write the protocol's pending bytes, unless the connection is silent or closing."""
        if self.channel == "control":
            writes = self.protocol.writes
            self.protocol.writes = [sent for sent in writes if not sent.startswith(_PONG_START)]
        if self.channel in self.board.silent_channels:
            self.protocol.data_to_send()
        elif self.protocol.close_rcvd is not None and self.protocol.close_rcvd_then_sent:
            self.transport.close()
        else:
            super().send_data()


@dataclass(eq=False, slots=True)
class ClientChannel:
    """One websocket of a client: its connection, links and state."""

    connection: BoardConnection
    channel: str
    """``control`` or ``data``."""
    inbound: Link
    """Messages to the board."""
    outbound: Link
    """Messages from the board."""
    nagle: NagleQueue
    """In front of ``outbound``: messages that wait for the acknowledgement of earlier ones."""
    replied: bool = False
    """Control only: whether it answered the connection event."""
    active: bool = True
    """Control only: whether it has not paused the data."""
