"""Checks why values of a delivery do not come, and asks for them again or reconnects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import DisconnectedError
from bela_module.session.delivery.beginning import ask_again
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.time_limits import WATCH_IGNORED_S
from bela_module.session.delivery.watchdog import Cause, Expected, Finding
from bela_module.streams.stream_plans import StreamMode, reachable
from bela_module.tracking.prompt_dense import PromptDenseTracker
from bela_module.tracking.runs import Tracker
from bela_module.tracking.single_values import Transport
from bela_module.validation import printable_name

_RESTARTS_OF_UNEVEN: Final = 4
"""Blocks that began where none should, after which pauses of the variable are the likely cause."""


def diagnose(delivery: Delivery, heard_s: float) -> list[Finding]:
    """Say why values of a delivery do not come, as of the last reply to ``list``.

    Parameters
    ----------
    delivery : Delivery
        What runs.
    heard_s : float
        When the last block came, of any delivery.
    """
    if not (delivery.is_streaming and delivery.obeys_ticks):
        return []  # a recording ends its streams when it is over, and nobody is to blame
    missing = delivery.router.missing
    gone = [
        Finding(cause, tuple(name for name, why in missing.items() if why is cause))
        for cause in dict.fromkeys(missing.values())
    ]
    found = delivery.watchdog.look(
        _expected(delivery),
        delivery.board.tick,
        delivery.now(),
        delivery.router.last_block_s,
        heard_s,
    )
    _note_unassigned(delivery)
    return gone + found + find_uneven(delivery)


def _note_unassigned(delivery: Delivery) -> None:
    """Tell of variables that were never assigned since the beginning: that is no fault."""
    unassigned, told = delivery.watchdog.unassigned, delivery.prompt.told_unassigned
    late = delivery.now() > delivery.begun_s + WATCH_IGNORED_S
    for stream in delivery.streams:
        if stream.samples:
            stream.is_assigned = True
            continue
        names = {variable.name for variable in stream.plan.variables}
        stream.is_assigned = not names <= unassigned
        if stream.plan.mode is StreamMode.DENSE and not stream.is_assigned and late:
            for name in sorted(names - told):
                delivery.notices.inform(
                    f"{printable_name(name)}: not assigned by the sketch since START"
                )
            told |= names


def find_uneven(delivery: Delivery) -> list[Finding]:
    """Find variables whose blocks do not tell when their values were assigned.

    The last blocks of a run may show it, so ask again when it has ended.
    """
    found: dict[Cause, list[str]] = {Cause.UNEVEN: [], Cause.PAUSES: []}
    for stream, variable in delivery.members(StreamMode.DENSE):
        name, tracker = variable.name, stream.tracker_of(variable)
        if tracker.transport is Transport.BLOCK and (
            _is_uneven(tracker.step_ticks)
            or _came_unevenly(tracker)
            or delivery.restarted.get(name, 0) >= _RESTARTS_OF_UNEVEN
        ):
            found[Cause.UNEVEN].append(name)
        if tracker.has_paused and delivery.withheld[name]:
            found[Cause.PAUSES].append(name)
    return [Finding(cause, tuple(names)) for cause, names in found.items() if names]


def _came_unevenly(tracker: Tracker) -> bool:
    """Tell whether single values showed that a variable is assigned unevenly."""
    return isinstance(tracker, PromptDenseTracker) and tracker.was_irregular


def _is_uneven(step_ticks: float | None) -> bool:
    """Tell whether values have a mean distance only: several at each tick are regular, too."""
    if step_ticks is None or isinstance(step_ticks, int):
        return False  # a mean may be a whole number, too
    return step_ticks > 1 or not math.isclose(1 / step_ticks, round(1 / step_ticks), rel_tol=1e-3)


def _expected(delivery: Delivery) -> Iterator[Expected]:
    """Collect of which variables something should come by now, and how often."""
    clock = delivery.board.clock
    rate_hz = clock.tick_rate_hz if clock is not None else math.nan
    by_name = {variable.name: variable for variable in reachable(delivery.board.variables)}
    for stream, variable in delivery.members(*StreamMode):
        listed = by_name.get(variable.name, variable)
        if stream.plan.mode is StreamMode.MONITOR:
            ticks = delivery.periods[variable.name]
            block_s = None if variable.sparse else ticks / rate_hz
            on = listed.monitor_period_ticks > 0
            yield Expected(variable.name, on, block_s, listed.value_input, monitored=True)
        elif delivery.schedule.is_due(variable.name):
            step, singly = stream.step_of(variable), variable.name in delivery.prompt.asked_s
            n_values = 1 if singly else variable.layout.value_count
            # Who knows when a variable without a step is assigned next? Its value tells.
            block_s = None if variable.sparse else n_values * (step or math.inf) / rate_hz
            yield Expected(
                variable.name,
                listed.watched,
                block_s,
                listed.value_input,
                singly=singly,
                asked_s=delivery.prompt.asked_s.get(variable.name, -math.inf),
            )


async def mend(delivery: Delivery, client: BoardClient, findings: Sequence[Finding]) -> None:
    """Do what can be done about a diagnosis.

    Raises
    ------
    BoardError
        When only another connection can help.
    """
    if names := delivery.watchdog.to_ask_again:
        await ask_again(delivery, client, tuple(names))
    causes = {finding.cause for finding in findings}
    if Cause.DEAF in causes:
        raise DisconnectedError(Cause.DEAF.value)
    if causes & {Cause.SILENT, Cause.UNASSIGNED}:
        await client.activate()
