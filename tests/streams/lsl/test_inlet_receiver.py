"""Receiving streams back: all that was pushed, and how old it was."""

from __future__ import annotations

import uuid

import numpy as np
import pylsl
import pytest

from bela_module.streams.lsl import inlet_receiver
from bela_module.streams.lsl.inlet_receiver import InletReceiver, resolve_identity
from bela_module.streams.lsl.lsl_outlet import push_array


def test_what_is_pushed_is_counted() -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    info = pylsl.StreamInfo("one", "", 2, 1000.0, "float32", f"{identity}one")
    outlet = pylsl.StreamOutlet(info)
    receiver = InletReceiver(identity)
    try:
        took_s = receiver.find(["one"], 20.0)
        assert took_s is not None
        receiver.start()
        for _ in range(10):
            stamps_s = pylsl.local_clock() - np.arange(1000)[::-1] / 1000.0
            push_array(outlet, np.zeros((1000, 2), np.float32), stamps_s)
        receiver.wait_for(lambda: receiver.received["one"].n_samples >= 10_000, 20.0)
    finally:
        receiver.close()
    assert receiver.received["one"].n_samples == 10_000
    delay_s = receiver.received["one"].delay_s
    assert delay_s is not None
    assert 0.0 <= delay_s < 20.0


def test_streams_of_the_same_board_that_are_not_asked_for_do_not_hide_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    names = ["events", "clock", "one"]
    infos = [pylsl.StreamInfo(name, "", 1, 0.0, "float32", identity + name) for name in names]
    outlets = [pylsl.StreamOutlet(info) for info in infos]
    found = resolve_identity(identity, 20.0, len(names))
    answers = sorted(found, key=lambda info: names.index(info.name()))

    def resolve(_identity: str, _timeout_s: float, n_wanted: int) -> list[pylsl.StreamInfo]:
        return answers[:n_wanted]  # as many as are wanted end a search, in any order

    monkeypatch.setattr(inlet_receiver, "resolve_identity", resolve)
    receiver = InletReceiver(identity)
    try:
        assert receiver.find(["one"], 2.0) is not None
        assert set(receiver.received) == {"one"}
    finally:
        receiver.close()
    del outlets


def test_a_stream_that_is_not_there_is_not_found() -> None:
    receiver = InletReceiver(f"bela:{uuid.uuid4().hex}:")
    assert receiver.find(["one"], 0.3) is None
    assert receiver.received == {}
    receiver.close()
    assert resolve_identity(f"bela:{uuid.uuid4().hex}:", 0.1) == []
