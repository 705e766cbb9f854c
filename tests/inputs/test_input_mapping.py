"""From samples to values: channels, markers, scale, limits, NaN, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.input_settings import InputSettings
from bela_module.inputs.input_mapping import InputMapping, InputStreamFacts, Refused
from bela_module.protocol.variables import ValueType

FOUR = InputStreamFacts(("a", "b", "", "d"))
NAN = float("nan")


def mapping(
    facts: InputStreamFacts = FOUR, value_type: ValueType = ValueType.FLOAT, **fields: Any
) -> InputMapping:
    settings = InputSettings.model_validate({"stream": "x", "buffer_id": 0, **fields})
    return InputMapping(settings, facts, (value_type,))


def test_channels_by_number_and_label_scaled_and_clipped() -> None:
    made = mapping(channels=["d", 0], scale=[2, 1], offset=[0, -1], limits=[-1, 5])
    mapped = made.map_numbers(np.array([[1.0, 9, 9, 1.5], [9.0, 9, 9, 3]], np.float32))
    assert mapped.rows.tolist() == [[3, 0], [5, 5]]
    assert (mapped.refused, mapped.releases) == ((), False)


def test_whole_numbers_are_rounded_and_kept_in_their_type() -> None:
    made = mapping(value_type=ValueType.UNSIGNED_INT, channels=0)
    rows = made.map_numbers(np.array([[1.6, 0, 0, 0], [-3, 0, 0, 0], [1e12, 0, 0, 0]])).rows
    assert rows.ravel().tolist() == [2, 0, 2**32 - 1]


def test_whole_numbers_lie_within_limits_that_are_none() -> None:
    made = mapping(value_type=ValueType.INT, channels=0, limits=[0.6, 2.4])
    rows = made.map_numbers(np.array([[-9.0, 0, 0, 0], [0.1, 0, 0, 0], [9, 0, 0, 0]])).rows
    assert rows.ravel().tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("value_type", "limits"),
    [(ValueType.INT, [0.2, 0.8]), (ValueType.CHAR, [300, 400]), (ValueType.UNSIGNED_INT, [-5, -1])],
)
def test_limits_without_a_value_of_the_type_are_refused(
    value_type: ValueType, limits: list[float]
) -> None:
    asked = {"buffer_id": None, "variables": ["x"], "channels": 0, "limits": limits}
    with pytest.raises(RequestError, match="hold no value that each variable can take"):
        mapping(value_type=value_type, **asked)


def test_a_channel_is_a_number_also_as_a_text_unless_it_is_a_label() -> None:
    samples = np.array([[10.0, 11, 12]])
    unlabelled, labelled = InputStreamFacts(("", "", "")), InputStreamFacts(("2", "1", "0"))
    assert mapping(unlabelled, channels=["2", 1]).map_numbers(samples).rows.tolist() == [[12, 11]]
    assert mapping(labelled, channels=["2", 1]).map_numbers(samples).rows.tolist() == [[10, 11]]


def test_a_hold_leaves_samples_out_that_are_no_numbers() -> None:
    mapped = mapping(channels=[0, 1]).map_numbers(
        np.array([[1.0, NAN, 0, 0], [1, 2, NAN, 0], [np.inf, 2, 0, 0]])
    )
    assert mapped.rows.tolist() == [[1, 2]]
    assert mapped.refused == (Refused.NOT_A_NUMBER, Refused.NOT_A_NUMBER)


def test_a_default_takes_the_place_of_what_is_no_number() -> None:
    made = mapping(channels=[0, 1], on_nan="default", default=[7, 8], scale=10, limits=[0, 7.5])
    mapped = made.map_numbers(np.array([[NAN, 0.1, 0, 0], [0.2, -np.inf, 0, 0]]))
    assert mapped.rows.tolist() == [[7, 1], [2, 7.5]]


def test_a_release_follows_the_newest_sample() -> None:
    settings = InputSettings.model_validate(
        {"stream": "x", "variables": "gain", "channels": 0, "on_nan": "release"}
    )
    made = InputMapping(settings, FOUR, (ValueType.DOUBLE,))
    assert made.map_numbers(np.array([[1.0, 0, 0, 0], [NAN, 0, 0, 0]])).releases
    assert not made.map_numbers(np.array([[NAN, 0, 0, 0], [1.0, 0, 0, 0]])).releases


def test_markers_have_values_and_others_are_left_out() -> None:
    made = mapping(InputStreamFacts(("",), is_text=True), markers={"left": 0, "right": 1}, scale=3)
    mapped = made.map_texts([["right"], ["start"], ["left"]])
    assert mapped.rows.tolist() == [[3], [0]]
    assert mapped.refused == (Refused.UNKNOWN_MARKER,)
    assert made.map_texts([["start"]]).rows.shape == (0, 1)


@pytest.mark.parametrize(
    ("facts", "fields", "reason"),
    [
        (FOUR, {"channels": 4}, r"channels = 4: the stream has 4 channels .* labelled \['a',"),
        (FOUR, {"channels": "c"}, "channels = 'c': the stream has 4 channels"),
        (FOUR, {"scale": [1, 2]}, r"scale = \[1.0, 2.0\]: must be one number for all"),
        (FOUR, {"markers": {"a": 1}}, "the stream has numbers, and markers are for texts"),
        (InputStreamFacts(("",), is_text=True), {}, "the stream has texts: markers"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(
    facts: InputStreamFacts, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RequestError, match=reason):
        mapping(facts, **fields)


def test_there_are_as_many_variables_as_channels() -> None:
    settings = InputSettings.model_validate({"stream": "x", "variables": ["a", "b"]})
    with pytest.raises(RequestError, match="4 channels for 2 variables"):
        InputMapping(settings, FOUR, (ValueType.DOUBLE,))


@given(
    st.lists(st.lists(st.floats(), min_size=4, max_size=4), min_size=1, max_size=20),
    st.sampled_from(list(ValueType)),
    st.sampled_from(["hold", "default"]),
)
def test_what_comes_out_is_always_within_limits_and_type(
    samples: list[list[float]], value_type: ValueType, on_nan: str
) -> None:
    made = mapping(value_type=value_type, on_nan=on_nan, default=300, scale=3, limits=[-100, 1e9])
    mapped = made.map_numbers(np.array(samples))
    assert np.isfinite(mapped.rows).all()
    assert ((mapped.rows >= -100) & (mapped.rows <= 1e9)).all()
    stored = mapped.rows.astype(value_type.dtype).astype(np.float64)
    np.testing.assert_allclose(stored, mapped.rows, rtol=1e-6, atol=1e-30)
    assert len(mapped.rows) + len(mapped.refused) == len(samples)
