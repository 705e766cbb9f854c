"""Contents of a capture for replay: project, variables, data, and a fit of ticks to time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bela_module.connection.capture_file import CapturedMessage
from bela_module.errors import CaptureError, FrameError
from bela_module.protocol.control_channel import (
    ConnectionEvent,
    VariableList,
    parse_control_message,
)
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.simulator.board_json import items, parse_message
from bela_module.simulator.replay.survey_filter import SurveyFilter
from bela_module.simulator.time_limits import RATE_FIT_SPAN_S

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TickLine:
    """Linear map between a board's ticks and seconds of the capture."""

    tick_at_zero: float
    rate_hz: float

    def tick(self, time_s: float) -> int:
        """Return the last tick that has happened at a time."""
        return max(int(self.tick_at_zero + self.rate_hz * time_s), 0)

    def time_s(self, tick: int) -> float:
        """Return the time of a tick."""
        return (tick - self.tick_at_zero) / self.rate_hz


@dataclass(frozen=True, slots=True)
class CaptureContents:
    """What a replay needs of a capture; times are seconds of the capture."""

    project: str
    lists: tuple[tuple[float, VariableList], ...]
    """Time and reply to ``list``."""
    data: tuple[tuple[float, bytes], ...]
    """Time and message of the board on the data channel."""
    first_tick: int
    """Earliest tick in the data."""
    start_s: float
    """Time at which the recorded client asked for data."""
    line: TickLine
    """The board's ticks; never behind any message."""
    watched: tuple[str, ...]
    """Names of the variables with blocks."""
    monitored: tuple[str, ...]
    """Names of the variables with single values."""

    @property
    def watches(self) -> bool:
        """Whether there are blocks, not single values alone."""
        return bool(self.watched)

    def list_at(self, time_s: float) -> VariableList:
        """Return the latest list at a time, or the first one if there was none yet."""
        past = [listed for listed_s, listed in self.lists if listed_s <= time_s]
        return past[-1] if past else self.lists[0][1]


def read_contents(messages: Iterable[CapturedMessage]) -> CaptureContents:
    """Collect what a replay needs from the messages of a whole capture, in order.

    Raises
    ------
    CaptureError
        When it holds no connection event, no reply to ``list``, or no data of the board.
    """
    events: list[ConnectionEvent] = []
    lists: list[tuple[float, VariableList]] = []
    data: list[tuple[float, bytes]] = []
    asked_s: list[float] = []
    surveys = SurveyFilter()
    for message in messages:
        if message.channel == "data":
            if message.from_board and isinstance(message.message, bytes):
                data += surveys.pass_on(message.time_s, message.message)
        elif message.from_board:
            _sort_reply(message, events, lists)
            surveys.variables = lists[0][1].variables if lists else ()
        elif commands := _commands(message.message):
            surveys.note(commands)
            if any(command.get("cmd") in ("watch", "monitor") for command in commands):
                asked_s.append(message.time_s)
    data += surveys.finish()
    if not events or not lists or not data:
        missing = "connection event" if not events else "'list' reply" if not lists else "data"
        raise CaptureError(f"the capture holds no {missing}, so it cannot be replayed")
    blocks = _decode(lists[0][1], data)
    if not blocks:
        raise CaptureError("the capture holds no block of a variable that its 'list' names")
    return CaptureContents(
        project=events[0].project,
        lists=tuple(lists),
        data=tuple(data),
        first_tick=min(block.tick for _, block in blocks),
        start_s=min([*asked_s, data[0][0]]),
        line=_fit_line(lists, blocks),
        watched=_names(block for _, block in blocks if not block.monitor),
        monitored=_names(block for _, block in blocks if block.monitor),
    )


def _names(blocks: Iterable[Block]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(block.variable.name for block in blocks))


def _sort_reply(
    message: CapturedMessage,
    events: list[ConnectionEvent],
    lists: list[tuple[float, VariableList]],
) -> None:
    try:
        parsed = parse_control_message(message.message)
    except FrameError as error:
        raise CaptureError(
            f"at {message.time_s} s the capture is not a board's: {error}"
        ) from error
    if isinstance(parsed, ConnectionEvent):
        events.append(parsed)
    elif isinstance(parsed, VariableList):
        lists.append((message.time_s, parsed))


def _commands(message: str | bytes) -> list[dict[str, Any]]:
    root = parse_message(message) if isinstance(message, str) else None
    return [command for command in items(root, "watcher") if isinstance(command, dict)]


def _decode(listed: VariableList, data: list[tuple[float, bytes]]) -> list[tuple[float, Block]]:
    decoder = DataDecoder(listed.variables)
    decoded = [(time_s, decoder.receive(message)) for time_s, message in data]
    return [(time_s, block) for time_s, block in decoded if isinstance(block, Block)]


def _fit_line(
    lists: list[tuple[float, VariableList]], blocks: list[tuple[float, Block]]
) -> TickLine:
    """Fit the rate to replies and blocks, and the offset so that no message is too early."""
    points = [(time_s, listed.tick) for time_s, listed in lists]
    # Replies to list are late by a network delay, blocks also by what the board waited.
    listed_long_enough = points[-1][0] - points[0][0] >= RATE_FIT_SPAN_S
    blocks_end = [(time_s, _last_tick(block)) for time_s, block in blocks if not _open_end(block)]
    blocks_end += _ends_of_dense_blocks(blocks)
    rate_hz = lists[0][1].sample_rate_hz
    times_s, ticks = _columns(points if listed_long_enough else points + blocks_end)
    if np.ptp(times_s) >= RATE_FIT_SPAN_S:
        spread_s = times_s - times_s.mean()
        rate_hz = float(spread_s @ (ticks - ticks.mean()) / (spread_s @ spread_s))
    times_s, ticks = _columns(points + blocks_end)
    # One more, so that the tick itself has happened when its message leaves.
    return TickLine(float(np.max(ticks - rate_hz * times_s)) + 1.0, rate_hz)


def _columns(points: list[tuple[float, int]]) -> tuple[FloatArray, FloatArray]:
    times_s, ticks = zip(*points, strict=True)
    return np.array(times_s, dtype=np.float64), np.array(ticks, dtype=np.float64)


def _open_end(block: Block) -> bool:
    return not block.monitor and block.relative_ticks is None


def _last_tick(block: Block) -> int:
    return int(block.ticks[-1])


def _ends_of_dense_blocks(blocks: list[tuple[float, Block]]) -> list[tuple[float, int]]:
    """Return time and last tick of dense blocks that the next one follows without a hole."""
    ends: list[tuple[float, int]] = []
    by_variable: dict[int, list[tuple[float, Block]]] = {}
    for time_s, block in blocks:
        if _open_end(block):
            by_variable.setdefault(block.variable.index, []).append((time_s, block))
    for own in by_variable.values():
        lengths = np.diff([block.tick for _, block in own])
        usual = int(np.median(lengths)) if lengths.size else 0
        ends += [
            (time_s, block.tick + usual - 1)
            for (time_s, block), length in zip(own, lengths, strict=False)
            if length == usual
        ]
    return ends
