"""Server of the simulated board's two websockets: clients, broadcast, trouble of the network.

What a board sends comes from a subclass: ``SimulatedBoard`` or ``ReplayedBoard``.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from bela_module.errors import BoardError
from bela_module.simulator import board_json
from bela_module.simulator.network.board_connection import (
    CHANNELS,
    BoardConnection,
    ClientChannel,
    is_ping,
)
from bela_module.simulator.network.delays import HoldTimes, Network
from bela_module.simulator.network.link import Link
from bela_module.simulator.network.listener import Listener
from bela_module.simulator.network.loop_thread import LoopThread
from bela_module.simulator.network.nagle import NagleQueue, TcpTiming

ChannelChoice = Literal["both", "control", "data"]
"""The websockets that a fault affects."""

# None stands for connections before their opening handshake.
_CHANNELS_OF: Final[Mapping[ChannelChoice, frozenset[str | None]]] = MappingProxyType(
    {
        "both": frozenset({None, "control", "data"}),
        "control": frozenset({"control"}),
        "data": frozenset({"data"}),
    }
)

QUEUE_BYTES: Final = 16 * 2**20
"""Bytes that the board queues for a slow reader before it drops the connection."""

_KEPT_MESSAGES: Final = 10_000

_log = logging.getLogger(__name__)


class BoardServer(LoopThread):
    """A board's websocket server in a thread of its own; use it in a ``with`` statement."""

    def __init__(
        self, *, host: str, port: int, network: Network, seed: int, tcp: TcpTiming
    ) -> None:
        super().__init__()
        self.host = host
        self.control_messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
        """Messages of clients on the control channel, the latest 10 000."""
        self.random = np.random.default_rng(seed)
        self._network = network
        self._tcp = tcp
        self._holds: tuple[HoldTimes, HoldTimes] | None = None
        self._clients: list[ClientChannel] = []
        self.silent_channels: frozenset[str | None] = frozenset()
        """Channels on which nothing is written; set by :meth:`go_silent`."""
        self.connections: set[BoardConnection] = set()
        """All TCP connections, also before the opening handshake and after the closing one."""
        self._listener = Listener(host, port, CHANNELS, self._handle, self._connection_type())
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port listened on; the same after :meth:`refuse_connections`."""
        return self._listener.port

    # ---- implemented by a board ----------------------------------------------------------

    @property
    @abstractmethod
    def project(self) -> str:
        """Name of the project, for the connection event."""

    @abstractmethod
    async def run(self) -> None:
        """Send data when they are due, in the event loop, until cancelled."""

    @abstractmethod
    def receive_control(self, client: ClientChannel, text: str) -> None:
        """Handle a message on the control channel, in the event loop."""

    @abstractmethod
    def receive_data(self, client: ClientChannel, message: bytes) -> None:
        """Handle a message on the data channel, in the event loop."""

    @abstractmethod
    def on_clients_changed(self) -> None:
        """Handle that a client connected, disconnected, paused or resumed."""

    # ---- state ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Address without the path, ``ws://host:port``."""
        return f"ws://{self.host}:{self.port}"

    @property
    def silent(self) -> bool:
        """Whether it writes nothing on at least one of its websockets."""
        return bool(self.silent_channels)

    @property
    def n_clients(self) -> int:
        """Number of open websockets, control and data."""
        return len(self._clients)

    # ---- trouble with connections and the network ----------------------------------------

    def disconnect(self, *, clean: bool = False, socket: ChannelChoice = "both") -> None:
        """Close the connections of some channels.

        With ``clean`` a close frame is sent first, which a board never does by itself.
        """
        self._in_loop(lambda: self._disconnect(clean=clean, socket=socket))

    def refuse_connections(self, refuse: bool) -> None:
        """Stop listening, or listen again; open connections stay."""
        loop = self._running_loop()
        change = self._listener.refuse() if refuse else self._listener.listen()
        if not self._is_in_thread():
            asyncio.run_coroutine_threadsafe(change, loop).result()
            return
        task = loop.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def go_silent(self, silent: bool, *, socket: ChannelChoice = "both") -> None:
        """Stop writing on present and new connections, or resume; TCP itself stays up."""
        channels = _CHANNELS_OF[socket]

        def change() -> None:
            old = self.silent_channels
            self.silent_channels = old | channels if silent else old - channels

        self._in_loop(change)

    def stall_network(self, duration_s: float) -> None:
        """Hold back all messages in both directions for some time; nothing is lost."""

        def stall() -> None:
            for client in self._clients:
                client.inbound.stall(duration_s)
                client.outbound.stall(duration_s)

        self._in_loop(stall)

    def set_network(self, network: Network) -> None:
        """Change the delays of all connections."""

        def change() -> None:
            self._network = network
            self._holds = None
            for client in self._clients:
                self._configure(client)

        self._in_loop(change)

    # ---- for subclasses, in the event loop -----------------------------------------------

    @property
    def wants_data(self) -> bool:
        """Whether any control client has answered and is not paused."""
        return any(client.replied and client.active for client in self._clients)

    @property
    def has_ready_client(self) -> bool:
        """Whether data are wanted and a data websocket is open."""
        return self.wants_data and any(self._on("data"))

    def send_control(self, message: str | bytes) -> None:
        """Send a message to all control clients; a board sends nothing but text."""
        self._send("control", message)

    def send_data(self, message: bytes) -> None:
        """Send a message to all data clients."""
        self._send("data", message)

    def handle_event(self, client: ClientChannel, root: dict[str, Any]) -> None:
        """Handle a client's event: its reply to the connection event, a pause, a resumption."""
        match root.get("event"):
            case "connection-reply":
                client.replied = True
            case "active":
                client.active = True
            case "inactive":
                client.active = False
            case _:
                return
        self.on_clients_changed()

    # ---- the event loop ------------------------------------------------------------------

    async def _set_up(self) -> None:
        try:
            await self._listener.listen()
        except OSError as error:
            raise BoardError(f"cannot listen on {self.host}:{self.port}: {error}") from error

    async def _serve(self, stop: asyncio.Event) -> None:
        behaviour = asyncio.create_task(self._run_logged())
        await stop.wait()
        behaviour.cancel()
        await self._listener.close()
        await asyncio.gather(behaviour, return_exceptions=True)
        while self.connections:
            for connection in self.connections:
                connection.transport.abort()
            await asyncio.sleep(0)

    async def _run_logged(self) -> None:
        try:
            await self.run()
        except Exception:
            _log.exception("the simulated board failed")
            raise

    def _connection_type(self) -> type[BoardConnection]:
        class ConnectionToThis(BoardConnection):
            board = self

        return ConnectionToThis

    async def _handle(self, connection: ServerConnection) -> None:
        client = self._new_client(connection)
        self._configure(client)
        self._clients.append(client)
        try:
            if client.channel == "control":
                self.send_control(board_json.connection_event(self.project))
            self.on_clients_changed()
            async for message in connection:
                client.nagle.on_request_sent()
                client.inbound.send(message)
        except ConnectionClosed:
            _log.debug("a client of the simulated board left without a close frame")
        finally:
            self._clients.remove(client)
            client.inbound.close()
            client.outbound.close()
            client.nagle.close()
            self.on_clients_changed()

    def _new_client(self, connection: ServerConnection) -> ClientChannel:
        if not isinstance(connection, BoardConnection) or connection.request is None:
            raise BoardError("a connection that is none of the board's")
        random = self.random
        to_board, to_client = self._network.to_board, self._network.to_client
        inbound = Link(lambda m: self._deliver_to_board(client, m), to_board, random)
        outbound = Link(lambda m: self._deliver_to_client(client, m), to_client, random)
        nagle = NagleQueue(
            outbound.send, connection.is_acknowledged, lambda: inbound.delay.draw_s(random)
        )
        client = ClientChannel(
            connection, CHANNELS[connection.request.path], inbound, outbound, nagle
        )
        return client

    def _configure(self, client: ClientChannel) -> None:
        """Apply the network's delays, and Nagle's algorithm: the system's own, or an imitation."""
        network, tcp = self._network, self._tcp
        if self._holds is None:
            now_s = asyncio.get_running_loop().time()
            self._holds = (
                HoldTimes(network.to_board, self.random, now_s),
                HoldTimes(network.to_client, self.random, now_s),
            )
        client.inbound.delay, client.outbound.delay = network.to_board, network.to_client
        client.inbound.holds, client.outbound.holds = self._holds
        uses_nagle = tcp.nagle and client.channel == "control"
        imitates = uses_nagle and (tcp.ack_delay_s is not None or not network.is_immediate)
        client.nagle.configure(imitates, tcp.ack_delay_s)
        client.connection.set_nagle(uses_nagle and not imitates)

    def _deliver_to_board(self, client: ClientChannel, message: str | bytes) -> None:
        client.nagle.on_request_arrived()
        if client.channel in self.silent_channels:
            return
        if client.channel == "control" and isinstance(message, str):
            self.control_messages.append(message)
            self.receive_control(client, message)
        elif client.channel == "control" and is_ping(message):
            client.nagle.send(message)
        elif client.channel == "data" and isinstance(message, bytes):
            self.receive_data(client, message)

    def _deliver_to_client(self, client: ClientChannel, message: str | bytes) -> None:
        transport = client.connection.transport
        if transport.is_closing():
            return
        waiting_bytes = transport.get_write_buffer_size() + client.outbound.waiting_bytes
        waiting_bytes += client.nagle.waiting_bytes
        if waiting_bytes + len(message) > QUEUE_BYTES:
            transport.abort()
            return
        if client.channel == "control" and is_ping(message):
            client.connection.send_pong(message)
        else:
            broadcast([client.connection], message)
        client.nagle.on_delivered()

    def _send(self, channel: str, message: str | bytes) -> None:
        for client in self._on(channel):
            client.nagle.send(message)

    def _on(self, channel: str) -> Iterator[ClientChannel]:
        return (client for client in self._clients if client.channel == channel)

    def _disconnect(self, *, clean: bool = False, socket: ChannelChoice = "both") -> None:
        channels = _CHANNELS_OF[socket]
        for client in self._clients:
            client.replied = client.replied and client.channel not in channels
        for connection in self.connections:
            if connection.channel not in channels:
                continue
            if clean and connection.protocol.state is State.OPEN:
                connection.protocol.send_close(CloseCode.GOING_AWAY)
                connection.send_data()
            connection.transport.close()
