"""What can be asked of a connected board: each function is one job of the driver."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError, NoReplyError, RequestError
from bela_module.protocol.control_channel import (
    monitor_command,
)
from bela_module.protocol.data_channel import Variable
from bela_module.recording.file_recorder import Recorder
from bela_module.recording.recording_sink import RecordingSink
from bela_module.requests import (
    MAX_TICK,
    MonitorRequest,
    ScheduleRequest,
    StartRequest,
    saving_folder,
)
from bela_module.session.board_state import Board
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.ending import end_on_board
from bela_module.session.delivery.schedule_windows import Window, Windows
from bela_module.session.status import SessionState
from bela_module.streams.stream_plans import (
    Sink,
    StreamMode,
    StreamPlan,
    choose_variables,
    plan_streams,
    reachable,
)

if TYPE_CHECKING:
    from bela_module.session.driver import Driver

logger = logging.getLogger(__name__)

_CONFIRM_S: Final = 1.0
_LEAD_S: Final = 0.1
_SCHEDULE_PATIENCE_S: Final = 2.0
_DISK_PATIENCE_S: Final = 0.5
_DEFAULT_MONITOR_PERIOD_S: Final = 0.1
_MIN_MONITOR_PERIOD_S: Final = 0.0005


async def clear(client: BoardClient, board: Board, *, ours: Container[str], others: bool) -> None:
    """End what was left: blocks of earlier watches would be splices of then and now.

    Parameters
    ----------
    client : BoardClient
        The connection, on which a list was just received.
    board : Board
        What that list said.
    ours : container of str
        What this session may have left. Its watch is ended even if no list shows it: one that is
        to begin at a later tick does not show before.
    others : bool
        Whether to end what anybody else has left, too.
    """
    left = [v for v in reachable(board.variables) if others or v.name in ours]
    monitored = [variable.name for variable in left if variable.monitor_period_ticks]
    if monitored:
        await client.send(monitor_command(monitored, [0] * len(monitored)))
    stale = [variable.name for variable in left if variable.watched or variable.name in ours]
    if not stale:
        return
    try:
        await client.unwatch(stale, _CONFIRM_S)
    except NoReplyError as error:
        if error.request == "list":
            raise
        # A sparse variable ends only with its next value, which may never come.
        logger.warning("still watched by an earlier client: %s", ", ".join(stale))


# ---- START, SCHEDULE, MONITOR, STOP ----------------------------------------------------------


async def start(driver: Driver, client: BoardClient, request: StartRequest) -> str:
    """Stream until STOP."""
    variables = choose_variables(driver.board.variables, request.variables, driver.settings)
    if driver.delivery is not None:
        return _already(driver.delivery, variables)
    plans = plan_streams(variables, driver.settings)
    monitored = {v for p in plans if p.mode is StreamMode.MONITOR for v in p.variables}
    if monitored:
        _refuse_shared(driver.monitoring, monitored, "MONITOR")
        await driver.measure(client)  # periods are configured in seconds
    sink = driver.sink
    if request.saving_enabled:
        sink = await _recording(driver, request, plans)
    delivery = _delivery(
        driver, DeliveryKind.START, plans, periods=_periods(driver, plans), sink=sink
    )
    try:
        await _begin_beside_monitor(driver, client, delivery)
    except BaseException:
        if isinstance(sink, RecordingSink):
            sink.discard()  # of a START that is tried again one set of files is enough
        raise
    return f"streaming {', '.join(plan.name for plan in plans)}"


async def _recording(driver: Driver, request: StartRequest, plans: Sequence[StreamPlan]) -> Sink:
    """Have the streams of a START saved on their way to where they go."""
    settings = driver.settings.recording
    folder = saving_folder(settings.dir, request.saving_dir)
    filename = request.saving_filename or driver.board.project or "bela"
    sink = driver.recording or RecordingSink(driver.sink)
    recorder = await _in_time(
        lambda: sink.make(plans, folder, filename, settings.format, driver.note_soon)
    )
    sink.start(recorder)
    driver.recording = sink
    logger.info("saving to %s", ", ".join(str(path) for path in recorder.paths.values()))
    return sink


async def _in_time(make_files: Callable[[], Recorder]) -> Recorder:
    """Have files made by a thread that nobody has to wait for: a disk may hang.

    Files that come too late are of no use to anybody, and go.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Recorder] = loop.create_future()

    def settle(recorder: Recorder | None, error: Exception | None) -> None:
        if made.done():
            if recorder is not None:
                recorder.discard()
        elif recorder is not None:
            made.set_result(recorder)
        elif error is not None:
            made.set_exception(error)

    def work() -> None:
        recorder, failure = None, None
        try:
            recorder = make_files()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
        try:
            loop.call_soon_threadsafe(settle, recorder, failure)
        except RuntimeError:  # the loop has ended meanwhile
            if recorder is not None:
                recorder.discard()

    threading.Thread(target=work, name="bela-files", daemon=True).start()
    try:
        async with asyncio.timeout(_DISK_PATIENCE_S):
            return await made
    except TimeoutError:
        if not made.cancelled() and made.exception() is None:  # in the very last moment
            made.result().discard()
        raise RequestError(
            f"the disk did not open the files in {_DISK_PATIENCE_S} s: save elsewhere"
        ) from None


