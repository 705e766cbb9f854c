"""Checks why values of a delivery do not come, and asks for them again or reconnects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.errors import DisconnectedError
from bela_module.session.delivery.beginning import ask_again
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.watchdog import Cause, Expected, Finding
from bela_module.streams.stream_plans import StreamMode


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
    return gone + found


def _expected(delivery: Delivery) -> Iterator[Expected]:
    """Collect of which variables something should come by now, and how often."""
    clock = delivery.board.clock
    rate_hz = clock.tick_rate_hz if clock is not None else math.nan
    by_name = {variable.name: variable for variable in delivery.board.variables}
    for stream, variable in delivery.members(*StreamMode):
        listed = by_name.get(variable.name, variable)
        if stream.plan.mode is StreamMode.MONITOR:
            ticks = delivery.periods[variable.name]
            block_s = None if variable.sparse else ticks / rate_hz
            on = listed.monitor_period_ticks > 0
            yield Expected(variable.name, on, block_s, listed.value_input, monitored=True)
        elif delivery.schedule.is_due(variable.name):
            ticks_per_block = variable.layout.value_count * (stream.step_of(variable) or math.inf)
            block_s = None if variable.sparse else ticks_per_block / rate_hz
            yield Expected(variable.name, listed.watched, block_s, listed.value_input)


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
