"""Callbacks wait for one another, and are bounded."""

from __future__ import annotations

import pytest

from bela_module.config import CallbackSettings
from bela_module.server.callbacks import MAX_WAITING, CallbackQueue
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


def test_a_flood_is_dropped_and_counted() -> None:
    callbacks = CallbackQueue(CallbackSettings.model_validate({"gap": "a|B|{}"}))
    for _ in range(MAX_WAITING + 5):
        callbacks.add("gap", 10.0)
    assert callbacks.dropped == 5


def test_the_end_waits_for_recorders_and_what_follows_waits_with_it() -> None:
    settings = {"stopped": "a|B|{}", "started": "a|C|{}", "linger_s": 2.0}
    callbacks = CallbackQueue(CallbackSettings.model_validate(settings))
    callbacks.add("stopped", 10.0)
    callbacks.add("started", 10.5)
    assert callbacks.wait_s(10.5) == pytest.approx(1.5)
    assert callbacks.take(11.9) is None
    assert callbacks.take(12.0) == "a|B|{}"
    assert callbacks.take(12.0 + CALLBACK_SPACING_S) == "a|C|{}"
