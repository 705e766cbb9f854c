"""The board's JSON: what it ignores, and how it writes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.control_channel import LogReply, VariableList, parse_control_message
from bela_module.protocol.variables import ValueType, Variable
from bela_module.simulator import board_json


@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_any_text_survives_and_is_ascii(text: str) -> None:
    written = board_json.connection_event(text)
    assert written.isascii()
    assert json.loads(written) == {"event": "connection", "projectName": text}


def test_text_is_escaped_as_the_board_does() -> None:
    written = board_json.connection_event('a/b "q" \\ é\x7f\n')
    assert written.endswith(r'"a\/b \"q\" \\ \u00E9\u007F\n"}')


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (27071, "27071"),
        (10**15 + 26420, "1.00000000002642e+15"),
        (0.1, "0.1"),
        (1 / 3, "0.333333333333333"),
        (math.nan, "null"),
        (-math.inf, "null"),
    ],
)
def test_numbers_have_fifteen_digits(value: float, written: str) -> None:
    variable = Variable(0, "v", ValueType.DOUBLE, value=value)
    assert f'"value":{written},' in board_json.list_reply(44100.0, 5, [variable])


def test_a_list_is_read_as_it_was_written() -> None:
    variables = [
        Variable(0, "a", ValueType.FLOAT, value=1.5, value_input=2.5, controlled=True),
        Variable(1, "b", ValueType.CHAR, sparse=True, watched=True, monitor_period_ticks=7),
        Variable(2, "c", ValueType.INT, logged=True, log_file_name="c+0.bin"),
    ]
    reply = parse_control_message(board_json.list_reply(44100.0, 123, variables))
    assert reply == VariableList(44100.0, 123, 1, tuple(variables))


def test_a_log_reply_is_read_as_it_was_written() -> None:
    text = board_json.log_reply("myvar", "myvar.bin", 26752, 2**64 - 1)
    assert text == (
        '{"watcher":{"logFileName":"myvar.bin","timestamp":26752,'
        '"timestampEnd":1.84467440737096e+19,"watcher":"myvar"}}'
    )
    assert parse_control_message(text) == LogReply("myvar", "myvar.bin", 26752, 1.84467440737096e19)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_whatever_comes_is_an_object_or_ignored(text: str) -> None:
    root = board_json.parse_message(text)
    assert root is None or isinstance(root, dict)


@pytest.mark.parametrize(
    ("value", "number", "unsigned"),
    [
        (5, 5.0, 5),
        (4.9, 4.9, 4),
        (True, 1.0, 1),
        (-3, -3.0, 0),
        ("7", 0.0, 0),
        (None, 0.0, 0),
        ([1], 0.0, 0),
        (10**400, math.inf, 2**61),
        (1e300, 1e300, 2**61),
    ],
)
def test_what_is_no_number_counts_as_zero(value: Any, number: float, unsigned: int) -> None:
    assert board_json.number(value) == number
    assert board_json.unsigned(value) == unsigned


def test_what_is_no_array_counts_as_an_empty_one() -> None:
    assert board_json.items({"a": [1]}, "a") == [1]
    assert board_json.items({"a": {"b": 1}}, "a") == []
    assert board_json.items({}, "a") == board_json.items(None, "a") == []
