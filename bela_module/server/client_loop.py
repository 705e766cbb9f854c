"""Selector loop for all clients: accepts, reads, writes, and runs what other threads post.

No client makes another one wait: nothing here blocks, the commands of a turn are carried out until
its time is over, those of the clients first that were not served for the longest time, and a
connection that breaks is closed without effect on the others. Clients that send without a pause get
a part of the time only, so that the thread that streams has the rest.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from bela_module.errors import RequestError
from bela_module.server.client_connection import ClientConnection
from bela_module.server.control_room import displaceable
from bela_module.server.time_limits import (
    ACCEPT_RETRY_S,
    COMMANDS_SHARE,
    COMMANDS_TURN_S,
    HALF_CLOSED_CLIENT_S,
)
from bela_module.validation import host_in_url

CommandHandler = Callable[[ClientConnection, str | RequestError], None]


class ClientLoop:
    """Serves the connections of a listening socket.

    `carry_out(connection, command)` is called with each command, in the order of its connection;
    the command is a text, or the error for which it is refused. `between(now_s)` is called in each
    turn and returns after how many seconds, at most, it wants to be called again.
    """

    def __init__(
        self,
        greeting: bytes,
        max_connections: int,
        carry_out: CommandHandler,
        between: Callable[[float], float],
        logger: logging.Logger,
    ) -> None:
        self.connections: list[ClientConnection] = []
        self._greeting = greeting
        self._max_connections = max_connections
        self._carry_out = carry_out
        self._between = between
        self._logger = logger
        self._posted: deque[Callable[[], object]] = deque()
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, self._wake)
        self._accept_again_s: float | None = None
        self._n_served = 0

    def run(
        self,
        listener: socket.socket,
        is_over: Callable[[], bool],
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve a non-blocking listening socket until `is_over()`, then close the connections.

        Before that, `at_end()` may still send to them.
        """
        wait_s = 0.0
        try:
            while not is_over():
                self._watch_listener(listener)
                for key, events in self._selector.select(wait_s):
                    key.data(events)
                self._call_posted()
                self._carry_out_commands()
                for connection in list(self.connections):
                    self.guard(connection, self._end_turn, connection)
                wait_s = self._until_next_turn(self._between(time.monotonic()))
            while self._posted:  # the last replies
                self._call(self._posted.popleft())
            at_end()
        finally:
            if listener in self._selector.get_map():
                self._selector.unregister(listener)
            for connection in list(self.connections):
                self._drop(connection, "disconnected: the server ends")

    def post(self, function: Callable[[], object]) -> None:
        """Have the loop call a function soon; safe in any thread and in signal handlers."""
        self._posted.append(function)
        try:
            self._wake_sender.send(b"\0")
        except BlockingIOError:
            return  # so many wake-ups are under way that one more is not needed
        except OSError:
            self._posted.clear()  # closed: nobody will call it

    def guard(
        self, connection: ClientConnection, function: Callable[..., None], *args: Any
    ) -> None:
        """Call a function that uses a connection; any exception closes this connection only.

        An `OSError` means that the connection broke; anything else is logged as an internal error.
        """
        try:
            function(*args)
        except OSError as error:
            self._drop(connection, f"lost: {error.strerror or error}")
        except Exception:
            self._logger.exception("internal error; %s is disconnected", connection.peer)
            self._drop(connection, "disconnected by an internal error")

    def close(self) -> None:
        """Close the loop's own sockets; it must not run any more."""
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _wake(self, _events: int) -> None:
        self._wake_receiver.recv(4096)

    def _call_posted(self) -> None:
        """Call what other threads have posted, until the turn's time is over."""
        ends_s = time.monotonic() + COMMANDS_TURN_S
        while self._posted and time.monotonic() < ends_s:
            self._call(self._posted.popleft())

    def _call(self, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:
            self._logger.exception("internal error in a function that another thread posted")

    def _watch_listener(self, listener: socket.socket) -> None:
        """Have the selector watch for clients, unless accepting them has just failed."""
        wanted = self._accept_again_s is None or time.monotonic() >= self._accept_again_s
        if wanted == (listener in self._selector.get_map()):
            return
        if wanted:
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
        else:
            self._selector.unregister(listener)

    def _accept(self, listener: socket.socket, _events: int) -> None:
        try:
            sock, (host, port, *_) = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client has left again
        except OSError as error:
            # Too many files are open, say. The client still waits: the next try would fail, too.
            if self._accept_again_s is None:
                self._logger.warning("clients cannot be accepted at present: %s", error)
            self._accept_again_s = time.monotonic() + ACCEPT_RETRY_S
            return
        self._accept_again_s = None
        try:
            connection = ClientConnection(sock, f"{host_in_url(host)}:{port}")
        except OSError as error:  # macOS refuses to set options of a connection that was reset
            sock.close()
            self._logger.info("%s:%d has left again: %s", host, port, error)
            return
        if len(self.connections) >= self._max_connections:
            displaced = displaceable(self.connections, time.monotonic())
            if displaced is not None:
                words = "disconnected: silent for the longest time, and another client connects"
                self._drop(displaced, words)
        if len(self.connections) >= self._max_connections:
            words = f"{self._max_connections} connections are open already"
            self.guard(connection, connection.send, f"Refused: {words}\n".encode("ascii"))
            self._logger.warning("refused %s: %s", connection.peer, words)
            connection.close()
            return
        self._logger.info("%s connected", connection.peer)
        self.connections.append(connection)
        self.guard(connection, connection.send, self._greeting)

    def _ready(self, connection: ClientConnection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self.guard(connection, connection.flush)
        if events & selectors.EVENT_READ and not connection.closed:
            self.guard(connection, connection.receive, time.monotonic())

    def _carry_out_commands(self) -> None:
        """Carry out one command of each client after another, until the turn's time is over."""
        begun_s = time.monotonic()
        flooding = [one for one in self.connections if one.commands]
        share = COMMANDS_SHARE / max(1, len(flooding))
        while waiting := [one for one in flooding if one.may_go_on(begun_s)]:
            # Who was served last comes last: a client that floods delays itself.
            for connection in sorted(waiting, key=lambda one: one.served):
                if connection.commands:  # an earlier one may have ended the connection
                    self.guard(connection, self._carry_out_next, connection, share)
                if time.monotonic() >= begun_s + COMMANDS_TURN_S:
                    return

    def _carry_out_next(self, connection: ClientConnection, share: float) -> None:
        self._n_served += 1
        connection.served = self._n_served
        begun_s = time.thread_time()  # what a busy computer takes away is not the client's doing
        self._carry_out(connection, connection.commands.popleft())
        connection.budget.use(time.monotonic(), time.thread_time() - begun_s, share)

    def _until_next_turn(self, wait_s: float) -> float:
        """Return how long to wait for sockets, given how long nothing else is to be done."""
        if self._posted:
            return 0.0
        now_s = time.monotonic()
        waiting = [one for one in self.connections if one.commands]
        if any(one.may_go_on(now_s) for one in waiting):
            return 0.0
        return min([wait_s, *(one.budget.rests_until_s - now_s for one in waiting)])

    def _end_turn(self, connection: ClientConnection) -> None:
        """Report a command without its end, and decide what the connection waits for now."""
        if not (connection.closed or connection.commands):
            unterminated = connection.unterminated_command(time.monotonic())
            if unterminated is not None:
                self._carry_out(connection, unterminated)
        # A client that stopped sending may still read what it asked for.
        if connection.ended_s is not None and not connection.closed:
            lingered_s = time.monotonic() - connection.ended_s
            if connection.is_idle or lingered_s > HALF_CLOSED_CLIENT_S:
                self._drop(connection, "disconnected")
        if not connection.closed:
            self._watch(connection)

    def _watch(self, connection: ClientConnection) -> None:
        """Have the selector watch for what the connection waits for now."""
        wanted = selectors.EVENT_READ if connection.wants_reading else 0
        wanted |= selectors.EVENT_WRITE if connection.wants_writing else 0
        key = self._selector.get_map().get(connection.socket)
        if (key.events if key is not None else 0) == wanted:
            return
        if key is not None:
            self._selector.unregister(connection.socket)
        if wanted:
            self._selector.register(connection.socket, wanted, partial(self._ready, connection))

    def _drop(self, connection: ClientConnection, reason: str) -> None:
        if connection.closed:
            return
        if connection.socket in self._selector.get_map():
            self._selector.unregister(connection.socket)
        if connection in self.connections:
            self.connections.remove(connection)
        connection.close()
        self._logger.info("%s %s", connection.peer, reason)
        unterminated = connection.unterminated_command(time.monotonic())
        if unterminated is not None:
            self._call(partial(self._carry_out, connection, unterminated))
