"""Order of the jobs that wait, compared with a plain list of them, and what it costs."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any, cast

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.session.command_queue.waiting_jobs import PendingJob, WaitingJobs

CONNECTION = cast("BoardClient", object())


async def job(_client: BoardClient) -> str:
    return "done"


class PlainOrder:
    """The same jobs in one list, which is walked for each."""

    def __init__(self) -> None:
        self.jobs: list[PendingJob] = []
        self.turns: dict[str, int] = {}
        self.n_turns = 0

    def append(self, pending: PendingJob) -> None:
        self.turns.setdefault(pending.client, self.n_turns)
        self.jobs.append(pending)

    def remove(self, pending: PendingJob) -> None:
        self.jobs.remove(pending)
        self.turns = {p.client: self.turns[p.client] for p in self.jobs}

    def take(self) -> PendingJob | None:
        if not self.jobs:
            return None
        n_before = next((n for n, p in enumerate(self.jobs) if p.is_stop), len(self.jobs))
        before, stop = self.jobs[:n_before], self.jobs[n_before : n_before + 1]
        if stop and not any(p.begins or p.client == stop[0].client for p in before):
            taken = stop[0]
        else:
            taken = min(before, key=lambda p: self.turns[p.client])
        self.n_turns += 1
        self.turns[taken.client] = self.n_turns
        self.remove(taken)
        return taken


def make_job(
    number: int, client: str, *, is_stop: bool = False, begins: bool = False
) -> PendingJob:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    only_on = CONNECTION if is_stop else None
    return PendingJob(job, future, None, only_on, number, client=client, begins=begins)


@pytest.mark.parametrize("seed", range(20))
def test_jobs_come_in_the_order_of_a_plain_list(seed: int) -> None:
    async def scenario() -> None:
        chance, waiting, plain = random.Random(seed), WaitingJobs(), PlainOrder()
        for number in range(2000):
            event = chance.random()
            if event < 0.55:
                kinds = {"is_stop": chance.random() < 0.1, "begins": chance.random() < 0.2}
                pending = make_job(number, f"client {chance.randrange(5)}", **kinds)
                waiting.append(pending)
                plain.append(pending)
            elif event < 0.6 and plain.jobs:
                given_up = chance.choice(plain.jobs)
                waiting.remove(given_up)
                plain.remove(given_up)
            else:
                assert waiting.take() is plain.take()
            assert (
                len(waiting) == len(list(waiting)) >= sum(not p.future.done() for p in plain.jobs)
            )
            assert waiting.stop_waits >= any(p.is_stop for p in plain.jobs if not p.future.done())
        while (pending_or_none := waiting.take()) is not None:
            assert pending_or_none is plain.take()
        assert plain.take() is None
        assert (len(waiting), waiting.stop_waits) == (0, False)
        assert [waiting.count_of(f"client {n}") for n in range(5)] == [0] * 5

    asyncio.run(scenario())


def test_a_job_that_is_put_first_comes_before_all_others_of_its_client() -> None:
    async def scenario() -> None:
        waiting = WaitingJobs()
        first, second, stop = make_job(1, "a"), make_job(2, "a"), make_job(3, "b", is_stop=True)
        waiting.append(second)
        waiting.put_first(first)
        waiting.put_first(stop)
        assert [waiting.take() for _ in range(4)] == [stop, first, second, None]

    asyncio.run(scenario())


def count_calls(waiting: WaitingJobs) -> int:
    """Count the calls of functions, also of built-in ones, of one :meth:`WaitingJobs.take`."""
    calls = 0

    def note(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        waiting.take()
    finally:
        sys.setprofile(None)
    return calls


def test_to_take_one_of_many_costs_as_much_as_one_of_few() -> None:
    async def scenario() -> None:
        costs = []
        for n_jobs in (20, 1000):
            waiting = WaitingJobs()
            for number in range(n_jobs):
                waiting.append(make_job(number, f"client {number % 10}"))
            costs.append(count_calls(waiting))
        assert costs[1] <= costs[0] + 5

    asyncio.run(scenario())
