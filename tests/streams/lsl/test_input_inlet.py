"""An inlet that blocks: samples come at once and in order, ends and other streams are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.errors import RequestError
from bela_module.input_settings import StreamChoice
from bela_module.inputs.input_mapping import InputStreamFacts
from bela_module.streams.lsl.input_inlet import InputInlet, check_predicate
from bela_module.streams.lsl_clock import local_clock

WaitUntil = Callable[..., None]


class Kept:
    """Keeps what an inlet tells."""

    def __init__(self, refusal: str = "") -> None:
        self.facts: list[tuple[InputStreamFacts, int]] = []
        self.rows: list[list[Any]] = []
        self.stamps_s: list[float] = []
        self.taken_s: list[float] = []
        self.ends: list[str] = []
        self.refusals: list[str] = []
        self.n_dropped = 0
        self._refusal = refusal

    def stream_found(self, facts: InputStreamFacts, n_others: int) -> None:
        self.facts.append((facts, n_others))
        if self._refusal:
            raise RequestError(self._refusal)

    def stream_refused(self, reason: str) -> None:
        self.refusals.append(reason)

    def take_samples(self, samples: Any, stamps_s: np.ndarray) -> None:
        self.taken_s.append(local_clock())
        self.rows += [list(row) for row in samples]
        self.stamps_s += stamps_s.tolist()

    def samples_dropped(self, n_samples: int) -> None:
        self.n_dropped += n_samples

    def stream_ended(self, reason: str) -> None:
        self.ends.append(reason)


def outlet(name: str, fmt: int = pylsl.cf_double64, rate_hz: float = 0.0) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo(name, "Control", 2, rate_hz, fmt, f"id-{name}")
    info.set_channel_labels(["a", "b"])
    return pylsl.StreamOutlet(info)


@pytest.fixture
def begin() -> Iterator[Callable[..., InputInlet]]:
    inlets: list[InputInlet] = []

    def make(name: str, kept: Kept, max_rate_hz: float = 1000.0) -> InputInlet:
        inlets.append(InputInlet("test", f"name='{name}'", max_rate_hz, kept))
        return inlets[-1]

    yield make
    for inlet in inlets:
        inlet.stop()
    for inlet in inlets:
        inlet.join(10.0)
        assert not inlet.is_alive


def test_samples_come_in_order_with_their_stamps(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept(), f"{unique}x"
    begin(name, kept)
    source = outlet(name)
    wait_until(lambda: kept.facts, "stream")
    facts, n_others = kept.facts[0]
    assert (facts.labels, facts.is_text, facts.nominal_rate_hz, n_others) == (
        ("a", "b"), False, 0.0, 0,
    )  # fmt: skip
    pushed_s = []
    for k in range(200):
        pushed_s.append(local_clock())
        source.push_sample([k, -k], pushed_s[-1])
        time.sleep(0.002)
    wait_until(lambda: len(kept.rows) == 200, "samples")
    assert kept.rows == [[k, -k] for k in range(200)]
    np.testing.assert_allclose(kept.stamps_s, pushed_s)


def test_a_flood_is_told_of_seldom_and_counted_whole(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept(), f"{unique}flood"
    begin(name, kept, max_rate_hz=50.0)
    source = outlet(name, rate_hz=20_000.0)
    wait_until(lambda: kept.facts, "stream")
    begun_s = local_clock()
    for k in range(50):
        source.push_chunk(np.arange(200.0).reshape(100, 2) + 200 * k, local_clock())
        time.sleep(0.01)
    wait_until(lambda: len(kept.rows) == 5000, "samples")
    assert [row[0] for row in kept.rows] == list(range(0, 10_000, 2))
    assert len(kept.taken_s) <= 50 * (local_clock() - begun_s + 0.005) + 2


def test_an_end_is_told_at_once_and_the_stream_found_again(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept(), f"{unique}x"
    begin(name, kept)
    source: pylsl.StreamOutlet | None = outlet(name)
    wait_until(lambda: kept.facts, "stream")
    assert source is not None
    source.push_sample([1, 2])
    wait_until(lambda: kept.rows, "sample")
    source = None  # ends it
    wait_until(lambda: kept.ends, "end")
    source = outlet(name)
    wait_until(lambda: len(kept.facts) == 2, "stream again")
    source.push_sample([3, 4])
    wait_until(lambda: len(kept.rows) == 2, "sample")
    assert kept.rows == [[1, 2], [3, 4]]
    assert len(kept.ends) == 1


def test_a_refused_stream_gives_no_samples_until_it_is_another(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept("too few channels"), f"{unique}x"
    begin(name, kept)
    source: pylsl.StreamOutlet | None = outlet(name)
    wait_until(lambda: kept.refusals, "refusal")
    assert source is not None
    source.push_sample([1, 2])
    time.sleep(0.1)
    kept._refusal = ""
    source = None
    wait_until(lambda: kept.ends, "end")
    source = outlet(name)
    wait_until(lambda: len(kept.facts) == 2, "another stream")
    source.push_sample([3, 4])
    wait_until(lambda: kept.rows, "sample")
    assert kept.rows == [[3, 4]]
    assert kept.refusals == ["too few channels"]


def test_texts_are_texts(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept(), f"{unique}markers"
    begin(name, kept)
    source = outlet(name, pylsl.cf_string)
    wait_until(lambda: kept.facts, "stream")
    assert kept.facts[0][0].is_text
    for text in ("left", "rücken", ""):
        source.push_sample([text, "b"])
    wait_until(lambda: len(kept.rows) == 3, "texts")
    assert kept.rows == [["left", "b"], ["rücken", "b"], ["", "b"]]


def test_a_predicate_that_lsl_does_not_read_is_told(wait_until: WaitUntil) -> None:
    kept = Kept()
    inlet = InputInlet("test", "name='x' and ((", 100.0, kept)
    wait_until(lambda: kept.refusals, "refusal")
    inlet.stop()
    inlet.join(10.0)
    assert kept.refusals[0].startswith("LSL cannot look for name='x' and ((: look at its brackets")


def test_an_end_is_told_while_samples_wait_for_their_rate(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, name = Kept(), f"{unique}slow"
    begin(name, kept, max_rate_hz=0.02)  # a pause of 50 s
    source: pylsl.StreamOutlet | None = outlet(name, rate_hz=10_000.0)
    wait_until(lambda: kept.facts, "stream")
    assert source is not None
    source.push_sample([0, 0])
    wait_until(lambda: kept.rows, "sample")
    n_samples = 30_000  # more than LSL and the inlet hold
    for first in range(1, n_samples, 1000):
        source.push_chunk(np.arange(first, first + 1000.0).repeat(2).reshape(1000, 2))
        time.sleep(0.06)
    assert len(kept.taken_s) == 1
    source = None
    wait_until(lambda: kept.ends, "end")
    assert len(kept.taken_s) == 2
    assert kept.rows[-1] == [n_samples, n_samples]
    assert kept.n_dropped > 0
    assert len(kept.rows) + kept.n_dropped == n_samples + 1
    firsts = [row[0] for row in kept.rows[1:]]
    assert firsts == list(range(kept.n_dropped + 1, n_samples + 1))


def test_what_fails_again_and_again_is_logged_once(
    begin: Callable[..., InputInlet],
    unique: str,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Kept):
        def stream_found(self, facts: InputStreamFacts, n_others: int) -> None:
            raise ValueError("defect")

    kept, name = Failing(), f"{unique}x"
    begin(name, kept)
    source = outlet(name)
    wait_until(lambda: len(kept.refusals) > 1, "two failures")
    assert source is not None
    assert len([r for r in caplog.records if "an input failed" in r.message]) == 1
    caplog.clear()


@pytest.mark.parametrize("predicate", ["name='a' or ((", "name=", "foo(", "name='a", "a]["])
def test_a_bad_predicate_is_refused(predicate: str) -> None:
    with pytest.raises(RequestError, match="LSL cannot look for"):
        check_predicate(predicate)


@pytest.mark.parametrize("predicate", ["name='a'", "channel_count>3 and contains(hostname,'lab')"])
def test_a_good_predicate_is_taken(predicate: str) -> None:
    check_predicate(predicate)


def test_a_silent_stream_without_signs_of_life_has_ended(
    begin: Callable[..., InputInlet],
    unique: str,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a process that stands still, or a computer without power: no connection ends."""
    monkeypatch.setattr("bela_module.streams.lsl.input_inlet.INPUT_SILENT_S", 0.5)
    corrections_s = iter(range(10**6))
    measure = lambda *_: next(corrections_s)  # noqa: E731
    monkeypatch.setattr(pylsl.StreamInlet, "time_correction", lambda *_: measure())
    kept, name = Kept(), f"{unique}x"
    begin(name, kept)
    source = outlet(name)
    wait_until(lambda: kept.facts, "stream")
    time.sleep(1.5)
    assert kept.ends == []  # silent, but its clock is measured again and again
    measure = lambda *_: -1  # noqa: E731
    for k in range(15):
        source.push_sample([k, k])
        time.sleep(0.1)
    assert kept.ends == []  # not measured any more, but not silent
    wait_until(lambda: kept.ends, "end")
    assert kept.ends == ["it has not answered for 0.5 s"]
    wait_until(lambda: len(kept.facts) == 2, "stream again")


