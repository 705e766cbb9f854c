"""Identity and metadata of outlets, read back over LSL as a consumer would."""

from __future__ import annotations

from dataclasses import replace

import pylsl

from bela_module.protocol.variables import ValueType
from bela_module.streams.lsl.stream_info import markers_info, source_id
from bela_module.version import __version__
from tests.support.outlet_helpers import IRREGULAR, ORIGIN, metadata, opened, plan_of, texts


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


# ---- metadata ----------------------------------------------------------------------------------


def test_what_a_dense_group_says_of_itself(unique: str) -> None:
    plan = plan_of(
        unique,
        ValueType.FLOAT,
        ValueType.FLOAT,
        labels=["left", "right"],
        units=["V", "mV"],
        type="Force",
    )
    with opened(plan):
        root = metadata(plan.name)
    assert texts(root, "name") == [f"{unique}group"]
    assert texts(root, "type") == ["Force"]
    assert texts(root, "channel_count") == ["2"]
    assert texts(root, "channel_format") == ["float32"]
    assert float(texts(root, "nominal_srate")[0]) == 22050.0
    assert texts(root, "source_id") == [f"bela:lab:potentiometers:{unique}group"]
    channel = "desc/channels/channel/"
    assert texts(root, channel + "label") == ["left", "right"]
    assert texts(root, channel + "unit") == ["V", "mV"]
    assert texts(root, channel + "type") == ["Force", "Force"]
    acquisition = "desc/acquisition/"
    assert texts(root, acquisition + "manufacturer") == ["Bela"]
    assert len(texts(root, acquisition + "model")) == 1
    assert texts(root, acquisition + "project") == ["potentiometers"]
    assert texts(root, acquisition + "mode") == ["dense"]
    assert float(texts(root, acquisition + "tick_rate_hz")[0]) == 22050.125
    assert float(texts(root, acquisition + "declared_rate_hz")[0]) == 44100.0
    assert float(texts(root, acquisition + "compensated_lag")[0]) == 0.0005
    assert texts(root, acquisition + "address") == ["ws://192.0.2.7:5555"]
    synchronization = "desc/synchronization/"
    assert texts(root, synchronization + "can_drop_samples") == ["true"]
    assert float(texts(root, synchronization + "offset_mean")[0]) == 0.0
    assert float(texts(root, synchronization + "uncertainty_s")[0]) == 0.000123
    assert texts(root, "desc/versions/dp-bela") == [__version__]
    assert int(texts(root, "desc/versions/liblsl")[0]) == pylsl.library_version()


def test_what_a_sparse_variable_says_of_itself(unique: str) -> None:
    plan = plan_of(unique, ValueType.INT, sparse=True)
    with opened(plan, IRREGULAR):
        root = metadata(plan.name)
    assert texts(root, "name") == [f"{unique}v0"]
    assert texts(root, "type") == ["Bela"]
    assert float(texts(root, "nominal_srate")[0]) == pylsl.IRREGULAR_RATE
    assert texts(root, "desc/channels/channel/label") == ["v0"]
    assert texts(root, "desc/acquisition/mode") == ["sparse"]
    assert texts(root, "desc/synchronization/can_drop_samples") == ["false"]
