"""The session: one streaming thread; each command submits a job of ``session/jobs/`` to it.

The thread runs one event loop, which owns both websockets, the probes of the clock, reconnecting
and the schedule. Every method here returns at once with a future; the work is the loop's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from bela_module.config import Settings
from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import WireRecorder
from bela_module.errors import BelaError, RequestError
from bela_module.interruptible import FinishingThread, finish, wait_for
from bela_module.requests import (
    ConnectInputRequest,
    DisconnectInputRequest,
    MonitorRequest,
    PrepareRequest,
    ReleaseRequest,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
)
from bela_module.session.driver import Driver
from bela_module.session.jobs import control, ending, listing, preparing, starting
from bela_module.session.runtime import Options, Runtime
from bela_module.session.time_limits import REMAINING_TASKS_S, THREAD_START_S
from bela_module.streams.sink import Sink

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R", StartRequest, ScheduleRequest)
Subscriber = Callable[[str, str], None]


class Session:
    """Streams a board's variables into a sink, and keeps doing so whatever happens.

    Parameters
    ----------
    settings : Settings
        Where the board is and how its streams are called.
    sink : callable
        Makes the sink; called in the session's thread, which then alone uses it.
    now : callable
        Returns LSL seconds, the time base of all stamps.
    recorder : WireRecorder, optional
        Is told every message from and to the board.
    exclusive : bool
        Whether START ends first what other clients have left watched or monitored.
    obeys_ticks : bool
        Whether the board begins and ends streams where it is told; a recording does not.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sink: Callable[[], Sink],
        now: Callable[[], float],
        recorder: WireRecorder | None = None,
        exclusive: bool = False,
        obeys_ticks: bool = True,
        prefers_blocks: bool = False,
    ) -> None:
        self.settings = settings
        self._make_sink = sink
        self._now = now
        self._recorder = recorder
        self._options = Options(exclusive, obeys_ticks, prefers_blocks)
        self._subscribers: list[Subscriber] = []
        self._thread: FinishingThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._submitting = threading.Lock()
        self._is_over = self._is_closing = False
        self._last_check: dict[str, Any] | None = None

    # ---- life -----------------------------------------------------------------------------

    def open(self) -> None:
        """Start the thread, which connects to the board but changes nothing on it by itself.

        Raises
        ------
        RequestError
            When the session was opened before.
        BelaError
            When it could not begin, with the cause.
        """
        if self._thread is not None:
            raise RequestError("the session is open already, or was closed; make a new one")
        self._thread = FinishingThread(self._run, "bela-session")
        self._thread.start()
        wait_for(self._started, THREAD_START_S)
        if self._failure is not None:
            raise BelaError(f"the session could not begin: {self._failure}") from self._failure

    @property
    def failure(self) -> BaseException | None:
        """What ended the session's thread before its time; nothing is done any more then."""
        return self._failure

    def close(self, timeout_s: float = 5.0) -> None:
        """End everything and leave the board as it was found; safe to call more than once.

        Parameters
        ----------
        timeout_s : float
            How long to wait for the board. Ctrl-C counts afterwards, a second one at once.
        """
        thread = self._thread
        if thread is None:
            return
        self._is_closing = True
        if self._loop is not None and self._driver is not None and not thread.is_over:
            try:
                self._loop.call_soon_threadsafe(self._driver.close)
            except RuntimeError:
                logger.debug("the session's loop ended by itself")
        if thread is threading.current_thread():
            return  # it ends as soon as it is through with what it is doing
        finish(lambda: thread.wait(timeout_s))
        if not thread.is_over:
            logger.error("the session's thread did not end in %.1f s", timeout_s)

    @property
    def has_ended(self) -> bool:
        """Whether its thread is over, or never began."""
        return self._thread is None or self._thread.is_over

    def __enter__(self) -> Session:
        """Open the session."""
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the session."""
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(self._drive())
        await asyncio.wait({task})
        error = task.exception()
        if error is not None:
            self._failure = error
            logger.error("the session ended: %r", error, exc_info=error)
        with self._submitting:
            self._is_over = True
        await asyncio.sleep(0)  # what was submitted just before is begun, so that it can be ended
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest, timeout=REMAINING_TASKS_S)

    async def _drive(self) -> None:
        driver = self._driver = Driver(
            self.settings,
            self._make_sink(),
            self._now,
            self._notify,
            self._recorder,
            self._options,
        )
        self._started.set()
        if self._is_closing:
            driver.close()
        await driver.run()

    # ---- commands -------------------------------------------------------------------------

    def prepare(self, request: PrepareRequest) -> Future[str]:
        """Open the outlets, before any data; with no board there yet, as soon as it is."""

        def prepare(driver: Driver) -> Coroutine[Any, Any, str]:
            runtime = driver.runtime
            return runtime.jobs.submit(
                lambda client: preparing.prepare(runtime, client, request), waits_for_board=True
            )

        return self._submit(lambda driver: _shown(driver, prepare(driver)))

    def start(self, request: StartRequest) -> Future[str]:
        """Stream until :meth:`stop`; with no board there yet, as soon as it is."""
        return self._begin(starting.start, request)

    def schedule(self, request: ScheduleRequest) -> Future[str]:
        """Let the board itself start and end the streams."""
        return self._begin(starting.schedule, request)

    def stop(self) -> Future[str]:
        """End what streams, is scheduled, is monitored, or waits for the board."""
        return self._submit(lambda driver: _shown(driver, driver.stopper.stop()))

    def stop_variables(self, names: Sequence[str]) -> Future[str]:
        """End the streams of some variables, on a connected board; the others go on."""
        return self._job(lambda runtime, client: ending.end_some(runtime, client, names))

    def monitor(self, request: MonitorRequest) -> Future[str]:
        """Send single values at a low rate."""
        return self._job(
            lambda runtime, client: starting.monitor(runtime, client, request), begins=True
        )

    def set_values(self, request: SetRequest) -> Future[str]:
        """Take control of variables and set them."""
        return self._job(lambda runtime, client: control.set_values(runtime, client, request))

    def release(self, request: ReleaseRequest) -> Future[str]:
        """Give control of variables back to the sketch."""
        names = request.variables
        return self._job(lambda runtime, client: control.release(runtime, client, names))

    def send(self, request: SendRequest) -> Future[str]:
        """Send a buffer of numbers to the sketch."""
        return self._job(lambda runtime, client: control.send(client, request))

    def send_commands(self, commands: Sequence[dict[str, Any]]) -> Future[None]:
        """Send commands to the board's Watcher as they are."""
        return self._job(lambda _runtime, client: client.send(*commands))

    def connect_input(self, request: ConnectInputRequest) -> Future[str]:
        """Have a stream of LSL drive the board from now on."""

        async def connect(driver: Driver) -> str:
            return driver.inputs.connect(request)

        return self._submit(connect)

    def disconnect_input(self, request: DisconnectInputRequest) -> Future[str]:
        """End an input, or all of them."""

        async def disconnect(driver: Driver) -> str:
            return driver.inputs.disconnect(request)

        return self._submit(disconnect)

    def control(self, names: Sequence[str] | None = None) -> Future[str]:
        """Take control of variables, all by default, without setting them yet."""
        return self._job(lambda runtime, client: control.control(runtime, client, names))

    def look(self) -> Future[listing.BoardView]:
        """Ask the board for its variables and the present tick, as they are used in Python."""
        return self._job(listing.view_board)

    def list_variables(self) -> Future[dict[str, Any]]:
        """Ask the board for its variables."""
        return self._job(listing.list_variables)

    # ---- what goes on ---------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return the STATUS object, at most a fraction of a second old while the session lives.

        It is built in the session's thread, for which this waits for 20 ms at most. It is never
        older than the last PREPARE, START, SCHEDULE or STOP that was answered.
        """
        driver = self._driver
        if driver is None:
            raise RequestError("the session is not open yet")
        error = driver.runtime.notices.last_error
        if self._failure is not None:
            error = f"the session has ended: {self._failure!r}"
        return driver.status.read() | {"last_check": self._last_check, "last_error": error}

    def note_check(self, result: dict[str, Any]) -> None:
        """Keep the result of a check for STATUS; from any thread."""
        self._last_check = result

    def note_error(self, text: str) -> None:
        """Keep an error for STATUS and the event stream; from any thread."""
        if self._driver is None:
            logger.warning("before the session: %s", text)
        else:
            self._driver.runtime.notices.tell_from_thread(text)

    def subscribe(self, callback: Subscriber) -> None:
        """Have a function called with each event: its name and text.

        It is called in the session's thread and must return at once.
        """
        self._subscribers.append(callback)

    def _notify(self, name: str, text: str) -> None:
        for callback in self._subscribers:
            callback(name, text)

    # ---- inside ---------------------------------------------------------------------------

    def _begin(
        self, job: Callable[[Runtime, BoardClient, R], Awaitable[str]], request: R
    ) -> Future[str]:
        """Have something begun, now or as soon as there is a board."""

        async def begin(driver: Driver) -> str:
            runtime = driver.runtime
            if (said := starting.answer_if_disconnected(runtime, request)) is not None:
                return said
            n_stops = driver.inputs.n_stops

            async def begin_all(client: BoardClient) -> str:
                said = await job(runtime, client, request)
                if driver.inputs.n_stops == n_stops:  # else a STOP came since, which holds
                    driver.inputs.resume()
                return said

            return str(await runtime.jobs.submit(begin_all, waits_for_board=True))

        return self._submit(lambda driver: _shown(driver, begin(driver)))

    def _job(
        self, job: Callable[[Runtime, BoardClient], Awaitable[T]], *, begins: bool = False
    ) -> Future[T]:
        """Have something done on the connected board."""
        return self._submit(
            lambda driver: driver.runtime.jobs.submit(
                lambda client: job(driver.runtime, client), begins=begins
            )
        )

    def _submit(self, work: Callable[[Driver], Coroutine[Any, Any, T]]) -> Future[T]:
        failed: Future[T] = Future()
        if self._thread is None:
            failed.set_exception(RequestError("the session is not open"))
            return failed
        with self._submitting:
            loop, driver = self._loop, self._driver
            if self._is_over or loop is None or driver is None:
                reason = f": {self._failure!r}" if self._failure is not None else ""
                failed.set_exception(BelaError(f"the session has ended{reason}"))
                return failed
            return asyncio.run_coroutine_threadsafe(_until_closed(driver, work(driver)), loop)


async def _shown(driver: Driver, work: Coroutine[Any, Any, T]) -> T:
    """Do something of which STATUS tells from then on, also to whom this thread does not answer."""
    try:
        return await work
    finally:
        driver.status.refresh()


async def _until_closed(driver: Driver, work: Coroutine[Any, Any, T]) -> T:
    """Do something, unless the session's loop ends before."""
    try:
        return await work
    except asyncio.CancelledError:
        if not driver.is_closing:
            raise
        raise RequestError("the session was closed") from None
