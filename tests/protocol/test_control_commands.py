"""Commands on the control channel: the exact JSON that boards understand, in pieces they take."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.protocol.control_commands import (
    CONNECTION_REPLY,
    MAX_MESSAGE_BYTES,
    control_command,
    encode_commands,
    list_command,
    monitor_command,
    set_command,
    uncontrol_command,
    unwatch_command,
    watch_command,
)
from bela_module.simulator import board_json


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (list_command(), '{"cmd":"list"}'),
        (watch_command(["pot1", "pot2"]), '{"cmd":"watch","watchers":["pot1","pot2"]}'),
        (
            watch_command(["pot1", "pot2"], [48385, 2**53], [24200, 1]),
            '{"cmd":"watch","watchers":["pot1","pot2"],"timestamps":[48385,9007199254740992],'
            '"durations":[24200,1]}',
        ),
        (unwatch_command(["pot1"]), '{"cmd":"unwatch","watchers":["pot1"]}'),
        (unwatch_command(["pot1"], [5]), '{"cmd":"unwatch","watchers":["pot1"],"timestamps":[5]}'),
        (
            monitor_command(["a", "b"], [1000, 0]),
            '{"cmd":"monitor","watchers":["a","b"],"periods":[1000,0]}',
        ),
        (control_command(["a"]), '{"cmd":"control","watchers":["a"]}'),
        (uncontrol_command(["a"]), '{"cmd":"uncontrol","watchers":["a"]}'),
        (
            set_command(["a", "b"], [4.6, -3]),
            '{"cmd":"set","watchers":["a","b"],"values":[4.6,-3]}',
        ),
    ],
    ids=lambda value: value["cmd"] if isinstance(value, dict) else "",
)
def test_commands_are_the_json_that_the_board_understands(
    command: dict[str, Any], text: str
) -> None:
    assert encode_commands([command]) == ['{"watcher":[' + text + "]}"]


def test_the_answer_to_a_connection() -> None:
    assert CONNECTION_REPLY == '{"event":"connection-reply"}'


def test_commands_share_a_message_in_their_order() -> None:
    (message,) = encode_commands([control_command(["a"]), set_command(["a"], [1]), list_command()])
    assert [entry["cmd"] for entry in json.loads(message)["watcher"]] == ["control", "set", "list"]


def test_no_commands_are_no_message() -> None:
    assert encode_commands([]) == []


def test_names_beyond_ascii_are_escaped() -> None:
    (message,) = encode_commands([watch_command(["\u00e9", '"\\', "\U0001f600"])])
    assert message.isascii()
    assert r'"\u00e9","\"\\","\ud83d\ude00"' in message


@pytest.mark.parametrize(
    "build",
    [
        lambda: watch_command(["a", "b"], [1]),
        lambda: watch_command(["a"], [1], [1, 2]),
        lambda: unwatch_command(["a"], []),
        lambda: monitor_command(["a"], [1, 2]),
        lambda: set_command(["a", "b"], [1.0]),
    ],
    ids=["timestamps", "durations", "stop", "periods", "values"],
)
def test_lists_of_unequal_length_are_refused_here(build: Callable[[], Any]) -> None:
    # The board would skip the rest of the message in silence.
    with pytest.raises(RequestError, match=r"\d .* for \d variables"):
        build()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused_here(value: float) -> None:
    # The board would ignore the whole message in silence.
    with pytest.raises(RequestError, match="finite"):
        set_command(["a", "b"], [1.0, value])


commands = st.lists(
    st.lists(st.text(max_size=300), min_size=1, max_size=60).flatmap(
        lambda names: st.sampled_from(
            [
                watch_command(names, list(range(len(names))), [7] * len(names)),
                monitor_command(names, list(range(len(names)))),
                unwatch_command(names),
            ]
        )
    ),
    max_size=6,
)


@given(commands)
def test_however_split_the_board_gets_every_entry_once_and_in_order(
    asked: list[dict[str, Any]],
) -> None:
    def entries(of: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        keys = ("watchers", "timestamps", "durations", "periods")
        return [
            (command["cmd"], *values)
            for command in of
            for values in zip(
                *(command.get(key, [None] * len(command["watchers"])) for key in keys), strict=True
            )
        ]

    messages = encode_commands(asked)
    heard = [board_json.parse_message(message) for message in messages]
    assert None not in heard
    assert all(len(message) <= MAX_MESSAGE_BYTES for message in messages)
    received = [command for root in heard if root is not None for command in root["watcher"]]
    assert entries(received) == entries(asked)


def test_a_long_command_is_split_below_the_limit() -> None:
    names = [f"variable_{k:05d}" for k in range(5000)]
    messages = encode_commands([monitor_command(names, list(range(5000)))])
    assert max(map(len, messages)) <= MAX_MESSAGE_BYTES < 16_000
    parts = [json.loads(message)["watcher"] for message in messages]
    pairs = [
        pair
        for part in parts
        for command in part
        for pair in zip(command["watchers"], command["periods"], strict=True)
    ]
    assert pairs == list(zip(names, range(5000), strict=True))


def test_a_name_too_long_for_any_message_is_refused() -> None:
    with pytest.raises(RequestError, match=str(MAX_MESSAGE_BYTES)):
        encode_commands([watch_command(["x" * MAX_MESSAGE_BYTES])])
