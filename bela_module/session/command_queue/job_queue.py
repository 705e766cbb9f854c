"""Queue of commands for the board: each is carried out once, or refused with a reason.

The commands of one client are carried out in their order, and the clients take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bela_module.asking_client import asking_client
from bela_module.connection.board_client import BoardClient
from bela_module.errors import BelaError, DisconnectedError, NoReplyError, RequestError
from bela_module.session.command_queue.waiting_jobs import Job, PendingJob, WaitingJobs
from bela_module.session.interruptible_wait import InterruptibleWait

MAX_JOBS_OF_A_CLIENT: Final = 64
MAX_JOBS: Final = 1024
"""Of all clients together; one that connects again and again counts as many."""
MAX_STOPS: Final = 4
"""That wait for those before them; with one more the first does the work of all but the newest."""


@dataclass(slots=True)
class JobQueue:
    """Jobs in the order in which they were asked for, so many of each client at most.

    Parameters
    ----------
    on_late_error : callable
        Is told why a job failed that was answered with *waiting* before.
    """

    on_late_error: Callable[[str], None]
    newest: int = 0
    """Number of the job that was asked for last."""
    stops_under_way: int = 0
    """How many STOPs have been asked for and not answered."""
    is_closed: bool = False
    """Whether no more commands are taken."""
    _jobs: WaitingJobs = field(default_factory=WaitingJobs)
    _wait: InterruptibleWait = field(default_factory=InterruptibleWait)

    def __len__(self) -> int:
        """Count the jobs that were not begun."""
        return len(self._jobs)

    @property
    def stop_waits(self) -> bool:
        """Whether one of them ends what runs."""
        return self._jobs.stop_waits

    # ---- asking ---------------------------------------------------------------------------

    async def submit(
        self,
        job: Job,
        *,
        waits_for_board: bool = False,
        only_on: BoardClient | None = None,
        begins: bool = False,
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
        begins : bool
            Whether it begins something, as all do that wait for a board.

        Raises
        ------
        RequestError
            When the session is closing, or too many jobs of this client wait already.
        BelaError
            When the job fails.
        """
        if self.is_closed:
            raise RequestError("the session is closing")
        pending = self.add(job, waits=waits_for_board, only_on=only_on)
        pending.begins = begins or waits_for_board
        self.wake()
        future, waiting = pending.future, pending.waiting
        answers: set[asyncio.Future[Any]] = {future} if waiting is None else {future, waiting}
        try:
            await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # nobody waits for it any more
            if not pending.is_stop:
                self.withdraw(pending)
                future.cancel()
            raise
        if not future.done() and waiting is not None:
            future.add_done_callback(self._report_late_error)
            return waiting.result()
        return future.result()

    def _report_late_error(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.on_late_error(str(error))

    def close(self) -> None:
        """Take no more commands."""
        self.is_closed = True

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Count a STOP as under way."""
        self.stops_under_way += 1
        try:
            yield
        finally:
            self.stops_under_way -= 1
            self.wake()

    def wake(self) -> None:
        """Have the driver look at once at what has just been asked."""
        self._wait.interrupt()

    async def wait(self, *futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait until something is asked, one of some futures is done, or the time is over."""
        await self._wait.wait(*futures, timeout_s=timeout_s)

    # ---- the queue ------------------------------------------------------------------------

    def add(
        self,
        job: Job,
        *,
        waits: bool,
        only_on: BoardClient | None = None,
        internal: bool = False,
    ) -> PendingJob:
        """Append a job.

        Parameters
        ----------
        job : callable
            Given the connection.
        waits : bool
            Whether it is kept until a board is there.
        only_on : BoardClient, optional
            The only connection on which it makes sense.
        internal : bool
            Whether it is no command of somebody's, who could take it back.

        Raises
        ------
        RequestError
            When too many of the same client wait already, or of all.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[str] | None = loop.create_future() if waits else None
        self.newest += 1
        future = loop.create_future()
        client = asking_client()
        pending = PendingJob(job, future, waiting, only_on, self.newest, internal, client)
        if not pending.is_stop:
            self._check_room(client)
        elif not internal:
            self._merge_stops(pending)
        if internal:
            self._jobs.put_first(pending)  # a STOP: what was asked for after it comes after it
        else:
            self._jobs.append(pending)
        return pending

    def withdraw(self, pending: PendingJob) -> None:
        """Forget a job, if it was not begun."""
        self._jobs.remove(pending)

    def _merge_stops(self, newest: PendingJob) -> None:
        """Have the first STOP do the work of those that wait, when there are many.

        A few clients that start and stop without a pause would keep all others waiting for minutes.
        What begins something is refused, so that nothing is left to do for those after the first;
        the newest comes after what its client has asked for before, for which no other one waits.
        """
        stops = [p for p in self._jobs if p.is_stop and p.only_on is newest.only_on]
        if len(stops) < MAX_STOPS:
            return
        first, *others = stops

        def answer_all(done: asyncio.Future[Any]) -> None:
            for stop in others:
                if done.cancelled():
                    stop.future.cancel()
                elif (error := done.exception()) is not None:
                    stop.fail(error)
                elif not stop.future.done():
                    stop.future.set_result(done.result())

        first.future.add_done_callback(answer_all)
        for stop in others:
            self.withdraw(stop)
        begun = [p for p in self._jobs if p.begins and not p.internal]
        self._refuse(begun, RequestError("stopped before it began: several STOP came after it"))

    def _check_room(self, client: str) -> None:
        n_of_client = self._jobs.count_of(client)
        if n_of_client >= MAX_JOBS_OF_A_CLIENT:
            raise RequestError(f"{n_of_client} commands are waiting for the board already")
        if len(self._jobs) >= MAX_JOBS:
            raise RequestError(f"{MAX_JOBS} commands of all clients are waiting for the board")

    def take(self) -> PendingJob | None:
        """Remove and return the next job that still matters, if there is one."""
        return self._jobs.take()

    async def carry_out_some(
        self,
        client: BoardClient,
        word_defect: Callable[[Exception], BelaError],
        after_each: Callable[[], None],
        limit_s: float,
    ) -> None:
        """Do the jobs that wait, each as `carry_out` does; begin none after some time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        while loop.time() < until_s and (pending := self.take()) is not None:
            await self.carry_out(pending, client, word_defect)
            after_each()

    async def carry_out(
        self,
        pending: PendingJob,
        client: BoardClient,
        word_defect: Callable[[Exception], BelaError],
    ) -> None:
        """Do a job and answer it; one that waits for a board is kept when that goes away.

        Parameters
        ----------
        pending : PendingJob
            What :meth:`take` gave.
        client : BoardClient
            The connection.
        word_defect : callable
            Puts an error that only a defect can bring into words; it ends that job alone.

        Raises
        ------
        BoardError
            When the connection is of no more use.
        """
        try:
            result = await pending.job(client)
        except BelaError as error:
            gone = _is_gone(error)
            if gone and pending.waiting is not None:
                pending.wait(error)
                self.put_back(pending)  # it still waits for a board that answers
            else:
                pending.fail(error)
            if gone:
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to blame
            pending.fail(word_defect(error))
        except BaseException:
            pending.fail(BelaError("the session ended"))
            raise
        else:
            if not pending.future.done():
                pending.future.set_result(result)

    def put_back(self, pending: PendingJob) -> None:
        """Have a job be the next again."""
        self._jobs.put_first(pending)

    def no_board(self, error: BaseException) -> None:
        """Answer all when a board could not be reached: those that wait for it are kept."""
        for pending in list(self._jobs):
            if pending.waiting is not None:
                pending.wait(error)
            else:
                self.withdraw(pending)
                pending.fail(error)

    def connection_ended(self, client: BoardClient, error: BaseException) -> None:
        """Fail the jobs that made sense on one connection alone."""
        self._refuse([p for p in self._jobs if p.only_on is client], error)

    def refuse(self, reason: str) -> None:
        """Refuse all jobs."""
        self._refuse(list(self._jobs), RequestError(reason))

    def refuse_waiting(self, reason: str, newest: int) -> bool:
        """Refuse commands that wait for a board, up to the one of a number.

        Returns
        -------
        bool
            Whether there were any.
        """
        refused = [
            p for p in self._jobs if p.waiting is not None and p.number <= newest and not p.internal
        ]
        self._refuse(refused, RequestError(reason))
        return bool(refused)

    def _refuse(self, refused: list[PendingJob], error: BaseException) -> None:
        for pending in refused:
            self._jobs.remove(pending)
            pending.refuse(error)


def _is_gone(error: BelaError) -> bool:
    """Tell whether an error means that the connection is of no more use."""
    silent = isinstance(error, NoReplyError) and error.request == "list"
    return silent or isinstance(error, DisconnectedError)
