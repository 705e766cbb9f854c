"""Commands to the board on the Watcher's control channel. Pure, no I/O.

A message holds several: ``{"watcher":[{"cmd":"list"}, ...]}``. Only ``list`` and ``log`` are
answered; there are no acknowledgements and no error messages. Messages must be ASCII and shorter
than 16 000 bytes; the board drops a message that its parser does not accept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bela_module.errors import RequestError

MAX_MESSAGE_BYTES: Final = 15_000
"""Longest message sent to the board, below the 16 000 bytes that its server refuses."""

Json = dict[str, Any]

CONNECTION_REPLY: Final = '{"event":"connection-reply"}'
"""Answer to the connection event; the board sends data once a control client has given it."""

ACTIVE: Final = '{"event":"active"}'
"""Event that resumes the data of a paused control client."""


def list_command() -> Json:
    """Make the command that asks for all variables and the present tick."""
    return {"cmd": "list"}


def watch_command(
    names: Sequence[str],
    start_ticks: Sequence[int] | None = None,
    duration_ticks: Sequence[int] | None = None,
) -> Json:
    """Make the command that streams variables, from now or from a tick, for ever or for some ticks.

    ``start_ticks`` and ``duration_ticks`` have one number for each variable. A stream from tick T
    for D ticks has D + 1 ticks: the end is inclusive.
    """
    return _with_lists("watch", names, timestamps=start_ticks, durations=duration_ticks)


def unwatch_command(names: Sequence[str], stop_ticks: Sequence[int] | None = None) -> Json:
    """Make the command that stops streams, now or at a tick, which is still part of the stream."""
    return _with_lists("unwatch", names, timestamps=stop_ticks)


def monitor_command(names: Sequence[str], period_ticks: Sequence[int]) -> Json:
    """Make the command for single values: every period, once (period 1) or no more (period 0)."""
    return _with_lists("monitor", names, periods=period_ticks)


def control_command(names: Sequence[str]) -> Json:
    """Make the command that takes control: the sketch reads what :func:`set_command` sets."""
    return _with_lists("control", names)


def uncontrol_command(names: Sequence[str]) -> Json:
    """Make the command that gives control back to the sketch."""
    return _with_lists("uncontrol", names)


def set_command(names: Sequence[str], values: Sequence[float]) -> Json:
    """Make the command that sets controlled variables; the board ignores others."""
    if not all(math.isfinite(value) for value in values):
        raise RequestError(
            f"the values {list(values)} are not all finite; the board takes no others"
        )
    return _with_lists("set", names, values=values)


def _with_lists(cmd: str, names: Sequence[str], **lists: Sequence[float] | None) -> Json:
    command: Json = {"cmd": cmd, "watchers": list(names)}
    for key, values in lists.items():
        if values is None:
            continue
        if len(values) != len(names):
            raise RequestError(f"{len(values)} {key} for {len(names)} variables in {cmd!r}")
        command[key] = list(values)
    return command


def encode_commands(commands: Iterable[Mapping[str, Any]]) -> list[str]:
    """Encode commands, in their order, as few messages of at most ``MAX_MESSAGE_BYTES``.

    A command with many variables is split.

    Raises
    ------
    RequestError
        When a single name is too long for any message.
    """
    messages: list[str] = []
    parts: list[str] = []
    size = 0
    for part in (part for command in commands for part in _split(command)):
        if parts and size + len(part) + len(_FRAME) > MAX_MESSAGE_BYTES:
            messages.append(_frame(parts))
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        messages.append(_frame(parts))
    return messages


_FRAME: Final = '{"watcher":[]}'


def _frame(parts: Sequence[str]) -> str:
    return '{"watcher":[' + ",".join(parts) + "]}"


def _split(command: Mapping[str, Any]) -> list[str]:
    text = json.dumps(command, separators=(",", ":"), allow_nan=False)
    if len(text) + len(_FRAME) <= MAX_MESSAGE_BYTES:
        return [text]
    count = len(command.get("watchers", ()))
    if count < 2:
        raise RequestError(f"a command of {len(text)} bytes; the board takes {MAX_MESSAGE_BYTES}")
    halves: list[str] = []
    for part in (slice(None, count // 2), slice(count // 2, None)):
        halves += _split(
            {
                key: value[part] if isinstance(value, list) else value
                for key, value in command.items()
            }
        )
    return halves