def test_a_refused_stream_without_signs_of_life_has_ended(
    begin: Callable[..., InputInlet],
    unique: str,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bela_module.streams.lsl.input_inlet.INPUT_SILENT_S", 0.5)
    monkeypatch.setattr(pylsl.StreamInlet, "time_correction", lambda *_: 0.0)
    kept, name = Kept("too few channels"), f"{unique}x"
    begin(name, kept)
    source = outlet(name)
    wait_until(lambda: kept.ends, "end")
    assert kept.refusals[0] == "too few channels"
    assert source is not None


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("open_stream", "it is seen, but cannot be reached"),
        ("info", "it is seen, but cannot be reached"),
        ("time_correction", "the clock of its computer cannot be measured"),
    ],
)
def test_a_stream_behind_a_firewall_is_told(
    begin: Callable[..., InputInlet],
    unique: str,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    told: str,
) -> None:
    def fail(*_: object) -> None:
        raise pylsl.util.TimeoutError("the operation failed due to a timeout.")

    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    kept, name = Kept(), f"{unique}x"
    with monkeypatch.context() as patch:
        patch.setattr(pylsl.StreamInlet, method, fail)
        begin(name, kept)
        source = outlet(name)
        wait_until(lambda: kept.refusals, "refusal")
        assert kept.refusals[0].startswith(f"{told}: look at the firewalls here and on ")
        assert (kept.facts, kept.ends) == ([], [])
    wait_until(lambda: kept.facts, "stream, once it can be reached")
    assert source is not None


