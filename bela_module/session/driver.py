"""The one task that talks to a board: connects, probes, carries out what is asked, reconnects.

Everything here runs in the event loop of the session's thread. Requests become jobs, done one
after another between two probes, so that no two of them ever speak to the board at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bela_module.config import Settings
from bela_module.connection.board_client import BoardClient, WireRecorder
from bela_module.errors import BelaError, BoardError, DisconnectedError, RequestError
from bela_module.protocol.data_channel import Block, Refusal, RefusalReason
from bela_module.recording.recording_sink import RecordingSink
from bela_module.session import health, recovery
from bela_module.session import shutdown as leaving
from bela_module.session.board_state import Board, BoardNews
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.interruptible_wait import Waker
from bela_module.session.job_queue import Job, JobQueue
from bela_module.session.jobs import board_jobs
from bela_module.session.notices import Notices
from bela_module.session.status import SessionState, build_status
from bela_module.streams.stream_plans import Sink

logger = logging.getLogger(__name__)

_MEASURE_PATIENCE_S: Final = 0.35
_IDLE_PERIOD_S: Final = 0.1
_BACKOFF_S: Final = (0.1, 5.0)
_TIDY_BACKOFF_S: Final = 1.0
_LINGER_S: Final = 0.1  # an outlet that ends takes along what it has not sent yet
_STABLE_S: Final = 1.0  # a connection that lasts so long was a good one
_TIDY_PATIENCE_S: Final = 10.0


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
    obeys_ticks : bool
        Whether the board begins and ends streams where it is told; a recording does not.
    """

    settings: Settings
    sink: Sink
    now: Callable[[], float]
    notify: Callable[[str, str], None]
    recorder: WireRecorder | None = None
    exclusive: bool = True
    obeys_ticks: bool = True
    state: SessionState = SessionState.IDLE
    client: BoardClient | None = None
    delivery: Delivery | None = None
    monitoring: Delivery | None = None
    recording: RecordingSink | None = None
    streamed: set[str] = field(default_factory=set)
    controlled: set[str] = field(default_factory=set)
    releasing: set[str] = field(default_factory=set)
    """What of it the board was told to give back, but did not confirm."""
    is_closing: bool = False
    trouble: tuple[str, ...] = ()
    """What is wrong with the connection."""
    shortfalls: tuple[str, ...] = ()
    """What the latest run lacked when it ended, besides what is counted as lost."""
    left: set[str] = field(default_factory=set)
    """What may still be watched or monitored on a board that went away."""
    status: dict[str, Any] = field(default_factory=dict)
    jobs: JobQueue = field(default_factory=JobQueue)
    restarted: bool = False
    """Whether a reply has shown that the board began anew, which was not dealt with yet."""
    unanswered: int = 0
    looked_s: float = 0.0
    is_quiet: bool = False
    """Whether nothing comes on a connection that has not ended."""
    told_jumps: tuple[int, int] = (0, 0)
    stopping: asyncio.Task[str | None] | None = None
    """A STOP that waits for the board."""
    n_stops: int = 0
    """How many STOPs are under way."""
    _is_up: bool = False
    _is_away: bool = False
    _tidy_until_s: float = 0.0
    _end_by_s: float = math.inf
    _last_streams: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with a board of which nothing is known yet."""
        board = self.settings.board
        self.board = Board(board.name, board.input_delay_s)
        self._waker, self._close_asked = Waker(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.notices = Notices(self.sink, self.now, self.notify)
        self.publish_status()

    # ---- what the session calls, in the loop ----------------------------------------------

    async def submit(
        self, job: Job, *, waits_for_board: bool = False, only_on: BoardClient | None = None
    ) -> Any:
        """Have a job done as soon as the board is connected, and return its result.

        Parameters
        ----------
        job : callable
            Given the connection.
        waits_for_board : bool
            Whether to keep the job until a board is there; otherwise it fails when none is.
        only_on : BoardClient, optional
            The only connection on which it makes sense; it fails when that ends.
        """
        if self.is_closing:
            raise RequestError("the session is closing")
        pending = self.jobs.add(job, waits=waits_for_board, only_on=only_on)
        self.wake()
        future, waiting = pending.future, pending.waiting
        answers: set[asyncio.Future[Any]] = {future} if waiting is None else {future, waiting}
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and waiting is not None:
            future.add_done_callback(self._note_late_error)
            return waiting.result()
        return future.result()

    def _note_late_error(self, future: asyncio.Future[Any]) -> None:
        """Report a job that failed after it was answered with *waiting*: nobody else would."""
        if not future.cancelled() and (error := future.exception()) is not None:
            self.note_error(str(error))

    def wake(self) -> None:
        """See at once to what has just been asked."""
        self._waker.wake()

    def close(self) -> None:
        """End :meth:`run` as soon as the board is left as it was found."""
        self.is_closing = True
        self._end_by_s = self.now() + leaving.END_S
        self._close_asked.set()
        self.wake()

    @property
    def end_in_s(self) -> float:
        """How long the end may still take, once it is asked for."""
        return self._end_by_s - self.now()

    @property
    def last_error(self) -> str | None:
        """The latest of what went wrong."""
        return self.notices.last_error

    def note_error(self, text: str) -> None:
        """Keep an error for STATUS and tell the log and the event stream."""
        self.notices.tell(text)

    def note_soon(self, text: str) -> None:
        """Do the same from another thread."""
        try:
            self._loop.call_soon_threadsafe(self.note_error, text)
        except RuntimeError:
            logger.warning("after the session: %s", text)

    # ---- connecting -----------------------------------------------------------------------

    @property
    def _wanted(self) -> bool:
        wanted = self.jobs or self.delivery or self.monitoring or self.controlled
        return bool(wanted) or self._tidying

    @property
    def _tidying(self) -> bool:
        return bool(self.left) and self.now() < self._tidy_until_s

    async def run(self) -> None:
        """Serve until :meth:`close`."""
        backoff_s = _BACKOFF_S[0]
        looking = asyncio.ensure_future(self._look())
        try:
            while not self.is_closing:
                if not self._wanted:
                    self.enter(SessionState.IDLE)
                    backoff_s = _BACKOFF_S[0]
                    await self._sleep(60.0)
                    continue
                try:
                    lasted = await self._connect_and_use()
                except Exception as error:  # noqa: BLE001 - a defect ends what runs, not the session
                    self._fail(error)
                    lasted = False
                if lasted:
                    backoff_s = _BACKOFF_S[0]
                if self._wanted and not self.is_closing:
                    longest_s = _TIDY_BACKOFF_S if self._tidying else _BACKOFF_S[1]
                    await self._waker.wait(timeout_s=min(backoff_s, longest_s))
                    backoff_s = min(2 * backoff_s, _BACKOFF_S[1])
        finally:
            looking.cancel()
            await self._end()

    async def _connect_and_use(self) -> bool:
        """Connect once, and serve as long as that lasts; tell whether it was a good connection."""
        client = await self._connect()
        if client is None:
            return False
        await self._use(client)
        return self._is_up and self.now() > client.opened_s + _STABLE_S

    async def _look(self) -> None:
        """Keep STATUS fresh, whatever the board is waited for."""
        self.looked_s = self.now()
        while True:
            await asyncio.sleep(health.LOOK_PERIOD_S)
            try:
                health.look(self)
            except Exception:  # what is shown must not end what runs
                logger.exception("the state could not be shown")

    async def _end(self) -> None:
        """End what still runs, and the sink in any case."""
        try:
            self.jobs.refuse("the session was closed")
            recovery.give_up(self)
            await leaving.tidy_up(self)
            if self._last_streams:
                await asyncio.sleep(_LINGER_S)
        finally:
            self.notices.flush()
            self.sink.close()
            self.enter(SessionState.IDLE)
            if self.recording is not None:
                self.recording.complete()

    async def _connect(self) -> BoardClient | None:
        """Try once; jobs that do not wait for a board fail when there is none."""
        resuming = self.delivery is not None or self.monitoring is not None
        if not (resuming or self.jobs or self.controlled):
            self.enter(SessionState.IDLE)  # only to tidy up
        elif self.state is not SessionState.WAITING:
            self.enter(SessionState.RECONNECTING if resuming else SessionState.CONNECTING)
        attempt = asyncio.ensure_future(self.open_client(self.settings.board.reply_timeout_s))
        try:
            while not attempt.done() and self._wanted and not self.is_closing:
                await self._waker.wait(attempt)
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt})
        if not attempt.cancelled():
            try:
                return attempt.result()
            except BoardError as error:
                self._not_there(error, resuming=resuming)
        return None

    async def open_client(self, reply_timeout_s: float) -> BoardClient:
        """Connect to the board of the settings."""
        board = self.settings.board
        return await BoardClient.connect(
            board.host,
            board.port,
            now=self.now,
            reply_timeout_s=reply_timeout_s,
            on_data=self._on_data,
            recorder=self.recorder,
        )

    def _not_there(self, error: BoardError, *, resuming: bool) -> None:
        if str(error) != self.last_error:
            logger.warning("%s", error)
        self.notices.last_error = str(error)
        self.jobs.no_board(error)
        if not resuming and (self.jobs or self.controlled):
            self.enter(SessionState.WAITING)

    async def _use(self, client: BoardClient) -> None:
        """Serve one connection from its handshake to its end, whatever ends it."""
        self.client, self._is_up = client, False
        serving = asyncio.ensure_future(self._serve(client))
        error: BaseException | None = None
        try:
            await leaving.until_served(serving, self._close_asked)
            error = None if serving.cancelled() else serving.exception()
            await self._used(client, error)
        finally:
            self.client = None
            self.board.counters.bad_replies += client.counters.bad_frames
            gone = error or DisconnectedError("it was closed here")
            self.jobs.connection_ended(client, gone)
            self.publish_status()

    async def _used(self, client: BoardClient, error: BaseException | None) -> None:
        """Deal with the end of a connection, or of what was done on it, and close it."""
        try:
            failure = client.failure or (error if not isinstance(error, BoardError) else None)
            if failure is not None:
                self._fail(failure)
                await recovery.clean_up_after(self, client)
            elif isinstance(error, BoardError) and not (self._is_up or self.deliveries):
                self._not_there(error, resuming=False)  # connected, but it never answered
            elif isinstance(error, BoardError):
                self._disconnected(error)
            elif self.is_closing and not client.lost.done():
                await leaving.leave(self, client)
        finally:
            await client.close()

    def _fail(self, error: BaseException) -> None:
        """Say why a defect, here or in a sink, ends what runs; the session stays alive."""
        logger.error("the session failed: %r", error, exc_info=error)
        self.jobs.refuse(f"the session failed: {error!r}")
        if self.deliveries:
            recovery.give_up(self, f"the session failed ({error!r})")
        else:
            self.note_error(f"the session failed: {error!r}")
        self.publish_status()

    def _disconnected(self, error: BoardError) -> None:
        text = f"disconnected: {error}"
        self.board.decoder.restart()
        self.board.reconnecting = True
        for delivery in self.deliveries:
            delivery.interrupted()
        if not self._is_up:
            self.jobs.no_board(error)
        if self.is_closing:
            return
        if self.deliveries:
            self.trouble = (text,)
            self.enter(SessionState.RECONNECTING)
        if not self._is_away:
            self._is_away = True
            self.notices.tell(text, event="disconnected")

    # ---- connected ------------------------------------------------------------------------

    async def _serve(self, client: BoardClient) -> None:
        self.unanswered = 0
        await self.probe(client)
        await recovery.take_over(self, client, fresh=True)
        self.trouble, self._is_up = (), True
        if self._is_away:
            self._is_away = False
            self.board.counters.reconnects += 1
            logger.info("reconnected")
            self.notices.mark("reconnected", self.now())
        next_probe_s = 0.0
        while not self.is_closing:
            if client.lost.done():
                raise DisconnectedError(f"{client.address} is gone: {client.lost.result()}")
            await self._do_jobs(client)
            for delivery in self.deliveries:
                if delivery.progress():
                    await board_jobs.end(self, client, delivery)
            self.enter(SessionState.STREAMING if self.deliveries else SessionState.IDLE)
            if self.now() >= next_probe_s:
                await health.watch_over(self, client)
                next_probe_s = self.now() + self.board.next_probe_in_s
            if self.restarted or self.left:
                await recovery.take_over(self, client)
            await self._sleep(min(_IDLE_PERIOD_S, max(0.0, next_probe_s - self.now())), client)

    async def probe(self, client: BoardClient) -> None:
        """Ask for the list once: the state of the variables and a bound for the clock."""
        foreign = client.counters.foreign_replies
        replies = [await client.list()]
        if self.board.is_strange(replies[0], client.project):
            # A board that really began anew says so again; a reply that was cut short does not.
            replies.append(await client.list())
            if not self.board.is_strange(replies[1], client.project):
                del replies[0]
                self.board.counters.bad_replies += 1
        before = self.board.project
        news = [self.board.take_reply(reply, client.project) for reply in replies]
        self.restarted = self.restarted or BoardNews.RESTARTED in news
        if before and before != client.project:
            self.note_error(f"the board runs {client.project!r} now; it was {before!r}")
        if client.counters.foreign_replies != foreign and self.board.clock is not None:
            self.board.clock.distrust_last_probe()
        self.sink.identify(self.board.origin())
        if (told := self.board.odd_rate()) is not None:
            logger.warning("%s", told)
        self.publish_status()

    async def measure(self, client: BoardClient, patience_s: float = _MEASURE_PATIENCE_S) -> None:
        """Probe quickly until the clock is known, so that already the first sample is right."""
        deadline_s = self.now() + patience_s
        while not (self.board.ready or self.is_closing or self.jobs.stop_waits):
            if self.now() > deadline_s:
                return
            await asyncio.sleep(self.board.next_probe_in_s)
            await self.probe(client)

    async def _do_jobs(self, client: BoardClient) -> None:
        while (pending := self.jobs.take()) is not None:
            await self.jobs.carry_out(pending, client, self._word_defect)
            self.publish_status()

    def _word_defect(self, error: Exception) -> BelaError:
        text = f"{type(error).__name__}: {error}"
        self.notices.tell(text, cause=error)
        return BelaError(text)

    # ---- data -----------------------------------------------------------------------------

    def _on_data(self, message: bytes | str, arrived_s: float) -> None:
        result = self.board.receive(message)
        if isinstance(result, Block):
            for delivery in self.deliveries:
                if delivery.take(result, arrived_s):
                    return
            self.board.counters.foreign_blocks += 1
        elif isinstance(result, Refusal) and result.reason is RefusalReason.ORPHAN_HEADER:
            index = int(result.detail.split("/", 1)[0])
            for delivery in self.deliveries:
                delivery.missed_block(index)

    @property
    def deliveries(self) -> list[Delivery]:
        """What runs."""
        return [d for d in (self.delivery, self.monitoring) if d is not None]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, with the connection and with what runs."""
        texts = (*self.trouble, *(text for d in self.deliveries for text in d.problems))
        return tuple(dict.fromkeys(texts))

    def stream_status(self) -> list[dict[str, Any]]:
        """Describe the streams that run, and those that ran last."""
        for delivery in self.deliveries:
            for stream in delivery.streams:
                self._last_streams[stream.plan.name] = stream.status()
        return list(self._last_streams.values())

    def adopt(self, delivery: Delivery) -> None:
        """Take a delivery as the one that runs."""
        if not self.deliveries:
            self._last_streams.clear()
        if not self.deliveries or delivery.kind is not DeliveryKind.MONITOR:
            self.shortfalls = ()
        if delivery.kind is DeliveryKind.MONITOR:
            self.monitoring = delivery
        else:
            self.delivery = delivery

    def note_left(self, delivery: Delivery) -> None:
        """Keep in mind what the board could not be told to end, for when it comes back soon."""
        self.left.update(v.name for v in (*delivery.watched, *delivery.monitored))
        self._tidy_until_s = self.now() + _TIDY_PATIENCE_S

    def note_shortfall(self, text: str) -> None:
        """Keep for STATUS what is not delivered, though nobody can count it."""
        if text not in self.shortfalls:
            self.shortfalls += (text,)

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended; STATUS keeps its last figures."""
        self.stream_status()
        for problem in (*self.trouble, *delivery.problems):
            self.note_shortfall(problem)
        if self.recording is not None and delivery is self.delivery:
            self.recording.stop()
        if self.delivery is delivery:
            self.delivery = None
        if self.monitoring is delivery:
            self.monitoring = None
        self.trouble = self.trouble if self.deliveries else ()
        self.publish_status()

    async def _sleep(self, duration_s: float, client: BoardClient | None = None) -> None:
        """Sleep until the time is over, something is asked, or the connection ends."""
        if not (self.jobs or self.is_closing):
            futures = (client.lost,) if client is not None else ()
            await self._waker.wait(*futures, timeout_s=duration_s)

    def enter(self, state: SessionState) -> None:
        """Show a state, if it is another one than before."""
        if state is not self.state:
            self.state = state
            self.publish_status()

    def publish_status(self) -> None:
        """Make a new STATUS object; other threads read it whole."""
        self.status = build_status(self)
