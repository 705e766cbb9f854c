"""Notices: one wording for the log, the events and STATUS; no listener can break who tells."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from bela_module.session.notices import Notices
from tests.support.session_helpers import Recorder


class Scene:
    """Notices, and what became of them."""

    def __init__(self) -> None:
        self.sink = Recorder()
        self.notified: list[tuple[str, str]] = []
        self.notices = Notices(self.sink, lambda: 7.5, self.notify)

    def notify(self, name: str, text: str) -> None:
        self.notified.append((name, text))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_is_told_is_told_everywhere_in_the_same_words(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.notices.tell("a: not on the board any more")
    assert scene.sink.marks == [("error a: not on the board any more", 7.5)]
    assert scene.notified == [("error", "error a: not on the board any more")]
    assert scene.notices.last_error == "a: not on the board any more"
    assert scene.notices.recent == ["a: not on the board any more"]
    assert caplog.messages == ["a: not on the board any more"]


def test_an_event_of_its_own_keeps_its_name(scene: Scene) -> None:
    scene.notices.tell("disconnected: no close frame", event="disconnected")
    assert scene.sink.events == ["disconnected"]
    assert scene.notices.recent == ["disconnected: no close frame"]


def test_the_cause_goes_to_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.notices.tell("no room", cause=ZeroDivisionError("by a sink"))
    assert "ZeroDivisionError: by a sink" in caplog.text


def test_what_comes_again_is_kept_once_and_counted(scene: Scene) -> None:
    for text in ("a", "b", "a"):
        scene.notices.tell(text)
    assert scene.notices.recent == ["b", "a (2 times)"]


def test_only_the_latest_are_kept(scene: Scene) -> None:
    for number in range(100):
        scene.notices.tell(f"trouble {number}")
    assert scene.notices.recent == [f"trouble {number}" for number in range(80, 100)]


def test_losses_are_events_each_and_one_line_together(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        scene.notices.gap("a", number + 1, 5.0 + number)
    assert scene.sink.marks[2] == ("gap a 3", 7.0)
    assert len(scene.sink.marks) == 10
    assert caplog.messages == []
    scene.notices.flush()
    scene.notices.flush()
    (line,) = caplog.messages
    assert line.startswith("gap a 1, gap a 2, ")
    assert line.endswith(", gap a 8 and 2 more")
    assert scene.notices.recent == [line]
    assert scene.notices.last_error is None  # it is in the counts of lost values
    scene.notices.gap("b", 5, 30.0)
    scene.notices.flush()
    assert scene.notices.recent == ["gap b 5 (2 times)"]  # so that other notices are not pushed out


def test_no_loss_is_an_event_of_later_than_now(scene: Scene) -> None:
    scene.notices.gap("a", 4416, 7.7)  # the ticks have just jumped, which the clock does not know
    scene.notices.gap("a", 1, math.nan)
    assert scene.sink.marks == [("gap a 4416", 7.5), ("gap a 1", 7.5)]


def test_counts_are_told_when_they_grow(scene: Scene) -> None:
    for counts in ({"bad frames": 0}, {"bad frames": 2}, {"bad frames": 2}, {"bad frames": 3}):
        scene.notices.count(counts)
    assert scene.sink.events == ["error 2 bad frames", "error 1 bad frame"]
    assert scene.notices.recent == ["3 bad frames"]  # one line, however often


def test_who_listens_cannot_break_what_is_listened_to(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no LSL any more")

    monkeypatch.setattr(scene.sink, "mark", fail)
    with caplog.at_level(logging.ERROR):
        scene.notices.mark("started", 1.0)
    assert "the event 'started' could not be published" in caplog.text
    assert "no LSL any more" in caplog.text


def test_long_words_are_cut_everywhere(scene: Scene) -> None:
    scene.notices.tell("x" * 1_000_000)
    (kept,) = scene.notices.recent
    assert len(kept) == 1000
    assert scene.notices.last_error == kept
    assert scene.sink.marks == [(f"error {kept}", 7.5)]
