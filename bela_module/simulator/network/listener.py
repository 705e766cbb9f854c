"""Listening port of a simulated board, which can refuse connections for a while."""

from __future__ import annotations

import asyncio
import http
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Container

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from bela_module.simulator.time_limits import CLOSE_HANDSHAKE_S

logger = logging.getLogger(__name__)

_REUSES_ADDRESS = os.name == "posix"
"""On Windows SO_REUSEADDR would let two boards listen at one port."""


class Listener:
    """Listens on a port for websockets, or keeps the port and refuses connections.

    Accepted connections outlive it. Port 0 takes a free one, which ``port`` names afterwards.
    """

    def __init__(
        self,
        host: str,
        port: int,
        paths: Container[str],
        handle: Callable[[ServerConnection], Awaitable[None]],
        connection_type: type[ServerConnection],
    ) -> None:
        self.port = port
        self._host = host
        self._paths = paths
        self._handle = handle
        self._connection_type = connection_type
        self._server: Server | None = None
        self._reserved: socket.socket | None = None
        self._changing = asyncio.Lock()

    async def listen(self) -> None:
        """Accept connections from now on.

        Raises
        ------
        OSError
            When the port cannot be had.
        """
        async with self._changing:
            if self._server is not None:
                return
            reserved, self._reserved = self._reserved, None
            if reserved is not None:
                _share_port(reserved, shares=True)
            where = {"sock": reserved} if reserved else {"host": self._host, "port": self.port}
            self._server = await serve(
                self._handle,
                **where,
                process_request=self._refuse_other_paths,
                create_connection=self._connection_type,
                compression=None,
                ping_interval=None,
                close_timeout=CLOSE_HANDSHAKE_S,
                open_timeout=None,
                max_queue=None,
                server_header=None,
                reuse_address=_REUSES_ADDRESS,
            )
            self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def refuse(self) -> None:
        """Refuse connections from now on; the port stays reserved."""
        async with self._changing:
            if self._server is None:
                return
            await self._stop()
            try:
                self._reserved = _bound(self._host, self.port)
            except OSError as error:
                logger.warning("port %d may be somebody else's meanwhile: %s", self.port, error)

    async def close(self) -> None:
        """Close the port."""
        async with self._changing:
            await self._stop()
            if self._reserved is not None:
                self._reserved.close()
                self._reserved = None

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await asyncio.sleep(0)  # asyncio loses a connection that it has only half accepted
        server.close(close_connections=False)
        await asyncio.sleep(0)  # it stops listening in a task of its own

    def _refuse_other_paths(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        if request.path in self._paths:
            return None
        return connection.respond(http.HTTPStatus.NOT_FOUND, "no such page\n")


def _bound(host: str, port: int) -> socket.socket:
    """Bind a socket that keeps the port and refuses connections."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        _share_port(bound, shares=True)  # with connections that were accepted on it
        bound.bind(address)
        _share_port(bound, shares=False)
    except OSError:
        bound.close()
        raise
    return bound


def _share_port(bound: socket.socket, *, shares: bool) -> None:
    """Set whether sockets of ours may use the port beside this one."""
    if _REUSES_ADDRESS:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(shares))
