"""End a delivery on the board: unwatch at a tick, wait for the last blocks, confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import unwatch_command
from bela_module.session.board.monitor_periods import MonitorUse
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.single_streams import is_assigned
from bela_module.session.delivery.steps import settle
from bela_module.session.delivery.time_limits import (
    BACKLOG_S,
    COMMAND_LEAD_S,
    END_LOOK_S,
    END_TICK_S,
    HURRIED_LAST_BLOCK_S,
    LAST_BLOCK_S,
    LATE_BLOCK_S,
    POLL_S,
    UNWATCH_AT_END_S,
)
from bela_module.session.delivery.transport import end_singles, settle_sieves
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import StreamMode
from bela_module.tracking.single_values import Transport


async def end_on_board(
    delivery: Delivery, client: BoardClient, *, hurried: bool = False
) -> tuple[str, ...]:
    """Stop the streams, collect what the board still holds, and confirm that it stopped.

    The stop is set to a tick slightly ahead, which makes the true end of every padded last
    block known. When the connection ends first, call this again on the next one: the streams
    end at that tick all the same.

    Parameters
    ----------
    delivery : Delivery
        What is to end.
    client : BoardClient
        The connection.
    hurried : bool
        Whether to wait only shortly for sparse variables, which end with their next value.

    Returns
    -------
    tuple of str
        Variables that the board still calls watched: sparse ones end with their next value.

    Raises
    ------
    BoardError
        When the connection does not last; the delivery has not ended then.
    """
    names = [variable.name for variable in delivery.watched]
    await client.send(*settle_sieves(delivery, final=True))
    if names and not delivery.is_ending:
        await _stop_watching(delivery, client, names, hurried=hurried)
    monitored = [variable.name for variable in delivery.monitored]
    board = delivery.board
    commands = [*board.monitors.drop(monitored, MonitorUse.MONITOR), *end_singles(delivery)]
    if commands:
        await client.send(*commands)
    still_watched = await client.still_watched(
        names, HURRIED_LAST_BLOCK_S if hurried else UNWATCH_AT_END_S
    )
    delivery.board.ending.update(still_watched)
    _note_unassigned(delivery, still_watched)
    if not hurried:
        await delivery.prober.probe(client)  # or the list would call our own watches another's
    await delivery.prober.measure(client)  # what came before the clock was known waits for it
    delivery.finish()
    return still_watched


async def end_streams(
    delivery: Delivery, client: BoardClient, streams: Sequence[LiveStream]
) -> None:
    """Stop some streams of a delivery, and collect what the board still holds; others go on.

    Parameters
    ----------
    delivery : Delivery
        What streams, on this connection.
    client : BoardClient
        The connection.
    streams : sequence of LiveStream
        Streams of the delivery, but not all of them.

    Raises
    ------
    BoardError
        When the connection does not last; they may go on then.
    """
    board = delivery.board
    names = [variable.name for stream in streams for variable in stream.plan.variables]
    watched = [variable.name for variable in delivery.watched if variable.name in names]
    if watched:
        await _await_starts(delivery, client)
        soon = board.tick_at(delivery.now() + COMMAND_LEAD_S)
        if board.ready and delivery.obeys_ticks:
            for stream in streams:
                for variable in stream.plan.variables:
                    stream.end_at(variable, soon, next_too=True)
            await client.send(unwatch_command(watched, [soon] * len(watched)))
        else:
            await client.send(unwatch_command(watched))
        ended = await _find_ended(delivery, client, watched)
        await _wait_finished(delivery, client, watched, LAST_BLOCK_S, BACKLOG_S)
        if unfinished := [name for name in delivery.unfinished if name in watched]:
            await client.send(unwatch_command(unfinished))
            await _await_tick(delivery, client, soon)
            delivery.cut(min(soon, board.tick), unfinished)
            await _wait_finished(delivery, client, unfinished, LATE_BLOCK_S, 0.0)
        _note_ended(delivery, ended)
    drops = [board.monitors.drop(names, use) for use in MonitorUse]
    if commands := [command for drop in drops for command in drop]:
        await client.send(*commands)
    board.ending.update(await client.still_watched(watched, UNWATCH_AT_END_S))
    await delivery.prober.measure(client)  # what came before the clock was known waits for it
    for stream in streams:
        settle(board, stream)
    delivery.streams = tuple(stream for stream in delivery.streams if stream not in streams)
    delivery.plans = [stream.plan for stream in delivery.streams]
    delivery.router.find_variables(delivery.streams, board.variables)


async def _stop_watching(
    delivery: Delivery, client: BoardClient, names: Sequence[str], *, hurried: bool
) -> None:
    if delivery.is_finished:
        return
    if not delivery.obeys_ticks:
        await client.send(unwatch_command(names))
        return
    board = delivery.board
    await _await_starts(delivery, client)
    soon = board.tick_at(delivery.now() + COMMAND_LEAD_S)
    watched = {variable.name for variable in board.variables if variable.watched}
    delivery.set_ends(soon, watched)
    if board.ready:
        await client.send(unwatch_command(names, [soon] * len(names)))
    else:
        await client.send(unwatch_command(names))
    ended = {} if hurried else await _find_ended(delivery, client, watched)
    limit_s = HURRIED_LAST_BLOCK_S if hurried else LAST_BLOCK_S
    backlog_s = 0.0 if hurried else BACKLOG_S
    await _wait_finished(delivery, client, watched, limit_s, backlog_s)
    if unfinished := delivery.unfinished:
        # The board does not get to that tick, or nothing is assigned any more: end it where it is.
        await client.send(unwatch_command(unfinished))
        await _await_tick(delivery, client, soon)
        delivery.cut(min(soon, board.tick), unfinished)
        await _wait_finished(delivery, client, unfinished, LATE_BLOCK_S, 0.0)
    _note_ended(delivery, ended)


async def _find_ended(
    delivery: Delivery, client: BoardClient, names: Container[str]
) -> dict[str, int]:
    """Ask until the end comes whether somebody else has ended watches before it.

    Returns
    -------
    dict of str to int
        Dense variables that were not watched any more, and the first tick at which that was so.
    """
    board, over_s = delivery.board, delivery.now() + COMMAND_LEAD_S
    ended: dict[str, int] = {}
    while any(name in names for name in delivery.unfinished) and delivery.now() < over_s:
        await asyncio.sleep(END_LOOK_S)
        await delivery.prober.probe(client)
        if delivery.prober.restart_pending:
            return {}
        watched = {variable.name for variable in board.variables if variable.watched}
        for stream, variable in delivery.members(StreamMode.DENSE):
            end_tick = stream.tracker_of(variable).end_tick
            is_before = end_tick is not None and board.tick < end_tick
            if variable.name in watched:
                ended.pop(variable.name, None)  # somebody has watched it again
            elif is_before and variable.name in names:
                ended.setdefault(variable.name, board.tick)
    return ended


def _note_ended(delivery: Delivery, ended: Mapping[str, int]) -> None:
    """Learn at which tick the board had ended some variables before it was told to."""
    for stream, variable in delivery.members(StreamMode.DENSE):
        if variable.name in ended:
            stream.tracker_of(variable).sent_by(ended[variable.name])


def _note_unassigned(delivery: Delivery, still_watched: Container[str]) -> None:
    """Learn which variables were not assigned since the end, of which the board keeps a block."""
    for stream, variable in delivery.members(StreamMode.DENSE, StreamMode.SPARSE):
        tracker = stream.tracker_of(variable)
        if variable.name in delivery.watchdog.unassigned or is_assigned(delivery, variable):
            continue  # it never was, or still is, and the board sends nothing of it
        if tracker.finished:
            continue  # it has come up to its end, and somebody else has watched it since
        if variable.name in still_watched and tracker.transport is Transport.BLOCK:
            if tracker.end_tick is not None and delivery.board.tick >= tracker.end_tick:
                tracker.not_assigned_at_end()
            delivery.kept_back[variable.name] = variable.layout.value_count


async def _await_starts(delivery: Delivery, client: BoardClient) -> None:
    """Wait for starts that are close: an end set before them makes the board begin at once.

    Those of a board that stands still may never come.
    """
    board = delivery.board
    await delivery.prober.probe(client)
    soon = board.tick_at(delivery.now() + COMMAND_LEAD_S)
    close = [tick for tick in delivery.starts.values() if tick <= soon]
    if board.ready and close:
        await _await_tick(delivery, client, max(close))


async def _await_tick(delivery: Delivery, client: BoardClient, tick: int) -> None:
    """Probe until a tick is over; a board that stands still is not waited for."""
    deadline_s = delivery.now() + END_TICK_S
    await delivery.prober.probe(client)
    while delivery.board.tick < tick and delivery.now() < deadline_s:
        await asyncio.sleep(POLL_S)
        await delivery.prober.probe(client)


async def _wait_finished(
    delivery: Delivery,
    client: BoardClient,
    names: Container[str],
    limit_s: float,
    backlog_s: float,
) -> None:
    """Wait for the last blocks of some variables, as long as they can be on their way.

    On a busy computer they may be late: while blocks keep coming, the wait goes on for up to
    `backlog_s` more.
    """
    begun_s = delivery.now()
    while not client.lost.done():
        await asyncio.sleep(POLL_S)
        if not any(name in names for name in delivery.unfinished):
            return
        now_s, heard_s = delivery.now(), delivery.router.heard_s
        if now_s > begun_s + limit_s and now_s > min(heard_s, begun_s + backlog_s) + limit_s:
            return
