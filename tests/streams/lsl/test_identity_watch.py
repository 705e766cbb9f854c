"""Streams of others that have our identity, as another process publishes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pylsl
import pytest

from bela_module.errors import IdentityTakenError
from bela_module.streams.lsl.identity_watch import IdentityWatch
from tests.support.stopwatch import Stopwatch

WaitUntil = Callable[..., None]


def outlet_of(identity: str) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo("bela_x", "Bela", 1, 0.0, pylsl.cf_float32, identity)
    return pylsl.StreamOutlet(info)


@contextmanager
def watching(own: set[str] | None = None) -> Iterator[IdentityWatch]:
    watch = IdentityWatch(lambda: own or set())
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def searched(watch: IdentityWatch) -> None:
    done = threading.Event()
    watch.search()
    watch.after_search(done.set)
    assert done.wait(20)


def test_an_identity_of_another_process_is_refused_until_it_is_gone(
    unique: str, wait_until: WaitUntil
) -> None:
    identity = f"bela:{unique}:project:bela_x"
    outlet = outlet_of(identity)
    texts: list[str] = []

    def taken() -> bool:
        searched(watch)
        try:
            watch.check(identity)
        except IdentityTakenError as error:
            texts.append(str(error))
        return bool(texts)

    with watching() as watch:
        wait_until(taken, "the stream is found")
        assert identity in texts[0]
        assert "board.name" in texts[0]
        watch.check(f"{identity}2")
        del outlet  # what was found is asked for once more
        watch.check(identity)


def test_our_own_outlet_is_no_other(unique: str) -> None:
    identity = f"bela:{unique}:project:bela_x"
    outlet = outlet_of(identity)
    assert pylsl.resolve_byprop("source_id", identity, 1, 20.0)
    with watching({outlet.get_info().uid()}) as watch:
        searched(watch)
        searched(watch)
        watch.check(identity)


def test_nobody_waits_for_a_search_that_was_not_asked_for() -> None:
    done: list[str] = []
    watch = IdentityWatch(set)
    watch.search()
    watch.after_search(lambda: done.append("not started"))
    with watching() as started:
        started.after_search(lambda: done.append("not asked"))
    started.search()
    started.after_search(lambda: done.append("stopped"))
    assert done == ["not started", "not asked", "stopped"]


def test_the_end_does_not_wait_for_a_search() -> None:
    done = threading.Event()
    watch = IdentityWatch(set)
    watch.start()
    watch.search()
    watch.after_search(done.set)
    stopwatch = Stopwatch()
    watch.stop()
    assert stopwatch.passed_s < 0.8  # a search takes a second
    assert done.is_set()


def test_a_search_that_fails_leaves_what_is_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(pylsl, "ContinuousResolver", fail)
    with watching() as watch:
        searched(watch)
    assert "no network" in caplog.text
