"""Resume or abandon deliveries after a reconnect or a restart of the board."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable

from bela_module.connection.board_client import BoardClient
from bela_module.session.board.clearing import clear
from bela_module.session.delivery.beginning import resume_on_board
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import DEFECT_CLEANING_S
from bela_module.validation import named

logger = logging.getLogger(__name__)


async def take_over(runtime: Runtime, client: BoardClient, *, fresh: bool = False) -> None:
    """End what is left on the board from before, and resume what was interrupted.

    Parameters
    ----------
    runtime : Runtime
        The session.
    client : BoardClient
        The connection, on which a list was just received.
    fresh : bool
        Whether the connection has just been made.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    changes = runtime.changes
    restarted = runtime.prober.take_restart()
    if restarted:
        _on_board_restart(runtime)
    if fresh:
        check_control(runtime)
    waiting = [delivery for delivery in runtime.running if delivery.is_interrupted]
    if fresh or restarted:
        runtime.sink.keep(runtime.board.variables)
        # Watches outlive a connection: what goes on would begin with a splice of then and now.
        ours = frozenset(changes.left | _names_of(runtime.running))
        runtime.board.monitors.forget()
        runtime.board.ending |= ours
        await clear(client, runtime.board, ours=ours, others=False)
        changes.ended(ours)
        runtime.board.monitors.note_ended(ours)
    else:
        await end_what_is_left(runtime, client)
    if waiting:
        await runtime.prober.measure(client)
        await runtime.prober.settle(client)
    for delivery in waiting:
        if delivery in runtime.running:  # it may have been given up meanwhile
            await resume_on_board(delivery, client)


async def end_what_is_left(runtime: Runtime, client: BoardClient) -> None:
    """End what this session has left watched or monitored, and confirm that it has ended.

    Raises
    ------
    BoardError
        When the board does not answer.
    """
    names = runtime.changes.left - _names_of(runtime.running)
    if names:
        await runtime.prober.probe(client)
        await clear(client, runtime.board, ours=names, others=False)
    runtime.changes.ended(names)


def _names_of(deliveries: Iterable[Delivery]) -> set[str]:
    return {v.name for d in deliveries for v in (*d.watched, *d.monitored)}


async def clean_up_after_defect(runtime: Runtime, client: BoardClient) -> None:
    """End what is left after a defect, at once if the connection still serves."""
    if client.lost.done():
        return
    try:
        async with asyncio.timeout(DEFECT_CLEANING_S):
            await end_what_is_left(runtime, client)
    except Exception as error:  # noqa: BLE001 - the defect itself, perhaps
        logger.warning("the board is to be left clean later: %s", error or "no reply in time")


def _on_board_restart(runtime: Runtime) -> None:
    """Account for what ran before a restart, of which the board knows nothing any more."""
    board = runtime.board
    runtime.notices.tell("the board restarted: its tick counter was reset", event="board_restarted")
    for delivery in runtime.running:
        delivery.on_board_restart(board.ended_tick, board.began_tick)
        if delivery.kind is DeliveryKind.SCHEDULE:
            runtime.note_failure("the schedule is void: the board restarted and its ticks with it")
            delivery.finish()
            runtime.drop(delivery)
    prepared = runtime.running.prepared
    if prepared is not None:
        listed = {variable.identity for variable in board.variables}
        if any(variable.identity not in listed for variable in prepared.variables):
            runtime.running.prepared = None
            runtime.notices.tell("the board runs another sketch than was prepared: PREPARE again")
    board.forget_times()


def check_control(runtime: Runtime) -> None:
    """Report what was controlled and is not any more, as of a list that was just received.

    A board that restarted has forgotten it, and another client can end it.
    """
    controlled = {variable.name for variable in runtime.board.variables if variable.controlled}
    # What an input drives is taken again by itself.
    if lost := runtime.changes.compare_control(controlled) - runtime.inputs.controlled:
        runtime.status_changed()
        runtime.notices.tell(f"{named(sorted(lost))}: no longer controlled; SET again")


def abandon_all(runtime: Runtime, why: str = "the board was not there") -> None:
    """End what runs without the board; what is left on it is to be cleaned up later.

    Parameters
    ----------
    runtime : Runtime
        The session.
    why : str
        The reason, in words.
    """
    for delivery in runtime.running:
        runtime.note_left(delivery)
        runtime.note_failure(_describe_abandoned(runtime, delivery, why))
        try:
            delivery.cut(runtime.board.tick)
            delivery.finish()
        except Exception:  # a defect in one stream must not keep the others from their end
            logger.exception("what was held of %s is lost", delivery.kind)
        finally:
            runtime.drop(delivery)


def _describe_abandoned(runtime: Runtime, delivery: Delivery, why: str) -> str:
    text = f"{', '.join(stream.plan.name for stream in delivery.streams)}: {why}"
    if delivery.is_ending:
        return f"{text} to confirm the end"
    if not delivery.schedule.has_begun:
        return f"{text} to cancel it"
    known_s = runtime.now() - runtime.board.time_at(runtime.board.tick)
    since = "since it restarted" if math.isnan(known_s) else f"in the last {known_s:.1f} s"
    return f"{text}; what was taken {since} is not counted"
