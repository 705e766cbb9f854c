"""Single values or blocks: asks the board for them, and changes streams from one to the other."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import Json, unwatch_command, watch_command
from bela_module.protocol.variables import Variable
from bela_module.session.board.monitor_periods import MonitorUse
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.prompt_state import FlushStep
from bela_module.session.delivery.time_limits import (
    FOREIGN_PERIOD_S,
    SCHEDULED_SINGLE_LEAD_S,
    SINGLE_HEARD_S,
    SLOW_BLOCK_S,
)
from bela_module.session.delivery.transport_chooser import LIMIT_HZ, Observed, choose_first
from bela_module.session.notices import Notices
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import StreamMode, may_come_singly
from bela_module.tracking.prompt_dense import PromptDenseTracker
from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS, Transport
from bela_module.validation import named

logger = logging.getLogger(__name__)


def begin_singles(delivery: Delivery) -> list[Json]:
    """Choose the streams that come singly, tell their trackers, and return the commands.

    To be called on every connection, when the trackers have begun or are resumed.
    """
    prompt, now_s = delivery.prompt, delivery.now()
    streams = [stream for stream in _streams(delivery) if _may_be_single(delivery, stream)]
    rates_hz = {stream.plan.name: _known_rate_hz(delivery, stream) for stream in streams}
    if prompt.only_unknown:
        streams = [
            s for s in streams if s.plan.mode is StreamMode.DENSE and not _has_step(delivery, s)
        ]
        rates_hz = {s.plan.name: None for s in streams}
    chosen = choose_first(rates_hz)
    prompt.chooser.begin((s.plan.name for s in _streams(delivery)), now_s)
    prompt.n_singles.clear()
    names: list[str] = []
    for stream in streams:
        if stream.plan.name in chosen:
            for variable in _members(delivery, stream):
                stream.tracker_of(variable).take_singles(from_start=True)
                names.append(variable.name)
    if delivery.schedule.windows and _due_in_s(delivery) > SCHEDULED_SINGLE_LEAD_S:
        prompt.waiting.update(names)
        return []
    return _ask(delivery, names)


def end_singles(delivery: Delivery) -> list[Json]:
    """Return the commands that end the single values of a delivery."""
    names = list(delivery.prompt.asked_s)
    delivery.prompt.connection_lost()
    delivery.board.ended_monitors.update(names)
    return delivery.board.monitors.drop(names, MonitorUse.PROMPT)


async def adjust_transport(delivery: Delivery, client: BoardClient) -> None:
    """Compare rates with their limits, and change streams that are too fast or slow enough.

    Raises
    ------
    DisconnectedError
        When the connection has ended.
    """
    prompt = delivery.prompt
    if not delivery.is_streaming or delivery.kind is DeliveryKind.MONITOR:
        return
    commands: list[Json] = []
    if prompt.waiting and _due_in_s(delivery) <= SCHEDULED_SINGLE_LEAD_S:
        commands += _ask(delivery, sorted(prompt.waiting))
        prompt.waiting.clear()
    _watch_for_others(delivery)
    observed = {
        stream.plan.name: _observe(delivery, stream)
        for stream in _streams(delivery)
        if not _comes_in_fast_blocks(delivery, stream)
    }
    changes = prompt.chooser.look(observed, delivery.now(), prompt.too_fast)
    prompt.too_fast.clear()
    for stream in _streams(delivery):
        name = stream.plan.name
        unwatched = any(prompt.is_unwatched(v.name) for v in stream.plan.variables)
        if name in changes.to_blocks and not unwatched:
            commands += _to_blocks(delivery, stream, changes.to_blocks[name])
        elif name in changes.to_singles:
            commands += _to_singles(delivery, stream)
    commands += _flush(delivery)
    _tell_slow(delivery)
    if commands:
        await client.send(*commands)


# ---- which streams -----------------------------------------------------------------------------


def _streams(delivery: Delivery) -> list[LiveStream]:
    return [s for s in delivery.streams if s.plan.mode is not StreamMode.MONITOR]


def _members(delivery: Delivery, stream: LiveStream) -> list[Variable]:
    missing = delivery.router.missing
    return [variable for variable in stream.plan.variables if variable.name not in missing]


def _may_be_single(delivery: Delivery, stream: LiveStream) -> bool:
    prompt, name = delivery.prompt, stream.plan.name
    allowed = prompt.is_allowed and not prompt.takes_over and may_come_singly(stream.plan)
    close = any(v.name in delivery.board.too_close for v in stream.plan.variables)
    if not allowed or close or name in prompt.fixed:
        return False
    for variable in _members(delivery, stream):
        period = _foreign_period(delivery, variable.name)
        if period and variable.name not in prompt.told:
            prompt.told.add(variable.name)
            delivery.notices.inform(
                f"{named([variable.name])}: another client monitors it every {period} ticks; its "
                "values come in blocks"
            )
        if period:
            prompt.fixed.add(name)
            return False
    return True


def _foreign_period(delivery: Delivery, name: str) -> int:
    """Return the period of a monitor that is not ours, 0 for none."""
    board = delivery.board
    listed = board.monitor_period_of(name)
    told = board.monitors.period_of(name)
    if listed in (0, told, PROMPT_PERIOD_TICKS):  # the last has every value, as ours would
        return 0
    if told and not delivery.prompt.asked_before(name, delivery.now() - FOREIGN_PERIOD_S):
        return 0
    return 0 if name in board.ended_monitors else listed


def _known_rate_hz(delivery: Delivery, stream: LiveStream) -> float | None:
    """Return how many values a second a stream has, at most, as far as it was seen before.

    A dense variable of which nothing was seen may be assigned at every tick: it begins in blocks.
    """
    board = delivery.board
    tick_rate_hz = board.clock.tick_rate_hz if board.clock is not None else math.nan
    rates = [board.rates_hz.get(v.name) for v in stream.plan.variables]
    if stream.plan.mode is StreamMode.DENSE:
        steps = [board.steps.get(v.name, board.slow.get(v.name)) for v in stream.plan.variables]
        rates = [tick_rate_hz / step if step else math.inf for step in steps]
    known = [rate_hz for rate_hz in rates if rate_hz is not None]
    return sum(known) if len(known) == len(rates) and not math.isnan(sum(known)) else None


def _has_step(delivery: Delivery, stream: LiveStream) -> bool:
    return all(variable.name in delivery.board.steps for variable in stream.plan.variables)


def _comes_in_fast_blocks(delivery: Delivery, stream: LiveStream) -> bool:
    """Tell whether a stream's blocks come too often for single values, which is soon told."""
    since_s = delivery.now() - SLOW_BLOCK_S
    return all(
        delivery.router.last_block_s.get(variable.name, -math.inf) > since_s
        and stream.tracker_of(variable).transport is Transport.BLOCK
        and not stream.tracker_of(variable).too_close
        for variable in stream.plan.variables
    )


