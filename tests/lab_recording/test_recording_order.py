"""What has come of a recording, and an observer that does nothing."""

from __future__ import annotations

from bela_module.lab_recording.recording_order import (
    RecordingObserver,
    RecordingOutcome,
    RecordingProgress,
    RecordingStage,
)


def test_a_problem_is_kept_once() -> None:
    outcome = RecordingOutcome()
    for problem in ("full", "gone", "full"):
        outcome.note(problem)
    assert outcome.problems == ["full", "gone"]


def test_an_observer_need_do_nothing() -> None:
    observer = RecordingObserver()
    observer.progress(RecordingProgress(RecordingStage.CONNECTING))
    observer.notice("worth knowing")
    assert not observer.is_cancelled()
