"""STATUS is what the contract says, as JSON, at all times and for any thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bela_module.session.status import StatusSnapshot
from bela_module.session.time_limits import STATUS_FRESH_S, STATUS_KEPT_S, STATUS_WAIT_S
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.version import __version__
from tests.support.session_helpers import WaitUntil, session_at, session_on

NUMBER = (int, float)
SHAPE: dict[str, Any] = {
    "module": str,
    "version": str,
    "instance": str,
    "state": str,
    "board": {
        "url": str,
        "name": str,
        "connected": bool,
        "project": str,
        "sample_rate_hz": NUMBER,
        "tick_rate_hz": NUMBER,
        "tick": int,
    },
    "clock": {
        "uncertainty_s": NUMBER,
        "drift_ppm": NUMBER,
        "rtt_s": NUMBER,
        "probes": int,
        "generation": int,
    },
    "counters": {
        "blocks": int,
        "orphan_headers": int,
        "orphan_payloads": int,
        "foreign_blocks": int,
        "bad_frames": int,
        "reconnects": int,
        "restarts": int,
    },
    "streams": list,
}
STREAM_SHAPE: dict[str, Any] = {
    "name": str,
    "variables": list,
    "mode": str,
    "format": str,
    "nominal_rate_hz": NUMBER,
    "effective_rate_hz": NUMBER,
    "samples": int,
    "lost": int,
    "gaps": int,
    "last_lsl_s": NUMBER,
    "delay_s": NUMBER,
}


def assert_shape(found: dict[str, Any], shape: dict[str, Any], *, unknown: bool = False) -> None:
    """Check keys and types; more keys are allowed, and None where nothing is known yet."""
    for key, kind in shape.items():
        if isinstance(kind, dict):
            assert_shape(found[key], kind, unknown=unknown)
        elif not (unknown and found[key] is None):
            assert isinstance(found[key], kind), f"{key} is {found[key]!r}"


def test_before_anything_is_known() -> None:
    with session_at(9) as one:
        status = json.loads(json.dumps(one.session.status(), allow_nan=False))
    assert_shape(status, SHAPE, unknown=True)
    assert (status["module"], status["version"]) == ("dp-bela", __version__)
    assert status["state"] == "idle"
    assert status["board"] == {
        "url": "ws://127.0.0.1:9",
        "name": "bela",
        "connected": False,
        "project": None,
        "sample_rate_hz": None,
        "tick_rate_hz": None,
        "tick": 0,
    }
    assert status["clock"]["uncertainty_s"] is None
    assert (status["clock"]["probes"], status["clock"]["generation"]) == (0, 0)
    assert status["streams"] == []
    assert set(status["counters"].values()) == {0}
    assert status["last_error"] is None


def test_while_it_streams(wait_until: WaitUntil) -> None:
    groups = {"pots": {"variables": ["pot1", "pot2"]}}
    with SimulatedBoard("simulation") as board, session_on(board, streams=groups) as one:
        one.start("pot1", "pot2", "counter", "touch")
        one.monitor(variables="sine", periods=1000)
        wait_until(
            lambda: (
                one.streams["bela_pots"]["effective_rate_hz"]
                and one.streams["bela_sine"]["effective_rate_hz"]
            ),
            "samples",
        )
        one.set(noise=0.5)
        status = json.loads(json.dumps(one.session.status(), allow_nan=False))
    assert_shape(status, SHAPE)
    assert status["state"] == "streaming"
    assert status["board"]["project"] == "simulation"
    assert status["board"]["sample_rate_hz"] == 44100.0
    assert status["board"]["tick_rate_hz"] == pytest.approx(22050.0, rel=0.05)
    assert 0 < status["board"]["tick"] <= board.sketch.tick_rate_hz * 60
    assert status["clock"]["generation"] == 1
    assert status["clock"]["probes"] > 1
    assert 0 < status["clock"]["uncertainty_s"] < 1
    assert status["controlled"] == ["noise"]
    streams = {stream["name"]: stream for stream in status["streams"]}
    assert list(streams) == ["bela_pots", "bela_counter", "bela_touch", "bela_sine"]
    assert_shape(streams["bela_pots"], STREAM_SHAPE)
    assert streams["bela_pots"]["variables"] == ["pot1", "pot2"]
    modes = [(s["mode"], s["format"], s["nominal_rate_hz"]) for s in status["streams"]]
    assert modes == [
        ("dense", "float32", 22050.0),
        ("dense", "double64", streams["bela_counter"]["nominal_rate_hz"]),
        ("sparse", "int32", 0.0),
        ("monitor", "float32", 0.0),
    ]
    assert all(stream["lost"] == stream["gaps"] == 0 for stream in status["streams"])


def test_what_was_answered_is_shown_also_while_the_thread_is_busy(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedBoard("potentiometers") as board, session_on(board) as one:
        monkeypatch.setattr(StatusSnapshot, "_have_refreshed", lambda _self: None)  # no time for it
        one.start()
        assert one.session.status()["state"] == "streaming"
        wait_until(lambda: board.account("pot1").sent, "a block")
        one.session.stop().result(10)
        status = one.session.status()
        assert status["state"] == "idle"
        assert status["streams"][0]["samples"] == board.account("pot1").sent


def test_the_last_figures_stay_after_a_stop(wait_until: WaitUntil) -> None:
    with SimulatedBoard("potentiometers") as board, session_on(board) as one:
        one.start()
        wait_until(lambda: board.account("pot1").sent, "a block")
        one.stop()
        wait_until(lambda: one.state == "idle", "state idle")
        for name in ("pot1", "pot2"):
            assert one.streams[f"bela_{name}"]["samples"] == board.account(name).sent
    assert one.streams["bela_pot1"]["samples"] > 0


# ---- who builds it, and when ----


@dataclass
class DescribedSession:
    """What is described, at a time that the test tells."""

    now_s: float = 0.0
    builders: list[threading.Thread] = field(default_factory=list)

    def build(self) -> dict[str, Any]:
        self.builders.append(threading.current_thread())
        return {"n": len(self.builders)}


def in_loop(test: Callable[[DescribedSession, StatusSnapshot], Awaitable[None]]) -> None:
    async def run() -> None:
        described = DescribedSession()
        await test(described, StatusSnapshot(described.build, lambda: described.now_s))

    asyncio.run(run())


def test_a_fresh_one_is_given_as_it_is() -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        described.now_s = 0.9 * STATUS_FRESH_S
        assert snapshot.read() == {"n": 1}
        described.now_s = 1.1 * STATUS_FRESH_S
        assert snapshot.read() == {"n": 2}
        assert snapshot.read() == {"n": 2}

    in_loop(test)


def test_after_a_change_the_next_reader_gets_a_new_one() -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        snapshot.outdate()
        assert len(described.builders) == 1  # nobody has asked
        assert snapshot.read() == {"n": 2}

    in_loop(test)


def test_another_thread_has_it_built_by_the_loop() -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        here = threading.current_thread()
        for n in range(2, 5):
            snapshot.outdate()
            read = await asyncio.to_thread(snapshot.read)
            # A thread that waited for too long has the one before.
            assert read in ({"n": n}, {"n": n - 1})
            while len(described.builders) < n:
                await asyncio.sleep(0.001)
        assert described.builders == [here] * 4

    in_loop(test)


def test_while_the_loop_stands_still_the_latest_is_given() -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        snapshot.outdate()
        read: list[dict[str, Any]] = []
        thread = threading.Thread(target=lambda: read.append(snapshot.read()))
        thread.start()
        thread.join(20)  # this is the loop's thread
        assert read == [{"n": 1}]

    in_loop(test)


def test_all_who_ask_a_loop_that_stands_still_share_one_wait() -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        snapshot.outdate()

        def read_often() -> None:
            for _ in range(5):
                assert snapshot.read() == {"n": 1}
                described.now_s += STATUS_WAIT_S  # the first one has waited for all of it

        thread = threading.Thread(target=read_often)
        thread.start()
        thread.join(20)  # this is the loop's thread
        await asyncio.sleep(0.01)
        assert len(described.builders) == 2  # it was asked to build once

    in_loop(test)


def test_when_the_loop_has_ended_the_latest_is_given() -> None:
    kept: list[StatusSnapshot] = []

    async def test(_described: DescribedSession, snapshot: StatusSnapshot) -> None:
        kept.append(snapshot)
        snapshot.outdate()

    thread = threading.Thread(target=lambda: in_loop(test))
    thread.start()
    thread.join(20)
    assert kept[0].read() == {"n": 1}


@pytest.mark.parametrize(("age_s", "n"), [(0.9 * STATUS_KEPT_S, 1), (1.1 * STATUS_KEPT_S, 2)])
def test_it_is_built_now_and_then_without_being_asked_for(age_s: float, n: int) -> None:
    async def test(described: DescribedSession, snapshot: StatusSnapshot) -> None:
        described.now_s = age_s
        snapshot.refresh_if_old()
        assert len(described.builders) == n

    in_loop(test)


def test_a_defect_in_the_description_does_not_reach_the_reader() -> None:
    async def test(described: DescribedSession, _snapshot: StatusSnapshot) -> None:
        failing = StatusSnapshot(described.build, lambda: described.now_s)

        def fail() -> dict[str, Any]:
            raise ValueError("a defect")

        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: told.append(str(context["exception"]))
        )
        failing._build = fail
        failing.outdate()
        assert await asyncio.to_thread(failing.read) == {"n": 2}
        assert told == ["a defect"]

    in_loop(test)
