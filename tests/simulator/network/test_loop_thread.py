"""A thread with an event loop starts, takes calls from any thread, and ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bela_module.errors import BoardError
from bela_module.simulator.network.loop_thread import LoopThread


class IdleThread(LoopThread):
    """A thread that serves nothing, or cannot."""

    def __init__(self, error: str = "") -> None:
        super().__init__()
        self.error = error
        self.cleaned_up = False

    async def _set_up(self) -> None:
        if self.error:
            raise BoardError(self.error)

    async def _serve(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.cleaned_up = True


def test_calls_run_in_its_thread_and_give_their_result() -> None:
    with IdleThread() as idle:
        assert idle._in_loop(threading.current_thread).name == "simulated board"
        nested = idle._in_loop(lambda: idle._in_loop(threading.current_thread))
        assert nested.name == "simulated board"


def test_an_exception_of_a_call_reaches_the_caller() -> None:
    with IdleThread() as idle, pytest.raises(ZeroDivisionError):
        idle._in_loop(lambda: 1 / 0)


def test_a_later_call_comes_in_its_thread() -> None:
    called = threading.Event()
    with IdleThread() as idle:
        idle.call_later(0.001, called.set)
        assert called.wait(20)


def test_it_cleans_up_and_can_be_closed_and_started_again() -> None:
    idle = IdleThread()
    for _ in range(2):
        idle.start()
        idle.close()
        idle.close()
        assert idle.cleaned_up
        idle.cleaned_up = False
    with pytest.raises(BoardError, match="is not running"):
        idle._in_loop(lambda: None)


def test_what_keeps_it_from_serving_is_raised_by_start() -> None:
    idle = IdleThread("no port is free")
    before = threading.active_count()
    with pytest.raises(BoardError, match="no port is free"):
        idle.start()
    assert threading.active_count() == before