def while_away(driver: Driver, request: StartRequest | ScheduleRequest) -> str | None:
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
    running, client = driver.delivery, driver.client
    here = client is not None and not client.lost.done()
    if running is None or here or driver.jobs or driver.n_stops:
        return None
    wanted = choose_variables(driver.board.variables, request.variables, driver.settings)
    return _already(running, wanted if isinstance(request, StartRequest) else ())


def _already(running: Delivery, variables: Sequence[Variable]) -> str:
    there = {variable.name for variable in (*running.watched, *running.monitored)}
    names = {variable.name for variable in variables}
    if running.kind is DeliveryKind.START and names == there:
        return "already streaming"
    what = "streaming" if running.kind is DeliveryKind.START else "scheduled"
    raise RequestError(f"{', '.join(sorted(there))} {what} already; STOP first")


async def schedule(driver: Driver, client: BoardClient, request: ScheduleRequest) -> str:
    """Let the board itself start and end the streams."""
    board = driver.board
    variables = choose_variables(board.variables, request.variables, driver.settings)
    if driver.delivery is not None:
        _already(driver.delivery, ())
    await driver.measure(client, _SCHEDULE_PATIENCE_S)  # without the clock it cannot be
    if not board.ready:
        raise RequestError("the board's clock is not known yet: does its sketch call tick()?")
    plans = plan_streams(variables, driver.settings)
    monitored = [plan.name for plan in plans if plan.mode is StreamMode.MONITOR]
    if monitored:
        raise RequestError(f"{', '.join(monitored)} is monitored, which cannot be scheduled")
    windows = _windows(driver, request, variables)
    delivery = _delivery(driver, DeliveryKind.SCHEDULE, plans, windows=windows)
    await _begin_beside_monitor(driver, client, delivery)
    return f"scheduled from tick {windows.first_tick} to {windows.last_tick}"


def _windows(driver: Driver, request: ScheduleRequest, variables: Sequence[Variable]) -> Windows:
    board = driver.board
    names = [variable.name for variable in variables]
    now_s = driver.now()
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
    soon = board.tick_at(now_s + _LEAD_S)
    starts = [(max(first, soon), duration) for first, duration in asked]
    return Windows(
        (name, Window(first, first + duration))
        for name, (first, duration) in zip(names, starts, strict=True)
    )


async def monitor(driver: Driver, client: BoardClient, request: MonitorRequest) -> str:
    """Send single values at a low rate."""
    variables = choose_variables(driver.board.variables, request.variables, driver.settings)
    names = [variable.name for variable in variables]
    _refuse_shared(driver.delivery, variables, "START")
    await driver.measure(client)
    if request.periods is not None:
        periods = dict(zip(names, request.periods_for(names), strict=True))
    else:
        ticks = _period_ticks(driver, request.period_s or _DEFAULT_MONITOR_PERIOD_S)
        periods = dict.fromkeys(names, ticks)
    if driver.monitoring is not None:  # not before all is known to be right
        await end(driver, client, driver.monitoring)
    await _begin(driver, client, _monitor_delivery(driver, variables, periods))
    return f"monitoring {', '.join(names)}"


def _refuse_shared(running: Delivery | None, variables: Iterable[Variable], by: str) -> None:
    """Refuse a second monitor of a variable, which has only one on the board.

    START uses it where a monitor is configured.
    """
    there = {variable.name for variable in running.monitored} if running is not None else set()
    shared = sorted(there & {variable.name for variable in variables})
    if shared:
        raise RequestError(f"{', '.join(shared)} is monitored by {by} already; STOP first")


def _monitor_delivery(
    driver: Driver, variables: Sequence[Variable], periods: Mapping[str, int]
) -> Delivery:
    plans = plan_streams(variables, driver.settings, monitor=True)
    # A stream that START has made stays what it is; its monitor gets a name of its own.
    named = [
        replace(plan, name=f"{plan.name}_monitor") if plan.name in driver.streamed else plan
        for plan in plans
    ]
    return _delivery(driver, DeliveryKind.MONITOR, named, periods=periods)


async def _begin_beside_monitor(driver: Driver, client: BoardClient, delivery: Delivery) -> None:
    """Begin a START or SCHEDULE; a monitor that has one of its names goes on under another."""
    names = {plan.name for plan in delivery.plans}
    driver.streamed |= names
    monitoring = driver.monitoring
    if monitoring is None or names.isdisjoint(plan.name for plan in monitoring.plans):
        await _begin(driver, client, delivery)
        return
    renamed = _monitor_delivery(driver, monitoring.monitored, monitoring.periods)
    await end(driver, client, monitoring)
    driver.adopt(renamed)
    await renamed.begin(client)  # if the connection ends now, it goes on with the next one
    await _begin(driver, client, delivery)


