"""START, SCHEDULE and MONITOR: check the request, make the delivery, begin it on the board."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import RequestError
from bela_module.protocol.variables import Variable
from bela_module.requests import MAX_TICK, MonitorRequest, ScheduleRequest, StartRequest
from bela_module.session.board.clearing import clear
from bela_module.session.delivery.beginning import begin_on_board
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.prompt_state import PromptState
from bela_module.session.delivery.schedule import Schedule
from bela_module.session.delivery.schedule_windows import Window, Windows
from bela_module.session.jobs.ending import end
from bela_module.session.jobs.preparing import asked_streams, choose_prompt, open_streams
from bela_module.session.jobs.saving import open_recording
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import (
    HURRIED_SCHEDULE_S,
    OTHERS_HEARD_S,
    SCHEDULE_CLOCK_READY_S,
    SCHEDULE_LEAD_S,
)
from bela_module.streams.sink import Sink, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan, choose_variables, plan_streams
from bela_module.validation import named

_DEFAULT_MONITOR_PERIOD_S: Final = 0.1
_MIN_MONITOR_PERIOD_S: Final = 0.0005


async def start(runtime: Runtime, client: BoardClient, request: StartRequest) -> str:
    """Stream until STOP."""
    variables, group = asked_streams(runtime, request)
    if runtime.running.main is not None:
        return _already(runtime.running.main, variables)
    plans = plan_streams(variables, runtime.settings)
    monitored = {v for p in plans if p.mode is StreamMode.MONITOR for v in p.variables}
    if monitored:
        _refuse_shared(runtime.running.monitoring, monitored, "MONITOR")
    await _clear_if_exclusive(runtime, client, asked=request.exclusive)
    prompt = await choose_prompt(runtime, client, variables)
    preparation = await open_streams(runtime, client, variables, group)
    plans = preparation.plans
    sink = runtime.sink
    if request.saving_enabled:
        sink = await open_recording(runtime, request, plans)
    delivery = _delivery(
        runtime,
        DeliveryKind.START,
        plans,
        periods=_periods(runtime, plans),
        sink=sink,
        facts=preparation.facts,
        prompt=prompt,
        delay_s=request.start_in_s,
    )
    try:
        await _begin_beside_monitor(runtime, client, delivery)
    except BaseException:
        if request.saving_enabled and runtime.running.recording is not None:
            # Of a START that is tried again one set of files is enough.
            runtime.running.recording.discard()
        raise
    return f"streaming {', '.join(plan.name for plan in plans)}"


async def _clear_if_exclusive(
    runtime: Runtime, client: BoardClient, *, asked: bool = False
) -> None:
    """End what other clients have left watched or monitored, if that is wanted."""
    if asked or runtime.options.exclusive or runtime.settings.streaming.exclusive:
        await runtime.prober.probe(client)
        await clear(client, runtime.board, ours=frozenset(runtime.changes.left), others=True)
        await runtime.prober.probe(client)


def answer_if_disconnected(runtime: Runtime, request: StartRequest | ScheduleRequest) -> str | None:
    """Answer at once, while the board is away, what its return would not change.

    Returns
    -------
    str or None
        The answer to a START of what streams already; ``None`` when the board has to be asked.

    Raises
    ------
    RequestError
        When something else streams, or there is no such variable.
    """
    running, jobs = runtime.running.main, runtime.jobs
    if running is None or runtime.is_connected or jobs or jobs.stops_under_way:
        return None
    wanted, _ = asked_streams(runtime, request)
    return _already(running, wanted if isinstance(request, StartRequest) else ())


def _already(running: Delivery, variables: Sequence[Variable]) -> str:
    there = {variable.name for variable in (*running.watched, *running.monitored)}
    names = {variable.name for variable in variables}
    if running.kind is DeliveryKind.START and names == there:
        return "already streaming"
    what = "streaming" if running.kind is DeliveryKind.START else "scheduled"
    raise RequestError(f"{named(sorted(there))} {what} already; STOP first")


async def schedule(runtime: Runtime, client: BoardClient, request: ScheduleRequest) -> str:
    """Let the board itself start and end the streams."""
    board = runtime.board
    variables, group = asked_streams(runtime, request)
    if runtime.running.main is not None:
        _already(runtime.running.main, ())
    await runtime.prober.measure(client, SCHEDULE_CLOCK_READY_S)  # without the clock it cannot be
    if not board.ready:
        raise RequestError("the board's clock is not known yet: does its sketch call tick()?")
    plans = plan_streams(variables, runtime.settings)
    monitored = [plan.name for plan in plans if plan.mode is StreamMode.MONITOR]
    if monitored:
        raise RequestError(f"{named(monitored)} is monitored, which cannot be scheduled")
    windows = _windows(runtime, request, variables)  # is refused before anything is opened
    await _clear_if_exclusive(runtime, client)
    lead_s = board.time_at(windows.first_tick) - runtime.now()
    prompt = await choose_prompt(
        runtime, client, variables, is_hurried=lead_s < OTHERS_HEARD_S + HURRIED_SCHEDULE_S
    )
    preparation = await open_streams(runtime, client, variables, group)
    windows = _windows(runtime, request, variables)
    delivery = _delivery(
        runtime,
        DeliveryKind.SCHEDULE,
        preparation.plans,
        windows=windows,
        facts=preparation.facts,
        prompt=prompt,
    )
    await _begin_beside_monitor(runtime, client, delivery)
    return f"scheduled from tick {windows.first_tick} to {windows.last_tick}"


def _windows(runtime: Runtime, request: ScheduleRequest, variables: Sequence[Variable]) -> Windows:
    board = runtime.board
    names = [variable.name for variable in variables]
    now_s = runtime.now()
    if request.in_ticks:
        asked = request.ticks_for(names)
    else:
        # Counted at the nominal rate, a duration is the same number of samples every time.
        rate_hz = board.nominal_rate_hz
        start_s = now_s + (request.start_in_s or 0.0)
        if request.start_lsl_s is not None:
            start_s = request.start_lsl_s + board.input_delay_s
        duration = max(1, round((request.duration_s or 0.0) * rate_hz))
        asked = ((board.tick_at(start_s), duration),) * len(names)
    if max(first + duration for first, duration in asked) > MAX_TICK:
        raise RequestError("the schedule would end beyond the last tick that a board can count to")
    # The board starts a schedule whose time has passed at once, and counts from there.
    soon = board.tick_at(now_s + SCHEDULE_LEAD_S)
    starts = [(max(first, soon), duration) for first, duration in asked]
    return Windows(
        (name, Window(first, first + duration))
        for name, (first, duration) in zip(names, starts, strict=True)
    )


async def monitor(runtime: Runtime, client: BoardClient, request: MonitorRequest) -> str:
    """Send single values at a low rate."""
    variables = choose_variables(runtime.board.variables, request.variables, runtime.settings)
    names = [variable.name for variable in variables]
    _refuse_shared(runtime.running.main, variables, "START")
    await client.open_data()
    await runtime.prober.measure(client)
    if request.periods is not None:
        periods = dict(zip(names, request.periods_for(names), strict=True))
    else:
        ticks = _period_ticks(runtime, request.period_s or _DEFAULT_MONITOR_PERIOD_S)
        periods = dict.fromkeys(names, ticks)
    if runtime.running.monitoring is not None:  # not before all is known to be right
        await end(runtime, client, runtime.running.monitoring)
    await _begin(runtime, client, _monitor_delivery(runtime, variables, periods))
    return f"monitoring {named(names)}"


def _refuse_shared(running: Delivery | None, variables: Iterable[Variable], by: str) -> None:
    """Refuse a second monitor of a variable, which has only one on the board.

    START uses it where a monitor is configured.
    """
    there = {variable.name for variable in running.monitored} if running is not None else set()
    shared = sorted(there & {variable.name for variable in variables})
    if shared:
        raise RequestError(f"{named(shared)} is monitored by {by} already; STOP first")


def _monitor_delivery(
    runtime: Runtime, variables: Sequence[Variable], periods: Mapping[str, int]
) -> Delivery:
    plans = plan_streams(variables, runtime.settings, monitor=True)
    # A stream that START has made stays what it is; its monitor gets a name of its own.
    named = [
        replace(plan, name=f"{plan.name}_monitor")
        if plan.name in runtime.running.streamed
        else plan
        for plan in plans
    ]
    return _delivery(runtime, DeliveryKind.MONITOR, named, periods=periods)


async def _begin_beside_monitor(runtime: Runtime, client: BoardClient, delivery: Delivery) -> None:
    """Begin a START or SCHEDULE; a monitor that has one of its names goes on under another."""
    names = {plan.name for plan in delivery.plans}
    runtime.running.streamed |= names
    monitoring = runtime.running.monitoring
    if monitoring is None or names.isdisjoint(plan.name for plan in monitoring.plans):
        await _begin(runtime, client, delivery)
        return
    renamed = _monitor_delivery(runtime, monitoring.monitored, monitoring.periods)
    await end(runtime, client, monitoring)
    runtime.running.adopt(renamed)
    await begin_on_board(
        renamed, client
    )  # if the connection ends now, it goes on with the next one
    await _begin(runtime, client, delivery)


def _periods(runtime: Runtime, plans: Sequence[StreamPlan]) -> dict[str, int]:
    periods: dict[str, int] = {}
    for plan in plans:
        if plan.mode is StreamMode.MONITOR:
            configured_s = plan.settings.period_s if plan.settings is not None else None
            ticks = _period_ticks(runtime, configured_s or _DEFAULT_MONITOR_PERIOD_S)
            periods |= {variable.name: ticks for variable in plan.variables}
    return periods


def _period_ticks(runtime: Runtime, period_s: float) -> int:
    board = runtime.board
    rate_hz = board.nominal_rate_hz if board.ready else board.declared_rate_hz
    if not math.isfinite(rate_hz):
        raise RequestError("the board's tick rate is not known yet; give periods in ticks")
    if period_s < _MIN_MONITOR_PERIOD_S:
        raise RequestError(
            f"a period of {period_s} s is below {_MIN_MONITOR_PERIOD_S} s; START streams all values"
        )
    return max(2, round(period_s * rate_hz))  # 1 would mean once


def _delivery(
    runtime: Runtime,
    kind: DeliveryKind,
    plans: Sequence[StreamPlan],
    *,
    windows: Windows | None = None,
    periods: Mapping[str, int] | None = None,
    sink: Sink | None = None,
    facts: Mapping[str, StreamFacts] | None = None,
    prompt: PromptState | None = None,
    delay_s: float = 0.0,
) -> Delivery:
    return Delivery(
        kind,
        runtime.board,
        sink or runtime.sink,
        runtime.notices,
        runtime.prober,
        runtime.surveyor,
        plans,
        Schedule(runtime.board, runtime.now, runtime.notices, windows or Windows()),
        periods or {},
        delay_s,
        facts or {},
        runtime.options.obeys_ticks,
        prompt or PromptState(),
    )


async def _begin(runtime: Runtime, client: BoardClient, delivery: Delivery) -> None:
    runtime.running.adopt(delivery)
    try:
        await begin_on_board(delivery, client)
    except BaseException:
        runtime.note_left(delivery)
        runtime.drop(delivery)
        raise
