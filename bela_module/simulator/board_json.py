"""JSON of the control channel as the board reads and writes it, quirks included. Pure, no I/O.

The board's JSON library is strict in one way, a message that is not plain ASCII JSON from end to
end is dropped whole, and lenient in another: a value of the wrong kind counts as missing. It
writes numbers with 15 significant digits and keys in alphabetical order.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from bela_module.protocol.variables import Variable

MAX_MESSAGE_BYTES: Final = 16_000
"""Length from which the board's server drops a message."""

_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}

_PLAIN: Final = re.compile(r"[ !#-.0-\[\]-~]*")  # what needs no escape: replies are soon written


def parse_message(text: str) -> dict[str, Any] | None:
    """Parse a message to the board; ``None`` when the board would silently ignore it."""
    if len(text) >= MAX_MESSAGE_BYTES or not text.isascii():
        return None
    try:
        root = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return root if isinstance(root, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def items(entry: Any, key: str) -> list[Any]:
    """Return an array of an object; empty when it is missing or of another kind."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, list) else []


def number(value: Any) -> float:
    """Convert a JSON value to a number; 0 for any other kind."""
    try:
        return float(value) if isinstance(value, bool | int | float) else 0.0
    except OverflowError:
        return math.inf


def unsigned(value: Any) -> int:
    """Convert a JSON value to a tick, truncated and clamped to 0 .. 2**61 so that sums fit."""
    return int(min(max(number(value), 0.0), 2.0**61))


def connection_event(project: str) -> str:
    """Write the connection event, which every control client gets when one connects."""
    return _write({"event": "connection", "projectName": project})


def list_reply(declared_rate_hz: float, tick: int, variables: list[Variable]) -> str:
    """Write the reply to ``list``; quickly, since the tick in it becomes older meanwhile."""
    watchers = ",".join(_write_variable(variable) for variable in variables)
    return (
        f'{{"watcher":{{"sampleRate":{_write_number(declared_rate_hz)},'
        f'"timestamp":{_write_number(tick)},"watchers":[{watchers}]}}}}'
    )


def _write_variable(variable: Variable) -> str:
    return (
        f'{{"controlled":{_write_flag(variable.controlled)},'
        f'"logFileName":{_write_text(variable.log_file_name)},'
        f'"logged":{_write_flag(variable.logged)},'
        f'"monitor":{_write_number(variable.monitor_period_ticks)},'
        f'"name":{_write_text(variable.name)},'
        f'"timestampMode":{int(variable.sparse)},'
        f'"type":"{variable.value_type.value}",'
        f'"value":{_write_number(variable.value)},'
        f'"valueInput":{_write_number(variable.value_input)},'
        f'"watched":{_write_flag(variable.watched)}}}'
    )


def log_reply(name: str, file_name: str, first_tick: int, last_tick: int) -> str:
    """Write the reply to ``log``."""
    return _write(
        {
            "watcher": {
                "logFileName": file_name,
                "timestamp": first_tick,
                "timestampEnd": last_tick,
                "watcher": name,
            }
        }
    )


def _write(value: Any) -> str:
    match value:
        case int() | float():
            return _write_number(value)
        case str():
            return _write_text(value)
        case Mapping():
            pairs = (f"{_write(key)}:{_write(value[key])}" for key in sorted(value))
            return "{" + ",".join(pairs) + "}"
        case _:
            return "[" + ",".join(_write(item) for item in value) + "]"


def _write_flag(value: bool) -> str:
    return "true" if value else "false"


def _write_number(value: float) -> str:
    return format(float(value), ".15g") if math.isfinite(value) else "null"


def _write_text(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if " " <= character <= "~":
        return character
    return f"\\u{ord(character) & 0xFFFF:04X}"
