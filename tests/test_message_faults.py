"""Message faults do to messages what they say, and what they lose is on record."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.message_faults import (
    CorruptHeader,
    CorruptPayload,
    DropHeader,
    DropPair,
    DropPayload,
    Injector,
    MessageFault,
    OversizedPayload,
    RepeatPair,
    WrongReply,
)
from bela_module.protocol import PAYLOAD_BYTES
from bela_module.simulated_variable import Payload

HEADER = b"0/d"
PAYLOAD = Payload(599, 0, bytes(range(8)) + bytes(PAYLOAD_BYTES - 8), 88, 512)


def injector(*faults: MessageFault) -> Injector:
    """Make an injector with message faults."""
    made = Injector(np.random.default_rng(0))
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
    assert '{"watcher":{}}'.startswith(board.reply('{"watcher":{}}'))
    assert board.reply('{"watcher":{}}') == '{"watcher":{}}'


def test_disarmed_faults_do_nothing() -> None:
    board = injector(DropPair(), WrongReply())
    board.disarm()
    assert board.pair("v", HEADER, PAYLOAD) == [HEADER, PAYLOAD.data]
