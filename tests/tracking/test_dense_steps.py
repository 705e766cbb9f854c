"""The step of a dense variable, from what successive blocks prove."""

from __future__ import annotations

import math

import pytest

from bela_module.tracking.dense_steps import (
    BlockEvidence,
    count_doubts,
    infer_step,
    is_doubtful,
    is_splice,
    largest_step,
    mean_step,
    steady_step,
)

SIZE = 512


def row(*ticks: int, certain: int = SIZE, late: float = math.inf) -> list[BlockEvidence]:
    return [BlockEvidence(tick, certain, tick + late) for tick in ticks]


@pytest.mark.parametrize(
    ("evidence", "step"),
    [
        (row(0), None),
        (row(0, SIZE), 1),
        (row(0, 2 * SIZE), None),
        (row(0, 2 * SIZE, 4 * SIZE, 6 * SIZE), None),
        (row(0, 2 * SIZE, 4 * SIZE, 5 * SIZE), 1),
        (row(0, late=SIZE + 20), 1),
        (row(0, 3 * SIZE, late=SIZE + 20), 1),
        (row(0, SIZE, certain=0), None),
        (row(0, SIZE, 2 * SIZE, certain=0), 1),
        (row(0, SIZE + 7, certain=0), None),
    ],
)
def test_what_blocks_prove(evidence: list[BlockEvidence], step: int | None) -> None:
    assert infer_step(evidence, SIZE) == step


@pytest.mark.parametrize(
    ("evidence", "step"),
    [
        (row(0), None),
        (row(0, 700), 1),
        (row(0, 1100), None),
        (row(0, 26_094), None),
        (row(0, 26_094, 52_287), 26_143.5 / SIZE),
        (row(0, 2 * SIZE), 2),
        (row(0, 6 * SIZE, late=3 * SIZE), 3),
        (row(0, 16 * SIZE, 48 * SIZE, 64 * SIZE), 16),
        (row(0, SIZE // 2), 0.5),
        (row(0, 5321, 11431, 17231, 23031), 5800 / SIZE),
        # Restarted three times, and every distance fits the step that the arrivals allow.
        (row(0, 2 * SIZE + 74, 4 * SIZE + 94, 6 * SIZE + 100, 8 * SIZE + 102, late=2 * SIZE), 2),
        # A block cut in its middle is as near as a full one of half the step.
        ([BlockEvidence(0, 256), *row(SIZE, 3 * SIZE)], 2),
    ],
)
def test_what_is_decided_when_no_more_comes(
    evidence: list[BlockEvidence], step: float | None
) -> None:
    assert infer_step(evidence, SIZE, final=True) == step


def test_a_known_end_limits_the_step() -> None:
    assert infer_step(row(0), SIZE, final=True, limit=1.5) == 1
    assert infer_step(row(0), SIZE, final=True, limit=2.5) is None


def test_values_limit_the_step_by_when_they_arrived_and_by_the_next_block() -> None:
    assert BlockEvidence(100, 11, 120.0).step_limit == 2.0
    assert BlockEvidence(100, 1, 120.0).step_limit == math.inf
    assert largest_step([BlockEvidence(0, 10, 90.0)]) == 10.0
    assert largest_step([BlockEvidence(0, 10, 90.0), BlockEvidence(50, 0)]) == 5.0
    assert largest_step([]) == math.inf


@pytest.mark.parametrize(
    ("evidence", "step"),
    [
        (row(0, 1024, 2048, 3072, late=1100), 2),
        (row(0, 1024, 2048, 3072, late=1000), None),
        (row(0, 1024, 2048, 3072), None),
        (row(0, 1024, 2048, 4096, late=1100), None),
        (row(0, 1024, 2348, 3500), None),
        (row(0, 700, 1500, 2301), 800 / SIZE),
    ],
)
def test_step_of_a_long_row(evidence: list[BlockEvidence], step: float | None) -> None:
    assert steady_step(evidence, SIZE) == step


@pytest.mark.parametrize(
    ("distance", "certain", "late", "doubtful"),
    [
        (2 * SIZE + 60, SIZE, math.inf, True),
        (4 * SIZE + 60, SIZE, math.inf, True),
        (2 * SIZE, SIZE, math.inf, False),
        (6 * SIZE, SIZE, math.inf, False),
        (2 * SIZE - 60, SIZE, math.inf, False),
        (2 * SIZE + 60, SIZE - 1, math.inf, False),
        # The last value may lie half of the 60 ticks behind its tick, but no less.
        (2 * SIZE + 60, SIZE, 2 * SIZE - 2 + 30, True),
        (2 * SIZE + 60, SIZE, 2 * SIZE - 2 + 29, False),
    ],
)
def test_distance_that_may_be_an_uneven_variable(
    distance: int, certain: int, late: float, doubtful: bool
) -> None:
    before, after = row(100, 100 + distance, certain=certain, late=late)
    assert is_doubtful(before, after, 2, SIZE) is doubtful


@pytest.mark.parametrize(
    ("evidence", "count"),
    [
        (row(0), 0),
        (row(0, SIZE, 2 * SIZE + 9), 0),
        (row(0, SIZE + 9, 2 * SIZE + 9, 3 * SIZE + 10), 1),
        (row(0, SIZE + 9, 2 * SIZE + 19, 3 * SIZE + 20), 3),
    ],
)
def test_doubts_are_counted_up_to_the_first_that_is_none(
    evidence: list[BlockEvidence], count: int
) -> None:
    assert count_doubts(evidence, 1, SIZE) == count


def test_mean_step_is_not_led_astray_by_a_lost_block() -> None:
    assert mean_step(row(0, 700, 1402, 2800), SIZE) == 702 / SIZE


@pytest.mark.parametrize(
    ("late_ticks", "silent_ticks", "surplus", "expected"),
    [
        (900, 1000, 777, True),  # the block took until after the silence
        (900, 1000, 800, False),  # whole blocks were lost: only the network was silent
        (900, 0, 777, False),  # without a silence the variable has paused
        (90, 1000, 777, False),  # it came in time
        (900, 1000, 0, False),
    ],
)
def test_a_block_with_values_of_two_times(
    late_ticks: int, silent_ticks: int, surplus: int, expected: bool
) -> None:
    block = BlockEvidence(0, 100, 100 + late_ticks, silent_ticks)
    assert is_splice(block, 100 + surplus, 1, 100) is expected
