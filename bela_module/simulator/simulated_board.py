"""Simulated board: a sketch, a clock and a Watcher behind two websockets, with faults on demand.

The package's docstring lists what it simulates and what it does not.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from bela_module.errors import FrameError, RequestError
from bela_module.protocol.sketch_buffer import SketchBuffer, decode_buffer
from bela_module.protocol.variables import Ticks, Variable
from bela_module.simulator import board_json
from bela_module.simulator.faults.fault_list import Fault, check_variables
from bela_module.simulator.faults.fault_scheduler import FaultScheduler
from bela_module.simulator.faults.message_faults import Loss
from bela_module.simulator.network.board_connection import ClientChannel
from bela_module.simulator.network.board_server import BoardServer
from bela_module.simulator.network.delays import LinkDelay, Network
from bela_module.simulator.network.nagle import TCP_TIMINGS, TcpTiming
from bela_module.simulator.simulated_clock import DRIFT_PPM, RATE_HZ, SimulatedClock
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.simulator.sketches.received_values import BufferEcho, CopiedCommands
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.simulator.time_limits import LONGEST_SLEEP_S, SHORT_SLEEP_S
from bela_module.simulator.watcher.simulated_variable import NEVER
from bela_module.simulator.watcher.simulated_watcher import ControlReply, DataPair, SimulatedWatcher
from bela_module.simulator.watcher.written_values import Account, WrittenRun

_KEPT_BUFFERS: Final = 1000
_KEPT_BOOTS: Final = 100


class SimulatedBoard(BoardServer):
    """A board that runs a simulated sketch; use it in a ``with`` statement.

    Its methods and properties may be used from any thread while it runs.

    Parameters
    ----------
    sketch : str or Sketch
        Name of a sketch in ``SKETCHES``, or one of your own.
    rate_hz : float, optional
        Rate of the ticks, 0.001 to 1e8; the declared rate changes in proportion. By default the
        sketch's own.
    drift_ppm : float
        By how many millionths the board's clock is faster than the host's, -500 000 to 1e6.
    delay_s, jitter_s : float
        Shorthand for a ``network`` with this delay and this mean of exponential jitter each way.
    network : Network, optional
        Delays each way; overrides the shorthand. ``NETWORKS`` has some by name.
    tcp : TcpTiming
        Nagle's algorithm at the control sockets, and the acknowledgements of clients.
    first_tick : int
        First tick; rounded down to the start of a burst.
    host, port : str, int
        Address to listen on; port 0 takes a free one.
    seed : int
        Seed of everything random.
    clock : callable
        The host's clock in seconds. ``time.perf_counter`` is what LSL uses on Linux and Windows
        (where ``time.monotonic`` steps by 16 ms before Python 3.13); give ``pylsl.local_clock`` to
        be sure.

    Raises
    ------
    RequestError
        When there is no such sketch, or a rate, drift or delay is out of its range.
    """

    def __init__(
        self,
        sketch: str | Sketch = "simulation",
        rate_hz: float | None = None,
        *,
        drift_ppm: float = 0.0,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        network: Network | None = None,
        tcp: TcpTiming = TCP_TIMINGS["real"],
        first_tick: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        both_ways = LinkDelay(delay_s, jitter_s)
        super().__init__(
            host=host,
            port=port,
            network=network or Network.symmetric(both_ways),
            seed=seed,
            tcp=tcp,
        )
        self.received_buffers: deque[SketchBuffer] = deque(maxlen=_KEPT_BUFFERS)
        self._host_clock = clock
        self._rate_hz = rate_hz
        self._drift_ppm = drift_ppm
        self._wake = asyncio.Event()
        self._faults = FaultScheduler(self, self.random)
        self._withholds_data = False
        self._earlier: deque[SimulatedWatcher] = deque(maxlen=_KEPT_BOOTS)
        self._boot(find_sketch(sketch) if isinstance(sketch, str) else sketch, first_tick)

    def _boot(self, sketch: Sketch, first_tick: int) -> None:
        rate_hz = sketch.tick_rate_hz if self._rate_hz is None else self._rate_hz
        for what, value, rule in (
            ("a tick rate", rate_hz, RATE_HZ),
            ("a drift", self._drift_ppm, DRIFT_PPM),
        ):
            if not rule.allows(value):
                raise RequestError(f"{what} of {value} {rule.unit}; it must be {rule}")
        first_tick -= first_tick % sketch.burst_ticks
        self._sketch = sketch
        self._clock = SimulatedClock(
            rate_hz,
            sketch.burst_ticks,
            first_tick=first_tick,
            start_s=self._host_clock(),
            drift_ppm=self._drift_ppm,
        )
        self._echo = BufferEcho(sketch, first_tick) if sketch.echoes_buffers else None
        self._copied = CopiedCommands(sketch) if CopiedCommands.is_in(sketch) else None
        reading = self._echo or self._copied
        self._watcher = SimulatedWatcher(
            sketch.variables if reading is None else reading.variables,
            declared_rate_hz=sketch.declared_rate_hz * rate_hz / sketch.tick_rate_hz,
            last_tick=first_tick - 1 if self._echo is None else self._echo.tick,
            tick_call_step=sketch.tick_call_step,
            time_of_ticks=self._clock.times_of,
        )
        self._active = False

    # ---- the truth, for tests ------------------------------------------------------------

    @property
    def project(self) -> str:
        """Name of the running project."""
        return self._sketch.name

    @property
    def sketch(self) -> Sketch:
        """The running sketch."""
        return self._sketch

    @property
    def true_tick_rate_hz(self) -> float:
        """Rate of the ticks on the host's clock, drift included."""
        return self._clock.true_rate_hz

    def true_time_s(self, ticks: Ticks | Sequence[int]) -> Times:
        """Return the host's time at which the board took the value of each tick.

        Parameters
        ----------
        ticks : array of int of shape (n_ticks,)
            Ticks since the last restart.

        Returns
        -------
        ndarray of shape (n_ticks,)
            Seconds on the clock that the board was given.
        """
        return self._clock.times_of(np.asarray(ticks, dtype=np.int64))

    def tick_now(self) -> int:
        """Return the last tick that has happened, the end of a burst."""
        if self._echo is not None:
            return self._echo.tick
        return self._clock.tick_at(self._host_clock())

    def watched_names(self) -> list[str]:
        """Return the names of the watched variables, in the board's order."""
        return [v.name for v in self._describe() if v.watched]

    def monitored(self) -> dict[str, int]:
        """Return the periods, in ticks, of the monitored variables."""
        return {v.name: v.monitor_period_ticks for v in self._describe() if v.monitor_period_ticks}

    def controlled_values(self) -> dict[str, float]:
        """Return the values that the sketch reads from controlled variables."""
        return {v.name: v.value for v in self._describe() if v.controlled}

    def written(self, name: str) -> tuple[WrittenRun, ...]:
        """Return the runs of ticks written into blocks of a variable since the boot.

        Every start of its stream, and every hole, begins a new run.
        """
        return self._in_loop(lambda: self._advance_to_now().find(name).written)

    def written_before(self, name: str) -> tuple[tuple[WrittenRun, ...], ...]:
        """Return the same for each earlier boot with such a variable, the latest 100."""

        def runs() -> tuple[tuple[WrittenRun, ...], ...]:
            having = [watcher for watcher in self._earlier if watcher.has(name)]
            return tuple(watcher.find(name).written for watcher in having)

        return self._in_loop(runs)

    def account(self, name: str) -> Account:
        """Return the counts of the values written into blocks of a variable since the boot."""
        return self._in_loop(lambda: self._advance_to_now().find(name).account)

    @property
    def taken_commands(self) -> list[tuple[int, tuple[float, ...]]]:
        """Commands that took effect since the boot: the tick, and the numbers of the buffer."""
        copied = self._copied
        return [] if copied is None else self._in_loop(copied.taken)

    def _describe(self) -> list[Variable]:
        return self._in_loop(lambda: self._advance_to_now().describe())

    # ---- faults --------------------------------------------------------------------------

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Payloads that message faults kept from the clients, the latest 100 000."""
        return self._in_loop(lambda: tuple(self._faults.messages.losses))

    def inject(self, *faults: Fault, await_client: bool = False) -> None:
        """Apply faults; see the package ``faults``.

        Parameters
        ----------
        *faults : Fault
            Message faults apply from now on, timed ones at their time.
        await_client : bool
            Whether the times of timed faults count from when the first client has both websockets
            open and wants data, instead of from now.

        Raises
        ------
        UnknownVariableError
            When a fault names a variable that neither the sketch nor one started by a ``Restart``
            among the faults has. None of them is applied then.
        """
        check_variables(faults, self._sketch)

        def add() -> None:
            self._faults.add(faults, await_client=await_client)
            self._begin_faults()

        self._in_loop(add)

    def _begin_faults(self) -> None:
        if self.has_ready_client:
            self._faults.on_client_ready()

    def end_faults(self) -> None:
        """End all message faults."""
        self._in_loop(self._faults.messages.disarm)

    def restart(
        self, sketch: str | Sketch | None = None, first_tick: int = 0, project: str = ""
    ) -> None:
        """Restart, as after a crash or a new build: connections close, all state is lost.

        Parameters
        ----------
        sketch : str or Sketch, optional
            Sketch to run, by default the present one.
        first_tick : int
            First tick.
        project : str
            Name of the project, by default the sketch's.
        """
        new = find_sketch(sketch) if isinstance(sketch, str) else sketch or self._sketch
        new = replace(new, name=project or new.name)

        def restart() -> None:
            self._earlier.append(self._advance_to_now())
            self._disconnect()
            self._boot(new, first_tick)
            self.on_clients_changed()

        self._in_loop(restart)

    def inject_command(self, text: str) -> None:
        """Execute a control message as if another client had sent it."""
        self._in_loop(lambda: self._execute(board_json.parse_message(text)))

    def set_assigned(self, assigned: bool, variable: str = "") -> None:
        """Stop or resume the assignments of a variable, or of all, until the next restart.

        A variable that the running sketch does not have is ignored: the board may have been
        restarted with another one.
        """

        def change() -> None:
            self._advance_to_now().set_assigned(assigned, variable)
            self._wake.set()

        self._in_loop(change)

    def withhold_data(self, withhold: bool) -> None:
        """Stop sending data, as if no client wanted any, or resume; replies go on."""

        def change() -> None:
            self._withholds_data = withhold
            self.on_clients_changed()

        self._in_loop(change)

    def step_clock(self, step_s: float) -> None:
        """Step the board's clock: forward skips ticks, back stops them for that long.

        The ticks of a sketch that echoes buffers do not come from the clock.
        """

        def step() -> None:
            if self._echo is not None:
                return
            watcher = self._advance_to_now()
            watcher.skip(self._clock.step(watcher.tick, step_s))
            self._wake.set()

        self._in_loop(step)

    def miss_blocks(self, duration_s: float) -> None:
        """Miss the audio blocks of some time, at least one: the ticks lag by that from now on."""
        bursts = max(round(duration_s / self._clock.burst_s), 1)
        self.step_clock(-bursts * self._clock.burst_s)

    def delay_bursts(self, longest_s: float) -> None:
        """Render the next audio blocks late, all at once after a random time; no tick lags."""

        def delay() -> None:
            late_s = self.random.uniform(0, longest_s)
            self._clock.delay_bursts(self._advance_to_now().tick, self._host_clock() + late_s)
            self._wake.set()

        self._in_loop(delay)

    def set_drift(self, drift_ppm: float) -> None:
        """Change the drift of the board's clock from now on."""
        self._in_loop(lambda: self._clock.drift(self._advance_to_now().tick + 1, drift_ppm))

    # ---- in the event loop ---------------------------------------------------------------

    async def run(self) -> None:
        """Advance the ticks each time that something is due."""
        loop = asyncio.get_running_loop()
        while True:
            self._advance_to_now()
            if self._copied is not None and (sleep_s := self._sleep_s()) < SHORT_SLEEP_S:
                time.sleep(sleep_s)  # the selector waits in whole milliseconds, an echo should not
                await asyncio.sleep(0)
                continue
            self._wake.clear()
            alarm = loop.call_later(self._sleep_s(), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                alarm.cancel()

    def receive_control(self, client: ClientChannel, text: str) -> None:
        """Execute a control message; an invalid one is ignored, as on the board."""
        root = board_json.parse_message(text)
        self._execute(root)
        if root is not None:
            self.handle_event(client, root)

    def receive_data(self, client: ClientChannel, message: bytes) -> None:
        """Store a buffer for the sketch in ``received_buffers``, and let the sketch read it."""
        try:
            buffer = decode_buffer(message)
        except FrameError:
            return  # as the board does
        self.received_buffers.append(buffer)
        if self._echo is not None:
            self._echo.receive(buffer)
            self._watcher.find_due()
            self._advance_to_now()
        elif self._copied is not None:
            next_tick = self._advance_to_now().tick + 1
            self._copied.receive(buffer, self._clock.last_tick_of_burst(next_tick))
            self._watcher.find_due()
            self._wake.set()

    def on_clients_changed(self) -> None:
        """Pause or resume the data, and start the faults that wait for a client."""
        self._advance_to_now()
        self._begin_faults()
        active = self.wants_data and not self._withholds_data
        if active is not self._active:
            self._active = active
            self._watcher.set_client_active(self._active)
            self._wake.set()

    def _execute(self, root: dict[str, Any] | None) -> None:
        if root is None:
            return
        for text in self._advance_to_now().execute(root):
            self.send_control(self._faults.messages.reply(text))
        self._wake.set()

    def _advance_to_now(self) -> SimulatedWatcher:
        """Run the ticks up to the present time, and send what they give."""
        self._emit(self._watcher.advance(self.tick_now()))
        return self._watcher

    def _emit(self, messages: list[DataPair | ControlReply]) -> None:
        for message in messages:
            if isinstance(message, ControlReply):
                self.send_control(self._faults.messages.reply(message.text))
                continue
            name = self._sketch.variables[message.payload.position].name
            for part in self._faults.messages.pair(name, message.header, message.payload):
                self.send_data(part)

    def _sleep_s(self) -> float:
        due_tick = self._watcher.due_tick
        if due_tick == NEVER or self._echo is not None:
            return LONGEST_SLEEP_S
        due_s = self._clock.burst_time_s(due_tick)
        return min(max(due_s - self._host_clock(), 0.0), LONGEST_SLEEP_S)
