"""Lanes, automatic scales, labels of the axis."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.viewing.signals.lanes import (
    MARGIN,
    Channel,
    Layout,
    Scale,
    axis_labels,
    bounded,
    fit_scale,
    plan_lanes,
    significant_digits,
    to_lane,
)

CHANNELS = (
    Channel("pots", 0, "pot1", "V"),
    Channel("pots", 1, "pot2", "V"),
    Channel("sine", 0, "sine", ""),
)
NUMBER = st.floats(-1e12, 1e12)


def test_each_layout_gives_each_channel_its_lane() -> None:
    apart = plan_lanes(CHANNELS, Layout.CHANNELS)
    assert apart.lane_of == (0, 1, 2)
    assert apart.titles == ("pot1 (V)", "pot2 (V)", "sine")
    streams = plan_lanes(CHANNELS, Layout.STREAMS)
    assert streams.lane_of == (0, 0, 1)
    assert streams.titles == ("pots", "sine")
    overlaid = plan_lanes(CHANNELS, Layout.OVERLAID)
    assert overlaid.lane_of == (0, 0, 0)
    assert overlaid.n_lanes == 1
    assert plan_lanes((), Layout.OVERLAID).n_lanes == 0


def test_the_first_lane_is_at_the_top_and_a_stream_knows_its_lanes() -> None:
    plan = plan_lanes(CHANNELS, Layout.CHANNELS)
    assert [plan.bottom(lane) for lane in range(3)] == [2, 1, 0]
    assert plan.lanes_of_stream("pots") == (0, 1)
    assert plan.lanes_of_stream("gone") is None


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=6))
def test_a_scale_always_has_what_is_shown_and_a_length(pairs: list[tuple[float, float]]) -> None:
    scale = None
    for pair in pairs:
        low, high = min(pair), max(pair)
        scale = fit_scale(scale, low, high)
        assert scale.low <= low <= high <= scale.high
        assert scale.high > scale.low


@pytest.mark.parametrize(
    ("low", "high"), [(-1e308, 1e308), (1e308, 1e308), (-1.7e308, -1.7e308), (0.0, 5e-324)]
)
def test_any_number_can_be_drawn(low: float, high: float) -> None:
    plan = plan_lanes(CHANNELS[:1], Layout.CHANNELS)
    for scale in (fit_scale(None, low, high), bounded(Scale(-1.7e308, 1.7e308))):
        assert fit_scale(scale, low, high).high > scale.low
        assert 3 <= significant_digits(scale) <= 9
        heights = to_lane(np.array([low, high, np.inf, -np.inf]), scale, 0.0)
        assert np.all((heights >= MARGIN) & (heights <= 1 - MARGIN))
        assert len(axis_labels(plan, [scale], 600)) == 5


def test_a_scale_stands_still_and_shrinks_only_when_much_is_unused() -> None:
    scale = fit_scale(None, 0.0, 10.0)
    assert fit_scale(scale, 1.0, 9.0) == scale
    assert fit_scale(scale, 0.0, 10.9) == scale
    assert fit_scale(scale, 4.0, 5.0).high < 6
    assert fit_scale(scale, math.nan, math.nan) == scale
    constant = fit_scale(None, 3.0, 3.0)
    assert constant.low < 3 < constant.high
    assert fit_scale(constant, 3.0, 3.0) == constant


def test_values_keep_to_their_lane() -> None:
    heights = to_lane(np.array([-99.0, 0.0, 5.0, 10.0, 99.0]), Scale(0, 10), 3.0)
    assert heights.tolist() == pytest.approx([3 + MARGIN, 3 + MARGIN, 3.5, 4 - MARGIN, 4 - MARGIN])


def test_labels_are_those_for_which_there_is_room() -> None:
    plan = plan_lanes(CHANNELS, Layout.CHANNELS)
    scales = [Scale(0, 10)] * 3
    assert set(axis_labels(plan, scales, 600).values()) == {
        "pot1 (V)",
        "pot2 (V)",
        "sine",
        "0",
        "10",
    }
    for height_px in (120, 200):
        assert set(axis_labels(plan, scales, height_px).values()) == {
            "pot1 (V)",
            "pot2 (V)",
            "sine",
        }
    assert len(axis_labels(plan, scales, 20)) == 2
    one = plan_lanes(CHANNELS, Layout.OVERLAID)
    assert list(axis_labels(one, scales[:1], 600).values()) == ["0", "2.5", "5", "7.5", "10"]
    assert axis_labels(plan_lanes((), Layout.CHANNELS), [], 600) == {}


def test_labels_tell_close_values_apart() -> None:
    plan = plan_lanes(CHANNELS[:1], Layout.OVERLAID)
    texts = list(axis_labels(plan, [Scale(1_000_000, 1_000_010)], 600).values())
    assert len(set(texts)) == 5
