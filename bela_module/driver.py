"""The one task that talks to a board: connects, probes, carries out what is asked, reconnects.

Everything here runs in the event loop of the session's thread. Requests become jobs, done one
after another between two probes, so that no two of them ever speak to the board at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bela_module import board_jobs
from bela_module.board import Board, BoardNews
from bela_module.client import BoardClient, WireRecorder
from bela_module.config import Settings
from bela_module.delivery import Delivery, DeliveryKind
from bela_module.errors import BelaError, BoardError, DisconnectedError, NoReplyError, RequestError
from bela_module.protocol import Block, Refusal, RefusalReason
from bela_module.status import SessionState, build_status
from bela_module.streams import Sink
from bela_module.watchdog import Finding

logger = logging.getLogger(__name__)

_MEASURE_PATIENCE_S: Final = 0.35
_IDLE_PERIOD_S: Final = 0.1
_BACKOFF_S: Final = (0.1, 5.0)
_MAX_UNANSWERED: Final = 3  # while data still comes
_LINGER_S: Final = 0.1  # an outlet that ends takes along what it has not sent yet
_MAX_JOBS: Final = 64

Job = Callable[[BoardClient], Awaitable[Any]]


@dataclass(slots=True)
class _Pending:
    job: Job
    future: asyncio.Future[Any]
    waiting: asyncio.Future[str] | None
    """Told when there is no board yet; ``None`` when the job then fails instead."""


@dataclass
class Driver:
    """Keeps one board connected as long as something needs it.

    Parameters
    ----------
    settings : Settings
        Where the board is, and how its streams are called.
    sink : Sink
        Where samples go.
    now : callable
        LSL seconds.
    notify : callable
        Is told events: name and text. It must return at once.
    recorder : WireRecorder, optional
        Is told every message.
    exclusive : bool
        Whether to end, on connecting, what other clients have left watched.
    """

    settings: Settings
    sink: Sink
    now: Callable[[], float]
    notify: Callable[[str, str], None]
    recorder: WireRecorder | None = None
    exclusive: bool = True
    state: SessionState = SessionState.IDLE
    last_error: str | None = None
    client: BoardClient | None = None
    delivery: Delivery | None = None
    monitoring: Delivery | None = None
    controlled: set[str] = field(default_factory=set)
    problems: tuple[str, ...] = ()
    status: dict[str, Any] = field(default_factory=dict)
    _jobs: deque[_Pending] = field(default_factory=deque)
    _closing: bool = False
    _unanswered: int = 0
    _last_streams: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with a board of which nothing is known yet."""
        board = self.settings.board
        self.board = Board(board.name, board.input_delay_s)
        self._wake = asyncio.Event()
        self.publish_status()

    # ---- what the session calls, in the loop ----------------------------------------------

    async def submit(self, job: Job, *, waits_for_board: bool = False) -> Any:
        """Have a job done as soon as the board is connected, and return its result.

        Parameters
        ----------
        job : callable
            Given the connection.
        waits_for_board : bool
            Whether to keep the job until a board is there; otherwise it fails when none is.
        """
        if self._closing:
            raise RequestError("the session is closing")
        if len(self._jobs) >= _MAX_JOBS:
            raise RequestError(f"{_MAX_JOBS} commands are waiting for the board already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        waiting: asyncio.Future[str] | None = loop.create_future() if waits_for_board else None
        self._jobs.append(_Pending(job, future, waiting))
        self._wake.set()
        answers: set[asyncio.Future[Any]] = {future} if waiting is None else {future, waiting}
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and waiting is not None:
            future.add_done_callback(self._note_late_error)
            return waiting.result()
        return future.result()

    def _note_late_error(self, future: asyncio.Future[Any]) -> None:
        """Report a job that failed after it was answered with *waiting*: nobody else would."""
        if not future.cancelled() and (error := future.exception()) is not None:
            logger.warning("%s", error)
            self.note_error(str(error))

    def cancel_waiting(self, reason: str, *, all_jobs: bool = True) -> bool:
        """Refuse jobs that were not begun: all of them, or those that wait for a board.

        Returns
        -------
        bool
            Whether there were any.
        """
        refused = [p for p in self._jobs if all_jobs or p.waiting is not None]
        self._jobs = deque(p for p in self._jobs if p not in refused)
        for pending in refused:
            _fail(pending.future, RequestError(reason))
        self._wake.set()
        return bool(refused)

    def close(self) -> None:
        """End :meth:`run` as soon as the board is left as it was found."""
        self._closing = True
        self._wake.set()

    def wake(self) -> None:
        """Look again at what is to be done."""
        self._wake.set()

    def note_error(self, text: str) -> None:
        """Keep an error for STATUS and tell the event stream."""
        self.last_error = text
        self.mark(f"error {text}", self.now())

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish an event with the time at which it happened."""
        self.sink.mark(text, lsl_s)
        self.notify(text.split(" ", 1)[0], text)

    # ---- connecting -----------------------------------------------------------------------

    @property
    def _wanted(self) -> bool:
        return bool(self._jobs or self.delivery or self.monitoring or self.controlled)

    async def run(self) -> None:
        """Serve until :meth:`close`."""
        backoff_s = _BACKOFF_S[0]
        try:
            while not self._closing:
                if not self._wanted:
                    self._enter(SessionState.IDLE)
                    await self._sleep(60.0)
                    continue
                client = await self._connect()
                if client is None:
                    if self._wanted and not self._closing:
                        await self._sleep(backoff_s)
                        backoff_s = min(2 * backoff_s, _BACKOFF_S[1])
                    continue
                backoff_s = _BACKOFF_S[0]
                await self._use(client)
        finally:
            self.cancel_waiting("the session was closed")
            for delivery in self._deliveries():
                delivery.finish()
            if self._last_streams:
                await asyncio.sleep(_LINGER_S)
            self.sink.close()
            self._enter(SessionState.IDLE)

    async def _connect(self) -> BoardClient | None:
        """Try once; jobs that do not wait for a board fail when there is none."""
        resuming = self.delivery is not None or self.monitoring is not None
        if self.state is not SessionState.WAITING:
            self._enter(SessionState.RECONNECTING if resuming else SessionState.CONNECTING)
        board = self.settings.board
        attempt = asyncio.ensure_future(
            BoardClient.connect(
                board.host,
                board.port,
                now=self.now,
                reply_timeout_s=board.reply_timeout_s,
                on_data=self._on_data,
                recorder=self.recorder,
            )
        )
        try:
            while not attempt.done() and self._wanted and not self._closing:
                self._wake.clear()
                waker = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({attempt, waker}, return_when=asyncio.FIRST_COMPLETED)
                waker.cancel()
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt})
        if attempt.cancelled():
            return None
        try:
            return attempt.result()
        except BoardError as error:
            self._not_there(error, resuming=resuming)
            return None

    def _not_there(self, error: BoardError, *, resuming: bool) -> None:
        if self.state is not SessionState.WAITING and not resuming:
            logger.warning("%s", error)
        self.last_error = str(error)
        kept: deque[_Pending] = deque()
        for pending in self._jobs:
            if pending.waiting is not None:
                kept.append(pending)
                if not pending.waiting.done():
                    pending.waiting.set_result(f"waiting for the board: {error}")
            else:
                _fail(pending.future, error)
        self._jobs = kept
        if not resuming and kept:
            self._enter(SessionState.WAITING)

    async def _use(self, client: BoardClient) -> None:
        """Serve one connection from its handshake to its end, whatever ends it."""
        self.client = client
        serving = asyncio.ensure_future(self._serve(client))
        await asyncio.wait({serving})
        error = serving.exception()
        failure = client.failure or (error if not isinstance(error, BoardError) else None)
        if failure is not None:
            self._fail(failure)
        elif error is not None and not self._closing:
            self._disconnected(error)
        await self._leave(client, failed=failure is not None)
        self.client = None
        self.publish_status()

    def _fail(self, error: BaseException) -> None:
        """Say why a defect, here or in a sink, ends what runs; the session stays alive."""
        logger.error("the session failed: %r", error, exc_info=error)
        self.note_error(f"{type(error).__name__}: {error}")
        self.cancel_waiting(f"the session failed: {error!r}")

    def _disconnected(self, error: BaseException) -> None:
        text = str(error)
        logger.warning("disconnected: %s", text)
        self.last_error = text
        self.board.decoder.restart()
        for delivery in self._deliveries():
            delivery.interrupted()
        if self._deliveries():
            self._enter(SessionState.RECONNECTING)
            self.mark("disconnected", self.now())

    # ---- connected ------------------------------------------------------------------------

    async def _serve(self, client: BoardClient) -> None:
        news = await self.probe(client)
        resuming = [delivery for delivery in self._deliveries() if delivery.running]
        if self.exclusive:
            await board_jobs.clear(client, self.board)
        if resuming:
            await self.measure(client)
            self.board.counters.reconnects += 1
            if news is BoardNews.RESTARTED:
                self._board_restarted()
            await board_jobs.resume(self, client, anew=news is BoardNews.RESTARTED)
            self.mark("reconnected", self.now())
        next_probe_s = 0.0
        while not self._closing:
            if client.lost.done():
                raise DisconnectedError(f"{client.address} is gone: {client.lost.result()}")
            await self._do_jobs(client)
            await self._progress(client)
            self._enter(SessionState.STREAMING if self._deliveries() else SessionState.IDLE)
            if self.now() >= next_probe_s:
                await self._watch_over(client)
                next_probe_s = self.now() + self.board.next_probe_in_s
            await self._sleep(min(_IDLE_PERIOD_S, max(0.0, next_probe_s - self.now())), client)

    async def _watch_over(self, client: BoardClient) -> None:
        """Probe, and deal with what the reply says of the board and of our watches."""
        try:
            news = await self.probe(client)
        except NoReplyError:
            self._unanswered += 1
            alive = self.now() - client.last_received_s < self.settings.board.reply_timeout_s
            if not alive or self._unanswered > _MAX_UNANSWERED:
                raise
            return
        self._unanswered = 0
        if news is BoardNews.RESTARTED:
            self._board_restarted()
            for delivery in self._deliveries():
                delivery.interrupted()
            if self.exclusive:
                await board_jobs.clear(client, self.board)
            await self.measure(client)
            await board_jobs.resume(self, client, anew=True)
        findings = [f for delivery in self._deliveries() for f in delivery.diagnose()]
        self._report(findings)
        await board_jobs.mend(self, client, findings)

    def _report(self, findings: Sequence[Finding]) -> None:
        """Tell each diagnosis once, as long as it stands."""
        problems = tuple(str(finding) for finding in findings)
        for problem in problems:
            if problem not in self.problems:
                logger.warning("%s", problem)
                self.note_error(problem)
        if self.problems and not problems:
            logger.info("data comes as it should again")
        self.problems = problems

    def _board_restarted(self) -> None:
        logger.warning("the board restarted: its ticks began anew")
        self.mark("board_restarted", self.now())

    async def probe(self, client: BoardClient) -> BoardNews:
        """Ask for the list once: the state of the variables and a bound for the clock."""
        foreign = client.counters.foreign_replies
        reply = await client.list()
        news = self.board.take_reply(reply, client.project)
        if client.counters.foreign_replies != foreign and self.board.clock is not None:
            self.board.clock.distrust_last_probe()
        self.sink.identify(self.board.origin())
        self.publish_status()
        return news

    async def measure(self, client: BoardClient) -> None:
        """Probe quickly until the clock is known, so that already the first sample is right."""
        deadline_s = client.opened_s + _MEASURE_PATIENCE_S
        while self.now() < deadline_s and not self.board.ready and not self._closing:
            await asyncio.sleep(self.board.next_probe_in_s)
            await self.probe(client)

    async def _do_jobs(self, client: BoardClient) -> None:
        while self._jobs:
            pending = self._jobs.popleft()
            if pending.future.done():
                continue
            try:
                result = await pending.job(client)
            except BelaError as error:
                _fail(pending.future, error)
                if isinstance(error, DisconnectedError):
                    raise
            except BaseException as error:
                _fail(pending.future, BelaError(f"{type(error).__name__}: {error}"))
                raise
            else:
                if not pending.future.done():
                    pending.future.set_result(result)
            self.publish_status()

    async def _progress(self, client: BoardClient) -> None:
        for delivery in self._deliveries():
            if delivery.progress():
                await board_jobs.end(self, client, delivery)

    async def _leave(self, client: BoardClient, *, failed: bool) -> None:
        """Leave the board as it was found, unless it is to be reconnected, and close."""
        try:
            if not client.lost.done() and (failed or self._closing):
                self._enter(SessionState.STOPPING)
                if failed:
                    await board_jobs.abandon(self, client)
                for delivery in self._deliveries():
                    await board_jobs.end(self, client, delivery)
                await board_jobs.release(self, client, None)
        except BoardError as error:
            logger.warning("the board could not be left clean: %s", error)
        finally:
            if failed:
                self.delivery = self.monitoring = None
            await client.close()

    # ---- data -----------------------------------------------------------------------------

    def _on_data(self, message: bytes | str, arrived_s: float) -> None:
        result = self.board.receive(message)
        if isinstance(result, Block):
            for delivery in self._deliveries():
                if delivery.take(result, arrived_s):
                    return
            self.board.counters.foreign_blocks += 1
        elif isinstance(result, Refusal) and result.reason is RefusalReason.ORPHAN_HEADER:
            index = int(result.detail.split("/", 1)[0])
            for delivery in self._deliveries():
                delivery.missed_block(index)

    def _deliveries(self) -> list[Delivery]:
        return [d for d in (self.delivery, self.monitoring) if d is not None]

    async def stop(self) -> str:
        """End everything that runs or waits, with the board or without it."""
        if self.client is not None and not self.client.lost.done():
            result: str = await self.submit(lambda client: board_jobs.stop(self, client))
            return result
        waited = self.cancel_waiting("stopped before it began", all_jobs=False)
        deliveries = self._deliveries()
        for delivery in deliveries:
            delivery.finish()
            self.drop(delivery)
        if deliveries:
            return "stopped; the board is not connected"
        return "stopped waiting" if waited else "nothing was running"

    def stream_status(self) -> list[dict[str, Any]]:
        """Describe the streams that run, and those that ran last."""
        deliveries = self._deliveries()
        if deliveries:
            self._last_streams = [
                stream.status() for delivery in deliveries for stream in delivery.streams
            ]
        return self._last_streams

    def adopt(self, delivery: Delivery) -> None:
        """Take a delivery as the one that runs."""
        if delivery.kind is DeliveryKind.MONITOR:
            self.monitoring = delivery
        else:
            self.delivery = delivery

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended; STATUS keeps its last figures."""
        self.stream_status()
        if self.delivery is delivery:
            self.delivery = None
        if self.monitoring is delivery:
            self.monitoring = None

    # ---- small things ---------------------------------------------------------------------

    async def _sleep(self, duration_s: float, client: BoardClient | None = None) -> None:
        """Sleep until the time is over, something is asked, or the connection ends."""
        self._wake.clear()
        if self._jobs or self._closing:
            return
        futures: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._wake.wait())}
        (waker,) = futures
        if client is not None:
            futures.add(client.lost)
        try:
            await asyncio.wait(futures, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waker.cancel()

    def _enter(self, state: SessionState) -> None:
        if state is not self.state:
            self.state = state
            self.publish_status()

    def publish_status(self) -> None:
        """Make a new STATUS object; other threads read it whole."""
        self.status = build_status(self)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
