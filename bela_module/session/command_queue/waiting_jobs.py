"""Jobs that wait for the board: each client's in their order, STOPs between them, taking turns."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bela_module.connection.board_client import BoardClient

Job = Callable[[BoardClient], Awaitable[Any]]


@dataclass(slots=True, eq=False)
class PendingJob:
    """A command that is not carried out yet.

    Parameters
    ----------
    job : callable
        Given the connection.
    future : Future
        Gets its result.
    waiting : Future or None
        Told when there is no board yet; ``None`` when the job then fails instead.
    only_on : BoardClient or None
        The only connection on which it makes sense.
    number : int
        Grows with each that is asked for.
    internal : bool
        Whether it is no command of somebody's, who could take it back.
    client : str
        Name of the client that asked for it.
    begins : bool
        Whether it begins what a STOP after it has to end.
    """

    job: Job
    future: asyncio.Future[Any]
    waiting: asyncio.Future[str] | None = None
    only_on: BoardClient | None = None
    number: int = 0
    internal: bool = False
    client: str = ""
    begins: bool = False

    @property
    def is_stop(self) -> bool:
        """Whether it ends what runs; nothing else makes sense on one connection alone."""
        return self.internal or self.only_on is not None

    def fail(self, error: BaseException) -> None:
        """Let it end with an error, if it has not ended."""
        if not self.future.done():
            self.future.set_exception(error)

    def refuse(self, error: BaseException) -> None:
        """Let it end before it was begun; nobody waits any more for one that waits for a board."""
        if self.waiting is not None and self.waiting.done():
            self.future.cancel()
        else:
            self.fail(error)

    def wait(self, reason: BaseException) -> None:
        """Answer that it waits for the board, and why."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(f"waiting for the board: {reason}")


@dataclass(slots=True, eq=False)
class _Stretch:
    """What was asked for after one STOP and before the next, the jobs of each client in order."""

    of_client: dict[str, deque[PendingJob]] = field(default_factory=dict)
    stop: PendingJob | None = None
    """The STOP that ends it; the last stretch has none."""

    def __iter__(self) -> Iterator[PendingJob]:
        for jobs in self.of_client.values():
            yield from jobs
        if self.stop is not None:
            yield self.stop

    def remove(self, pending: PendingJob) -> bool:
        """Remove a job, if it is one of this stretch; tell whether it was."""
        jobs = self.of_client.get(pending.client, ())
        if pending is self.stop:
            self.stop = None
        elif pending in jobs:
            self.of_client[pending.client].remove(pending)
            if not jobs:
                del self.of_client[pending.client]
        else:
            return False
        return True


@dataclass(slots=True)
class WaitingJobs:
    """Jobs in the order in which they are to be carried out.

    Clients take turns; to find the next job costs as much as there are clients, not jobs. What was
    asked for before a STOP comes before it, and what was asked for after it, after it; but a STOP
    does not wait for what others have asked for that begins nothing, as their SETs.
    """

    _stretches: deque[_Stretch] = field(default_factory=lambda: deque([_Stretch()]))
    _n_of_client: Counter[str] = field(default_factory=Counter)
    _n_jobs: int = 0
    _turns: dict[str, int] = field(default_factory=dict)
    _n_turns: int = 0

    def __len__(self) -> int:
        """Count them."""
        return self._n_jobs

    def __iter__(self) -> Iterator[PendingJob]:
        """Give them, stretch by stretch between STOPs."""
        for stretch in self._stretches:
            yield from stretch

    def count_of(self, client: str) -> int:
        """Count the jobs of one client."""
        return self._n_of_client[client]

    @property
    def stop_waits(self) -> bool:
        """Whether one of them is a STOP."""
        return len(self._stretches) > 1

    def append(self, pending: PendingJob) -> None:
        """Append a job as the last one."""
        self._count(pending)
        if pending.is_stop:
            self._stretches[-1].stop = pending
            self._stretches.append(_Stretch())
        else:
            self._stretches[-1].of_client.setdefault(pending.client, deque()).append(pending)

    def put_first(self, pending: PendingJob) -> None:
        """Have a job come before all others of its client, or a STOP before all jobs."""
        self._count(pending)
        if pending.is_stop:
            self._stretches.appendleft(_Stretch(stop=pending))
        else:
            first = self._stretches[0].of_client
            first.setdefault(pending.client, deque()).appendleft(pending)

    def _count(self, pending: PendingJob) -> None:
        self._n_jobs += 1
        self._n_of_client[pending.client] += 1
        self._turns.setdefault(pending.client, self._n_turns)

    def remove(self, pending: PendingJob) -> None:
        """Forget a job, if it is there; those that no STOP parts any more follow each other."""
        if not any(stretch.remove(pending) for stretch in self._stretches):
            return
        self._n_jobs -= 1
        self._n_of_client[pending.client] -= 1
        if not self._n_of_client[pending.client]:
            del self._n_of_client[pending.client], self._turns[pending.client]
        if pending.is_stop:
            self._join_stretches()

    def _join_stretches(self) -> None:
        joined: deque[_Stretch] = deque()
        for stretch in self._stretches:
            if not joined or joined[-1].stop is not None:
                joined.append(stretch)
                continue
            for client, jobs in stretch.of_client.items():
                joined[-1].of_client.setdefault(client, deque()).extend(jobs)
            joined[-1].stop = stretch.stop
        self._stretches = joined

    def take(self) -> PendingJob | None:
        """Remove and return the next job that still matters, if there is one.

        It is the first one of the client that had its turn before all others.
        """
        while (pending := self._next()) is not None:
            self.remove(pending)
            if not pending.future.done():
                self._n_turns += 1
                if pending.client in self._turns:
                    self._turns[pending.client] = self._n_turns
                return pending
        return None

    def _next(self) -> PendingJob | None:
        waiting, stop = self._stretches[0].of_client, self._stretches[0].stop
        if stop is not None:
            before = (p for jobs in waiting.values() for p in jobs if not p.future.done())
            if not any(p.begins or p.client == stop.client for p in before):
                return stop
        if not waiting:
            return None
        client = min(waiting, key=lambda name: (self._turns[name], waiting[name][0].number))
        return waiting[client][0]
