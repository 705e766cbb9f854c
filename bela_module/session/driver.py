"""The driver: the one task that talks to a board: connects, probes, does jobs, reconnects.

Everything here runs in the event loop of the session's thread. Requests become jobs, done one
after another between two probes, so that no two of them ever speak to the board at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bela_module.config import Settings
from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import WireRecorder
from bela_module.errors import BoardError, DisconnectedError
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import Refusal, RefusalReason
from bela_module.session import recovery
from bela_module.session.board.board_changes import BoardChanges
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.prober import Prober
from bela_module.session.clock_stream import ClockStream
from bela_module.session.command_queue.job_queue import JobQueue
from bela_module.session.delivery.step_surveyor import StepSurveyor
from bela_module.session.health import HealthMonitor
from bela_module.session.jobs.ending import look_at_deliveries
from bela_module.session.notices import Notices
from bela_module.session.running import RunningDeliveries
from bela_module.session.runtime import Options, Runtime
from bela_module.session.sending.input_service import InputService
from bela_module.session.shutdown import Shutdown, clean_up, leave_board
from bela_module.session.states import SessionState, session_state_machine
from bela_module.session.status import StatusSnapshot, build_status
from bela_module.session.stop import Stopper
from bela_module.session.time_limits import (
    CLEANING_RECONNECT_PAUSE_S,
    FRESH_LIST_S,
    HEALTH_PERIOD_S,
    IDLE_HEALTH_PERIOD_S,
    IDLE_PROBE_S,
    LOOP_PERIOD_S,
    OUTLET_LINGER_S,
    RECONNECT_PAUSE_S,
    STABLE_CONNECTION_S,
    UNUSED_DATA_S,
)
from bela_module.streams.echo_tap import EchoTap
from bela_module.streams.sink import Sink

logger = logging.getLogger(__name__)


class Driver:
    """Keeps one board connected, and carries out what is asked of it.

    Parameters
    ----------
    settings : Settings
        Where the board is, and how its streams are called.
    sink : Sink
        Where samples go.
    now : callable
        LSL seconds.
    notify : callable
        Is told events, name and text; must return at once.
    recorder : WireRecorder, optional
        Is told every message.
    options : Options
        How to treat the board.

    Attributes
    ----------
    runtime : Runtime
        The parts of the session, as its jobs see them.
    stopper : Stopper
        Carries out STOP.
    inputs : InputService
        Drives the board from LSL.
    status : StatusSnapshot
        The latest STATUS object, for any thread.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        now: Callable[[], float],
        notify: Callable[[str, str], None],
        recorder: WireRecorder | None = None,
        options: Options | None = None,
    ) -> None:
        self._recorder = recorder
        sink = tap = EchoTap(sink)
        notices = Notices(sink, now, notify, asyncio.get_running_loop())
        board = BoardState(
            settings.board.name, settings.board.input_delay_s, address=settings.board.url
        )
        jobs = JobQueue(notices.tell)
        self._shutdown = Shutdown(now)
        prober = Prober(board, sink, notices, now, self._is_urgent)
        self.runtime = Runtime(
            settings=settings,
            options=options or Options(),
            sink=sink,
            now=now,
            notices=notices,
            board=board,
            prober=prober,
            surveyor=StepSurveyor(board, now, prober.probe),
            jobs=jobs,
            machine=session_state_machine(self._status_changed),
            running=RunningDeliveries(),
            changes=BoardChanges(),
            status_changed=self._status_changed,
        )
        self._health = HealthMonitor(self.runtime)
        self._clock_stream = ClockStream(self.runtime)
        self.inputs = InputService(self.runtime, tap)
        self.stopper = Stopper(self.runtime, self.inputs.stop)
        self._is_up = False  # whether the present connection has served
        self._is_away = False  # whether the loss of the connection was told
        self._told_absence = False  # whether the log says that there is no board
        self._absence = ""  # in which words
        self._data_until_s = 0.0  # until when the data websocket stays open
        self.status = StatusSnapshot(lambda: build_status(self.runtime), now)

    def _status_changed(self) -> None:
        self.status.outdate()

    def _is_urgent(self) -> bool:
        return self._shutdown.is_asked or self.runtime.jobs.stop_waits

    @property
    def is_closing(self) -> bool:
        """Whether the session is to end."""
        return self._shutdown.is_asked

    def close(self) -> None:
        """End :meth:`run` as soon as the board is left as it was found."""
        self.runtime.jobs.close()
        self._shutdown.ask()
        self.runtime.jobs.wake()

    # ---- connecting -----------------------------------------------------------------------

    @property
    def _is_needed(self) -> bool:
        """Whether something waits for the board."""
        runtime = self.runtime
        wanted = runtime.running.needs_data or runtime.inputs.needs_board
        return bool(runtime.jobs or runtime.changes.controlled or wanted)

    async def run(self) -> None:
        """Serve until :meth:`close`."""
        runtime = self.runtime
        shortest_s, longest_s = RECONNECT_PAUSE_S
        pause_s = shortest_s
        watching = asyncio.ensure_future(self._watch_health())
        try:
            while not self.is_closing:
                if not (runtime.options.obeys_ticks or self._is_needed):
                    await self._wait(IDLE_PROBE_S)  # a recording plays from its first client on
                    continue
                try:
                    lasted = await self._connect_and_use()
                except Exception as error:  # noqa: BLE001 - a defect ends what runs, not the session
                    self._fail(error)
                    lasted = False
                if lasted:
                    pause_s = shortest_s
                if not self.is_closing:
                    cleaning = runtime.changes.needs_cleaning(runtime.now())
                    limit_s = CLEANING_RECONNECT_PAUSE_S if cleaning else longest_s
                    if not self._is_needed:
                        runtime.enter(SessionState.IDLE)
                    await runtime.jobs.wait(timeout_s=min(pause_s, limit_s))
                    pause_s = min(2 * pause_s, longest_s)
        finally:
            watching.cancel()
            await self._end()

    async def _connect_and_use(self) -> bool:
        """Connect once, and serve as long as that lasts; tell whether data came, or it lasted."""
        if (client := await self._connect()) is None:
            return False
        await self._use(client)
        lasted = self.runtime.now() > client.opened_s + STABLE_CONNECTION_S
        return self._is_up and (lasted or client.got_data)

    async def _watch_health(self) -> None:
        """Look periodically whether all is well, also while the board does not answer."""
        self._health.start()
        while True:
            idle = not self.runtime.running.needs_data
            await asyncio.sleep(IDLE_HEALTH_PERIOD_S if idle else HEALTH_PERIOD_S)
            try:
                self._health.refresh()
                self._clock_stream.refresh()
                self.inputs.refresh()
                self.status.refresh_if_old()
            except Exception:  # what is shown must not end what runs
                logger.exception("health or STATUS could not be refreshed")

    async def _end(self) -> None:
        """End what still runs, and the sink in any case."""
        runtime = self.runtime
        try:
            await self.inputs.close()
            runtime.jobs.refuse("the session was closed")
            recovery.abandon_all(runtime)
            await clean_up(runtime, self._open_client, self._shutdown.step_s)
            if runtime.running.has_streamed:
                await asyncio.sleep(OUTLET_LINGER_S)
        finally:
            runtime.notices.flush()
            runtime.sink.close()
            runtime.enter(SessionState.IDLE)
            if runtime.running.recording is not None:
                runtime.running.recording.complete()
            self.status.refresh()

    async def _connect(self) -> BoardClient | None:
        """Try once; jobs that do not wait for a board fail when there is none."""
        runtime = self.runtime
        resuming = runtime.running.needs_data
        if not self._is_needed:
            runtime.enter(SessionState.IDLE)
        elif runtime.state is not SessionState.WAITING:
            runtime.enter(SessionState.RECONNECTING if resuming else SessionState.CONNECTING)
        attempt = asyncio.ensure_future(self._open_client(runtime.settings.board.reply_timeout_s))
        try:
            while not attempt.done() and not self.is_closing:
                await runtime.jobs.wait(attempt)
                if not self._is_needed:
                    runtime.enter(SessionState.IDLE)
                elif runtime.state is SessionState.IDLE:
                    runtime.enter(SessionState.CONNECTING)
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt})
        if not attempt.cancelled():
            try:
                return attempt.result()
            except BoardError as error:
                self._no_board(error, resuming=resuming)
        return None

    async def _open_client(self, reply_timeout_s: float) -> BoardClient:
        board = self.runtime.settings.board
        return await BoardClient.connect(
            board.host,
            board.port,
            now=self.runtime.now,
            reply_timeout_s=reply_timeout_s,
            on_data=self._on_data,
            recorder=self._recorder,
        )

    def _no_board(self, error: BoardError, *, resuming: bool) -> None:
        """Tell that the board cannot be reached, and keep the jobs that wait for it."""
        runtime = self.runtime
        if not self._told_absence or (self._is_needed and str(error) != self._absence):
            is_missed = self._is_needed or not runtime.board.project  # it was never there
            logger.log(logging.WARNING if is_missed else logging.INFO, "%s", error)
        self._told_absence, self._absence = True, str(error)
        if self._is_needed:
            runtime.notices.last_error = str(error)
        runtime.jobs.no_board(error)
        if not resuming and (runtime.jobs or runtime.changes.controlled):
            runtime.enter(SessionState.WAITING)

    async def _use(self, client: BoardClient) -> None:
        """Serve one connection from its handshake to its end, however it ends."""
        runtime = self.runtime
        runtime.connected(client)
        self._is_up = False
        serving = asyncio.ensure_future(self._serve(client))
        error: BaseException | None = None
        try:
            await self._shutdown.wait_for_task(serving, lambda: runtime.must_leave)
            error = None if serving.cancelled() else serving.exception()
            await self._finish_connection(client, error)
        finally:
            runtime.connection_ended(client)
            runtime.jobs.connection_ended(client, error or DisconnectedError("it was closed here"))
            self.status.outdate()

    async def _finish_connection(self, client: BoardClient, error: BaseException | None) -> None:
        """Deal with the end of a connection, or of what was done on it, and close it."""
        runtime = self.runtime
        try:
            failure = client.failure or (error if not isinstance(error, BoardError) else None)
            if failure is not None:
                self._fail(failure)
                await recovery.clean_up_after_defect(runtime, client)
            elif isinstance(error, BoardError) and not (self._is_up or runtime.running.needs_data):
                self._no_board(error, resuming=False)  # connected, but it never answered
            elif isinstance(error, BoardError):
                self._disconnected(error)
            elif self.is_closing and not client.lost.done():
                await leave_board(runtime, client, self._shutdown.step_s, self.inputs.leave)
        finally:
            await client.close()

    def _fail(self, error: BaseException) -> None:
        """Say why a defect, here or in a sink, ends what runs; the session stays alive."""
        runtime = self.runtime
        logger.error("the session failed: %r", error, exc_info=error)
        runtime.jobs.refuse(f"the session failed: {error!r}")
        if runtime.running:
            recovery.abandon_all(runtime, f"the session failed ({error!r})")
        else:
            runtime.notices.tell(f"the session failed: {error!r}")
        runtime.enter(SessionState.IDLE)
        self.status.outdate()

    def _disconnected(self, error: BoardError) -> None:
        runtime = self.runtime
        text = f"disconnected: {error}"
        runtime.board.decoder.restart()
        runtime.board.reconnecting = True
        for delivery in runtime.running:
            delivery.interrupt()
        if not self._is_up:
            runtime.jobs.no_board(error)
        if self.is_closing:
            return
        if runtime.running.needs_data:
            runtime.connection_problems = (text,)
            runtime.enter(SessionState.RECONNECTING)
        if not (self._is_needed or runtime.changes.left):
            logger.info("%s", text)  # nobody has asked for anything
        elif not self._is_away:
            self._is_away = True
            runtime.notices.tell(text, event="disconnected")

    # ---- connected ------------------------------------------------------------------------

    async def _serve(self, client: BoardClient) -> None:
        runtime = self.runtime
        self._health.connected()
        await runtime.prober.probe(client)
        if runtime.running.needs_data:
            await client.open_data()
        await recovery.take_over(runtime, client, fresh=True)
        runtime.connection_problems, self._is_up = (), True
        if self._told_absence:
            self._told_absence = False
            logger.info("connected to %s", client.address)
        self._health.report_others()
        if self._is_away:
            self._is_away = False
            runtime.board.counters.reconnects += 1
            logger.info("reconnected")
            runtime.notices.mark("reconnected", runtime.now())
        next_probe_s, probed_s = 0.0, runtime.now()
        while not self.is_closing:
            if client.lost.done():
                raise DisconnectedError(f"{client.address} is gone: {client.lost.result()}")
            if runtime.jobs and runtime.now() > probed_s + FRESH_LIST_S:
                # What a command is based on must not be old.
                await self._health.check(client)
                probed_s = runtime.now()
            # Only for a while: what streams is looked at in between, however many jobs wait.
            tell_defect = runtime.notices.tell_defect
            await runtime.jobs.carry_out_some(client, tell_defect, self._job_done, LOOP_PERIOD_S)
            await self.inputs.attend(client)
            await look_at_deliveries(runtime, client)
            self._enter_connected_state()
            await self._close_unused_data(client)
            if runtime.running.needs_data:
                next_probe_s = min(next_probe_s, runtime.now() + runtime.board.next_probe_in_s)
            if runtime.now() >= next_probe_s:
                await self._health.check(client)
                probed_s = runtime.now()
                next_probe_s = probed_s + self._probe_period_s()
            if runtime.prober.restart_pending or runtime.changes.left:
                await recovery.take_over(runtime, client)
            wait_s = max(0.0, next_probe_s - runtime.now())
            longest_s = LOOP_PERIOD_S if client.has_data else IDLE_PROBE_S
            await self._wait(min(longest_s, wait_s), client)

    def _enter_connected_state(self) -> None:
        running = self.runtime.running
        state = SessionState.PREPARED if running.prepared is not None else SessionState.IDLE
        self.runtime.enter(SessionState.STREAMING if running else state)

    def _probe_period_s(self) -> float:
        """Tell how long to wait for the next probe: replies go to all clients of the board."""
        runtime = self.runtime
        period_s = runtime.board.next_probe_in_s
        idle = not runtime.running.needs_data and runtime.board.rate_settled
        return max(period_s, IDLE_PROBE_S) if idle else period_s

    async def _close_unused_data(self, client: BoardClient) -> None:
        """Close the data websocket, which carries everybody's blocks, when nobody needs it."""
        runtime = self.runtime
        if runtime.running.needs_data or runtime.inputs.needs_data:
            self._data_until_s = runtime.now() + UNUSED_DATA_S
        elif client.has_data and runtime.now() > self._data_until_s:
            await client.close_data()

    def _job_done(self) -> None:
        self._enter_connected_state()
        self.status.outdate()

    async def _wait(self, duration_s: float, client: BoardClient | None = None) -> None:
        """Wait until the time is over, something is asked, or the connection ends."""
        jobs = self.runtime.jobs
        if not (jobs or self.is_closing):
            futures = (client.lost,) if client is not None else ()
            await jobs.wait(*futures, timeout_s=duration_s)

    # ---- data -----------------------------------------------------------------------------

    def _on_data(self, message: bytes | str, arrived_s: float) -> None:
        runtime = self.runtime
        result = runtime.board.decoder.receive(message)
        if isinstance(result, Block):
            if runtime.surveyor.take(result, arrived_s):
                return
            if not runtime.running.take(result, arrived_s):
                runtime.board.note_foreign(result)
        elif isinstance(result, Refusal) and result.reason is RefusalReason.ORPHAN_HEADER:
            runtime.running.missed_block(int(result.detail.split("/", 1)[0]))
