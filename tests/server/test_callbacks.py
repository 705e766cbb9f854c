"""Callbacks wait for one another, and are bounded."""

from __future__ import annotations

import logging
import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from bela_module.config import CallbackSettings
from bela_module.server.callbacks import MAX_WAITING, CallbackQueue, CallbackSender
from bela_module.server.time_limits import CALLBACK_SPACING_S


def test_only_configured_events_are_passed_on() -> None:
    callbacks = CallbackQueue(CallbackSettings.model_validate({"gap": "a|B|{}"}))
    callbacks.add("started", 10.0)
    assert callbacks.wait_s(10.0) is None
    assert callbacks.take(10.0) is None
    callbacks.add("gap", 10.0)
    assert callbacks.wait_s(10.0) == 0.0
    assert callbacks.take(10.0) == "a|B|{}"
    assert callbacks.take(20.0) is None


def test_messages_keep_their_distance_and_order() -> None:
    callbacks = CallbackQueue(CallbackSettings.model_validate({"gap": "a|B|{}", "set": "a|C|{}"}))
    for event in ("gap", "set", "gap"):
        callbacks.add(event, 10.0)
    assert callbacks.take(10.0) == "a|B|{}"
    assert callbacks.take(10.0) is None
    assert callbacks.wait_s(10.0) == pytest.approx(CALLBACK_SPACING_S)
    assert callbacks.take(10.0 + CALLBACK_SPACING_S / 2) is None
    assert callbacks.take(10.0 + CALLBACK_SPACING_S) == "a|C|{}"
    assert callbacks.take(10.0 + 3 * CALLBACK_SPACING_S) == "a|B|{}"


def test_a_flood_is_dropped() -> None:
    callbacks = CallbackQueue(CallbackSettings.model_validate({"gap": "a|B|{}"}))
    taken = [callbacks.add("gap", 10.0) for _ in range(MAX_WAITING + 5)]
    assert taken == [True] * MAX_WAITING + [False] * 5
    assert len(callbacks) == MAX_WAITING
    assert callbacks.add("started", 10.0)  # no message, no place needed


def test_at_the_end_none_lingers_but_they_keep_their_distance() -> None:
    settings = CallbackSettings.model_validate({"stopped": "a|B|{}", "error": "a|C|{}"})
    callbacks = CallbackQueue(settings)
    callbacks.add("stopped", 10.0)
    callbacks.add("error", 10.0)
    assert callbacks.take(10.0) is None
    callbacks.end_linger(10.1)
    assert callbacks.take(10.1) == "a|B|{}"
    assert callbacks.take(10.1) is None
    assert callbacks.take(10.1 + CALLBACK_SPACING_S) == "a|C|{}"


def test_an_address_that_hangs_does_not_collect_messages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, sent = threading.Event(), []
    real = socket.create_connection

    def hang(address: tuple[str, int], *rest: Any) -> socket.socket:
        if address != ("127.0.0.1", 9000):  # the log server's
            return real(address, *rest)
        released.wait(20)
        ours, theirs = socket.socketpair()
        sent.append(theirs)
        return ours

    monkeypatch.setattr(socket, "create_connection", hang)
    settings = CallbackSettings.model_validate({"gap": "a|B|{}", "to": "127.0.0.1:9000"})
    loop: Any = SimpleNamespace(connections=[])
    sender = CallbackSender(settings, loop, logging.getLogger("bela_module.server"))
    try:
        for number in range(100):
            sender.add("gap", float(number))
            sender.send_due(number + 0.5)
        assert caplog.text.count("too many callbacks wait") > 100 - MAX_WAITING - 5
    finally:
        released.set()
        sender.close()
        for thread in threading.enumerate():
            if thread.name == "callbacks":
                thread.join(20)
        for theirs in sent:
            theirs.close()
    assert len(sent) < 5
