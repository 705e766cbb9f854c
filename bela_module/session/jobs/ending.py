"""End one delivery, those whose end is due, or all of them, on a connected board."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.ending import end_on_board, end_streams
from bela_module.session.delivery.transport import adjust_transport, look_is_due
from bela_module.session.runtime import Runtime
from bela_module.session.states import SessionState
from bela_module.validation import named

logger = logging.getLogger(__name__)


async def end(
    runtime: Runtime, client: BoardClient, delivery: Delivery, *, hurried: bool = False
) -> None:
    """Stop a delivery and collect its tail; when the connection ends first, it goes on waiting."""
    try:
        still_watched = await end_on_board(delivery, client, hurried=hurried)
    except (BoardError, asyncio.CancelledError):
        runtime.note_left(delivery)
        raise
    except Exception:
        delivery.finish()
        runtime.note_left(delivery)
        runtime.drop(delivery)
        raise
    runtime.drop(delivery)
    if still_watched:
        logger.warning(
            "%s: the board ends it with its next value, and keeps up to one block till then",
            named(still_watched),
        )


async def look_at_deliveries(runtime: Runtime, client: BoardClient) -> None:
    """Have deliveries do what is due, and end those whose end is; call it some times a second."""
    for delivery in filter(look_is_due, runtime.running):
        if delivery.progress():
            await end(runtime, client, delivery)
        else:
            await adjust_transport(delivery, client)


async def end_some(runtime: Runtime, client: BoardClient, names: Sequence[str]) -> str:
    """Stop the streams of some variables; what streams beside them goes on.

    Streams that have other variables, too, go on as well.
    """
    ended: list[str] = []
    for delivery in runtime.running:
        streams = [
            stream
            for stream in delivery.streams
            if all(variable.name in names for variable in stream.plan.variables)
        ]
        if len(streams) == len(delivery.streams):
            await end(runtime, client, delivery)
        elif streams:
            await end_streams(delivery, client, streams)
            runtime.running.note_ended(streams)
        ended += [stream.plan.name for stream in streams]
    runtime.status_changed()
    return f"stopped {named(ended)}" if ended else "nothing was running"


async def end_all(runtime: Runtime, client: BoardClient) -> str:
    """Stop everything that streams, is scheduled or is monitored."""
    was_prepared = runtime.running.prepared is not None
    runtime.running.prepared = None
    if not runtime.running:
        runtime.enter(SessionState.IDLE)
        return "stopped" if was_prepared else "nothing was running"
    runtime.enter(SessionState.STOPPING)
    for delivery in runtime.running:
        await end(runtime, client, delivery)
    runtime.enter(SessionState.IDLE)
    return "stopped"
