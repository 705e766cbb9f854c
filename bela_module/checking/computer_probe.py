"""Looks at this computer: folder and disk, the ports of PCOMMs and log, open files, versions."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bela_module.checking.facts import BoardFacts, ComputerFacts
from bela_module.config import Settings
from bela_module.streams.lsl.lsl_settings import find_settings_file
from bela_module.validation import host_in_url
from bela_module.version import __version__

_ANSWER_S: Final = 1.0
_MAX_REPLY_BYTES: Final = 1 << 20
_N_LINES: Final = 2
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # Windows connects to neither  # noqa: S104
_LSL_FIRST_PORT: Final = 16572
_LSL_N_PORTS: Final = 32
_MAX_LSL_PORTS: Final = 1000
_PACKAGES: Final = ("pylsl", "numpy", "websockets", "dareplane-utils")


def probe_computer(
    settings: Settings,
    bytes_per_hour: float,
    board: BoardFacts | None = None,
    lsl_ports: LslPorts | None = None,
) -> ComputerFacts:
    """Find out what an experiment would meet on this computer.

    Parameters
    ----------
    settings : Settings
        Where recordings go, and where PCOMMs and the log server are.
    bytes_per_hour : float
        What a recording of everything would take.
    board : BoardFacts, optional
        The board that was found, by which a module that serves it is known.
    lsl_ports : LslPorts, optional
        Those that were free before the check opened streams of its own.
    """
    folder = settings.recording.dir
    status = _ask_module(settings.server.ip, settings.server.port)
    open_files, limit = _open_files()
    ports = lsl_ports or probe_lsl_ports()
    return ComputerFacts(
        folder=str(folder),
        folder_error=_try_to_write(folder),
        free_bytes=_free_bytes(folder),
        bytes_per_hour=bytes_per_hour,
        pcomm_address=f"{host_in_url(settings.server.ip)}:{settings.server.port}",
        pcomm_port=_port_use(settings.server.ip, settings.server.port, status),
        serves_this_board=_is_of_board(status, settings, board),
        pcomm_state=str(status.get("state", "")),
        log_address=f"{host_in_url(settings.log.host)}:{settings.log.port}",
        has_log_server=_answers(settings.log.host, settings.log.port),
        open_files=open_files,
        open_file_limit=limit,
        lsl_ports=ports.n_ports,
        free_lsl_ports=ports.n_free,
        lsl_ports_per_stream=ports.per_stream,
        versions=installed_versions(),
    )


def names_in_use(
    settings: Settings, board: BoardFacts | None = None, *, unless: str = "idle"
) -> set[str]:
    """Return the variables that a dp-bela of this computer streams, has scheduled or prepared.

    Parameters
    ----------
    settings : Settings
        Where it would listen, and which board is meant.
    board : BoardFacts, optional
        That board, if it was found: a module may know it by another name.
    unless : str
        A state of that module in which it uses none, besides ``idle``.
    """
    status = _ask_module(settings.server.ip, settings.server.port)
    if status.get("state") in ("idle", unless) or not _is_of_board(status, settings, board):
        return set()
    return {str(name) for stream in status.get("streams", ()) for name in stream["variables"]}


def _is_of_board(status: Mapping[str, Any], settings: Settings, board: BoardFacts | None) -> bool:
    """Tell whether a module is connected to this board: by its URL, or another name of it."""
    url = str(status.get("board", {}).get("url", ""))
    if not url or url == settings.board.url:
        return bool(url)
    addresses = {one.address for one in board.attempts if not one.error} if board else set()
    with contextlib.suppress(OSError, ValueError):
        parts = urlsplit(url)
        if parts.port == settings.board.port and parts.hostname:
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
            return not addresses.isdisjoint({str(one[4][0]) for one in found})
    return False


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists: it would be made."""
    return next((one for one in (folder, *folder.parents) if one.exists()), Path())


def _try_to_write(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"dp-bela")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return 0


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _ANSWER_S).close()
    except OSError:
        return False
    return True


def _port_use(ip: str, port: int, status: Mapping[str, Any]) -> str:
    """Tell who has a port, by listening there for a moment as the server does."""
    if status:
        return "ours"
    try:
        _listen_for_a_moment(ip, port)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE or (port != 0 and _answers(ip, port))
        return "taken" if in_use else error.strerror or str(error)
    return "free"


def _listen_for_a_moment(ip: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ip, port))
        listener.listen(1)


class LslPorts(NamedTuple):
    """TCP ports that LSL may take by its settings; zeros when that is not known."""

    n_ports: int
    n_free: int
    per_stream: int


def probe_lsl_ports() -> LslPorts:
    """Find out how many ports LSL may take for streams, and how many of them are free."""
    parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    with contextlib.suppress(OSError, UnicodeError, Error):
        if (path := find_settings_file()) is not None:
            parser.read_string(path.read_text(encoding="utf-8-sig"))
    try:
        first = parser.getint("ports", "BasePort", fallback=_LSL_FIRST_PORT)
        n_ports = parser.getint("ports", "PortRange", fallback=_LSL_N_PORTS)
    except ValueError:
        return LslPorts(0, 0, 0)
    has_ipv6 = parser.get("ports", "IPv6", fallback="allow").strip().lower() != "disable"
    ports = range(first, first + max(0, min(n_ports, _MAX_LSL_PORTS)))
    return LslPorts(len(ports), sum(_is_free(port) for port in ports), 1 + has_ipv6)


def _is_free(port: int) -> bool:
    try:
        _listen_for_a_moment("0.0.0.0", port)  # noqa: S104 - as LSL does, and not for long
    except (OSError, OverflowError):
        return False
    return True


def _ask_module(ip: str, port: int) -> dict[str, Any]:
    """Ask for the STATUS of a dp-bela that may listen there; empty when none does."""
    if port == 0:
        return {}
    try:
        with socket.create_connection((_REACHED_AT.get(ip, ip), port), _ANSWER_S) as connection:
            connection.sendall(b"STATUS;")
            return _read_status(connection)
    except (OSError, ValueError, RecursionError):  # nobody listens, or not a dp-bela
        return {}


def _read_status(connection: socket.socket) -> dict[str, Any]:
    """Read the answer to STATUS, a line of JSON behind the line that greets."""
    text, until_s = b"", time.monotonic() + _ANSWER_S
    while text.count(b"\n") < _N_LINES and len(text) < _MAX_REPLY_BYTES:
        connection.settimeout(max(0.01, until_s - time.monotonic()))
        more = connection.recv(65536)
        if not more:
            return {}
        text += more
    lines = text.splitlines()
    status = json.loads(lines[_N_LINES - 1]) if len(lines) >= _N_LINES else None
    if not isinstance(status, dict) or not isinstance(status.get("board"), dict):
        return {}
    return status if status.get("module") == "dp-bela" else {}


def _open_files() -> tuple[int, int | None]:
    """Return how many files this process has open, as far as known, and how many it may have."""
    try:
        import resource
    except ImportError:
        return 0, None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    folder = Path("/proc/self/fd")
    n_open = len(list(folder.iterdir())) if folder.is_dir() else 0
    return n_open, None if soft == resource.RLIM_INFINITY else int(soft)


def installed_versions() -> dict[str, str]:
    """Return the versions that matter in a bug report."""
    versions = {"dp-bela": __version__, "Python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
