"""One client of the server: bytes to commands, replies to bytes, on a non-blocking socket.

What is buffered for a client is bounded in both directions, so that one that sends without end or
never reads is the only one to suffer from it.
"""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Final

from bela_module.errors import RequestError
from bela_module.server.time_limits import (
    COMMANDS_BURST_S,
    CONTROL_ROOM_UPS_S,
    KEEPALIVE_IDLE_S,
    KEEPALIVE_INTERVAL_S,
    KEEPALIVE_PROBES,
    UNTERMINATED_COMMAND_S,
)
from bela_module.validation import shown

DELIMITER: Final = b";"
"""Ends each command."""

MAX_COMMAND_BYTES: Final = 64 * 1024
"""Longest command that is accepted, its delimiter not counted."""

MAX_UNREAD_BYTES: Final = 1024 * 1024
"""Replies kept for a client that does not read; a client with more is dropped."""

_ENDING: Final = ("STOP", "CLOSE")
_CHUNK_BYTES: Final = 16 * 1024
_MAX_UPS: Final = 100


class CommandSplitter:
    """Splits a stream of bytes into commands, whatever the pieces in which it arrives."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._discarding = False

    def feed(self, data: bytes) -> list[str | RequestError]:
        """Take received bytes and return the commands that they complete, in order.

        A command is its text, without the delimiter and the white space around it, or the error
        for which it is refused. Blank commands are left out.
        """
        found: list[str | RequestError] = []
        *completed, rest = data.split(DELIMITER)
        for piece in completed:
            if not (piece or self._partial or self._discarding):
                continue  # nothing between two delimiters, perhaps thousands of times
            self._append(piece, found)
            if not self._discarding and (command := bytes(self._partial).strip()):
                found.append(_decoded(command))
            self._partial.clear()
            self._discarding = False
        self._append(rest, found)
        return found

    @property
    def unterminated(self) -> str:
        """The beginning of a command whose delimiter has not come; empty when there is none.

        Line ends, byte order marks and telnet's negotiation are no command.
        """
        text = bytes(self._partial).decode("ascii", "ignore").strip()
        return text if any(char.isalnum() for char in text) else ""

    def _append(self, piece: bytes, found: list[str | RequestError]) -> None:
        if self._discarding:
            return
        if len(self._partial) + len(piece) <= MAX_COMMAND_BYTES:
            self._partial += piece
            return
        self._partial.clear()
        self._discarding = True
        found.append(
            RequestError(
                f"a command may have {MAX_COMMAND_BYTES} bytes and must end with ';'; "
                "everything up to the next ';' is ignored"
            )
        )


def _decoded(command: bytes) -> str | RequestError:
    try:
        return command.decode("ascii")
    except UnicodeDecodeError as error:
        return RequestError(
            f"commands must be ASCII, but byte {error.start} is 0x{command[error.start]:02x}; "
            "in JSON write such characters as \\uXXXX"
        )


def _keep_alive(sock: socket.socket) -> None:
    """Have TCP find out when the client's computer has vanished without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPALIVE", KEEPALIVE_IDLE_S),  # macOS
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class CommandBudget:
    """Limits the processor time that the commands of one client take, a leaky bucket.

    A client that floods would leave too little of it to the thread that streams.
    """

    def __init__(self) -> None:
        self.rests_until_s = -math.inf
        """When its next command may be carried out; a time of ``time.monotonic``."""
        self._used_s = 0.0
        self._at_s = -math.inf

    def use(self, now_s: float, cost_s: float, share: float) -> None:
        """Note that a command ended now that took some time, of which a share is allowed."""
        idle_s = now_s - cost_s - self._at_s
        self._used_s = max(0.0, self._used_s - share * idle_s) + cost_s
        self._at_s = now_s
        if self._used_s > COMMANDS_BURST_S:
            self.rests_until_s = now_s + 0.5 * self._used_s / share


