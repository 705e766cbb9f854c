"""The worker's thread: order, checks in time, defects, and its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bela_module.streams.lsl import outlet_worker
from bela_module.streams.lsl.outlet_worker import OutletWorker

WaitUntil = Callable[..., None]


class Channel:
    """Counts its checks; a stand-in for an ``OutletChannel``."""

    def __init__(self, *, needs_checks: bool = False) -> None:
        self.needs_checks = needs_checks
        self.checks = 0
        self.ended = 0

    def check(self) -> None:
        self.checks += 1

    def end(self) -> None:
        self.ended += 1


def worker_of(*channels: Any) -> OutletWorker:
    return OutletWorker(lambda: list(channels))


def test_jobs_are_done_in_order_in_a_thread_of_their_own() -> None:
    done: list[int] = []
    threads: set[str] = set()

    def note(k: int) -> None:
        done.append(k)
        threads.add(threading.current_thread().name)

    worker = worker_of()
    for k in range(1000):
        worker.submit(lambda k=k: note(k))  # type: ignore[misc]
    worker.end()
    assert done == list(range(1000))
    assert threads == {"bela-outlets"}


def test_freed_memory_is_given_back_now_and_then_also_without_jobs(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_s: list[float] = []
    monkeypatch.setattr(outlet_worker, "MEMORY_RETURN_S", 0.02)
    monkeypatch.setattr(
        outlet_worker, "return_freed_memory", lambda: times_s.append(time.monotonic())
    )
    worker = worker_of()
    begun_s = time.monotonic()
    worker.submit(lambda: None)
    wait_until(lambda: len(times_s) >= 3, "returns")
    worker.end()
    assert times_s[2] - begun_s >= 3 * 0.02


def test_channels_are_checked_as_long_as_one_waits_however_many_jobs_come(
    wait_until: WaitUntil,
) -> None:
    channel = Channel(needs_checks=True)
    worker = worker_of(channel)
    stop = threading.Event()

    def flood() -> None:
        if not stop.is_set():
            time.sleep(0.0001)
            worker.submit(flood)

    worker.submit(flood)
    wait_until(lambda: channel.checks > 5, "checks beside a flood of jobs")
    stop.set()
    before = channel.checks
    wait_until(lambda: channel.checks > before + 5, "checks without jobs")
    channel.needs_checks = False
    time.sleep(0.2)
    before = channel.checks
    time.sleep(0.2)
    assert channel.checks == before
    worker.end()
    assert channel.ended == 1


def test_a_defect_in_one_job_is_logged_and_the_next_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []
    worker = worker_of()
    with caplog.at_level(logging.ERROR):
        worker.submit(lambda: done.append(str(1 // 0)))
        worker.submit(lambda: done.append("next"))
        worker.end()
    assert done == ["next"]
    assert "ZeroDivisionError" in caplog.text


def test_without_a_job_there_is_no_thread() -> None:
    before = threading.active_count()
    worker = worker_of(Channel())
    worker.end()
    worker.end()
    assert threading.active_count() == before
