"""The socket that the server listens at, and who has its port when it is taken."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

from bela_module.errors import ConfigError
from bela_module.server.time_limits import PORT_OWNER_BANNER_S
from bela_module.validation import host_in_url

BANNER_START: Final = "Connected to "
"""Begins the line with which each Dareplane module greets its clients."""

_MAX_BANNER_BYTES: Final = 200


def open_listening_socket(ip: str, port: int, n_waiting: int) -> socket.socket:
    """Listen at an address, without blocking; up to `n_waiting` clients may wait to be accepted.

    Raises
    ------
    ConfigError
        The address cannot be used. When a Dareplane module has it, the message says so: a control
        room that crashed leaves its modules behind.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            # On Windows two servers with SO_REUSEADDR would share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ip, port))
        listener.listen(n_waiting)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        owner = _module_at(ip, port) if taken else None
        advice = "is it in use, or no address of this machine? Try another --port or --ip"
        if owner is not None:
            advice = (
                f"a module that calls itself {owner} serves there, perhaps left behind by an "
                "earlier control room: send it CLOSE; or end its process, or try another --port"
            )
        raise ConfigError(
            f"cannot serve at {host_in_url(ip)}:{port}: {error.strerror or error}; {advice}"
        ) from error
    return listener


def _module_at(ip: str, port: int) -> str | None:
    """Return the name of the Dareplane module that serves at an address; None: there is none."""
    try:
        address = ipaddress.ip_address(ip)
        loopback = "127.0.0.1" if address.version == 4 else "::1"
        host = loopback if address.is_unspecified else ip
    except ValueError:
        host = ip
    try:
        with socket.create_connection((host, port), PORT_OWNER_BANNER_S) as client:
            banner = client.recv(_MAX_BANNER_BYTES).decode("ascii", "replace")
    except OSError:
        return None
    if not banner.startswith(BANNER_START):
        return None
    return ascii(banner.removeprefix(BANNER_START).partition("\n")[0])[1:-1]
