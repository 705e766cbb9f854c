"""Whether all is well with what runs: what the board says, or does not, and what is done then."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import DisconnectedError, NoReplyError
from bela_module.session import recovery
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.watchdog import Cause, Expected, Finding
from bela_module.session.status import count_bad_frames
from bela_module.streams.stream_plans import StreamMode

if TYPE_CHECKING:
    from bela_module.session.driver import Driver

logger = logging.getLogger(__name__)

LOOK_PERIOD_S: Final = 0.25
_QUIET_S: Final = 1.0  # without any message from the board
_STANDSTILL_S: Final = 2.0  # beyond what a busy computer takes
_JUMP_S: Final = 0.05
_MAX_UNANSWERED: Final = 3  # while data still comes


async def watch_over(driver: Driver, client: BoardClient) -> None:
    """Probe, and deal with what the reply says of the board and of our watches.

    Raises
    ------
    BoardError
        When the connection is of no more use.
    """
    try:
        await driver.probe(client)
    except NoReplyError as error:
        driver.unanswered += 1
        alive = driver.now() - client.last_received_s < driver.settings.board.reply_timeout_s
        if not alive or driver.unanswered >= _MAX_UNANSWERED:
            raise
        if driver.deliveries:
            report(driver, trouble=[Finding(Cause.UNANSWERED)])
        logger.debug("%s", error)
        return
    driver.unanswered = 0
    recovery.check_control(driver)
    if driver.restarted or not driver.deliveries:
        return
    heard_s = max(delivery.heard_s for delivery in driver.deliveries)
    # What stands at the end of a schedule stays as it is: nothing is due any more.
    running = [delivery for delivery in driver.deliveries if not delivery.is_over]
    diagnoses = [(delivery, diagnose(delivery, heard_s)) for delivery in running]
    report(driver, diagnoses)
    for delivery, findings in diagnoses:
        await _mend(delivery, client, findings)


def diagnose(delivery: Delivery, heard_s: float) -> list[Finding]:
    """Say why values of a delivery do not come, as of the last reply to ``list``.

    Parameters
    ----------
    delivery : Delivery
        What runs.
    heard_s : float
        When the last block came, of whatever runs.
    """
    if not delivery.running or delivery.ending:
        return []
    gone = [
        Finding(cause, tuple(name for name, why in delivery.gone.items() if why is cause))
        for cause in dict.fromkeys(delivery.gone.values())
    ]
    board = delivery.board
    found = delivery.watchdog.look(
        _expected(delivery), board.tick, delivery.now(), delivery.last_block_s, heard_s
    )
    return gone + found


def _expected(delivery: Delivery) -> Iterator[Expected]:
    """Collect of which variables something should come by now, and how often."""
    clock = delivery.board.clock
    rate_hz = clock.tick_rate_hz if clock is not None else math.nan
    listed = {variable.name: variable for variable in delivery.board.variables}
    for stream, variable in delivery.members(*StreamMode):
        there = listed.get(variable.name, variable)
        if stream.plan.mode is StreamMode.MONITOR:
            ticks = delivery.periods[variable.name]
            block_s = None if variable.sparse else ticks / rate_hz
            on = there.monitor_period_ticks > 0
            yield Expected(variable.name, on, block_s, there.value_input, monitored=True)
        elif delivery.is_due(variable.name):
            ticks_per_block = variable.layout.value_count * (stream.step_of(variable) or math.inf)
            block_s = None if variable.sparse else ticks_per_block / rate_hz
            yield Expected(variable.name, there.watched, block_s, there.value_input)


async def _mend(delivery: Delivery, client: BoardClient, findings: Sequence[Finding]) -> None:
    """Do what can be done about a diagnosis."""
    if names := delivery.watchdog.to_ask_again:
        await delivery.ask_again(client, tuple(names))
    causes = {finding.cause for finding in findings}
    if Cause.DEAF in causes:
        raise DisconnectedError(Cause.DEAF.value)
    if causes & {Cause.SILENT, Cause.UNASSIGNED}:
        await client.activate()


def report(
    driver: Driver,
    diagnoses: Iterable[tuple[Delivery, Sequence[Finding]]] = (),
    *,
    trouble: Iterable[Finding] = (),
) -> None:
    """Tell each diagnosis once, as long as it stands.

    Parameters
    ----------
    driver : Driver
        What runs.
    diagnoses : iterable of (Delivery, sequence of Finding)
        What is wrong with each delivery that was looked at.
    trouble : iterable of Finding
        What is wrong with the connection.
    """
    before = driver.problems
    driver.trouble = tuple(str(finding) for finding in trouble)
    for delivery, findings in diagnoses:
        delivery.problems = tuple(str(finding) for finding in findings)
    for problem in driver.problems:
        if problem not in before:
            driver.notices.tell(problem)
    if before and not driver.problems:
        logger.info("all comes as it should again")
    if before != driver.problems:
        driver.publish_status()


def look(driver: Driver) -> None:
    """Look at what needs no reply, some times a second: silence, counts and losses."""
    now_s = driver.now()
    stood_still_s = now_s - driver.looked_s - LOOK_PERIOD_S
    driver.looked_s = now_s
    if stood_still_s > _STANDSTILL_S:
        driver.notices.tell(f"this computer or process stood still for {stood_still_s:.1f} s")
    else:
        _look_for_silence(driver, now_s)
    driver.notices.count(counts(driver))
    _tell_jump(driver)
    driver.notices.flush()
    driver.publish_status()


def _look_for_silence(driver: Driver, now_s: float) -> None:
    """Tell that nothing comes, neither data nor replies, before that ends the connection."""
    client = driver.client
    connected = client is not None and not client.lost.done()
    was_quiet, driver.is_quiet = driver.is_quiet, False
    if client is not None and connected and driver.deliveries:
        driver.is_quiet = now_s - client.last_received_s > _QUIET_S
    if driver.is_quiet and not was_quiet:
        driver.notices.tell(Cause.QUIET.value)


def _tell_jump(driver: Driver) -> None:
    """Tell that the ticks have paused or skipped some, once for each time."""
    clock = driver.board.clock
    jumps = (clock.generation, clock.discontinuities) if clock is not None else (0, 0)
    large = clock is not None and abs(clock.last_jump_s) > _JUMP_S
    if clock is not None and large and jumps[1] and jumps != driver.told_jumps:
        what = "paused for" if clock.last_jump_s > 0 else "skipped"
        driver.notices.tell(f"the board's ticks {what} {abs(clock.last_jump_s):.3f} s")
    driver.told_jumps = jumps


def counts(driver: Driver) -> dict[str, int]:
    """Collect how often what should not have come came, by names for people."""
    board = driver.board
    decoded = board.decoder.counters
    return {
        "bad frames": count_bad_frames(driver),
        "orphan headers": decoded.orphan_headers,
        "orphan payloads": decoded.orphan_payloads,
        "repeated values": board.counters.repeated_values,
    }
