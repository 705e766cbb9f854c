"""The data channel, byte by byte: what the board sends."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bela_module.connection.capture_file import read_capture
from bela_module.errors import FrameError, RequestError
from bela_module.protocol.block_encoder import encode_block, encode_header, encode_monitor
from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.data_channel import decode_payload, parse_header
from bela_module.protocol.data_decoder import DataDecoder, DecoderCounters
from bela_module.protocol.variables import ValueType
from tests.support.golden_blocks import (
    HEAD_A,
    LAYOUTS,
    PAY_A,
    STRUCT,
    A,
    decode,
    golden_dense,
    golden_sparse,
    variable,
)

CAPTURED_BLOCKS = {
    "alltypes": 270,
    "monitor-alltypes": 55,
    "manyvars": 336,
    "bela-test": 353,
    "scheduled": 52,
    "monitor": 228,
    "log": 0,
    "control": 0,
    "large-ticks": 167,
    "reconnect": 48,
    "two-clients-a": 37,
    "two-clients-b": 37,
    "overflow": 203,
    "potentiometers": 88,
}


# ---- layout and headers ----------------------------------------------------------------------


@pytest.mark.parametrize("digits", range(1, 10))
def test_headers_with_ids_of_any_number_of_digits(digits: int) -> None:
    for index, kind in itertools.product((10 ** (digits - 1), 10**digits - 1), LAYOUTS):
        message = f"{index}/{kind}".encode("ascii")
        assert parse_header(message) == (index, ValueType(kind))
        assert encode_header(variable(kind, index=index)) == message


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"/",
        b"/f",
        b"0/",
        b"0",
        b"f/0",
        b"0/x",
        b"0/F",
        b"-1/f",
        b"0x1/f",
        b"0/ff",
        b"0//f",
        b" 0/f",
        b"0/f ",
        b"0/f\n",
        b"0/f\0",
        b"1234567890/f",
        "\u0661/f".encode(),
        b"9" * 5000 + b"/f",
    ],
)
def test_what_is_no_header(message: bytes) -> None:
    assert parse_header(message) is None


# ---- payloads, both ways -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYOUTS)
def test_dense_payload_keeps_its_padding_which_it_cannot_tell(kind: str) -> None:
    payload = golden_dense(kind, 7, [1, 2, 3])
    assert encode_block(variable(kind), 7, np.array([1, 2, 3])) == payload
    block = decode_payload(variable(kind), payload)
    assert block.values.size == LAYOUTS[kind][0]
    assert block.values[:4].tolist() == [1, 2, 3, 0]


def test_values_are_views_of_the_message_and_cannot_be_changed() -> None:
    block = decode_payload(variable("f"), golden_dense("f", 0, [1.0]))
    assert not block.values.flags.writeable
    assert not block.values.flags.owndata


def test_sparse_values_at_one_tick_are_all_kept() -> None:
    payload = golden_sparse("d", 100, [1.0, 2.0, 3.0, 4.0], [0, 0, 0, 5])
    block = decode_payload(variable("d", sparse=True), payload)
    assert block.values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert block.ticks.tolist() == [100, 100, 100, 105]
    assert not block.full


def test_a_single_sparse_value_is_one_value_even_when_it_is_zero() -> None:
    block = decode_payload(variable("d", sparse=True), golden_sparse("d", 77, [0.0], [0]))
    assert block.values.tolist() == [0.0]
    assert block.ticks.tolist() == [77]


def test_sparse_zeros_within_the_block_are_values() -> None:
    payload = golden_sparse("i", 10, [0, 0, 5, 0], [0, 12, 24, 36])
    block = decode_payload(variable("i", sparse=True), payload)
    assert block.values.tolist() == [0, 0, 5, 0]
    assert block.ticks.tolist() == [10, 22, 34, 46]


def test_relative_ticks_reach_their_whole_unsigned_range() -> None:
    payload = golden_sparse("f", 2**40, [1.0, 2.0], [0, 2**32 - 1])
    block = decode_payload(variable("f", sparse=True), payload)
    assert block.ticks.tolist() == [2**40, 2**40 + 2**32 - 1]


@pytest.mark.parametrize(
    "relative", [[0, 5, 4], [3, 5, 9], [0, 0, 2**32 - 1, 1]], ids=["back", "not at 0", "wrapped"]
)
def test_relative_ticks_that_run_backwards_are_refused(relative: list[int]) -> None:
    payload = golden_sparse("f", 10, [1.0] * len(relative), relative)
    with pytest.raises(FrameError, match="run backwards"):
        decode_payload(variable("f", sparse=True), payload)


@pytest.mark.parametrize("tick", [0, 2**32, 2**53 + 1, 2**63 - 1])
def test_ticks_keep_every_digit(tick: int) -> None:
    assert decode_payload(variable("f"), golden_dense("f", tick, [1.0])).tick == tick


@pytest.mark.parametrize("tick", [2**63, 2**64 - 1])
def test_a_tick_that_no_board_can_reach_is_refused(tick: int) -> None:
    with pytest.raises(FrameError, match=str(tick)):
        decode_payload(variable("f"), golden_dense("f", tick, [1.0]))


@pytest.mark.parametrize("kind", LAYOUTS)
def test_payloads_of_other_sizes_are_refused(kind: str) -> None:
    right = {4104, 8 + struct.calcsize(STRUCT[kind])}
    for size in {0, 7, 8, 9, 10, 12, 15, 16, 17, 4103, 4105, 8208, 10**6} - right:
        with pytest.raises(FrameError, match=f"payload of {size} bytes"):
            decode_payload(variable(kind), bytes(size))


def test_a_dense_block_does_not_pretend_to_know_its_ticks() -> None:
    block = decode_payload(variable("f"), golden_dense("f", 0, [1.0]))
    with pytest.raises(RequestError, match="one tick"):
        _ = block.ticks


# ---- pairing -----------------------------------------------------------------------------------


def test_watch_and_monitor_of_one_variable_differ_by_length_alone() -> None:
    monitor = encode_monitor(A, 12, 5.0)
    blocks, _, _ = decode([HEAD_A, PAY_A, HEAD_A, monitor, HEAD_A, PAY_A])
    assert [block.monitor for block in blocks] == [False, True, False]


# ---- properties --------------------------------------------------------------------------------


# ---- what boards really sent -------------------------------------------------------------------


@pytest.mark.parametrize("name", CAPTURED_BLOCKS)
def test_every_block_of_a_capture_decodes(name: str, capture_path: Callable[[str], Path]) -> None:
    decoder = DataDecoder()
    connection = None
    for message in read_capture(capture_path(name)):
        if message.connection != connection:
            decoder.restart()
            connection = message.connection
        if not message.from_board:
            continue
        if message.channel == "data":
            decoder.receive(message.message)
        elif isinstance(reply := parse_control_message(message.message), VariableList):
            decoder.describe(reply.variables)
    orphans = 28 if name == "overflow" else 0
    assert decoder.counters == DecoderCounters(blocks=CAPTURED_BLOCKS[name], orphan_headers=orphans)
