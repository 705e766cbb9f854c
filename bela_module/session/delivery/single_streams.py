"""Which streams of a delivery may come singly, and what has been observed of them."""

from __future__ import annotations

import math

from bela_module.protocol.variables import Variable
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.time_limits import (
    FOREIGN_PERIOD_S,
    SINGLE_HEARD_S,
    UNHEARD_S,
)
from bela_module.session.delivery.transport_chooser import Observed
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import StreamMode, may_come_singly
from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS, Transport
from bela_module.validation import named


def watched_streams(delivery: Delivery) -> list[LiveStream]:
    """Give the streams whose variables are watched."""
    return [s for s in delivery.streams if s.plan.mode is not StreamMode.MONITOR]


def members(delivery: Delivery, stream: LiveStream) -> list[Variable]:
    """Give the variables of a stream that the board has."""
    missing = delivery.router.missing
    return [variable for variable in stream.plan.variables if variable.name not in missing]


def member_names(delivery: Delivery, stream: LiveStream) -> set[str]:
    """Give their names."""
    return {variable.name for variable in members(delivery, stream)}


def may_be_fast(delivery: Delivery, stream: LiveStream) -> bool:
    """Tell whether nothing is known of how often a stream is assigned, but that it was silent."""
    return not delivery.board.silent.isdisjoint(member_names(delivery, stream))


def may_be_single(delivery: Delivery, stream: LiveStream) -> bool:
    """Tell whether a stream may come singly: nothing else on the board is against it."""
    prompt, name = delivery.prompt, stream.plan.name
    allowed = prompt.is_allowed and not prompt.takes_over and may_come_singly(stream.plan)
    close = any(v.name in delivery.board.too_close for v in stream.plan.variables)
    if not allowed or close or name in prompt.fixed:
        return False
    for variable in members(delivery, stream):
        period = foreign_period(delivery, variable.name)
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


def foreign_period(delivery: Delivery, name: str) -> int:
    """Return the period of a monitor that is not ours, 0 for none."""
    board = delivery.board
    listed = board.monitor_period_of(name)
    told = board.monitors.period_of(name)
    if listed in (0, told, PROMPT_PERIOD_TICKS):  # the last has every value, as ours would
        return 0
    if told and not delivery.prompt.asked_before(name, delivery.now() - FOREIGN_PERIOD_S):
        return 0
    return 0 if board.monitors.has_ended(name) else listed


def known_rate_hz(delivery: Delivery, stream: LiveStream) -> float | None:
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


def has_step(delivery: Delivery, stream: LiveStream) -> bool:
    """Tell whether the steps of all variables of a stream are known."""
    return all(variable.name in delivery.board.steps for variable in stream.plan.variables)


def comes_in_fast_blocks(delivery: Delivery, stream: LiveStream, since_s: float) -> bool:
    """Tell whether all variables of a stream sent a block since a time: soon told of many."""
    last_block_s = delivery.router.last_block_s
    for variable, tracker in zip(stream.plan.variables, stream.trackers, strict=True):
        is_fast = last_block_s.get(variable.name, -math.inf) > since_s
        if not is_fast or tracker.transport is not Transport.BLOCK or tracker.too_close:
            return False
    return stream.plan.name not in delivery.prompt.sieves


def observe(delivery: Delivery, stream: LiveStream) -> Observed:
    """Collect what has come of a stream, and whether it may come singly now."""
    variables = members(delivery, stream)
    trackers = [stream.tracker_of(variable) for variable in variables]
    note_close(delivery, stream)
    waits = bool(delivery.prompt.waiting)
    last_s = max(
        (delivery.router.last_block_s.get(v.name, -math.inf) for v in variables), default=0
    )
    may_be = (
        not waits
        and not delivery.prompt.only_unknown
        and bool(variables)
        and may_be_single(delivery, stream)
        and not any(has_ended(delivery, variable) for variable in variables)
    )
    is_single = any(tracker.transport is not Transport.BLOCK for tracker in trackers)
    if delivery.prompt.only_unknown and is_single:
        may_be = may_be_single(delivery, stream)
    if waits and is_single:
        may_be = True
    if delivery.schedule.windows and not is_single:
        may_be = False  # a block that is sent early would end its window
    # What pauses is not slow.
    if not is_single and not any(is_assigned(delivery, v) for v in variables):
        may_be = False
    # Nor is anything while the board sends no data at all; and in a sieve it shows.
    heard = delivery.router.heard_s > delivery.now() - SINGLE_HEARD_S
    sifted = stream.plan.name in delivery.prompt.sieves
    if not is_single and (sifted or not heard):
        may_be = False
    return Observed(
        delivery.prompt.n_singles.get(stream.plan.name, 0),
        max((v.layout.value_count for v in variables), default=1),
        last_s,
        is_single,
        may_be,
    )


def note_close(delivery: Delivery, stream: LiveStream) -> None:
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


def is_assigned(delivery: Delivery, variable: Variable) -> bool:
    """Tell whether a variable was seen assigned since its last block, and not just after it."""
    last_s = delivery.router.last_block_s.get(variable.name, delivery.begun_s)
    return delivery.watchdog.changed_after(variable.name, last_s + SINGLE_HEARD_S)


def has_ended(delivery: Delivery, variable: Variable) -> bool:
    """Tell whether somebody else has ended our monitor."""
    name = variable.name
    listed = delivery.board.monitor_period_of(name)
    settled = delivery.prompt.asked_before(name, delivery.now() - FOREIGN_PERIOD_S)
    return settled and not listed and delivery.board.monitors.period_of(name) > 0


def due_in_s(delivery: Delivery) -> float:
    """Tell in how many seconds the windows of a schedule begin; 0 without any."""
    board, windows = delivery.board, delivery.schedule.windows
    if not windows or not board.ready:
        return 0.0
    return board.time_at(windows.first_tick) - delivery.now()


def is_unheard(delivery: Delivery, stream: LiveStream, observed: Observed) -> bool:
    """Tell whether a variable seems assigned, while nothing at all comes of the board.

    It is slow, and alone, or the board sends no data: a rare single value tells which. While blocks
    of a known rate fill, nothing comes of variables that are assigned together.
    """
    prompt, name, now_s = delivery.prompt, stream.plan.name, delivery.now()
    heard_s = max(delivery.router.heard_s, delivery.begun_s)
    since_s = heard_s + _block_s(delivery, stream)
    if observed.is_single or name in prompt.sieves or now_s < since_s + UNHEARD_S:
        return False
    if prompt.waiting or prompt.only_unknown or delivery.schedule.windows:
        return False
    variables = members(delivery, stream)
    assigned = any(is_assigned(delivery, variable) for variable in variables)
    return assigned and prompt.chooser.may_try(name, now_s) and may_be_single(delivery, stream)


def _block_s(delivery: Delivery, stream: LiveStream) -> float:
    """Tell how long a block of a stream takes to fill; 0 when its steps are not known yet."""
    clock = delivery.board.clock
    if clock is None or math.isnan(clock.tick_rate_hz):
        return 0.0
    ticks = (v.layout.value_count * (stream.step_of(v) or 0.0) for v in members(delivery, stream))
    return max(ticks, default=0.0) / clock.tick_rate_hz