class ClientConnection:
    """A client's socket with its commands and replies under way; `peer` is its name in the log."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keep_alive(sock)
        self.socket = sock
        self.peer = peer
        self.commands: deque[str | RequestError] = deque()
        """Commands received and not yet carried out."""
        self.verbose = False
        self.asked_pcomms = False
        self.last_received_s = time.monotonic()
        self.budget = CommandBudget()
        self.served = 0
        """Number of the command of all clients that was this client's last."""
        self.n_pending = 0
        """Commands whose work is under way."""
        self.queries: set[Future[Any]] = set()
        """Those of them that nobody needs when the client is gone."""
        self.ended_s: float | None = None
        """When the client stopped sending; it may still read."""
        self.closed = False
        self._ups_s: deque[float] = deque(maxlen=_MAX_UPS)
        self._told_unterminated = False
        self._splitter = CommandSplitter()
        self._unsent = bytearray()

    def note_up(self, now_s: float) -> None:
        """Note that the client has asked whether the module is up."""
        self._ups_s.append(now_s)

    def recent_ups(self, now_s: float) -> int:
        """Count the ``UP`` of the last seconds: a control room sends one a second."""
        return sum(asked_s > now_s - CONTROL_ROOM_UPS_S for asked_s in self._ups_s)

    @property
    def last_up_s(self) -> float | None:
        """When the client last sent ``UP``; None: never."""
        return self._ups_s[-1] if self._ups_s else None

    @property
    def is_control_room(self) -> bool:
        """Whether the client behaves as a control room: no byte may reach it but callbacks."""
        return self.asked_pcomms and bool(self._ups_s) and not self.verbose

    def may_go_on(self, now_s: float) -> bool:
        """Tell whether its next command may be carried out; what ends streaming never waits."""
        if not self.commands or now_s >= self.budget.rests_until_s:
            return bool(self.commands)
        return any(str(command).startswith(_ENDING) for command in self.commands)

    @property
    def wants_reading(self) -> bool:
        """Whether more may be received: not before what came is carried out."""
        return self.ended_s is None and not self.commands

    @property
    def wants_writing(self) -> bool:
        """Whether replies wait for the client to read."""
        return bool(self._unsent)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way in either direction."""
        return not (self.commands or self.n_pending or self._unsent)

    def receive(self, now_s: float) -> None:
        """Read from the readable socket; `OSError` when the connection broke.

        `now_s` is kept as the time when the client has stopped sending.
        """
        try:
            data = self.socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        if data:
            self.last_received_s = now_s
            self._told_unterminated = False
            self.commands.extend(self._splitter.feed(data))
        else:
            self.ended_s = now_s

    def unterminated_command(self, now_s: float) -> RequestError | None:
        """Report once, at the end or at a pause, that a command lacks its delimiter."""
        paused = now_s - self.last_received_s > UNTERMINATED_COMMAND_S
        if self._told_unterminated or not (paused or self.closed or self.ended_s is not None):
            return None
        text = self._splitter.unterminated
        if not text:
            return None
        self._told_unterminated = True
        over = self.closed or self.ended_s is not None
        what = "is ignored: the connection ended before its ';'" if over else "waits for its ';'"
        return RequestError(f"the command {shown(text)} {what}")

    def send(self, data: bytes) -> None:
        """Send a reply, or keep it until the client reads.

        `OSError` when the connection broke, or the client leaves too much unread.
        """
        self._unsent += data
        self.flush()
        if len(self._unsent) > MAX_UNREAD_BYTES:
            raise ConnectionAbortedError(f"it left {len(self._unsent)} bytes of replies unread")

    def flush(self) -> None:
        """Send as much of the kept replies as the socket takes; `OSError` when it broke."""
        if not self._unsent:
            return
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            return
        del self._unsent[:sent]

    def close(self) -> None:
        """Close the socket and drop what is under way; idempotent."""
        self.closed = True
        self.commands.clear()
        self._unsent.clear()
        for query in list(self.queries):  # each that is given up leaves it
            query.cancel()
        self.socket.close()
