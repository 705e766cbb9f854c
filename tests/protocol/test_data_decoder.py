"""Headers and payloads become blocks; what gives none is counted."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bela_module.protocol.block_encoder import encode_block, encode_header, encode_monitor
from bela_module.protocol.data_channel import Block, parse_header
from bela_module.protocol.data_decoder import DataDecoder, DecoderCounters, Refusal, RefusalReason
from bela_module.protocol.variables import ValueType, Variable
from tests.support.golden_blocks import (
    HEAD_A,
    HEAD_B,
    HEAD_C,
    PAY_A,
    VARIABLES,
    A,
    B,
    decode,
    describe,
    golden_dense,
    golden_sparse,
    headers,
    payloads,
)

PAY_B = golden_dense("d", 20, [2.0])


PAY_C = golden_sparse("f", 30, [3.0, 4.0], [0, 12])


messages_of_any_kind = st.lists(headers | payloads | st.binary(max_size=40), max_size=30)


@st.composite
def written_blocks(draw: st.DrawFn) -> tuple[Variable, bytes]:
    var = draw(st.sampled_from(VARIABLES))
    tick = draw(st.integers(0, 2**63 - 1))
    if draw(st.booleans()):
        return var, encode_monitor(var, tick, draw(st.integers(0, 100)))
    count = draw(st.integers(1, var.layout.value_count))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, count)
    return var, encode_block(var, tick, values, np.arange(count) * 3 if var.sparse else None)


LOSSES = {"none": 0b11, "payload": 0b10, "header": 0b01, "both": 0b00}


def test_a_pair_is_a_block_and_a_header_alone_is_none() -> None:
    decoder = DataDecoder([A, B])
    assert decoder.receive(HEAD_B) is None
    block = decoder.receive(PAY_B)
    assert isinstance(block, Block)
    assert (block.variable, block.tick) == (B, 20)
    assert decoder.counters == DecoderCounters(blocks=1)


def test_after_two_headers_the_newest_wins() -> None:
    blocks, refusals, counters = decode([HEAD_A, HEAD_B, PAY_B])
    assert [block.variable for block in blocks] == [B]
    assert [refusal.reason for refusal in refusals] == [RefusalReason.ORPHAN_HEADER]
    assert refusals[0].detail == "0/f"
    assert counters == DecoderCounters(blocks=1, orphan_headers=1)


def test_a_payload_without_a_header_belongs_to_nobody() -> None:
    blocks, refusals, counters = decode([HEAD_A, PAY_A, PAY_A, PAY_B, HEAD_B, PAY_B])
    assert [(block.variable, block.tick) for block in blocks] == [(A, 10), (B, 20)]
    assert [refusal.reason for refusal in refusals] == [RefusalReason.ORPHAN_PAYLOAD] * 2
    assert counters == DecoderCounters(blocks=2, orphan_payloads=2)


def test_headers_and_payloads_lost_at_once() -> None:
    blocks, _, counters = decode([PAY_A, HEAD_A, HEAD_A, HEAD_B, PAY_B, PAY_C, HEAD_C])
    assert [block.variable for block in blocks] == [B]
    assert counters == DecoderCounters(blocks=1, orphan_headers=2, orphan_payloads=2)


def test_a_header_of_a_lost_connection_is_forgotten() -> None:
    decoder = DataDecoder([A])
    assert decoder.receive(HEAD_A) is None
    decoder.restart()
    refusal = decoder.receive(PAY_A)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.ORPHAN_PAYLOAD


@pytest.mark.parametrize("header", [b"3/f", b"999999999/d", b"0/d"], ids=["id", "far", "type"])
def test_a_header_that_the_list_does_not_have(header: bytes) -> None:
    blocks, refusals, counters = decode([header, PAY_A, HEAD_A, PAY_A])
    assert [block.variable for block in blocks] == [A]
    assert refusals == [Refusal(RefusalReason.UNKNOWN_VARIABLE, header.decode())]
    assert counters == DecoderCounters(blocks=1, unknown_variables=1)


def test_a_payload_of_a_wrong_size_uses_its_header_up() -> None:
    blocks, refusals, counters = decode([HEAD_A, PAY_A[:-1], PAY_A, HEAD_A, PAY_A])
    assert len(blocks) == 1
    assert refusals[0].reason is RefusalReason.BAD_FRAME
    assert "0/f" in refusals[0].detail
    assert "4103 bytes" in refusals[0].detail
    assert counters == DecoderCounters(blocks=1, bad_frames=1, orphan_payloads=1)


@pytest.mark.parametrize("message", ["0/f", "", "{}", b"", b"abc", bytes(100)])
def test_a_message_that_is_neither_is_counted(message: bytes | str) -> None:
    blocks, refusals, counters = decode([message, HEAD_A, PAY_A])
    assert len(blocks) == 1
    assert [refusal.reason for refusal in refusals] == [RefusalReason.BAD_FRAME]
    assert counters == DecoderCounters(blocks=1, bad_frames=1)


def test_a_newer_list_renames_what_comes_next() -> None:
    decoder = DataDecoder([A])
    renamed = Variable(0, "renamed", ValueType.FLOAT, True)
    decoder.describe([renamed])
    decoder.receive(HEAD_A)
    block = decoder.receive(PAY_C)
    assert isinstance(block, Block)
    assert block.variable is renamed
    assert block.values.tolist() == [3.0, 4.0]


@given(messages_of_any_kind)
@example([b"0/c", bytes(9), b"1/c", bytes(4104), b"9/d", bytes(16)])
def test_any_bytes_give_a_block_nothing_or_a_counted_refusal(messages: list[bytes]) -> None:
    """Only this may come out, and every message is in the counters exactly once."""
    decoder = DataDecoder(VARIABLES)
    for message in messages:
        before = sum(asdict(decoder.counters).values())
        result = decoder.receive(message)
        counted = sum(asdict(decoder.counters).values()) - before
        assert result is None or isinstance(result, Block | Refusal)
        assert counted == (0 if result is None else 1)
        if isinstance(result, Block):
            assert 0 < result.values.size <= result.variable.layout.value_count


@given(messages_of_any_kind)
def test_the_counters_add_up_to_the_messages(messages: list[bytes]) -> None:
    decoder = DataDecoder(VARIABLES)
    for message in messages:
        decoder.receive(message)
    n_headers = sum(parse_header(message) is not None for message in messages)
    counters = decoder.counters
    refused = counters.orphan_payloads + counters.bad_frames + counters.unknown_variables
    n_others = len(messages) - n_headers
    assert counters.blocks + refused == n_others
    # Each header ended as a pair, good or bad, as an orphan, or is the one that still waits.
    paired = n_headers - counters.orphan_headers
    assert paired >= counters.blocks + counters.unknown_variables
    again = DataDecoder(VARIABLES)
    for message in messages:
        again.receive(message)
    assert again.counters == counters


@given(st.lists(written_blocks(), max_size=12), st.randoms(use_true_random=False))
def test_any_interleaving_of_variables_gives_the_same_blocks(
    pairs: list[tuple[Variable, bytes]], shuffler: random.Random
) -> None:
    def blocks_by_variable(order: list[tuple[Variable, bytes]]) -> dict[int, list[Any]]:
        decoder = DataDecoder(VARIABLES)
        found: dict[int, list[Any]] = {}
        for var, payload in order:
            assert decoder.receive(encode_header(var)) is None
            block = decoder.receive(payload)
            assert isinstance(block, Block)
            found.setdefault(block.variable.index, []).append(describe(block))
        assert decoder.counters == DecoderCounters(blocks=len(order))
        return found

    queues: dict[int, list[tuple[Variable, bytes]]] = {}
    for pair in pairs:
        queues.setdefault(pair[0].index, []).append(pair)
    picks = [var.index for var, _ in pairs]
    shuffler.shuffle(picks)
    remaining = {index: iter(queue) for index, queue in queues.items()}
    interleaved = [next(remaining[index]) for index in picks]
    assert blocks_by_variable(interleaved) == blocks_by_variable(pairs)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(LOSSES))), max_size=25))
@example([(0, "payload"), (1, "header"), (2, "none")])
def test_whatever_is_lost_every_whole_pair_is_right(pairs: list[tuple[int, str]]) -> None:
    messages: list[bytes] = []
    whole: list[tuple[int, int]] = []
    kinds: list[str] = []
    for tick, (index, lost) in enumerate(pairs):
        # A lost payload and then a lost header leave what looks like a pair: nobody can tell.
        kind = "both" if lost == "header" and kinds[-1:] == ["payload"] else lost
        if kind != "both":
            kinds.append(kind)
        if LOSSES[kind] & 0b10:
            messages.append(encode_header(VARIABLES[index]))
        if LOSSES[kind] & 0b01:
            messages.append(encode_monitor(VARIABLES[index], tick, 1))
        if kind == "none":
            whole.append((index, tick))
    decoder = DataDecoder(VARIABLES)
    results = [decoder.receive(message) for message in messages]
    blocks = [result for result in results if isinstance(result, Block)]
    assert [(block.variable.index, block.tick) for block in blocks] == whole
    waiting = kinds[-1:] == ["payload"]
    assert decoder.counters == DecoderCounters(
        blocks=len(whole),
        orphan_headers=kinds.count("payload") - waiting,
        orphan_payloads=kinds.count("header"),
    )
