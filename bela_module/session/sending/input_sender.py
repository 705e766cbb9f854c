"""Sends what inputs have received to the board, in a task that waits for nothing else."""

from __future__ import annotations

import asyncio
import logging

import numpy as np

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BelaError, DisconnectedError
from bela_module.protocol.control_commands import set_command, uncontrol_command
from bela_module.protocol.sketch_buffer import SketchBuffer
from bela_module.protocol.variables import Variable
from bela_module.session.inputs.active_input import ActiveInput, BoardMessage
from bela_module.session.inputs.input_hints import stamp_hint
from bela_module.session.runtime import Runtime

logger = logging.getLogger(__name__)


class InputSender:
    """Sends messages of inputs as soon as they have any: one message for each at a time.

    While the board takes none, the latest of each input waits and no more, so that nothing grows.
    To be made in the session's thread, in which all its methods are to be called.

    Parameters
    ----------
    runtime : Runtime
        The session.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._has_more = asyncio.Event()
        self._ready_on: BoardClient | None = None  # the connection that may be sent on
        self._sent_on: BoardClient | None = None
        self._n_missed: dict[str, int] = {}  # samples that the board was not there for
        self._task = asyncio.ensure_future(self._send_all())

    def wake(self) -> None:
        """Have it look for what is to be sent."""
        self._has_more.set()

    def use(self, client: BoardClient) -> None:
        """Send on a connection from now on, on which all is prepared for it."""
        if self._ready_on is not client:
            self._ready_on = client
            for one in self._runtime.inputs:
                one.resends = bool(one.settings.variables)  # the last may not have arrived
            for name, n_missed in self._n_missed.items():
                self._runtime.notices.inform(
                    f"input {name}: {n_missed} samples were not sent while the board was away"
                )
            self._n_missed.clear()
        if self._runtime.inputs.by_name:
            self.wake()

    @property
    def is_ready(self) -> bool:
        """Whether it may send now."""
        client = self._runtime.client
        return client is not None and client is self._ready_on and not client.lost.done()

    async def close(self) -> None:
        """End the task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _send_all(self) -> None:
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            for one in self._runtime.inputs:
                try:
                    await self._send_waiting(one)
                except BelaError as error:  # the board was lost, which the driver tells
                    logger.debug("input %s: %s", one.name, error)
                except Exception as error:  # noqa: BLE001 - an input must not end the others
                    text = f"input {one.name} failed: {error!r}"
                    self._runtime.notices.tell(text, cause=error)

    async def _send_waiting(self, one: ActiveInput) -> None:
        while one.has_more:
            if not self.is_ready:
                self._skip(one)
                return
            if not one.settings.variables and not self._has_data:
                self._runtime.jobs.wake()  # the driver opens it, and then calls use()
                return
            if one.settings.variables and not self._has_control(one) and one.claim_control():
                self._runtime.jobs.wake()  # the driver takes it, and then calls use()
                return
            if (message := one.next_message()) is not None:
                try:
                    await self._send(one, message)
                except BelaError:
                    self._note_missed(one, one.note_unsent(message))
                    raise

    @property
    def _has_data(self) -> bool:
        client = self._runtime.client
        return client is not None and client.has_data

    def _has_control(self, one: ActiveInput) -> bool:
        changes = self._runtime.changes
        names = set(one.settings.variables)
        return names <= changes.controlled and names.isdisjoint(changes.releasing)

    def _skip(self, one: ActiveInput) -> None:
        """Leave out samples that the board is not there for; the latest of a variable waits."""
        if not one.settings.variables:
            self._note_missed(one, one.waiting.drop())

    def _note_missed(self, one: ActiveInput, n_samples: int) -> None:
        if n_samples:
            self._n_missed[one.name] = self._n_missed.get(one.name, 0) + n_samples

    async def _send(self, one: ActiveInput, message: BoardMessage) -> None:
        runtime = self._runtime
        client = runtime.client
        if client is None:
            raise DisconnectedError("the board is away")
        if client is not self._sent_on:
            self._sent_on = client
            for other in runtime.inputs:
                other.account.note_disconnected()
        if message.n_samples:
            text = stamp_hint(one, message.stamp_s, runtime.now())
            if one.hint("stamps", text):
                runtime.notices.tell(text)
        names = list(one.settings.variables)
        if message.values is None:
            runtime.changes.ask_release(names)
            await client.send(uncontrol_command(names))
        elif names:
            known = {v.name: v for v in reversed(runtime.board.variables)}
            values = [
                settable(known[name], float(value))
                for name, value in zip(names, message.values, strict=True)
            ]
            await client.send(set_command(names, values))
        else:
            await self._send_buffer(one, message, client)
        one.sent += 1

    async def _send_buffer(
        self, one: ActiveInput, message: BoardMessage, client: BoardClient
    ) -> None:
        (value_type,) = one.value_types
        values = message.values if message.values is not None else np.empty(0)
        if message.number:
            now_s = self._runtime.now()
            stamp_s = message.stamp_s if np.isfinite(message.stamp_s) else now_s
            one.account.note_sent(message.number, stamp_s, now_s)
            values = np.concatenate([[message.number], values])
        buffer_id = one.settings.buffer_id or 0
        await client.send_buffer(SketchBuffer(buffer_id, value_type, values))


def settable(variable: Variable, value: float) -> float:
    """Fit a value into the type of a variable: whole where it must be, and within its range."""
    dtype = variable.value_type.dtype
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        return min(max(value, -largest), largest)
    limits = np.iinfo(dtype)
    return int(min(max(round(value), int(limits.min)), int(limits.max)))
