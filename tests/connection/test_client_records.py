"""What a client counts begins at nothing."""

from __future__ import annotations

from bela_module.connection.client_records import ClientCounters


def test_counters_begin_at_zero() -> None:
    counters = ClientCounters()
    assert (counters.foreign_replies, counters.bad_frames, counters.other_clients) == (0, 0, 0)