def _observe(delivery: Delivery, stream: LiveStream) -> Observed:
    variables = _members(delivery, stream)
    trackers = [stream.tracker_of(variable) for variable in variables]
    _note_close(delivery, stream)
    waits = bool(delivery.prompt.waiting)
    last_s = max(
        (delivery.router.last_block_s.get(v.name, -math.inf) for v in variables), default=0
    )
    may_be = (
        not waits
        and not delivery.prompt.only_unknown
        and bool(variables)
        and _may_be_single(delivery, stream)
        and not any(_has_ended(delivery, variable) for variable in variables)
    )
    is_single = any(tracker.transport is not Transport.BLOCK for tracker in trackers)
    if delivery.prompt.only_unknown and is_single:
        may_be = _may_be_single(delivery, stream)
    if waits and is_single:
        may_be = True
    if delivery.schedule.windows and not is_single:
        may_be = False  # a block that is sent early would end its window
    # What pauses is not slow, nor is anything while the board sends no data at all.
    heard = delivery.router.heard_s > delivery.now() - SINGLE_HEARD_S
    if not is_single and not (heard and any(_is_assigned(delivery, v) for v in variables)):
        may_be = False
    return Observed(
        delivery.prompt.n_singles.get(stream.plan.name, 0),
        max((v.layout.value_count for v in variables), default=1),
        last_s,
        is_single,
        may_be,
    )


def _note_close(delivery: Delivery, stream: LiveStream) -> None:
    """Tell of variables that single values do not carry completely, and leave them to blocks."""
    board = delivery.board
    names = [
        variable.name
        for variable in stream.plan.variables
        if stream.tracker_of(variable).too_close and variable.name not in board.too_close
    ]
    if names:
        board.too_close.update(names)
        delivery.notices.inform(
            f"{named(names)}: assigned less than two ticks apart; values come in blocks"
        )


def _is_assigned(delivery: Delivery, variable: Variable) -> bool:
    """Tell whether a variable was seen assigned since its last block, and not just after it."""
    last_s = delivery.router.last_block_s.get(variable.name, delivery.begun_s)
    return delivery.watchdog.changed_after(variable.name, last_s + SINGLE_HEARD_S)


def _has_ended(delivery: Delivery, variable: Variable) -> bool:
    """Tell whether somebody else has ended our monitor."""
    name = variable.name
    listed = delivery.board.monitor_period_of(name)
    settled = delivery.prompt.asked_before(name, delivery.now() - FOREIGN_PERIOD_S)
    return settled and not listed and delivery.board.monitors.period_of(name) > 0


def _due_in_s(delivery: Delivery) -> float:
    """Tell in how many seconds the windows of a schedule begin; 0 without any."""
    board, windows = delivery.board, delivery.schedule.windows
    if not windows or not board.ready:
        return 0.0
    return board.time_at(windows.first_tick) - delivery.now()


# ---- changes -----------------------------------------------------------------------------------


