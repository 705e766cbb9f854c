"""The two websockets of a board that is not there: server, clients and their links.

:class:`BoardServer` runs an event loop in a thread of its own, so the code under test cannot
tell it from a board. What the board *is* comes from a subclass: see
``SimulatedBoard`` and ``ReplayedBoard``.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from bela_module.errors import BoardError
from bela_module.simulator import board_json
from bela_module.simulator.network.board_connection import CHANNELS, BoardConnection, ClientChannel
from bela_module.simulator.network.delays import Network
from bela_module.simulator.network.link import Link
from bela_module.simulator.network.listener import Listener
from bela_module.simulator.time_limits import BOARD_START_S

ChannelChoice = Literal["both", "control", "data"]
"""Which of the two websockets trouble concerns."""

# None is a connection that has not said yet which it wants to be.
_CHANNELS_OF: Final[Mapping[ChannelChoice, frozenset[str | None]]] = MappingProxyType(
    {
        "both": frozenset({None, "control", "data"}),
        "control": frozenset({"control"}),
        "data": frozenset({"data"}),
    }
)

QUEUE_BYTES: Final = 16 * 2**20
"""What the board keeps for a client that reads too slowly, before it drops the connection."""

_KEPT_MESSAGES: Final = 10_000

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class BoardServer(ABC):
    """A board's server in a thread of its own; use it in a ``with`` statement.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 takes a free one.
    network : Network
        Delays on the way.
    seed : int
        Seed of everything random.

    Attributes
    ----------
    host : str
        Where it listens.
    control_messages : deque of str
        What clients wrote on the control channel, the latest 10 000.
    silent_channels : frozenset
        Where it says nothing; set by :meth:`go_silent`.
    connections : set of BoardConnection
        All connections of TCP, also those that are not yet, or no more, a websocket.
    """

    def __init__(self, *, host: str, port: int, network: Network, seed: int) -> None:
        self.host = host
        self.control_messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
        self.random = np.random.default_rng(seed)
        self._network = network
        self._clients: list[ClientChannel] = []
        self.silent_channels: frozenset[str | None] = frozenset()
        self.connections: set[BoardConnection] = set()
        self._listener = Listener(host, port, CHANNELS, self._handle, self._connection_type())
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that it got; the same after :meth:`refuse_connections`."""
        return self._listener.port

    # ---- what a board is -----------------------------------------------------------------

    @property
    @abstractmethod
    def project(self) -> str:
        """Name of the project, for the connection event."""

    @abstractmethod
    async def run(self) -> None:
        """Live, in the event loop, until cancelled."""

    @abstractmethod
    def receive_control(self, client: ClientChannel, text: str) -> None:
        """Take a message on the control channel, in the event loop."""

    @abstractmethod
    def receive_data(self, client: ClientChannel, message: bytes) -> None:
        """Take a message on the data channel, in the event loop."""

    @abstractmethod
    def on_clients_changed(self) -> None:
        """Notice that a client came, went, or changed whether it wants data."""

    # ---- life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Listen and live.

        Raises
        ------
        BoardError
            When the address cannot be listened on.
        """
        self._stop = asyncio.Event()
        started: deque[BaseException] = deque()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run_thread, args=(ready, started), name="simulated board", daemon=True
        )
        self._thread.start()
        if not ready.wait(BOARD_START_S):
            raise BoardError(f"the simulated board did not start in {BOARD_START_S} s")
        if started:
            self._thread.join()
            self._thread = None
            raise BoardError(f"cannot listen on {self.host}:{self.port}: {started[0]}")

    def close(self) -> None:
        """End every connection and the thread. Closing twice does no harm."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None
        self._loop = None

    def __enter__(self) -> Self:
        """Start, and return the board."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @property
    def url(self) -> str:
        """Address without the path, ``ws://host:port``."""
        return f"ws://{self.host}:{self.port}"

    @property
    def silent(self) -> bool:
        """Whether it says nothing on one of its websockets, or on both."""
        return bool(self.silent_channels)

    @property
    def n_clients(self) -> int:
        """How many connections there are, control and data."""
        return len(self._clients)

    # ---- trouble -------------------------------------------------------------------------

    def disconnect(self, *, clean: bool = False, socket: ChannelChoice = "both") -> None:
        """End connections.

        Parameters
        ----------
        clean : bool
            Whether a close frame is sent, which the board never does by itself.
        socket : {"both", "control", "data"}
            Which connections.
        """
        self._in_loop(lambda: self._disconnect(clean=clean, socket=socket))

    def refuse_connections(self, refuse: bool) -> None:
        """Stop listening, or listen again; connections that there are stay."""
        loop = self._running_loop()
        change = self._listener.refuse() if refuse else self._listener.listen()
        if threading.current_thread() is not self._thread:
            asyncio.run_coroutine_threadsafe(change, loop).result()
            return
        task = loop.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def go_silent(self, silent: bool, *, socket: ChannelChoice = "both") -> None:
        """Stop saying anything, on old connections and on new ones; TCP itself stays up."""
        channels = _CHANNELS_OF[socket]

        def change() -> None:
            there = self.silent_channels
            self.silent_channels = there | channels if silent else there - channels

        self._in_loop(change)

    def stall_network(self, duration_s: float) -> None:
        """Hold everything on the way, both ways, for some time; nothing is lost."""

        def stall() -> None:
            for client in self._clients:
                client.inbound.stall(duration_s)
                client.outbound.stall(duration_s)

        self._in_loop(stall)

    def set_network(self, network: Network) -> None:
        """Change the delays."""

        def change() -> None:
            self._network = network
            for client in self._clients:
                client.inbound.delay = network.to_board
                client.outbound.delay = network.to_client

        self._in_loop(change)

    # ---- for subclasses, in the event loop -----------------------------------------------

    @property
    def wants_data(self) -> bool:
        """Whether any control client has answered and is not paused."""
        return any(client.replied and client.active for client in self._clients)

    @property
    def has_ready_client(self) -> bool:
        """Whether data is wanted, and there is a connection that takes it."""
        return self.wants_data and any(self._on("data"))

    def send_control(self, message: str | bytes) -> None:
        """Send a message to all control clients; a board sends nothing but text."""
        self._send("control", message)

    def send_data(self, message: bytes) -> None:
        """Send a message to all data clients."""
        self._send("data", message)

    def handle_event(self, client: ClientChannel, root: dict[str, Any]) -> None:
        """Obey the events of the connection itself."""
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

    # ---- from other threads --------------------------------------------------------------

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call a function in the event loop when a time has passed, if the board still runs."""
        self._in_loop(lambda: self._running_loop().call_later(delay_s, call))

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise BoardError("the simulated board is not running; use it in a 'with' statement")
        return self._loop

    def _in_loop(self, call: Callable[[], _Result]) -> _Result:
        """Call a function in the event loop, from any thread, and give what it returns."""
        loop = self._running_loop()
        if threading.current_thread() is self._thread:
            return call()

        async def run() -> _Result:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), loop).result()

    # ---- the event loop ------------------------------------------------------------------

    def _run_thread(self, ready: threading.Event, errors: deque[BaseException]) -> None:
        # select() waits for microseconds, epoll_wait() for whole milliseconds: delays need that.
        def make_loop() -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(selectors.SelectSelector())

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(self._main(ready, errors))

    async def _main(self, ready: threading.Event, errors: deque[BaseException]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._listener.listen()
        except OSError as error:
            errors.append(error)
            return
        finally:
            ready.set()
        life = asyncio.create_task(self._run_logged())
        await self._stop.wait()
        life.cancel()
        await self._listener.close()
        await asyncio.gather(life, return_exceptions=True)
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
        request = connection.request
        client = ClientChannel(
            connection,
            CHANNELS[request.path] if request is not None else "control",
            Link(lambda m: self._deliver_to_board(client, m), self._network.to_board, self.random),
            Link(
                lambda m: self._deliver_to_client(client, m), self._network.to_client, self.random
            ),
        )
        self._clients.append(client)
        try:
            if client.channel == "control":
                self.send_control(board_json.connection_event(self.project))
            self.on_clients_changed()
            async for message in connection:
                client.inbound.send(message)
        except ConnectionClosed:
            _log.debug("a client of the simulated board left without a close frame")
        finally:
            self._clients.remove(client)
            client.inbound.close()
            client.outbound.close()
            self.on_clients_changed()

    def _deliver_to_board(self, client: ClientChannel, message: str | bytes) -> None:
        if client.channel in self.silent_channels:
            return
        if client.channel == "control" and isinstance(message, str):
            self.control_messages.append(message)
            self.receive_control(client, message)
        elif client.channel == "data" and isinstance(message, bytes):
            self.receive_data(client, message)

    def _deliver_to_client(self, client: ClientChannel, message: str | bytes) -> None:
        transport = client.connection.transport
        if transport.is_closing():
            return
        waiting_bytes = transport.get_write_buffer_size() + client.outbound.waiting_bytes
        if waiting_bytes + len(message) > QUEUE_BYTES:
            transport.abort()
            return
        broadcast([client.connection], message)

    def _send(self, channel: str, message: str | bytes) -> None:
        for client in self._on(channel):
            client.outbound.send(message)

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
