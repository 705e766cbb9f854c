"""STATUS is what the contract says, as JSON, at all times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.version import __version__
from tests.support.session_helpers import WaitUntil, session_at, session_on

NUMBER = (int, float)
SHAPE: dict[str, Any] = {
    "module": str,
    "version": str,
    "state": str,
    "board": {
        "url": str,
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


def test_the_last_figures_stay_after_a_stop(wait_until: WaitUntil) -> None:
    with SimulatedBoard("potentiometers") as board, session_on(board) as one:
        one.start()
        wait_until(lambda: board.account("pot1").sent, "a block")
        one.stop()
        wait_until(lambda: one.state == "idle", "state idle")
        for name in ("pot1", "pot2"):
            assert one.streams[f"bela_{name}"]["samples"] == board.account(name).sent
    assert one.streams["bela_pot1"]["samples"] > 0
