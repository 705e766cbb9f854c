"""Parser of the board's messages on the Watcher's control channel. Pure, no I/O.

They are JSON text: an event for each control client that connects, and the replies to ``list``
and ``log``. Replies go to every control client, without a request id. The commands are in
``control_commands``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from bela_module.errors import FrameError
from bela_module.protocol.variables import ValueType, Variable
from bela_module.validation import MAX_NAMES, shown

MAX_PROJECT_CHARS: Final = 200
MAX_VARIABLE_NAME_CHARS: Final = 15_000
"""Longer texts of the board are cut: they stand in STATUS, in the log and in streams, and a name
that is longer does not fit into any command."""

_REPLY_DIGITS: Final = 15
_TYPES: Final = {str(value_type): value_type for value_type in ValueType}
_Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """A control client, not always this one, has connected to the board."""

    project: str
    """Name of the project that runs on the board."""


@dataclass(frozen=True, slots=True)
class VariableList:
    """The reply to ``list``."""

    sample_rate_hz: float
    """What the sketch told Watcher; it need not be the rate of the ticks."""
    tick: int
    """The board's last tick, up to one audio block old."""
    tick_granularity: int
    """Resolution of ``tick``: 1 below 1e15, then 10, 100, ... for its 15 significant digits."""
    variables: tuple[Variable, ...]
    """All variables of the sketch, by their position."""


@dataclass(frozen=True, slots=True)
class LogReply:
    """The reply to ``log``: a file is being written on the board."""

    name: str
    """Name of the variable."""
    file_name: str
    first_tick: float
    last_tick: float
    """End of the log, about 1.8e19 when none was asked for."""


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A well-formed message of another kind, which can be ignored."""

    text: str


ControlMessage = ConnectionEvent | VariableList | LogReply | OtherMessage


def parse_control_message(message: str | bytes) -> ControlMessage:
    """Parse one websocket message of the board's control channel.

    Raises
    ------
    FrameError
        When it is not JSON, or a reply lacks a field or has one of the wrong kind.
    """
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    try:
        root = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a control message that is not JSON: {text[:80]!r}") from error
    if not isinstance(root, dict):
        return OtherMessage(text[:200])
    if root.get("event") == "connection":
        return ConnectionEvent(_printable(_text(root, "projectName")[:MAX_PROJECT_CHARS]))
    watcher = root.get("watcher")
    if not isinstance(watcher, dict):
        return OtherMessage(text[:200])
    if "watchers" in watcher:
        return _variable_list(watcher)
    if "logFileName" in watcher:
        return LogReply(
            name=_text(watcher, "watcher")[:MAX_VARIABLE_NAME_CHARS],
            file_name=_text(watcher, "logFileName")[:MAX_VARIABLE_NAME_CHARS],
            first_tick=_number(watcher, "timestamp"),
            last_tick=_number(watcher, "timestampEnd"),
        )
    if "sampleRate" in watcher or "timestamp" in watcher:
        raise FrameError("the reply to 'list' lacks its 'watchers'")
    return OtherMessage(text[:200])


def _variable_list(watcher: _Entry) -> VariableList:
    entries = watcher["watchers"]
    if not isinstance(entries, list):
        raise FrameError(f"the reply to 'list' has {type(entries).__name__} for its 'watchers'")
    if len(entries) > MAX_NAMES:
        raise FrameError(
            f"the reply to 'list' has {len(entries)} variables; {MAX_NAMES} are possible"
        )
    rate_hz = _number(watcher, "sampleRate")
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        raise FrameError(f"the reply to 'list' has a 'sampleRate' of {rate_hz}")
    tick = _integer(watcher, "timestamp")
    if not 0 <= tick < 2**63:
        raise FrameError(f"the reply to 'list' has a 'timestamp' of {tick}")
    return VariableList(
        sample_rate_hz=rate_hz,
        tick=tick,
        tick_granularity=max(1, 10 ** (len(str(tick)) - _REPLY_DIGITS)) if tick >= 10**15 else 1,
        variables=tuple(_variable(index, entry) for index, entry in enumerate(entries)),
    )


def _variable(index: int, entry: Any) -> Variable:
    if not isinstance(entry, dict):
        raise FrameError(f"variable {index} in the reply to 'list' is {shown(entry)}")
    value_type = _TYPES.get(str(entry.get("type")))
    if value_type is None:
        known = ", ".join(ValueType)
        raise FrameError(
            f"variable {index} has the unknown type {shown(entry.get('type'))}; known are {known}"
        )
    return Variable(
        index=index,
        name=_text(entry, "name")[:MAX_VARIABLE_NAME_CHARS],
        value_type=value_type,
        sparse=_integer(entry, "timestampMode") == 1,
        value=_number(entry, "value"),
        value_input=_number(entry, "valueInput", missing=math.nan),
        watched=_flag(entry, "watched"),
        controlled=_flag(entry, "controlled"),
        logged=_flag(entry, "logged"),
        monitor_period_ticks=_integer(entry, "monitor", missing=0),
        log_file_name=str(entry.get("logFileName") or "")[:MAX_VARIABLE_NAME_CHARS],
    )


def _text(entry: _Entry, key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise FrameError(f"{key!r} is {shown(value)} in a message of the board; text was expected")
    return value


def _printable(text: str) -> str:
    """Replace what no terminal, file name or stream could show: it is shown, never sent back."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _number(entry: _Entry, key: str, missing: float | None = None) -> float:
    value = entry.get(key, missing)
    if type(value) is float:  # as almost always
        return value
    if value is None and key in entry:
        return math.nan  # the board writes NaN and infinity as null
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameError(
            f"{key!r} is {shown(value)} in a message of the board; a number was expected"
        )
    try:
        return float(value)
    except OverflowError:
        raise FrameError(f"{key!r} is too large in a message of the board") from None


def _integer(entry: _Entry, key: str, missing: int | None = None) -> int:
    value = entry.get(key, missing)
    if type(value) is int:  # as almost always
        return value
    # Integers of 1e15 and above come as JSON floats, of 15 significant digits.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FrameError(
            f"{key!r} is {shown(value)} in a message of the board; a whole number was expected"
        )
    return value


def _flag(entry: _Entry, key: str) -> bool:
    value = entry.get(key, False)
    if type(value) is bool:  # as almost always
        return value
    if not isinstance(value, bool | int | float):
        raise FrameError(
            f"{key!r} is {shown(value)} in a message of the board; true or false was expected"
        )
    return bool(value)
