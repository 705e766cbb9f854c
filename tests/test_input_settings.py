"""Settings of inputs: what is allowed together, and how a stream is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bela_module.config import parse_settings
from bela_module.errors import ConfigError
from bela_module.input_settings import InputSettings, StreamChoice

BUFFER = {"stream": "decoder", "buffer_id": 0}
VARIABLE = {"stream": "decoder", "variables": "gain"}


def test_a_name_alone_is_a_stream() -> None:
    settings = InputSettings.model_validate(BUFFER)
    assert settings.stream.as_predicate == "name='decoder'"
    assert (settings.type, settings.on_end, settings.per, settings.max_rate_hz) == (
        "f", "hold", "sample", 1000.0,
    )  # fmt: skip


def test_all_that_is_said_of_a_stream_must_be_so() -> None:
    choice = StreamChoice(type="Control", source_id="a1", predicate="channel_count>3")
    assert choice.as_predicate == "type='Control' and source_id='a1' and (channel_count>3)"
    assert str(choice) == choice.as_predicate
    assert str(StreamChoice(name="x")) == "'x'"


def test_a_type_alone_does_not_mean_the_streams_of_this_module() -> None:
    """Its events are of the type "Markers", as those of most decoders are."""
    choice = StreamChoice(type="Markers")
    assert choice.as_predicate == "type='Markers' and not(starts-with(source_id,'bela:'))"
    assert StreamChoice(name="x", type="Markers").as_predicate == "name='x' and type='Markers'"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"stream": {}}, "must have a name, type, source_id or predicate"),
        ({"stream": "it's"}, "must not contain quotes"),
        (BUFFER | {"stream": ""}, "must be a name, not empty"),
        (BUFFER | {"stream": 5}, "must be a name, or a table of name, type, source_id"),
        (BUFFER | {"type": "i", "limits": [0.2, 0.8]}, "limits hold no whole number"),
        ({"stream": "x"}, "either buffer_id is required, or variables"),
        (BUFFER | {"variables": ["gain"]}, "either buffer_id is required, or variables"),
        (BUFFER | {"on_end": "release"}, '"release" needs variables'),
        (BUFFER | {"on_nan": "default"}, 'default is required for "default"'),
        (BUFFER | {"type": "c", "echo": "echo"}, 'echo needs another type than "c"'),
        (BUFFER | {"limits": [1, 1]}, "limits must be the least value and a greater one"),
        (BUFFER | {"scale": []}, "scale and offset must have a number each"),
        (BUFFER | {"scale": [True]}, "must be a number, not a boolean"),
        (BUFFER | {"max_rate_hz": 1e-10}, "greater than or equal to 0.01"),
        (BUFFER | {"max_rate_hz": 1e6}, "less than or equal to 10000"),
        (BUFFER | {"chanels": 1}, "chanels"),
        (VARIABLE | {"echo": "echo"}, "echo needs buffer_id"),
        (VARIABLE | {"per": "chunk"}, 'per = "chunk" needs buffer_id'),
        (VARIABLE | {"channels": [0, 1]}, "2 channels for 1 variables"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        InputSettings.model_validate(fields)
    assert rule in str(refused.value)


@pytest.mark.parametrize("channel", [-1, 0.5, True, None, [0], 10_001])
def test_what_is_no_channel_is_refused_in_one_sentence(channel: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_settings({"inputs": {"level": BUFFER | {"channels": [0, channel]}}}, "test")
    rule = "must be the number of a channel, 0 to 10000, or its label"
    assert str(refused.value).endswith(f"inputs.level.channels.1 = {channel}: {rule}")


def test_channels_are_numbers_and_labels() -> None:
    settings = InputSettings.model_validate(BUFFER | {"channels": [0, 1.0, "2", "c"]})
    assert settings.channels == (0, 1, "2", "c")


def test_they_stand_in_the_configuration() -> None:
    table = {"level": BUFFER | {"channels": ["level", 2], "markers": {}}, "gain": VARIABLE}
    settings = parse_settings({"inputs": table}, "test")
    assert settings.inputs["level"].channels == ("level", 2)
    assert settings.inputs["gain"].variables == ("gain",)
    with pytest.raises(ConfigError, match=r"inputs.level.buffer: unknown key; did you mean buffer"):
        parse_settings({"inputs": {"level": {"stream": "x", "buffer": 0}}}, "test")
