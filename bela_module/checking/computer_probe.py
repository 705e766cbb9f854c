"""Looks at this computer: folder and disk, the ports of PCOMMs and log, open files, versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bela_module.checking.facts import ComputerFacts
from bela_module.config import Settings
from bela_module.validation import host_in_url
from bela_module.version import __version__

_ANSWER_S: Final = 1.0
_MAX_REPLY_BYTES: Final = 1 << 20
_N_LINES: Final = 2
_PACKAGES: Final = ("pylsl", "numpy", "websockets", "dareplane-utils")


def probe_computer(settings: Settings, bytes_per_hour: float) -> ComputerFacts:
    """Find out what an experiment would meet on this computer.

    Parameters
    ----------
    settings : Settings
        Where recordings go, and where PCOMMs and the log server are.
    bytes_per_hour : float
        What a recording of everything would take.
    """
    folder = settings.recording.dir
    status = _ask_module(settings.server.ip, settings.server.port)
    open_files, limit = _open_files()
    board = status.get("board", {})
    return ComputerFacts(
        folder=str(folder),
        folder_error=_try_to_write(folder),
        free_bytes=_free_bytes(folder),
        bytes_per_hour=bytes_per_hour,
        pcomm_address=f"{host_in_url(settings.server.ip)}:{settings.server.port}",
        pcomm_port=_port_use(settings.server.ip, settings.server.port, status),
        pcomm_board_url=str(board.get("url", "")),
        pcomm_state=str(status.get("state", "")),
        log_address=f"{host_in_url(settings.log.host)}:{settings.log.port}",
        has_log_server=_answers(settings.log.host, settings.log.port),
        open_files=open_files,
        open_file_limit=limit,
        versions=installed_versions(),
    )


def names_in_use(settings: Settings) -> set[str]:
    """Return the variables that a dp-bela of this computer streams, has scheduled or prepared.

    Parameters
    ----------
    settings : Settings
        Where it would listen, and which board is meant.
    """
    status = _ask_module(settings.server.ip, settings.server.port)
    same_board = status.get("board", {}).get("url") == settings.board.url
    if not same_board or status.get("state") == "idle":
        return set()
    return {str(name) for stream in status.get("streams", ()) for name in stream["variables"]}


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
    if status:
        return "ours"
    return "taken" if port != 0 and _answers(ip, port) else "free"


def _ask_module(ip: str, port: int) -> dict[str, Any]:
    """Ask for the STATUS of a dp-bela that may listen there; empty when none does."""
    if port == 0:
        return {}
    try:
        with socket.create_connection((ip, port), _ANSWER_S) as connection:
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
