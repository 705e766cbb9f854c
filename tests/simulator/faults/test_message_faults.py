"""Message faults do to messages what they say, and what they lose is on record."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bela_module.errors import FrameError
from bela_module.protocol.control_channel import parse_control_message
from bela_module.protocol.control_commands import list_command, unwatch_command, watch_command
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import PAYLOAD_BYTES
from bela_module.simulator.faults.message_faults import (
    CorruptHeader,
    CorruptPayload,
    DropHeader,
    DropPair,
    DropPayload,
    MessageFault,
    MessageFaultInjector,
    OversizedPayload,
    PairFault,
    RepeatPair,
    ReplyDefect,
    WrongReply,
)
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.watcher.written_values import Payload
from tests.support.raw_client import RawClient, raw_client

WaitUntil = Callable[..., None]

REPLY = '{"watcher":{"sampleRate":44100,"timestamp":7,"watchers":[1,2,3,4]}}'
HEADER = b"0/d"
PAYLOAD = Payload(599, 0, bytes(range(8)) + bytes(PAYLOAD_BYTES - 8), 88, 512)


def injector(*faults: MessageFault) -> MessageFaultInjector:
    """Make an injector with message faults."""
    made = MessageFaultInjector(np.random.default_rng(0))
    for fault in faults:
        made.arm(fault)
    return made


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (DropHeader(), [PAYLOAD.data]),
        (DropPayload(), [HEADER]),
        (DropPair(), []),
        (RepeatPair(), [HEADER, PAYLOAD.data] * 2),
    ],
)
def test_messages_are_dropped_and_repeated(fault: MessageFault, expected: list[bytes]) -> None:
    board = injector(fault)
    assert board.pair("v", HEADER, PAYLOAD) == expected
    lost = [(loss.fault, loss.variable, loss.first_tick, loss.n_values) for loss in board.losses]
    assert lost == ([] if isinstance(fault, RepeatPair) else [(fault.name, "v", 88, 512)])


def test_corrupt_messages_differ_and_are_lost() -> None:
    for fault in (CorruptHeader(), CorruptPayload(), OversizedPayload()):
        board = injector(fault)
        for _ in range(20):
            header, payload = board.pair("v", HEADER, PAYLOAD)
            assert (header, payload) != (HEADER, PAYLOAD.data)
        assert len(board.losses) == 20


def test_a_fault_ends_after_its_number_and_keeps_to_its_variable() -> None:
    board = injector(DropPair(n=2, variable="v"))
    sent = [bool(board.pair(name, HEADER, PAYLOAD)) for name in ("w", "v", "v", "v", "w")]
    assert sent == [True, False, False, True, True]


def test_a_probability_is_kept() -> None:
    board = injector(DropPair(p=0.1))
    for _ in range(5000):
        board.pair("v", HEADER, PAYLOAD)
    assert len(board.losses) == pytest.approx(500, rel=0.2)


def test_only_replies_are_cut_by_the_fault_for_replies() -> None:
    board = injector(WrongReply(n=1))
    assert board.pair("v", HEADER, PAYLOAD) == [HEADER, PAYLOAD.data]
    cut = board.reply(REPLY)
    assert isinstance(cut, str)
    assert cut != REPLY
    assert REPLY.startswith(cut)
    assert board.reply(REPLY) == REPLY


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("number", '{"watcher":{"sampleRate":44100,"timestamp":7,"watchers":4}}'),
        ("missing", '{"watcher":{}}'),
        ("fewer", '{"watcher":{"sampleRate":44100,"timestamp":7,"watchers":[1,2]}}'),
        ("empty", '{"watcher":{"sampleRate":44100,"timestamp":7,"watchers":[]}}'),
    ],
)
def test_a_reply_can_have_another_shape(how: ReplyDefect, expected: str) -> None:
    assert injector(WrongReply(how=how)).reply(REPLY) == expected


def test_a_reply_can_be_words_or_noise() -> None:
    text = injector(WrongReply(how="text")).reply(REPLY)
    assert isinstance(text, str)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text)
    noise = injector(WrongReply(how="binary")).reply(REPLY)
    assert isinstance(noise, bytes)
    assert len(noise) > 10


def test_wrong_replies_take_turns_and_begin_with_the_first_again() -> None:
    board = injector(WrongReply(n=6))
    first_six = [board.reply(REPLY) for _ in range(6)]
    singles = [injector(WrongReply(how=how)).reply(REPLY) for how in ("text", "number", "missing")]
    assert [first_six[1], first_six[3], first_six[4]] == singles
    assert isinstance(first_six[2], bytes)
    for cut in (first_six[0], first_six[5]):
        assert isinstance(cut, str)
        assert REPLY.startswith(cut)
    assert board.reply(REPLY) == REPLY


@pytest.mark.parametrize("how", ["cut", "text", "binary", "number"])
def test_no_client_can_read_these_replies_on_the_wire(how: ReplyDefect) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(WrongReply(n=1, how=how))
        client.tell(list_command())
        message = client.control.recv(timeout=20)
        assert isinstance(message, bytes) is (how == "binary")
        with pytest.raises(FrameError):
            parse_control_message(message)
        assert len(client.list().variables) == 6


@pytest.mark.parametrize(("how", "n_variables"), [("fewer", 3), ("empty", 0)])
def test_these_replies_leave_variables_out_on_the_wire(how: ReplyDefect, n_variables: int) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(WrongReply(n=1, how=how))
        assert len(client.list().variables) == n_variables
        assert len(client.list().variables) == 6


@pytest.mark.parametrize("how", ["cut", "text", "binary", "number", "missing", "fewer", "empty"])
def test_a_reply_to_log_is_wrong_as_well(how: ReplyDefect) -> None:
    reply = '{"watcher":{"logFileName":"v.bin","timestamp":1,"timestampEnd":2,"watcher":"v"}}'
    assert injector(WrongReply(how=how)).reply(reply) != reply


# ---- on the wire, the account --------------------------------------------------------------------


def collect_to_the_end(board: SimulatedBoard, client: RawClient) -> list[Block]:
    """Unwatch, and give every block that comes until the board answers afterwards."""
    client.tell(unwatch_command(["ramp_d"]))
    while board.watched_names():
        client.list()
    board.end_faults()
    # One more block, which no fault touches, shows that all those before it have come.
    client.tell({"cmd": "monitor", "watchers": ["ramp_i"], "periods": [1]})
    blocks = [client.block()]
    while not blocks[-1].monitor:
        blocks.append(client.block())
    return blocks[:-1]


@pytest.mark.parametrize("kind", [DropHeader, DropPayload, DropPair, CorruptPayload])
def test_received_and_lost_are_what_was_sent(kind: type[PairFault], wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps", 200_000.0) as board, raw_client(board.url) as client:
        board.inject(kind(p=0.3))
        client.tell(watch_command(["ramp_d"]))
        wait_until(lambda: len(board.losses) >= 10)
        blocks = collect_to_the_end(board, client)
        lost_ticks = {loss.first_tick for loss in board.losses}
        assert not lost_ticks & {block.tick for block in blocks}
        (run,) = board.written("ramp_d")
        expected = range(run.first_tick, run.last_tick + 1, 512)
        assert sorted(lost_ticks | {block.tick for block in blocks}) == list(expected)


def test_disarmed_faults_do_nothing() -> None:
    board = injector(DropPair(), WrongReply())
    board.disarm()
    assert board.pair("v", HEADER, PAYLOAD) == [HEADER, PAYLOAD.data]
