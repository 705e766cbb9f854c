"""Commands that wait for the board: order, bounds, and what becomes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from bela_module.asking_client import asked_by
from bela_module.connection.board_client import BoardClient
from bela_module.errors import BelaError, DisconnectedError, RequestError
from bela_module.session.command_queue.job_queue import MAX_JOBS, MAX_STOPS, JobQueue

GONE = DisconnectedError("gone")


def run(scenario: Callable[[JobQueue], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(JobQueue(lambda _text: None))

    asyncio.run(main())


async def job(_client: BoardClient) -> str:
    return "done"


def a_client() -> BoardClient:
    return cast("BoardClient", object())


def error_of(future: asyncio.Future[Any]) -> BaseException | None:
    return future.exception() if future.done() else None


def test_jobs_are_taken_in_their_order_and_those_given_up_are_passed_over() -> None:
    async def scenario(queue: JobQueue) -> None:
        first, second, third = (queue.add(job, waits=False) for _ in range(3))
        assert len(queue) == 3
        second.future.cancel()
        assert queue.take() is first
        queue.put_back(first)
        assert queue.take() is first
        assert queue.take() is third
        assert queue.take() is None

    run(scenario)


def test_there_are_only_so_many() -> None:
    async def scenario(queue: JobQueue) -> None:
        for _ in range(64):
            queue.add(job, waits=True)
        with pytest.raises(RequestError, match="64 commands are waiting"):
            queue.add(job, waits=True)
        queue.add(job, waits=True, internal=True)  # a STOP always has room
        with asked_by("another"):
            queue.add(job, waits=True)

    run(scenario)


def test_there_are_only_so_many_of_all_clients() -> None:
    async def scenario(queue: JobQueue) -> None:
        for number in range(MAX_JOBS):
            with asked_by(f"client {number // 10}"):
                queue.add(job, waits=True)
        with asked_by("another"), pytest.raises(RequestError, match="1024 commands of all clients"):
            queue.add(job, waits=True)

    run(scenario)


def test_clients_take_turns() -> None:
    async def scenario(queue: JobQueue) -> None:
        for _ in range(20):
            with asked_by("flood"):
                queue.add(job, waits=False)
        for name in ("a", "b", "a", "b"):
            with asked_by(name):
                queue.add(job, waits=False)
        order = [queue.take() for _ in range(8)]
        names = [pending.client for pending in order if pending is not None]
        assert names == ["flood", "a", "b", "flood", "a", "b", "flood", "flood"]

    run(scenario)


def test_clients_that_ask_one_thing_at_a_time_do_not_keep_another_from_its_turn() -> None:
    async def scenario(queue: JobQueue) -> None:
        for _ in range(3):
            with asked_by("patient"):
                queue.add(job, waits=False)
        names = []
        for number in range(9):
            with asked_by("ab"[number % 2]):
                queue.add(job, waits=False)
            pending = queue.take()
            assert pending is not None
            names.append(pending.client)
        assert names.count("patient") == 3

    run(scenario)


def test_what_was_asked_for_before_a_stop_comes_before_it() -> None:
    async def scenario(queue: JobQueue) -> None:
        connection = a_client()
        first, before = queue.add(job, waits=False), queue.add(job, waits=False)
        stop = queue.add(job, waits=False, only_on=connection)
        with asked_by("another"):
            after = queue.add(job, waits=False)
        assert [queue.take() for _ in range(4)] == [first, before, stop, after]

    run(scenario)


def test_a_stop_does_not_wait_for_what_others_ask_that_begins_nothing() -> None:
    async def scenario(queue: JobQueue) -> None:
        connection = a_client()
        with asked_by("flood"):
            sets = [queue.add(job, waits=False) for _ in range(3)]
            ended = queue.add(job, waits=False, only_on=connection)
        with asked_by("another"):
            begins = queue.add(job, waits=False)
            begins.begins = True
        with asked_by("third"):
            stop = queue.add(job, waits=False, only_on=connection)
        assert queue.take() is sets[0]  # its own STOP comes after all of them
        queue.withdraw(ended)
        assert queue.take() is begins  # in its turn; the STOP has to end it
        assert [queue.take() for _ in range(3)] == [stop, sets[1], sets[2]]

    run(scenario)


def test_a_stop_is_carried_out_at_once_while_another_client_sets_and_sets() -> None:
    async def scenario(queue: JobQueue) -> None:
        hold = asyncio.Event()

        async def wait(_client: BoardClient) -> None:
            await hold.wait()

        with asked_by("flood"):
            submitted = [asyncio.ensure_future(queue.submit(wait)) for _ in range(60)]
        with asked_by("monitor"):
            submitted.append(asyncio.ensure_future(queue.submit(wait, begins=True)))
        with asked_by("operator"):
            stop = queue.submit(job, only_on=a_client())
            submitted.append(asyncio.ensure_future(stop))
        await asyncio.sleep(0)
        names = []
        while (pending := queue.take()) is not None:
            names.append(pending.client)
            pending.future.set_result(None)
        assert names[:3] == ["flood", "monitor", "operator"]
        await asyncio.gather(*submitted)

    run(scenario)


def test_a_job_that_nobody_waits_for_any_more_is_withdrawn_but_no_stop() -> None:
    async def scenario(queue: JobQueue) -> None:
        given_up = asyncio.ensure_future(queue.submit(job))
        stop = asyncio.ensure_future(queue.submit(job, only_on=a_client()))
        await asyncio.sleep(0)
        for task in (given_up, stop):
            task.cancel()
        await asyncio.wait((given_up, stop))
        assert len(queue) == 1
        pending = queue.take()
        assert pending is not None
        assert pending.is_stop

    run(scenario)


def test_a_stop_of_many_does_not_wait_for_what_the_newest_client_sets() -> None:
    async def scenario(queue: JobQueue) -> None:
        connection = a_client()
        with asked_by("setting"):
            for _ in range(60):
                queue.add(job, waits=False)
        stops = []
        for number in range(MAX_STOPS):
            with asked_by(f"client {number}"):
                stops.append(queue.add(job, waits=False, only_on=connection))
        with asked_by("setting"):
            stops.append(queue.add(job, waits=False, only_on=connection))
        pending = queue.take()
        assert pending is stops[0]
        await queue.carry_out(pending, connection, worded)
        await asyncio.wait([stop.future for stop in stops[:-1]], timeout=20)
        assert all(stop.future.result() == "done" for stop in stops[:-1])
        order = []
        while (pending := queue.take()) is not None:
            order.append(pending)
        assert len(order) == 61
        assert order[-1] is stops[-1]  # it keeps its place among its client's commands

    run(scenario)


def test_of_many_stops_the_first_does_the_work() -> None:
    async def scenario(queue: JobQueue) -> None:
        connection = a_client()
        stops, starts = [], []
        for number in range(50):
            with asked_by(f"flood {number % 5}"):
                starts.append(queue.add(job, waits=True))
                starts[-1].begins = True
                stops.append(queue.add(job, waits=False, only_on=connection))
        with asked_by("operator"):
            change = queue.add(job, waits=False)
            stop = queue.add(job, waits=False, only_on=connection)
        taken = []
        while (pending := queue.take()) is not None:
            taken.append(pending)
            await queue.carry_out(pending, connection, worded)
        assert taken[-2:] == [change, stop]
        assert len(taken) <= 2 * (MAX_STOPS + 1)
        await asyncio.wait([each.future for each in stops], timeout=20)
        assert all(each.future.result() == "done" for each in (*stops, stop))
        refused = [start for start in starts if start not in taken]
        assert all(str(error_of(start.future)).startswith("stopped before") for start in refused)

    run(scenario)


@pytest.mark.parametrize("error", [GONE, RequestError("no")])
def test_what_prevents_the_newest_stop_is_told_to_all(error: BelaError) -> None:
    async def scenario(queue: JobQueue) -> None:
        connection = a_client()
        stops = [queue.add(failing(error), waits=False, only_on=connection) for _ in range(9)]
        queue.connection_ended(connection, error)
        await asyncio.wait([stop.future for stop in stops], timeout=20)
        assert [error_of(stop.future) for stop in stops] == [error] * 9
        assert queue.take() is None

    run(scenario)


def test_without_a_board_those_that_wait_are_told_and_kept() -> None:
    async def scenario(queue: JobQueue) -> None:
        patient, impatient = queue.add(job, waits=True), queue.add(job, waits=False)
        queue.no_board(GONE)
        queue.no_board(GONE)
        assert patient.waiting is not None
        assert patient.waiting.result() == "waiting for the board: gone"
        assert error_of(impatient.future) is GONE
        assert queue.take() is patient

    run(scenario)


def test_the_end_of_a_connection_fails_what_made_sense_on_it_alone() -> None:
    async def scenario(queue: JobQueue) -> None:
        client = a_client()
        bound = queue.add(job, waits=False, only_on=client)
        other = queue.add(job, waits=False, only_on=a_client())
        free = queue.add(job, waits=False)
        queue.connection_ended(client, GONE)
        assert error_of(bound.future) is GONE
        assert queue.take() is other
        assert queue.take() is free

    run(scenario)


def test_all_can_be_refused_or_those_that_waited_before() -> None:
    async def scenario(queue: JobQueue) -> None:
        patient, impatient = queue.add(job, waits=True), queue.add(job, waits=False)
        ours = queue.add(job, waits=True, internal=True)
        newest = queue.newest
        later = queue.add(job, waits=True)
        assert queue.refuse_waiting("stopped", newest)
        assert str(error_of(patient.future)) == "stopped"
        assert not any(each.future.done() for each in (impatient, ours, later))
        assert not queue.refuse_waiting("stopped", newest)
        queue.refuse("closed")
        for each in (impatient, ours, later):
            assert str(error_of(each.future)) == "closed"

    run(scenario)


# ---- carrying out ------------------------------------------------------------------------------


def failing(error: BaseException) -> Callable[[BoardClient], Awaitable[str]]:
    async def fail(_client: BoardClient) -> str:
        raise error

    return fail


def worded(error: Exception) -> BelaError:
    return BelaError(f"worded: {error}")


def test_a_job_that_is_done_gives_its_result() -> None:
    async def scenario(queue: JobQueue) -> None:
        pending = queue.add(job, waits=False)
        await queue.carry_out(pending, a_client(), worded)
        assert pending.future.result() == "done"

    run(scenario)


def test_a_defect_ends_the_job_alone() -> None:
    async def scenario(queue: JobQueue) -> None:
        pending = queue.add(failing(ZeroDivisionError("oh")), waits=False)
        await queue.carry_out(pending, a_client(), worded)
        assert str(pending.future.exception()) == "worded: oh"

    run(scenario)


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_that_loses_its_board_is_kept_if_it_waits_for_one(waits: bool) -> None:
    async def scenario(queue: JobQueue) -> None:
        pending = queue.add(failing(GONE), waits=waits)
        taken = queue.take()
        assert taken is pending
        with pytest.raises(DisconnectedError):
            await queue.carry_out(pending, a_client(), worded)
        assert len(queue) == waits
        assert pending.future.done() is not waits
        if not waits:
            assert pending.future.exception() is GONE

    run(scenario)


def test_an_error_that_leaves_the_board_connected_ends_the_job_alone() -> None:
    async def scenario(queue: JobQueue) -> None:
        error = RequestError("no")
        pending = queue.add(failing(error), waits=True)
        await queue.carry_out(pending, a_client(), worded)
        assert pending.future.exception() is error

    run(scenario)


def test_a_cancelled_job_is_answered() -> None:
    async def scenario(queue: JobQueue) -> None:
        pending = queue.add(failing(asyncio.CancelledError()), waits=False)
        with pytest.raises(asyncio.CancelledError):
            await queue.carry_out(pending, a_client(), worded)
        assert str(pending.future.exception()) == "the session ended"

    run(scenario)
