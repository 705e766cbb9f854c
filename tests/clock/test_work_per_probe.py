"""How much is done for each probe: calls are counted, so that no busy computer matters.

The limits are some 20 % above what was counted when they were written.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

from bela_module.clock.device_clock import DeviceClock
from tests.support.synthetic_clock import SyntheticLink

_SETTLED_AFTER_S = 65.0


def test_a_probe_of_a_settled_clock_takes_few_calls() -> None:
    clock = DeviceClock(44100.0)
    link = SyntheticLink(jitter_s=0.0003)
    counts = {"call": 0, "c_call": 0}
    n_probes = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        if event in counts:
            counts[event] += 1

    before = sys.getprofile()
    for event in link.play(70.0, lambda: clock.next_probe_in_s):
        if not event.is_probe:
            clock.add_arrival(event.tick, event.at_s)
            continue
        is_settled = event.at_s > link.start_s + 1.0 + _SETTLED_AFTER_S
        n_probes += is_settled
        sys.setprofile(count if is_settled else before)
        clock.add_probe(event.sent_s, event.at_s, event.tick)
        sys.setprofile(before)
    per_probe = {kind: count / n_probes for kind, count in counts.items()}
    limits = {"call": 620, "c_call": 1300}
    assert all(per_probe[kind] <= limit for kind, limit in limits.items()), per_probe
    assert n_probes > 10
    assert per_probe["call"] > 50  # it does count


def test_a_probe_of_a_settled_clock_takes_little_memory() -> None:
    # What is larger than some hundred kilobytes is taken from the system and given back each time.
    clock = DeviceClock(44100.0)
    link = SyntheticLink(jitter_s=0.0003)
    peaks: list[int] = []
    for event in link.play(67.0, lambda: clock.next_probe_in_s):
        if not event.is_probe:
            clock.add_arrival(event.tick, event.at_s)
        elif event.at_s < link.start_s + 1.0 + _SETTLED_AFTER_S:
            clock.add_probe(event.sent_s, event.at_s, event.tick)
        else:
            tracemalloc.start()
            try:
                clock.add_probe(event.sent_s, event.at_s, event.tick)
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    assert len(peaks) > 2
    assert max(peaks) < 550_000, peaks
