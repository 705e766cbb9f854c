"""The Watcher's control channel: JSON messages, both directions. Pure, no I/O.

To the board go commands, several in one message: ``{"watcher":[{"cmd":"list"}, ...]}``. Only
``list`` and ``log`` are ever answered, to every connected client and without a request id; there
are no acknowledgements and no error messages. Messages must be ASCII and shorter than 16 000
bytes; anything that the board's parser does not like makes it drop the whole message.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bela_module.errors import FrameError, RequestError
from bela_module.protocol.variables import ValueType, Variable

MAX_MESSAGE_BYTES: Final = 15_000
"""Longest message sent to the board, below the 16 000 bytes at which its server gives up."""

_REPLY_DIGITS: Final = 15

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """A control client, not always this one, has connected to the board.

    Parameters
    ----------
    project : str
        Name of the project that runs on the board.
    """

    project: str


@dataclass(frozen=True, slots=True)
class VariableList:
    """The reply to ``list``.

    Parameters
    ----------
    sample_rate_hz : float
        What the sketch told Watcher; it need not be the rate of the ticks.
    tick : int
        The board's last tick, up to one audio block old.
    tick_granularity : int
        How far apart two ticks are that the reply can tell from each other: 1 below 1e15, then
        10, 100, ... since numbers in the reply have 15 significant digits.
    variables : tuple of Variable
        All variables of the sketch, by their position.
    """

    sample_rate_hz: float
    tick: int
    tick_granularity: int
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class LogReply:
    """The reply to ``log``: a file is being written on the board.

    Parameters
    ----------
    name, file_name : str
        The variable, and the file on the board.
    first_tick, last_tick : float
        Where the log begins and ends; the end is about 1.8e19 when none was asked for.
    """

    name: str
    file_name: str
    first_tick: float
    last_tick: float


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A well-formed message that is none of the above; it can be ignored."""

    text: str


ControlMessage = ConnectionEvent | VariableList | LogReply | OtherMessage


def parse_control_message(message: str | bytes) -> ControlMessage:
    """Read one message of the board's control channel.

    Parameters
    ----------
    message : str or bytes
        One whole websocket message.

    Returns
    -------
    ConnectionEvent, VariableList, LogReply or OtherMessage
        What it says.

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
        return ConnectionEvent(_text(root, "projectName"))
    watcher = root.get("watcher")
    if not isinstance(watcher, dict):
        return OtherMessage(text[:200])
    if "watchers" in watcher:
        return _variable_list(watcher)
    if "logFileName" in watcher:
        return LogReply(
            name=_text(watcher, "watcher"),
            file_name=_text(watcher, "logFileName"),
            first_tick=_number(watcher, "timestamp"),
            last_tick=_number(watcher, "timestampEnd"),
        )
    if "sampleRate" in watcher or "timestamp" in watcher:
        raise FrameError("the reply to 'list' lacks its 'watchers'")
    return OtherMessage(text[:200])


def _variable_list(watcher: Json) -> VariableList:
    entries = watcher["watchers"]
    if not isinstance(entries, list):
        raise FrameError(f"the reply to 'list' has {type(entries).__name__} for its 'watchers'")
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
        raise FrameError(f"variable {index} in the reply to 'list' is {entry!r}")
    try:
        value_type = ValueType(str(entry.get("type")))
    except ValueError:
        known = ", ".join(ValueType)
        raise FrameError(
            f"variable {index} has the unknown type {entry.get('type')!r}; known are {known}"
        ) from None
    return Variable(
        index=index,
        name=_text(entry, "name"),
        value_type=value_type,
        sparse=_integer(entry, "timestampMode") == 1,
        value=_number(entry, "value"),
        value_input=_number(entry, "valueInput", missing=math.nan),
        watched=_flag(entry, "watched"),
        controlled=_flag(entry, "controlled"),
        logged=_flag(entry, "logged"),
        monitor_period_ticks=_integer(entry, "monitor", missing=0),
        log_file_name=str(entry.get("logFileName") or ""),
    )


def _text(entry: Json, key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise FrameError(f"{key!r} is {value!r} in a message of the board; text was expected")
    return value


def _number(entry: Json, key: str, missing: float | None = None) -> float:
    value = entry.get(key, missing)
    if value is None and key in entry:
        return math.nan  # the board writes NaN and infinity as null
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameError(f"{key!r} is {value!r} in a message of the board; a number was expected")
    try:
        return float(value)
    except OverflowError:
        raise FrameError(f"{key!r} is too large in a message of the board") from None


def _integer(entry: Json, key: str, missing: int | None = None) -> int:
    value = entry.get(key, missing)
    # Integers of 1e15 and above come as JSON floats, of 15 significant digits.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FrameError(
            f"{key!r} is {value!r} in a message of the board; a whole number was expected"
        )
    return value


def _flag(entry: Json, key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool | int | float):
        raise FrameError(
            f"{key!r} is {value!r} in a message of the board; true or false was expected"
        )
    return bool(value)


# ---- commands to the board -------------------------------------------------------------------

CONNECTION_REPLY: Final = '{"event":"connection-reply"}'
"""What a control client answers once to be given data."""

ACTIVE: Final = '{"event":"active"}'
"""What resumes data for a control client that was paused."""


def list_command() -> Json:
    """Ask for all variables and the present tick."""
    return {"cmd": "list"}


def watch_command(
    names: Sequence[str],
    start_ticks: Sequence[int] | None = None,
    duration_ticks: Sequence[int] | None = None,
) -> Json:
    """Start streaming variables, now or at a tick, and for how many ticks.

    Parameters
    ----------
    names : sequence of str
        Variables.
    start_ticks, duration_ticks : sequence of int, optional
        One for each variable. A stream from tick T for D ticks has D + 1 ticks: the end is
        inclusive.
    """
    return _with_lists("watch", names, timestamps=start_ticks, durations=duration_ticks)


def unwatch_command(names: Sequence[str], stop_ticks: Sequence[int] | None = None) -> Json:
    """Stop streaming variables, now or at a tick, which is still part of the stream."""
    return _with_lists("unwatch", names, timestamps=stop_ticks)


def monitor_command(names: Sequence[str], period_ticks: Sequence[int]) -> Json:
    """Send single values: every so many ticks, once (period 1) or no more (period 0)."""
    return _with_lists("monitor", names, periods=period_ticks)


def control_command(names: Sequence[str]) -> Json:
    """Take control: the sketch reads what :func:`set_command` sets, no longer its own value."""
    return _with_lists("control", names)


def uncontrol_command(names: Sequence[str]) -> Json:
    """Give control back to the sketch."""
    return _with_lists("uncontrol", names)


def set_command(names: Sequence[str], values: Sequence[float]) -> Json:
    """Set the values of controlled variables; for others it is lost."""
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
    """Write commands as few messages, each of which the board accepts.

    Parameters
    ----------
    commands : iterable of mapping
        What the ``..._command`` functions returned, in the order in which they shall act.

    Returns
    -------
    list of str
        ASCII messages of at most ``MAX_MESSAGE_BYTES``; a command with many variables is split.

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
