"""Single values or blocks: asks the board for them, and changes streams from one to the other."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import Json, unwatch_command, watch_command
from bela_module.session.board.monitor_periods import MonitorUse
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.prompt_state import FlushStep
from bela_module.session.delivery.single_streams import (
    comes_in_fast_blocks,
    due_in_s,
    foreign_period,
    has_step,
    is_unheard,
    known_rate_hz,
    may_be_fast,
    may_be_single,
    member_names,
    members,
    observe,
    watched_streams,
)
from bela_module.session.delivery.time_limits import (
    LATE_START_S,
    SCHEDULED_SINGLE_LEAD_S,
    SIEVE_PERIOD_S,
    SLOW_BLOCK_S,
    STEADY_LOOK_S,
)
from bela_module.session.delivery.transport_chooser import LIMIT_HZ, choose_first
from bela_module.session.notices import Notices
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import StreamMode
from bela_module.tracking.prompt_dense import PromptDenseTracker
from bela_module.tracking.rate_sieve import Pace, StreamSieve
from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS, Transport
from bela_module.validation import named

logger = logging.getLogger(__name__)

_MAX_TRIED = 8
"""Streams that are asked for single values at once because nothing comes: any of them tells why."""


def begin_singles(delivery: Delivery) -> list[Json]:
    """Choose the streams that come singly, tell their trackers, and return the commands.

    To be called on every connection, when the trackers have begun or are resumed.
    """
    prompt, now_s = delivery.prompt, delivery.now()
    streams = [stream for stream in watched_streams(delivery) if may_be_single(delivery, stream)]
    rates_hz = {stream.plan.name: known_rate_hz(delivery, stream) for stream in streams}
    if prompt.only_unknown:
        streams = [
            s for s in streams if s.plan.mode is StreamMode.DENSE and not has_step(delivery, s)
        ]
        rates_hz = {s.plan.name: None for s in streams}
    chosen = choose_first(rates_hz)
    prompt.chooser.begin((s.plan.name for s in watched_streams(delivery)), now_s)
    prompt.n_singles.clear()
    streams = [stream for stream in streams if stream.plan.name in chosen]
    for stream in streams:
        if not may_be_fast(delivery, stream):
            _take_from_start(delivery, stream)
    if delivery.schedule.windows and due_in_s(delivery) > SCHEDULED_SINGLE_LEAD_S:
        prompt.waiting.update(v.name for stream in streams for v in members(delivery, stream))
        return []
    return _ask_first(delivery, streams)


def end_singles(delivery: Delivery) -> list[Json]:
    """Return the commands that end the single values of a delivery."""
    names = list(delivery.prompt.asked_s)
    delivery.prompt.connection_lost()
    return delivery.board.monitors.drop(names, MonitorUse.PROMPT)


def look_is_due(delivery: Delivery) -> bool:
    """Tell whether to look at a delivery now, as is done some times a second.

    Less often while nothing is under way and all streams are open, for hundreds of streams take
    some tenths of a millisecond.
    """
    prompt, now_s = delivery.prompt, delivery.now()
    is_changing = prompt.is_changing or delivery.kind is DeliveryKind.SCHEDULE
    if now_s < prompt.looked_s + STEADY_LOOK_S and not is_changing and delivery.all_open:
        return False
    prompt.looked_s = now_s
    return True


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
    if prompt.waiting and due_in_s(delivery) <= SCHEDULED_SINGLE_LEAD_S:
        due = [s for s in watched_streams(delivery) if prompt.waiting & member_names(delivery, s)]
        commands += _ask_first(delivery, due)
        prompt.waiting.clear()
    _watch_for_others(delivery)
    if any(sieve.needs_tick(delivery.now()) for sieve in prompt.sieves.values()):
        await delivery.prober.probe(client)
    commands += settle_sieves(delivery)
    since_s = delivery.now() - SLOW_BLOCK_S
    streams = [
        stream
        for stream in watched_streams(delivery)
        if not comes_in_fast_blocks(delivery, stream, since_s)
    ]
    observed = {stream.plan.name: observe(delivery, stream) for stream in streams}
    changes = prompt.chooser.look(observed, delivery.now(), prompt.too_fast)
    prompt.too_fast.clear()
    for stream in streams:
        name = stream.plan.name
        unwatched = any(prompt.is_unwatched(v.name) for v in stream.plan.variables)
        if name in changes.to_blocks and not unwatched:
            commands += _to_blocks(delivery, stream, changes.to_blocks[name])
        elif name in changes.to_singles or (
            len(prompt.sieves) < _MAX_TRIED and is_unheard(delivery, stream, observed[name])
        ):
            commands += _begin_sieve(delivery, stream, from_start=False)
    commands += _flush(delivery)
    _tell_slow(delivery, streams)
    if commands:
        await client.send(*commands)


# ---- changes -----------------------------------------------------------------------------------


def _ask(
    delivery: Delivery, names: Iterable[str], period_ticks: int = PROMPT_PERIOD_TICKS
) -> list[Json]:
    asked = list(names)
    delivery.prompt.asked_s.update(dict.fromkeys(asked, delivery.now()))
    return delivery.board.monitors.ask_prompt(asked, period_ticks)


def _take_from_start(delivery: Delivery, stream: LiveStream) -> None:
    for variable in members(delivery, stream):
        stream.tracker_of(variable).take_singles(from_start=True)


def _ask_first(delivery: Delivery, streams: Iterable[LiveStream]) -> list[Json]:
    """Ask for all values of some streams at the beginning, or for few where they may be fast."""
    names: list[str] = []
    commands: list[Json] = []
    for stream in streams:
        if may_be_fast(delivery, stream):
            commands += _begin_sieve(delivery, stream, from_start=True)
        else:
            names += [variable.name for variable in members(delivery, stream)]
    return commands + _ask(delivery, names)


def _begin_sieve(delivery: Delivery, stream: LiveStream, *, from_start: bool) -> list[Json]:
    """Ask for some values of a stream, which are kept until it shows how often they come.

    A monitor of every value would flood the network where a variable is assigned at every tick.
    """
    board = delivery.board
    variables = board.find(member_names(delivery, stream))  # with the numbers that they have now
    known = board.ready and board.clock is not None
    rate_hz = board.clock.tick_rate_hz if known and board.clock else board.declared_rate_hz
    period_ticks = max(PROMPT_PERIOD_TICKS, round(SIEVE_PERIOD_S * rate_hz))
    starts = [delivery.starts.get(variable.name, 0) for variable in variables]
    late_tick = max(starts, default=0) + board.ticks_in(LATE_START_S)
    sieve = StreamSieve(variables, period_ticks, late_tick if from_start else None)
    delivery.prompt.sieves[stream.plan.name] = sieve
    return _ask(delivery, [variable.name for variable in variables], period_ticks)


def settle_sieves(delivery: Delivery, *, final: bool = False) -> list[Json]:
    """Take streams singly that have shown to be slow, the others from blocks; return commands.

    Parameters
    ----------
    delivery : Delivery
        What streams.
    final : bool
        Whether to decide on what has come, for the end is near.
    """
    prompt, board, now_s = delivery.prompt, delivery.board, delivery.now()
    commands: list[Json] = []
    for stream in watched_streams(delivery) if prompt.sieves else ():
        name = stream.plan.name
        sieve = prompt.sieves.get(name)
        pace = Pace.UNKNOWN if sieve is None else sieve.pace(now_s, board.tick, final=final)
        if sieve is None or pace is Pace.UNKNOWN:
            continue
        del prompt.sieves[name]
        names = member_names(delivery, stream)
        board.silent -= names
        if pace is Pace.FAST:
            prompt.chooser.note_fast(name, now_s)
            commands += _drop(delivery, sorted(names), math.inf)
        elif sieve.from_start:
            _take_from_start(delivery, stream)
            commands += _ask(delivery, names)
            for block, arrived_s in sieve.kept:
                delivery.take(block, arrived_s)
        elif not final:
            commands += _to_singles(delivery, stream)
    return commands


def _to_blocks(delivery: Delivery, stream: LiveStream, rate_hz: float) -> list[Json]:
    stream.ignore_singles()
    names = [variable.name for variable in members(delivery, stream)]
    logger.info("%s: in blocks from now on, after %.0f values a second", named(names), rate_hz)
    return _drop(delivery, names, rate_hz)


def _drop(delivery: Delivery, names: list[str], rate_hz: float) -> list[Json]:
    """Want no single values of some variables any more, which are too fast."""
    prompt, board = delivery.prompt, delivery.board
    foreign = [name for name in names if foreign_period(delivery, name)]
    board.monitors.leave(foreign, MonitorUse.PROMPT)
    for name in names:
        prompt.asked_s.pop(name, None)
        prompt.waiting.discard(name)
    board.rates_hz.update(dict.fromkeys(names, rate_hz))
    return board.monitors.drop(names, MonitorUse.PROMPT)


def _to_singles(delivery: Delivery, stream: LiveStream) -> list[Json]:
    names: list[str] = []
    for variable in members(delivery, stream):
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
    if not flushes:
        return []
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
    left = prompt.left_over - board.foreign_names  # values of the others have come since
    ours = prompt.accepted | left | {variable.name for variable in delivery.watched}
    others = board.watched_by_others(ours)
    if others and prompt.is_allowed:
        tell_others(delivery.notices, others)
    prompt.is_allowed = not others


def _tell_slow(delivery: Delivery, streams: Iterable[LiveStream]) -> None:
    """Tell of each dense variable without a known step how often it is assigned."""
    prompt, board = delivery.prompt, delivery.board
    tick_rate_hz = board.clock.tick_rate_hz if board.clock is not None else math.nan
    dense = (stream for stream in streams if stream.plan.mode is StreamMode.DENSE)
    for stream, variable in ((s, variable) for s in dense for variable in members(delivery, s)):
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
