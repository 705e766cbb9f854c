"""Callbacks wait for one another, and are bounded."""

from __future__ import annotations

import pytest

from bela_module.server.callbacks import MAX_WAITING, CallbackQueue
from bela_module.server.time_limits import CALLBACK_SPACING_S


def test_only_configured_events_are_passed_on() -> None:
    callbacks = CallbackQueue({"gap": "a|B|{}"})
    callbacks.add("started")
    assert callbacks.wait_s(10.0) is None
    assert callbacks.take(10.0) is None
    callbacks.add("gap")
    assert callbacks.wait_s(10.0) == 0.0
    assert callbacks.take(10.0) == "a|B|{}"
    assert callbacks.take(20.0) is None


def test_messages_keep_their_distance_and_order() -> None:
    callbacks = CallbackQueue({"gap": "a|B|{}", "set": "a|C|{}"})
    for event in ("gap", "set", "gap"):
        callbacks.add(event)
    assert callbacks.take(10.0) == "a|B|{}"
    assert callbacks.take(10.0) is None
    assert callbacks.wait_s(10.0) == pytest.approx(CALLBACK_SPACING_S)
    assert callbacks.take(10.0 + CALLBACK_SPACING_S / 2) is None
    assert callbacks.take(10.0 + CALLBACK_SPACING_S) == "a|C|{}"
    assert callbacks.take(10.0 + 3 * CALLBACK_SPACING_S) == "a|B|{}"


def test_a_flood_is_dropped_and_counted() -> None:
    callbacks = CallbackQueue({"gap": "a|B|{}"})
    for _ in range(MAX_WAITING + 5):
        callbacks.add("gap")
    assert callbacks.dropped == 5
