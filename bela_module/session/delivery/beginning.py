"""Begin a delivery on the board: watch and monitor, mark ``started``; resume it later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import (
    Json,
    unwatch_command,
    watch_command,
)
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.time_limits import (
    CLOCK_POLL_S,
    COMMAND_LEAD_S,
    OUTLETS_OPEN_S,
    POLL_S,
    UNWATCH_BEFORE_START_S,
)
from bela_module.session.delivery.transport import adjust_transport, begin_singles
from bela_module.streams.stream_plans import StreamMode
from bela_module.validation import named

logger = logging.getLogger(__name__)


async def begin_on_board(delivery: Delivery, client: BoardClient) -> None:
    """Start the streams of a delivery.

    Raises
    ------
    BoardError
        When the board does not do as it is told.
    """
    await _free_watched(delivery, client)
    await delivery.prober.measure(client)
    delivery.open_prepared()
    begins_s = delivery.now() + delivery.delay_s
    await _watch(delivery, client, resumed=False)
    await _monitor(delivery, client)
    delivery.begun_s = delivery.now()
    await _wait_until_visible(delivery, client)
    if delivery.kind is not DeliveryKind.SCHEDULE:
        delivery.notices.mark("started", max(begins_s, delivery.begun_s))


async def _wait_until_visible(delivery: Delivery, client: BoardClient) -> None:
    """Wait for outlets that need to know more, and then for all to be there.

    Only when recorders can find all streams is the delivery said to have started.
    """
    until_s = delivery.begun_s + delivery.step_limit_s
    while not (delivery.all_open or client.lost.done()) and delivery.now() <= until_s:
        await asyncio.sleep(POLL_S)
        await adjust_transport(delivery, client)
        # Nothing else probes while this command is carried out.
        await delivery.prober.measure(client, CLOCK_POLL_S)
    delivery.open_ready(*delivery.streams)
    until_s = delivery.now() + OUTLETS_OPEN_S
    while not (delivery.all_visible or client.lost.done()) and delivery.now() <= until_s:
        await asyncio.sleep(POLL_S)


async def resume_on_board(delivery: Delivery, client: BoardClient) -> None:
    """Go on after a reconnect or a restart; when that fails, it can be tried again.

    Parameters
    ----------
    delivery : Delivery
        What was interrupted.
    client : BoardClient
        The connection, on which nothing is watched.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    delivery.reconnected()
    if delivery.is_ending:
        return  # nothing more is to come
    if delivery.restart_tick is not None:
        await delivery.surveyor.find_steps(client, delivery.watched)
        if delivery.prompt.is_allowed and not delivery.prompt.only_unknown:
            await delivery.surveyor.find_fast(client, delivery.watched)
        delivery.begin_trackers_at(delivery.restart_tick)
        for stream in delivery.streams:
            stream.interrupted()
    delivery.restart_tick = None
    await _watch(delivery, client, resumed=True)
    await _monitor(delivery, client)


async def ask_again(delivery: Delivery, client: BoardClient, names: Sequence[str]) -> None:
    """Watch or monitor variables once more, which somebody else has ended, or nobody begun."""
    monitored = [v.name for v in delivery.monitored if v.name in names]
    watched = [v.name for v in delivery.watched if v.name in names]
    if monitored:
        periods = [delivery.periods[name] for name in monitored]
        await client.send(*delivery.board.monitors.ask(dict(zip(monitored, periods, strict=True))))
    if watched:
        soon = delivery.board.tick_at(delivery.now() + COMMAND_LEAD_S)
        await client.send(_watch_command(delivery, watched, dict.fromkeys(watched, soon)))
    delivery.watchdog.asked(names, delivery.now(), again=True)


async def _free_watched(delivery: Delivery, client: BoardClient) -> None:
    """End what others left watched: a second watch would lose a block in mid-stream."""
    names = {variable.name for variable in delivery.watched}
    stale = [variable.name for variable in delivery.board.find(names) if variable.watched]
    if not stale:
        return
    await client.send(unwatch_command(stale))
    for name in await client.still_watched(stale, UNWATCH_BEFORE_START_S):
        logger.warning("%s: still watched by an earlier client till its next value", named([name]))


async def _watch(delivery: Delivery, client: BoardClient, *, resumed: bool) -> None:
    board, windows = delivery.board, delivery.schedule.windows
    names = [variable.name for variable in delivery.watched]
    if not names:
        delivery.streaming_begins()
        return
    # A start at one tick aligns all variables, and makes even a lost first block show.
    delay_s = 0.0 if resumed else delivery.delay_s
    soon = board.tick_at(delivery.now() + max(COMMAND_LEAD_S, delay_s))
    ready = board.ready and delivery.obeys_ticks
    starts = {name: soon for name in names}
    for name, window in windows.items():
        starts[name] = max(soon, window.first_tick)
    delivery.starts = starts
    if resumed:
        delivery.resume_trackers(starts)
    else:
        delivery.begin_trackers(starts if ready else None)
    delivery.streaming_begins()
    singles = begin_singles(delivery)
    watch = _watch_command(delivery, names, starts if ready or windows else None)
    await client.send(watch, *singles)
    delivery.watchdog.asked(names, delivery.now())
    await adjust_transport(delivery, client)  # of a very fast variable much has come already
    await delivery.prober.probe(client)  # its reply says that the board has read the command
    for stream, variable in delivery.members(StreamMode.DENSE, StreamMode.SPARSE):
        if ready and board.tick < starts[variable.name]:
            stream.tracker_of(variable).confirm_start()
    # Not before: to make outlets takes longer than the lead of the start.
    delivery.open_ready(*delivery.streams)


def _watch_command(
    delivery: Delivery, names: Sequence[str], starts: Mapping[str, int] | None
) -> Json:
    windows = delivery.schedule.windows
    if starts is None:
        return watch_command(names)
    if not windows:
        return watch_command(names, [starts[name] for name in names])
    return watch_command(*windows.to_watch(names, starts))


async def _monitor(delivery: Delivery, client: BoardClient) -> None:
    names = [variable.name for variable in delivery.monitored]
    for stream, variable in delivery.members(StreamMode.MONITOR):
        stream.tracker_of(variable).begin(first_tick=delivery.board.tick)
    delivery.streaming_begins()
    delivery.open_ready(*delivery.streams)
    if names:
        monitors = delivery.board.monitors
        await client.send(*monitors.ask({name: delivery.periods[name] for name in names}))
        delivery.watchdog.asked(names, delivery.now())
        await delivery.prober.probe(client)  # its reply says that the board has read the command
