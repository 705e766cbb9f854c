"""Waiting for a writing thread: as long as it makes progress, and no longer."""

from __future__ import annotations

import threading
import time

from bela_module.interruptible import FinishingThread
from bela_module.writer_thread import wait_for_writer


def test_a_writer_is_waited_for_while_it_gets_on() -> None:
    go_on = threading.Event()
    steps: list[int] = []

    def slow() -> None:
        for step in range(10):
            steps.append(step)
            time.sleep(0.02)

    def hanging() -> None:
        go_on.wait(20.0)

    slow_one, hanging_one = FinishingThread(slow, "slow"), FinishingThread(hanging, "hanging")
    slow_one.start()
    hanging_one.start()
    assert wait_for_writer(slow_one, lambda: len(steps), 0.3)
    assert not wait_for_writer(hanging_one, lambda: 0, 0.05)
    go_on.set()
    assert wait_for_writer(hanging_one, lambda: 0, 20.0)