def _ask(delivery: Delivery, names: Iterable[str]) -> list[Json]:
    asked = list(names)
    delivery.prompt.asked_s.update(dict.fromkeys(asked, delivery.now()))
    return delivery.board.monitors.ask_prompt(asked)


def _to_blocks(delivery: Delivery, stream: LiveStream, rate_hz: float) -> list[Json]:
    names = [variable.name for variable in _members(delivery, stream)]
    stream.ignore_singles()
    dropped: list[str] = []
    for name in names:
        if not _foreign_period(delivery, name):
            dropped.append(name)
        delivery.prompt.asked_s.pop(name, None)
        delivery.board.ended_monitors.add(name)
        delivery.prompt.waiting.discard(name)
    commands = delivery.board.monitors.drop(names, MonitorUse.PROMPT)
    delivery.board.rates_hz.update(dict.fromkeys(names, rate_hz))
    logger.info("%s: in blocks from now on, after %.0f values a second", named(names), rate_hz)
    return commands if dropped == names else _only(commands, dropped)


def _only(commands: Iterable[Json], names: list[str]) -> list[Json]:
    """Leave variables out of commands whose monitor belongs to another client."""
    kept: list[Json] = []
    for command in commands:
        pairs = zip(command["watchers"], command["periods"], strict=True)
        chosen = [(name, period) for name, period in pairs if name in names]
        if chosen:
            kept.append(
                command | {"watchers": [n for n, _ in chosen], "periods": [p for _, p in chosen]}
            )
    return kept


def _to_singles(delivery: Delivery, stream: LiveStream) -> list[Json]:
    names: list[str] = []
    for variable in _members(delivery, stream):
        tracker = stream.tracker_of(variable)
        tracker.take_singles()
        if tracker.transport is not Transport.BLOCK:  # not while a change to blocks is under way
            names.append(variable.name)
            delivery.prompt.flushes[variable.name] = FlushStep.FIRST_VALUE
    logger.info("%s: value by value from now on", named(names))
    return _ask(delivery, names)


def _flush(delivery: Delivery) -> list[Json]:
    """Have the board send blocks early that single values wait for, and begin new ones."""
    flushes = delivery.prompt.flushes
    ended: list[str] = []
    begun: list[str] = []
    for stream, variable in delivery.members(StreamMode.DENSE, StreamMode.SPARSE):
        name, step = variable.name, flushes.get(variable.name)
        if step is None:
            continue
        tracker = stream.tracker_of(variable)
        if tracker.transport is not Transport.AWAITED:  # the block has come, or nobody waits
            if step is FlushStep.BLOCK:
                begun.append(name)
                flushes[name] = FlushStep.BEGUN
            else:
                del flushes[name]
        elif tracker.awaits_block and step is FlushStep.FIRST_VALUE:
            flushes[name] = FlushStep.BLOCK
            ended.append(name)
    commands = [unwatch_command(ended)] if ended else []
    if begun:
        commands.append(watch_command(begun))
        delivery.watchdog.asked(begun, delivery.now())
    return commands


# ---- what people are told ------------------------------------------------------------------------


def _watch_for_others(delivery: Delivery) -> None:
    """Leave single values while others watch: not all of their programs survive them."""
    prompt, board = delivery.prompt, delivery.board
    if not prompt.follows_others:
        return
    ours = prompt.accepted | {variable.name for variable in delivery.watched}
    others = board.watched_by_others(ours)
    if others and prompt.is_allowed:
        tell_others(delivery.notices, others)
    prompt.is_allowed = not others


def _tell_slow(delivery: Delivery) -> None:
    """Tell of each dense variable without a known step how often it is assigned."""
    prompt, board = delivery.prompt, delivery.board
    tick_rate_hz = board.clock.tick_rate_hz if board.clock is not None else math.nan
    for stream, variable in delivery.members(StreamMode.DENSE):
        tracker = stream.tracker_of(variable)
        is_single = tracker.transport is Transport.SINGLE
        if not isinstance(tracker, PromptDenseTracker) or not is_single:
            continue
        if variable.name in prompt.told or tracker.spacing_ticks is None:
            continue
        if tick_rate_hz / tracker.spacing_ticks > LIMIT_HZ or tracker.too_close:
            continue
        if stream.facts is None or (stream.facts.nominal_rate_hz and not tracker.is_irregular):
            continue
        prompt.told.add(variable.name)
        every = _duration(tracker.spacing_ticks / tick_rate_hz)
        how = f"unevenly, the last time after {every}" if tracker.is_irregular else f"every {every}"
        delivery.notices.inform(
            f"{named([variable.name])}: assigned {how}; its values come one by one"
        )


def tell_others(notices: Notices, others: Sequence[str]) -> None:
    """Tell that single values are left, and why."""
    notices.inform(
        f"{named(others, 8)}: watched by another client, or left over from a crash, which nobody "
        "can tell; all values come in blocks, for a pybela Streamer does not survive single values "
        '(START with "exclusive": true ends what others watch)'
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"