def _periods(driver: Driver, plans: Sequence[StreamPlan]) -> dict[str, int]:
    periods: dict[str, int] = {}
    for plan in plans:
        if plan.mode is StreamMode.MONITOR:
            configured_s = plan.settings.period_s if plan.settings is not None else None
            ticks = _period_ticks(driver, configured_s or _DEFAULT_MONITOR_PERIOD_S)
            periods |= {variable.name: ticks for variable in plan.variables}
    return periods


def _period_ticks(driver: Driver, period_s: float) -> int:
    clock = driver.board.clock
    measured = clock is not None and clock.ready
    rate_hz = clock.tick_rate_hz if clock and measured else driver.board.declared_rate_hz
    if not math.isfinite(rate_hz):
        raise RequestError("the board's tick rate is not known yet; give periods in ticks")
    if period_s < _MIN_MONITOR_PERIOD_S:
        raise RequestError(
            f"a period of {period_s} s is below {_MIN_MONITOR_PERIOD_S} s; START streams all values"
        )
    return max(2, round(period_s * rate_hz))  # 1 would mean once


def _delivery(
    driver: Driver,
    kind: DeliveryKind,
    plans: Sequence[StreamPlan],
    *,
    windows: Windows | None = None,
    periods: Mapping[str, int] | None = None,
    sink: Sink | None = None,
) -> Delivery:
    return Delivery(
        kind,
        driver.board,
        sink or driver.sink,
        driver.now,
        driver.notices,
        driver.probe,
        driver.measure,
        plans,
        windows or Windows(),
        periods or {},
        driver.obeys_ticks,
    )


async def _begin(driver: Driver, client: BoardClient, delivery: Delivery) -> None:
    driver.adopt(delivery)
    try:
        await delivery.begin(client)
    except BaseException:
        driver.note_left(delivery)
        driver.drop(delivery)
        raise


async def end(
    driver: Driver, client: BoardClient, delivery: Delivery, *, hurried: bool = False
) -> None:
    """Stop a delivery and collect its tail; when the connection ends first, it goes on waiting."""
    try:
        still_watched = await end_on_board(delivery, client, hurried=hurried)
    except (BoardError, asyncio.CancelledError):
        driver.note_left(delivery)
        raise
    except Exception:
        delivery.finish()
        driver.note_left(delivery)
        driver.drop(delivery)
        raise
    driver.drop(delivery)
    if still_watched:
        logger.warning(
            "%s: the board ends it with its next value, and keeps up to one block till then",
            ", ".join(still_watched),
        )


async def stop(driver: Driver, client: BoardClient) -> str:
    """Stop everything that streams, is scheduled or is monitored."""
    deliveries = driver.deliveries
    if not deliveries:
        return "nothing was running"
    driver.enter(SessionState.STOPPING)
    for delivery in deliveries:
        await end(driver, client, delivery)
    driver.enter(SessionState.IDLE)
    return "stopped"


# ---- LIST --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board as one reply to ``list`` shows it.

    Parameters
    ----------
    project : str
        Name of the project that runs.
    declared_rate_hz, tick_rate_hz : float
        Rate that the sketch declares, and the measured one of its ticks (NaN: not known yet).
    tick : int
        Last tick that had happened.
    variables : tuple of Variable
        All variables, in the board's order.
    """

    project: str
    declared_rate_hz: float
    tick_rate_hz: float
    tick: int
    variables: tuple[Variable, ...]


async def look(driver: Driver, client: BoardClient) -> BoardView:
    """Ask the board for its variables and the present tick."""
    await driver.probe(client)
    board = driver.board
    tick_rate_hz = board.clock.tick_rate_hz if board.clock is not None else math.nan
    return BoardView(
        board.project, board.declared_rate_hz, tick_rate_hz, board.tick, board.variables
    )


async def listing(driver: Driver, client: BoardClient) -> dict[str, Any]:
    """Describe the board's variables as LIST shows them."""
    await driver.probe(client)
    return describe(driver.board)


def describe(board: Board) -> dict[str, Any]:
    """Describe the board's variables as of the last reply."""
    return {
        "project": board.project,
        "sample_rate_hz": board.declared_rate_hz,
        "tick": board.tick,
        "variables": [
            {
                "name": variable.name,
                "type": variable.value_type.label,
                "mode": "sparse" if variable.sparse else "dense",
                "value": variable.value if math.isfinite(variable.value) else None,
                "watched": variable.watched,
                "controlled": variable.controlled,
                "monitor_period_ticks": variable.monitor_period_ticks,
                "logged": variable.logged,
            }
            for variable in board.variables
        ],
    }
