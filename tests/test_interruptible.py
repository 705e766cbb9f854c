"""Ctrl-C ends each wait, also where the system gives the signal to another thread."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future

import pytest

from bela_module.interruptible import FinishingThread, finish, result_of, sleep, wait_for
from tests.support.paths import ROOT

TOLERANCE_S = 5.0

interrupting = pytest.mark.skipif(os.name == "nt", reason="no signal can be sent to a thread there")


def test_a_time_passes() -> None:
    begun_s = time.monotonic()
    sleep(0.3)
    assert 0.3 <= time.monotonic() - begun_s < 0.3 + TOLERANCE_S
    sleep(0.0)
    sleep(-1.0)


def test_an_event_is_waited_for() -> None:
    event = threading.Event()
    assert not wait_for(event, 0.0)
    assert not wait_for(event, 0.3)
    threading.Timer(0.3, event.set).start()
    assert wait_for(event, 20.0)
    assert wait_for(event, 0.0)


def test_a_result_is_waited_for() -> None:
    future: Future[int] = Future()
    with pytest.raises(TimeoutError):
        result_of(future, 0.3)
    threading.Timer(0.3, future.set_result, (5,)).start()
    assert result_of(future, 20.0) == 5
    assert result_of(future, 0.0) == 5
    failed: Future[int] = Future()
    failed.set_exception(OSError("no"))
    with pytest.raises(OSError, match="no"):
        result_of(failed, 20.0)


@pytest.mark.parametrize(("n_interrupts", "n_calls"), [(0, 1), (1, 2), (2, 2)])
def test_what_has_to_be_finished_is_begun_again_once(n_interrupts: int, n_calls: int) -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(0)
        if len(calls) <= n_interrupts:
            raise KeyboardInterrupt
        return 7

    if n_interrupts:
        with pytest.raises(KeyboardInterrupt):
            finish(work)
    else:
        assert finish(work) == 7
    assert len(calls) == n_calls


def test_the_end_of_a_thread_is_waited_for() -> None:
    go_on = threading.Event()
    thread = FinishingThread(lambda: go_on.wait(20.0), "one")
    assert thread.daemon
    thread.start()
    assert not thread.wait(0.3)
    assert not thread.is_over
    go_on.set()
    assert thread.wait(20.0)
    assert thread.is_over
    assert not thread.is_alive()


SCRIPT = """
    import signal, threading, time
    from concurrent.futures import Future
    from bela_module.interruptible import FinishingThread, finish, result_of, sleep, wait_for

    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background

    def interrupt():
        time.sleep(0.5)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # does not wake the main thread

    goes_on = threading.Event()
    thread = FinishingThread(goes_on.wait, "one")
    thread.start()
    for wait in (
        lambda: sleep(30.0),
        lambda: wait_for(threading.Event(), 30.0),
        lambda: result_of(Future(), 30.0),
        lambda: thread.wait(30.0),
    ):
        interrupting = threading.Thread(target=interrupt)
        begun_s = time.monotonic()
        interrupting.start()
        try:
            wait()
        except KeyboardInterrupt:
            print(time.monotonic() - begun_s)
        interrupting.join()
    print(thread.is_over)
    goes_on.set()
    thread.wait(30.0)
    print(thread.is_over)
"""


@interrupting
def test_a_signal_that_another_thread_gets_ends_each_wait() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=50,
        check=True,
    )
    *took_s, over_before, over_after = run.stdout.split()
    assert len(took_s) == 4
    assert all(float(one_s) < 0.5 + TOLERANCE_S for one_s in took_s)
    assert (over_before, over_after) == ("False", "True")
