"""One websocket of a board: opening, closing, and the time at which bytes arrive."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from bela_module.connection.host_resolver import resolve
from bela_module.connection.message_splitter import MessageSplitter
from bela_module.connection.pending_list import PING_PREFIX
from bela_module.connection.stamped_socket import StampedSocket, connect_socket
from bela_module.connection.time_limits import CLOSE_HANDSHAKE_S, NEXT_ADDRESS_S
from bela_module.connection.websocket import SteadyConnection
from bela_module.errors import ConnectError

Clock = Callable[[], float]
OnMessage = Callable[[bytes, float], None]

_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_IF_CLOSED_MEANWHILE: Final = contextlib.suppress(OSError)

_HTTP_PORT: Final = 80
_OF_MESSAGES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

ACKNOWLEDGES_QUICKLY: Final = _QUICK_ACK is not None
"""Whether what arrives is acknowledged at once, as Linux can."""


class BoardSocket(SteadyConnection, ClientConnection):
    """A websocket that stores the time at which bytes arrive, before they are parsed.

    It is when the kernel received them, where that is known, or when they were read.
    """

    now: Clock
    address: str
    """Where it is connected to: one of the addresses of the board's name."""
    endpoint: StampedSocket
    received_s: float = 0.0
    on_message: OnMessage | None = None
    """Called with each binary message and its time as it is parsed; it is not queued then."""
    splitter: MessageSplitter | None = None
    """Finds the messages for `on_message`."""
    _in_fragments: bool = False

    def data_received(self, data: bytes) -> None:
        """Store the time, acknowledge, and parse the bytes."""
        kernel_s = self.endpoint.kernel_s
        self.received_s = max(self.received_s, self.now() if kernel_s is None else kernel_s)
        self._acknowledge()
        if self.splitter is None:
            super().data_received(data)
        elif frames := self._shake_hands(data):
            messages, rest = self.splitter.split(frames)
            for message in messages:
                if self.on_message is not None:
                    self.on_message(message, self.received_s)
            if rest:
                super().data_received(rest)

    def _shake_hands(self, data: bytes) -> bytes:
        """Give the library its opening handshake, line by line; return the frames after it."""
        while data and self.response is None:
            line, end, data = data.partition(b"\n")
            super().data_received(line + end)
            if self.response is not None and self.state is not State.OPEN:
                self.splitter = None  # it was refused
                super().data_received(data)
                return b""
        return data

    def process_event(self, event: Any) -> None:
        """Give a binary message in one frame to ``on_message``; leave all else to the library.

        The queue of the library costs a task switch a message, as much as all that is done with it.
        The pong to a ping of ours is queued like a message: what matters is when it came.
        """
        if type(event) is not Frame:
            super().process_event(event)
        elif event.opcode is Opcode.PONG and bytes(event.data).startswith(PING_PREFIX):
            super().process_event(event)
            if not self._in_fragments:  # within a message it would become a part of that
                super().process_event(Frame(Opcode.BINARY, event.data))
        elif self.on_message is not None and event.opcode is Opcode.BINARY and event.fin:
            self.on_message(bytes(event.data), self.received_s)
        else:
            if event.opcode in _OF_MESSAGES:
                self._in_fragments = not event.fin
            super().process_event(event)

    async def ask_back(self, content: bytes) -> None:
        """Send a ping; its pong will be among the messages, in its place.

        Raises
        ------
        ConnectionClosed
            When the other end has gone.
        """
        with self._translate_lost_transport():
            await self.ping(content)

    def _acknowledge(self) -> None:
        """Have the system acknowledge at once, once: it goes back to delays by itself.

        The board holds back a small message while an earlier one is not acknowledged (Nagle's
        algorithm). A late acknowledgement would make replies to others arrive with ours, and old.
        """
        if _QUICK_ACK is not None:
            with _IF_CLOSED_MEANWHILE:
                self.endpoint.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How a websocket is opened and read."""

    max_bytes: int
    """Longest message."""
    now: Clock
    """The clock of all stamps, LSL seconds."""
    timeout_s: float
    """Longest time for all of opening."""
    on_message: OnMessage | None = None
    """Called with each binary message and the time of its arrival, in the middle of reading; must
    not wait or raise. Without it messages are queued, to be awaited."""


async def open_socket(url: str, options: SocketOptions, address: str | None = None) -> BoardSocket:
    """Open one websocket of a board within a time limit.

    A name may have several addresses, of which some lead nowhere: each is tried a moment after the
    one before, and the first that answers as a Watcher is taken.

    Parameters
    ----------
    url : str
        What is asked for.
    options : SocketOptions
        How.
    address : str, optional
        The only address to try, instead of those of the host that `url` names.

    Raises
    ------
    ConnectError
        When nothing listens there, or it is no Watcher.
    """
    failures: dict[str, str] = {}
    timeout_s = options.timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            host = urlsplit(url).hostname or ""
            addresses = await resolve(host, timeout_s) if address is None else (address,)
            failures = dict.fromkeys(addresses, _no_answer(timeout_s))
            found = await _first_to_answer(url, failures, options)
    except TimeoutError:
        found = None
    except (OSError, ValueError) as error:  # of the lookup
        raise ConnectError(url, str(error) or type(error).__name__) from error
    if found is not None:
        return found
    if len(failures) > 1:
        raise ConnectError(url, "; ".join(f"{one}: {why}" for one, why in failures.items()))
    raise ConnectError(url, next(iter(failures.values()), _no_answer(timeout_s)))


def _no_answer(timeout_s: float) -> str:
    refused = ", or a refusal, which takes as long on Windows" if sys.platform == "win32" else ""
    return f"no answer in {timeout_s:.1f} s{refused}"


async def _first_to_answer(
    url: str, failures: dict[str, str], options: SocketOptions
) -> BoardSocket | None:
    """Try all addresses, and note in `failures` what each one ended with; None: all did."""
    untried = list(failures)
    attempts: dict[asyncio.Task[BoardSocket], str] = {}
    try:
        while untried or attempts:
            if untried:
                address = untried.pop(0)
                opening = _open_at(url, address, options)
                attempts[asyncio.create_task(opening)] = address
            done, _ = await asyncio.wait(
                attempts,
                timeout=NEXT_ADDRESS_S if untried else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                error = attempt.exception()
                address = attempts.pop(attempt)
                if error is None:
                    return attempt.result()
                if not isinstance(error, WebSocketException | OSError | ValueError):
                    raise error
                failures[address] = str(error) or _no_answer(options.timeout_s)
        return None
    finally:
        await _end_others(attempts)


async def _end_others(attempts: Iterable[asyncio.Task[BoardSocket]]) -> None:
    """Cancel what goes on, and close what was opened but is not taken."""
    for attempt in attempts:
        attempt.cancel()
    for ended in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(ended, BoardSocket):
            await close_socket(ended)


async def _open_at(url: str, address: str, options: SocketOptions) -> BoardSocket:
    endpoint = await connect_socket(address, urlsplit(url).port or _HTTP_PORT, options.now)
    is_taken = False

    def stamped(*args: Any, **kwargs: Any) -> BoardSocket:
        nonlocal is_taken
        is_taken = True  # from now on its transport closes the socket
        connection = BoardSocket(*args, **kwargs)
        connection.now = options.now
        connection.address = address
        connection.on_message = options.on_message
        connection.splitter = MessageSplitter() if options.on_message is not None else None
        connection.endpoint = endpoint
        return connection

    try:
        opened = await connect(
            url,
            sock=endpoint,
            create_connection=stamped,  # type: ignore[arg-type]
            compression=None,  # the board negotiates no extension
            proxy=None,
            open_timeout=options.timeout_s,
            close_timeout=CLOSE_HANDSHAKE_S,
            ping_interval=None,  # regular list requests tell sooner that nobody answers
            max_size=options.max_bytes,
        )
    finally:
        if not is_taken:
            endpoint.close()
    if not isinstance(opened, BoardSocket):
        raise ValueError("the websocket library made another kind of connection")
    return opened


async def close_socket(connection: ClientConnection) -> None:
    """Close a websocket in any state."""
    with contextlib.suppress(WebSocketException, OSError):
        await connection.close()
