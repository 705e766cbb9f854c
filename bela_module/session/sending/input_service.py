"""Connects inputs, and sends what they receive to the board at once, past the queue of jobs."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from bela_module.connection.board_client import BoardClient
from bela_module.errors import NoReplyError, RequestError, UnknownVariableError
from bela_module.input_settings import InputFields
from bela_module.inputs.loop_account import LAST_NUMBER
from bela_module.protocol.variables import Array, ValueType
from bela_module.requests import ConnectInputRequest, DisconnectInputRequest
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.inputs.active_input import ActiveInput
from bela_module.session.inputs.input_hints import echo_hint
from bela_module.session.inputs.loop_stream import LoopStream
from bela_module.session.inputs.states import InputState
from bela_module.session.jobs.control import take_control
from bela_module.session.runtime import Runtime
from bela_module.session.sending.input_sender import InputSender
from bela_module.session.time_limits import (
    ECHO_S,
    INPUT_LEAVE_S,
    INPUT_THREAD_END_S,
    LATE_ECHO_S,
)
from bela_module.streams.echo_tap import EchoTap
from bela_module.streams.lsl.input_inlet import InputInlet, check_predicate
from bela_module.streams.sink import Stamps
from bela_module.streams.stream_plans import StreamMode
from bela_module.validation import named

logger = logging.getLogger(__name__)

MAX_INPUTS: Final = 32
"""Inputs at a time; each has a thread."""


class InputService:
    """Keeps the inputs of a session connected, and sends what comes of them.

    A task of its own sends, which the driver's probes and jobs do not delay, for what it sends
    needs no answer. What does is done in :meth:`attend`, which the driver calls between its jobs.

    To be made in the session's thread, in which all its methods are to be called.

    Parameters
    ----------
    runtime : Runtime
        The session.
    tap : EchoTap
        The session's sink, which tells of the values that echo commands.

    Attributes
    ----------
    n_stops : int
        How often all inputs were ended: what was asked for before must not connect them.
    """

    def __init__(self, runtime: Runtime, tap: EchoTap) -> None:
        self._runtime = runtime
        self._tap = tap
        self._inlets: dict[str, InputInlet] = {}
        self._ended_inlets: list[InputInlet] = []
        self._loop = asyncio.get_running_loop()
        self._sender = InputSender(runtime)
        loop_stream = runtime.settings.streaming.loop_stream
        self._loop_stream = LoopStream(loop_stream, runtime.sink, runtime.board, runtime.notices)
        self._measured: Delivery | None = None
        self._loop_numbers: dict[str, int] = {}  # an input keeps its own
        self.n_stops = 0
        self._lost: dict[str, deque[tuple[float, int]]] = {}  # how many, and when
        tap.on_echoes, tap.on_gap = self._on_echoes, self._on_gap
        tap.on_failure = self._on_tap_failure

    # ---- commands -------------------------------------------------------------------------

    def connect(self, request: ConnectInputRequest) -> str:
        """Connect an input, by its name in the configuration or with what the request says.

        Raises
        ------
        RequestError
            When there is no such input, or the board has not what it is to drive.
        """
        name, configured = request.name, self._runtime.settings.inputs
        before = self._runtime.inputs.by_name.get(name)
        settings: InputFields | None = request.settings or configured.get(name)
        if settings is None and before is not None:
            settings = before.settings  # as it was connected before
        if settings is None:
            known = f"there are {', '.join(configured)}" if configured else "there is none"
            raise RequestError(
                f"no input {name!r} in the configuration; {known}: give its stream, and "
                "buffer_id or variables"
            )
        if before is not None and before.state is not InputState.STOPPED:
            if before.settings.model_dump() == settings.model_dump():
                return f"input {name} is connected already"
            raise RequestError(f"input {name} is connected otherwise; DISCONNECT_INPUT first")
        if before is None and len(self._runtime.inputs.by_name) >= MAX_INPUTS:
            raise RequestError(f"{MAX_INPUTS} inputs are connected already")
        if self._runtime.board.variables:
            self._check_names(settings)
        self._check_shared(name, settings)
        _check_stream(settings)
        self._connect(name, settings)
        return f"input {name} looks for the stream {settings.stream}"

    def resume(self) -> None:
        """Connect the inputs of the configuration that are not connected."""
        for name, settings in self._runtime.settings.inputs.items():
            one = self._runtime.inputs.by_name.get(name)
            if one is None or one.state is InputState.STOPPED:
                try:
                    self._check_shared(name, settings)
                    _check_stream(settings)
                except RequestError as error:
                    self._runtime.notices.tell(f"input {name}: {error}")
                    continue
                self._connect(name, settings)

    def disconnect(self, request: DisconnectInputRequest) -> str:
        """End an input, or all of them.

        Raises
        ------
        RequestError
            When none is called so.
        """
        inputs = self._runtime.inputs.by_name
        names = [request.name] if request.name is not None else list(inputs)
        if missing := [name for name in names if name not in inputs]:
            raise RequestError(
                f"no input {missing[0]!r} is connected; there are {', '.join(inputs) or 'none'}"
            )
        for name in names:
            inputs[name].is_leaving = True
            self._stop(inputs[name], "disconnected")
        self._forget_left()
        if later := [name for name in names if name in inputs]:
            said = f"disconnected {named(names)}; what is configured for the end of {named(later)}"
            return f"{said} is sent once the board takes it"
        return f"disconnected {named(names)}" if names else "no input was connected"

    def stop(self, why: str = "stopped") -> None:
        """End all inputs, each as it is configured, and leave them in STATUS."""
        self.n_stops += 1
        for one in self._runtime.inputs:
            self._stop(one, why)

    def _connect(self, name: str, settings: InputFields) -> None:
        if (inlet := self._inlets.pop(name, None)) is not None:
            self._end_inlet(inlet)
        before = self._runtime.inputs.by_name.get(name)
        if before is not None and before.give_up_end():
            self._runtime.notices.tell(
                f"input {name}: connected again before its end had reached the board"
            )
        one = ActiveInput(
            name,
            settings,
            post=self._post,
            wake=partial(self._post, self._sender.wake),
            on_change=self._on_change,
            # A sketch that saw another module's last number must not take ours for it.
            first_number=int(1000 * self._runtime.now()) % LAST_NUMBER + 1,
            loop_number=self._loop_numbers.setdefault(name, len(self._loop_numbers)),
        )
        self._runtime.inputs.by_name[name] = one
        self._lost.pop(name, None)
        self._tap.names = frozenset(
            one.settings.echo for one in self._runtime.inputs if one.settings.echo is not None
        )
        predicate, rate_hz = one.stream.as_predicate, settings.max_rate_hz
        self._inlets[name] = InputInlet(name, predicate, rate_hz, one)
        self._runtime.jobs.wake()
        self._runtime.status_changed()

    def _stop(self, one: ActiveInput, why: str, *, sends_end: bool = True) -> None:
        if (inlet := self._inlets.pop(one.name, None)) is not None:
            self._end_inlet(inlet)
        one.stop(why, is_away=not self._sender.is_ready, sends_end=sends_end)

    def _end_inlet(self, inlet: InputInlet) -> None:
        inlet.stop()
        self._ended_inlets = [*(i for i in self._ended_inlets if i.is_alive), inlet]

    def _check_names(self, settings: InputFields) -> None:
        known = {variable.name for variable in self._runtime.board.variables}
        asked = [*settings.variables, *([settings.echo] if settings.echo is not None else [])]
        if missing := [name for name in asked if name not in known]:
            raise UnknownVariableError(missing, sorted(known))
        for variable in self._runtime.board.variables:
            holds_numbers = variable.value_type in (ValueType.INT, ValueType.UNSIGNED_INT)
            if variable.name == settings.echo and not (variable.sparse and holds_numbers):
                kind = "sparse" if variable.sparse else "dense"
                raise RequestError(
                    f"echo = {variable.name!r} is {kind} and of type {variable.value_type.label}: "
                    "it must be sparse, declared with kTimestampSample in the sketch, and of type "
                    "int or unsigned int"
                )

    def _check_shared(self, name: str, settings: InputFields) -> None:
        """Refuse what another input drives: the two would undo each other."""
        for other in self._runtime.inputs:
            if other.name == name or other.state is InputState.STOPPED:
                continue
            shared = set(settings.variables) & set(other.settings.variables)
            same_echo = settings.echo is not None and settings.echo == other.settings.echo
            same_buffer = settings.buffer_id == other.settings.buffer_id and not settings.variables
            if shared or same_buffer:
                raise RequestError(
                    f"input {other.name} drives {other.destination} already; DISCONNECT_INPUT first"
                )
            if same_echo:
                raise RequestError(
                    f"input {other.name} has the echo {settings.echo!r} already: each needs its own"
                )

    # ---- what happens ---------------------------------------------------------------------

    def _post(self, function: Callable[[], None]) -> None:
        """Have a function called in the session's thread, while there is one."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            logger.debug("an input outlived the session's loop by a moment")

    def _on_change(self, one: ActiveInput, text: str) -> None:
        """Tell of a change; what is not as it should be is an error."""
        notices = self._runtime.notices
        if one.state in (InputState.RECEIVING, InputState.STOPPED):
            notices.inform(text)
        else:
            notices.tell(text)
        self._sender.wake()
        self._runtime.status_changed()
        self._runtime.jobs.wake()

    def _on_echoes(self, name: str, values: Array, stamps_s: Stamps) -> None:
        runtime = self._runtime
        for one in runtime.inputs:
            if one.settings.echo != name:
                continue
            # What is subtracted for the converters of signals does not concern the sketch.
            effects_s = stamps_s + runtime.board.input_delay_s
            is_number = np.isfinite(values)
            one.account.foreign += int(np.count_nonzero(~is_number))
            samples = one.account.note_echoes(
                [int(value) for value in values[is_number]],
                effects_s[is_number].tolist(),
                runtime.board.uncertainty_s,
                runtime.now(),
            )
            self._loop_stream.publish(samples, one.account.lost, one.loop_number)

    def _on_tap_failure(self, name: str, error: Exception) -> None:
        text = f"{name}: its values are not measured as echoes: {error!r}"
        self._runtime.notices.tell(text, cause=error)

    def _on_gap(self, name: str) -> None:
        for one in self._runtime.inputs:
            if one.settings.echo == name:
                one.account.note_missing_echoes()

    # ---- what the driver calls ------------------------------------------------------------

    async def attend(self, client: BoardClient) -> None:
        """Do what needs an answer of the board: open the data websocket, take control.

        Raises
        ------
        BoardError
            When the connection does not last.
        """
        runtime = self._runtime
        self.refresh()
        if not runtime.inputs.by_name:
            self._sender.use(client)
            return
        if any(one.settings.echo is not None for one in runtime.inputs):
            self._loop_stream.open()
        if runtime.inputs.needs_data:
            await client.open_data()
        self._refuse_unknown()
        missing = runtime.inputs.controlled - runtime.changes.controlled
        missing |= runtime.inputs.controlled & runtime.changes.releasing
        if missing:
            await self._take_control(client, missing)
        self._sender.use(client)

    async def _take_control(self, client: BoardClient, names: set[str]) -> None:
        """Take control for inputs; without a confirmation the next sample has it tried again."""
        driving = [
            one
            for one in self._runtime.inputs
            if one.needs_control and not names.isdisjoint(one.settings.variables)
        ]
        try:
            await take_control(self._runtime, client, sorted(names))
        except NoReplyError as error:
            if error.request == "list":
                raise
            self._runtime.notices.tell(str(error))
            for one in driving:
                one.has_control = False
                if one.state is InputState.STOPPED and one.give_up_end():
                    self._runtime.notices.tell(f"input {one.name}: its end could not be set")
            return
        for one in driving:
            one.resends = True

    def refresh(self) -> None:
        """Look after echoes that do not come; call it some times a second."""
        runtime = self._runtime
        main = runtime.running.main
        if main is not self._measured:
            self._measured = main
            for one in runtime.inputs:
                one.account.begin()
        for one in runtime.inputs:
            if one.settings.echo is None:
                continue
            one.account.expire(runtime.now() - ECHO_S)
            if (streamed := _streamed(main)) is None:
                one.account.unanswered = 0  # no echo can come yet
            is_there = bool(
                runtime.board.find({one.settings.echo})
            )  # else it is about to be stopped
            if one.hint("echo", text := echo_hint(one, streamed if is_there else None)):
                runtime.notices.tell(text)
            account, name = one.account, f"(input {one.name})"
            runtime.notices.count(
                {
                    f"commands lost {name}": self._certainly_lost(one),
                    f"commands doubled {name}": account.doubled,
                }
            )
        self._forget_left()

    def _certainly_lost(self, one: ActiveInput) -> int:
        """Count commands that were lost some time ago, so that no late echo will come."""
        now_s, n_lost = self._runtime.now(), one.account.lost
        since = self._lost.setdefault(one.name, deque([(now_s, 0)]))
        if now_s > since[-1][0] + LATE_ECHO_S / 8:
            since.append((now_s, n_lost))
        while len(since) > 1 and since[1][0] < now_s - LATE_ECHO_S:
            since.popleft()
        return min(since[0][1], n_lost)

    async def leave(self) -> None:
        """End all inputs and send what they have still to say, as far as the board takes it."""
        self.stop("the module ends")
        self._sender.wake()
        try:
            async with asyncio.timeout(INPUT_LEAVE_S):
                while any(one.has_more for one in self._runtime.inputs):
                    await asyncio.sleep(0.001)
        except TimeoutError:
            logger.warning("not all inputs could send their default to the board")

    async def close(self) -> None:
        """End the threads and the task that sends."""
        self.stop("the module ends")
        await self._sender.close()
        if unsent := [one.name for one in self._runtime.inputs if one.has_more]:
            self._runtime.notices.tell(
                f"input {named(unsent)}: what is configured for its end did not reach the board"
            )
        joins = (asyncio.to_thread(i.join, INPUT_THREAD_END_S) for i in self._ended_inlets)
        await asyncio.gather(*joins)

    def _refuse_unknown(self) -> None:
        """Stop inputs that drive what the board's sketch does not have."""
        for one in self._runtime.inputs:
            # A buffer gets what is configured for its end all the same.
            is_over = one.state is InputState.STOPPED
            if is_over and not (one.settings.variables and one.has_more):
                continue
            try:
                self._check_names(one.settings)
            except (UnknownVariableError, RequestError) as error:
                self._runtime.notices.tell(f"input {one.name}: {error}")
                one.let_go(frozenset(one.settings.variables))
                one.give_up_end()
                is_lacking = isinstance(error, UnknownVariableError)
                why = "the sketch lacks what it drives" if is_lacking else "refused"
                self._stop(one, why, sends_end=False)  # another sketch's buffer is not its own

    def _forget_left(self) -> None:
        inputs = self._runtime.inputs
        for one in inputs:
            if one.is_leaving and not one.has_more:
                del inputs.by_name[one.name]


def _streamed(main: Delivery | None) -> dict[str, int] | None:
    """Return what streams whole, and how many values the board may keep; ``None``: not yet."""
    if main is None or not main.is_streaming:
        return None
    is_delayed = main.kind is DeliveryKind.SCHEDULE or main.delay_s > 0
    if is_delayed and not any(stream.samples for stream in main.streams):
        return None
    whole = main.members(StreamMode.DENSE, StreamMode.SPARSE)
    return {v.name: 0 if one.delivery == "single" else v.layout.value_count for one, v in whole}


def _check_stream(settings: InputFields) -> None:
    if settings.stream is not None and settings.stream.predicate is not None:
        check_predicate(settings.stream.as_predicate)