def test_the_stream_of_a_type_is_not_one_of_this_module(
    begin: Callable[..., InputInlet], unique: str, wait_until: WaitUntil
) -> None:
    kept, kind = Kept(), f"{unique}Markers"
    own = pylsl.StreamInfo("bela_events", kind, 1, 0.0, pylsl.cf_string, f"bela:{unique}:p:events")
    events = pylsl.StreamOutlet(own)
    assert pylsl.resolve_bypred(f"type='{kind}'", 1, 10.0)
    inlet = InputInlet("test", StreamChoice(type=kind).as_predicate, 1000.0, kept)
    time.sleep(1.0)
    assert kept.facts == []
    source = pylsl.StreamOutlet(pylsl.StreamInfo("x", kind, 2, 0.0, pylsl.cf_string, "decoder"))
    wait_until(lambda: kept.facts, "stream")
    assert len(kept.facts[0][0].labels) == 2
    inlet.stop()
    inlet.join(10.0)
    assert events is not None
    assert source is not None


def test_others_of_the_name_that_answer_a_moment_later_are_counted(
    begin: Callable[..., InputInlet],
    unique: str,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"{unique}x"
    source = outlet(name)
    looks: list[int] = []

    class Answers:
        def results(self) -> list[pylsl.StreamInfo]:
            looks.append(min(len(looks), 2))
            return found * looks[-1]

    found = pylsl.resolve_bypred(f"name='{name}'", 1, 10.0)
    monkeypatch.setattr("bela_module.streams.lsl.input_inlet._resolve", lambda _: Answers())
    kept = Kept()
    begin(name, kept)
    wait_until(lambda: kept.facts, "stream")
    assert kept.facts[0][1] == 1
    assert source is not None
