"""Callbacks in a thread of their own: slow ones, wrong ones, asynchronous ones."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bela_module.scripting.callback_dispatcher import Dispatcher
from tests.support.stopwatch import Stopwatch


@contextmanager
def dispatching(callback: Callable[..., Any], *rest: Any, max_waiting: int = 1000) -> Iterator[Any]:
    errors: list[str] = []
    arguments = rest[0] if rest else ()
    dispatcher = Dispatcher(callback, arguments, errors.append, max_waiting)
    try:
        yield dispatcher, errors
    finally:
        dispatcher.close()


def test_items_come_in_order_in_another_thread() -> None:
    seen: list[tuple[int, int]] = []
    with dispatching(lambda item: seen.append((item, threading.get_ident()))) as (dispatcher, _):
        for item in range(200):
            dispatcher.put(item)
    assert [item for item, _ in seen] == list(range(200))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert dispatcher.dropped == dispatcher.errors == 0


@pytest.mark.parametrize(
    ("arguments", "expected"), [((), ()), ((1, 2), (1, 2)), ([1, 2], ([1, 2],)), (None, (None,))]
)
def test_arguments_are_a_tuple_or_a_single_value(arguments: Any, expected: tuple[Any, ...]) -> None:
    seen: list[Any] = []
    with dispatching(lambda *given: seen.append(given), arguments) as (dispatcher, _):
        dispatcher.put("item")
    assert seen == [("item", *expected)]


def test_coroutine_functions_are_awaited_one_after_another_in_one_loop() -> None:
    seen: list[Any] = []

    async def callback(tag: str, item: int) -> None:
        seen.append((tag, item, "begin"))
        await asyncio.sleep(0)
        seen.append((tag, item, "end"))
        loops.add(id(asyncio.get_running_loop()))

    loops: set[int] = set()
    with dispatching(functools.partial(callback, "t")) as (dispatcher, _):
        dispatcher.put(1)
        dispatcher.put(2)
    assert seen == [("t", n, part) for n in (1, 2) for part in ("begin", "end")]
    assert len(loops) == 1


def test_what_a_coroutine_leaves_running_goes_on_between_the_calls(
    wait_until: Callable[..., None],
) -> None:
    done: list[int] = []
    tasks: set[Any] = set()

    async def later(item: int) -> None:
        await asyncio.sleep(0.001)
        done.append(item)

    async def callback(item: int) -> None:
        tasks.add(asyncio.ensure_future(later(item)))

    with dispatching(callback) as (dispatcher, _):
        dispatcher.put(1)
        wait_until(lambda: done == [1], "the task between two calls")


def test_what_is_raised_is_reported_once_and_the_next_items_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[int] = []

    def callback(item: int) -> None:
        seen.append(item)
        if item < 3:
            raise KeyError("pot3")
        if item == 3:
            raise ValueError("three")

    with dispatching(callback) as (dispatcher, errors):
        for item in range(5):
            dispatcher.put(item)
    assert seen == [0, 1, 2, 3, 4]
    assert dispatcher.errors == 4
    assert errors == [
        "the callback raised KeyError: 'pot3'",
        "the callback raised ValueError: three",
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_would_end_a_thread_is_an_error_like_any_other(
    kind: type[BaseException], asynchronous: bool
) -> None:
    seen: list[int] = []

    def callback(item: int) -> None:
        seen.append(item)
        raise kind(f"at {item}")

    async def coroutine(item: int) -> None:
        await asyncio.sleep(0)
        callback(item)

    with dispatching(coroutine if asynchronous else callback) as (dispatcher, errors):
        for item in range(3):
            dispatcher.put(item)
    assert seen == [0, 1, 2]
    assert errors == [f"the callback raised {kind.__name__}: at {item}" for item in range(3)]


def test_a_task_that_ends_the_loop_does_not_end_the_callbacks(
    wait_until: Callable[..., None],
) -> None:
    seen: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def leave() -> None:
        raise SystemExit(3)

    async def callback(item: int) -> None:
        if item == 0:
            tasks.append(asyncio.create_task(leave()))
            await asyncio.sleep(20.0)
        seen.append(item)

    with dispatching(callback) as (dispatcher, errors):
        dispatcher.put(0)
        wait_until(lambda: errors, "the report")
        dispatcher.put(1)
        dispatcher.put(2)
        wait_until(lambda: seen == [1, 2], "the calls after it")
    assert errors == ["the callback raised SystemExit: 3"]
    assert isinstance(tasks[0].exception(), SystemExit)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_slow_callback_costs_what_does_not_fit_and_nothing_else(asynchronous: bool) -> None:
    seen: list[int] = []
    go_on = threading.Event()

    def callback(item: int) -> None:
        go_on.wait(20.0)
        seen.append(item)

    async def slow(item: int) -> None:
        await asyncio.to_thread(callback, item)

    with dispatching(slow if asynchronous else callback, max_waiting=10) as (dispatcher, errors):
        for item in range(25):
            dispatcher.put(item)
        assert dispatcher.dropped == 15
        go_on.set()
    assert seen == list(range(10))
    assert errors == [
        "the callback is too slow: it is not given all buffers",
        "the callback was too slow for 15 buffers or blocks",
    ]


def test_a_callback_that_never_returns_is_abandoned() -> None:
    go_on = threading.Event()
    errors: list[str] = []
    dispatcher = Dispatcher(lambda _item: go_on.wait(20.0), (), errors.append, 10)
    for item in range(3):
        dispatcher.put(item)
    dispatcher.close(call_s=0.05)
    assert errors == ["the callback did not keep up: 3 calls were left out"]
    go_on.set()
    dispatcher.close()
    dispatcher.put("late")


def test_in_a_hurry_what_waits_is_abandoned_at_once() -> None:
    go_on = threading.Event()
    seen: list[int] = []
    errors: list[str] = []

    def callback(item: int) -> None:
        go_on.wait(20.0)
        seen.append(item)

    dispatcher = Dispatcher(callback, (), errors.append, 10)
    for item in range(3):
        dispatcher.put(item)
    watch = Stopwatch()
    dispatcher.close(call_s=0.0)
    assert watch.passed_s < 0.9  # the limit for a single call otherwise
    go_on.set()
    dispatcher._thread.join(20.0)
    assert len(seen) <= 1  # the call that had begun
    assert errors == ["the callback did not keep up: 3 calls were left out"]


def test_calls_that_take_their_time_are_waited_for() -> None:
    seen: list[int] = []

    def callback(item: int) -> None:
        time.sleep(0.02)
        seen.append(item)

    with dispatching(callback) as (dispatcher, errors):
        for item in range(20):
            dispatcher.put(item)
        dispatcher.close(call_s=0.3)  # for each call, not for all of them
    assert seen == list(range(20))
    assert errors == []


def test_a_callback_may_end_its_own_dispatcher() -> None:
    seen: list[int] = []

    def callback(item: int) -> None:
        seen.append(item)
        dispatcher.close()

    dispatcher = Dispatcher(callback, (), lambda _text: None, 10)
    dispatcher.put(1)
    dispatcher.close()
    assert seen == [1]
