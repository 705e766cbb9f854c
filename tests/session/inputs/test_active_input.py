"""One input from its stream to what is to be sent: values, endings, states, counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.input_settings import InputFields
from bela_module.inputs.input_mapping import InputStreamFacts
from bela_module.session.inputs.active_input import ActiveInput
from bela_module.session.inputs.states import InputState
from tests.support.made_input import Made

NAN = float("nan")


def test_the_latest_sample_is_sent_with_its_stamp() -> None:
    made = Made(scale=2, limits=[0, 5]).found()
    assert made.one.state is InputState.RECEIVING
    assert made.told == ["input level: receives 'x' from lab (irregular)"]
    made.put(1, 2)
    made.put(3)
    assert made.woken == 1
    (message,) = made.messages()
    assert (message.values.tolist(), message.stamp_s, message.number) == ([5], 100.0, 0)
    status = made.one.status(100.5)
    assert (status["samples"], status["dropped"], status["age_s"]) == (3, 2, 0.5)
    assert (status["stream"], status["destination"], status["values"]) == ("x", "buffer 0", [5])
    assert "loop" not in status


def test_a_chunk_is_sent_whole_as_far_as_a_buffer_holds_it() -> None:
    made = Made(per="chunk", type="d", channels=[0, 1], echo="echo").found()
    made.put(*range(3))
    assert made.sent() == [[0, 9, 1, 9, 2, 9]]
    made.put(*range(5000))
    (values,) = made.sent()
    assert values is not None
    assert 16 + 8 * (len(values) + 1) < 16_000
    assert (len(values) % 2, values[-2]) == (0, 4999)
    assert made.one.waiting.dropped == 5000 - len(values) // 2


def test_commands_are_numbered_where_they_are_echoed() -> None:
    made = Made(echo="echo").found()
    numbers = []
    for value in (1, 2):
        made.put(value)
        numbers += [message.number for message in made.messages()]
    assert numbers == [41, 42]
    assert made.one.status(0.0)["loop"]["echo"] == "echo"


def test_what_is_no_number_is_refused_and_counted() -> None:
    made = Made().found()
    made.put(NAN)
    assert made.sent() == []
    made.put(1)
    assert made.sent() == [[1]]
    assert made.one.status(0.0)["refused"] == 1


def test_texts_have_values() -> None:
    made = Made(markers={"left": 0, "right": 1}).found(InputStreamFacts(("",), is_text=True))
    made.one.take_samples([["left"], ["right"]], np.array([1.0, 2.0]))
    assert made.sent() == [[1]]
    made.one.take_samples([["other"]], np.array([3.0]))
    assert made.sent() == []


@pytest.mark.parametrize(
    ("fields", "sent", "words"),
    [
        ({}, [], "the latest value is held"),
        ({"on_end": "default", "default": 0.25}, [[0.25]], "the default [0.25] is sent"),
        ({"variables": "gain", "on_end": "release"}, [None], "control is given back"),
    ],
)
@pytest.mark.parametrize("end", ["stream", "stop"])
def test_at_the_end_comes_what_is_configured(
    fields: dict[str, Any], sent: list[Any], words: str, end: str
) -> None:
    made = Made(**fields).found()
    made.put(1)
    made.messages()
    made.put(2)  # is not sent any more after the end, where something else is
    if end == "stream":
        made.one.stream_ended("the stream has been lost.")
        assert made.one.state is InputState.SEARCHING
        assert "(the stream has been lost); " in made.told[-1]
        assert made.told[-1] == made.one.problem
    else:
        made.one.stop("stopped")
        assert made.one.state is InputState.STOPPED
        assert made.one.problem == ""
    assert words in made.told[-1]
    expected = [[2]] if end == "stream" and not sent else sent
    assert made.sent() == expected
    assert not made.one.has_more


def test_a_stream_that_is_back_goes_on() -> None:
    made = Made(on_end="default", default=0).found()
    made.put(1)
    assert made.sent() == [[1]]
    made.one.stream_ended("lost")
    made.found()  # before the default was sent: it is not any more
    made.put(2)
    assert made.sent() == [[2]]
    assert made.one.state is InputState.RECEIVING


def test_nan_may_release_and_the_next_number_takes_control_again() -> None:
    made = Made(variables="gain", on_nan="release").found()
    made.put(1)
    made.messages()
    made.put(NAN)
    assert made.sent() == [None]
    assert not made.one.has_control
    made.put(2)
    assert made.sent() == [[2]]
    assert made.one.has_control


def test_the_latest_values_are_sent_again_where_the_board_forgot_them() -> None:
    made = Made(variables="gain").found()
    made.one.resends = True
    assert made.sent() == []  # nothing was sent yet
    made.put(1)
    assert made.sent() == [[1]]
    made.one.resends = True
    assert made.sent() == [[1]]


def test_a_message_that_was_not_sent_is_tried_again_or_counted() -> None:
    made = Made(variables="gain", on_end="default", default=0).found()
    made.put(1)
    (message,) = made.messages()
    assert made.one.note_unsent(message) == 0
    assert made.sent() == [[1]]
    made.one.stop("stopped")
    (message,) = made.messages()
    made.one.note_unsent(message)
    assert made.sent() == [[0]]
    made = Made(per="chunk").found()
    made.put(1, 2)
    (message,) = made.messages()
    assert made.one.note_unsent(message) == 2
    assert made.sent() == []
    assert made.one.waiting.dropped == 2


def test_one_that_is_over_wants_control_for_its_default_alone() -> None:
    made = Made(variables="gain", on_end="default", default=0).found()
    made.put(1)
    assert made.one.claim_control()
    made.messages()
    made.one.resends = True
    made.one.stop("stopped")
    assert made.one.needs_control
    assert made.sent() == [[0]]
    assert not made.one.needs_control
    made.one.resends = True
    assert not made.one.has_more


def test_what_is_set_after_the_end_is_left_alone() -> None:
    made = Made(variables="gain", on_end="default", default=0).found()
    made.put(1)
    made.messages()
    made.one.yield_to_set({"gain"})  # while it drives, its next value comes anyway
    assert made.one.has_control
    made.one.stop("stopped")
    made.one.yield_to_set({"gain"})
    assert made.sent() == []
    assert not made.one.needs_control


@pytest.mark.parametrize("stamp_s", [NAN, float("inf")])
def test_a_stamp_that_is_no_time_has_no_age(stamp_s: float) -> None:
    made = Made().found()
    made.one.take_samples(np.array([[1.0, 2.0]]), np.array([stamp_s]))
    status = made.one.status(100.0)
    assert status["age_s"] is None
    json.dumps(status, allow_nan=False)


def test_samples_that_the_inlet_drops_are_counted() -> None:
    made = Made().found()
    made.one.samples_dropped(3)
    made.put(1)
    status = made.one.status(100.0)
    assert (status["samples"], status["dropped"]) == (4, 3)


def test_another_kind_of_stream_is_refused_before_its_first_sample() -> None:
    made = Made(channels=2)
    with pytest.raises(RequestError, match="the stream has 2 channels"):
        made.found()
    made.one.stream_refused("the stream has 2 channels")
    assert made.one.state is InputState.REFUSED
    assert "cannot be used: the stream has 2 channels" in made.one.problem
    made.one.stream_refused("the stream has 2 channels")
    assert len(made.told) == 1  # once
    made.one.take_samples(np.ones((1, 2)), np.ones(1))
    assert made.sent() == []
    assert made.one.waiting.dropped == 1


def test_after_stop_nothing_is_taken() -> None:
    made = Made(on_end="default", default=0).found()
    made.one.stop("stopped")
    assert made.sent() == [[0]]
    made.put(5)
    made.found()
    made.one.stream_ended("late")
    made.one.stop("stopped")
    assert made.sent() == []
    assert made.one.state is InputState.STOPPED


def test_what_never_drove_anything_sends_nothing_at_the_end() -> None:
    made = Made(on_end="default", default=0)
    assert made.one.problem == "input level: no stream 'x' is there yet"
    made.one.stop("stopped")
    assert made.sent() == []
    assert made.told == ["input level: stopped; it had sent nothing"]


def test_several_of_one_name_are_told() -> None:
    made = Made().found(n_others=2)
    assert made.told[0].endswith("2 more are called so: name its source_id to be sure")


def test_a_stream_is_required() -> None:
    unused: Callable[..., None] = lambda *_: None  # noqa: E731
    with pytest.raises(RequestError, match="stream is required"):
        ActiveInput("x", InputFields(), post=unused, wake=unused, on_change=unused)


def test_a_refused_stream_that_is_gone_is_looked_for() -> None:
    made = Made()
    made.one.stream_refused("it cannot be reached")
    assert made.one.state is InputState.REFUSED
    made.one.stream_ended("the stream has been lost")
    assert made.one.state is InputState.SEARCHING
    assert made.told[-1] == made.one.problem == "input level: no stream 'x' is there any more"
