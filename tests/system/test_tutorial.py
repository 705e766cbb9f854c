"""The steps of Bela's Streamer tutorial, in a script of our own, against a simulated board.

A fixed number of values, lengths of buffers, a scheduled session that is saved, and both kinds of
callbacks: who comes from there finds each of them here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bela_module import Streamer
from bela_module.recording.recording_files import load_buffers
from bela_module.simulator.simulated_board import SimulatedBoard

KNOBS = ["pot1", "pot2"]
BLOCK_VALUES = 1024
SECONDS = 1.0
N_BLOCKS = range(15, 100)
"""A second is 21 blocks of 1024 ticks of each variable; a busy machine makes it longer."""


@pytest.fixture
def streamer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Streamer]:
    """Connect as the tutorial does: no arguments, and files go to the current folder."""
    monkeypatch.chdir(tmp_path)
    with SimulatedBoard("potentiometers") as board:
        monkeypatch.setenv("BELA_HOST", "127.0.0.1")
        monkeypatch.setenv("BELA_PORT", str(board.port))
        streamer = Streamer()
        streamer.connect()
        try:
            yield streamer
            assert board.watched_names() == []
        finally:
            streamer.disconnect()


def check_ticks(ticks: Sequence[int]) -> None:
    """Check that blocks follow each other without a gap."""
    assert len(ticks) in N_BLOCKS
    assert {b - a for a, b in zip(ticks, ticks[1:], strict=False)} == {BLOCK_VALUES}


def test_a_fixed_number_of_values_comes_in_whole_buffers(streamer: Streamer) -> None:
    buffers = streamer.stream_n_values(variables=KNOBS, n_values=1000)
    assert set(buffers) == set(KNOBS)
    lengths = {known["name"]: known["data_length"] for known in streamer.watcher_vars}
    for name in KNOBS:
        assert lengths[name] == BLOCK_VALUES
        assert len(streamer.streaming_buffers_data[name]) == BLOCK_VALUES


def test_a_scheduled_session_begins_and_ends_at_its_ticks(
    streamer: Streamer, tmp_path: Path
) -> None:
    first_tick = streamer.get_latest_timestamp() + 2.5 * streamer.sample_rate
    duration = streamer.sample_rate / 2
    streamer.schedule_streaming(
        variables=KNOBS,
        timestamps=[first_tick] * 2,
        durations=[duration] * 2,
        saving_enabled=True,
    )
    for name in KNOBS:
        saved = load_buffers(tmp_path / f"{name}_var_stream.txt")
        assert saved[0]["ref_timestamp"] == first_tick
        assert sum(len(buffer["data"]) for buffer in saved) == duration + 1


def test_a_callback_gets_each_buffer_and_its_own_arguments(streamer: Streamer) -> None:
    ticks: dict[str, list[int]] = {name: [] for name in KNOBS}
    values: dict[str, list[Any]] = {name: [] for name in KNOBS}

    def keep(buffer: Any, ticks: dict[str, list[int]], values: dict[str, list[Any]]) -> None:
        ticks[buffer["name"]].append(buffer["buffer"]["ref_timestamp"])
        values[buffer["name"]].extend(buffer["buffer"]["data"])

    streamer.start_streaming(
        KNOBS, saving_enabled=False, on_buffer_callback=keep, callback_args=(ticks, values)
    )
    streamer.wait(SECONDS)
    streamer.stop_streaming()
    assert ticks["pot1"] == ticks["pot2"]
    for name in KNOBS:
        check_ticks(ticks[name])
        assert len(values[name]) > BLOCK_VALUES * (len(ticks[name]) - 1)


def test_a_callback_gets_blocks_of_buffers_that_are_aligned(streamer: Streamer) -> None:
    blocks: list[tuple[tuple[str, int], ...]] = []

    def keep(block: Any, blocks: list[tuple[tuple[str, int], ...]]) -> None:
        blocks.append(tuple((part["name"], part["buffer"]["ref_timestamp"]) for part in block))

    streamer.start_streaming(
        KNOBS, saving_enabled=False, on_block_callback=keep, callback_args=(blocks,)
    )
    streamer.wait(SECONDS)
    streamer.stop_streaming()
    for block in blocks:
        assert [name for name, _ in block] == KNOBS
        assert len({tick for _, tick in block}) == 1
    check_ticks([block[0][1] for block in blocks])
