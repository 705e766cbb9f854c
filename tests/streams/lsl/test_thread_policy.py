"""Threads of LSL's outlets do not interrupt the one that pushes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pylsl
import pytest

from bela_module.streams.lsl.lsl_outlet import LslOutlet
from bela_module.streams.lsl.outlet_worker import OutletWorker
from bela_module.streams.lsl.thread_policy import become_batch_thread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these policies")

WaitUntil = Callable[..., None]


def policies() -> dict[int, int]:
    """Give the scheduling policy of each thread of this process."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            found[int(task.name)] = os.sched_getscheduler(int(task.name))
        except ProcessLookupError:
            continue
    return found


def batch_threads() -> set[int]:
    return {thread for thread, policy in policies().items() if policy == os.SCHED_BATCH}


def in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_the_thread_that_sends_to_an_inlet_is_one_that_does_not_preempt(
    unique: str, wait_until: WaitUntil
) -> None:
    before = policies()
    if before[threading.get_native_id()] != os.SCHED_OTHER:
        pytest.skip("the tests run with a policy that somebody has chosen")
    outlets: list[LslOutlet] = []
    worker = OutletWorker(list)
    info = pylsl.StreamInfo(f"{unique}policy", "", 1, 1000.0, "float32", unique)
    try:
        worker.submit(lambda: outlets.append(LslOutlet(info, 1)))
        wait_until(lambda: bool(outlets), "the outlet")
        # Inlets have threads, too: those of the outlet are there before any inlet is.
        of_outlet = policies().keys() - before.keys()
        inlet = pylsl.StreamInlet(pylsl.resolve_byprop("source_id", unique, 1, 20.0)[0])
        inlet.open_stream(20.0)
        wait_until(outlets[0].has_consumers, "a listener")
        outlets[0].push(np.ones((8, 1), np.float32), np.arange(8) * 1e-3 + pylsl.local_clock())
        wait_until(lambda: bool(batch_threads() - of_outlet), "the thread that sends to the inlet")
        assert of_outlet & policies().keys() <= batch_threads()
        assert threading.get_native_id() not in batch_threads()
        inlet.close_stream()
    finally:
        outlets.clear()
        worker.end()


def test_only_the_default_policy_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda _pid, policy, _: changed.append(policy))
    for policy in (os.SCHED_FIFO, os.SCHED_RR, os.SCHED_IDLE, os.SCHED_BATCH, os.SCHED_OTHER):
        monkeypatch.setattr(os, "sched_getscheduler", lambda _pid, policy=policy: policy)
        become_batch_thread()
        assert changed == ([os.SCHED_BATCH] if policy == os.SCHED_OTHER else [])


def test_where_it_is_forbidden_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not in this container")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    in_a_thread(become_batch_thread)
