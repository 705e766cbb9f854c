"""Samples that wait: the latest, however many come, all of them counted."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bela_module.session.inputs.waiting_samples import WaitingSamples


def rows(*values: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array(values)[:, np.newaxis], np.array(values)


def test_the_latest_wins() -> None:
    waiting = WaitingSamples()
    assert waiting.put(*rows(1, 2, 3))
    assert not waiting.put(*rows(4))  # somebody was woken already
    assert [sample.tolist() for sample in waiting.look()] == [[4]]
    taken = waiting.take()
    assert taken is not None
    samples, stamp_s = taken
    assert ([sample.tolist() for sample in samples], stamp_s) == ([[4]], 4)
    assert (waiting.received, waiting.dropped, bool(waiting)) == (4, 3, False)
    assert waiting.take() is None
    assert waiting.put(*rows(5))
    assert waiting.drop() == 1
    assert (waiting.dropped, waiting.last_stamp_s) == (4, 5)


@given(st.integers(1, 5), st.lists(st.integers(1, 9), max_size=30), st.integers(1, 4))
def test_what_is_taken_and_dropped_is_what_came(most: int, chunks: list[int], every: int) -> None:
    waiting = WaitingSamples()
    waiting.hold_at_most(most)
    number, n_taken, last = 0, 0, -1.0
    for k, n in enumerate(chunks):
        waiting.put(*rows(*range(number, number + n)))
        number += n
        if k % every == 0 and (taken := waiting.take()) is not None:
            values = [float(sample[0]) for sample in taken[0]]
            assert len(values) <= most
            assert values == sorted(values)
            assert values[0] > last
            last = values[-1]
            assert last == number - 1  # the newest is always among them
            n_taken += len(values)
    n_taken += waiting.drop()
    assert waiting.received == number
    assert waiting.dropped <= number


def test_two_threads_lose_no_count() -> None:
    waiting = WaitingSamples()
    n_taken = 0
    done = threading.Event()

    def put() -> None:
        for k in range(20_000):
            waiting.put(*rows(k))
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    while not done.is_set() or waiting:
        if (taken := waiting.take()) is not None:
            n_taken += len(taken[0])
    thread.join()
    assert waiting.received == 20_000 == n_taken + waiting.dropped
    waiting.count_dropped(n_taken)
    assert waiting.dropped == 20_000
