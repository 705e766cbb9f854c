"""Client of one board: its two websockets, the handshake, commands and their confirmation.

``ws://host:port/gui_control`` carries JSON text, ``/gui_data`` binary blocks. The board never
acknowledges a command: its effect is read back with ``list``. Watches, monitors and controlled
variables belong to the board, not to a connection, and outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from websockets.exceptions import WebSocketException

from bela_module.connection.board_socket import (
    BoardSocket,
    Clock,
    SocketOptions,
    close_socket,
    open_socket,
)
from bela_module.connection.client_records import ClientCounters, ListReply, WireRecorder
from bela_module.connection.pending_list import PING_PREFIX, OtherClients, PendingList, PongOrder
from bela_module.connection.time_limits import CONFIRM_POLL_S, LATE_REPLY_S, LEAST_HANDSHAKE_S
from bela_module.errors import (
    ConnectError,
    DisconnectedError,
    FrameError,
    NoReplyError,
    UnreadableReplyError,
)
from bela_module.protocol import control_channel as control
from bela_module.protocol import control_commands as commands
from bela_module.protocol.sketch_buffer import SketchBuffer, encode_buffer
from bela_module.validation import host_in_url

_MAX_BYTES: Final = 2**20  # of a message; a longer list would hold up all threads while parsed
_TIMEOUT_SLICES: Final = 8
_LIST_ATTEMPTS: Final = 3


class BoardClient:
    """The control websocket of a board, and its data websocket while data are wanted.

    Make one with :meth:`connect`. The data websocket, which carries the blocks of all clients, is
    open only between :meth:`open_data` and :meth:`close_data`.

    Parameters
    ----------
    address : str
        ``ws://host:port``.
    control_socket : BoardSocket
        The open websocket of the control channel.
    now : callable
        The clock of all stamps, LSL seconds.
    reply_timeout_s : float
        Longest time for a reply, and for all of connecting.
    on_data : callable
        Called with each data message and the LSL time of its arrival; must not wait or raise.
    recorder : WireRecorder, optional
        Called with every message.

    Attributes
    ----------
    others : OtherClients
        Whether other clients ask for the list.
    """

    def __init__(
        self,
        address: str,
        control_socket: BoardSocket,
        *,
        now: Clock,
        reply_timeout_s: float,
        on_data: Callable[[bytes | str, float], None],
        recorder: WireRecorder | None = None,
    ) -> None:
        self.address = address
        self.project = ""
        self.counters = ClientCounters()
        self.opened_s = self.last_received_s = now()
        self.got_data = False
        self._control = control_socket
        self._data: BoardSocket | None = None
        self._data_reader: asyncio.Task[None] | None = None
        self._now = now
        self._reply_timeout_s = reply_timeout_s
        self._on_data = on_data
        self._recorder = recorder
        self._pending: PendingList | None = None
        self.others = OtherClients()
        self.pong_order = PongOrder()
        self._connected = asyncio.Event()
        self._one_request = asyncio.Lock()
        self._control_reader: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        now: Clock,
        reply_timeout_s: float,
        on_data: Callable[[bytes | str, float], None],
        recorder: WireRecorder | None = None,
    ) -> BoardClient:
        """Open the control websocket and do the handshake.

        Raises
        ------
        ConnectError
            When nothing listens there, or it is no Watcher.
        NoReplyError
            When it listens but does not say which project runs.
        """
        address = f"ws://{host_in_url(host)}:{port}"
        deadline_s = now() + reply_timeout_s
        if recorder is not None:
            recorder.begin_connection()
        options = SocketOptions(_MAX_BYTES, now, reply_timeout_s)
        control_socket = await open_socket(f"{address}/gui_control", options)
        client = cls(
            address,
            control_socket,
            now=now,
            reply_timeout_s=reply_timeout_s,
            on_data=on_data,
            recorder=recorder,
        )
        try:
            await client._handshake(max(deadline_s - now(), LEAST_HANDSHAKE_S))
        except BaseException:
            await client.close()
            raise
        return client

    async def _handshake(self, timeout_s: float) -> None:
        self._control_reader = asyncio.create_task(self._read_control(), name="bela-control")
        self._control_reader.add_done_callback(self._reader_ended)
        waiter = asyncio.ensure_future(self._connected.wait())
        try:
            await self._wait_for_any(timeout_s, waiter)
        finally:
            waiter.cancel()
        if self.lost.done():
            raise ConnectError(self._control_url, self.lost.result())
        if not self._connected.is_set():
            raise NoReplyError("connection", self._control_url, self._reply_timeout_s)
        await self._send_text(commands.CONNECTION_REPLY)

    @property
    def has_data(self) -> bool:
        """Whether the data websocket is open."""
        return self._data is not None

    async def open_data(self) -> None:
        """Open the data websocket, if it is not open.

        Raises
        ------
        DisconnectedError
            When the board does not accept it.
        """
        if self._data is not None:
            return
        if self.lost.done():
            raise DisconnectedError(f"{self.address} is gone: {self.lost.result()}")
        url = f"{self.address}/gui_data"
        try:
            # At the same address: another one of that name may be another board's.
            options = SocketOptions(_MAX_BYTES, self._now, self._reply_timeout_s, self._take_data)
            self._data = await open_socket(url, options, self._control.address)
        except ConnectError as error:
            raise DisconnectedError(f"{self.address} gives no data: {error}") from error
        self._data_reader = asyncio.create_task(self._read_data(self._data), name="bela-data")
        self._data_reader.add_done_callback(self._reader_ended)

    async def close_data(self) -> None:
        """Close the data websocket, if it is open; the control websocket stays."""
        socket, reader = self._data, self._data_reader
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        if socket is not None:
            socket.on_message = None  # what still comes belongs to nobody
            await close_socket(socket)
        # Not before: when this is cancelled, close() has to find them.
        self._data = self._data_reader = None

    @property
    def _control_url(self) -> str:
        return f"{self.address}/gui_control"

    async def list(self, *, proven: bool = False) -> ListReply:
        """Ask for the board's variables and tick, again after an unreadable message.

        To be `proven`, the request is followed by a ping: its pong tells whose reply it was.

        Raises
        ------
        NoReplyError, DisconnectedError
            When no reply came in time, or none that can be read, or the connection ended.
        """
        async with self._one_request:
            (message,) = commands.encode_commands([commands.list_command()])
            pending = self._pending = PendingList(self._now())
            self._control.endpoint.expect_send()
            try:
                for _ in range(_LIST_ATTEMPTS):
                    ping = pending.begin(proven=proven and self.pong_order.expect_pong())
                    await self._send_text(message)
                    if ping is not None:
                        await self._send_bounded(self._control.ask_back(ping))
                    pending.sent_s = self._control.endpoint.sent_since(pending.sent_s)
                    if not (fault := await self._wait_for_reply(pending)):
                        break
            finally:
                self._pending = None
            pending.settle()  # without its pong, if that did not come in time
            if pending.answer.done():
                return pending.answer.result()
            if self.lost.done():
                raise DisconnectedError(f"{self.address} is gone: {self.lost.result()}")
            error = UnreadableReplyError if fault else NoReplyError
            raise error("list", self._control_url, self._reply_timeout_s, fault)

    async def _wait_for_reply(self, pending: PendingList) -> str:
        """Wait for a reply; return why it cannot be read if such a message came instead of it."""
        answer, unreadable = pending.answer, pending.unreadable
        await self._wait_for_any(self._reply_timeout_s, answer, unreadable)
        if unreadable.done() and not answer.done():
            await self._wait_for_any(LATE_REPLY_S, answer)
        is_unreadable = unreadable.done() and not answer.done() and not self.lost.done()
        return unreadable.result() if is_unreadable else ""

    async def send(self, *sent: commands.Json) -> None:
        """Send commands, which the board executes in this order.

        Raises
        ------
        DisconnectedError
            When the connection has ended.
        """
        for message in commands.encode_commands(sent):
            await self._send_text(message)

    async def send_buffer(self, buffer: SketchBuffer) -> None:
        """Send a buffer of numbers to the sketch on the data websocket.

        Raises
        ------
        DisconnectedError
            When the connection has ended.
        """
        message = encode_buffer(buffer)
        await self.open_data()
        if self._data is not None:
            self._record("data", "out", message)
            await self._send_bounded(self._data.send(message))

    async def confirm(
        self, done: Callable[[control.VariableList], bool], what: str, timeout_s: float
    ) -> ListReply:
        """Poll ``list`` until ``done`` is true of a reply, and return that reply.

        Raises
        ------
        NoReplyError
            When that takes longer than ``timeout_s``; it names ``what`` was to be confirmed.
        """
        deadline_s = self._now() + timeout_s
        while True:
            reply = await self.list()
            if done(reply.variable_list):
                return reply
            if self._now() >= deadline_s:
                raise NoReplyError(what, self._control_url, timeout_s, "the state is as before")
            await asyncio.sleep(CONFIRM_POLL_S)

    async def unwatch(self, names: Sequence[str], timeout_s: float) -> ListReply:
        """Stop streams now and wait until they have ended.

        A connection that closes at once after the command leaves them half stopped.
        """
        await self.send(commands.unwatch_command(names))
        wanted = frozenset(names)
        return await self.confirm(
            lambda reply: not any(v.watched and v.name in wanted for v in reply.variables),
            f"unwatch of {', '.join(names)}",
            timeout_s,
        )

    async def still_watched(self, names: Sequence[str], timeout_s: float) -> tuple[str, ...]:
        """Wait until variables are no longer watched; return those that still are at the deadline.

        Sparse ones end with their next value.
        """
        wanted = frozenset(names)
        listed: tuple[str, ...] = ()

        def ended(reply: control.VariableList) -> bool:
            nonlocal listed
            listed = tuple(v.name for v in reply.variables if v.watched and v.name in wanted)
            return not listed

        try:
            await self.confirm(ended, "unwatch", timeout_s)
        except NoReplyError as error:
            if not listed or error.request != "unwatch":
                raise
        return listed

    async def activate(self) -> None:
        """Resume the data, in case they are paused for this connection."""
        await self._send_text(commands.ACTIVE)

    async def close(self) -> None:
        """Close both websockets; safe to call more than once."""
        await close_socket(self._control)
        await self.close_data()
        if self._control_reader is not None:
            self._control_reader.cancel()
            await asyncio.gather(self._control_reader, return_exceptions=True)
        self._mark_lost("it was closed here")

    async def _wait_for_any(self, timeout_s: float, *awaited: asyncio.Future[Any]) -> None:
        """Wait for a future, the end of the connection, or the timeout.

        The timeout is split into slices: while this process is stopped, only one can expire.
        """
        futures: set[asyncio.Future[Any]] = {*awaited, self.lost}
        for _ in range(_TIMEOUT_SLICES):
            slice_s = timeout_s / _TIMEOUT_SLICES
            await asyncio.wait(futures, timeout=slice_s, return_when=asyncio.FIRST_COMPLETED)
            if any(future.done() for future in futures):
                return

    async def _send_text(self, message: str) -> None:
        self._record("control", "out", message)
        await self._send_bounded(self._control.send(message))

    async def _send_bounded(self, sending: Any) -> None:
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                await sending
        except TimeoutError:
            raise DisconnectedError(f"{self.address} takes no more messages") from None
        except (WebSocketException, OSError) as error:
            raise DisconnectedError(f"{self.address} is gone: {error}") from error

    async def _read_control(self) -> None:
        with self._reporting_the_end():
            async for message in self._control:
                self.last_received_s = received_s = self._control.received_s
                if isinstance(message, bytes) and message.startswith(PING_PREFIX):
                    came = self._pending.take_pong(message) if self._pending else None
                    others_ask = self.others.ask_lately(received_s)
                    self.pong_order.note(came, others_ask=others_ask)
                    continue
                self._record("control", "in", message)
                try:
                    parsed = control.parse_control_message(message)
                except FrameError as error:
                    self.counters.bad_frames += 1
                    if self._pending is not None:
                        self._pending.take_unreadable(str(error))
                    continue
                self._handle_message(parsed, received_s)

    def _handle_message(self, message: control.ControlMessage, received_s: float) -> None:
        match message:
            case control.ConnectionEvent(project=project):
                self.project = project
                if self._connected.is_set():
                    self.counters.other_clients += 1
                    self.others.note_connection(received_s)
                self._connected.set()
            case control.VariableList():
                if self._pending is None or not self._pending.take(message, received_s):
                    self.counters.foreign_replies += 1
                    self.others.note_reply(message, received_s)

    async def _read_data(self, socket: BoardSocket) -> None:
        """Take what the socket does not give at once, and wait for its end."""
        with self._reporting_the_end():
            async for message in socket:
                self._take_data(message, socket.received_s)

    def _take_data(self, message: bytes | str, arrived_s: float) -> None:
        """Take a message, also in the middle of a read: no defect may reach the event loop."""
        if self.failure is not None:
            return
        try:
            self.last_received_s, self.got_data = arrived_s, True
            if self._recorder is not None:
                self._recorder.record("data", "in", message)
            self._on_data(message, arrived_s)
        except Exception as error:  # noqa: BLE001 - it is reported as the reader's
            self._fail(error)

    @contextlib.contextmanager
    def _reporting_the_end(self) -> Iterator[None]:
        try:
            yield
            self._mark_lost("the board closed the connection")
        except (WebSocketException, OSError) as error:
            self._mark_lost(str(error) or type(error).__name__)

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        # Only a defect of ours ends a reader with an exception; it must be reported.
        if not reader.cancelled() and (error := reader.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._mark_lost(f"the reader failed: {error!r}")

    def _mark_lost(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _record(self, channel: str, direction: str, message: str | bytes) -> None:
        if self._recorder is not None:
            self._recorder.record(channel, direction, message)
