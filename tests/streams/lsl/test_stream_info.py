"""Identity of outlets; their metadata are read back over LSL in test_outlets.py."""

from __future__ import annotations

from dataclasses import replace

from bela_module.streams.lsl.stream_info import markers_info, source_id
from bela_module.streams.sink import Origin

ORIGIN = Origin("lab", "potentiometers", 22050.125, 44100.0, 0.000123, 0.0005)


def test_the_identity_holds_stable_facts_alone() -> None:
    later = replace(ORIGIN, tick_rate_hz=22050.2, uncertainty_s=0.0002)
    assert source_id(ORIGIN, "bela_pot1") == "bela:lab:potentiometers:bela_pot1"
    assert source_id(later, "bela_pot1") == source_id(ORIGIN, "bela_pot1")


def test_another_set_of_variables_that_share_a_stream_is_another_stream() -> None:
    assert source_id(ORIGIN, "bela_float32", "0a1b").endswith(":bela_float32:0a1b")


def test_markers_are_an_irregular_stream_of_strings() -> None:
    info = markers_info("bela_events", ORIGIN)
    assert (info.type(), info.channel_count(), info.nominal_srate()) == ("Markers", 1, 0.0)
    assert info.source_id() == "bela:lab:potentiometers:bela_events"
