"""Callbacks in a thread of their own: slow ones, wrong ones, asynchronous ones."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bela_module.dispatcher import Dispatcher


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
    dispatcher.close(timeout_s=0.05)
    assert errors == ["the callback did not keep up: 3 calls were left out"]
    go_on.set()
    dispatcher.close()
    dispatcher.put("late")


def test_a_callback_may_end_its_own_dispatcher() -> None:
    seen: list[int] = []

    def callback(item: int) -> None:
        seen.append(item)
        dispatcher.close()

    dispatcher = Dispatcher(callback, (), lambda _text: None, 10)
    dispatcher.put(1)
    dispatcher.close()
    assert seen == [1]
