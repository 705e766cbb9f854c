"""Account of a stream: stamps and events compared, pauses and clock jumps told from losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bela_module.reports.event_markers import EventMarker
from bela_module.reports.recorded_stream import Floats, RecordedStream
from bela_module.reports.stream_account import BreakKind, StreamAccount, account_for
from tests.support.recordings import BEGIN_S, RATE_HZ, regular


def stream(stamps_s: Floats, rate_hz: float = RATE_HZ, **more: Any) -> RecordedStream:
    labels = more.pop("labels", ("pot1",))
    name = more.pop("name", "bela_pot1")
    identity = ("Bela", "float32", f"bela:b:p:{name}")
    return RecordedStream(1, name, *identity, labels, rate_hz, stamps_s, **more)


def gap(at_s: float, n: int, variable: str = "pot1") -> EventMarker:
    return EventMarker(BEGIN_S + at_s, "gap", f"gap {variable} {n}", variable, n)


def marker(at_s: float, text: str) -> EventMarker:
    return EventMarker(BEGIN_S + at_s, text.split()[0], text)


def without(begin: int, end: int, n: int = 10_000) -> Floats:
    return np.delete(regular(n), np.arange(begin, end))


def test_a_loss_that_was_told() -> None:
    account = account_for(stream(without(3000, 3100)), [gap(3.0, 100)])
    (loss,) = account.losses
    assert loss.begins_s == pytest.approx(BEGIN_S + 3.0)
    assert (loss.n_samples, account.told) == (100, {"pot1": 100})
    assert loss.duration_s == pytest.approx(0.1)
    assert account.missing_share == pytest.approx(0.01, rel=1e-3)
    assert account.disagreements == ()
    assert account.effective_rate_hz == pytest.approx(RATE_HZ)


def test_a_loss_that_nobody_told_of() -> None:
    account = account_for(stream(without(3000, 3100)), [gap(8.0, 20, "pot2")])
    assert account.disagreements == (
        "pot1: the file lacks 100 samples, the events tell of 0 lost values",
    )


def test_a_long_loss_is_as_exact_as_the_clock() -> None:
    stamps_s = without(3000, 63_000, 70_000)
    assert account_for(stream(stamps_s), [gap(3.0, 59_975)]).disagreements == ()
    assert account_for(stream(stamps_s), [gap(3.0, 59_950)]).disagreements != ()


def test_what_a_board_lost_that_restarted_is_not_compared() -> None:
    """Only what it had after the restart is told: 60 of the 100 samples; others are compared."""
    markers = [marker(3.02, "disconnected"), gap(3.05, 60), marker(3.04, "board_restarted")]
    account = account_for(stream(without(3000, 3100)), markers)
    assert (account.n_missing, account.told, account.disagreements) == (100, {"pot1": 60}, ())
    stamps_s = np.delete(without(3000, 3100), np.arange(7000, 7050))
    assert account_for(stream(stamps_s), markers).disagreements == (
        "pot1: the file lacks 50 samples, the events tell of 0 lost values",
    )


def test_a_loss_that_is_not_in_the_stamps() -> None:
    account = account_for(stream(regular(10_000)), [gap(3.0, 100)])
    assert account.n_missing == 0
    assert "lacks 0 samples, the events tell of 100 lost" in account.disagreements[0]


def test_between_two_runs_nothing_is_missing() -> None:
    markers = [marker(2.999, "stopped"), marker(3.05, "gap pot1 7"), marker(3.09, "started")]
    markers[1] = gap(3.05, 7)
    account = account_for(stream(without(3000, 3100)), markers)
    assert [one.kind for one in account.breaks] == [BreakKind.PAUSE]
    assert account.n_missing == account.missing_s == 0
    assert account.streamed_s == pytest.approx(9.899)
    assert (account.told, account.n_told_elsewhere) == ({}, 7)
    assert account.disagreements == ()


def test_a_loss_after_a_start_is_no_pause() -> None:
    account = account_for(stream(without(3000, 3100)), [marker(0.0, "started"), gap(3.0, 100)])
    assert [one.kind for one in account.breaks] == [BreakKind.LOSS]


@pytest.mark.parametrize("what", ["paused for", "skipped"])
def test_a_jump_of_the_clock_is_no_loss(what: str) -> None:
    markers = [marker(3.3, f"error the board's ticks {what} 0.1000 s")]
    account = account_for(stream(without(3000, 3100)), markers)
    assert [one.kind for one in account.breaks] == [BreakKind.CLOCK]
    assert (account.n_missing, account.disagreements) == (0, ())


def test_what_is_lost_before_and_after_the_samples_is_told_apart() -> None:
    account = account_for(stream(regular(1000)), [gap(-0.5, 3), gap(0.9995, 4)])
    assert (account.told, account.n_told_elsewhere) == ({}, 7)


def group(n_nan: tuple[int, int], lost: tuple[int, int]) -> StreamAccount:
    made = stream(
        without(3000, 3100),
        name="bela_pots",
        labels=("a", "b"),
        n_not_numbers=np.array(n_nan),
    )
    return account_for(made, [gap(3.0, n, name) for name, n in zip("ab", lost, strict=True) if n])


def test_in_a_group_a_loss_is_a_missing_row_or_no_number() -> None:
    assert group((0, 50), (100, 150)).disagreements == ()
    (words,) = group((0, 50), (100, 100)).disagreements
    assert words == (
        "b: the file lacks 100 samples and has 50 values that are not numbers, the events tell of "
        "100 lost values"
    )


def test_a_renamed_channel_is_found_by_the_name_of_the_stream() -> None:
    made = stream(without(3000, 3100), labels=("left",))
    assert account_for(made, [gap(3.0, 100)]).disagreements == ()
    assert account_for(made, [gap(3.0, 100)], frozenset({"left", "pot1"})).disagreements


def test_a_renamed_channel_takes_all_variables_that_its_name_ends_with() -> None:
    made = stream(
        without(3000, 3100), labels=("left",), name="bela_pot1", n_not_numbers=np.zeros(1, np.int64)
    )
    markers = [gap(3.0, 60), gap(3.0, 40, "t1"), gap(3.0, 9, ""), gap(3.0, 9, "left_")]
    account = account_for(made, markers)
    assert account.told == {"pot1": 60, "t1": 40}
    assert account.disagreements == ()


def test_an_irregular_stream_has_no_gaps() -> None:
    account = account_for(stream(np.array([0.0, 1.0, 9.0]) + BEGIN_S, 0.0), [gap(4.0, 5)])
    assert account.breaks == account.disagreements == ()
    assert account.told == {"pot1": 5}
    assert account.effective_rate_hz == pytest.approx(2 / 9)
    assert np.isnan(account.rate_error_ppm)


@pytest.mark.parametrize("rate_hz", [0.0, RATE_HZ])
@pytest.mark.parametrize("n", [0, 1])
def test_few_samples(n: int, rate_hz: float) -> None:
    account = account_for(stream(regular(n), rate_hz), [gap(0.0, 5)])
    assert account.n_samples == n
    assert account.missing_share == account.streamed_s == 0.0
